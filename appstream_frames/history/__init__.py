"""Comparisons over many snapshots: what changed, since when, and how counts developed.

In: an archive, or two Frames. Out: DataFrames; conclusions are drawn only from targets that were read whole.
"""
