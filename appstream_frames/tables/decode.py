"""Pages to Arrow tables, in one pass: nothing AWS sent is lost, and types never depend on content.

The tables come from `model`. An image that fits them is decoded straight into a struct made from the model; one that does
not (an unknown member, a value of the wrong type, a lone surrogate) is split by hand into what fits and what goes, verbatim,
into ``unmodeled``. An absent member, null, an empty structure and an empty child list are the same: no value, no row. The one
thing dropped is the query string of an icon's URL, which may be a signature. This module does no I/O.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.tables import raw_json
from appstream_frames.tables.schema import ARROW, UTC_US, Column, Table, all_tables
from appstream_frames.tables.values import (
    ICON_URL,
    POOL,
    InexactError,
    array,
    cut_queries,
    decoded_type,
    fit,
    without_queries,
)


@dataclass(frozen=True)
class Key:
    """What every row of one target's drain has in common."""

    snapshot: dt.datetime
    account: str
    region: str


class _Form:
    """A table compiled: its columns as a tree by API member, and the msgspec struct an element decodes into."""

    def __init__(self, table: Table, children: Mapping[str, _Form]) -> None:
        self.table, self.children = table, children
        self.tree: dict[str, Any] = {}
        for column in table.modelled:
            branch = self.tree
            for member in column.path[:-1]:
                branch = branch.setdefault(member, {})
            branch[column.path[-1]] = column
        self.tree.update(children)
        self.structs: dict[int, Any] = {}
        self.struct = self._struct(table.name, self.tree)
        self.decode = msgspec.json.Decoder(self.struct).decode

    def _struct(self, name: str, tree: dict[str, Any]) -> Any:
        fields = [(member, self._type(member, node) | None, None) for member, node in tree.items()]
        made = msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)
        self.structs[id(tree)] = made
        return made

    def _type(self, member: str, node: Any) -> Any:
        if isinstance(node, _Form):
            return list[node.struct]
        return decoded_type(node) if isinstance(node, Column) else self._struct(member, node)


@cache
def _forms() -> tuple[_Form, ...]:
    """Return the form of images first, then those of its child tables."""
    made = all_tables()
    children = {table.member: _Form(table, {}) for table in made.values() if table.member}
    return (_Form(made["images"], children), *children.values())


def flatten(images: Sequence[bytes], key: Key) -> dict[str, pa.Table]:
    """Return the Arrow tables of some images of one target.

    Parameters
    ----------
    images : sequence of bytes
        Each one image of the reply, as the JSON object AWS sent.
    key : Key
        Snapshot, account and region of every row.

    Returns
    -------
    dict of str to pyarrow.Table
        ``images`` (a row per image, in order; of those with the same ARN only the last) and each child table;
        schemas as in `model.tables`.

    Examples
    --------
    >>> key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    >>> flatten([b'{"Name": "a", "Color": "red"}'], key)["images"].column("unmodeled").to_pylist()
    ['{"Color":"red"}']
    """
    return flatten_groups([(images, key)])[0]


def flatten_groups(groups: Sequence[tuple[Sequence[bytes], Key]]) -> list[dict[str, pa.Table]]:
    """Return the tables of the images of several targets: as many calls of `flatten`, which would cost more each."""
    try:
        return _Batch(groups, careful=False).tables()
    except InexactError:  # a timestamp finer than microseconds: rare enough to begin again
        return _Batch(groups, careful=True).tables()


class _Batch:
    def __init__(self, groups: Sequence[tuple[Sequence[bytes], Key]], *, careful: bool) -> None:
        self._form, *self._children = _forms()
        self._careful = careful
        self._residues: dict[int, str] = {}  # by identity of the struct; the structs live as long as the batch
        rows = [_last_of_each([self._row(image) for image in images]) for images, _ in groups]
        self._rows = [row for group in rows for row in group]
        self._keys = [key for _, key in groups]
        self._group = np.repeat(np.arange(len(groups)), [len(group) for group in rows])  # of each row

    def _row(self, image: bytes) -> Any:
        if not self._careful:
            try:
                return self._form.decode(image)
            except msgspec.DecodeError:
                pass
        return self._odd(image)

    def _odd(self, image: bytes) -> Any:
        text = str(image, "utf-8")
        try:
            row, rest = self._split(raw_json.loads(text, _without_query), self._form, self._form.tree)
            self._keep(row, raw_json.dumps(rest) if rest else None)
        except (ValueError, RecursionError):  # nested deeper than Python follows: keep it whole, as it came
            row = self._form.struct()
            self._keep(row, without_queries(text))
        return row

    def _keep(self, row: Any, residue: str | None) -> None:
        if residue is not None:
            self._residues[id(row)] = residue

    def _split(self, members: dict[str, Any], form: _Form, tree: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return a struct of what fits, and the rest in the API's names and nesting."""
        fitting, rest = {}, {}
        for name, value in members.items():
            known, left = self._place(value, tree.get(name), form)
            if known is not None:
                fitting[name] = known
            if left is not None:
                rest[name] = None if left is _NULL else left
        return form.structs[id(tree)](**fitting), rest

    def _place(self, value: Any, node: Any, form: _Form) -> tuple[Any, Any]:
        """Return the part of a member's value that its place in the tables holds, and the part it does not."""
        if node is None:
            return None, _NULL if value is None else value
        if value is None:
            return None, None
        if isinstance(node, Column):
            return fit(value, node)
        if isinstance(node, _Form) and isinstance(value, list):
            return self._elements(value, node)
        if isinstance(node, dict) and isinstance(value, dict):
            inner, rest = self._split(value, form, node)
            return inner, rest or None
        return None, value

    def _elements(self, values: list[Any], form: _Form) -> tuple[list[Any], Any]:
        rows = [self._element(value, form) if isinstance(value, dict) else None for value in values]
        return rows, values if None in rows else None  # one that is no object: the list as it came, beside the rows

    def _element(self, value: dict[str, Any], form: _Form) -> Any:
        row, rest = self._split(value, form, form.tree)
        self._keep(row, raw_json.dumps(rest) if rest else None)
        return row

    def tables(self) -> list[dict[str, pa.Table]]:
        made = {"images": self._table(self._form, self._rows, self._group, {})}
        groups = {"images": self._group}
        names, arns = made["images"].column("name"), made["images"].column("arn")
        for form in self._children:
            rows, parents, positions = self._expand(form.table.member)
            above = {"image_arn": _taken(arns, parents), "image_name": _taken(names, parents), "position": positions}
            groups[form.table.name] = self._group[np.asarray(parents)]
            made[form.table.name] = self._table(form, rows, groups[form.table.name], above)
        return [
            {name: _part(table, groups[name], number) for name, table in made.items()}
            for number in range(len(self._keys))
        ]

    def _expand(self, member: str | None) -> tuple[list[Any], pa.Array, pa.Array]:
        lists = [getattr(row, member) or () for row in self._rows] if member else []
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        rows = [row for rows in lists for row in rows]
        parents = np.repeat(np.arange(len(lists)), counts)
        positions = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        there = np.fromiter((row is not None for row in rows), bool, len(rows))
        if not there.all():
            rows = [row for row in rows if row is not None]
        return rows, pa.array(parents[there]), pa.array(positions[there], pa.int64())

    def _table(self, form: _Form, rows: list[Any], group: np.ndarray, above: Mapping[str, Any]) -> pa.Table:
        made = {name: _spread(values, group) for name, values in _constants(self._keys).items()}
        made.update(above)
        made.update(_arrays(form.tree, rows, exact=not self._careful))
        if form is self._form:
            made["owner"] = pa.array([_owner(arn) for arn in made["arn"].to_pylist()], pa.string())
        made["unmodeled"] = self._unmodeled(rows)
        return pa.table([made[name] for name in form.table.schema.names], schema=form.table.schema)

    def _unmodeled(self, rows: list[Any]) -> pa.Array:
        if not self._residues:
            return pa.nulls(len(rows), pa.string())
        return pa.array([self._residues.get(id(row)) for row in rows], pa.string())


_NULL: Final = object()  # a null of an unknown member, which is kept, told from "nothing is left"


def _arrays(
    tree: Mapping[str, Any], rows: Sequence[Any], *, exact: bool, dense: bool = True
) -> Iterable[tuple[str, pa.Array]]:
    for member, node in tree.items():
        if isinstance(node, _Form):
            continue
        get = attrgetter(member)
        values = list(map(get, rows)) if dense else [None if row is None else get(row) for row in rows]
        if isinstance(node, dict):
            yield from _arrays(node, values, exact=exact, dense=False)
            continue
        if member == ICON_URL:
            values = [url and url.partition("?")[0] for url in values]
        yield node.name, array(values, node, exact=exact)


def _last_of_each(rows: list[Any]) -> list[Any]:
    """Return the rows without those whose ARN comes again later."""
    last = {row.Arn: row for row in rows}
    if len(last) == len(rows):
        return rows
    return [row for row in rows if row.Arn is None or last[row.Arn] is row]


def _constants(keys: Sequence[Key]) -> dict[str, pa.Array]:
    return {
        "snapshot": pa.array([key.snapshot for key in keys], UTC_US),
        "account": pa.array([key.account for key in keys], ARROW["string"]),
        "region": pa.array([key.region for key in keys], ARROW["string"]),
    }


def _spread(values: pa.Array, group: np.ndarray) -> pa.Array:
    """Return each row's value, given its group."""
    return _taken(values, pa.array(group))


def _part(table: pa.Table, group: np.ndarray, number: int) -> pa.Table:
    """Return the rows of one group, which lie together."""
    first, last = np.searchsorted(group, [number, number + 1])
    return table.slice(first, last - first)


def _taken(values: Any, places: pa.Array) -> Any:
    return pc.take(values, places, memory_pool=POOL)


def _owner(arn: str | None) -> str | None:
    parts = (arn or "").split(":", 5)
    return parts[4] or None if len(parts) == 6 else None


def _without_query(members: dict[str, Any]) -> dict[str, Any]:
    if ICON_URL in members:
        members[ICON_URL] = cut_queries(members[ICON_URL])
    return members
