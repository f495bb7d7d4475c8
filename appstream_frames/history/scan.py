"""A span of an archive: some of its snapshots, oldest first, and what they tell together.

Here it is decided which files and columns are read, that all parts have one schema, and what the coverage of all snapshots
says about a target. The reading and proving is done by `archive`. No AWS, nothing public.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from appstream_frames.archive.manifest import Manifest, find_ids, parse_moment, read_intact
from appstream_frames.archive.reader import read_columns, read_table
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import Store
from appstream_frames.errors import RequestError
from appstream_frames.history import identity
from appstream_frames.history.identity import Asked, Target
from appstream_frames.tables.schema import UNMODELED, UTC_US, all_tables
from appstream_frames.text import printable

Moment = str | dt.date | dt.datetime | None
Made = TypeVar("Made")

_KEYS: Final = ("snapshot", "account", "region")
_AT_ONCE: Final = 4  # snapshots that are read side by side


@dataclass(frozen=True)
class Span:
    """Some snapshots by id, oldest first, each with its manifest."""

    store: Store
    records: dict[str, Manifest]

    @classmethod
    def of(cls, root: str | os.PathLike[str], since: Moment = None, until: Moment = None) -> Span:
        """Return the snapshots from one moment to another, both included."""
        first, last = _moment("since", since), _moment("until", until, end=True)
        if first is not None and last is not None and first > last:
            raise RequestError(f"since={since!r} is after until={until!r}; swap them.")
        store = open_store(root)
        names = [name for name in find_ids(store) if _within(parse_moment(name), first, last)]
        return cls(store, {manifest.id: manifest for manifest in read_intact(store, names)})

    @cached_property
    def moments(self) -> list[dt.datetime]:
        """The moments at which there are snapshots."""
        return sorted({parse_moment(name) for name in self.records})

    def rows(self, table: str, columns: Iterable[str] | None) -> pa.Table:
        """Return a table's rows; without `columns`, with all columns that the model or any of the files has."""
        schema, parts = self._read(table, columns)
        return pa.concat_tables([schema.empty_table(), *parts])

    def sightings(self, table: str, columns: Iterable[str]) -> pa.Table:
        """Return a table's rows, each at its snapshot's moment; a target that two of one moment hold counts once."""
        schema, parts = self._read(table, columns)
        return pa.concat_tables([schema.empty_table(), *map(self._own, self.records, parts)])

    def _own(self, name: str, part: pa.Table) -> pa.Table:
        moment = parse_moment(name)
        part = identity.of_targets(part, {where for where, (of, _) in self.told[moment].items() if of == name})
        return part.set_column(0, part.schema.field(0), pa.repeat(pa.scalar(moment, UTC_US), part.num_rows))

    def _read(self, table: str, columns: Iterable[str] | None) -> tuple[pa.Schema, list[pa.Table]]:
        wanted = self._wanted(table, columns)
        parts = _side_by_side(lambda name: self._part(name, table, wanted), self.records)
        try:
            schema = _schema(table, wanted, parts)
            return schema, [_fitted(part, schema) for part in parts]
        except pa.ArrowException as error:
            raise RequestError(
                f"{table} has a column whose type changed between snapshots so that none holds all its values "
                f"({printable(error)}). Leave it out with columns=, or read fewer snapshots with since= and until=."
            ) from error

    def _part(self, name: str, table: str, wanted: list[str]) -> pa.Table:
        manifest = self.records[name]
        if table == "coverage":
            return manifest.coverage.select([column for column in wanted if column in manifest.coverage.schema.names])
        if table not in manifest.files:  # which the boto3 of that day did not know
            return all_tables()[table].schema.empty_table().select(_KEYS)
        if not manifest.files[table]["rows"]:  # small, and columns without a page cannot be read alone
            whole = read_table(self.store, manifest, table)
            return whole.select([column for column in wanted if column in whole.schema.names])
        return read_columns(self.store, manifest, table, wanted)

    def _wanted(self, table: str, columns: Iterable[str] | None) -> list[str]:
        known = self._known(table)
        if columns is None:
            return known
        names = identity.listed("columns", columns)
        for name in names:
            if name not in known:
                raise RequestError(f"{table} has no column {printable(repr(name))}. {identity.near(name, known)}")
        return list(dict.fromkeys([*_KEYS, *names]))

    def _known(self, table: str) -> list[str]:
        found = dict.fromkeys(all_tables()[table].schema.names[:-1])
        for manifest in self.records.values():
            file = manifest.files.get(table, {"columns": ()})
            found |= dict.fromkeys(manifest.coverage.schema.names if table == "coverage" else file["columns"])
        return [*(name for name in found if name != UNMODELED.name), UNMODELED.name]

    @cached_property
    def told(self) -> dict[dt.datetime, dict[Target, tuple[str, Asked]]]:
        """What each moment tells of each target, and in which snapshot: of several, the last that read it whole."""
        told: dict[dt.datetime, dict[Target, tuple[str, Asked]]] = {moment: {} for moment in self.moments}
        for name, manifest in self.records.items():
            known = told[parse_moment(name)]
            for target, asked in identity.targets(manifest.coverage.to_pylist()).items():
                if asked[1] == "complete" or target not in known or known[target][1][1] != "complete":
                    known[target] = name, asked
        return told

    def gone(self, target: Target, last: dt.datetime) -> dt.datetime | None:
        """Return the first moment after a thing's last sighting that proves its absence."""
        enough = {identity.EVERYTHING, self.told[last][target][1][0]}
        for moment in self.moments:
            _, (asked, status) = self.told[moment].get(target, ("", ("", "")))
            if moment > last and status == "complete" and asked in enough:
                return moment
        return None

    def complete(self) -> dict[Target, np.ndarray]:
        """Return at which moments each target was read whole, and asked what it was asked the last time that it was."""
        asked: dict[Target, str] = {}
        for moment in self.moments:
            asked |= {target: told[0] for target, (_, told) in self.told[moment].items() if told[1] == "complete"}
        whole = {
            target: [self._as_ever(moment, target, question) for moment in self.moments]
            for target, question in asked.items()
        }
        return {target: np.array(row, bool) for target, row in whole.items()}

    def _as_ever(self, moment: dt.datetime, target: Target, question: str) -> bool:
        return self.told[moment].get(target, ("", ("", "")))[1] == (question, "complete")


def _side_by_side(read: Callable[[str], Made], names: Iterable[str]) -> list[Made]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(read, names))


def _schema(table: str, wanted: list[str], parts: Sequence[pa.Table]) -> pa.Schema:
    """Return the model's types, and for a column it does not know one that all files' types go into."""
    found = (
        pa.unify_schemas([part.schema.remove_metadata() for part in parts], promote_options="permissive")
        if parts
        else ()
    )
    types = {field.name: field.type for field in found} | {
        field.name: field.type for field in all_tables()[table].schema
    }
    return pa.schema([(name, types.get(name, pa.null())) for name in wanted])


def _fitted(part: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a part with all columns of the schema, null where it has none."""
    there = set(part.schema.names)
    columns = [
        part.column(field.name) if field.name in there else pa.nulls(part.num_rows, field.type) for field in schema
    ]
    return pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


def _within(moment: dt.datetime, first: pd.Timestamp | None, last: pd.Timestamp | None) -> bool:
    return (first is None or first <= moment) and (last is None or moment <= last)


def _moment(name: str, value: Moment, *, end: bool = False) -> pd.Timestamp | None:
    """Return a moment in UTC; of a date, its beginning or its end."""
    if value is None:
        return None
    given = _parsed(value) if isinstance(value, str) else value
    if not isinstance(given, dt.date) or pd.isna(given):
        raise RequestError(
            f"{name}={printable(repr(value))} is no moment; pass a date or a datetime, or either in ISO format."
        )
    moment = pd.Timestamp(given)
    moment = moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
    whole_day = end and not isinstance(given, dt.datetime)
    return moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1) if whole_day else moment


def _parsed(text: str) -> dt.date | None:
    for parse in (dt.date.fromisoformat, dt.datetime.fromisoformat):
        with suppress(ValueError):
            return parse(text.strip())
    return None
