"""Horizontal bars, each with its label and its count: what several charts are made of. It knows nothing of AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP, PLAIN


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: what it is, how many, its colour, whether its label is bold, other words for how many."""

    label: str
    count: int
    colour: str
    marked: bool = False
    words: str = ""

    @property
    def value(self) -> str:
        """What stands at the end of the bar."""
        return self.words or f"{self.count:,}"


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

    Returns
    -------
    Axes
        The Axes drawn into.
    """
    ax, space, size = layout.ruled(ax, len(bars), title, note)
    _rows(ax, bars, space, size)
    return ax


def _rows(ax: Axes, bars: Sequence[Bar], space: layout.AvailableSize, size: float) -> None:
    weights = ["bold" if bar.marked and space.beside else "normal" for bar in bars]
    most = space.width * (0.62 if space.beside else 1)
    # bold labels are the point of the chart: rather than cut one, make all text a little smaller
    needed = max(
        (layout.measure(bar.label, size, weight) for bar, weight in zip(bars, weights, strict=True) if bar.marked),
        default=0,
    )
    size *= max(0.8, min(1.0, 0.98 * most / max(1.0, needed)))
    tail = max(layout.measure(bar.value, size) for bar in bars) + GAP
    labels = [layout.shorten(bar.label, most, size, weight) for bar, weight in zip(bars, weights, strict=True)]
    start = GAP + max(layout.measure(label, size, weight) for label, weight in zip(labels, weights, strict=True))
    _scale(ax, max(bar.count for bar in bars), start if space.beside else 0.0, tail, space.width)
    lower, upper, height = (0.0, 0.0, 0.62) if space.beside else (0.26, -0.2, 0.32)
    _bars(ax, bars, lower, height)
    for row, (bar, label, weight) in enumerate(zip(bars, labels, weights, strict=True)):
        layout.write(ax, row + upper, label, fontsize=size, fontweight=weight)
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center_baseline", "fontsize": size}
        ax.annotate(bar.value, (bar.count, row + lower), (GAP / 2, 0), color=layout.ink(ax), **style, **PLAIN)


def _scale(ax: Axes, largest: int, start: float, tail: float, width: float) -> None:
    """Set the limits so that bars begin `start` points from the left and leave `tail` points on the right."""
    unit = max(1.0, width - start - tail) / max(1, largest)
    ax.set_xlim(-start / unit, (width - start) / unit)


def _bars(ax: Axes, bars: Sequence[Bar], offset: float, height: float) -> None:
    unknown = [bar.colour == layout.UNKNOWN for bar in bars]
    ax.barh(
        [row + offset for row in range(len(bars))],
        [bar.count for bar in bars],
        height=height,
        color=[bar.colour for bar in bars],
        edgecolor=[layout.RECENT if hollow else bar.colour for bar, hollow in zip(bars, unknown, strict=True)],
        hatch=["////" if hollow else "" for hollow in unknown],
        linewidth=0.6,
    )
