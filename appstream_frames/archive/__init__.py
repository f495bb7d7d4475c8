"""Parquet snapshots under a root (a folder or a bucket): written atomically, hashed and never overwritten.

In: Frames, or the batches of a drain. Out: files for any Parquet reader, and Frames again once every hash is checked.
"""
