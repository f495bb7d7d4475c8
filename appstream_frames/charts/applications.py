"""Applications as bars: in how many images each is, and which of them differ between images."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import check, cut, numbers, texts_of


def application_versions(versions: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw in how many images each application is: first those that differ between images, then those in most images.

    Parameters
    ----------
    versions : DataFrame
        What `appstream_frames.application_versions` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many applications have a bar of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `versions` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> versions = pd.DataFrame({"name": ["CAD", "CAD", "Chrome"], "images": [2, 1, 9]})
    >>> application_versions(versions, Figure().subplots()).get_title()
    '1 of 2 applications differs between images'
    """
    check(versions, ("name", "images"), "what asf.application_versions(frames) gives", top)
    if not len(versions):
        return layout.draw_nothing(ax, "No applications")
    table = pd.DataFrame({"name": texts_of(versions["name"]), "images": numbers(versions["images"]).fillna(0)})
    found = table.groupby("name", dropna=False, sort=True)["images"].agg(["size", "sum"]).reset_index()
    found["differs"] = found["size"] > 1
    ranked = found.sort_values(["differs", "size", "sum"], ascending=False, kind="stable")
    kept, rest = cut(list(ranked.itertuples(index=False)), ax, top, 0)
    bars = [_bar(name, int(count), int(variants)) for name, variants, count, _ in kept]
    if rest:
        most = int(max(count for _, _, count, _ in rest))
        label = f"{len(rest):,} more application{'' if len(rest) == 1 else 's'}"
        bars.append(Bar(label, most, layout.RECENT, words=f"up to {most:,}" if len(rest) > 1 else ""))
    note = "Numbers: images that hold it · green: several paths or parameters under one name"
    return draw_bars(ax, bars, _title(int(found["differs"].sum()), len(found)), note)


def _bar(name: object, images: int, variants: int) -> Bar:
    label = "(no name)" if pd.isna(name) else layout.drawable(name, 40)
    if variants == 1:
        return Bar(label, images, layout.RECENT)
    return Bar(f"{label} · {variants:,} variants", images, layout.SERIES[0], marked=True)


def _title(differing: int, total: int) -> str:
    counted = f"{total:,} application{'' if total == 1 else 's'}"
    if not differing:
        return f"None of {counted} differs between images"
    return f"{differing:,} of {counted} differ{'s' if differing == 1 else ''} between images"
