"""Charts over many moments: counts over time, and when images appeared and disappeared.

Missing data is hatched or dotted, never drawn as 0 or as gone.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from appstream_frames.charts import layout, rows
from appstream_frames.charts.layout import GAP
from appstream_frames.insights.rows import find_foreign
from appstream_frames.text import encodable, format_count, format_share

_TREND, _TIMELINE = "what asf.trend(root, by=…) gives", "what asf.timeline(root) gives"
_LABELS = 0.42  # maximum share of the width for image names
_KINDS = {"gone": "gone", "came": "came", "rebuilt": "rebuilt", "stayed": "stayed", "unseen": "not seen lately"}


def trend(counts: pd.DataFrame, ax: Axes | None = None, *, top: int = len(layout.SERIES), of: str = "images") -> Axes:
    """Draw counts stacked over time, each from its snapshot to the next, with hatching above them where counts are missing.

    The values with the highest counts have a colour each, all others share one; the legend shows the last count of each.

    Parameters
    ----------
    counts : DataFrame
        The result of `appstream_frames.trend`; a missing row counts as not read.
    ax : Axes, optional
        Where to draw; by default a new figure.
    top : int
        The maximum number of values with their own colour; limited by the number of colours, and fewer in a small Axes.
    of : str
        What is counted, for the title: the table that was passed to `appstream_frames.trend`.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> counts = pd.DataFrame({"snapshot": ["2026-10-05", "2026-10-12"], "platform": "RHEL8", "count": [12, 14]})
    >>> trend(counts, Figure().subplots()).get_title()
    '12 images on 2026-10-05, 14 on 2026-10-12: RHEL8 +2'
    """
    rows.check(counts, ("snapshot", "count"), _TREND, top)
    table = _count_by_value(counts)
    if not table.size:
        return layout.draw_nothing(ax)
    fitting, gaps, days = layout.find_size(ax).rows, table.isna().any(axis=1), rows.format_days([*table.index])
    note = " to ".join(dict.fromkeys([days[0], days[-1]])) + " (UTC)"
    title = _describe_change(table, layout.make_drawable(of, 30))
    ax, space = layout.set_out(ax, fitting, title, note + (" · hatched: not read whole" if gaps.any() else ""))
    shown, colours = min(top, len(layout.SERIES), fitting - 3), [*layout.SERIES]
    if table.shape[1] > shown:
        rest = table.iloc[:, shown:].sum(axis=1, skipna=False).rename(format_count(table.shape[1] - shown))
        table, colours = pd.concat([table.iloc[:, :shown], rest], axis=1), [*layout.SERIES[:shown], layout.RECENT]
    size, most = 9.0 if space.beside else 7.5, max(1.0, table.sum(axis=1).max())
    labels = _label_last_counts(table, space.width * (0.45 if space.beside else 0.4), size)
    legend = max(layout.measure(label, size) for label in labels) + 2 * size
    head = space.measure_head(title)
    point = most / max(1.0, space.height - head - 2 * size)
    ax.set_ylim(-2 * size * point, most + head * point)
    starts = table.index.to_numpy(float)
    ends = np.append(starts[1:], starts[-1] + (np.median(np.diff(starts)) if len(starts) > 1 else 1.0))
    left = max(4 * GAP, layout.measure(f"{most:,.0f}", size) + GAP)
    day = layout.set_range(ax, starts[0], ends[-1], left, legend + 2 * GAP)
    known = table.fillna(0).iloc[[*range(len(table)), -1]].T
    style: dict[str, Any] = {"edgecolor": ax.get_facecolor(), "linewidth": 0.3}
    areas = ax.stackplot(np.append(starts, ends[-1]), known, colors=colours, step="post", **style)
    hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": layout.RECENT, "hatch": "////", "linewidth": 0}
    lower = table.sum(axis=1)[gaps]
    ax.bar(starts[gaps], most - lower, (ends - starts)[gaps], lower, align="edge", **hatch)
    _draw_counts(ax, most, starts[0], ends[-1], left - GAP / 2, size)
    layout.draw_dates(ax, starts[0], starts[-1], 0, most, size)
    anchor = {"loc": "center left", "bbox_to_anchor": (ends[-1] + GAP * day, most / 2), "bbox_transform": ax.transData}
    layout.add_legend(ax, areas[::-1], labels[::-1], fontsize=size, handlelength=1, handleheight=1, **anchor)
    return ax


def _label_last_counts(table: pd.DataFrame, widest: float, size: float) -> list[str]:
    """Return each value, cut if it is too wide, with its last count."""
    ends = [f" · {'?' if np.isnan(count) else f'{count:,.0f}'}" for count in table.iloc[-1]]
    wide = [widest - layout.measure(end, size) for end in ends]
    return [layout.shorten(name, points, size) + end for name, points, end in zip(table, wide, ends, strict=True)]


def _draw_counts(ax: Axes, most: float, first: float, last: float, left: float, size: float) -> None:
    """Draw a few round counts at the left, each with a thin line."""
    ticks = [tick for tick in MaxNLocator(4, integer=True).tick_values(0, most) if 0 < tick <= most]
    font: dict[str, Any] = {"fontsize": size, "alpha": layout.SOFT, "color": layout.find_text_colour(ax)}
    ax.set_yticks(ticks, [f"{tick:,.0f}" for tick in ticks], **font, **layout.PLAIN)
    ax.tick_params(axis="y", labelleft=True, pad=-left)  # inside the Axes
    ax.plot([[first] * len(ticks), [last] * len(ticks)], [ticks, ticks], **layout.THIN)


def _count_by_value(counts: pd.DataFrame) -> pd.DataFrame:
    """Return counts by moment and value, the value with the highest count first; null if a part of a count is not known."""
    by = [name for name in counts.columns if name not in ("snapshot", "count", "complete")]
    words = [[_format_value(name, value) for value in counts[name].astype(object)] for name in by]
    texts = [encodable(" · ".join(row)) for row in zip(*words, strict=True)] if by else "all"
    count = rows.read_numbers(counts["count"]).where(lambda known: known >= 0)
    long = pd.DataFrame({"when": rows.read_moments(counts, "snapshot", _TREND), "value": texts, "count": count})
    table = long.groupby(["when", "value"])["count"].sum(skipna=False).unstack()
    table = table[table.max().fillna(-1).sort_values(ascending=False, kind="stable").index]
    return table.set_axis([layout.make_drawable(value, 40) for value in table], axis=1)


def _format_value(name: object, value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(str, value)) or "(empty)"
    if pd.isna(value):
        return "(none)"
    if isinstance(value, bool | np.bool_):
        return f"{name}: {'yes' if value else 'no'}"
    return f"{value:%Y-%m-%d}" if isinstance(value, date) else str(value)


def _describe_change(table: pd.DataFrame, of: str) -> str:
    whole = table.dropna()
    missing = f"{len(table) - len(whole):,} of {len(table):,} snapshots not read whole"
    if not len(whole):
        return f"No count is whole: {missing}"
    ends = whole.iloc[[0, -1]] if len(whole) > 1 else whole
    first, *later = [f"{total:,.0f}" for total in ends.sum(axis=1)]
    days = zip([f"{first} {of}", *later], rows.format_days([*ends.index]), strict=True)
    moved = ends.iloc[-1] - ends.iloc[0]
    moved = moved.iloc[np.argsort(-moved.abs().to_numpy(), kind="stable")].head(2)
    words = [f"{layout.make_drawable(name, 24)} {'+' if n > 0 else '−'}{abs(n):,.0f}" for name, n in moved.items() if n]
    found = ", ".join(f"{count} on {day}" for count, day in days) + (f": {', '.join(words)}" if words else "")
    return found + (f"; {missing}" if len(whole) < len(table) else "")


def timeline(lifetimes: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the lifetimes of images: a row each, from when it was first seen to when it was gone or to the right edge.

    Images that appeared, disappeared or were rebuilt have rows, the latest first; all others are counted in words. A bar covers
    the time in which an image was seen; a thin line leads to a cross at the snapshot by which it was gone. Dots follow a bar if
    it is not known whether the image still exists. Labels show how often an image was rebuilt under its name.

    Parameters
    ----------
    lifetimes : DataFrame
        The result of `appstream_frames.timeline` for images, or some of its rows.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of images with their own row; fewer in a small Axes.

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
    rows.check(lifetimes, ("name", "first_seen", "last_seen", "gone_by", "generations"), _TIMELINE, top)
    if not len(lifetimes):
        return layout.draw_nothing(ax)
    images = _read_lifetimes(_keep_distinct(lifetimes))
    kept, rest = rows.cut_rows(_rank_lifetimes(images), ax, top, 1)
    kept = kept.sort_values(["first", "gone", "name"], kind="stable")
    seen = np.unique(images[["first", "last", "gone"]].to_numpy())
    seen = seen[~np.isnan(seen)]
    days = dict(zip(seen, rows.format_days(seen), strict=True))
    words = {"there": f"blue: there on {days[seen[-1]]}", "gone": "grey: gone by the ×"}
    words |= {"unseen": "dots: not known to be gone"}
    note = " · ".join(word for state, word in words.items() if state in set(images["state"]))
    shown = len(kept) + bool(len(rest))
    ax, space, size = layout.set_out_rows(ax, shown + 1, _describe_lifetimes(images, [*days.values()]), note)
    rebuilt = [f" · rebuilt {count - 1:,}×" if count > 1 else "" for count in kept["generations"]]
    left, lower = rows.label_rows(ax, [*zip(kept["name"], rebuilt, strict=True)], size, _LABELS)
    if len(rest):
        counts = rest["kind"].value_counts()
        others = ", ".join(f"{counts[kind]:,} {word}" for kind, word in _KINDS.items() if kind in counts)
        others = layout.shorten(f"{format_count(len(rest))}: {others}", space.width, size)
        layout.write_label(ax, len(kept), others, fontsize=size)
    last = seen[-1] if len(seen) > 1 else seen[0] + 1  # a day
    point = layout.set_range(ax, seen[0], last, left + 2 * GAP, 3 * GAP)
    _draw_lifetimes(ax, kept, days, lower, last + GAP * point, point, max(6.0, size - 1))
    layout.draw_dates(ax, seen[0], seen[-1], shown - 0.5, -0.5, size)
    return ax


def _keep_distinct(lifetimes: pd.DataFrame) -> pd.DataFrame:
    """Return one row of each image that several accounts see: its owner's, else that of the account that saw it last."""
    if not {"account", "arn"} <= set(lifetimes.columns):
        return lifetimes
    arn, account = (rows.read_texts(lifetimes[name]) for name in ("arn", "account"))
    since = -rows.read_moments(lifetimes, "last_seen", _TIMELINE)
    order = pd.DataFrame({"arn": arn, "foreign": find_foreign(account, arn), "since": since})
    known = order.dropna(subset="arn").sort_values(["foreign", "since"], kind="stable")
    return lifetimes[~order.index.isin(known.index[known.duplicated("arn")])]


def _read_lifetimes(lifetimes: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image: its moments, ``state`` (there, gone or unseen) and ``kind`` (what happened to it)."""
    first, last = (rows.read_moments(lifetimes, name, _TIMELINE) for name in ("first_seen", "last_seen"))
    gone = rows.read_moments(lifetimes, "gone_by", _TIMELINE, nulls=True)
    images = pd.DataFrame({"name": rows.name_rows(lifetimes), "first": first, "last": last, "gone": gone})
    images["generations"] = rows.read_numbers(lifetimes["generations"]).fillna(1).clip(1, 10**6).astype(int)
    target = [ascii([*key]) for key in lifetimes.reindex(columns=["account", "region"]).astype(object).to_numpy()]
    images["came"] = first > first.groupby(target).transform("min")
    newest = np.floor(np.nanmax([last.max(), gone.max()]))
    images["state"] = np.select([gone.notna(), np.floor(last) >= newest], ["gone", "there"], "unseen")
    happened = [images["state"] != "there", images["came"], images["generations"] > 1]
    return images.assign(kind=np.select(happened, [images["state"], "came", "rebuilt"], "stayed"))


def _rank_lifetimes(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images with the latest first, alternating between kinds; unchanged ones are last."""
    when = images["gone"].where(images["state"] == "gone", images["first"])
    latest = images.assign(when=-when).sort_values(["when", "name", "first", "last"])
    latest = latest.assign(turn=latest.groupby("kind").cumcount(), stayed=latest["kind"] == "stayed")
    return latest.sort_values(["stayed", "turn", "kind"])


def _describe_lifetimes(images: pd.DataFrame, days: list[str]) -> str:
    gone, unseen = (int((images["state"] == state).sum()) for state in ("gone", "unseen"))
    when = f"between {days[0]} and {days[-1]}" if gone else f"from {days[0]} to {days[-1]}"
    when = f"by {days[-1]}" if gone == len(images) == 1 else when
    others = {"came": images["came"].sum(), "rebuilt": (images["generations"] > 1).sum(), "not seen lately": unseen}
    return f"{format_share(gone, len(images), 'are')} gone {when}{rows.format_others(others)}"


def _draw_lifetimes(
    ax: Axes, images: pd.DataFrame, days: dict[float, str], lower: float, right: float, point: float, size: float
) -> None:
    left = min(days) - GAP * point
    ends = images["last"].where(images["state"] != "there", right)
    colours = [layout.RECENT if state == "gone" else layout.FOLLOWS for state in images["state"]]
    ys = np.arange(len(images)) + lower
    ax.barh(ys, np.maximum(2 * point, ends - images["first"]), 0.28 if lower else 0.5, images["first"], color=colours)
    font: dict[str, Any] = {"fontsize": size, "alpha": layout.SOFT}
    for y, life in zip(ys, images.itertuples(index=False), strict=True):
        if life.state == "unseen":
            ax.plot([life.last + 2 * point, right], [y, y], ":", color=layout.FOLLOWS, linewidth=1.2)
        if life.state == "gone":
            ax.plot([life.last, life.gone], [y, y], color=layout.RECENT, linewidth=1)
            ax.plot(life.gone, y, "x", color=layout.find_text_colour(ax), markersize=4)
            words, start = f"gone by {days[life.gone]}", life.gone + GAP * point
            if start + layout.measure(words, size) * point <= right:
                layout.write_text(ax, start, y, words, **font)
        words, end = f"since {days[life.first]}", life.first - GAP / 2 * point
        if life.came and end - layout.measure(words, size) * point >= left:
            layout.write_text(ax, end, y, words, ha="right", **font)
