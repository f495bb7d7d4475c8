"""A range of snapshots, oldest first: which files and columns are read, and the types in which they become one table.

The files are read and checked by `archive`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.archive.manifest import Manifest, find_ids, parse_moment, read_intact
from appstream_frames.archive.reader import read_columns, read_table
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import Store
from appstream_frames.errors import RequestError
from appstream_frames.history.identity import TARGET, select_reads
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.schema import UNMODELED, UTC_US, Table, choose_columns
from appstream_frames.text import printable

Moment: TypeAlias = str | dt.date | dt.datetime | None
Root: TypeAlias = str | os.PathLike[str]

_KEYS: Final = ["snapshot", *TARGET]
_AT_ONCE: Final = 4  # snapshots that are read concurrently
_READS: Final = pa.schema(
    [("snapshot", UTC_US), *((name, pa.string()) for name in ("id", *TARGET, "operation", "status", "request"))]
)


@dataclass(frozen=True)
class SnapshotRange:
    """The snapshots from one moment to another, oldest first: their store, and their manifests by id."""

    store: Store
    manifests: dict[str, Manifest]

    @classmethod
    def open(cls, root: Root, since: Moment = None, until: Moment = None, table: Table | None = None) -> SnapshotRange:
        """Return the snapshots of an archive from one moment to another, both included.

        Warn, at the caller's caller, when none of them holds `table`: then its lack of rows has no meaning.
        """
        first, last = _parse_bound("since", since), _parse_bound("until", until)
        if first is not None and last is not None and first > last:
            raise RequestError(f"since={since!r} is after until={until!r}; swap them.")
        store = open_store(root)
        ids = [name for name in find_ids(store) if first is None or first <= parse_moment(name)]
        ids = [name for name in ids if last is None or parse_moment(name) <= last]
        manifests = {manifest.id: manifest for manifest in read_intact(store, ids)}
        if manifests and table and table.operation and not any(table.name in one.files for one in manifests.values()):
            warnings.warn(
                f"{table.name} was read in none of {len(manifests)} snapshots, so nothing is known of it. "
                f"Take snapshots with include={table.name!r}.",
                UserWarning,
                stacklevel=3,
            )
        return cls(store, manifests)

    @cached_property
    def moments(self) -> pd.DatetimeIndex:
        """The moments of the snapshots, oldest first."""
        found = sorted({parse_moment(name) for name in self.manifests})
        return pd.DatetimeIndex(found, tz="UTC", name="snapshot").as_unit("us")

    def read_rows(self, table: Table, columns: Iterable[str] | None, reads: pd.DataFrame | None = None) -> pa.Table:
        """Return a table's rows; without `columns`, with all columns that the model or any file has.

        With `reads`, which `find_reads` returns, rows carry the moment of their snapshot's id, and each target's rows come only
        from the snapshots named there.
        """
        wanted = self._check_columns(table, columns)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = list(pool.map(lambda manifest: self._read_part(manifest, table, wanted), self.manifests.values()))
        if reads is not None:
            targets = (reads["account"] + "/" + reads["region"]).groupby(reads["id"]).agg(list)
            named = zip(self.manifests, parts, strict=True)
            parts = [_date(select_targets(part, targets.get(name, ())), name) for name, part in named]
        try:
            rows = pa.concat_tables([pa.table({}), *parts], promote_options="permissive")
            types = {field.name: field.type for field in (*rows.schema, *table.schema)}
            rows = rows.cast(pa.schema([(name, types[name]) for name in rows.schema.names]))
        except pa.ArrowException as error:
            raise RequestError(
                f"{table.name} has a column whose type changed between snapshots so that none holds all its values "
                f"({printable(error)}). Leave it out with columns=, or read fewer snapshots with since= and until=."
            ) from error
        schema = pa.schema([(name, types[name]) for name in wanted])
        return pa.concat_tables([schema.empty_table(), rows], promote_options="default")

    def find_reads(self, table: Table) -> pd.DataFrame:
        """Return, for each target and moment, the request of the operation that fills a table and the status of the read.

        Ordered by moment: ``snapshot``, ``account``, ``region``, ``id``, ``status``, ``request``. If several snapshots have the
        same moment, the last one that read the target whole counts.
        """
        held = {name: manifest.coverage for name, manifest in self.manifests.items() if table.name in manifest.files}
        found = [_date(rows.append_column("id", pa.repeat(name, len(rows))), name) for name, rows in held.items()]
        found = [rows.select(_READS.names).cast(_READS) for rows in found]
        coverage = to_pandas(pa.concat_tables([_READS.empty_table(), *found]))
        known = coverage.dropna(subset="account")  # a target of unknown account was not read
        reads = select_reads(known, table.operation, ["id", *_KEYS])
        reads = reads.assign(whole=reads["status"] == "complete").sort_values(["snapshot", "whole"], kind="stable")
        return reads.drop_duplicates(_KEYS, keep="last").drop(columns="whole").reset_index(drop=True)

    def find_lacking(self, table: Table, columns: Iterable[str]) -> pd.DatetimeIndex:
        """Return the moments whose snapshots lack some columns: boto3 did not know them yet, or they were redacted."""
        lacking = [
            parse_moment(name)
            for name, manifest in self.manifests.items()
            if {*columns} - {*_KEYS} - ({*_list_stored_columns(manifest, table)} - {*manifest.redacted})
        ]
        return self.moments[self.moments.isin(lacking)]

    def _read_part(self, manifest: Manifest, table: Table, wanted: list[str]) -> pa.Table:
        if table.operation is None:
            whole = manifest.coverage
        elif table.name not in manifest.files:  # not requested, or unknown to boto3 at that time
            whole = table.schema.empty_table().select(_KEYS)
        elif manifest.files[table.name]["rows"]:
            return read_columns(self.store, manifest, table.name, wanted)
        else:  # small, and a column without pages cannot be read alone
            whole = read_table(self.store, manifest, table.name)
        return whole.select([column for column in wanted if column in whole.schema.names])

    def _check_columns(self, table: Table, columns: Iterable[str] | None) -> list[str]:
        found = dict.fromkeys(table.schema.names)
        for manifest in self.manifests.values():
            found |= dict.fromkeys(_list_stored_columns(manifest, table))
        known = [*(name for name in found if name != UNMODELED.name), UNMODELED.name]
        if columns is None:
            return known
        names = choose_columns("columns", columns)
        for name in names:
            if name not in known:
                meant = difflib.get_close_matches(str(name), known, n=3)
                advice = f"Did you mean {', '.join(meant)}?" if meant else f"Choose from: {', '.join(known)}."
                raise RequestError(f"{table.name} has no column {printable(repr(name))}. {advice}")
        return list(dict.fromkeys([*_KEYS, *names]))


def _list_stored_columns(manifest: Manifest, table: Table) -> list[str]:
    if table.operation is None:
        return list(manifest.coverage.schema.names)
    return list(manifest.files[table.name]["columns"]) if table.name in manifest.files else []


def _date(rows: pa.Table, name: str) -> pa.Table:
    """Return rows with the moment of a snapshot's id as ``snapshot``."""
    moments = pa.repeat(pa.scalar(parse_moment(name), UTC_US), len(rows))
    return rows.set_column(rows.schema.get_field_index("snapshot"), pa.field("snapshot", UTC_US), moments)


def select_targets(rows: pa.Table, targets: Iterable[str]) -> pa.Table:
    """Return the rows of some targets, each given as ``account/region``."""
    names = pc.binary_join_element_wise(rows.column("account"), rows.column("region"), "/")
    return rows.filter(pc.is_in(names, pa.array(targets, pa.string())))


def _parse_bound(name: str, value: Moment) -> pd.Timestamp | None:
    """Return a moment in UTC; a date is its first microsecond, or as `until` its last."""
    if value is None:
        return None
    given: object = value  # the text of a date can be parsed as both; the date wins
    for parse in (dt.datetime.fromisoformat, dt.date.fromisoformat):
        with suppress(ValueError):
            given = parse(value.strip()) if isinstance(value, str) else value
    if not isinstance(given, dt.date) or pd.isna(given):
        raise RequestError(
            f"{name}={printable(repr(value))} is no moment; pass a date or a datetime, or either in ISO format."
        )
    moment = pd.Timestamp(given)
    moment = moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
    whole_day = name == "until" and not isinstance(given, dt.datetime)
    return moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1) if whole_day else moment
