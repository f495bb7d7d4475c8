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
from appstream_frames.charts.rows import check, format_days, read_moments, read_numbers
from appstream_frames.charts.wording import format_count
from appstream_frames.text import encodable

_SOURCE = "what asf.trend(root, by=…) gives"


def trend(counts: pd.DataFrame, ax: Axes | None = None, *, top: int = len(layout.SERIES), of: str = "images") -> Axes:
    """Draw counts stacked over time, each from its snapshot to the next; where counts are missing, hatching is above.

    The values with the highest counts have a colour each, all others share one; the legend has the last count of each.
    What was not read whole is never drawn as if it were 0: hatching reaches from what is known to the top.

    Parameters
    ----------
    counts : DataFrame
        What `appstream_frames.trend` gives; a row that is left out counts as not read.
    ax : Axes, optional
        Where to draw; by default a figure of its own.
    top : int
        How many values have a colour of their own, at most; never more than there are colours, fewer in a small Axes.
    of : str
        What is counted, for the title: the table that `appstream_frames.trend` was asked for.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> counts = pd.DataFrame({"snapshot": ["2026-10-05", "2026-10-12"], "platform": "RHEL8", "count": [12, 14]})
    >>> trend(counts, Figure().subplots()).get_title()
    '12 images on 2026-10-05, 14 on 2026-10-12: RHEL8 +2'
    """
    check(counts, ("snapshot", "count"), _SOURCE, top)
    table = _count_by_value(counts)
    if not table.size:
        return layout.draw_nothing(ax)
    rows, gaps, days = layout.find_size(ax).rows, table.isna().any(axis=1), format_days([*table.index])
    note = " to ".join(dict.fromkeys([days[0], days[-1]])) + " (UTC)"
    title = _describe_change(table, layout.make_drawable(of, 30))
    ax, space = layout.set_out(ax, rows, title, note + (" · hatched: not read whole" if gaps.any() else ""))
    table, colours = _select_layers(table, min(top, len(layout.SERIES), rows - 3))
    size, most = 9.0 if space.beside else 7.5, max(1.0, table.sum(axis=1).max())
    labels = _make_labels(table, space.width * (0.45 if space.beside else 0.4), size)
    legend = max(layout.measure(label, size) for label in labels) + 2 * size
    point = most / max(1.0, space.height - space.measure_head(title) - 2 * size)
    ax.set_ylim(-2 * size * point, most + space.measure_head(title) * point)
    starts = table.index.to_numpy(float)
    ends = np.append(starts[1:], starts[-1] + (np.median(np.diff(starts)) if len(starts) > 1 else 1.0))
    left = max(4 * GAP, layout.measure(f"{most:,.0f}", size) + GAP)
    day = layout.set_range(ax, starts[0], ends[-1], left, legend + 2 * GAP)
    known = table.fillna(0).iloc[[*range(len(table)), -1]].T
    style: dict[str, Any] = {"edgecolor": ax.get_facecolor(), "linewidth": 0.3}
    areas = ax.stackplot(np.append(starts, ends[-1]), known, colors=colours, step="post", **style)
    hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": layout.RECENT, "hatch": "////", "linewidth": 0}
    lower = table.sum(axis=1)[gaps]
    ax.bar(starts[gaps], most - lower, (ends - starts)[gaps], lower, align="edge", **hatch)
    _draw_counts(ax, most, starts[0], ends[-1], left - GAP / 2, size)
    layout.draw_dates(ax, starts[0], starts[-1], 0, most, size)
    anchor = {"loc": "center left", "bbox_to_anchor": (ends[-1] + GAP * day, most / 2), "bbox_transform": ax.transData}
    layout.add_legend(ax, areas[::-1], labels[::-1], fontsize=size, handlelength=1, handleheight=1, **anchor)
    return ax


def _select_layers(table: pd.DataFrame, shown: int) -> tuple[pd.DataFrame, list[str]]:
    """Return what is drawn, from the bottom, and its colours: so many values, and the sum of the others."""
    if table.shape[1] <= shown:
        return table, [*layout.SERIES[: table.shape[1]]]
    rest = table.iloc[:, shown:].sum(axis=1, skipna=False).rename(format_count(table.shape[1] - shown))
    return pd.concat([table.iloc[:, :shown], rest], axis=1), [*layout.SERIES[:shown], layout.RECENT]


def _make_labels(table: pd.DataFrame, widest: float, size: float) -> list[str]:
    """Return each value, cut where it is too wide, with its last count."""
    ends = [f" · {'?' if np.isnan(count) else f'{count:,.0f}'}" for count in table.iloc[-1]]
    wide = [widest - layout.measure(end, size) for end in ends]
    return [layout.shorten(name, points, size) + end for name, points, end in zip(table, wide, ends, strict=True)]


def _draw_counts(ax: Axes, most: float, first: float, last: float, left: float, size: float) -> None:
    """Draw a few round counts at the left, each with a thin line."""
    ticks = [tick for tick in MaxNLocator(4, integer=True).tick_values(0, most) if 0 < tick <= most]
    labels = [f"{tick:,.0f}" for tick in ticks]
    ax.set_yticks(ticks, labels, fontsize=size, alpha=layout.SOFT, color=layout.find_text_colour(ax), **layout.PLAIN)
    ax.tick_params(axis="y", labelleft=True, pad=-left)  # inside of the Axes
    ax.plot([[first] * len(ticks), [last] * len(ticks)], [ticks, ticks], **layout.THIN)


def _count_by_value(counts: pd.DataFrame) -> pd.DataFrame:
    """Return counts by moment and value, the value with the highest count first; null where any part is not known."""
    by = [name for name in counts.columns if name not in ("snapshot", "count", "complete")]
    words = [[_format_value(name, value) for value in counts[name].astype(object)] for name in by]
    texts = [encodable(" · ".join(row)) for row in zip(*words, strict=True)] if by else "all"
    count = read_numbers(counts["count"]).where(lambda known: known >= 0)
    long = pd.DataFrame({"when": read_moments(counts, "snapshot", _SOURCE), "value": texts, "count": count})
    table = long.groupby(["when", "value"])["count"].sum(skipna=False).unstack()
    table = table[table.max().fillna(-1).sort_values(ascending=False, kind="stable").index]
    return table.set_axis([layout.make_drawable(value, 40) for value in table], axis=1)


def _format_value(name: object, value: Any) -> str:
    if not pd.api.types.is_scalar(value):
        return ", ".join(map(str, value)) or "(empty)"
    if pd.isna(value):
        return "(none)"
    if isinstance(value, bool | np.bool_):
        return f"{name}: {'yes' if value else 'no'}"
    return f"{value:%Y-%m-%d}" if isinstance(value, date) else str(value)


def _describe_change(table: pd.DataFrame, of: str) -> str:
    whole = table.dropna()
    missing = f"{len(table) - len(whole):,} of {len(table):,} snapshots not read whole"
    if not len(whole):
        return f"No count is whole: {missing}"
    ends = whole.iloc[[0, -1]] if len(whole) > 1 else whole
    first, *later = [f"{total:,.0f}" for total in ends.sum(axis=1)]
    days = zip([f"{first} {of}", *later], format_days([*ends.index]), strict=True)
    moved = ends.iloc[-1] - ends.iloc[0]
    moved = moved.iloc[np.argsort(-moved.abs().to_numpy(), kind="stable")].head(2)
    words = [f"{layout.make_drawable(name, 24)} {'+' if n > 0 else '−'}{abs(n):,.0f}" for name, n in moved.items() if n]
    found = ", ".join(f"{count} on {day}" for count, day in days) + (f": {', '.join(words)}" if words else "")
    return found + (f"; {missing}" if len(whole) < len(table) else "")
