"""All snapshots of an archive: their rows in one DataFrame, when each resource appeared and disappeared, and counts over time.

A target that was not read whole, or was read with another request, does not show that anything is gone: `timeline` ignores it,
and `trend` shows a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.errors import RequestError
from appstream_frames.history.identity import (
    RESOURCE,
    TARGET,
    UNFILTERED,
    find_resource_table,
    label_columns,
    to_text,
)
from appstream_frames.history.scan import Moment, Root, SnapshotRange, select_targets
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.schema import UTC_US, Table, choose_columns, find_table
from appstream_frames.text import printable


def read_history(
    root: Root,
    table: str = "images",
    *,
    columns: Iterable[str] | None = None,
    since: Moment = None,
    until: Moment = None,
) -> pd.DataFrame:
    """Read one table of every snapshot, oldest first; only the chosen columns are read, and each is checked.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    table : str
        Any table that an operation fills, or ``coverage``.
    columns : iterable of str, optional
        Its columns to read in addition to ``snapshot``, ``account`` and ``region``, which always come first; default: all.
    since, until : str, datetime.date or datetime.datetime, optional
        The first and the last moment, both included. Without a time zone it is UTC; a date as `until` includes its whole day.

    Returns
    -------
    pandas.DataFrame
        The rows of `table` in all these snapshots, with the types that `columns` lists. A column that a snapshot does not
        hold is null there; one that only a newer boto3 knew is included. Empty when no snapshot is in the range.

    Raises
    ------
    RequestError
        When there is no such table or column, or `since` or `until` is not a moment; before any table is read.
    SnapshotNotFoundError, SnapshotCorruptError
        When there is no snapshot under the root, or a file is missing or is not what was written; the message names the file.

    Warns
    -----
    UserWarning
        When no snapshot read the table, so that nothing is known about it.

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
    kind = find_table(table)
    snapshots = SnapshotRange.open(root, since, until, table=kind)
    return to_pandas(snapshots.read_rows(kind, columns))


def timeline(root: Root, table: str = "images") -> pd.DataFrame:
    """Return when each resource was first and last seen, and by when it was gone.

    Parameters
    ----------
    root, table
        As in `read_history`; not ``coverage``.

    Returns
    -------
    pandas.DataFrame
        A row per resource: ``account``, ``region``; ``arn``, ``name``, or for a child table the columns that name a row of
        `diff`, without ``position``; ``first_seen`` and ``last_seen`` (moments, UTC); ``gone_by``, the moment of the first later
        snapshot that read its target whole, without a filter or with the one of the last sighting, and did not hold it (null
        while it exists or this is not known); ``generations``, the number of its ``created_time`` values, at least 1;
        ``snapshots``, the number of snapshots that hold it. Ordered by the columns that name the resource.

    Raises
    ------
    RequestError
        When there is no such table.
    SnapshotNotFoundError, SnapshotCorruptError
        As in `read_history`, and so is the warning.

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
    kind = find_resource_table(table)
    labels = list(dict.fromkeys([*label_columns(kind), *kind.identity]))
    labels = [name for name in labels if name != "position" or name in kind.identity]
    created = [name for name in ("created_time",) if name in kind.schema.names]
    snapshots = SnapshotRange.open(root, table=kind)
    reads = snapshots.find_reads(kind)
    seen = snapshots.read_rows(kind, [*labels, *created], reads)
    named = pc.coalesce(*seen.select(kind.resource).columns)
    keys = [*TARGET, RESOURCE, *kind.identity]
    last = [(name, "last", pc.ScalarAggregateOptions(skip_nulls=False)) for name in labels if name not in keys]
    spans = [("snapshot", how) for how in ("min", "max", "count_distinct")]
    grouped = seen.append_column(RESOURCE, named).group_by(keys, use_threads=False)
    found = to_pandas(grouped.aggregate([*spans, *((name, "count_distinct") for name in created), *last]))
    renamed = {"snapshot_min": "first_seen", "snapshot_max": "last_seen", "snapshot_count_distinct": "snapshots"}
    found = found.rename(columns=renamed | {f"{name}_last": name for name, *_ in last})
    generations = found["created_time_count_distinct"].clip(lower=1) if created else 1
    generations = pd.Series(generations, found.index, dtype="Int64")
    found = found.assign(gone_by=_find_gone(reads, found), generations=generations)
    columns = [*labels, "first_seen", "last_seen", "gone_by", "generations", "snapshots"]
    return found[columns].sort_values(labels, ignore_index=True)


def trend(
    root: Root, by: str | Iterable[str], table: str = "images", *, over: Literal["all", "complete"] = "all"
) -> pd.DataFrame:
    """Count the rows of a table by any column in each snapshot, with gaps where the count would be too low.

    Parameters
    ----------
    root, table
        As in `read_history`; not ``coverage``.
    by : str or list of str
        The column or columns of `table` to count by; null is a value like any other.
    over : {"all", "complete"}
        Which targets count: ``all`` that were ever read whole, or only those that were read whole in every snapshot (complete
        cases), so that a target that failed once leaves no gap.

    Returns
    -------
    pandas.DataFrame
        A row per snapshot and value ever seen: ``snapshot``, the columns of `by`, ``count`` and ``complete``. A snapshot is
        complete when it read whole each target that was ever read whole, with the same request as that target's last complete
        read; otherwise the count is null. If `by` has ``account`` or ``region``, only the targets of that account or region
        affect a row, so a target that was added later makes no gaps for the others. A target that was never read whole is
        ignored. A snapshot that lacks a column of `by`, because boto3 did not know it yet or it was redacted, is a gap.

    Raises
    ------
    RequestError
        When there is no such table or column, or `over` is something else.
    SnapshotNotFoundError, SnapshotCorruptError
        As in `read_history`, and so is the warning.

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
    [59, 50]
    """
    kind, columns = find_resource_table(table), choose_columns("by", by)
    if not columns or "snapshot" in columns:
        raise RequestError(
            f"by={printable(repr(by))}: name at least one column, other than snapshot, which is there anyway."
        )
    if over not in ("all", "complete"):
        raise RequestError(
            f"over={printable(repr(over))}: pass 'all', or 'complete' for targets read whole throughout."
        )
    return count_values(SnapshotRange.open(root, table=kind), kind, columns, over)


def count_values(
    snapshots: SnapshotRange,
    kind: Table,
    columns: list[str],
    over: str = "all",
    keep: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    needed: Sequence[str] = (),
) -> pd.DataFrame:
    """Return what `trend` returns; with `keep`, only of the rows that it returns of those it gets, with the columns it needs."""
    reads = snapshots.find_reads(kind)
    seen = snapshots.read_rows(kind, [*columns, *needed], reads)
    seen = seen.take(pa.array(keep(to_pandas(seen)).index)) if keep else seen
    complete, lacking = _find_complete(reads, snapshots.moments), snapshots.find_lacking(kind, columns)
    seen = seen.filter(pc.invert(pc.is_in(seen.column("snapshot"), pa.array(lacking, UTC_US))))
    if over == "complete":
        complete = complete.loc[:, complete.drop(index=lacking).all()]
        seen = select_targets(seen, [f"{account}/{region}" for account, region in complete.columns])
    complete.loc[lacking] = False
    number = _number_values(seen, columns)
    values = to_pandas(seen.select(columns).take(pa.array(number.drop_duplicates().sort_values().index)))
    counts = number.groupby([to_pandas(seen.select(["snapshot"]))["snapshot"], number]).size().unstack(fill_value=0)
    counts = counts.reindex(index=complete.index, columns=values.index, fill_value=0)
    whole = _spread(complete, values).to_numpy(bool).ravel()
    made = complete.index.to_frame(index=False).merge(values, how="cross")
    count = pd.Series(counts.to_numpy().ravel(), dtype="Int64").where(whole)
    return made.assign(count=count, complete=pd.Series(whole, dtype="boolean"))


def _number_values(seen: pa.Table, columns: list[str]) -> pd.Series:
    """Return a number per row, equal for equal values and in the order of the values; null is last."""
    values = {name: seen.column(name) for name in columns}
    plain = {name: to_text(value) if pa.types.is_nested(value.type) else value for name, value in values.items()}
    return to_pandas(pa.table(plain)).groupby(columns, dropna=False).ngroup()


def _spread(complete: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Return for each moment and value whether every target that could have a row with this value was read whole."""
    scope = [name for name in TARGET if name in values.columns]
    if not scope:
        whole = complete.all(axis=1) & bool(complete.shape[1])
        return pd.DataFrame(dict.fromkeys(values.index, whole))
    by_scope = complete.T.groupby(level=scope).all().T
    wanted = pd.MultiIndex.from_frame(values[scope]) if len(scope) > 1 else pd.Index(values[scope[0]])
    return by_scope.reindex(columns=wanted, fill_value=False)


def _find_gone(reads: pd.DataFrame, last_seen: pd.DataFrame) -> pd.Series:
    """Return for each row of `last_seen` the moment by which it was gone, or null.

    That is the moment of the next of `reads`, from `SnapshotRange.find_reads`, that read its target whole, without a filter or
    with the one of the last sighting.
    """
    keys = [*TARGET, "last_seen"]
    if last_seen.empty:  # merge_asof cannot join empty columns of text
        return last_seen["last_seen"]
    seen = last_seen[keys].drop_duplicates().merge(reads.rename(columns={"snapshot": "last_seen"}), on=keys)
    seen = seen[[*keys, "request"]].sort_values("last_seen")
    whole = reads[reads["status"] == "complete"]
    whole = whole.assign(gone_by=whole["snapshot"])  # not `reads["snapshot"]`, which would add rows to an empty frame
    later = {"left_on": "last_seen", "right_on": "snapshot", "direction": "forward", "allow_exact_matches": False}
    unfiltered = whole.loc[whole["request"] == UNFILTERED, [*TARGET, "snapshot", "gone_by"]]
    found = [
        pd.merge_asof(seen, unfiltered, by=TARGET, **later)["gone_by"],
        pd.merge_asof(seen, whole, by=[*TARGET, "request"], **later)["gone_by"],
    ]
    seen["gone_by"] = pd.concat(found, axis=1).min(axis=1).set_axis(seen.index)
    return last_seen[keys].merge(seen[[*keys, "gone_by"]], on=keys, how="left")["gone_by"]


def _find_complete(reads: pd.DataFrame, moments: pd.DatetimeIndex) -> pd.DataFrame:
    """Return at which moments each target was read whole, with the same request as its last complete read.

    A row per moment, a column per target that was ever read whole (account, region); bool.
    """
    whole = reads[reads["status"] == "complete"]
    last = whole.drop_duplicates(TARGET, keep="last")[[*TARGET, "request"]]
    same = whole.merge(last, on=[*TARGET, "request"]).assign(whole=True)
    return same.pivot(index="snapshot", columns=TARGET, values="whole").reindex(moments).notna()
