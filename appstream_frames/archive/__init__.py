"""Parquet snapshots under a root, a folder or a bucket: written whole or not at all, hashed, never overwritten.

In: Frames, or the batches of a drain. Out: files for any Parquet reader, and Frames again after every hash was checked.
"""
