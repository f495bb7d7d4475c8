"""When images came and went, drawn. One that nothing tells of is dotted, never drawn as if it were gone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import NOTHING, RowAxes, check, cut, days_of, moments, names, numbers, row_axes

_SOURCE = "what asf.timeline(root) gives"
_DAY = 86_400.0


@dataclass(frozen=True, order=True)
class _Life:
    """When an image came, when it was seen last and by when it was gone, in seconds (never: infinite); what is known of it."""

    first: float
    end: float
    name: str
    last: float
    came: bool
    state: str
    generations: int

    @property
    def kind(self) -> str:
        """What happened to it in the end; nothing to one that stayed."""
        return self.state if self.state != "there" else "came" if self.came else "rebuilt" if self.rebuilt else ""

    @property
    def rebuilt(self) -> str:
        """Words for the label."""
        return "" if self.generations < 2 else f" · rebuilt {self.generations - 1:,}×"


def timeline(lifetimes: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the lifetimes of images: a row each, from when it was first seen to when it was gone or to the right edge.

    The images that came, went or were rebuilt have rows, the latest first; all others are counted in words. A life is a bar
    as long as the image was seen; a thin line leads to the cross at the snapshot by which it was gone. Dots lead on where
    nothing tells whether it is still there. A label says how often an image was rebuilt under its name.

    Parameters
    ----------
    lifetimes : DataFrame
        What `appstream_frames.timeline` gives for images, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many images have a row of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `lifetimes` lacks a column or holds a moment that is none, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> lifetimes = pd.DataFrame({"name": ["a", "b"], "first_seen": "2026-10-05", "last_seen": ["2026-10-05", "2026-10-12"]})
    >>> lifetimes = lifetimes.assign(gone_by=["2026-10-12", None], generations=1)
    >>> timeline(lifetimes, Figure().subplots()).get_title()
    '1 of 2 images is gone between 2026-10-05 and 2026-10-12'
    """
    check(lifetimes, ("name", "first_seen", "last_seen", "gone_by", "generations"), _SOURCE, top)
    if not len(lifetimes):
        return layout.draw_nothing(ax, NOTHING)
    images = _read_lifetimes(lifetimes)
    kept, rest = cut(_telling(images), ax, top, 1)
    seen = sorted({moment for life in images for moment in (life.first, life.last, life.end) if np.isfinite(moment)})
    days = dict(zip(seen, days_of(seen), strict=True))
    labels = [(life.name, life.rebuilt) for life in sorted(kept)] + [("", "")] * bool(rest)
    axes = row_axes(ax, labels, _found(images, days), _key(images, days[seen[-1]]))
    axes = replace(axes, right=axes.right - GAP)
    places = {moment: axes.x(moment, seen[0], seen[-1]) for moment in seen}
    for row, life in enumerate(sorted(kept)):
        _life(axes, row + axes.lower, life, places, days)
    if rest:
        words = layout.shorten(f"{layout.others(len(rest))}: {_summary(rest)}", axes.width, axes.size)
        layout.write(axes.ax, len(kept), words, fontsize=axes.size)
    axes.axis([(places[moment], days[moment]) for moment in seen])
    return axes.ax


def _read_lifetimes(lifetimes: pd.DataFrame) -> list[_Life]:
    first, last = (moments(lifetimes, name, _SOURCE) for name in ("first_seen", "last_seen"))
    end = moments(lifetimes, "gone_by", _SOURCE, nulls=True)
    target = lifetimes[[key for key in ("account", "region") if key in lifetimes]].astype(object)
    number, _ = pd.factorize(np.array([str([*key]) for key in target.to_numpy()], object))  # also of no column
    came = first > first.groupby(number).transform("min")
    newest = max(last.max(), end.fillna(0).max()) // _DAY
    there = np.where(last // _DAY >= newest, "there", "unseen")
    state = np.where(end.notna(), "gone", there)
    generations = numbers(lifetimes["generations"]).fillna(1).clip(1, 10**6).astype(int)
    rows = zip(first, end.fillna(np.inf), names(lifetimes), last, came, state, generations, strict=True)
    return [_Life(*row) for row in rows]


def _telling(images: list[_Life]) -> list[_Life]:
    """Return the latest of each kind first, one after another, and those to which nothing happened last."""
    latest = sorted(images, key=lambda life: (-(life.end if life.state == "gone" else life.first), life.name))
    turns: defaultdict[str, Iterator[int]] = defaultdict(count)
    ranked = sorted((not life.kind, next(turns[life.kind]), life.kind, life) for life in latest)
    return [life for *_, life in ranked]


def _found(images: list[_Life], days: dict[float, str]) -> str:
    first, *_, last = [*days.values()] * 2
    gone = [days[life.end] for life in images if life.state == "gone"]
    when = (
        f"by {gone[0]}"
        if len(images) == len(gone) == 1
        else f"between {first} and {last}"
        if gone
        else f"from {first} to {last}"
    )
    counts = Counter(life.state for life in images)
    came, rebuilt = sum(life.came for life in images), sum(life.generations > 1 for life in images)
    title = f"{layout.share(counts['gone'], len(images), 'are')} gone {when}"
    named = ((came, "came"), (rebuilt, "rebuilt"), (counts["unseen"], "not seen lately"))
    return title + "".join(f"; {count:,} {words}" for count, words in named if count)


def _key(images: list[_Life], now: str) -> str:
    states = {life.state for life in images}
    words = {"there": f"blue: there on {now}", "gone": "grey: gone by the ×", "unseen": "dots: not known to be gone"}
    return " · ".join(word for state, word in words.items() if state in states)


def _summary(rest: list[_Life]) -> str:
    counts = Counter(life.kind for life in rest)
    words = {"gone": "gone", "came": "came", "rebuilt": "rebuilt", "": "stayed", "unseen": "not seen lately"}
    return ", ".join(f"{counts[kind]:,} {word}" for kind, word in words.items() if counts[kind])


def _life(axes: RowAxes, y: float, life: _Life, places: dict[float, float], days: dict[float, str]) -> None:
    start, last, edge = places[life.first], places[life.last], axes.right + GAP
    colour = layout.RECENT if life.state == "gone" else layout.FOLLOWS
    end = edge if life.state == "there" else last
    axes.ax.barh(y, max(2.0, end - start), 0.28 if axes.lower else 0.5, start, color=colour)
    font: dict[str, Any] = {"va": "center_baseline", "fontsize": max(6.0, axes.size - 1), "alpha": 0.75}
    if life.state == "unseen":
        axes.ax.plot([last + 2, edge], [y, y], ":", color=colour, linewidth=1.2)
    elif life.state == "gone":
        gone, words = places[life.end], f"gone by {days[life.end]}"
        axes.ax.plot([last, gone], [y, y], color=colour, linewidth=1)
        axes.ax.plot(gone, y, "x", color=layout.ink(axes.ax), markersize=4)
        if gone + GAP + layout.measure(words, font["fontsize"]) <= edge:
            layout.put(axes.ax, gone + GAP, y, words, **font)
    words = f"since {days[life.first]}"
    if life.came and start - GAP / 2 - layout.measure(words, font["fontsize"]) >= axes.left - GAP:
        layout.put(axes.ax, start - GAP / 2, y, words, ha="right", **font)
