"""What was added, removed and changed between two snapshots.

Only what was read whole on both sides, and asked the same way, is compared: a refused account is never a thousand removed
images. Rows are matched as whole numbers, columns are compared in Arrow, and Python sees only what differs. No I/O, no AWS.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.errors import RequestError
from appstream_frames.history import identity
from appstream_frames.tables.frames import Frames, empty, to_arrow, to_pandas
from appstream_frames.text import printable

#: Rows of two tables that are the same thing.
Pairs = tuple[np.ndarray, np.ndarray]

_LABELS: Final = {"snapshot", "account", "region", "icon_url"}  # where a row was seen, and a URL that is no fact of it
_NAMED: Final = 5  # targets in a warning
_FEW: Final = 32  # rows that are looked at one by one
_LONG: Final = 64  # rows from which a slice costs less than copying them


def diff(before: Frames, after: Frames, table: str = "images") -> pd.DataFrame:
    """Tell what was added, removed and changed from one snapshot to another.

    Targets are compared that are ``complete`` in both and were asked the same, whatever the page size; a warning names
    the others. An image is known by its ARN (its name, if AWS sent none), an application by its image and its name, an
    error by its image, code and message. An image that was deleted and built again under its ARN, which its
    ``created_time`` tells, is one removed and one added. A new ``snapshot``, ``icon_url`` or ``position`` is no change,
    and neither is a column that only one side has.

    Parameters
    ----------
    before, after : Frames
        Two snapshots, as `drain` or `read_snapshot` gave them.
    table : {"images", "applications", "errors"}
        What to compare.

    Returns
    -------
    pandas.DataFrame
        A row per image (application, error) that was ``added`` or ``removed``, and one per column that was ``changed``:
        ``account``, ``region``; ``arn`` and ``name``, or of a child table ``image_arn``, ``image_name``, ``position`` and
        ``name`` or ``error_code``; ``change``; ``column``; ``before``, ``after``. What names the row is taken from
        `before`, unless it was added. The two values of a changed column are text: times in ISO format, ``true``, lists and
        maps as JSON, null for none. An added row's ``after``, and a removed row's ``before``, is a JSON object of its other
        columns that are not null. Ordered by account, region, image, change and column.

    Raises
    ------
    RequestError
        When one side is no Frames, or there is no such table.

    Warns
    -----
    UserWarning
        When targets are left out; it says which, and why.

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
    identity.checked_table(table)
    tables = [_checked(frames, side).tables for frames, side in ((before, "before"), (after, "after"))]
    same = _comparable(before.coverage, after.coverage)
    left, right = (identity.of_targets(_rows(frames, table), same) for frames in tables)
    if table not in tables[0] or table not in tables[1]:
        left, right = left.slice(0, 0), right.slice(0, 0)
    return to_pandas(_differences(left, right, table))


def _checked(frames: object, side: str) -> Frames:
    if isinstance(frames, Frames) and "coverage" in frames.tables:
        return frames
    raise RequestError(
        f"{side} is {printable(type(frames).__name__)}; pass Frames, as drain or read_snapshot gave them, coverage included."
    )


def _rows(tables: Mapping[str, pd.DataFrame], table: str) -> pa.Table:
    return to_arrow(tables[table] if table in tables else empty(table), table)


def _comparable(before: pd.DataFrame, after: pd.DataFrame) -> set[identity.Target]:
    sides = [identity.targets(_rows({"coverage": frame}, "coverage").to_pylist()) for frame in (before, after)]
    every = sorted({*sides[0], *sides[1]}, key=str)
    reasons = {where: _reason(sides[0].get(where), sides[1].get(where)) for where in every}
    left_out = [f"{printable(f'{a}/{r}', 60)} ({why})" for (a, r), why in reasons.items() if why]
    if left_out:
        more = f", and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        warnings.warn(
            f"{len(left_out)} of {len(every)} targets are not compared, so no change of theirs is listed: "
            f"{', '.join(left_out[:_NAMED])}{more}. Compare snapshots in which they are complete and were asked the same.",
            UserWarning,
            stacklevel=3,
        )
    return {where for where, why in reasons.items() if not why}


def _reason(before: identity.Asked | None, after: identity.Asked | None) -> str:
    for side, asked in (("before", before), ("after", after)):
        if asked is None:
            return f"not in {side}"
        if asked[1] != "complete":
            return f"{printable(asked[1], 30)} in {side}"
    questions = [asked[0] for asked in (before, after) if asked]
    if questions[0] == questions[1]:
        return ""
    return "asked {} before and {} after".format(*(printable(question, 60) for question in questions))


def _differences(left: pa.Table, right: pa.Table, name: str) -> pa.Table:
    both = [column for column in left.schema.names if column in right.schema.names]
    pairs = _pairs(left.select(both), right.select(both), name)
    if name == "images" and "created_time" in both:
        pairs = _not_rebuilt(left, right, pairs)
    gone, new = (_others(side, rows) for side, rows in zip((left, right), pairs, strict=True))
    pieces = [
        _listed(left, gone, name, change="removed", before=_objects(_only(left, gone), name)),
        _listed(right, new, name, change="added", after=_objects(_only(right, new), name)),
    ]
    by_key = {
        *_LABELS,
        *identity.within(name),
        identity.image_key(name)[0],
        *(["position"] if identity.within(name) != ("position",) else []),
    }
    pieces += [_changed(left, right, pairs, column, name) for column in both if column not in by_key]
    return pa.concat_tables(pieces).sort_by([(key, "ascending") for key in (*identity.shown(name), "change", "column")])


def _pairs(left: pa.Table, right: pa.Table, name: str) -> Pairs:
    """Return the rows, left and right, that are the same thing; of several that look the same, in their order."""
    number, cut = (
        identity.numbers(pa.concat_tables([identity.identity(side, name) for side in (left, right)])),
        left.num_rows,
    )
    if _repeats(number[:cut]) or _repeats(number[cut:]):
        number = pd.factorize(number)[0]
        turn = np.concatenate([_turns(number[:cut], left, name), _turns(number[cut:], right, name)])
        number = number * (turn.max() + 1) + turn
    return _met(number[:cut], number[cut:])


def _repeats(number: np.ndarray) -> bool:
    ranked = np.sort(number, kind="stable")  # the rows of an image stand together: nearly sorted already
    return bool((ranked[1:] == ranked[:-1]).any())


def _turns(number: np.ndarray, table: pa.Table, name: str) -> np.ndarray:
    """Return how many rows with the same number come before each."""
    key = "created_time" if name == "images" else "position"
    moved = table.column(key).cast(pa.int64()).fill_null(-1) if key in table.schema.names else number
    order = np.lexsort((np.asarray(moved), number))
    ranked, at = number[order], np.arange(len(number))
    first = np.r_[True, ranked[1:] != ranked[:-1]][: len(at)]
    turn = np.empty_like(at)
    turn[order] = at - np.maximum.accumulate(np.where(first, at, 0))
    return turn


def _met(left: np.ndarray, right: np.ndarray) -> Pairs:
    if not len(right):
        return right, right
    order = np.argsort(right, kind="stable")
    ranked = right[order]
    place = np.minimum(np.searchsorted(ranked, left), len(right) - 1)
    found = ranked[place] == left
    return np.flatnonzero(found), order[place[found]]


def _not_rebuilt(left: pa.Table, right: pa.Table, pairs: Pairs) -> Pairs:
    made = [_at(side.column("created_time"), rows) for side, rows in zip((left, right), pairs, strict=True)]
    same = np.asarray(pc.fill_null(pc.equal(*made), True), bool)
    return pairs[0][same], pairs[1][same]


def _others(table: pa.Table, rows: np.ndarray) -> np.ndarray:
    there = np.ones(table.num_rows, bool)
    there[rows] = False
    return np.flatnonzero(there)


def _at(column: pa.ChunkedArray, rows: np.ndarray) -> pa.ChunkedArray:
    """Return some rows of a column: as slices without a copy, if long stretches of them stand together."""
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    if len(starts) * _LONG > len(rows):
        return column.take(pa.array(rows))
    sizes = np.diff(starts, append=len(rows))
    found = map(column.slice, rows[starts].tolist(), sizes.tolist())
    # never without a chunk: of none at all the oldest pyarrow we take can compute nothing
    chunks = [chunk for piece in found for chunk in piece.chunks] or [pa.array([], column.type)]
    return pa.chunked_array(chunks, column.type)


def _only(content: Any, rows: np.ndarray) -> Any:
    """Return some rows, in ascending order, of a table or a column; unlike `take`, a filter does not join the chunks first."""
    keep = np.zeros(len(content), bool)
    keep[rows] = True
    return content if keep.all() else content.filter(pa.array(keep))


def _listed(table: pa.Table, rows: np.ndarray, name: str, **more: Any) -> pa.Table:
    """Return the rows of a diff for some rows of a table."""
    taken = _only(table.select([key for key in identity.shown(name) if key in table.schema.names]), rows)
    made = {key: taken.column(key) if key in taken.schema.names else None for key in identity.shown(name)}
    made |= {"change": None, "column": None, "before": None, "after": None} | more
    types = {key: pa.int64() if key == "position" else pa.string() for key in made}
    return pa.table([_filled(made[key], types[key], len(rows)) for key in made], schema=pa.schema(types.items()))


def _filled(value: Any, kind: pa.DataType, many: int) -> Any:
    return pa.repeat(pa.scalar(value, kind), many) if value is None or isinstance(value, str) else value


def _changed(left: pa.Table, right: pa.Table, pairs: Pairs, column: str, name: str) -> pa.Table:
    before, after = (_at(side.column(column), rows) for side, rows in zip((left, right), pairs, strict=True))
    rows = _unequal(before, after)
    before, after = (identity.texts(_only(side, rows)) for side in (before, after))
    return _listed(left, pairs[0][rows], name, change="changed", column=column, before=before, after=after)


def _unequal(before: pa.ChunkedArray, after: pa.ChunkedArray) -> np.ndarray:
    """Return where two columns differ."""
    if before.type != after.type:
        before, after = identity.texts(before), identity.texts(after)
    if pa.types.is_nested(before.type):
        return np.fromiter(_searched(before, after, 0), np.int64)
    one_null = pc.xor(before.is_null(), after.is_null())
    # not indices_nonzero: of no rows at all it crashes the oldest pyarrow we take
    return np.flatnonzero(pc.coalesce(pc.not_equal(before, after), one_null).to_numpy())


def _searched(before: pa.ChunkedArray, after: pa.ChunkedArray, start: int) -> Iterator[int]:
    """Yield where lists or maps differ: Arrow tells whether halves are equal, Python only looks at those that are not."""
    if before.equals(after):
        return
    if len(before) > _FEW:
        half = len(before) // 2
        yield from _searched(before[:half], after[:half], start)
        yield from _searched(before[half:], after[half:], start + half)
        return
    sides = zip(identity.texts(before).to_pylist(), identity.texts(after).to_pylist(), strict=True)
    yield from (start + place for place, (one, other) in enumerate(sides) if one != other)


def _objects(table: pa.Table, name: str) -> pa.Array:
    """Return a JSON object per row, of what is not null and not shown beside it."""
    names = [column for column in table.schema.names if column not in {*_LABELS, *identity.shown(name)}]
    rows = zip(*(identity.values(table.column(column)) for column in names), strict=True)
    found = ({column: value for column, value in zip(names, row, strict=True) if value is not None} for row in rows)
    return pa.array([identity.as_json(row) for row in found], pa.string())
