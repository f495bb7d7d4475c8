"""Many snapshots together: what changed, since when, and how counts went.

In: an archive, or two Frames. Out: DataFrames that conclude only from what was read whole.
"""
