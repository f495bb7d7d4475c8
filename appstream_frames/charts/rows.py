"""What charts in rows share: labels, which rows are kept, and a frame's columns read. It knows nothing of AWS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num, num2date

from appstream_frames.charts import layout
from appstream_frames.errors import RequestError
from appstream_frames.text import encodable

Label = tuple[str, str]  # a name, which may be cut, and what follows it, which may not


def label_rows(
    ax: Axes, labels: Sequence[Label], size: float, widest: float, weights: Sequence[str] | None = None
) -> tuple[float, float]:
    """Write the label of each row: beside the marks and no wider than so much of the Axes, or above the marks.

    Returns
    -------
    tuple of float
        How wide the column of labels is, in points, and how far below the middle of its row a mark is, in rows.
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


def cut_rows(ranked: Any, ax: Axes | None, top: int, extra: int) -> tuple[Any, Any]:
    """Return what has a row of its own and what shares one, when so many more rows are needed."""
    rows = len(ranked) if ax is None else layout.find_size(ax).rows - extra
    kept = len(ranked) if len(ranked) <= min(top, rows) else min(top, rows - 1)
    return ranked[:kept], ranked[kept:]


def check(frame: object, columns: Iterable[str], source: str, top: object) -> None:
    """Refuse what is no frame, lacks a column, or no number of rows."""
    if not isinstance(frame, pd.DataFrame):
        raise RequestError(f"expected a DataFrame, got a {type(frame).__name__}: pass {source}")
    if missing := [name for name in columns if name not in frame.columns]:
        raise RequestError(f"the frame has no column {missing[0]!r}, which is needed here: pass {source}")
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        raise RequestError(f"top={layout.make_drawable(top)}: expected a whole number from 1 on")


def read_texts(column: pd.Series) -> list[str | None]:
    """Return a column as texts that pandas can group by, None where there is none."""
    return [None if pd.isna(value) else encodable(str(value)) for value in column]


def read_numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where it holds no number, with a plain index."""
    found = pd.to_numeric(column, errors="coerce").astype("Float64").astype(float)
    return found.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)


def read_moments(frame: pd.DataFrame, name: str, source: str, *, nulls: bool = False) -> pd.Series:
    """Return a column's moments as matplotlib's dates, NaN where null is allowed, with a plain index.

    Raises
    ------
    RequestError
        When a value is no moment.
    """
    given = frame[name]
    found = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")
    wrong = found.isna() & (given.notna() if nulls else True)
    if wrong.any():
        seen = layout.make_drawable(given[wrong.to_numpy()].iloc[0])
        raise RequestError(f"{name!r} holds {seen!r}, expected a moment such as '2026-11-23': pass {source}")
    return pd.Series(date2num(found.dt.tz_localize(None).to_numpy()))


def format_days(dates: Sequence[float]) -> list[str]:
    """Return days in UTC, with the time of day where a day alone does not tell them apart."""
    stamps = [num2date(date, tz="UTC") for date in dates]
    apart = len({stamp.date() for stamp in stamps}) == len(set(stamps))
    return [f"{stamp:%Y-%m-%d}" if apart else f"{stamp:%Y-%m-%d %H:%M}" for stamp in stamps]


def name_rows(frame: pd.DataFrame) -> list[str]:
    """Return names as they can be drawn, with account and region where the frame has several."""
    columns = ["name", *(key for key in ("account", "region") if key in frame and frame[key].nunique() > 1)]
    rows = frame[columns].astype(object).itertuples(index=False)
    texts = (" · ".join(layout.make_drawable(value, 40) for value in row if not pd.isna(value)) for row in rows)
    return [text or "(no name)" for text in texts]
