"""The tables as SQL: the statement with which Athena and Glue, or any Hive metastore, read an archive where it lies in S3."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables.dictionary import columns
from appstream_frames.tables.schema import UTC_US, Column, find_table
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
_ASCII: Final = str.maketrans(
    {
        **dict(zip("‘’“”–—", "''\"\"--", strict=True)),
        "…": "...",
        ";": ",",  # Hive's clients end the statement at one, even inside of quotes
    }
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
        there; after boto3 has learnt new columns, drop the table (the files stay) and create it again.

    Raises
    ------
    RequestError
        When there is no such table, or the location is none that can stand in the statement.

    Examples
    --------
    >>> lines = ddl("images", "s3://bucket/appstream").splitlines()
    >>> print(*lines[:3], "  …", *lines[-3:], sep="\n")
    CREATE EXTERNAL TABLE `appstream_images` (
      `snapshot` timestamp COMMENT 'Moment the drain began, UTC, the same on every row of a Frames.',
      `account` string COMMENT 'AWS account id of the target that was read, twelve digits.',
      …
    )
    STORED AS PARQUET
    LOCATION 's3://bucket/appstream/images/'
    """
    sentences = columns(table)["sentence"]
    root = _check_location(location)
    lines = ",\n".join(map(_define_column, find_table(table).columns, sentences))
    return f"CREATE EXTERNAL TABLE `appstream_{table}` (\n{lines}\n)\nSTORED AS PARQUET\nLOCATION '{root}/{table}/'"


def _check_location(location: str) -> str:
    root = str(location).rstrip("/")
    if not _ROOT.fullmatch(root):
        raise RequestError(
            f"location={printable(repr(location))} cannot stand in the statement. Expected s3://bucket or s3://bucket/prefix, "
            "of letters, digits and !_.()=@+,&- between single slashes; move the archive to such a prefix."
        )
    return root


def _define_column(column: Column, sentence: str) -> str:
    quoted = to_comment(sentence).replace("\\", r"\\").replace("'", r"\'")
    return f"  `{column.name}` {HIVE[column.type]} COMMENT '{quoted}'"


def to_comment(sentence: str) -> str:
    """Return a sentence as Glue accepts it: printable ASCII, no semicolon, at most 255 characters.

    Examples
    --------
    >>> to_comment("The image’s name; “golden” …")
    'The image\\'s name, "golden" ...'
    """
    plain = "".join(char for char in sentence.translate(_ASCII) if " " <= char <= "~")
    return textwrap.shorten(plain, LONGEST, placeholder=" ...")
