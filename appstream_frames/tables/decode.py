"""Rows of a reply to Arrow tables, in one pass: nothing AWS sent is lost, and types never depend on content.

The tables come from `schema`. A row that fits them is decoded straight into a struct made from the model. One that does not (an
unknown member, a value of the wrong type, a lone surrogate, a member that stands twice) is split by hand into what its columns
hold and what goes, verbatim, into ``unmodeled``. An absent member, null, an empty structure, an empty map and an empty child
list are the same: no value, no row. Dropped on purpose: what of a URL `urls` takes out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.tables import raw_json
from appstream_frames.tables.operations import OPERATIONS, Operation
from appstream_frames.tables.schema import UTC_US, Column, Table, define_tables
from appstream_frames.tables.urls import ICON_URL, clean, clean_text
from appstream_frames.tables.values import POOL, RoundingError, choose_decoded_type, convert, to_array


@dataclass(frozen=True)
class Key:
    """What all rows of one request have in common: where and when it was read, and the key columns of its parent's row."""

    snapshot: dt.datetime
    account: str
    region: str
    parent: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one target, each the JSON text that AWS sent, and the hashed identities of those it sent before."""

    rows: Sequence[bytes]
    key: Key
    seen: set[int] = field(default_factory=set)


def decode(rows: Sequence[bytes], key: Key, operation: str = "DescribeImages") -> dict[str, pa.Table]:
    """Return the Arrow tables of some rows of one target, with the schemas of `schema.define_tables`.

    Each row is an element of the reply's list, as the JSON text that AWS sent. Of those with the same ARN and name only the
    first is in the operation's own table.

    Examples
    --------
    >>> key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    >>> decode([b'{"Name": "a", "Color": "red"}'], key)["images"].column("unmodeled").to_pylist()
    ['{"Color":"red"}']
    """
    return decode_groups([Group(rows, key)], operation)[0]


def decode_groups(groups: Sequence[Group], operation: str = "DescribeImages") -> list[dict[str, pa.Table]]:
    """Return the tables of each group: as many calls of `decode`, which would cost more each.

    A row whose identity is in its group's `seen` is left out, with its children; the identities of the others are added, and for
    a row that has none, which is never left out, its whole text.
    """
    if not groups:
        return []
    layout = _make_layout(OPERATIONS[operation])
    try:
        batch = _Batch(groups, layout, careful=False)
        tables = batch.make_tables()
    except (RoundingError, _RepeatedMemberError):  # rare enough to begin again
        batch = _Batch(groups, layout, careful=True)
        tables = batch.make_tables()
    batch.remember()
    return tables


class _RepeatedMemberError(Exception):
    """An object in the batch has a member twice."""


class _Structure:
    """A structure of the model: what it has by the API's names, and the msgspec struct that its JSON decodes into."""

    def __init__(self, name: str, members: Mapping[str, Column | _Structure]) -> None:
        self.members = members
        fields = [(member, _choose_type(node) | None, None) for member, node in members.items()]
        # no JSON decodes into the last field, so that no reply can fill it
        fields.append(("_unmodeled", msgspec.UnsetType, None))
        self.struct: Any = msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)


class _Layout(_Structure):
    """The structure of a table's rows, which holds those of its child tables."""

    def __init__(self, table: Table, children: Mapping[str, _Layout]) -> None:
        super().__init__(table.name, {**_nest_columns(table.modelled), **children})
        self.table, self.children = table, children
        self.decode = msgspec.json.Decoder(self.struct).decode
        paths = {column.name: column.path for column in table.modelled}
        names = [name for name in (*table.resource, *table.identity) if len(paths.get(name, ())) == 1]
        self.identity = [attrgetter(paths[name][0]) for name in names]


@lru_cache(maxsize=64)
def _make_layout(operation: Operation) -> _Layout:
    own, *children = define_tables(operation).values()
    return _Layout(own, {child.path[-1]: _Layout(child, {}) for child in children})


def _nest_columns(columns: Iterable[Column], depth: int = 0) -> dict[str, Column | _Structure]:
    """Return columns by the member that each stands in; those below one member, which follow one another, in a structure."""
    nested: dict[str, Column | _Structure] = {}
    for member, found in groupby(columns, lambda column: column.path[depth]):
        below = list(found)
        leaf = len(below[0].path) == depth + 1
        nested[member] = below[0] if leaf else _Structure(member, _nest_columns(below, depth + 1))
    return nested


def _choose_type(node: Column | _Structure) -> Any:
    if isinstance(node, Column):
        return choose_decoded_type(node)
    if isinstance(node, _Layout):
        return list[node.struct]  # type: ignore[name-defined]  # it is made at run time
    return node.struct


class _Batch:
    """The rows of some groups on their way into tables.

    Members are counted twice, in the text of the rows and in what was decoded: a member that stands twice in an object would
    else lose its first value without notice.
    """

    def __init__(self, groups: Sequence[Group], layout: _Layout, *, careful: bool) -> None:
        self._layout, self._careful = layout, careful
        self._plain: list[bytes] = []  # the text of each row that was decoded in one go
        self._split_by_hand = False
        self._members = 0  # of the decoded rows
        self._groups = groups
        self._new: list[set[int]] = [set() for _ in groups]
        rows = [
            [row for text in group.rows if self._is_new(row := self._decode_row(text), text, number)]
            for number, group in enumerate(groups)
        ]
        self._rows = [row for group in rows for row in group]
        self._group = np.repeat(np.arange(len(groups)), [len(group) for group in rows])  # of each row

    def remember(self) -> None:
        """Add the identities of the rows to those that were seen."""
        for group, new in zip(self._groups, self._new, strict=True):
            group.seen.update(new)

    def _is_new(self, row: Any, text: bytes, group: int) -> bool:
        known_by = [get(row) for get in self._layout.identity]
        parent = self._groups[group].key.parent.values()
        if not known_by or known_by[0] is None:  # without an ARN, and a name alone may be that of another
            self._new[group].add(hash((*parent, text)))
            return True
        # 64 bits: a drain of a million rows must not hold their names
        identity = hash((*parent, *known_by))
        if identity in self._new[group] or identity in self._groups[group].seen:
            return False
        self._new[group].add(identity)
        return True

    def _decode_row(self, text: bytes) -> Any:
        if self._layout.table.strings:
            text = b'{"%b":%b}' % (self._layout.table.path[-1].encode(), text)
        if not self._careful:
            try:
                row = self._layout.decode(text)
            except msgspec.DecodeError:
                pass
            else:
                self._plain.append(text)
                return row
        self._split_by_hand = True
        return _split_row(str(text, "utf-8"), self._layout)

    def make_tables(self) -> list[dict[str, pa.Table]]:
        """Return the tables of each group; unless the batch is `careful`, an error says that a row has to be split by hand."""
        own = self._layout.table
        made = {own.name: self._make_table(self._layout, self._rows, self._group, {})}
        groups = {own.name: self._group}
        for member, layout in self._layout.children.items():
            rows, parents, positions = self._expand(member)
            names = zip(layout.table.resource, own.resource, strict=True)
            above = {key: _take(made[own.name].column(name), parents) for key, name in names}
            groups[layout.table.name] = group = self._group[np.asarray(parents)]
            made[layout.table.name] = self._make_table(layout, rows, group, {**above, "position": positions})
        self._check_members()
        return [
            {name: _select_group(table, groups[name], number) for name, table in made.items()}
            for number in range(len(self._groups))
        ]

    def _check_members(self) -> None:
        """Look for a member that stands twice in an object, unless there are as many in the text as were decoded."""
        if not self._split_by_hand and _count_in_texts(self._plain) == self._members:
            return
        if any(map(raw_json.has_repeated_members, self._plain)):
            raise _RepeatedMemberError

    def _expand(self, member: str) -> tuple[list[Any], pa.Array, pa.Array]:
        found = [getattr(row, member) for row in self._rows]
        self._members += len(found) - found.count(None)
        lists = [rows or () for rows in found]
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        rows = [row for rows in lists for row in rows]
        parents = np.repeat(np.arange(len(lists)), counts)
        positions = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        there = np.fromiter((row is not None for row in rows), bool, len(rows))
        if not there.all():
            rows = [row for row in rows if row is not None]
        return rows, pa.array(parents[there]), pa.array(positions[there], pa.int64())

    def _make_table(self, layout: _Layout, rows: list[Any], group: np.ndarray, above: Mapping[str, Any]) -> pa.Table:
        made = {name: _take(values, pa.array(group)) for name, values in _list_keys(self._groups, layout.table)}
        made.update(above)
        made.update(self._make_arrays(layout, rows))
        if "owner" in layout.table.schema.names:
            made.setdefault("owner", pa.array([_find_owner(arn) for arn in made["arn"].to_pylist()], pa.string()))
        made["unmodeled"] = pa.nulls(len(rows), pa.string())
        if self._split_by_hand:
            made["unmodeled"] = pa.array([row._unmodeled for row in rows], pa.string())
        return pa.table([made[name] for name in layout.table.schema.names], schema=layout.table.schema)

    def _make_arrays(
        self, structure: _Structure, rows: list[Any], *, dense: bool = True
    ) -> Iterator[tuple[str, pa.Array]]:
        for member, node in structure.members.items():
            if isinstance(node, _Layout):
                continue
            get = attrgetter(member)
            values = list(map(get, rows)) if dense else [None if row is None else get(row) for row in rows]
            if isinstance(node, _Structure):
                self._members += len(values) - values.count(None)
                yield from self._make_arrays(node, values, dense=False)
                continue
            if member == ICON_URL:
                values = [url and url.partition("?")[0] for url in values]
            elif node.kind == "map":
                values = [clean(pairs) if pairs and ICON_URL in pairs else pairs for pairs in values]
            array = to_array(values, node, rounded=self._careful)
            self._members += _count_in_column(values, node, array)
            yield node.name, array


_TOGETHER: Final = 8  # texts whose members are counted at once
_NULL: Final = object()  # a null of an unknown member, which is kept, unlike "nothing is left"


def _split_row(text: str, layout: _Layout) -> Any:
    """Return the struct of a row with what fits its columns, and with the rest of the JSON text as unmodeled."""
    try:
        return _convert_row(raw_json.loads(text), layout)
    except (ValueError, RecursionError):  # nested deeper than Python follows: keep it whole, as it came
        return layout.struct(_unmodeled=clean_text(text))


def _convert_row(members: dict[str, Any], layout: _Layout) -> Any:
    row, rest = _split_members(members, layout)
    if rest:
        row._unmodeled = raw_json.dumps(clean(rest))
    return row


def _split_members(members: dict[str, Any], structure: _Structure) -> tuple[Any, dict[str, Any]]:
    """Return a struct of what fits, and the rest in the API's names and nesting."""
    fitting, rest = {}, {}
    for name, value in members.items():
        last = value[-1] if isinstance(value, raw_json.Repeated) else value
        known, left = _split_value(last, structure.members.get(name))
        if known is not None:
            fitting[name] = known
        if last is not value:
            rest[name] = value
        elif left is not None:
            rest[name] = None if left is _NULL else left
    return structure.struct(**fitting), rest


def _split_value(value: Any, node: Column | _Structure | None) -> tuple[Any, Any]:
    """Return the part of a member's value that the tables hold, and the part that they do not."""
    if node is None:
        return None, _NULL if value is None else value
    if value is None:
        return None, None
    if isinstance(node, Column):
        return convert(value, node)
    if isinstance(node, _Layout):
        if not isinstance(value, list):
            return None, value
        rows = [_convert_row(one, node) if isinstance(one, dict) else None for one in value]
        return rows, value if None in rows else None  # one that is no object: the list as it came, beside the rows
    if isinstance(value, dict):
        inner, rest = _split_members(value, node)
        return inner, rest or None
    return None, value


def _count_in_column(values: list[Any], column: Column, array: pa.Array) -> int:
    """Return how many members of the reply the values of a column were: the column's own, and those inside of them."""
    if column.kind == "map":
        return len(values) - values.count(None) + sum(map(len, filter(None, values)))
    if column.kind == "json":
        texts = [bytes(value) for value in values if value is not None]
        return len(texts) + _count_in_texts(texts)
    return len(values) - int(array.null_count)


def _count_in_texts(texts: Sequence[bytes]) -> int:
    """Return how many members JSON texts have, or more: a colon in a string may look like that of a member.

    A member's colon follows its closing quote or white space; a few texts at a time fit the processor's cache.
    """
    found = 0
    for start in range(0, len(texts), _TOGETHER):
        content = np.frombuffer(b"".join(texts[start : start + _TOGETHER]), np.uint8)
        found += int(np.count_nonzero((content[1:] == ord(":")) & (content[:-1] <= ord('"'))))
    return found


def _list_keys(groups: Sequence[Group], table: Table) -> Iterator[tuple[str, pa.Array]]:
    """Yield the value of each key column, one for each group."""
    keys = [group.key for group in groups]
    yield "snapshot", pa.array([key.snapshot for key in keys], UTC_US)
    yield "account", pa.array([key.account for key in keys], pa.string())
    yield "region", pa.array([key.region for key in keys], pa.string())
    operation = OPERATIONS[table.operation or ""]
    for name in operation.parent.keys if operation.parent else ():
        yield name, pa.array([key.parent.get(name) for key in keys], pa.string())


def _select_group(table: pa.Table, group: np.ndarray, number: int) -> pa.Table:
    """Return the rows of one group, which lie together."""
    first, last = np.searchsorted(group, [number, number + 1])
    return table.slice(first, last - first)


def _take(values: Any, indices: pa.Array) -> Any:
    return pc.take(values, indices, memory_pool=POOL)


def _find_owner(arn: str | None) -> str | None:
    parts = (arn or "").split(":", 5)
    return parts[4] or None if len(parts) == 6 else None
