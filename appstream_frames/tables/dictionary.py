"""Describe the tables: the data dictionary for people, and the SQL with which Athena, Glue or Hive read an archive in S3."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import pandas as pd
import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import UTC_US, Column, Table, find_table
from appstream_frames.text import printable

#: Hive's name of each Arrow type that a column can have.
HIVE: Final[dict[pa.DataType, str]] = {
    pa.string(): "string",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.float64(): "double",
    UTC_US: "timestamp",
    pa.list_(pa.string()): "array<string>",
    pa.map_(pa.string(), pa.string()): "map<string,string>",
}
LONGEST: Final = 255  # characters of a comment that Glue accepts
_ROOT: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.{1,2}(/|\Z))[A-Za-z0-9!_.()=@+,&-]+)*")
# Hive's clients end the statement at a semicolon, even inside quotes
_ASCII: Final = str.maketrans({**dict(zip("‘’“”–—;", "''\"\"--,", strict=True)), "…": "..."})


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
        the value is in the operation's reply; null for a column of this package), ``sentence`` (its documentation in
        botocore's service model, as plain text) and ``enum_values`` (tuple of the values that the model knows; null unless the
        column is an enum). AWS adds values to its enums, so the list is never final.

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
    row = [f"{member}[]" for member in table.path]
    return ".".join(row if table.strings else [*row, *column.path]) if column.path else None


def _describe(column: Column) -> str:
    return column.sentence + (
        " (AWS's {} and {} are true and false here.)".format(*column.flag) if column.kind == "flag" else ""
    )


def ddl(table: str, location: str) -> str:
    r"""Return the ``CREATE EXTERNAL TABLE`` statement of a table, for Athena and Glue.

    Parameters
    ----------
    table : str
        Name of a table, as for `columns`; its name in SQL is ``appstream_<table>``.
    location : str
        The root of the archive, ``s3://bucket`` or ``s3://bucket/prefix``.

    Returns
    -------
    str
        The statement, without a semicolon at its end. Each column has its sentence of `columns` as comment, in ASCII and cut to
        the 255 characters that Glue accepts. Parquet is read by column name, so a column that an older snapshot lacks is null
        there; when a newer boto3 has added columns, drop the table (the files stay) and create it again.

    Raises
    ------
    RequestError
        When there is no such table, or the location cannot be used in the statement.

    Examples
    --------
    >>> print(*ddl("images", "s3://bucket/appstream").splitlines()[:3], "  …", sep="\n")
    CREATE EXTERNAL TABLE `appstream_images` (
      `snapshot` timestamp COMMENT 'Moment the drain began, UTC, the same on every row of a Frames.',
      `account` string COMMENT 'AWS account id of the target that was read, twelve digits.',
      …
    """
    lines = []
    for column in find_table(table).columns:
        comment = to_comment(_describe(column)).replace("\\", r"\\").replace("'", r"\'")
        lines.append(f"  `{column.name}` {HIVE[column.type]} COMMENT '{comment}'")
    root = str(location).rstrip("/")
    if not _ROOT.fullmatch(root):
        raise RequestError(
            f"location={printable(repr(location))} cannot be used in the statement. Expected s3://bucket or s3://bucket/prefix, "
            "of letters, digits and !_.()=@+,&- between single slashes; move the archive to such a prefix."
        )
    head, body = f"CREATE EXTERNAL TABLE `appstream_{table}`", ",\n".join(lines)
    return f"{head} (\n{body}\n)\nSTORED AS PARQUET\nLOCATION '{root}/{table}/'"


def to_comment(sentence: str) -> str:
    """Return a sentence as Glue accepts it: printable ASCII, no semicolon, at most 255 characters.

    Examples
    --------
    >>> to_comment("The image’s name; “golden” …")
    'The image\\'s name, "golden" ...'
    """
    plain = "".join(char for char in sentence.translate(_ASCII) if " " <= char <= "~")
    return textwrap.shorten(plain, LONGEST, placeholder=" ...")
