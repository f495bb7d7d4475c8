"""`Frames`, one snapshot in memory. Nothing here calls AWS; only `to_excel` writes a file."""

from __future__ import annotations

import datetime as dt
import html
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from appstream_frames.errors import RequestError, TableNotReadError
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.coverage import FIRST_OPERATION, count_whole, is_whole, name_operations
from appstream_frames.tables.files import to_plain, write_workbook
from appstream_frames.tables.schema import find_table, list_tables
from appstream_frames.text import printable

_READ: Final = ("complete", "limited")
#: Statuses that another drain would not improve: the target was read, or there is nothing to read.
_SETTLED: Final = (*_READ, "region_disabled", "not_offered")
_TOP: Final = 8  # entries of each kind in the summary


@dataclass(frozen=True, repr=False, eq=False)
class Frames:
    """The tables of one snapshot, and a resume token if `max_items` cut it.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        Every table that was read, by name: ``images``, ``applications``, ``errors``, those of `include=`, ``coverage``. Each
        is an attribute too, such as ``frames.fleets``. `columns` describes each column.
    resume_token : str or None
        Pass it to `drain` as ``starting_token=`` to continue where `max_items` cut; None at the end.
    targets : sequence of Target
        The target of each row of ``coverage``; empty when they are not known, as for frames read from files.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     frames = asf.drain(sandbox.client(), type="PUBLIC")
    >>> frames.coverage["status"].to_list()
    ['complete']
    """

    tables: Mapping[str, pd.DataFrame]
    resume_token: str | None = None
    targets: Sequence[Any] = ()

    def __getattr__(self, name: str) -> pd.DataFrame:
        tables = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        if not name.startswith("_") and name in list_tables():
            advice = f"Drain with include={name!r}, or include='all'."
            if name == "coverage":  # every drain makes it
                advice = "Pass frames as a drain or read_snapshot returned them."
            raise TableNotReadError(f"These frames hold no {name}: the table was not read. {advice}")
        return object.__getattribute__(self, name)  # raises the error of a property again, or that of an unknown name

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.tables})

    @property
    def snapshot(self) -> pd.Timestamp:
        """The moment these frames were taken, UTC."""
        moments = self.coverage.get("snapshot", pd.Series()).dropna()
        if moments.empty:
            seen = "These frames hold no row of coverage with a moment"
            raise RequestError(f"{seen}; pass them as a drain returned them.")
        return pd.Timestamp(moments.iloc[0])

    @property
    def incomplete(self) -> pd.DataFrame:
        """The rows of `coverage` with something missing: neither ``complete`` nor ``not_offered``."""
        return self.coverage[~is_whole(self.coverage, disabled=False)]

    @property
    def failed_targets(self) -> list[Any]:
        """The targets to pass to `drain_targets` again, each once; empty when targets are not known.

        A region that is not enabled for its account, or an operation that is not offered there, does not count as failed.
        """
        if not self.targets:
            return []
        statuses = zip(self.targets, self.coverage["status"], strict=True)
        return list(dict.fromkeys(target for target, status in statuses if status not in _SETTLED))

    @property
    def own(self) -> Frames:
        """The same frames without the images that AWS itself provides, and without their applications and errors.

        Pass whole frames to `used_by` and `findings`: to them, AWS's images that are left out look retired.
        """
        public = self.images[self.images["owner"].isna() & self.images["arn"].notna()]
        of_aws = pd.MultiIndex.from_frame(public[["account", "region", "arn"]])
        tables = dict(self.tables)
        for name, table in list_tables().items():
            if name in tables and "images" in (name, table.parent):
                image = pd.MultiIndex.from_frame(tables[name][["account", "region", table.resource[0]]])
                tables[name] = tables[name][~image.isin(of_aws)].reset_index(drop=True)
        return replace(self, tables=tables)

    def plain(self) -> dict[str, pd.DataFrame]:
        """Return the tables with cells that any spreadsheet or database takes: text, numbers, booleans and naive times.

        Returns
        -------
        dict of str to pandas.DataFrame
            Each table under its name: lists as ``"a, b"``, maps as JSON, times in UTC without a time zone.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as sandbox:
        ...     asf.drain(sandbox.client(), type="PRIVATE").plain()["images"]["supported_instance_families"].iloc[1]
        'GENERAL_PURPOSE, COMPUTE, MEMORY'
        """
        return {name: to_plain(table) for name, table in self.tables.items()}

    def to_excel(self, path: str | os.PathLike[str]) -> None:
        """Write a workbook with a sheet for each table; no cell of it is a formula, whatever AWS sent.

        Text that a cell cannot hold is changed: characters that XML forbids are written as escapes, and what is longer than
        32,767 characters is cut. Sheet names have at most 31 characters.

        Parameters
        ----------
        path : str or path
            The file, usually ``….xlsx``; replaced if it exists. ``~`` is the home folder.

        Raises
        ------
        RequestError
            When openpyxl is not installed, `path` is a folder or in none that exists, or a table has more rows than a sheet can
            hold; nothing is written then.
        """
        write_workbook(self.plain(), path)

    def merge(self, *others: Frames) -> Frames:
        """Return these frames with operations replaced by those of later frames, or added from them.

        An operation that failed later does not replace one that was read. All rows carry the moment of these frames; ``coverage``
        keeps when each target was read.

        Parameters
        ----------
        *others : Frames
            For example those of ``drain_targets(frames.failed_targets)``.

        Returns
        -------
        Frames
            New frames, the targets in the order in which they first came.

        Raises
        ------
        RequestError
            When a target was read twice with different parameters, or one of the others is not a Frames.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as sandbox:
        ...     first, second = (asf.drain(sandbox.client(region=name)) for name in sandbox.regions[:2])
        >>> len(first.merge(second).images) == len(first.images) + len(second.images)
        True
        """
        parts = [check_frames(each) for each in (self, *others)]
        known = [target for frames in parts for target in frames.targets or [None] * len(frames.coverage)]
        coverage = pd.concat([frames.coverage for frames in parts], ignore_index=True)
        readings = pd.DataFrame({"operation": name_operations(coverage), "location": _locate(coverage)}, dtype=object)
        readings["part"] = np.repeat(range(len(parts)), [len(frames.coverage) for frames in parts])
        chosen = _choose_readings(coverage, readings, known)
        held = [name for frames in parts for name in frames.tables]
        names = [name for name in dict.fromkeys([*list_tables(), *held]) if name in held and name != "coverage"]
        tables = {name: _merge_table(name, parts, readings.iloc[chosen]) for name in names}
        tables["coverage"] = coverage.iloc[chosen].reset_index(drop=True)
        targets = tuple(known[row] for row in chosen)
        token = self.resume_token if len(chosen) == 1 else None
        return Frames(tables, token, () if None in targets else targets).relabel(self.snapshot)

    def relabel(self, moment: str | dt.datetime) -> Frames:
        """Return the same frames labelled with another moment, for example to archive an earlier drain.

        Parameters
        ----------
        moment : str or datetime
            For every row's ``snapshot``; UTC unless it has a time zone. ``coverage`` keeps when the drain really ran.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox(at="2026-09-07") as sandbox:
        ...     asf.drain(sandbox.client(), max_items=1).relabel("2026-09-07").snapshot
        Timestamp('2026-09-07 00:00:00+0000', tz='UTC')
        """
        given: object = moment
        known = isinstance(given, str | dt.date | np.datetime64)  # a number would be nanoseconds since 1970
        stamp = pd.to_datetime(moment if known else "", utc=True, errors="coerce").as_unit("us")
        if pd.isna(stamp):
            raise RequestError(f"moment={printable(repr(given))} is no moment; pass a datetime, or text in ISO format.")
        changed = {name: table.assign(snapshot=pd.Series(stamp, table.index)) for name, table in self.tables.items()}
        return replace(self, tables=changed)

    def __repr__(self) -> str:
        facts = "".join(f"\n  {label}: {value}" for label, value in self._list_facts())
        return f"Frames: {self._summarize()}{facts}"

    def _repr_html_(self) -> str:
        cell = '<tr><th style="text-align:left">{}</th><td style="text-align:left">{}</td></tr>'
        rows = "".join(cell.format(label, html.escape(value)) for label, value in self._list_facts())
        plain = 'class="tex2jax_ignore mathjax_ignore"'  # JupyterLab would read `$` as mathematics
        return f"<div {plain}><b>Frames</b>: {html.escape(self._summarize())}<table>{rows}</table></div>"

    def _summarize(self) -> str:
        always = ("images", "applications", "errors")
        shown = {name: len(table) for name, table in self.tables.items() if name in always or len(table)}
        counts = [f"{count:,} {name}" for name, count in shown.items() if name != "coverage"]
        targets = len(self.coverage[["account", "region"]].drop_duplicates())
        return f"{', '.join(counts)} from {targets:,} target{'' if targets == 1 else 's'}"

    def _list_facts(self) -> Iterator[tuple[str, str]]:
        if len(self.coverage):
            yield "taken", f"{self.snapshot:%Y-%m-%d %H:%M:%S} UTC"
        for column in ("visibility", "state", "platform", "appstream_agent_version"):
            yield "agent" if "agent" in column else column, _format_counts(self.images[column])
        dates = self.images["public_base_image_released_date"].dropna()
        range_ = f"{dates.min():%Y-%m-%d} (oldest) to {dates.max():%Y-%m-%d} (newest)" if len(dates) else "—"
        yield "base images", range_
        whole, total = count_whole(self.coverage, disabled=False)
        yield "complete", f"{whole} of {total} targets"
        for row in self.incomplete.head(_TOP).itertuples():
            why = "" if pd.isna(row.error_message) else f": {row.error_message}"
            yield "not complete", printable(f"{row.account}/{row.region} {row.operation} {row.status}{why}", 160)


def _locate(table: pd.DataFrame) -> pd.Series:
    return table["account"].astype(object) + "/" + table["region"].astype(object)


def _choose_readings(coverage: pd.DataFrame, readings: pd.DataFrame, targets: Sequence[Hashable]) -> list[int]:
    """Return the row of coverage that counts for each target and operation, in the order in which they first came.

    `targets` has one, or None, for each row. Raise RequestError when a target was read twice with different parameters.
    """
    locations = [None if pd.isna(location) else location for location in readings["location"]]
    # a row without an account belongs to the location that its target has in another row
    found = {target: known for target, known in zip(targets, locations, strict=True) if None not in (target, known)}
    rows = list(coverage[["account", "region", "status", "request"]].itertuples(index=False))
    chosen: dict[Hashable, int] = {}
    for row, (operation, location, target) in enumerate(zip(readings["operation"], locations, targets, strict=True)):
        known_by = location or found.get(target, target)
        key = (operation, row if known_by is None else known_by)
        if key not in chosen or _replaces(rows[row], rows[chosen[key]], operation):
            chosen[key] = row
    return list(chosen.values())


def _replaces(later: Any, first: Any, operation: str) -> bool:
    if first.status not in _READ or later.status not in _READ:
        return first.status not in _READ
    if first.request != later.request:
        raise RequestError(
            f"{operation} of {printable(f'{later.account}/{later.region}')} was called with "
            f"{printable(first.request, 200)} and then with {printable(later.request, 200)}; merge takes different targets, "
            "or the same request made again. Join the tables with pandas.concat."
        )
    return True


def _merge_table(name: str, parts: Sequence[Frames], readings: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one table that belong to the readings, in their order."""
    operation = (list_tables()[name].operation if name in list_tables() else None) or FIRST_OPERATION
    chosen = readings[readings["operation"] == operation].dropna()
    order = pd.Series(range(len(chosen)), pd.MultiIndex.from_frame(chosen[["part", "location"]]))
    held = {number: frames.tables[name] for number, frames in enumerate(parts) if name in frames.tables}
    rows = pd.concat(held.values(), ignore_index=True)
    number = np.repeat([*held], [len(table) for table in held.values()])
    position = order.reindex(pd.MultiIndex.from_arrays([number, _locate(rows)])).to_numpy()
    kept = ~np.isnan(position)
    return rows[kept].take(position[kept].argsort(kind="stable")).reset_index(drop=True)


def _format_counts(values: pd.Series) -> str:
    counts = values.fillna("(none)").value_counts()
    shown = counts if len(counts) <= _TOP + 1 else counts.head(_TOP)
    words = [f"{printable(name, 40)} {count}" for name, count in shown.items()]
    others = len(counts) - len(shown)
    return ", ".join([*words, f"{others} others {counts.sum() - shown.sum()}"] if others else words) or "—"


def check_frames(frames: object, name: str = "frames") -> Frames:
    """Return a caller's frames with the model's dtypes, which other tools or `convert_dtypes` may have changed.

    Raise RequestError for anything else, or when values do not fit their columns, such as accounts that a CSV made numbers.
    """
    if not isinstance(frames, Frames):
        given = printable(type(frames).__name__)
        raise RequestError(f"{name} is a {given}, expected Frames; pass Frames as drain or read_snapshot gave them.")
    tables = dict(frames.tables)
    for table in frames.tables.keys() & list_tables().keys():
        frame, expected = frames.tables[table], _find_dtypes(find_table(table).schema)
        if any(expected.get(column, kind) != kind for column, kind in frame.dtypes.items()):
            tables[table] = to_pandas(to_arrow(frame, table)).set_axis(frame.index)
    return replace(frames, tables=tables)


@cache
def _find_dtypes(schema: pa.Schema) -> dict[str, Any]:
    return dict(to_pandas(schema.empty_table()).dtypes)
