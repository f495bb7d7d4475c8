"""What charts of rows along a line share: rows with an axis below them, which rows are kept, and a frame's columns checked.

It knows nothing of AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.errors import RequestError
from appstream_frames.text import encodable

NOTHING = "Nothing to draw"
_LABELS = 0.42  # of the width, at most


@dataclass(frozen=True)
class RowAxes:
    """An Axes in rows whose x is in points: where marks may be, how far below the middle of a row, the row of the axis."""

    ax: Axes
    left: float
    right: float
    lower: float
    size: float
    foot: int
    width: float

    def x(self, value: float, first: float, last: float) -> float:
        """Return where a value stands between the first, at the left, and the last."""
        return self.left + (value - first) / ((last - first) or 1.0) * (self.right - self.left)

    def axis(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Write below the rows the first tick, the last, and those between them that fit, left to right."""
        free, last = -GAP, ticks[-1]
        for tick in ticks:
            start, end = self._extent(*tick)
            if tick == last or (start >= free + GAP and end <= self._extent(*last)[0] - GAP):
                free = end
                line: dict[str, Any] = {"linewidth": 0.5, "color": layout.RECENT, "alpha": layout.FAINT, "zorder": 0.5}
                self.ax.plot([tick[0]] * 2, [-0.5, self.foot - 0.5], **line)
                layout.put(self.ax, start, self.foot, tick[1], va="center", fontsize=self.size, alpha=0.75)

    def _extent(self, x: float, words: str) -> tuple[float, float]:
        wide = layout.measure(words, self.size)
        start = max(0.0, min(x - wide / 2, self.width - wide))
        return start, start + wide


def row_axes(ax: Axes | None, labels: Sequence[tuple[str, str]], title: str, note: str) -> RowAxes:
    """Set an Axes out in rows and one more for the axis; a label's first part is cut where both are too long."""
    ax, space, size = layout.ruled(ax, len(labels) + 1, title, note)
    ax.set_xlim(0, space.width)
    most = space.width * (_LABELS if space.beside else 1)
    texts = [layout.shorten(name, most - layout.measure(tail, size), size) + tail for name, tail in labels]
    upper, lower = (0.0, 0.0) if space.beside else (-0.25, 0.25)
    for row, text in enumerate(texts):
        layout.write(ax, row + upper, text, fontsize=size)
    left = max(layout.measure(text, size) for text in texts) if space.beside else 0.0
    return RowAxes(ax, left + 2 * GAP, space.width - 2 * GAP, lower, size, len(labels), space.width)


def cut(ranked: list[Any], ax: Axes | None, top: int, extra: int) -> tuple[list[Any], list[Any]]:
    """Return what has a row of its own and what shares one, when so many more rows are needed."""
    rows = len(ranked) if ax is None else layout.available(ax).rows - extra
    kept = len(ranked) if len(ranked) <= min(top, rows) else min(top, rows - 1)
    return ranked[:kept], ranked[kept:]


def check(frame: object, columns: Iterable[str], source: str, top: object) -> None:
    """Refuse what is no frame, lacks a column, or no number of rows."""
    if not isinstance(frame, pd.DataFrame):
        raise RequestError(f"expected a DataFrame, got a {type(frame).__name__}: pass {source}")
    if missing := [name for name in columns if name not in frame.columns]:
        raise RequestError(f"the frame has no column {missing[0]!r}, which is needed here: pass {source}")
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        raise RequestError(f"top={layout.drawable(top)}: expected a whole number from 1 on")


def texts_of(column: pd.Series) -> list[str | None]:
    """Return a column as texts that pandas can group by, None where there is none."""
    return [None if pd.isna(value) else encodable(str(value)) for value in column]


def numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where it holds no number, with a plain index."""
    found = pd.to_numeric(column, errors="coerce").astype("Float64").astype(float)
    return found.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)


def moments(frame: pd.DataFrame, name: str, source: str, *, nulls: bool = False) -> pd.Series:
    """Return a column's moments as seconds since 1970, NaN where null is allowed, with a plain index.

    Raises
    ------
    RequestError
        When a value is no moment.
    """
    given = frame[name]
    found = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")
    wrong = found.isna() & (given.notna() if nulls else True)
    if wrong.any():
        seen = layout.drawable(given[wrong.to_numpy()].iloc[0])
        raise RequestError(f"{name!r} holds {seen!r}, expected a moment such as '2026-11-23': pass {source}")
    return ((found - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).reset_index(drop=True)


def days_of(seconds: Sequence[float]) -> list[str]:
    """Return days, with the time of day where a day alone does not tell them apart."""
    stamps = [pd.Timestamp(0) + pd.Timedelta(second, "s") for second in seconds]
    apart = len({f"{stamp:%Y-%m-%d}" for stamp in stamps}) == len(set(stamps))
    return [f"{stamp:%Y-%m-%d}" if apart else f"{stamp:%Y-%m-%d %H:%M}" for stamp in stamps]


def names(frame: pd.DataFrame) -> list[str]:
    """Return names as they can be drawn, with account and region where the frame has several."""
    columns = ["name", *(key for key in ("account", "region") if key in frame and frame[key].nunique() > 1)]
    rows = frame[columns].astype(object).itertuples(index=False)
    return [
        " · ".join(layout.drawable(value, 40) for value in row if not pd.isna(value)) or "(no name)" for row in rows
    ]
