"""When images came and went, drawn. One that nothing tells of is dotted, never drawn as if it were gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import (
    check,
    cut_rows,
    format_days,
    label_rows,
    name_rows,
    read_moments,
    read_numbers,
)
from appstream_frames.charts.wording import format_count, format_share

_SOURCE = "what asf.timeline(root) gives"
_LABELS = 0.42  # of the width, at most
_WORDS = {"gone": "gone", "came": "came", "rebuilt": "rebuilt", "stayed": "stayed", "unseen": "not seen lately"}


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
        Where to draw; by default a figure of its own, as tall as its rows need.
    top : int
        How many images have a row of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

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
        return layout.draw_nothing(ax)
    images = _read_lifetimes(lifetimes)
    kept, rest = cut_rows(_rank(images), ax, top, 1)
    kept = kept.sort_values(["first", "gone", "name"], kind="stable")
    seen = np.unique(images[["first", "last", "gone"]].to_numpy())
    seen = seen[~np.isnan(seen)]
    days = dict(zip(seen, format_days(seen), strict=True))
    rows = len(kept) + bool(len(rest))
    ax, space, size = layout.set_out_rows(ax, rows + 1, _make_title(images, days), _make_note(images, days[seen[-1]]))
    rebuilt = [f" · rebuilt {count - 1:,}×" if count > 1 else "" for count in kept["generations"]]
    left, lower = label_rows(ax, [*zip(kept["name"], rebuilt, strict=True)], size, _LABELS)
    if len(rest):
        counts = rest["kind"].value_counts()
        words = ", ".join(f"{counts[kind]:,} {word}" for kind, word in _WORDS.items() if kind in counts)
        words = layout.shorten(f"{format_count(len(rest))}: {words}", space.width, size)
        layout.write_label(ax, len(kept), words, fontsize=size)
    last = seen[-1] if len(seen) > 1 else seen[0] + 1  # a day
    point = layout.set_range(ax, seen[0], last, left + 2 * GAP, 3 * GAP)
    _draw_lifetimes(ax, kept, days, lower, last + GAP * point, size)
    layout.draw_dates(ax, seen[0], seen[-1], rows - 0.5, -0.5, size)
    return ax


def _read_lifetimes(lifetimes: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image: its moments, its state (there, gone or unseen), and what happened to it, its kind."""
    first, last = (read_moments(lifetimes, name, _SOURCE) for name in ("first_seen", "last_seen"))
    gone = read_moments(lifetimes, "gone_by", _SOURCE, nulls=True)
    images = pd.DataFrame({"name": name_rows(lifetimes), "first": first, "last": last, "gone": gone})
    images["generations"] = read_numbers(lifetimes["generations"]).fillna(1).clip(1, 10**6).astype(int)
    target = [ascii([*key]) for key in lifetimes.reindex(columns=["account", "region"]).astype(object).to_numpy()]
    images["came"] = first > first.groupby(target).transform("min")
    newest = np.floor(np.nanmax([last.max(), gone.max()]))
    images["state"] = np.select([gone.notna(), np.floor(last) >= newest], ["gone", "there"], "unseen")
    happened = [images["state"] != "there", images["came"], images["generations"] > 1]
    return images.assign(kind=np.select(happened, [images["state"], "came", "rebuilt"], "stayed"))


def _rank(images: pd.DataFrame) -> pd.DataFrame:
    """Return the latest of each kind first, one after another, and those to which nothing happened last."""
    when = images["gone"].where(images["state"] == "gone", images["first"])
    latest = images.assign(when=-when).sort_values(["when", "name", "first", "last"])
    latest = latest.assign(turn=latest.groupby("kind").cumcount(), stayed=latest["kind"] == "stayed")
    return latest.sort_values(["stayed", "turn", "kind"])


def _make_title(images: pd.DataFrame, days: dict[float, str]) -> str:
    gone, unseen = (int((images["state"] == state).sum()) for state in ("gone", "unseen"))
    first, *_, last = [*days.values()] * 2
    when = f"between {first} and {last}" if gone else f"from {first} to {last}"
    when = f"by {last}" if gone == len(images) == 1 else when
    others = {"came": images["came"].sum(), "rebuilt": (images["generations"] > 1).sum(), "not seen lately": unseen}
    words = [f"; {count:,} {what}" for what, count in others.items() if count]
    return f"{format_share(gone, len(images), 'are')} gone {when}{''.join(words)}"


def _make_note(images: pd.DataFrame, now: str) -> str:
    words = {"there": f"blue: there on {now}", "gone": "grey: gone by the ×", "unseen": "dots: not known to be gone"}
    return " · ".join(word for state, word in words.items() if state in set(images["state"]))


def _draw_lifetimes(
    ax: Axes, images: pd.DataFrame, days: dict[float, str], lower: float, right: float, size: float
) -> None:
    point = np.ptp(ax.get_xlim()) / layout.measure_axes(ax).width
    left = min(days) - GAP * point
    ends = images["last"].where(images["state"] != "there", right)
    colours = [layout.RECENT if state == "gone" else layout.FOLLOWS for state in images["state"]]
    rows = np.arange(len(images)) + lower
    ax.barh(rows, np.maximum(2 * point, ends - images["first"]), 0.28 if lower else 0.5, images["first"], color=colours)
    font: dict[str, Any] = {"fontsize": max(6.0, size - 1), "alpha": layout.SOFT}
    for y, life in zip(rows, images.itertuples(index=False), strict=True):
        if life.state == "unseen":
            ax.plot([life.last + 2 * point, right], [y, y], ":", color=layout.FOLLOWS, linewidth=1.2)
        if life.state == "gone":
            ax.plot([life.last, life.gone], [y, y], color=layout.RECENT, linewidth=1)
            ax.plot(life.gone, y, "x", color=layout.find_text_colour(ax), markersize=4)
            words, start = f"gone by {days[life.gone]}", life.gone + GAP * point
            if start + layout.measure(words, font["fontsize"]) * point <= right:
                layout.write_text(ax, start, y, words, **font)
        words, end = f"since {days[life.first]}", life.first - GAP / 2 * point
        if life.came and end - layout.measure(words, font["fontsize"]) * point >= left:
            layout.write_text(ax, end, y, words, ha="right", **font)
