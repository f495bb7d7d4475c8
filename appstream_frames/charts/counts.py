"""Counts over time drawn. A snapshot that was not read whole is hatched, never drawn as if it were 0."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import NOTHING, RowAxes, check, days_of, moments, numbers

_SOURCE = "what asf.trend(root, by=…) gives"
_DAY = 86_400.0


def trend(counts: pd.DataFrame, ax: Axes | None = None, *, top: int = len(layout.SERIES), of: str = "images") -> Axes:
    """Draw counts stacked over time, each from its snapshot to the next; where counts are missing, hatching is above.

    The values with the highest counts have a colour each, all others share one; each is named at the right end, with its
    last count. What was not read whole is never drawn as if it were 0: hatching reaches from what is known to the top.

    Parameters
    ----------
    counts : DataFrame
        What `appstream_frames.trend` gives; a row that is left out counts as not read.
    ax : Axes, optional
        Where to draw; without it a new figure is made.
    top : int
        How many values have a colour of their own, at most; never more than there are colours, fewer in a small Axes.
    of : str
        What is counted, for the title: the table that `appstream_frames.trend` was asked for.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `counts` lacks a column, holds a ``snapshot`` that is no moment, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> counts = pd.DataFrame({"snapshot": ["2026-10-05", "2026-10-12"], "platform": "RHEL8", "count": [12, 14]})
    >>> trend(counts, Figure().subplots()).get_title()
    '12 images on 2026-10-05, 14 on 2026-10-12: RHEL8 +2'
    """
    check(counts, ("snapshot", "count"), _SOURCE, top)
    table = _by_value(counts)
    if not table.size:
        return layout.draw_nothing(ax, NOTHING)
    rows, gaps = layout.available(ax).rows, table.isna().any(axis=1)
    note = "Days in UTC" + (" · hatched: not read whole" if gaps.any() else "")
    title, (table, colours) = (
        _change(table, layout.drawable(of, 30)),
        _layers(table, min(top, len(layout.SERIES), rows - 3)),
    )
    ax, space, _ = layout.ruled(ax, rows, title, note)
    ax.set_xlim(0, space.width)
    size = 9.0 if space.beside else 7.5
    ends = [f" · {_known(count)}" for count in table.iloc[-1]]
    wide = max(layout.measure(f"{name}{end}", size) for name, end in zip(table, ends, strict=True))
    right = space.width - 3 * GAP - min(wide, space.width * (0.45 if space.beside else 0.4))
    most = max(1.0, table.sum(axis=1).max())
    axes = RowAxes(ax, layout.measure(f"{most:,.0f}", size) + GAP, right, 0.0, size, rows - 1, space.width)
    tops = rows - 1.5 - (rows - 1) / most * table.fillna(0).cumsum(axis=1)
    _heights(axes, most)
    _areas(axes, tops, colours, gaps)
    leading = size * 1.3 * abs(np.subtract(*ax.get_ylim())) / space.height
    _ends(axes, tops.iloc[-1], list(zip(table, ends, colours, strict=True)), leading)
    return ax


def _layers(table: pd.DataFrame, shown: int) -> tuple[pd.DataFrame, list[str]]:
    """Return what is drawn, from the bottom, and its colours: so many values, and the sum of the others."""
    if table.shape[1] <= shown:
        return table, [*layout.SERIES[: table.shape[1]]]
    rest = table.iloc[:, shown:].sum(axis=1, skipna=False).rename(layout.others(table.shape[1] - shown))
    return pd.concat([table.iloc[:, :shown], rest], axis=1), [*layout.SERIES[:shown], layout.RECENT]


def _heights(axes: RowAxes, most: float) -> None:
    """Write a few round counts at the left, each with a thin line."""
    for value in MaxNLocator(4, integer=True).tick_values(0, most):
        if 0 < value <= most:  # 0 would stand on the days below
            y = axes.foot - 0.5 - axes.foot / most * value
            font: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": axes.size, "alpha": 0.75}
            layout.put(axes.ax, axes.left - GAP / 2, y, f"{value:,.0f}", **font)
            axes.ax.plot(
                [axes.left, axes.right], [y, y], linewidth=0.5, color=layout.RECENT, alpha=layout.FAINT, zorder=0.5
            )


def _areas(axes: RowAxes, tops: pd.DataFrame, colours: list[str], gaps: pd.Series) -> None:
    ticks = tops.index.to_numpy(float)
    end = ticks[-1] + (float(np.median(np.diff(ticks))) if len(ticks) > 1 else _DAY)
    x = np.array([axes.x(tick, ticks[0], end) for tick in [*ticks, end]])
    lower = np.full(len(x), axes.foot - 0.5)
    for colour, (_, column) in zip(colours, tops.items(), strict=True):
        upper = np.append(column, column.iloc[-1])
        axes.ax.fill_between(
            x, lower, upper, step="post", facecolor=colour, edgecolor=axes.ax.get_facecolor(), linewidth=0.3
        )
        lower = upper
    gap, height = gaps.to_numpy(), -0.5 - lower[:-1]
    hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": layout.RECENT, "hatch": "////", "linewidth": 0}
    axes.ax.bar(x[:-1][gap], height[gap], np.diff(x)[gap], lower[:-1][gap], align="edge", **hatch)
    axes.axis(list(zip(x[:-1], days_of(ticks), strict=True)))


def _ends(axes: RowAxes, tops: pd.Series, layers: list[tuple[str, str, str]], leading: float) -> None:
    """Name each area at its right end, bottom to top, moved so far up or down that none stands over another."""
    middles = ((tops + tops.shift(fill_value=axes.foot - 0.5)) / 2).to_list()
    above = axes.foot - 0.5 + leading / 2
    for number, (middle, (name, end, colour)) in enumerate(zip(middles, layers, strict=True)):
        above = max(min(middle, above - leading), -0.5 + leading * (len(layers) - number - 0.5))
        axes.ax.plot(axes.right + GAP, above, "s", markersize=5, color=colour, mec=layout.RECENT, mew=0.4)
        free = axes.width - axes.right - 2 * GAP - layout.measure(end, axes.size)
        text = layout.shorten(name, free, axes.size) + end
        layout.put(axes.ax, axes.right + 2 * GAP, above, text, va="center_baseline", fontsize=axes.size)


def _by_value(counts: pd.DataFrame) -> pd.DataFrame:
    """Return counts by moment and value, the value with the highest count first; null where any part is not known."""
    by = [name for name in counts.columns if name not in ("snapshot", "count", "complete")]
    words = [[_word(name, value) for value in counts[name].astype(object)] for name in by]
    texts = [" · ".join(row) for row in zip(*words, strict=True)] if by else ["all"] * len(counts)
    values, number = np.unique(np.array(texts, object), return_inverse=True)  # pandas 3.0 takes lone surrogates for one
    count = numbers(counts["count"]).where(lambda known: known >= 0)
    long = pd.DataFrame({"when": moments(counts, "snapshot", _SOURCE), "value": number, "count": count})
    parts = long.assign(gap=count.isna()).groupby(["when", "value"])
    table = parts["count"].sum().mask(parts["gap"].any()).unstack()
    order = table.max().fillna(-1).sort_values(ascending=False, kind="stable").index
    return table[order].set_axis([layout.drawable(values[number], 40) for number in order], axis=1)


def _word(name: object, value: Any) -> str:
    if not pd.api.types.is_scalar(value):
        return ", ".join(map(str, value)) or "(empty)"
    if pd.isna(value):
        return "(none)"
    if isinstance(value, bool | np.bool_):
        return f"{name}: {'yes' if value else 'no'}"
    return f"{value:%Y-%m-%d}" if isinstance(value, date) else str(value)


def _known(count: float) -> str:
    return "?" if np.isnan(count) else f"{count:,.0f}"


def _change(table: pd.DataFrame, of: str) -> str:
    whole = table.dropna()
    missing = f"{len(table) - len(whole):,} of {len(table):,} snapshots not read whole"
    if not len(whole):
        return f"No count is whole: {missing}"
    ends = whole.iloc[[0, -1]] if len(whole) > 1 else whole
    days = days_of([*ends.index])
    first, *later = [f"{total:,.0f}" for total in ends.sum(axis=1)]
    found = ", ".join(f"{count} on {day}" for count, day in zip([f"{first} {of}", *later], days, strict=True))
    moved = ends.iloc[-1] - ends.iloc[0]
    moved = moved.iloc[np.argsort(-moved.abs().to_numpy(), kind="stable")]
    words = [
        f"{layout.drawable(name, 24)} {'+' if n > 0 else '−'}{abs(n):,.0f}" for name, n in moved.head(2).items() if n
    ]
    return found + (f": {', '.join(words)}" if words else "") + (f"; {missing}" if len(whole) < len(table) else "")
