"""Rows as things: what a row is known by, what was asked of its target, and its values as text that can be compared.

Shared by `changes` and `history`, so that an image is the same image in both. No I/O, no AWS, nothing public.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import all_tables
from appstream_frames.text import printable

Target = tuple[str | None, str | None]
#: What was asked of a target, without the paging, and how its drain ended.
Asked = tuple[str, str]

EVERYTHING: Final = "{}"  # what `canonical` makes of a request without a filter
_PAGING: Final = {"MaxItems", "PageSize", "StartingToken"}
#: What tells apart the rows of one image.
_WITHIN: Final = {"images": (), "applications": ("name",), "errors": ("error_code", "error_message")}
#: The columns that a reader knows a row by, besides account and region.
_SHOWN: Final = {
    "images": ("arn", "name"),
    "applications": ("image_arn", "image_name", "name", "position"),
    "errors": ("image_arn", "image_name", "position", "error_code"),
}


def checked_table(table: str, among: Iterable[str] | None = None) -> str:
    """Return the name of a table, if there is such a one; without `among`, of one whose rows belong to images."""
    known = list(among or (name for name in all_tables() if name != "coverage"))
    if table in known:
        return table
    raise RequestError(f"There is no table {printable(repr(table))} here. Choose one of: {', '.join(known)}.")


def near(name: str, known: Iterable[str]) -> str:
    """Return what else a misspelt name may have meant, as the end of a message."""
    known = list(known)
    found = difflib.get_close_matches(str(name), known, n=3) or known
    return f"Did you mean {', '.join(found)}?" if len(found) <= 3 else f"Choose from: {', '.join(found)}."


def listed(parameter: str, given: str | Iterable[str]) -> list[str]:
    """Return the columns that a parameter names, each once."""
    try:
        return list(dict.fromkeys([given] if isinstance(given, str) else given))
    except TypeError:
        raise RequestError(
            f"{parameter}={printable(repr(given))} must be a column's name, or a list of names."
        ) from None


def targets(coverage: Iterable[Mapping[str, Any]]) -> dict[Target, Asked]:
    """Return what was asked of each target, and how that ended; of a target with several drains, the worst end."""
    drains: dict[Target, list[Mapping[str, Any]]] = {}
    for row in coverage:
        drains.setdefault((row["account"], row["region"]), []).append(row)
    return {where: (_asked(rows), _ended(rows)) for where, rows in drains.items()}


def _asked(rows: list[Mapping[str, Any]]) -> str:
    return " and ".join(sorted({canonical(row.get("request")) for row in rows}))


def _ended(rows: list[Mapping[str, Any]]) -> str:
    return next((str(row["status"]) for row in rows if row["status"] != "complete"), "complete")


@lru_cache(maxsize=1024)
def canonical(request: str | None) -> str:
    """Return what a request asked for, without its paging: equal text for equal questions.

    Examples
    --------
    >>> canonical('{"Type": "PRIVATE", "PageSize": 25}')
    '{"Type": "PRIVATE"}'
    """
    try:
        members = {name: value for name, value in json.loads(request or "").items() if name not in _PAGING}
    except (ValueError, AttributeError):
        return str(request)
    kept = {name: sorted(value) if isinstance(value, list) else value for name, value in members.items()}
    return json.dumps(kept, sort_keys=True)


def of_targets(table: pa.Table, wanted: Container[Target]) -> pa.Table:
    """Return the rows of some targets."""
    (account, accounts), (region, regions) = (_encoded(table.column(name)) for name in ("account", "region"))
    inside = [(one, other) in wanted for one in accounts.to_pylist() for other in regions.to_pylist()]
    keep = np.array(inside, bool)[account * len(regions) + region]
    return table if keep.all() else table.filter(pa.array(keep))


def numbers(table: pa.Table) -> np.ndarray:
    """Return a whole number per row, equal where rows are equal in every column, null being equal to null."""
    found, many = np.zeros(table.num_rows, np.int64), 1
    for column in table.columns:
        number, values = _encoded(column)
        if many * max(len(values), 1) > np.iinfo(np.int64).max:
            found = pd.factorize(found)[0]
            many = int(found.max(initial=0)) + 1
        found, many = found * len(values) + number, many * max(len(values), 1)
    return found


def _encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return the place of each value among the values, and the values."""
    flat = texts(column) if pa.types.is_nested(column.type) else column
    if not len(flat):  # which pyarrow cannot always encode
        return np.zeros(0, np.int64), pa.nulls(0)
    encoded = pc.dictionary_encode(flat, null_encoding="encode").combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def identity(table: pa.Table, name: str) -> pa.Table:
    """Return what tells a thing from all others: account, region, the image's ARN or else its name, and the row's own."""
    images = [table.column(part) for part in image_key(name) if part in table.schema.names]
    image = pc.coalesce(*images) if images else pa.nulls(table.num_rows, pa.string())
    where = {part: table.column(part) for part in ("account", "region")}
    own = {part: table.column(part) for part in within(name) if part in table.schema.names}
    return pa.table({**where, "*": image, **own})


def image_key(name: str) -> tuple[str, str]:
    """Return the columns that know a row's image: its ARN, and its name, which stands in when AWS sent no ARN."""
    return ("arn", "name") if name == "images" else ("image_arn", "image_name")


def within(name: str) -> tuple[str, ...]:
    """Return the columns that tell apart the rows of one image."""
    return _WITHIN.get(name, ("position",))


def shown(name: str) -> tuple[str, ...]:
    """Return the columns that a reader knows a row of a table by."""
    return "account", "region", *_SHOWN.get(name, (*image_key(name), "position"))


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as text: strings as they are, times in ISO format, all else as JSON; null stays null."""
    if pa.types.is_string(column.type):
        return column
    rows = (value if value is None or isinstance(value, str) else as_json(value).strip('"') for value in values(column))
    return pa.chunked_array([pa.array(rows, pa.string())])


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return values that `as_json` takes; the order of a map's keys says nothing, so they are sorted."""
    rows: list[Any] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [None if row is None else dict(sorted(row, key=itemgetter(0))) for row in rows]
    return rows


def as_json(value: Any) -> str:
    """Return JSON, with times in ISO format.

    Examples
    --------
    >>> import datetime as dt
    >>> as_json([dt.datetime(2026, 9, 7, tzinfo=dt.UTC), "é", None])
    '["2026-09-07T00:00:00Z","é",null]'
    """
    return str(msgspec.json.encode(value, enc_hook=str), "utf-8")
