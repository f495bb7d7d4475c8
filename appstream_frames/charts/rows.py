"""Shared parts of charts in rows: reading columns, labels, and horizontal bars with their counts; independent of AWS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num, num2date

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.errors import RequestError
from appstream_frames.text import encodable

_BAR_LABELS = 0.62  # maximum share of the width

Label = tuple[str, str]  # a name, which may be cut, and a suffix, which may not


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: label, count, colour, whether the label is bold, and words shown instead of the count."""

    label: str
    count: int
    colour: str
    marked: bool = False
    words: str = ""


def draw_bars(ax: Axes | None, bars: Sequence[Bar], title: str, note: str) -> Axes:
    """Draw rows from top to bottom with their counts, the title above them and a small note below.

    There must be at least one; text from AWS in labels must have passed `layout.make_drawable`.
    """
    ax, space, size = layout.set_out_rows(ax, len(bars), title, note)
    weights = ["bold" if bar.marked and space.beside else "normal" for bar in bars]
    # bold labels matter most: rather than cut one, make all text a little smaller
    marked = [layout.measure(bar.label, size, weight) for bar, weight in zip(bars, weights, strict=True) if bar.marked]
    most = space.width * (_BAR_LABELS if space.beside else 1)
    size *= max(0.8, min(1.0, 0.98 * most / max(1.0, *marked))) if marked else 1.0
    left, lower = label_rows(ax, [(bar.label, "") for bar in bars], size, _BAR_LABELS, weights)
    values = [bar.words or f"{bar.count:,}" for bar in bars]
    tail = max(layout.measure(value, size) for value in values) + GAP
    layout.set_range(ax, 0, max(1, *(bar.count for bar in bars)), left + GAP if space.beside else 0.0, tail)
    ys, counts, colours = np.arange(len(bars)) + lower, [bar.count for bar in bars], [bar.colour for bar in bars]
    height = 0.62 if space.beside else 0.32
    drawn = ax.barh(ys, counts, height, color=colours, edgecolor=colours, linewidth=0.6)
    for patch, colour in zip(drawn, colours, strict=True):
        if colour == layout.UNKNOWN:
            patch.set(edgecolor=layout.RECENT, hatch="////")
    ax.bar_label(drawn, values, padding=GAP / 2, fontsize=size, color=layout.find_text_colour(ax), **layout.PLAIN)
    return ax


def label_rows(
    ax: Axes, labels: Sequence[Label], size: float, widest: float, weights: Sequence[str] | None = None
) -> tuple[float, float]:
    """Write the label of each row: to the left of the marks, at most the share `widest` of the Axes, or above the marks.

    Return the width of the labels in points, and the distance of marks below the middle of their row, in rows.
    """
    space = layout.measure_axes(ax)
    most, upper, lower = (widest * space.width, 0.0, 0.0) if space.beside else (space.width, -0.25, 0.25)
    left = 0.0
    for row, (name, tail) in enumerate(labels):
        weight = weights[row] if weights else "normal"
        text = layout.shorten(name, most - layout.measure(tail, size, weight), size, weight) + tail
        layout.write_label(ax, row + upper, text, fontsize=size, fontweight=weight)
        left = max(left, layout.measure(text, size, weight))
    return left if space.beside else 0.0, lower


def cut_rows(ranked: Any, ax: Axes | None, top: int, extra: int = 0) -> tuple[Any, Any]:
    """Return the items that have their own row and those that share one, if `extra` more rows are needed."""
    rows = len(ranked) if ax is None else layout.find_size(ax).rows - extra
    kept = len(ranked) if len(ranked) <= min(top, rows) else min(top, rows - 1)
    return ranked[:kept], ranked[kept:]


def check(frame: object, columns: Iterable[str], source: str, top: object) -> None:
    """Raise RequestError when `frame` is not a DataFrame or lacks a column, or `top` is not a number of rows."""
    if not isinstance(frame, pd.DataFrame):
        raise RequestError(f"expected a DataFrame, got a {type(frame).__name__}: pass {source}")
    if missing := [name for name in columns if name not in frame.columns]:
        raise RequestError(f"the frame has no column {missing[0]!r}, which is needed here: pass {source}")
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        raise RequestError(f"top={layout.make_drawable(top)}: expected a whole number from 1 on")


def read_texts(column: pd.Series) -> list[str | None]:
    """Return a column as text that pandas can group by, None for missing values."""
    return [None if pd.isna(value) else encodable(str(value)) for value in column]


def read_numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where it is not a finite number, with a default index."""
    found = pd.to_numeric(column, errors="coerce").astype("Float64").astype(float)
    return found.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)


def read_moments(frame: pd.DataFrame, name: str, source: str, *, nulls: bool = False) -> pd.Series:
    """Return a column as matplotlib dates with a default index; RequestError for other values, and for null unless `nulls`."""
    given = frame[name]
    found = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")
    wrong = found.isna() & (given.notna() if nulls else True)
    if wrong.any():
        seen = layout.make_drawable(given[wrong.to_numpy()].iloc[0])
        raise RequestError(f"{name!r} holds {seen!r}, expected a moment such as '2026-11-23': pass {source}")
    return pd.Series(date2num(found.dt.tz_localize(None).to_numpy()))


def format_days(dates: Sequence[float]) -> list[str]:
    """Return days in UTC, with the time of day if several moments are on one day."""
    stamps = [num2date(date, tz="UTC") for date in dates]
    apart = len({stamp.date() for stamp in stamps}) == len(set(stamps))
    return [f"{stamp:%Y-%m-%d}" if apart else f"{stamp:%Y-%m-%d %H:%M}" for stamp in stamps]


def format_name(name: Any, missing: str = "(no name)") -> str:
    """Return a name in characters that can be drawn."""
    return missing if pd.isna(name) else layout.make_drawable(name, 40)


def format_others(counts: Mapping[str, int]) -> str:
    """Return further counts for a title, without those that are 0."""
    return "".join(f"; {count:,} {words}" for words, count in counts.items() if count)


def name_rows(frame: pd.DataFrame) -> list[str]:
    """Return names in characters that can be drawn, with account and region if there are several."""
    columns = ["name", *(key for key in ("account", "region") if key in frame and frame[key].nunique() > 1)]
    rows = frame[columns].astype(object).itertuples(index=False)
    texts = (" · ".join(format_name(value) for value in row if not pd.isna(value)) for row in rows)
    return [text or "(no name)" for text in texts]
