"""The answers drawn: who is behind and by how much, counts over time, when things came and went, what was read.

Each chart takes what the function of its name gives. Nothing is asked, read or judged here: verdicts are drawn as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames import charts_style as style
from appstream_frames.charts_style import GAP, PLAIN, Bar
from appstream_frames.errors import RequestError

_NOTHING = "Nothing to draw"
_COLOURS = {
    "known_bad": style.OLD,
    "retired": style.OLD,
    "behind": style.BEHIND,
    "current": style.NEWEST,
    "latest": style.FOLLOWS,
}
_WORST = [*_COLOURS]
_SERIES = (style.FOLLOWS, style.BEHIND, "#009E73", "#CC79A7", style.NEWEST, style.OLD, "#F0E442", "#882255")
_FEWEST_DAYS, _HALF = 1.0, 0.31


def agents(answer: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how many days each image's agent is behind AWS's newest: known bad ones first, then those furthest behind.

    Images that find no room share a bar, as long as the worst of them; those that are not behind have a row at 0.

    Parameters
    ----------
    answer : DataFrame
        What `appstream_frames.agents` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many images have a bar of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `answer` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> answer = pd.DataFrame({"name": ["a", "b"], "verdict": ["behind", "latest"], "days_behind": [140, None]})
    >>> agents(answer, Figure().subplots()).get_title()
    "1 of 2 images is behind AWS's newest agent"
    """
    _check(answer, ("name", "verdict", "days_behind"), "what asf.agents(images) gives", top)
    if not len(answer):
        return style.draw_nothing(ax, _NOTHING)
    verdicts = _verdicts(answer)
    late = [
        (verdict != "known_bad", -days, name, verdict)
        for name, verdict, days in zip(_names(answer), verdicts, _numbers(answer["days_behind"]), strict=True)
        if verdict in ("known_bad", "behind")
    ]
    kept, rest = _cut(sorted(late), ax, top, 3)
    bars = [_late_bar(-days if days == days else 0, name, verdict) for _, days, name, verdict in kept]
    if rest:
        longest = max((-days for _, days, *_ in rest if days == days), default=0)
        worst = min((verdict for *_, verdict in rest), key=_WORST.index)
        bars.append(_late_bar(longest, f"{len(rest):,} others behind", worst, "up to "))
    counts = Counter(verdicts)
    for verdict, words in (("latest", "follow AWS's newest"), ("current", "pinned to the newest")):
        if counts[verdict]:
            bars.append(Bar(f"{counts[verdict]:,} {words}", 0, _COLOURS[verdict], words="not behind"))
    found = f"{style.share(len(late), len(answer), 'are')} behind AWS's newest agent"
    title = found + _and(counts, ("known_bad", "known bad"), ("unknown", "unknown"))
    return style.draw_bars(ax, bars or [Bar("not known", 0, style.UNKNOWN, words="?")], title, _legend(counts))


def _late_bar(days: float, name: str, verdict: str, up_to: str = "") -> Bar:
    words = f"{up_to}{days:,.0f} day{'' if days == 1 else 's'}" if days else "days not known"
    return Bar(name, int(days), _COLOURS[verdict], words=words + (" · known bad" if verdict == "known_bad" else ""))


def base_images(answer: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how old the bases are that images stand on: a row per family, a box with the count of images per release.

    Time runs from left to right; the triangle is AWS's newest release of the family. Releases too close to be drawn apart
    share the box of the oldest of them, in the colour of the worst.

    Parameters
    ----------
    answer : DataFrame
        What `appstream_frames.base_images` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many families have a row of their own, at most; those with the most images come first.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `answer` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> answer = pd.DataFrame({"family": "Base RHEL8", "verdict": ["behind", "current"], "days_behind": [137, 0]})
    >>> base_images(answer.assign(age_days=[221, 84]), Figure().subplots()).get_title()
    '1 of 2 images stands on an outdated base'
    """
    _check(answer, ("family", "verdict", "days_behind", "age_days"), "what asf.base_images(images) gives", top)
    if not len(answer):
        return style.draw_nothing(ax, _NOTHING)
    verdicts, age = _verdicts(answer), _numbers(answer["age_days"]).where(lambda days: days >= 0)
    family = answer["family"].reset_index(drop=True).astype(object)
    table = pd.DataFrame({"family": family.where(family.notna(), None), "verdict": verdicts, "age": age})
    table["newest"] = (age - _numbers(answer["days_behind"])).where(lambda days: days >= 0)
    ranked = table["family"].value_counts(dropna=False, sort=True).items()
    kept, rest = _cut([(None if pd.isna(name) else name, count) for name, count in ranked], ax, top, 2)
    groups = [table[table["family"].isin([name])] for name, _ in kept]
    labels = [f"{'base unknown' if name is None else style.drawable(name, 40)} · {count:,}" for name, count in kept]
    if rest:
        groups.append(table[table["family"].isin([name for name, _ in rest])])
        labels.append(f"{len(rest):,} others · {len(groups[-1]):,}")
    counts = Counter(verdicts)
    title = f"{style.share(counts['behind'] + counts['retired'], len(table), 'stand')} on an outdated base"
    title += _and(counts, ("retired", "on one that AWS retired"), ("unknown", "unknown"))
    strip = _strip(ax, labels, title, f"▼ AWS's newest · {_legend(counts)}")
    oldest = max(1.0, age.max()) if age.notna().any() else 1.0
    strip.axis(oldest, 0.0, lambda days: style.age(round(days)))
    for row, group in enumerate(groups):
        _boxes(strip, row, group.dropna(subset="age"), oldest)
        if len(newest := group["newest"].dropna()) and labels[row:] != labels[-1:] * bool(rest):
            strip.ax.plot(strip.x(newest.min(), oldest, 0), row + strip.lower - 0.36, "v", ms=5, mew=0, color="black")
    return strip.ax


def _boxes(strip: _Strip, row: int, group: pd.DataFrame, oldest: float) -> None:
    """Write counts in boxes, oldest first, none over another."""
    apart = style.measure(f"{len(group):,}", strip.size) + 6
    boxes: list[tuple[float, list[str]]] = []
    for age, verdict in sorted(zip(group["age"], group["verdict"], strict=True), key=lambda one: -one[0]):
        x = strip.x(age, oldest, 0)
        if not boxes or x - boxes[-1][0] >= apart:
            boxes.append((x, []))
        boxes[-1][1].append(verdict)
    for x, verdicts in boxes:
        colour = _COLOURS.get(min(verdicts, key=[*_WORST, "unknown"].index), "white")
        box = {"boxstyle": "round,pad=0.18", "facecolor": colour, "edgecolor": style.RECENT, "linewidth": 0.6}
        ink = {"color": "white" if colour == style.OLD else "black", "fontsize": strip.size - 1}
        strip.ax.text(x, row + strip.lower, f"{len(verdicts):,}", ha="center", va="center", bbox=box, **ink, **PLAIN)


def trend(counts: pd.DataFrame, ax: Axes | None = None, *, top: int = 8) -> Axes:
    """Draw counts stacked over time, each from its snapshot to the next; where counts are missing, hatching is above.

    The values with the highest counts have a colour each, all others share one; each is named at the right end, with its
    last count. What was not read whole is never drawn as if it were 0: hatching reaches from what is known to the top.

    Parameters
    ----------
    counts : DataFrame
        What `appstream_frames.trend` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made.
    top : int
        How many values have a colour of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `counts` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> counts = pd.DataFrame({"snapshot": ["2026-10-05", "2026-10-12"], "platform": "RHEL8", "count": [12, 14]})
    >>> trend(counts, Figure().subplots()).get_title()
    '12 on 2026-10-05, 14 on 2026-10-12: RHEL8 +2'
    """
    _check(counts, ("snapshot", "count"), "what asf.trend(root, by=…) gives", top)
    table = _stacked(counts)
    if not table.size:
        return style.draw_nothing(ax, _NOTHING)
    gaps = table.isna().any(axis=1)
    rows = style.room(ax).rows
    shown = min(top, len(_SERIES), rows - 3)
    if table.shape[1] > shown + 1:
        others = table.iloc[:, shown:].sum(axis=1, skipna=False).rename(f"{table.shape[1] - shown:,} others")
        table = table.iloc[:, :shown].join(others)
    ax, space, size = style.ruled(ax, rows, _change(table, gaps), "Hatched: not read whole" if gaps.any() else "UTC")
    strip = _Strip(ax, GAP + style.measure(f"{table.sum(axis=1).max():,.0f}", size), space.width * 0.62, 0.0, size, rows - 1)
    ax.set_xlim(0, space.width)
    _areas(strip, table, gaps)
    return ax
