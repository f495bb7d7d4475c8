"""The coverage as a grid: accounts in rows, regions in columns, each target's status as a shape and a colour."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import ceil, inf
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from appstream_frames.charts import layout, rows
from appstream_frames.charts.layout import GAP, measure
from appstream_frames.insights import days
from appstream_frames.tables.coverage import FIRST_OPERATION, name_operations, number_targets
from appstream_frames.text import format_count

#: Status, from good to bad → marker and colour; each has its own shape.
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
_STRANGE = ("*", "#CC79A7")  # any other status
_ROW, _LOW_ROW, _HIGH_ROW, _OWN_ROW = 13.0, 11.0, 18.0, 20.0  # in points: wide Axes, narrow, maximum, new figure
_NARROWEST, _WIDEST, _HIGHEST, _MARK = 11.0, 150.0, 75.0, 5.5
_NAMES = 0.3  # maximum share of the width for accounts
_NAMED = 3  # statuses in the title


def coverage(frame: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw which accounts were read in which regions: a mark for each target, whose shape and colour show the status.

    Accounts with a target that was not read whole come first, worst on top. If space allows, the number of images, or the
    status in words, is written next to each mark; the legend counts the targets of each status. Accounts and regions that do
    not fit are counted in words; those read whole are left out first.

    Parameters
    ----------
    frame : DataFrame
        ``frames.coverage`` or some of its rows. An account that is null, because it was never known, is drawn as ``?``; of
        several operations of one target, and of several rows for one account and region, the worst status is drawn.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of accounts with their own row; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame({"account": "012345678901", "region": ["eu-west-1", "us-east-1"], "rows": [61, 0]})
    >>> coverage(frame.assign(status=["complete", "denied"]), Figure().subplots()).get_title()
    '1 of 2 targets was not read whole: 1 denied'
    """
    rows.check(frame, ("account", "region", "status", "rows"), "frames.coverage", top)
    if not len(frame):
        return layout.draw_nothing(ax)
    targets = _keep_worst(_read_operations(frame), number_targets(frame).to_numpy())
    cells = _keep_worst(targets, targets["account"] + "\n" + targets["region"])
    key, title = _count_statuses(targets), _make_title(targets)
    grid = _Grid(cells, key, ax, top, title)
    taken = sorted({str(day) for day in days.to_days(frame["snapshot"]) if day}) if "snapshot" in frame else []
    when = " to ".join(dict.fromkeys([*taken[:1], *taken[-1:]]))
    note = "Numbers: images read" + (f" · {when} (UTC)" if when else "")
    ax, space, _ = layout.set_out_rows(ax, grid.used, title, note, grid.tallest)
    layout.set_range(ax, 0, 1, grid.left, space.width - grid.left - grid.column)
    _write_names(ax, grid, space.width)
    shown = cells.assign(x=cells["region"].map(grid.xs), y=cells["account"].map(grid.ys)).dropna(subset=["x", "y"])
    handles = _draw_marks(ax, grid, shown, key)
    _write_words(ax, grid, shown)
    labels = [layout.shorten(words, space.width - 3 * grid.key_size, grid.key_size) for words in key.values()]
    anchor = {"loc": "upper left", "bbox_to_anchor": (0, grid.head + len(grid.ys) + len(grid.rest) - 0.5)}
    spaces = {"handlelength": 1, "columnspacing": GAP / grid.key_size, "labelspacing": 0.3}
    options = {"ncols": grid.key_columns, "bbox_transform": ax.get_yaxis_transform(), **anchor, **spaces}
    layout.add_legend(ax, handles, labels, fontsize=grid.key_size, **options)
    return ax


class _Grid:
    """The layout of the grid: positions of accounts and regions, lengths in points, and words about those that do not fit."""

    def __init__(self, cells: pd.DataFrame, key: dict[str, str], ax: Axes | None, top: int, title: str) -> None:
        space = layout.find_size(ax)
        self.size, row = (8.0, _ROW) if space.beside else (7.0, _LOW_ROW)
        row = _OWN_ROW if ax is None else row
        accounts, regions = _rank(cells, "account"), _rank(cells, "region")
        longest = max(measure(name, self.size) for name in accounts.index)
        self.left = 1.5 * GAP + min(_NAMES * space.width, longest)
        fitting = int((space.width - self.left) / _NARROWEST)
        self.column = min(_WIDEST, (space.width - self.left) / min(fitting, len(regions)))
        longest = max(measure(name, self.size) for name in regions.index[:fitting])
        self.head = 1 if longest + GAP <= self.column else ceil((min(longest, _HIGHEST) + GAP) / row)
        self.key_size = self.size if space.beside else 6.0
        widths = [measure(words, self.key_size) + 1.5 * self.key_size for words in key.values()]
        self.key_columns = _count_columns(widths, space.width)
        below = ceil(len(key) / self.key_columns) + (len(regions) > fitting)
        height = int((space.height - space.measure_head(title)) / row)
        kept = min(top, len(accounts) if ax is None else max(1, height - self.head - below - 1))
        self.used = self.head + len(accounts[:kept]) + below + (len(accounts) > kept)
        # rows fill an Axes, up to a maximum height each
        self.tallest = inf if ax is None else row if self.head > 1 else _HIGH_ROW
        self.ys = {name: y for y, name in enumerate(accounts.index[:kept], self.head)}
        self.xs = {name: x + min(0.5, GAP / self.column) for x, name in enumerate(sorted(regions.index[:fitting]))}
        self.rest = [*_count_rest(accounts[kept:], "account"), *_count_rest(regions[fitting:], "region")]


def _count_columns(widths: list[float], width: float) -> int:
    """Return the number of columns in which a legend with entries of these widths fits."""
    fits = (n for n in range(len(widths), 1, -1) if sum(map(max, np.array_split(widths, n))) + (n - 1) * GAP <= width)
    return next(fits, 1)


def _read_operations(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row per operation with text that can be drawn, its number of images, and how bad its status is."""
    given = frame[["account", "region", "status"]].astype(object).assign(operation=name_operations(frame))
    table = given.map(lambda text: "?" if pd.isna(text) else layout.make_drawable(text, 24)).reset_index(drop=True)
    table["status"] = table["status"].replace("not_offered", "complete")  # there was nothing to read
    images = rows.read_numbers(frame["rows"]).fillna(0).clip(0, 2**53).astype(int)
    badness = [[*_MARKS, status].index(status) for status in table["status"]]
    return table.assign(images=images.where(table["operation"] == FIRST_OPERATION, 0), badness=badness)


def _keep_worst(table: pd.DataFrame, by: object) -> pd.DataFrame:
    """Return the worst row of each group, of equally bad ones that of its images, with the sum of the group's images."""
    order = table.assign(by=by, first=table["operation"] == FIRST_OPERATION)
    order = order.sort_values(["badness", "status", "first", "operation"], kind="stable")
    columns = dict.fromkeys(["account", "region", "status", "operation", "badness"], "last")
    return order.groupby("by", sort=False).agg({**columns, "images": "sum"}).reset_index(drop=True)


def _rank(cells: pd.DataFrame, key: str) -> pd.Series:
    """Return accounts or regions with their number of targets not read whole, most first."""
    bad = (cells["status"] != "complete").groupby(cells[key]).sum()
    return bad.sort_values(ascending=False, kind="stable")


def _count_rest(bad: pd.Series, what: str) -> list[str]:
    """Describe the accounts or regions that do not fit."""
    partly, whole = int((bad > 0).sum()), int((bad == 0).sum())
    if partly and whole:
        return [f"+ {format_count(partly, what)} not read whole, {whole:,} read whole"]
    return [f"+ {format_count(len(bad), what)} {'not ' if partly else ''}read whole"] if len(bad) else []


def _make_title(targets: pd.DataFrame) -> str:
    bad, total = targets[targets["status"] != "complete"], len(targets)
    if bad.empty:
        return f"All {total:,} targets were read whole" if total > 1 else "The only target was read whole"
    ranked = Counter(bad.sort_values(["badness", "status"])["status"]).most_common()
    words, rest = [], len(bad)
    for status, count in ranked[:_NAMED]:
        operations = {*bad.loc[bad["status"] == status, "operation"]} - {FIRST_OPERATION}
        alone = f" ({operations.pop()})" if len(operations) == 1 else ""  # DescribeImages is not named
        words.append(f"{count:,} {layout.make_drawable(status, 16)}{alone}")
        rest -= count
    words += [f"{rest:,} more"] if rest else []
    if total == 1:
        return f"The only target was not read whole: {words[0].removeprefix('1 ')}"
    return f"{len(bad):,} of {total:,} targets {'was' if len(bad) == 1 else 'were'} not read whole: {', '.join(words)}"


def _count_statuses(targets: pd.DataFrame) -> dict[str, str]:
    """Return the labels of the legend by status; all unknown statuses share the last."""
    counts = Counter(targets["status"])
    words = {status: f"{status} {counts.pop(status):,}" for status in _MARKS if status in counts}
    if counts:
        words["strange"] = f"{next(iter(counts)) if len(counts) == 1 else 'other words'} {counts.total():,}"
    return words


def _write_names(ax: Axes, grid: _Grid, width: float) -> None:
    """Write accounts to the left of rows, regions above columns, and draw a thin line above each row."""
    font: dict[str, Any] = {"fontsize": grid.size}
    for region, x in grid.xs.items():
        if grid.head > 1:
            text = layout.shorten(region, _HIGHEST + GAP / 2, grid.size)
            layout.write_text(ax, x, grid.head - 0.6, text, rotation=90, ha="center", va="bottom", **font)
        else:
            layout.write_text(ax, x - _MARK / 2 / grid.column, grid.head - 1, region, **font)
    for account, y in grid.ys.items():
        layout.write_label(ax, y, layout.shorten(account, grid.left - GAP, grid.size), **font)
        ax.plot([0, 1], [y - 0.5] * 2, transform=ax.get_yaxis_transform(), **layout.THIN)
    for y, words in enumerate(grid.rest, grid.head + len(grid.ys)):
        layout.write_label(ax, y, layout.shorten(words, width, grid.size), **font)


def _draw_marks(ax: Axes, grid: _Grid, cells: pd.DataFrame, key: dict[str, str]) -> list[Line2D]:
    """Draw a mark for each target and a dot where there is none; return a legend handle for each status of the key."""
    absent = sorted({*product(grid.xs.values(), grid.ys.values())} - {*zip(cells["x"], cells["y"], strict=True)})
    ax.plot([x for x, _ in absent], [y for _, y in absent], ".", color=layout.RECENT, markersize=1.5)
    kinds, handles = cells["status"].where(cells["status"].isin(_MARKS), "strange"), []
    for status in key:
        marker, colour = _MARKS.get(status, _STRANGE)
        face, width = ("none", 1.2) if status == "no_endpoint" else (colour, 2.0 if marker == "_" else 0.0)
        style: dict[str, Any] = {"markersize": _MARK + (marker in "*XP"), "mfc": face, "mec": colour, "mew": width}
        handles += ax.plot(cells["x"][kinds == status], cells["y"][kinds == status], marker, **style)
    return handles


def _write_words(ax: Axes, grid: _Grid, cells: pd.DataFrame) -> None:
    """Write status and number of images next to each mark, or only the number, whichever fits every column."""
    words, counts = [], []
    for status, operation, images in cells[["status", "operation", "images"]].itertuples(index=False, name=None):
        whole = status == "complete"
        counts.append(f"{images:,}" if images or whole else "")
        named = status if operation == FIRST_OPERATION else f"{status} ({operation})"
        words.append(
            f"{images:,} image{'' if images == 1 else 's'}" if whole else named + (f" · {images:,}" if images else "")
        )
    for texts in (words, counts):
        if max(measure(text, grid.size) for text in texts) <= grid.column - 2.5 * GAP:
            for x, y, text in zip(cells["x"] + GAP / grid.column, cells["y"], texts, strict=True):
                layout.write_text(ax, x, y, text, fontsize=grid.size)
            return
