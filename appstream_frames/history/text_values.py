"""Column values as text that can be compared, printed and read back: times in ISO format, lists and maps as JSON."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import msgspec
import pyarrow as pa


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as text: strings as they are, times in ISO format, all else as JSON; null stays null."""
    if pa.types.is_string(column.type):
        return column
    values = to_values(column)
    rows = [value if value is None or isinstance(value, str) else to_json(value).strip('"') for value in values]
    return pa.chunked_array([pa.array(rows, pa.string())])


def to_values(column: pa.ChunkedArray) -> list[Any]:
    """Return values that `to_json` takes; the order of a map's keys says nothing, so they are sorted."""
    rows: list[Any] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [None if row is None else dict(sorted(row, key=itemgetter(0))) for row in rows]
    return rows


def to_json(value: object) -> str:
    """Return JSON, with times in ISO format.

    Examples
    --------
    >>> import datetime as dt
    >>> to_json([dt.datetime(2026, 9, 7, tzinfo=dt.UTC), "é", None])
    '["2026-09-07T00:00:00Z","é",null]'
    """
    return str(msgspec.json.encode(value, enc_hook=str), "utf-8")
