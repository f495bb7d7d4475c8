"""Decode the rows of a reply into Arrow tables: nothing AWS sent is lost, and types never depend on content.

A row that fits the tables of `schema` is decoded directly into a struct made from the model. Any other row (an unknown member, a
value of the wrong type, a lone surrogate, a time finer than microseconds, a repeated member) is split in Python: its columns get
what they can hold, ``unmodeled`` gets the rest verbatim. An absent member, null, an empty structure, an empty map and an empty
child list are the same: no value, no row. Signatures in URLs are dropped on purpose, see `raw_json`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import chain, groupby
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.tables import raw_json
from appstream_frames.tables.operations import OPERATIONS, Operation
from appstream_frames.tables.schema import UTC_US, Column, Table, define_tables

_INT64: Final = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
_SECONDS: Final = msgspec.Meta(ge=-62_135_596_800, le=253_402_300_799)  # years 1 to 9999, which every reader can show
_TYPES: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "integer": Annotated[int, _INT64],
    "float": float,
    "timestamp": Annotated[int, _SECONDS] | Annotated[float, _SECONDS],
    "strings": tuple[str | None, ...],  # not lists: the garbage collector does not track tuples of text
    "map": dict[str, str | None],
    "json": msgspec.Raw,
}
#: The memory pool in which columns are built: Arrow's default pool keeps the memory that their builders free, and a large
#: drain then peaks at nearly twice the size of its tables.
_POOL: Final = pa.system_memory_pool()
_TOGETHER: Final = 8  # texts whose members are counted at once: they fit the processor's cache
_NOTHING: Final = object()  # the rest of a value that fits; None would be the null of an unknown member, which is kept


@dataclass(frozen=True)
class Key:
    """The key columns that all rows of one request share: when and where it was read, and those of its parent's row."""

    snapshot: dt.datetime
    account: str
    region: str
    parent: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one target, each the JSON text that AWS sent, and the hashed identities of earlier rows."""

    rows: Sequence[bytes]
    key: Key
    seen: set[int] = field(default_factory=set)


def decode(rows: Sequence[bytes], key: Key, operation: str = "DescribeImages") -> dict[str, pa.Table]:
    """Return the Arrow tables of some rows of one target, see `decode_groups`.

    Examples
    --------
    >>> key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    >>> decode([b'{"Name": "a", "Color": "red"}'], key)["images"].column("unmodeled").to_pylist()
    ['{"Color":"red"}']
    """
    return decode_groups([Group(rows, key)], operation)[0]


def decode_groups(groups: Sequence[Group], operation: str = "DescribeImages") -> list[dict[str, pa.Table]]:
    """Return the Arrow tables of each group, with the schemas of `schema.define_tables`.

    A row whose identity (its ARN and name) is in its group's `seen` is left out, with its children; other identities are added
    to `seen`. A row without an ARN is never left out; its whole text is its identity.
    """
    layout = _make_layout(OPERATIONS[operation])
    try:
        batch = _Batch(groups, layout, careful=False)
        tables = batch.make_tables()
    except _InexactError:  # rare, so the whole batch is decoded again
        batch = _Batch(groups, layout, careful=True)
        tables = batch.make_tables()
    for group, new in zip(groups, batch.new, strict=True):
        group.seen.update(new)
    return tables


class _InexactError(Exception):
    """A batch holds a time finer than its column, or an object with a repeated member."""


class _Structure:
    """A structure of the model: its members by the API's names, and the msgspec struct that its JSON decodes into."""

    def __init__(
        self, name: str, columns: Iterable[Column], depth: int = 0, children: Mapping[str, _Layout] | None = None
    ) -> None:
        self.members: dict[str, Column | _Structure] = dict(children or {})
        for member, found in groupby(columns, lambda column: column.path[depth]):
            below = list(found)
            leaf = len(below[0].path) == depth + 1
            self.members[member] = below[0] if leaf else _Structure(member, below, depth + 1)
        fields = [(member, _choose_type(node) | None, None) for member, node in self.members.items()]
        # no JSON value has the type of the last field, so no reply can fill it
        fields.append(("_unmodeled", msgspec.UnsetType, None))
        self.struct: Any = msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)


class _Layout(_Structure):
    """The structure of a table's rows, with those of its child tables in it."""

    def __init__(self, table: Table, children: Mapping[str, _Layout]) -> None:
        super().__init__(table.name, table.modelled, children=children)
        self.table, self.children = table, children
        self.decode = msgspec.json.Decoder(self.struct).decode
        paths = {column.name: column.path for column in table.modelled}
        names = [name for name in (*table.resource, *table.identity) if len(paths.get(name, ())) == 1]
        self.identity = [attrgetter(paths[name][0]) for name in names]


@lru_cache(maxsize=64)
def _make_layout(operation: Operation) -> _Layout:
    own, *children = define_tables(operation).values()
    return _Layout(own, {child.path[-1]: _Layout(child, {}) for child in children})


def _choose_type(node: Column | _Structure) -> Any:
    """Return the msgspec type that accepts a member's values and nothing else."""
    if isinstance(node, Column):
        return Literal[node.flag] if node.kind == "flag" else _TYPES[node.kind]
    return list[node.struct] if isinstance(node, _Layout) else node.struct  # type: ignore[name-defined]  # made at run time


class _Batch:
    """Decodes the rows of some groups into tables.

    Members are counted in the text and in the decoded rows: a difference shows a repeated member, whose first value the decoder
    would drop without an error.
    """

    def __init__(self, groups: Sequence[Group], layout: _Layout, *, careful: bool) -> None:
        self._groups, self._layout, self._careful = groups, layout, careful
        self._plain: list[bytes] = []  # the text of each row that was decoded directly
        self._split_by_hand = False
        self._members = 0  # of the decoded rows
        self.new: list[set[int]] = [set() for _ in groups]  # identities of the rows
        rows = [
            [row for text in group.rows if self._is_new(row := self._decode_row(text), text, number)]
            for number, group in enumerate(groups)
        ]
        self._rows = list(chain.from_iterable(rows))
        self._group = np.repeat(np.arange(len(groups)), [len(each) for each in rows])  # of each row

    def _is_new(self, row: Any, text: bytes, number: int) -> bool:
        group, new = self._groups[number], self.new[number]
        known_by = [get(row) for get in self._layout.identity]
        nameless = not known_by or known_by[0] is None  # without an ARN: another row may have the same name
        # 64 bits: a drain of a million rows must not hold their names
        identity = hash((*group.key.parent.values(), *([text] if nameless else known_by)))
        if not nameless and (identity in new or identity in group.seen):
            return False
        new.add(identity)
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
        """Return the tables of each group; raise _InexactError when the batch has to be `careful` and is not."""
        own = self._layout.table
        made = {own.name: self._make_table(self._layout, self._rows, self._group, {})}
        groups = {own.name: self._group}
        for member, layout in self._layout.children.items():
            rows, parents, positions = self._expand(member)
            above = {
                key: pc.take(made[own.name].column(name), parents, memory_pool=_POOL)
                for key, name in zip(layout.table.resource, own.resource, strict=True)
            }
            groups[layout.table.name] = group = self._group[parents]
            made[layout.table.name] = self._make_table(layout, rows, group, {**above, "position": positions})
        uncertain = self._split_by_hand or _count_in_texts(self._plain) != self._members
        if uncertain and any(map(raw_json.has_repeated_members, self._plain)):
            raise _InexactError
        bounds = {name: np.searchsorted(group, np.arange(len(self._groups) + 1)) for name, group in groups.items()}
        return [
            {name: table.slice(bounds[name][n], bounds[name][n + 1] - bounds[name][n]) for name, table in made.items()}
            for n in range(len(self._groups))
        ]

    def _expand(self, member: str) -> tuple[list[Any], np.ndarray, np.ndarray]:
        """Return the rows in the lists of a member, the number of each one's parent row, and its position in the list."""
        found = [getattr(row, member) for row in self._rows]
        self._members += len(found) - found.count(None)
        lists = [rows or () for rows in found]
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        rows = list(chain.from_iterable(lists))
        parents = np.repeat(np.arange(len(lists)), counts)
        positions = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        there = np.fromiter((row is not None for row in rows), bool, len(rows))
        return [row for row in rows if row is not None], parents[there], positions[there]

    def _make_table(self, layout: _Layout, rows: list[Any], group: np.ndarray, above: Mapping[str, Any]) -> pa.Table:
        schema = layout.table.schema
        keys = [{**vars(each.key), **each.key.parent} for each in self._groups]
        made = {**above, **dict(self._make_arrays(layout, rows))}
        for column in layout.table.keys:
            if column.name not in above:
                each = pa.array([key.get(column.name) for key in keys], column.type)
                made[column.name] = pc.take(each, pa.array(group), memory_pool=_POOL)
        if "owner" in schema.names:
            made["owner"] = pa.array([parse_owner(arn or "") or None for arn in made["arn"].to_pylist()], pa.string())
        made["unmodeled"] = pa.array([row._unmodeled for row in rows], pa.string())
        return pa.table([made[name] for name in schema.names], schema=schema)

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
            if member == raw_json.ICON_URL:
                values = [url and url.partition("?")[0] for url in values]
            array = _to_array(values, node, rounded=self._careful)
            self._members += _count_in_column(values, node, array)
            yield node.name, array


def parse_owner(arn: str) -> str | None:
    """Return the account in an ARN: empty for AWS's own resources, None when the text is not an ARN."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else None


def _to_array(values: list[Any], column: Column, *, rounded: bool) -> pa.Array:
    """Return the Arrow array of decoded values, an empty map as null; unless `rounded`, raise _InexactError for a finer time."""
    if column.kind == "timestamp":
        seconds = np.array(values, np.float64)  # where None is NaN
        none = np.isnan(seconds)
        seconds[none] = 0
        micros = np.rint(seconds * 1e6).astype(np.int64)
        if not rounded and (micros / 1e6 != seconds).any():
            raise _InexactError
        return pa.array(micros, UTC_US, mask=none, memory_pool=_POOL)
    if column.kind == "flag":
        true = column.flag[0]
        values = [None if value is None else value == true for value in values]
    elif column.kind == "map":
        values = [
            tuple((raw_json.clean(pairs) if raw_json.ICON_URL in pairs else pairs).items()) if pairs else None
            for pairs in values
        ]
    elif column.kind == "json":
        texts = ["null" if raw is None else str(bytes(raw), "utf-8") for raw in values]
        values = [None if text == "null" else raw_json.clean_json(text) for text in texts]
    return pa.array(values, column.type, memory_pool=_POOL)


def _count_in_column(values: list[Any], column: Column, array: pa.Array) -> int:
    """Return how many members of the reply a column's values come from, with those inside the values."""
    if column.kind == "map":
        return sum(1 + len(pairs) for pairs in values if pairs is not None)
    if column.kind == "json":
        texts = [bytes(raw) for raw in values if raw is not None]
        return len(texts) + _count_in_texts(texts)
    return len(values) - int(array.null_count)


def _count_in_texts(texts: Sequence[bytes]) -> int:
    """Return how many members JSON texts have, or more: a colon in a string may be counted too."""
    found = 0
    for start in range(0, len(texts), _TOGETHER):
        content = np.frombuffer(b"".join(texts[start : start + _TOGETHER]), np.uint8)
        # a member's colon follows its closing quote or white space
        found += int(np.count_nonzero((content[1:] == ord(":")) & (content[:-1] <= ord('"'))))
    return found


def _split_row(text: str, layout: _Layout) -> Any:
    """Return the struct of a row: what fits its columns, and the rest of the JSON text as unmodeled."""
    try:
        return _convert_row(raw_json.loads(text), layout)
    except (ValueError, RecursionError):  # nested too deep for Python: keep the whole text
        return layout.struct(_unmodeled=raw_json.clean_text(text))


def _convert_row(members: dict[str, Any], layout: _Layout) -> Any:
    row, rest = _split_members(members, layout)
    if rest:
        row._unmodeled = raw_json.dumps(raw_json.clean(rest))
    return row


def _split_members(members: dict[str, Any], structure: _Structure) -> tuple[Any, dict[str, Any]]:
    """Return a struct of what fits, and the rest in the API's names and nesting."""
    fitting, rest = {}, {}
    for name, value in members.items():
        last = value[-1] if isinstance(value, raw_json.Repeated) else value
        fitting[name], left = _split_value(last, structure.members.get(name))
        if left is not _NOTHING or last is not value:
            rest[name] = left if last is value else value
    return structure.struct(**{name: value for name, value in fitting.items() if value is not None}), rest


def _split_value(value: Any, node: Column | _Structure | None) -> tuple[Any, Any]:
    """Return the part of a member's value that the tables hold, and the part that they do not."""
    if node is None:
        return None, value
    if value is None:
        return None, _NOTHING
    if isinstance(node, Column):
        return _convert(value, node)
    if isinstance(node, _Layout):
        if not isinstance(value, list):
            return None, value
        rows = [_convert_row(one, node) if isinstance(one, dict) else None for one in value]
        return rows, value if None in rows else _NOTHING  # an element is not an object: keep the whole list too
    if not isinstance(value, dict):
        return None, value
    inner, rest = _split_members(value, node)
    return inner, rest or _NOTHING


def _convert(value: Any, column: Column) -> tuple[Any, Any]:
    """Return what a column can hold of a value of `raw_json.loads`, and the whole value if that is not all of it."""
    if column.kind == "json":
        return msgspec.Raw(raw_json.dumps(value).encode()), _NOTHING
    fitting = _replace_surrogates(value)
    try:
        text = value.text if isinstance(value, raw_json.Number) else msgspec.json.encode(fitting)
        held = _make_decoder(column)(text)
    except msgspec.DecodeError:
        return None, value
    if column.kind == "map" and fitting.keys() != value.keys():  # a changed name is another member
        return None, value
    same = round(held * 1e6) / 1e6 == held if column.kind == "timestamp" else fitting == value
    return held, _NOTHING if same else value


@cache
def _make_decoder(column: Column) -> Callable[[str | bytes], Any]:
    return msgspec.json.Decoder(_choose_type(column)).decode


def _replace_surrogates(value: Any) -> Any:
    """Return a value of `raw_json.loads` with a replacement character for each lone surrogate in it."""
    if isinstance(value, dict):
        return {_replace_surrogates(name): _replace_surrogates(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return list(map(_replace_surrogates, value))
    is_odd = isinstance(value, str) and not value.isascii()
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if is_odd else value
