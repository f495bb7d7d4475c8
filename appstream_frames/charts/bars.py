"""Horizontal bars, each with its label and its count: what several charts are made of. It knows nothing of AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import label_rows

_LABELS = 0.62  # of the width, at most


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: what it is, how many, its colour, whether its label is bold, other words for how many."""

    label: str
    count: int
    colour: str
    marked: bool = False
    words: str = ""


def draw_bars(ax: Axes | None, bars: Sequence[Bar], title: str, note: str) -> Axes:
    """Draw rows from top to bottom with their counts, the finding above them and a small note below.

    Parameters
    ----------
    ax : Axes or None
        Where to draw; its limits, ticks and spines are set, its figure is left alone. None makes a figure of our own.
    bars : sequence of Bar
        At least one; words from elsewhere in their labels have passed `drawable`.
    title : str
        The finding; wrapped to the width of the Axes.
    note : str
        What a reader must know to read the rows.
    """
    ax, space, size = layout.set_out_rows(ax, len(bars), title, note)
    weights = ["bold" if bar.marked and space.beside else "normal" for bar in bars]
    # bold labels are the point of the chart: rather than cut one, make all text a little smaller
    marked = [layout.measure(bar.label, size, weight) for bar, weight in zip(bars, weights, strict=True) if bar.marked]
    most = space.width * (_LABELS if space.beside else 1)
    size *= max(0.8, min(1.0, 0.98 * most / max(1.0, *marked))) if marked else 1.0
    left, lower = label_rows(ax, [(bar.label, "") for bar in bars], size, _LABELS, weights)
    values = [bar.words or f"{bar.count:,}" for bar in bars]
    tail = max(layout.measure(value, size) for value in values) + GAP
    layout.set_range(ax, 0, max(1, *(bar.count for bar in bars)), left + GAP if space.beside else 0.0, tail)
    unknown = [bar.colour == layout.UNKNOWN for bar in bars]
    drawn = ax.barh(
        [row + lower for row in range(len(bars))],
        [bar.count for bar in bars],
        height=0.62 if space.beside else 0.32,
        color=[bar.colour for bar in bars],
        edgecolor=[layout.RECENT if hollow else bar.colour for bar, hollow in zip(bars, unknown, strict=True)],
        hatch=["////" if hollow else "" for hollow in unknown],
        linewidth=0.6,
    )
    ax.bar_label(drawn, values, padding=GAP / 2, fontsize=size, color=layout.find_text_colour(ax), **layout.PLAIN)
    return ax
