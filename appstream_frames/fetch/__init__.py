"""Read the operations of targets, page by page, to a validated end.

In: targets and a request. Out: batches of Arrow tables in the order of the targets, and how each target ended.
"""
