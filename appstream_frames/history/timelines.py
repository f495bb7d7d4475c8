"""Many snapshots of one archive: their rows in one frame, when each thing came and went, and counts over time.

A target that was not read whole, or was asked something else, is no evidence that anything is gone: `timeline` passes over
it, and `trend` shows a gap. Nothing here opens a file; `span` has them read and proven. Nothing asks AWS.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.errors import RequestError
from appstream_frames.history import identity
from appstream_frames.history.scan import Moment, Span
from appstream_frames.tables.frames import to_pandas
from appstream_frames.tables.schema import UTC_US, all_tables
from appstream_frames.text import printable


def read_history(
    root: str | os.PathLike[str],
    table: str = "images",
    *,
    columns: Iterable[str] | None = None,
    since: Moment = None,
    until: Moment = None,
) -> pd.DataFrame:
    """Read one table of every snapshot, oldest first; each column that is read is proven, and no other is read.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    table : {"images", "applications", "errors", "coverage"}
        Which table.
    columns : iterable of str, optional
        Its columns to read, beside ``snapshot``, ``account`` and ``region``, which always come first; default: all.
    since, until : str, datetime.date or datetime.datetime, optional
        The first and the last moment, both included. Without a time zone it is UTC; a date as `until` is all of its day.

    Returns
    -------
    pandas.DataFrame
        The rows of `table` of all these snapshots, the types as `columns` gives them. A column that a snapshot did not
        have yet is null there; one that only a newer boto3 knew is there too. Empty when there is no snapshot.

    Raises
    ------
    RequestError
        When there is no such table or column, or a moment is none; before any table is read.
    SnapshotCorruptError
        When a file is missing or is not what was written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for week in ("2026-09-07", "2026-09-14"):
    ...         with asf.sandbox(at=week) as sandbox:
    ...             _ = asf.write_snapshot(asf.drain(sandbox.client(), type="SHARED").relabel(week), root)
    ...     history = read_history(root, columns=["name"], since="2026-09-08")
    >>> history.columns.to_list(), history["snapshot"].min()
    (['snapshot', 'account', 'region', 'name'], Timestamp('2026-09-14 00:00:00+0000', tz='UTC'))
    """
    identity.checked_table(table, all_tables())
    return to_pandas(Span.of(root, since, until).rows(table, columns))


def timeline(root: str | os.PathLike[str], table: str = "images") -> pd.DataFrame:
    """Tell of everything that was ever seen when it came, when it was seen last, and by when it was gone.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    table : {"images", "applications", "errors"}
        Of what.

    Returns
    -------
    pandas.DataFrame
        A row per thing: ``account``, ``region``; ``arn``, ``name``, or of a child table what a row of `diff` is known by, but
        for ``position``; ``first_seen`` and ``last_seen`` (moments, UTC); ``gone_by``, the moment of the first later snapshot
        that read its target whole, with no filter or with that of the last sighting, and did not hold it (null while it
        is there, or nothing tells); ``generations``, how many values of ``created_time`` it had, at least 1; ``snapshots``,
        in how many it was seen. Ordered by the columns that name the thing.

    Raises
    ------
    RequestError
        When there is no such table.
    SnapshotCorruptError
        When a file is missing or is not what was written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for week in ("2026-09-28", "2026-10-05"):
    ...         with asf.sandbox(at=week) as sandbox:
    ...             _ = asf.write_snapshot(asf.drain(sandbox.client(), type="PRIVATE").relabel(week), root)
    ...     seen = timeline(root).set_index("name")
    >>> int(seen.loc["callcenter-training", "generations"])
    2
    """
    identity.checked_table(table)
    span = Span.of(root)
    named = dict.fromkeys([*identity.shown(table), *identity.within(table)])
    known = [column for column in named if column != "position" or column in identity.within(table)]
    dated = [column for column in ("created_time",) if column in all_tables()[table].schema.names]
    seen = span.sightings(table, [*known, *dated])
    number, _ = pd.factorize(identity.numbers(identity.identity(seen, table)))
    last = seen.take(pa.array(_last_of_each(number)))
    found = last.select(known)
    found = found.append_column("first_seen", seen.column("snapshot").take(pa.array(_first_of_each(number))))
    found = found.append_column("last_seen", last.column("snapshot"))
    found = found.append_column("gone_by", _gone(last, span))
    found = found.append_column("generations", pa.array(np.maximum(_different(number, seen, dated), 1)))
    found = found.append_column("snapshots", pa.array(_different(number, seen, ["snapshot"])))
    return to_pandas(found.sort_by([(column, "ascending") for column in known]))


def _gone(last: pa.Table, span: Span) -> pa.Array:
    """Return by when things were gone, given their last sightings: the same for all of one target at one moment."""
    sighting = last.select(["account", "region", "snapshot"])
    number, _ = pd.factorize(identity.numbers(sighting))
    each = sighting.take(pa.array(_last_of_each(number))).to_pylist()
    found = [span.gone((row["account"], row["region"]), row["snapshot"]) for row in each]
    return pa.array(found, UTC_US).take(pa.array(number))


def _first_of_each(number: np.ndarray) -> np.ndarray:
    return len(number) - 1 - _last_of_each(number[::-1])


def _last_of_each(number: np.ndarray) -> np.ndarray:
    """Return the last row of each number; the numbers are those from 0 on."""
    last = np.zeros(number.max(initial=-1) + 1, np.int64)
    last[number] = np.arange(len(number))  # of several, the last one stays
    return last


def _different(number: np.ndarray, seen: pa.Table, columns: list[str]) -> np.ndarray:
    """Return how many different values that are not null each number has."""
    pairs = pd.DataFrame({"number": number, **{column: _ticks(seen.column(column)) for column in columns}})
    there = pairs.dropna().drop_duplicates()["number"]
    return np.bincount(there, minlength=number.max(initial=-1) + 1)


def _ticks(moments: pa.ChunkedArray) -> pd.Series:
    """Return moments as whole microseconds."""
    return to_pandas(pa.table({"": moments.cast(pa.int64())}))[""]


def trend(root: str | os.PathLike[str], by: str | Iterable[str], table: str = "images") -> pd.DataFrame:
    """Count the rows of a table by any column, snapshot after snapshot, with gaps where the count would be too low.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    by : str or list of str
        The column or columns of `table` to count by; null is a value like any other.
    table : {"images", "applications", "errors"}
        Of which table.

    Returns
    -------
    pandas.DataFrame
        A row per snapshot and value ever seen: ``snapshot``, the columns of `by`, ``count`` and ``complete``. A snapshot is
        complete when each target that was ever read whole was read whole in it, and was asked what it was asked last;
        elsewhere the count is null. If `by` has ``account`` or ``region``, only the targets of that account or region
        matter to a row, so a target that was added later leaves the others without gaps. A target that was never read
        whole is not waited for.

    Raises
    ------
    RequestError
        When there is no such table or column.
    SnapshotCorruptError
        When a file is missing or is not what was written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for week in ("2026-10-05", "2026-10-12"):
    ...         with asf.sandbox(at=week) as sandbox:
    ...             _ = asf.write_snapshot(asf.drain(sandbox.client()).relabel(week), root)
    ...     counts = trend(root, by="visibility")
    >>> counts.loc[counts["visibility"] == "PUBLIC", "count"].to_list()
    [44, 35]
    """
    identity.checked_table(table)
    columns = _counted_by(by)
    span = Span.of(root)
    seen = span.sightings(table, columns)
    number, _ = pd.factorize(identity.numbers(seen.select(columns)))
    values = seen.select(columns).take(pa.array(_first_of_each(number)))
    moments = pa.array(span.moments, UTC_US)
    when = np.searchsorted(_ticks(pa.chunked_array([moments])), _ticks(seen.column("snapshot")))
    counts = np.bincount(when * len(values) + number, minlength=len(moments) * len(values))
    whole, order = _whole(values, span).ravel(), _ranked(values)
    places = (np.arange(len(moments))[:, None] * len(values) + order).ravel()
    made = {
        "snapshot": moments.take(pa.array(places // max(len(values), 1))),
        **{name: values.column(name).take(pa.array(np.tile(order, len(moments)))) for name in columns},
        "count": pa.array(counts[places], mask=~whole[places]),
        "complete": pa.array(whole[places]),
    }
    return to_pandas(pa.table(made))


def _whole(values: pa.Table, span: Span) -> np.ndarray:
    """Return for each moment and each value whether every target was read whole that could have a row of this value."""
    scope = [place for place, name in enumerate(("account", "region")) if name in values.schema.names]
    found: dict[tuple[str | None, ...], np.ndarray] = {}
    for target, whole in span.complete().items():
        key = tuple(target[place] for place in scope)
        found[key] = whole & found.get(key, True)
    keys = (
        zip(*(values.column(("account", "region")[place]).to_pylist() for place in scope), strict=True)
        if scope
        else [()] * len(values)
    )
    never = np.zeros(len(span.moments), bool)
    return np.array([found.get(key, never) for key in keys], bool).reshape(len(values), len(never)).T


def _counted_by(by: str | Iterable[str]) -> list[str]:
    columns = identity.listed("by", by)
    if columns and "snapshot" not in columns:
        return columns
    raise RequestError(
        f"by={printable(repr(by))}: name at least one column, other than snapshot, which is there anyway."
    )


def _ranked(values: pa.Table) -> np.ndarray:
    flat = {
        name: identity.texts(c) if pa.types.is_nested(c.type) else c
        for name, c in zip(values.schema.names, values.columns, strict=True)
    }
    keys = [(name, "ascending") for name in flat]
    return np.asarray(pc.sort_indices(pa.table(flat), sort_keys=keys)).astype(np.int64)
