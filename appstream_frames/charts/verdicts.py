"""The answers drawn: whose agent is behind and by how much, and how old the bases are.

Each chart takes what the function of its name gives. Nothing is read or judged here: verdicts are drawn as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.layout import GAP
from appstream_frames.charts.rows import check, cut_rows, label_rows, name_rows, read_numbers, read_texts
from appstream_frames.charts.wording import format_count, format_share
from appstream_frames.insights.rows import keep_distinct_images

_COLOURS = {
    "known_bad": layout.OLD,
    "retired": layout.OLD,
    "behind": layout.BEHIND,
    "current": layout.NEWEST,
    "latest": layout.FOLLOWS,
    "unknown": layout.UNKNOWN,
    "not_applicable": layout.UNKNOWN,
}
_WORST = [*_COLOURS]
_AGENTS = {"known_bad": "red: known bad", "behind": "orange: behind"}
_BASES = {
    "retired": "red: retired",
    "behind": "orange: behind",
    "current": "blue: newest",
    "unknown": "hollow: unknown",
    "not_applicable": "hollow: none of AWS's",
}
#: A unit of age, its days, and the greatest age that is told in it.
_UNITS = [("day", 1.0, 49.0), ("month", 30.4375, 1278.0), ("year", 365.25, float("inf"))]
_LABELS = 0.42  # of the width, at most
_NOT_BEHIND = {
    "current": ("pinned to the newest", "pinned to the newest", "not behind"),
    "latest": ("follows AWS's newest", "follow AWS's newest", "not behind"),
    "unknown": ("unknown", "unknown", "days not known"),
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
        Where to draw; by default a figure of its own, as tall as its rows need.
    top : int
        How many images have a bar of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> verdicts = pd.DataFrame({"name": ["a", "b"], "verdict": ["behind", "latest"], "days_behind": [140, None]})
    >>> agents(verdicts, Figure().subplots()).get_title()
    "1 of 2 images is behind AWS's newest agent"
    """
    check(verdicts, ("name", "verdict", "days_behind"), "what asf.agents(images) gives", top)
    if not len(verdicts):
        return layout.draw_nothing(ax)
    verdicts = keep_distinct_images(verdicts)
    kinds = _read_kinds(verdicts)
    counts = Counter(kinds)
    below = [
        Bar(f"{counts[verdict]:,} {one if counts[verdict] == 1 else many}", 0, _COLOURS[verdict], words=value)
        for verdict, (one, many, value) in _NOT_BEHIND.items()
        if counts[verdict]
    ]
    kept, rest = cut_rows(_group_late(verdicts, kinds), ax, top, len(below))
    rows = kept.itertuples(index=False)
    bars = [_make_late_bar(row.label, row.most, row.verdict == "known_bad", row.fewest < row.most) for row in rows]
    if len(rest):
        bad = rest.loc[rest["verdict"] == "known_bad", "images"].sum()
        label = f"{format_count(rest['images'].sum())} behind" + (f", {bad:,} known bad" if bad else "")
        bars.append(_make_late_bar(label, rest["most"].max(), known_bad=False, several=True))
    return draw_bars(ax, [*bars, *below], _make_agent_title(counts), _explain(_AGENTS, kinds))


def _make_agent_title(counts: Counter[str]) -> str:
    total = counts.total()
    if counts["unknown"] == total:
        return "No agent is known"
    title = f"{format_share(counts['known_bad'] + counts['behind'], total, 'are')} behind AWS's newest agent"
    return title + _count_kinds(counts, {"known_bad": "known bad", "unknown": "unknown"})


def _group_late(verdicts: pd.DataFrame, kinds: list[str]) -> pd.DataFrame:
    """Return the images that are behind by name, known bad ones first, then those furthest behind."""
    table = pd.DataFrame({"name": read_texts(verdicts["name"]), "label": name_rows(verdicts), "verdict": kinds})
    table["days"] = read_numbers(verdicts["days_behind"]).fillna(0)
    grouped = table[table["verdict"].isin(_AGENTS)].groupby(["name", "verdict"], dropna=False, sort=False)
    late = grouped.agg(
        label=("label", "first"), images=("days", "size"), fewest=("days", "min"), most=("days", "max")
    ).reset_index()
    several = late["images"] > 1
    late.loc[several, "label"] = [
        f"{'(no name)' if pd.isna(name) else layout.make_drawable(name, 40)} · {count:,} images"
        for name, count in late.loc[several, ["name", "images"]].itertuples(index=False)
    ]
    return late.assign(first=late["verdict"] != "known_bad", days=-late["most"]).sort_values(["first", "days", "label"])


def _make_late_bar(label: str, most: float, known_bad: bool, several: bool) -> Bar:
    days = format_count(int(most), "day") if most > 0 else "days not known"
    words = ("up to " if several and most > 0 else "") + days + (" · known bad" if known_bad else "")
    return Bar(label, max(0, int(most)), _COLOURS["known_bad" if known_bad else "behind"], words=words)


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
        Where to draw; by default a figure of its own, as tall as its rows need.
    top : int
        How many families have a row of their own, at most; those with the most images come first.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> verdicts = pd.DataFrame({"family": "Base RHEL8", "verdict": ["behind", "current"], "days_behind": [137, 0]})
    >>> base_images(verdicts.assign(age_days=[221, 84]), Figure().subplots()).get_title()
    '1 of 2 images stands on an outdated base'
    """
    check(verdicts, ("family", "verdict", "days_behind", "age_days"), "what asf.base_images(images) gives", top)
    if not len(verdicts):
        return layout.draw_nothing(ax)
    verdicts = keep_distinct_images(verdicts)
    kinds, age = _read_kinds(verdicts), read_numbers(verdicts["age_days"]).where(lambda days: days >= 0)
    newest = (age - read_numbers(verdicts["days_behind"])).where(lambda days: days >= 0)
    table = pd.DataFrame({"family": read_texts(verdicts["family"]), "verdict": kinds, "age": age, "newest": newest})
    table["family"] = table["family"].mask(table["verdict"] == "not_applicable", "none of AWS's")
    groups = sorted(table.groupby("family", dropna=False), key=lambda one: -len(one[1]))
    kept, rest = cut_rows(groups, ax, top, 1)
    if rest:
        others = pd.concat([group for _, group in rest])
        kept = [*kept, (format_count(len(rest)), others.assign(newest=np.nan))]
    labels = [
        ("base unknown" if pd.isna(name) else layout.make_drawable(name, 40), f" · {len(group):,}")
        for name, group in kept
    ]
    dated = table.dropna(subset="age")
    note = "Outlined: AWS's newest · " + _explain(_BASES, dated["verdict"])
    title = _make_base_title(Counter(kinds))
    ax, _, size = layout.set_out_rows(ax, len(labels) + 1, title, note)
    left, lower = label_rows(ax, labels, size, _LABELS)
    oldest = max(1.0, dated["age"].max()) if len(dated) else 1.0
    point = -layout.set_range(ax, oldest, 0, left + 3 * GAP, 2 * GAP)
    for row, (_, group) in enumerate(kept):
        _draw_boxes(ax, row + lower, group.dropna(subset="age"), oldest, point, max(6.0, size - 1))
    ages = _round_ages(oldest, int(oldest / point / (5.5 * size)))
    layout.draw_scale(ax, [*ages.values()], [*ages], len(labels) - 0.5, -0.5, size)
    return ax


def _make_base_title(counts: Counter[str]) -> str:
    total = counts.total()
    if counts["unknown"] == total:
        return "No base is known"
    title = f"{format_share(counts['behind'] + counts['retired'], total, 'stand')} on an outdated base"
    others = {"retired": "on one that AWS retired", "not_applicable": "on none of AWS's", "unknown": "unknown"}
    return title + _count_kinds(counts, others)


def _round_ages(oldest: float, most: int) -> dict[str, float]:
    """Return words for today and for a few round ages, and how many days each is."""
    word, days, _ = next(unit for unit in _UNITS if oldest <= unit[2])
    locator = MaxNLocator(min(7, max(1, most)), integer=True, steps=[1, 2, 3, 5, 6, 10])
    ages = [int(age) for age in locator.tick_values(0, oldest / days) if 0 < age * days <= oldest]
    return {"today": 0.0, **{format_count(age, word): age * days for age in ages}}


@dataclass(frozen=True)
class _Box:
    """The ages of bases of one verdict that are too close to be drawn apart, oldest first."""

    verdict: str
    ages: list[float]


def _draw_boxes(ax: Axes, y: float, group: pd.DataFrame, oldest: float, point: float, size: float) -> None:
    """Write counts in boxes, oldest first, none over another, and mark the newest release."""
    newest = group["newest"].min()
    if newest <= oldest and not (group["age"] == newest).any():
        ax.plot([newest] * 2, [y - 0.22, y + 0.22], color=layout.find_text_colour(ax), linewidth=2, zorder=1)
    gap = width = (layout.measure(f"{len(group):,}", size + 1) + 9) * point  # in days
    while (len(boxes := _share_boxes(group, gap)) - 1) * width > oldest and gap <= oldest:
        gap *= 1.5
    for age, box in zip(_set_apart([box.ages[0] for box in boxes], width), boxes, strict=True):
        colour = _COLOURS[box.verdict]
        edge = (layout.find_text_colour(ax), 1.4) if newest in box.ages else (layout.RECENT, 0.6)
        shape = {"boxstyle": f"round,pad={0.15 if y % 1 else 0.25}", "edgecolor": edge[0], "linewidth": edge[1]}
        text = layout.find_text_colour(ax) if colour == layout.UNKNOWN else "black"
        font = {"color": text, "fontsize": size, "ha": "center"}
        layout.write_text(ax, age, y, f"{len(box.ages):,}", bbox={"facecolor": colour, **shape}, **font)


def _share_boxes(group: pd.DataFrame, gap: float) -> list[_Box]:
    """Return boxes of one verdict each, oldest first; of one verdict, each begins so many days after the one before."""
    boxes: list[_Box] = []
    for verdict, ages in group.sort_values("age", ascending=False).groupby("verdict")["age"]:
        begin = np.inf
        for age in ages:
            if begin - age >= gap:
                begin = age
                boxes.append(_Box(verdict, []))
            boxes[-1].ages.append(age)
    return sorted(boxes, key=lambda box: (-box.ages[0], _WORST.index(box.verdict)))


def _set_apart(ages: list[float], width: float) -> list[float]:
    """Return where boxes stand that are so wide, oldest first: as close to their ages as they can be without an overlap."""
    for number in range(1, len(ages)):
        ages[number] = min(ages[number], ages[number - 1] - width)
    for number, fewest in enumerate(np.arange(len(ages))[::-1] * width):
        ages[number] = max(ages[number], fewest)  # room for those that follow
    return ages


def _read_kinds(verdicts: pd.DataFrame) -> list[str]:
    return [one if isinstance(one, str) and one in _COLOURS else "unknown" for one in verdicts["verdict"]]


def _count_kinds(counts: Counter[str], words: dict[str, str]) -> str:
    return "".join(f"; {counts[verdict]:,} {word}" for verdict, word in words.items() if counts[verdict])


def _explain(words: dict[str, str], verdicts: Iterable[str]) -> str:
    """Return what the colours mean that are drawn."""
    return " · ".join(word for verdict, word in words.items() if verdict in set(verdicts))
