"""What was added, removed and changed between two snapshots.

Only targets that both sides read whole, with the same request, are compared: a denied account is never a thousand removed images.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.archive.redaction import Redaction
from appstream_frames.errors import RequestError
from appstream_frames.history.identity import (
    TARGET,
    find_resource_table,
    identify,
    label_columns,
    select_reads,
    to_json,
    to_text,
    to_values,
)
from appstream_frames.insights import base_names
from appstream_frames.insights.rows import find_foreign, get_table
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.frames import Frames, check_frames
from appstream_frames.tables.schema import Table
from appstream_frames.text import printable

ARNS: Final = ("arn", "image_arn")
_DIFFERENCE: Final = ["change", "column", "before", "after"]
_NOT_FACTS: Final = {"snapshot", *TARGET, "icon_url"}  # where a row was seen, and a URL that AWS signs again each time
_NONE: Final = pd.Series(dtype=object)
_NAMED: Final = 5  # targets in a warning


def diff(before: Frames, after: Frames, table: str = "images") -> pd.DataFrame:
    """Return what was added, removed and changed from one snapshot to another.

    Only targets that are ``complete`` in both, with the same request apart from its page size, are compared; a warning names
    the others. An image is identified by its ARN (its name, if AWS sent none), an application by its image and its name, an
    error by its image, code and message. An image that was deleted and rebuilt under its ARN has a new ``created_time``: it
    counts as one removed and one added. A new ``snapshot``, ``icon_url`` or ``position`` is not a change, nor is a column that
    only one side has or that either side redacted. A fleet's image is the one that new instances get; running instances keep
    the image they started with.

    Parameters
    ----------
    before, after : Frames
        Two snapshots, as `drain` or `read_snapshot` returned them.
    table : str
        The table to compare: any that an operation fills, see `columns`.

    Returns
    -------
    pandas.DataFrame
        A row per image (application, error) that was ``added`` or ``removed``, and one per column that was ``changed``:
        ``account``, ``region``; ``arn`` and ``name``, or for a child table ``image_arn``, ``image_name``, ``position`` and
        ``name`` or ``error_code``; ``change``; ``column``; ``before``, ``after``. The columns that name the row come from
        `before`, unless it was added. The two values of a changed column are text: times in ISO format, ``true``, lists and
        maps as JSON; null stays null. An added row's ``after``, and a removed row's ``before``, is a JSON object of its other
        columns that are not null. Ordered by account, region, image, change and column.

    Raises
    ------
    RequestError
        When one side is not Frames, or there is no such table.

    Warns
    -----
    UserWarning
        When targets are left out, with the reasons, or one side did not read the table.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> def taken(week):
    ...     with asf.sandbox(at=week) as sandbox:
    ...         return asf.drain(sandbox.client(), type="PRIVATE").relabel(week)
    >>> changes = diff(taken("2026-09-21"), taken("2026-09-28"))
    >>> changes.loc[changes["name"] == "quality-lims-2024", ["column", "before", "after"]].head(1).to_dict("records")
    [{'column': 'appstream_agent_version', 'before': '10-31-2024', 'after': 'LATEST'}]
    """
    rows, notes = list_changes(before, after, table)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return rows


def list_changes(before: Frames, after: Frames, table: str = "images") -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of `diff`, and the texts of its warnings."""
    kind = find_resource_table(table)
    sides = {name: check_frames(side, name) for name, side in (("before", before), ("after", after))}
    for name, side in sides.items():
        if "coverage" not in side.tables:
            raise RequestError(
                f"{name} holds no coverage; pass Frames as drain or read_snapshot gave them, coverage included."
            )
    targets, notes = _find_comparable_targets(sides, kind)
    coverages = [side.coverage for side in sides.values()]
    redacted = {name for coverage in coverages for names in coverage.get("redacted", _NONE).dropna() for name in names}
    left, right = (_select_rows(side, kind, targets, redacted) for side in sides.values())
    return to_pandas(_list_differences(left, right, kind)), notes


def _find_comparable_targets(sides: Mapping[str, Frames], table: Table) -> tuple[list[str], list[str]]:
    """Return the targets, as ``account/region``, that both sides read whole with the same request, and a note on the others."""
    if missing := [name for name, side in sides.items() if table.name not in side.tables]:
        note = (
            f"{table.name} was not read in {' and '.join(missing)}, so no change of it is listed. "
            f"Drain with include={table.name!r}."
        )
        return [], [note]
    selected = [select_reads(side.coverage, table.operation) for side in sides.values()]
    reads = [side.set_index(_name_targets(side)).to_dict("index") for side in selected]
    every = sorted({*reads[0], *reads[1]})
    reasons = {target: _explain_exclusion(reads[0].get(target), reads[1].get(target)) for target in every}
    excluded = [f"{printable(target, 60)} ({why})" for target, why in reasons.items() if why]
    more = f", and {len(excluded) - _NAMED} more" if len(excluded) > _NAMED else ""
    note = (
        f"{len(excluded)} of {len(every)} targets are not compared, so no change of theirs is listed: "
        f"{', '.join(excluded[:_NAMED])}{more}. Compare snapshots in which they are complete and were asked the same."
    )
    return [target for target, why in reasons.items() if not why], [note] if excluded else []


def _name_targets(rows: pd.DataFrame) -> pd.Series:
    return rows["account"].fillna("?") + "/" + rows["region"]


def _explain_exclusion(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> str:
    """Return why a target is not compared; empty if it is."""
    for side, read in (("before", before), ("after", after)):
        if read is None:
            return f"not in {side}"
        if read["status"] != "complete":
            return f"{printable(read['status'], 30)} in {side}"
    requests = [read["request"] for read in (before, after) if read]
    if requests[0] == requests[1]:
        return ""
    return "asked {} before and {} after".format(*(printable(request, 60) for request in requests))


def _select_rows(frames: Frames, table: Table, targets: list[str], redacted: set[str]) -> pd.DataFrame:
    """Return the rows of some targets, without the redacted columns."""
    rows = get_table(frames, table.name)
    if redacted:
        kept = Redaction(tuple(redacted)).apply(to_arrow(rows, table.name), table.name)  # in `unmodeled` too
        rows = to_pandas(kept.drop_columns([name for name in kept.schema.names if name in redacted]))
    return rows[_name_targets(rows).isin(targets)].reset_index(drop=True)


def _list_differences(left: pd.DataFrame, right: pd.DataFrame, table: Table) -> pa.Table:
    pairs = _match_rows(left, right, table)
    removed = to_arrow(left[~left.index.isin(pairs["left"])], table.name)
    added = to_arrow(right[~right.index.isin(pairs["right"])], table.name)
    pieces = [
        _label_rows(removed, table, change="removed", before=_to_objects(removed, table)),
        _label_rows(added, table, change="added", after=_to_objects(added, table)),
        *_list_changes(left, right, pairs, table),
    ]
    order = [(column, "ascending") for column in (*label_columns(table), "change", "column")]
    return pa.concat_tables(pieces).sort_by(order)


def _match_rows(left: pd.DataFrame, right: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the positions, ``left`` and ``right``, of rows that are the same resource, not one rebuilt under its name."""
    keys = pd.concat([identify(left, table), identify(right, table)], ignore_index=True)
    number = keys.groupby(list(keys.columns), dropna=False, sort=False).ngroup().to_numpy()
    sides = [pd.DataFrame({"number": each}) for each in np.split(number, [len(left)])]
    if any(side["number"].duplicated().any() for side in sides):
        sides = [
            side.assign(turn=_count_repeats(rows, side["number"]))
            for side, rows in zip(sides, (left, right), strict=True)
        ]
    before, after = (side.reset_index(names=name) for side, name in zip(sides, ("left", "right"), strict=True))
    pairs = before.merge(after, on=list(sides[0].columns))[["left", "right"]]
    if table.parent or "created_time" not in left.columns or "created_time" not in right.columns:
        return pairs
    old, new = (
        side["created_time"].take(pairs[name]).reset_index(drop=True)
        for side, name in ((left, "left"), (right, "right"))
    )
    return pairs[(old == new) | old.isna() | new.isna()]


def _count_repeats(rows: pd.DataFrame, number: pd.Series) -> pd.Series:
    """Return how many rows of the same number precede each by position, or else by value, so that row order is ignored."""
    repeated = rows[number.duplicated(keep=False)]
    ranks = [name for name in ("position", "created_time") if name in repeated.columns]
    flat = {name for name, kind in repeated.dtypes.items() if kind != "object" and not isinstance(kind, pd.ArrowDtype)}
    ranks += [name for name in repeated.columns if name in flat.difference(ranks)]
    turns = repeated.sort_values(ranks).groupby(number).cumcount()
    return turns.reindex(rows.index, fill_value=0)


def _label_rows(rows: pa.Table, table: Table, **values: object) -> pa.Table:
    """Return the rows of a diff for rows of a table."""
    labels = {name: rows.column(name) if name in rows.schema.names else None for name in label_columns(table)}
    columns = {**labels, "change": None, "column": None, "before": None, "after": None, **values}
    types = {name: pa.int64() if name == "position" else pa.string() for name in columns}
    filled = [
        pa.repeat(pa.scalar(value, types[name]), rows.num_rows) if value is None or isinstance(value, str) else value
        for name, value in columns.items()
    ]
    return pa.table(filled, schema=pa.schema(types.items()))


def _to_objects(rows: pa.Table, table: Table) -> pa.Array:
    """Return a JSON object per row, of the values that are not null and not in the label columns."""
    names = [name for name in rows.schema.names if name not in {*_NOT_FACTS, *label_columns(table)}]
    values = zip(*(to_values(rows.column(name)) for name in names), strict=True)
    objects = ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in values)
    return pa.array([to_json(value) for value in objects], pa.string())


def _list_changes(left: pd.DataFrame, right: pd.DataFrame, pairs: pd.DataFrame, table: Table) -> Iterator[pa.Table]:
    """Yield, column by column, the rows of a diff for pairs of rows that describe the same resource."""
    known_by = {*_NOT_FACTS, "position", table.resource[0], *table.identity}
    compared = [name for name in left.columns if name in right.columns and name not in known_by]
    different = pd.DataFrame(
        {name: _differ(_pick(left[name], pairs["left"]), _pick(right[name], pairs["right"])) for name in compared},
        index=range(len(pairs)),
    )
    different = different[different.any(axis=1)]
    changed = pairs.iloc[different.index]
    old, new = to_arrow(left.take(changed["left"]), table.name), to_arrow(right.take(changed["right"]), table.name)
    for name in compared:
        chosen = pa.array(different[name])
        values = {"before": to_text(old.column(name).filter(chosen)), "after": to_text(new.column(name).filter(chosen))}
        rows = _label_rows(old.filter(chosen), table, change="changed", column=name, **values)
        # lists and tuples of the same elements, and maps of the same pairs, differ only until they are text
        yield rows.filter(pc.fill_null(pc.not_equal(rows.column("before"), rows.column("after")), True))


def _pick(column: pd.Series, positions: pd.Series) -> pd.Series:
    """Return some rows of a column with a new index; by a mask, which is faster, if the positions are in order."""
    if not positions.is_monotonic_increasing:
        return column.take(positions).reset_index(drop=True)
    mask = np.zeros(len(column), bool)
    mask[positions] = True
    return pd.Series(column.array[mask])


def _differ(before: pd.Series, after: pd.Series) -> pd.Series:
    """Return where two columns differ; null equals null."""
    if before.dtype != after.dtype or isinstance(before.dtype, pd.ArrowDtype):
        before, after = (pd.Series(to_text(pa.chunked_array([pa.array(side)])).to_pylist()) for side in (before, after))
    return before.ne(after).fillna(True).astype(bool) & ~(before.isna() & after.isna())


def is_public(changes: pd.DataFrame) -> pd.Series:
    """Return which changes concern AWS's own images, as bool."""
    found = pd.Series(False, changes.index)
    for name in {*ARNS} & {*changes}:
        found |= changes[name].map(base_names.is_public, na_action="ignore").eq(True)
    return found.astype(bool)


def merge_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """Merge the rows of a diff: a resource that was removed and added under its name becomes one row, ``rebuilt``.

    What several accounts see becomes one row too, the owner's if there is one. Values are kept only where a column changed.

    Examples
    --------
    >>> cad = {"account": "1", "region": "eu-west-1", "arn": "arn:aws:…:1:image/cad", "name": "cad"}
    >>> changes = pd.DataFrame([cad | {"change": "added"}, cad | {"change": "removed"}])
    >>> merge_changes(changes.assign(column=None, before=None, after=None))["change"].to_list()
    ['rebuilt']
    """
    kind, same = changes["change"], [changes[name] for name in changes if name not in _DIFFERENCE]
    added, removed = (kind.eq(one).groupby(same, dropna=False).transform("any") for one in ("added", "removed"))
    changed = kind == "changed"
    merged = changes.assign(change=kind.mask(added & removed & ~changed, "rebuilt"))
    merged = merged.assign(before=merged["before"].where(changed), after=merged["after"].where(changed))
    arn = next((merged[name] for name in ARNS if name in merged), pd.Series(None, merged.index, dtype=object))
    ordered = merged.iloc[np.argsort(find_foreign(merged["account"], arn), kind="stable")]  # the owner's rows first
    repeated = ordered.duplicated() | (ordered.drop(columns="account").duplicated() & arn.notna()[ordered.index])
    return merged[~repeated[merged.index]]
