"""What the tables are, walked out of botocore's own service model, and the way from a reply to rows.

In: the service model and the rows of replies as raw JSON. Out: Arrow tables and pandas DataFrames of one schema (`Frames`).
Nothing here sends a request; the one file that is written is a workbook.
"""
