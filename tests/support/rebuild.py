"""The way back: from a row's typed columns and ``unmodeled`` to the image that AWS sent, and what makes two replies equal.

Written from the design's text alone and sharing no code with `flatten`, so that one can prove the other.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from typing import Any

import pyarrow as pa

from appstream_frames.tables.schema import Column, Table, all_tables

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def rebuilt(made: dict[str, pa.Table]) -> dict[str, Any]:
    """Return the one image that the tables hold."""
    (row,) = made["images"].to_pylist()
    image = _members(row, all_tables()["images"])
    for name, table in all_tables().items():
        if table.member:
            children = [_whole(child, table) for child in made[name].to_pylist()]
            if children:
                image[table.member] = children
    return _merged(image, json.loads(row["unmodeled"] or "{}"))


def _whole(row: dict[str, Any], table: Table) -> dict[str, Any]:
    return _merged(_members(row, table), json.loads(row["unmodeled"] or "{}"))


def _members(row: dict[str, Any], table: Table) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for column in table.modelled:
        if (value := row[column.name]) is not None:
            inner = members
            for step in column.path[:-1]:
                inner = inner.setdefault(step, {})
            inner[column.path[-1]] = _sent(value, column)
    return members


def _sent(value: Any, column: Column) -> Any:
    if column.kind == "flag":
        return column.flag[0] if value else column.flag[1]
    if column.kind == "timestamp":
        return (value - EPOCH) // dt.timedelta(microseconds=1) / 1e6
    if column.kind == "map":
        return dict(value)
    return json.loads(value) if column.kind == "json" else value


def _merged(typed: Any, verbatim: Any) -> Any:
    if not (isinstance(typed, dict) and isinstance(verbatim, dict)):
        return verbatim
    return {**typed, **{name: _merged(typed.get(name), value) for name, value in verbatim.items()}}


def canonical(image: dict[str, Any]) -> str:
    """Return an image as text that is the same for replies that say the same.

    An absent member, null, an empty structure and an empty child list say the same; so do 1 and 1.0; an icon's query string is
    left out on purpose.
    """
    return json.dumps(_pruned(_plain(image), _shape()), sort_keys=True)


@cache
def _shape() -> dict[str, Any]:
    shape: dict[str, Any] = {}
    for table in all_tables().values():
        if table.name == "coverage":
            continue
        top = shape.setdefault(table.member, {}) if table.member else shape
        for column in table.modelled:
            inner = top
            for step in column.path[:-1]:
                inner = inner.setdefault(step, {})
            inner[column.path[-1]] = column
    return shape


def _pruned(value: Any, shape: Any) -> Any:
    if isinstance(value, dict) and isinstance(shape, dict):
        kept = {name: _pruned(inner, shape.get(name)) for name, inner in value.items()}
        return {
            name: inner for name, inner in kept.items() if name not in shape or not _says_nothing(inner, shape[name])
        }
    if isinstance(value, list) and isinstance(shape, dict):
        return [_pruned(inner, shape) for inner in value]
    return value


def _says_nothing(value: Any, shape: Any) -> bool:
    return value is None or (isinstance(shape, dict) and value in ([], {}))


def _plain(value: Any, member: str = "") -> Any:
    """Spell equal numbers alike, and cut the query strings below a member IconURL, wherever it stands."""
    if isinstance(value, dict):
        return {name: _plain(inner, "IconURL" if member == "IconURL" else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, member) for inner in value]
    if isinstance(value, str) and member == "IconURL":
        return value.split("?")[0]
    return int(value) if isinstance(value, float) and value.is_integer() else value
