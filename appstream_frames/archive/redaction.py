"""Redaction: columns that are left out of a snapshot on purpose, wherever their values may occur.

``unmodeled`` holds values that do not fit their column or whose name the model does not know; a map may have one as a key, and a
parameter of the request may repeat it. In these, members are found by name, in any spelling, and by their path in the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables import raw_json
from appstream_frames.tables.schema import ARROW, COVERAGE, UNMODELED, choose_columns, list_tables
from appstream_frames.text import printable

MemberPath = tuple[str, ...]  # the normalized names of a member and of those that contain it, outermost first
_GONE: Final = object()
_MAP: Final = ARROW["map"]
_OF_COVERAGE: Final = set(COVERAGE.schema.names) - {UNMODELED.name}


@dataclass(frozen=True)
class Redaction:
    """Columns to leave out of every table that has them."""

    columns: tuple[str, ...]

    @classmethod
    def of(cls, redact: Iterable[str], held: Iterable[str] = ()) -> Redaction:
        """Return the redaction of columns that the model knows or the frames hold.

        Raise RequestError when there is no such column, or when rows are identified by it.
        """
        names = choose_columns("redact", redact)
        tables = [table for table in list_tables().values() if table is not COVERAGE]
        known = {name for table in tables for name in table.schema.names} | set(held)
        keys = {table.name: (*(key.name for key in table.keys), *table.resource, *table.identity) for table in tables}
        for name in names:
            if name not in known:
                raise RequestError(
                    f"redact={printable(repr(name))} is no column; see columns(table) for those to choose."
                )
            if identified := [table for table, columns in keys.items() if name in columns]:
                raise RequestError(
                    f"redact={name!r} identifies the rows of {identified[0]}, which nobody could compare without it. "
                    f"Choose other columns; see columns({identified[0]!r})."
                )
            if name in _OF_COVERAGE:
                raise RequestError(
                    f"redact={name!r} says in coverage what was read, and no snapshot means anything without it. "
                    "Choose other columns; see columns('images')."
                )
        return cls(tuple(sorted(names)))

    def apply(self, table: pa.Table, name: str) -> pa.Table:
        """Return a table without the redacted values: its columns are null, and its JSON texts and maps do not contain them.

        ``coverage.redacted`` names the columns that were redacted now or earlier.
        """
        if not self.columns:
            return table
        modelled = list_tables()[name].modelled if name in list_tables() else ()
        texts = {UNMODELED.name, *(column.name for column in modelled if column.kind == "json")}
        if name == COVERAGE.name:
            texts.add("request")
        expected = self._list_paths(name)
        arrays = []
        for field, column in zip(table.schema, table.columns, strict=True):
            if field.name in self.columns:
                column = pa.nulls(len(column), field.type)
            elif name == COVERAGE.name and field.name == "redacted":
                before = column.to_pylist()
                column = pa.array([sorted({*self.columns, *(each or ())}) for each in before], field.type)
            elif field.name in texts:
                column = pa.array(
                    [each and self._cleanse_text(each, expected) for each in column.to_pylist()], field.type
                )
            elif field.type == _MAP:
                column = self._drop_keys(column)
            arrays.append(column)
        return pa.table(arrays, schema=table.schema)

    def _drop_keys(self, maps: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
        """Return maps without the keys that name redacted members, such as ``WORKING_DIRECTORY``."""
        keys = {key for chunk in maps.chunks for key in chunk.keys.unique().to_pylist()}
        gone = {key for key in keys if self._is_redacted((raw_json.normalize_name(key),))}
        if not gone:
            return maps
        kept = [each and ([pair for pair in each if pair[0] not in gone] or None) for each in maps.to_pylist()]
        return pa.array(kept, maps.type)

    def _cleanse_text(self, text: str, expected: list[MemberPath]) -> str | None:
        try:
            left = self._remove_members(raw_json.loads(text), (), expected)
        except (ValueError, RecursionError):  # a text that cannot be searched is left out whole
            return None
        return None if left is _GONE else raw_json.dumps(left)

    def _remove_members(self, value: Any, path: MemberPath, expected: list[MemberPath]) -> Any:
        """Return a JSON value without the redacted members; `_GONE` when nothing is left."""
        if isinstance(value, dict):
            kept = {}
            for name, one in value.items():
                inner = (*path, raw_json.normalize_name(name))
                if not self._is_redacted(inner) and (left := self._remove_members(one, inner, expected)) is not _GONE:
                    kept[name] = left
            return kept if kept or not value else _GONE
        if isinstance(value, list):
            elements = [left for one in value if (left := self._remove_members(one, path, expected)) is not _GONE]
            return type(value)(elements) if elements or not value else _GONE
        # not an object, where the model expects one with a redacted member: it may be that member's value
        misplaced = value is not None and any(path and path == each[: len(path)] for each in expected)
        return _GONE if misplaced else value

    def _is_redacted(self, path: MemberPath) -> bool:
        """Return whether a member is redacted: by its own name, or joined to those of the members that contain it."""
        return not self._member_names.isdisjoint("".join(path[start:]) for start in range(len(path)))

    @cached_property
    def _member_names(self) -> frozenset[str]:
        return frozenset(raw_json.normalize_name(column) + ending for column in self.columns for ending in ("", "s"))

    def _list_paths(self, name: str) -> list[MemberPath]:
        """Return the paths of the redacted members in a row of a table, its child tables included."""
        found = []
        for table in list_tables().values():
            if name in (table.name, table.parent):
                start = table.path[-1:] if table.parent == name else ()
                columns = [column for column in table.modelled if column.name in self.columns]
                found += [tuple(map(raw_json.normalize_name, (*start, *column.path))) for column in columns]
        return found
