"""What was read and what was not: accounts down, regions across, each target's status shown by a shape and a colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import NOTHING, check, numbers
from appstream_frames.insights import days
from appstream_frames.tables.coverage import FIRST_OPERATION, number_targets

_SOURCE = "frames.coverage"
#: Status, in the order of the key, to marker and colour: no two share a shape.
_MARKS = {
    "complete": ("s", layout.FOLLOWS),
    "limited": ("^", layout.BEHIND),
    "cancelled": ("d", layout.BEHIND),
    "throttled": ("v", layout.BEHIND),
    "bad_credentials": ("D", layout.BEHIND),
    "no_endpoint": ("o", layout.RECENT),
    "region_disabled": ("_", layout.RECENT),
    "denied": ("X", layout.OLD),
    "failed": ("P", layout.OLD),
}
_STRANGE = ("*", "#CC79A7")
_ORDER = [*_MARKS]
_ROW, _LOW_ROW, _HIGH_ROW, _OWN_ROW = (
    13.0,
    11.0,
    18.0,
    20.0,
)  # points, as are all lengths: wide, narrow, at most, our own
_NARROWEST, _WIDEST, _HIGHEST, _MARK = 11.0, 150.0, 75.0, 5.5
_NAMES = 0.3  # of the width, for the accounts, at most
_NAMED = 3  # statuses in the title
_UNKNOWN = "?"

_Target = tuple[str, str]  # account, region


@dataclass(frozen=True)
class _Cell:
    """What is known of one account in one region."""

    status: str
    images: int
    operation: str = FIRST_OPERATION

    @property
    def words(self) -> str:
        """Status and number of images, as short as can be."""
        if self.status == "complete":
            return f"{self.images:,} image{'' if self.images == 1 else 's'}"
        words = self.status if self.operation == FIRST_OPERATION else f"{self.status} ({self.operation})"
        return words + (f" · {self.images:,}" if self.images else "")

    @property
    def number(self) -> str:
        """Only the number of images."""
        return f"{self.images:,}" if self.images or self.status == "complete" else ""


@dataclass(frozen=True)
class _Grid:
    """The grid in an Axes: its rows, from row `head` on, and its columns, from `left` on, in points."""

    ax: Axes
    accounts: list[str]
    regions: list[str]
    left: float
    column: float
    head: int
    size: float

    def x(self, column: int) -> float:
        """Return the place of a column's marks."""
        return self.left + column * self.column + min(self.column / 2, GAP)


def coverage(frame: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw which accounts were read in which regions: a mark for each target, its shape and colour the status.

    Accounts with a target that was not read whole come first, worst on top. Where there is room, a mark has the number of
    images beside it, or its status in words; a key counts the targets of each status. Accounts and regions that find no
    room are counted in words, those read whole first.

    Parameters
    ----------
    frame : DataFrame
        ``frames.coverage`` or some of its rows. An account that is null, because it was never known, is drawn as ``?``; of
        several operations of one target, and of several rows for one account and region, the worst status is drawn.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many accounts have a row of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `frame` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame({"account": "012345678901", "region": ["eu-west-1", "us-east-1"], "rows": [61, 0]})
    >>> coverage(frame.assign(status=["complete", "denied"]), Figure().subplots()).get_title()
    '1 of 2 targets was not read whole: 1 denied'
    """
    old = isinstance(frame, pd.DataFrame) and "rows" not in frame and "images" in frame  # before there were operations
    count = "images" if old else "rows"
    check(frame, ("account", "region", "status", count), _SOURCE, top)
    if not len(frame):
        return layout.draw_nothing(ax, NOTHING)
    targets = _by_target(frame, count)
    cells, counts = _cells(targets), Counter(targets["status"])
    space, title = layout.available(ax), _finding(counts, targets)
    size, row = (8.0, _ROW) if space.beside else (7.0, _LOW_ROW)
    row = _OWN_ROW if ax is None else row
    accounts, regions, key = _ranked(cells, 0), _ranked(cells, 1), _key_lines(counts, space.width, size)
    left = 1.5 * GAP + min(_NAMES * space.width, max(layout.measure(name, size) for name, _ in accounts))
    regions, other_regions = _split(regions, int((space.width - left) / _NARROWEST))
    column = min(_WIDEST, (space.width - left) / len(regions))
    longest = max(layout.measure(name, size) for name, _ in regions)
    head = 1 if longest + GAP <= column else ceil((min(longest, _HIGHEST) + GAP) / row)
    below = len(key) + 1 + bool(other_regions)
    whole_rows = int((space.height - layout.head(title, space)) / row)
    free = len(accounts) if ax is None else max(1, whole_rows - head - below)
    accounts, other_accounts = _split(accounts, min(top, free))
    rest = [*_rest(other_accounts, "account"), *_rest(other_regions, "region")]
    used = head + len(accounts) + len(rest) + len(key)
    stretched = 0 if ax is None else whole_rows if head > 1 else int(whole_rows * row / _HIGH_ROW)
    ax, space, _ = layout.ruled(ax, max(used, stretched), title, _note(frame))
    ax.set_xlim(0, space.width)
    grid = _Grid(ax, [name for name, _ in accounts], sorted(name for name, _ in regions), left, column, head, size)
    _names(grid, space, across=head > 1)
    _marks(grid, cells)
    for line, words in enumerate(rest, head + len(accounts)):
        layout.write(ax, line, layout.shorten(words, space.width, size), fontsize=size)
    _key(grid, key, used - len(key))
    return ax


def _texts(column: pd.Series, missing: str = _UNKNOWN) -> list[str]:
    return [missing if gone else layout.drawable(text, 24) for text, gone in zip(column, column.isna(), strict=True)]


def _by_target(frame: pd.DataFrame, count: str) -> pd.DataFrame:
    """Return a row per target: the worst status among its operations, the operation that has it, and its number of images."""
    table = pd.DataFrame({name: _texts(frame[name]) for name in ("account", "region", "status")})
    table["status"] = table["status"].replace("not_offered", "complete")  # nothing was there to be read
    operation = frame["operation"] if "operation" in frame else pd.Series(FIRST_OPERATION, frame.index)
    table["operation"] = _texts(operation.fillna(FIRST_OPERATION))
    images = numbers(frame[count]).fillna(0).clip(0, 2**53).astype(int)
    table["images"] = images.where(table["operation"] == FIRST_OPERATION, 0)
    table["target"] = number_targets(frame).to_numpy()
    worst = table.assign(badness=table["status"].map(_badness)).sort_values("badness", ascending=False, kind="stable")
    return worst.drop_duplicates("target").assign(images=worst["target"].map(table.groupby("target")["images"].sum()))


def _cells(targets: pd.DataFrame) -> dict[_Target, _Cell]:
    cells: dict[_Target, _Cell] = {}
    for row in targets.itertuples():
        known = cells.get((row.account, row.region), _Cell("complete", 0))
        status = max(known.status, row.status, key=_badness)
        operation = row.operation if status == row.status else known.operation
        cells[row.account, row.region] = _Cell(status, known.images + row.images, operation)
    return cells


def _badness(status: str) -> int:
    return _ORDER.index(status) if status in _MARKS else len(_ORDER)


def _ranked(cells: dict[_Target, _Cell], key: int) -> list[tuple[str, int]]:
    """Return accounts (key 0) or regions (1) with the number of targets not read whole; most first."""
    bad = dict.fromkeys(sorted({target[key] for target in cells}), 0)
    for target, cell in cells.items():
        bad[target[key]] += cell.status != "complete"
    return sorted(bad.items(), key=lambda one: -one[1])


def _split(ranked: list[tuple[str, int]], free: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    return ranked[:free], ranked[free:]


def _rest(ranked: list[tuple[str, int]], what: str) -> list[str]:
    """Return words for what does not fit."""
    bad = sum(count > 0 for _, count in ranked)
    if not ranked:
        return []
    if bad in (0, len(ranked)):
        return [f"+ {layout.others(len(ranked), what)} {'not ' if bad else ''}read whole"]
    return [f"+ {layout.others(bad, what)} not read whole, {len(ranked) - bad:,} read whole"]


def _finding(counts: Counter[str], targets: pd.DataFrame) -> str:
    total, ranked = counts.total(), [one for one in sorted(counts.items(), key=_most) if one[0] != "complete"]
    bad = sum(count for _, count in ranked)
    if not bad:
        return f"All {total:,} targets were read whole" if total > 1 else "The only target was read whole"
    named = [f"{count:,} {layout.drawable(status, 16)}{_only(status, targets)}" for status, count in ranked[:_NAMED]]
    more = sum(count for _, count in ranked[_NAMED:])
    words = ", ".join(named + ([f"{more:,} more"] if more else []))
    if total == 1:
        status = ranked[0][0]
        return f"The only target was not read whole: {layout.drawable(status, 16)}{_only(status, targets)}"
    return f"{bad:,} of {total:,} targets {'was' if bad == 1 else 'were'} not read whole: {words}"


def _only(status: str, targets: pd.DataFrame) -> str:
    """Return the operation, in brackets, that alone has a status; nothing for the images, of which every chart speaks."""
    operations = {*targets.loc[targets["status"] == status, "operation"]} - {FIRST_OPERATION}
    return f" ({operations.pop()})" if len(operations) == 1 else ""


def _most(one: tuple[str, int]) -> tuple[int, int, str]:
    return (-one[1], _badness(one[0]), one[0])


def _note(frame: pd.DataFrame) -> str:
    taken = [day for day in days.days(frame["snapshot"]) if day] if "snapshot" in frame else []
    when = " to ".join(dict.fromkeys(f"{day:%Y-%m-%d}" for day in (min(taken), max(taken)))) if taken else ""
    return "Numbers: images read" + (f" · {when} (UTC)" if when else "")


def _names(grid: _Grid, space: layout.AvailableSize, *, across: bool) -> None:
    """Write accounts at the left of rows, regions at the top of columns, and draw a thin line under each row."""
    high = grid.head * space.height / abs(np.subtract(*grid.ax.get_ylim())) - GAP / 2
    for column, region in enumerate(grid.regions):
        font: dict[str, Any] = {"fontsize": grid.size}
        if across:
            text = layout.shorten(region, high, grid.size)
            layout.put(grid.ax, grid.x(column), grid.head - 0.6, text, rotation=90, ha="center", va="bottom", **font)
        else:
            layout.put(grid.ax, grid.x(column) - _MARK / 2, grid.head - 1, region, va="center_baseline", **font)
    for row, account in enumerate(grid.accounts, grid.head):
        layout.write(grid.ax, row, layout.shorten(account, grid.left - GAP, grid.size), fontsize=grid.size)
        grid.ax.plot(
            [0, space.width], [row - 0.5] * 2, color=layout.RECENT, linewidth=0.4, alpha=layout.FAINT, zorder=0.5
        )


def _marks(grid: _Grid, cells: dict[_Target, _Cell]) -> None:
    """Draw a mark for each target, and beside it as much as fits every column."""
    targets = product(enumerate(grid.accounts, grid.head), enumerate(grid.regions))
    places = {(grid.x(x), y): cells.get((account, region)) for (y, account), (x, region) in targets}
    there = {spot: cell for spot, cell in places.items() if cell}
    absent = [spot for spot, cell in places.items() if not cell]
    grid.ax.plot([x for x, _ in absent], [y for _, y in absent], ".", color=layout.RECENT, markersize=1.5)
    for status in {cell.status: None for cell in there.values()}:
        _mark(grid.ax, status, [spot for spot, cell in there.items() if cell.status == status])
    free = grid.column - 2.5 * GAP
    for texts in ([cell.words for cell in there.values()], [cell.number for cell in there.values()]):
        if max(layout.measure(text, grid.size) for text in texts) <= free:
            for (x, y), text in zip(there, texts, strict=True):
                layout.put(grid.ax, x + GAP, y, text, va="center_baseline", fontsize=grid.size)
            return


def _mark(ax: Axes, status: str, places: Sequence[tuple[float, float]]) -> None:
    marker, colour = _MARKS.get(status, _STRANGE)
    face = "none" if status == "no_endpoint" else colour
    width = 2.0 if marker == "_" else 1.2 if face == "none" else 0.0
    x, y = zip(*places, strict=True)
    ax.plot(x, y, marker, markersize=_MARK + (marker in "*XP"), mfc=face, mec=colour, mew=width)


def _key_lines(counts: Counter[str], width: float, size: float) -> list[list[tuple[float, str, str]]]:
    """Return the lines of the key: where each mark stands, its status, and its words."""
    strange = sorted(status for status in counts if status not in _MARKS)
    entries = [(status, f"{status} {counts[status]:,}") for status in _ORDER if counts[status]]
    entries += [(status, f"{status} {counts[status]:,}") for status in strange[:1]]
    if more := sum(counts[status] for status in strange[1:]):
        entries.append((strange[1], f"other words {more:,}"))
    lines: list[list[tuple[float, str, str]]] = [[]]
    start = 0.0
    for status, text in entries:
        words = layout.shorten(text, width - 1.5 * GAP, size)
        wide = 1.5 * GAP + layout.measure(words, size)
        if lines[-1] and start + wide > width:
            lines.append([])
            start = 0.0
        lines[-1].append((start + _MARK / 2, status, words))
        start += wide + GAP
    return lines


def _key(grid: _Grid, lines: list[list[tuple[float, str, str]]], first: int) -> None:
    for row, entries in enumerate(lines, first):
        for x, status, words in entries:
            _mark(grid.ax, status, [(x, row)])
            layout.put(grid.ax, x + GAP, row, words, va="center_baseline", fontsize=grid.size)
