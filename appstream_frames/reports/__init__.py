"""One HTML page on the newest snapshot, without scripts, for people who open no notebook.

In: the root of an archive. Out: HTML text, or a file written whole.
"""
