"""The ages of the base images that images were built on, as boxes along a time axis."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from appstream_frames.charts import layout, rows
from appstream_frames.charts.layout import GAP
from appstream_frames.insights.rows import keep_distinct_images
from appstream_frames.text import format_count, format_share

_VERDICTS = {  # worst first: verdict → colour, words in the note
    "retired": (layout.OLD, "red: retired"),
    "behind": (layout.BEHIND, "orange: behind"),
    "current": (layout.NEWEST, "blue: newest"),
    "unknown": (layout.UNKNOWN, "hollow: unknown"),
    "not_applicable": (layout.UNKNOWN, "hollow: none of AWS's"),
}
#: A unit of age, its length in days, and the greatest age in days that it is used for.
_UNITS = [("day", 1.0, 49.0), ("month", 30.4375, 1278.0), ("year", 365.25, float("inf"))]
_LABELS = 0.42  # maximum share of the width


def base_images(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the ages of the bases that images were built on: a row per family, a box with the number of images per release.

    Time runs from left to right; AWS's newest release of a family is outlined, or a line if no image uses it. Releases with
    the same verdict that are too close to be drawn separately share a box at the oldest of them; those with different verdicts
    are drawn side by side. An image that several accounts see counts once.

    Parameters
    ----------
    verdicts : DataFrame
        The result of `appstream_frames.base_images`, or some of its rows.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of families with their own row; those with the most images come first.

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
    rows.check(verdicts, ("family", "verdict", "days_behind", "age_days"), "what asf.base_images(images) gives", top)
    if not len(verdicts):
        return layout.draw_nothing(ax)
    table = _read_bases(keep_distinct_images(verdicts))
    groups = sorted(table.groupby("family", dropna=False), key=lambda one: -len(one[1]))
    kept, rest = rows.cut_rows(groups, ax, top, 1)
    if rest:
        others = pd.concat([group for _, group in rest])
        kept = [*kept, (format_count(len(rest)), others.assign(newest=np.nan))]
    labels = [(rows.format_name(name, "base unknown"), f" · {len(group):,}") for name, group in kept]
    dated = table.dropna(subset="age")
    drawn = [words for verdict, (_, words) in _VERDICTS.items() if verdict in set(dated["verdict"])]
    note = " · ".join(["Outlined: AWS's newest", *drawn])
    ax, _, size = layout.set_out_rows(ax, len(labels) + 1, _make_title(Counter(table["verdict"])), note)
    left, lower = rows.label_rows(ax, labels, size, _LABELS)
    oldest = max(1.0, dated["age"].max()) if len(dated) else 1.0
    point = -layout.set_range(ax, oldest, 0, left + 3 * GAP, 2 * GAP)
    for row, (_, group) in enumerate(kept):
        _draw_boxes(ax, row + lower, group.dropna(subset="age"), oldest, point, max(6.0, size - 1))
    ages = _round_ages(oldest, int(oldest / point / (5.5 * size)))
    layout.draw_scale(ax, [*ages.values()], [*ages], len(labels) - 0.5, -0.5, size)
    return ax


def _read_bases(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image: its family and verdict, the age of its base, and the age of the newest base."""
    kinds = [kind if isinstance(kind, str) and kind in _VERDICTS else "unknown" for kind in verdicts["verdict"]]
    age = rows.read_numbers(verdicts["age_days"]).where(lambda days: days >= 0)
    newest = (age - rows.read_numbers(verdicts["days_behind"])).where(lambda days: days >= 0)
    table = pd.DataFrame(
        {"family": rows.read_texts(verdicts["family"]), "verdict": kinds, "age": age, "newest": newest}
    )
    return table.assign(family=table["family"].mask(table["verdict"] == "not_applicable", "none of AWS's"))


def _make_title(counts: Counter[str]) -> str:
    total = counts.total()
    if counts["unknown"] == total:
        return "No base is known"
    others = {"retired": "on one that AWS retired", "not_applicable": "on none of AWS's", "unknown": "unknown"}
    title = f"{format_share(counts['behind'] + counts['retired'], total, 'stand')} on an outdated base"
    return title + rows.format_others({words: counts[verdict] for verdict, words in others.items()})


def _round_ages(oldest: float, most: int) -> dict[str, float]:
    """Return the labels of today and of a few round ages, with their number of days."""
    word, days, _ = next(unit for unit in _UNITS if oldest <= unit[2])
    locator = MaxNLocator(min(7, max(1, most)), integer=True, steps=[1, 2, 3, 5, 6, 10])
    ages = [int(age) for age in locator.tick_values(0, oldest / days) if 0 < age * days <= oldest]
    return {"today": 0.0, **{format_count(age, word): age * days for age in ages}}


def _draw_boxes(ax: Axes, y: float, group: pd.DataFrame, oldest: float, point: float, size: float) -> None:
    """Write counts in boxes, oldest first, without overlap, and mark the newest release."""
    newest, text_colour = group["newest"].min(), layout.find_text_colour(ax)
    if newest <= oldest and not (group["age"] == newest).any():
        ax.plot([newest] * 2, [y - 0.22, y + 0.22], color=text_colour, linewidth=2, zorder=1)
    gap = width = (layout.measure(f"{len(group):,}", size + 1) + 9) * point  # in days
    while (len(boxes := _share_boxes(group, gap)) - 1) * width > oldest and gap <= oldest:
        gap *= 1.5
    places = _set_apart([ages[0] for _, ages in boxes], width)
    for age, (verdict, ages) in zip(places, boxes, strict=True):
        colour, _ = _VERDICTS[verdict]
        edge, line = (text_colour, 1.4) if newest in ages else (layout.RECENT, 0.6)
        shape = {"boxstyle": f"round,pad={0.15 if y % 1 else 0.25}", "edgecolor": edge, "linewidth": line}
        font = {"color": text_colour if colour == layout.UNKNOWN else "black", "fontsize": size, "ha": "center"}
        layout.write_text(ax, age, y, f"{len(ages):,}", bbox={"facecolor": colour, **shape}, **font)


def _share_boxes(group: pd.DataFrame, gap: float) -> list[tuple[str, list[float]]]:
    """Return boxes as (verdict, ages), oldest first; those of one verdict begin at least `gap` days apart."""
    boxes: list[tuple[str, list[float]]] = []
    for verdict in _VERDICTS:
        begin = np.inf
        for age in sorted(group.loc[group["verdict"] == verdict, "age"], reverse=True):
            if begin - age >= gap:
                begin = age
                boxes.append((verdict, []))
            boxes[-1][1].append(age)
    return sorted(boxes, key=lambda box: -box[1][0])  # a stable sort: at equal ages, the worst verdict is first


def _set_apart(ages: list[float], width: float) -> list[float]:
    """Return the positions of boxes of some width, oldest first: as close to their ages as possible without overlap."""
    for number in range(1, len(ages)):
        ages[number] = min(ages[number], ages[number - 1] - width)
    fewest = (np.arange(len(ages))[::-1] * width).tolist()  # space for the boxes that follow
    return [*map(max, ages, fewest)]
