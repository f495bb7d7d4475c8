"""The data dictionary: each column of a table, with its type, its place in the API's reply, and AWS's own sentence."""

from __future__ import annotations

import pandas as pd

from appstream_frames.tables.schema import Column, Table, find_table


def columns(table: str) -> pd.DataFrame:
    """Describe a table's columns: the data dictionary, in AWS's own words.

    Parameters
    ----------
    table : str
        Name of a table: ``images``, ``applications``, ``fleets`` …, ``coverage``.

    Returns
    -------
    pandas.DataFrame
        A row per column of the table, in order: ``column`` (its name), ``type`` (its Arrow type), ``api_path`` (where
        the value stands in the operation's reply; null for a column of this package), ``sentence`` (what botocore's
        service model says of it, as plain text) and ``enum_values`` (tuple of the values that model knows; null when it is no
        enum). AWS adds values to its enums, so the list is never closed.

    Raises
    ------
    RequestError
        When there is no such table.

    Examples
    --------
    >>> columns("images").set_index("column").loc["state_change_reason_code", ["type", "api_path"]].to_list()
    ['string', 'Images[].StateChangeReason.Code']
    """
    known = find_table(table)
    rows = [(column.name, str(column.type), _find_path(known, column), _describe(column)) for column in known.columns]
    enums = [None if column.kind == "flag" else column.enum or None for column in known.columns]
    frame = pd.DataFrame(rows, columns=["column", "type", "api_path", "sentence"], dtype="str")
    return frame.assign(enum_values=pd.Series(enums, dtype=object))


def _find_path(table: Table, column: Column) -> str | None:
    if not column.path:
        return None
    row = ".".join(f"{member}[]" for member in table.path)
    return row if table.strings else ".".join((row, *column.path))


def _describe(column: Column) -> str:
    if column.kind != "flag":
        return column.sentence
    true, false = column.flag
    return f"{column.sentence} (AWS's {true} and {false} are true and false here.)"
