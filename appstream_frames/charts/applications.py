"""Applications as bars: in how many images each is, and which of them differ between images."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import check, cut_rows, read_numbers, read_texts
from appstream_frames.charts.wording import format_count


def application_versions(versions: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw in how many images each application is: first those that differ between images, then those in most images.

    Parameters
    ----------
    versions : DataFrame
        What `appstream_frames.application_versions` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; by default a figure of its own, as tall as its rows need.
    top : int
        How many applications have a bar of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

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
    table = pd.DataFrame({"name": read_texts(versions["name"]), "images": read_numbers(versions["images"]).fillna(0)})
    found = table.groupby("name", dropna=False)["images"].agg(variants="size", images="sum").reset_index()
    found["differs"] = found["variants"] > 1
    kept, rest = cut_rows(
        found.sort_values(["differs", "variants", "images"], ascending=False, kind="stable"), ax, top, 0
    )
    bars = [_make_bar(row.name, int(row.images), int(row.variants)) for row in kept.itertuples(index=False)]
    if len(rest):
        most = int(rest["images"].max())
        words = f"up to {most:,}" if len(rest) > 1 else ""
        bars.append(Bar(format_count(len(rest), "more application"), most, layout.RECENT, words=words))
    note = "Numbers: images that hold it · green: several paths or parameters under one name"
    return draw_bars(ax, bars, _make_title(int(found["differs"].sum()), len(found)), note)


def _make_bar(name: object, images: int, variants: int) -> Bar:
    label = "(no name)" if pd.isna(name) else layout.make_drawable(name, 40)
    if variants == 1:
        return Bar(label, images, layout.RECENT)
    return Bar(f"{label} · {variants:,} variants", images, layout.SERIES[0], marked=True)


def _make_title(differing: int, total: int) -> str:
    counted = format_count(total, "application")
    if not differing:
        return f"None of {counted} differs between images"
    return f"{differing:,} of {counted} differ{'s' if differing == 1 else ''} between images"
