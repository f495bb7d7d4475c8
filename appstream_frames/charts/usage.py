"""Which images serve the fleets, and which nobody uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import NOTHING, check, names, numbers

_KINDS = {"fleets": "fleet", "image_builders": "image builder", "accounts": "share", "images": "image"}


def usage(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the images that serve fleets, most fleets first, and below them those that nobody uses.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        What `asf.usage` gives, or some of its rows. An image that several accounts see is one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a figure of its own.
    top : int
        How many rows at most, about half of them for images that serve fleets.

    Returns
    -------
    matplotlib.axes.Axes
        With the finding as its title.

    Raises
    ------
    RequestError
        When `verdicts` lacks a column or `top` is no number of rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> known = {"account": "1", "region": "eu-west-1", "image_builders": 0, "accounts": 0, "images": 0}
    >>> verdicts = pd.DataFrame({"name": ["a", "b"], "arn": ["a", "b"], "fleets": [2, 0], "verdict": ["in_use", "unused"]})
    >>> usage(verdicts.assign(**known), Figure().subplots()).get_title()
    '1 of 2 images serves fleets; 1 is used by nobody'
    """
    check(verdicts, ["account", "region", "arn", "name", "verdict", *_KINDS], "what asf.usage(frames) gives", top)
    images = verdicts[verdicts["arn"].isna() | ~verdicts.duplicated(["region", "arn"])].reset_index(drop=True)
    if not len(images):
        return layout.draw_nothing(ax, NOTHING)
    images = images.assign(
        label=names(images), **{kind: numbers(images[kind]).fillna(0).astype(int) for kind in _KINDS}
    )
    verdict = images["verdict"].astype(object)
    serving = images[(verdict == "in_use") & (images["fleets"] > 0)].sort_values(
        "fleets", ascending=False, kind="stable"
    )
    others = images[(verdict == "in_use") & (images["fleets"] == 0)]
    unused = images[verdict == "unused"]
    unknown = len(images) - len(serving) - len(others) - len(unused)
    rows = top if ax is None else min(top, layout.available(ax).rows)
    half = max(1, (rows - bool(len(others)) - bool(unknown)) // 2)
    bars = _serving_bars(serving, half)
    if len(others):
        bars.append(Bar(layout.others(len(others), "image"), 0, layout.RECENT, words="in use, without a fleet"))
    bars += _unused_bars(unused["label"].to_list(), half)
    if unknown:
        bars.append(Bar(layout.others(unknown, "image"), 0, layout.UNKNOWN, words="unknown: not all was read"))
    title = f"{layout.share(len(serving), len(images), 'serve')} fleets"
    title += f"; {len(unused):,} {'is' if len(unused) == 1 else 'are'} used by nobody" if len(unused) else ""
    title += f"; {unknown:,} unknown" if unknown else ""
    return draw_bars(ax, bars, title, "Bars: fleets that start new instances from the image")


def _serving_bars(images: pd.DataFrame, most: int) -> list[Bar]:
    rows = [dict(zip(images.columns, row, strict=True)) for row in images.itertuples(index=False)]
    kept, rest = _first(rows, most)
    bars = [Bar(row["label"], row["fleets"], layout.NEWEST, words=_users(row)) for row in kept]
    if rest:
        together = sum(row["fleets"] for row in rest)
        bars.append(Bar(layout.others(len(rest)), 0, layout.RECENT, words=layout.others(together, "fleet")))
    return bars


def _users(row: dict[str, Any]) -> str:
    return ", ".join(layout.others(row[kind], word) for kind, word in _KINDS.items() if row[kind])


def _unused_bars(labels: Sequence[str], most: int) -> list[Bar]:
    kept, rest = _first(labels, most)
    bars = [Bar(label, 0, layout.BEHIND, words="used by nobody") for label in kept]
    return [*bars, Bar(layout.others(len(rest)), 0, layout.BEHIND, words="used by nobody")] if rest else bars


def _first(items: Sequence[Any], most: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the items that have a row of their own, and those that share one."""
    kept = len(items) if len(items) <= most else most - 1
    return items[:kept], items[kept:]
