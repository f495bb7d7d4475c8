"""The way back: from a row's typed columns and ``unmodeled`` to the object that AWS sent, and what makes two replies equal.

Written from the design's text alone and sharing no code with `decode`, so that one can prove the other.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from typing import Any

import pyarrow as pa

from appstream_frames.tables.schema import Column, Table, list_tables

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def rebuilt(made: dict[str, pa.Table]) -> Any:
    """Return the one object that an operation's tables hold."""
    own, *others = (list_tables()[name] for name in made)
    (row,) = made[own.name].to_pylist()
    sent = _members(row, own)
    for table in others:
        children = [_whole(child, table) for child in made[table.name].to_pylist()]
        if children:
            sent[table.path[-1]] = children
    return _merged(sent, json.loads(row["unmodeled"] or "{}"))


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


def canonical(sent: dict[str, Any], operation: str = "DescribeImages") -> str:
    """Return one object of an operation's list as text that is the same for replies that say the same.

    An absent member, null, an empty structure, an empty map and an empty child list say the same; so do 1 and 1.0; an icon's
    query string and a signature in a URL are left out on purpose.
    """
    return json.dumps(_pruned(_plain(sent), _shape(operation)), sort_keys=True)


@cache
def _shape(operation: str) -> dict[str, Any]:
    shape: dict[str, Any] = {}
    for table in list_tables().values():
        if table.operation != operation:
            continue
        top = shape.setdefault(table.path[-1], {}) if table.parent else shape
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
    if value is None or (isinstance(shape, dict) and value in ([], {})):
        return True
    return isinstance(shape, Column) and shape.kind == "map" and value == {}


def _plain(value: Any, member: str = "") -> Any:
    """Spell equal numbers alike, and cut what may be a secret: below a member IconURL a whole query string, else a signature."""
    if isinstance(value, dict):
        return {name: _plain(inner, "IconURL" if member == "IconURL" else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, member) for inner in value]
    if isinstance(value, str) and member == "IconURL":
        return value.split("?")[0]
    if isinstance(value, str):
        return value.replace("?X-Amz-Signature=s", "")
    return int(value) if isinstance(value, float) and value.is_integer() else value
