"""The tables, derived from botocore's own service model, and the conversion of replies to rows of them.

In: the service model and the rows of replies as raw JSON. Out: Arrow tables and pandas DataFrames of one schema (`Frames`).
Nothing here sends a request; the only file that is written is a workbook.
"""
