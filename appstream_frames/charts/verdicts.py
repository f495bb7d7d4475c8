"""The answers drawn: whose agent is behind and by how much, and how old the bases are.

Each chart takes what the function of its name gives. Nothing is read or judged here: verdicts are drawn as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import NOTHING, RowAxes, check, cut, names, numbers, row_axes, texts_of
from appstream_frames.insights.distinct import distinct_images

_COLOURS = {
    "known_bad": layout.OLD,
    "retired": layout.OLD,
    "behind": layout.BEHIND,
    "current": layout.NEWEST,
    "latest": layout.FOLLOWS,
}
_WORST = [*_COLOURS, "unknown"]
_BOXES = {
    "retired": "red: retired",
    "behind": "orange: behind",
    "current": "blue: newest",
    "unknown": "hollow: unknown",
}
_MONTH, _YEAR = 30.4375, 365.25
_STEPS = [
    *((number, 1.0, "day") for number in (1, 2, 7)),
    *((number, _MONTH, "month") for number in (1, 2, 3, 6)),
    *((number, _YEAR, "year") for number in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9)),
]
_NOT_BEHIND = {
    "current": ("pinned to the newest", "not behind"),
    "latest": ("follow AWS's newest", "not behind"),
    "unknown": ("unknown", "days not known"),
}


def agents(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how many days each image's agent is behind AWS's newest: known bad ones first, then those furthest behind.

    Images of one name share a bar, as long as the longest of them, and so do those that do not fit; those not behind, or
    unknown, have rows at 0. An image that several accounts see counts once.

    Parameters
    ----------
    verdicts : DataFrame
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
        `verdicts` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> verdicts = pd.DataFrame({"name": ["a", "b"], "verdict": ["behind", "latest"], "days_behind": [140, None]})
    >>> agents(verdicts, Figure().subplots()).get_title()
    "1 of 2 images is behind AWS's newest agent"
    """
    check(verdicts, ("name", "verdict", "days_behind"), "what asf.agents(images) gives", top)
    if not len(verdicts):
        return layout.draw_nothing(ax, NOTHING)
    verdicts = distinct_images(verdicts)
    kinds = _kinds(verdicts)
    counts = Counter(kinds)
    late = _by_name(verdicts, kinds)
    below = [
        Bar(f"{counts[verdict]:,} {words}", 0, _COLOURS.get(verdict, layout.UNKNOWN), words=value)
        for verdict, (words, value) in _NOT_BEHIND.items()
        if counts[verdict]
    ]
    kept, rest = cut(late, ax, top, len(below))
    bars = [_late_bar(each.label, each.most, each.known_bad, each.fewest < each.most) for each in kept]
    if rest:
        bad = sum(each.count for each in rest if each.known_bad)
        name = f"{layout.others(sum(each.count for each in rest))} behind" + (f", {bad:,} known bad" if bad else "")
        bars.append(_late_bar(name, max(each.most for each in rest), known_bad=False, several=True))
    found = f"{layout.share(counts['known_bad'] + counts['behind'], len(verdicts), 'are')} behind AWS's newest agent"
    title = found + _and(counts, ("known_bad", "known bad"), ("unknown", "unknown"))
    note = _legend({"known_bad": "red: known bad", "behind": "orange: behind"}, counts)
    return draw_bars(ax, [*bars, *below], title if counts["unknown"] < len(verdicts) else "No agent is known", note)


@dataclass(frozen=True)
class _Late:
    """Images of one name whose agent is behind: how many they are, and the fewest and most days behind among them."""

    label: str
    count: int
    fewest: float
    most: float
    known_bad: bool


def _by_name(verdicts: pd.DataFrame, kinds: list[str]) -> list[_Late]:
    """Return the images that are behind by name, known bad ones first, then those furthest behind."""
    days = numbers(verdicts["days_behind"]).fillna(0)
    table = pd.DataFrame({"name": texts_of(verdicts["name"]), "label": names(verdicts), "verdict": kinds, "days": days})
    late = table[table["verdict"].isin(["known_bad", "behind"])]
    groups = []
    for (name, verdict), rows in late.groupby(["name", "verdict"], dropna=False, sort=False):
        only = layout.drawable(name, 40) if not pd.isna(name) else "(no name)"
        label = rows["label"].iloc[0] if len(rows) == 1 else f"{only} · {len(rows):,} images"
        groups.append(_Late(label, len(rows), rows["days"].min(), rows["days"].max(), verdict == "known_bad"))
    return sorted(groups, key=lambda each: (not each.known_bad, -each.most, each.label))


def _late_bar(label: str, most: float, known_bad: bool, several: bool) -> Bar:
    days = f"{most:,.0f} day{'' if most == 1 else 's'}" if most > 0 else "days not known"
    words = ("up to " if several and most > 0 else "") + days + (" · known bad" if known_bad else "")
    return Bar(label, max(0, int(most)), layout.OLD if known_bad else layout.BEHIND, words=words)


def base_images(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how old the bases are that images stand on: a row per family, a box with the count of images per release.

    Time runs from left to right; AWS's newest release of a family is outlined, or a line where no image stands on it.
    Releases of one verdict that are too close to be drawn apart share a box at the oldest of them; those of different
    verdicts stand side by side. An image that several accounts see counts once.

    Parameters
    ----------
    verdicts : DataFrame
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
        `verdicts` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> verdicts = pd.DataFrame({"family": "Base RHEL8", "verdict": ["behind", "current"], "days_behind": [137, 0]})
    >>> base_images(verdicts.assign(age_days=[221, 84]), Figure().subplots()).get_title()
    '1 of 2 images stands on an outdated base'
    """
    check(verdicts, ("family", "verdict", "days_behind", "age_days"), "what asf.base_images(images) gives", top)
    if not len(verdicts):
        return layout.draw_nothing(ax, NOTHING)
    verdicts = distinct_images(verdicts)
    kinds, age = _kinds(verdicts), numbers(verdicts["age_days"]).where(lambda days: days >= 0)
    family = verdicts["family"].reset_index(drop=True).astype(object)
    table = pd.DataFrame({"family": family.where(family.notna(), None), "verdict": kinds, "age": age})
    table["newest"] = (age - numbers(verdicts["days_behind"])).where(lambda days: days >= 0)
    ranked = table["family"].value_counts(dropna=False, sort=True).items()
    kept, rest = cut([None if pd.isna(name) else name for name, _ in ranked], ax, top, 1)
    groups = [table[table["family"].isin([name])] for name in kept]
    labels = ["base unknown" if name is None else layout.drawable(name, 40) for name in kept]
    if rest:
        groups.append(table[table["family"].isin(rest)].assign(newest=np.nan))
        labels.append(layout.others(len(rest)))
    counts, dated = Counter(kinds), table.dropna(subset="age")
    title = f"{layout.share(counts['behind'] + counts['retired'], len(table), 'stand')} on an outdated base"
    title += _and(counts, ("retired", "on one that AWS retired"), ("unknown", "unknown"))
    note = "Outlined: AWS's newest · " + _legend(_BOXES, Counter(dated["verdict"]))
    tails = [(label, f" · {len(group):,}") for label, group in zip(labels, groups, strict=True)]
    axes = row_axes(ax, tails, title if counts["unknown"] < len(table) else "No base is known", note)
    oldest = max(1.0, dated["age"].max()) if len(dated) else 1.0
    axes.axis([(axes.x(days, oldest, 0.0), words) for days, words in _ages(oldest)])
    for row, group in enumerate(groups):
        _boxes(axes, row, group.dropna(subset="age"), oldest)
    return axes.ax


def _ages(oldest: float) -> list[tuple[float, str]]:
    """Return round ages up to the oldest, oldest first."""
    number, unit, word = next(step for step in _STEPS if oldest <= step[0] * step[1] * 7)
    ages = [number * times for times in range(1, 1 + int(oldest / (number * unit)))]
    return [*((age * unit, layout.others(age, word)) for age in reversed(ages)), (0.0, "today")]


@dataclass(frozen=True)
class _Box:
    """Images of one verdict whose bases are about equally old, and where in the row they belong."""

    x: float
    verdict: str
    ages: list[float]


def _boxes(axes: RowAxes, row: int, group: pd.DataFrame, oldest: float) -> None:
    """Write counts in boxes, oldest first, none over another, and mark the newest release."""
    newest, middle = group["newest"].min(), row + axes.lower
    if newest <= oldest and not (group["age"] == newest).any():
        x = axes.x(newest, oldest, 0.0)
        axes.ax.plot([x, x], [middle - 0.22, middle + 0.22], color=layout.ink(axes.ax), linewidth=2, zorder=1)
    apart = layout.measure(f"{len(group):,}", axes.size) + 9
    boxes = _shared(axes, group, oldest, apart)
    for x, box in zip(_side_by_side([box.x for box in boxes], apart, axes.right), boxes, strict=True):
        edge: dict[str, Any] = {"edgecolor": layout.RECENT, "linewidth": 0.6}
        if newest in box.ages:
            edge = {"edgecolor": layout.ink(axes.ax), "linewidth": 1.4}
        colour = _COLOURS.get(box.verdict, layout.UNKNOWN)
        font: dict[str, Any] = {
            "color": layout.ink(axes.ax) if colour == layout.UNKNOWN else "black",
            "fontsize": max(6.0, axes.size - 1),
        }
        shape = {"boxstyle": f"round,pad={0.15 if axes.lower else 0.25}", "facecolor": colour, **edge}
        layout.put(axes.ax, x, middle, f"{len(box.ages):,}", ha="center", va="center_baseline", bbox=shape, **font)


def _shared(axes: RowAxes, group: pd.DataFrame, oldest: float, apart: float) -> list[_Box]:
    """Return boxes from left to right, so few that none overlap."""
    gap = apart
    while True:
        boxes: list[_Box] = []
        for verdict in _WORST:
            for age in sorted(group.loc[group["verdict"] == verdict, "age"], reverse=True):
                x = axes.x(age, oldest, 0.0)
                if not boxes or boxes[-1].verdict != verdict or x - boxes[-1].x >= gap:
                    boxes.append(_Box(x, verdict, []))
                boxes[-1].ages.append(age)
        if (len(boxes) - 1) * apart <= axes.right - axes.left or gap > axes.width:
            return sorted(boxes, key=lambda box: box.x)
        gap *= 1.5


def _side_by_side(places: list[float], apart: float, right: float) -> list[float]:
    """Return positions, each as close to where it was as it can be when none overlap."""
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + apart)
    limit = right
    for number in range(len(places) - 1, -1, -1):
        places[number] = min(places[number], limit)
        limit = places[number] - apart
    return places


def _kinds(verdicts: pd.DataFrame) -> list[str]:
    return [
        verdict if isinstance(verdict, str) and verdict in _COLOURS else "unknown" for verdict in verdicts["verdict"]
    ]


def _and(counts: Counter[str], *named: tuple[str, str]) -> str:
    return "".join(f"; {counts[verdict]:,} {words}" for verdict, words in named if counts[verdict])


def _legend(words: dict[str, str], counts: Counter[str]) -> str:
    return " · ".join(word for verdict, word in words.items() if counts[verdict])
