"""Redaction: columns that are left out of a snapshot on purpose, wherever their values may stand.

A value that did not fit its column, or that came under a name the model does not know, stands in ``unmodeled``; a map may hold
it under that name, and a parameter of the request may repeat it. There, members are found by name, in any spelling, and by where
the model expects them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables import raw_json
from appstream_frames.tables.schema import ARROW, COVERAGE, UNMODELED, list_tables
from appstream_frames.text import printable

MemberPath = tuple[str, ...]  # the names of a member and of those above it, as they compare
_GONE: Final = object()
_MAP: Final = ARROW["map"]
_OF_COVERAGE: Final = set(COVERAGE.schema.names) - {UNMODELED.name}


@dataclass(frozen=True)
class Redaction:
    """Columns to leave out, of whichever table has them."""

    columns: tuple[str, ...]

    @classmethod
    def of(cls, redact: Iterable[str], held: Iterable[str] = ()) -> Redaction:
        """Return the redaction of columns that the model knows or the frames hold.

        RequestError says that there is no such column, or that rows could not be distinguished without it.
        """
        names = [redact] if isinstance(redact, str) else list(redact)
        tables = [table for table in list_tables().values() if table is not COVERAGE]
        known = {name for table in tables for name in table.schema.names} | set(held)
        for name in names:
            if name not in known:
                raise RequestError(
                    f"redact={printable(repr(name))} is no column; see columns(table) for those to choose."
                )
            for table in tables:
                if name in (*(key.name for key in table.keys), *table.resource, *table.identity):
                    raise RequestError(
                        f"redact={name!r} identifies the rows of {table.name}, which nobody could compare without it. "
                        f"Choose other columns; see columns({table.name!r})."
                    )
            if name in _OF_COVERAGE:
                raise RequestError(
                    f"redact={name!r} says in coverage what was read, and no snapshot means anything without it. "
                    "Choose other columns; see columns('images')."
                )
        return cls(tuple(sorted(set(names))))

    def apply(self, table: pa.Table, name: str) -> pa.Table:
        """Return a table without the redacted values: the columns are null, and ``unmodeled`` does not hold them."""
        if not self.columns:
            return table
        for column in self.columns:
            if column in table.schema.names:
                table = _replace(table, column, pa.nulls(table.num_rows, table.schema.field(column).type))
        modelled = list_tables()[name].modelled if name in list_tables() else ()
        for column in [UNMODELED.name, *(column.name for column in modelled if column.kind == "json")]:
            table = self._cleanse(table, column, self._list_paths(name))
        for column in [field.name for field in table.schema if field.type == _MAP]:
            table = self._drop_keys(table, column)
        return table

    def apply_to_coverage(self, coverage: pa.Table) -> pa.Table:
        """Return coverage that says what is redacted, in this drain or before, and whose requests do not hold it."""
        if not self.columns:
            return coverage
        names = [sorted({*self.columns, *(before or ())}) for before in coverage.column("redacted").to_pylist()]
        marked = _replace(coverage, "redacted", pa.array(names, coverage.schema.field("redacted").type))
        return self._cleanse(marked, "request", [])

    def _drop_keys(self, table: pa.Table, column: str) -> pa.Table:
        """Return a table whose column of maps does not hold the redacted members, as of ``{"WORKING_DIRECTORY": …}``."""
        keys = {key for chunk in table.column(column).chunks for key in chunk.keys.unique().to_pylist()}
        gone = {key for key in keys if self._is_redacted((_normalize(key),))}
        if not gone:
            return table
        maps = [
            each and ([pair for pair in each if pair[0] not in gone] or None)
            for each in table.column(column).to_pylist()
        ]
        return _replace(table, column, pa.array(maps, table.schema.field(column).type))

    def _cleanse(self, table: pa.Table, column: str, expected: list[MemberPath]) -> pa.Table:
        """Return a table whose column of JSON texts does not hold the redacted members."""
        if column not in table.schema.names or table.column(column).null_count == table.num_rows:
            return table
        texts = [text and self._cleanse_text(text, expected) for text in table.column(column).to_pylist()]
        return _replace(table, column, pa.array(texts, pa.string()))

    def _cleanse_text(self, text: str, expected: list[MemberPath]) -> str | None:
        try:
            left = self._remove_members(raw_json.loads(text), (), expected)
        except (ValueError, RecursionError):  # what cannot be searched is left out whole
            return None
        return None if left is _GONE else raw_json.dumps(left)

    def _remove_members(self, value: Any, path: MemberPath, expected: list[MemberPath]) -> Any:
        """Return a JSON value without the redacted members; `_GONE` when nothing is left of it."""
        if isinstance(value, dict):
            kept = {}
            for name, one in value.items():
                inner = (*path, _normalize(name))
                if not self._is_redacted(inner) and (left := self._remove_members(one, inner, expected)) is not _GONE:
                    kept[name] = left
            return kept if kept or not value else _GONE
        if isinstance(value, list):
            elements = [left for one in value if (left := self._remove_members(one, path, expected)) is not _GONE]
            return type(value)(elements) if elements or not value else _GONE
        # no object where the model expects one that holds a redacted member: it may be that member's value
        misplaced = value is not None and any(path and path == each[: len(path)] for each in expected)
        return _GONE if misplaced else value

    def _is_redacted(self, path: MemberPath) -> bool:
        """Tell whether a member is a redacted one: its own name, or with those above it."""
        return not self._member_names.isdisjoint("".join(path[start:]) for start in range(len(path)))

    @cached_property
    def _member_names(self) -> frozenset[str]:
        return frozenset(_normalize(column) + ending for column in self.columns for ending in ("", "s"))

    def _list_paths(self, name: str) -> list[MemberPath]:
        """Return where the model expects the redacted members in a row of a table, those of its child tables included."""
        found = []
        for table in list_tables().values():
            if name in (table.name, table.parent):
                start = table.path[-1:] if table.parent == name else ()
                columns = [column for column in table.modelled if column.name in self.columns]
                found += [tuple(map(_normalize, (*start, *column.path))) for column in columns]
        return found


def _normalize(name: str) -> str:
    """Return a name as it compares: ``LaunchParameters``, ``launchParameters`` and ``launch_parameters`` are one."""
    return re.sub(r"[\W_]", "", name).lower()


def _replace(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    position = table.schema.get_field_index(column)
    return table.set_column(position, table.schema.field(position), values)
