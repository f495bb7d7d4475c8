"""One HTML page about the newest snapshot, without scripts, for readers who do not use notebooks.

In: the root of an archive. Out: the page as HTML text.
"""
