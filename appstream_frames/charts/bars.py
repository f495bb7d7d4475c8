"""Bar charts of images: how far their agents are behind, which applications they hold, and who uses them.

Each takes the result of the public function with its name, and draws its verdicts unchanged.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout, rows
from appstream_frames.insights.rows import keep_distinct_images
from appstream_frames.text import format_count, format_share

_LATE = {  # verdict → colour, words at the end of a bar, words in the note
    "known_bad": (layout.OLD, " · known bad", "red: known bad"),
    "behind": (layout.BEHIND, "", "orange: behind"),
}
_NOT_BEHIND = {  # verdict → colour, words for one image, for several, and at the end of their bar
    "current": (layout.NEWEST, "pinned to the newest", "pinned to the newest", "not behind"),
    "latest": (layout.FOLLOWS, "follows AWS's newest", "follow AWS's newest", "not behind"),
    "unknown": (layout.UNKNOWN, "unknown", "unknown", "days not known"),
}
_USERS = {"fleets": "fleet", "image_builders": "image builder", "accounts": "share", "images": "image"}
_NOBODY = "used by nobody"


def agents(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how many days each image's agent is behind AWS's newest: known bad ones first, then those furthest behind.

    Images with the same name share a bar, which shows the longest, and so do those that do not fit; images that are not behind,
    or unknown, have rows at 0. An image that several accounts see counts once.

    Parameters
    ----------
    verdicts : DataFrame
        The result of `appstream_frames.agents`, or some of its rows.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of images with their own bar; fewer in a small Axes.

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
    rows.check(verdicts, ("name", "verdict", "days_behind"), "what asf.agents(images) gives", top)
    verdicts = keep_distinct_images(verdicts)
    if not len(verdicts):
        return layout.draw_nothing(ax)
    known = {*_LATE, *_NOT_BEHIND}
    kinds = [kind if isinstance(kind, str) and kind in known else "unknown" for kind in verdicts["verdict"]]
    counts = Counter(kinds)
    below = [
        rows.Bar(f"{counts[verdict]:,} {one if counts[verdict] == 1 else many}", 0, colour, words=words)
        for verdict, (colour, one, many, words) in _NOT_BEHIND.items()
        if counts[verdict]
    ]
    kept, rest = rows.cut_rows(_group_late(verdicts, kinds), ax, top, len(below))
    bars = []
    for row in kept.itertuples(index=False):
        label = row.label if row.images == 1 else f"{rows.format_name(row.name)} · {row.images:,} images"
        bars.append(_make_late_bar(label, row.most, row.verdict, several=row.fewest < row.most))
    if len(rest):
        bad = rest.loc[rest["verdict"] == "known_bad", "images"].sum()
        label = f"{format_count(rest['images'].sum())} behind" + (f", {bad:,} known bad" if bad else "")
        bars.append(_make_late_bar(label, rest["most"].max(), "behind", several=True))
    title = f"{format_share(counts['known_bad'] + counts['behind'], len(kinds), 'are')} behind AWS's newest agent"
    title += rows.format_others({"known bad": counts["known_bad"], "unknown": counts["unknown"]})
    title = "No agent is known" if counts["unknown"] == len(kinds) else title
    note = " · ".join(words for verdict, (*_, words) in _LATE.items() if counts[verdict])
    return rows.draw_bars(ax, [*bars, *below], title, note)


def _group_late(verdicts: pd.DataFrame, kinds: list[str]) -> pd.DataFrame:
    """Return the images that are behind, grouped by name: known bad ones first, then those furthest behind."""
    names, labels = rows.read_texts(verdicts["name"]), rows.name_rows(verdicts)
    table = pd.DataFrame({"name": names, "label": labels, "verdict": kinds})
    table["days"] = rows.read_numbers(verdicts["days_behind"]).fillna(0)
    grouped = table[table["verdict"].isin(_LATE)].groupby(["name", "verdict"], dropna=False, sort=False)
    late = grouped.agg(
        label=("label", "first"), images=("days", "size"), fewest=("days", "min"), most=("days", "max")
    ).reset_index()
    late = late.assign(better=late["verdict"] != "known_bad", days=-late["most"])
    return late.sort_values(["better", "days", "label"])


def _make_late_bar(label: str, most: float, verdict: str, *, several: bool) -> rows.Bar:
    days = format_count(int(most), "day") if most > 0 else "days not known"
    colour, bad, _ = _LATE[verdict]
    return rows.Bar(label, max(0, int(most)), colour, words=("up to " if several and most > 0 else "") + days + bad)


def application_versions(versions: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the number of images that hold each application: first those that differ between images, then those in most images.

    Parameters
    ----------
    versions : DataFrame
        The result of `appstream_frames.application_versions`, or some of its rows.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of applications with their own bar; fewer in a small Axes.

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
    rows.check(versions, ("name", "images"), "what asf.application_versions(frames) gives", top)
    if not len(versions):
        return layout.draw_nothing(ax, "No applications")
    table = pd.DataFrame(
        {"name": rows.read_texts(versions["name"]), "images": rows.read_numbers(versions["images"]).fillna(0)}
    )
    found = table.groupby("name", dropna=False)["images"].agg(variants="size", images="sum").reset_index()
    kept, rest = rows.cut_rows(found.sort_values(["variants", "images"], ascending=False, kind="stable"), ax, top)
    bars = []
    for name, variants, images in kept.itertuples(index=False):
        more = f" · {variants:,} variants" if variants > 1 else ""
        colour = layout.SERIES[0] if more else layout.RECENT
        bars.append(rows.Bar(rows.format_name(name) + more, int(images), colour, marked=bool(more)))
    if len(rest):
        most = int(rest["images"].max())
        words = f"up to {most:,}" if len(rest) > 1 else ""
        bars.append(rows.Bar(format_count(len(rest), "more application"), most, layout.RECENT, words=words))
    note = "Numbers: images that hold it · green: several paths or parameters under one name"
    differing, total = int((found["variants"] > 1).sum()), format_count(len(found), "application")
    share = (
        f"{differing:,} of {total} differ{'s' if differing == 1 else ''}" if differing else f"None of {total} differs"
    )
    return rows.draw_bars(ax, bars, f"{share} between images", note)


def usage(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the images that serve fleets, most fleets first, and below them the unused ones.

    Parameters
    ----------
    verdicts : DataFrame
        The result of `appstream_frames.usage`, or some of its rows. An image that several accounts see counts once.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    top : int
        The maximum number of rows, about half of them for images that serve fleets.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> known = {"account": "1", "region": "eu-west-1", "image_builders": 0, "accounts": 0, "images": 0}
    >>> verdicts = pd.DataFrame({"name": ["a", "b"], "arn": ["a", "b"], "fleets": [2, 0], "verdict": ["in_use", "unused"]})
    >>> usage(verdicts.assign(**known), Figure().subplots()).get_title()
    '1 of 2 images serves fleets; 1 is used by nobody'
    """
    rows.check(verdicts, ["account", "region", "arn", "name", "verdict", *_USERS], "what asf.usage(frames) gives", top)
    images = keep_distinct_images(verdicts).reset_index(drop=True)
    if not len(images):
        return layout.draw_nothing(ax)
    numbers = {kind: rows.read_numbers(images[kind]).fillna(0).astype(int) for kind in _USERS}
    images = images.assign(label=rows.name_rows(images), **numbers)
    used, unused = (images[images["verdict"].eq(verdict).fillna(False)] for verdict in ("in_use", "unused"))
    serving = used[used["fleets"] > 0].sort_values("fleets", ascending=False, kind="stable")
    others, unknown = len(used) - len(serving), len(images) - len(used) - len(unused)
    most = top if ax is None else min(top, layout.find_size(ax).rows)
    half = max(1, (most - bool(others) - bool(unknown)) // 2)
    serve = []
    for row in serving.to_dict("records"):
        words = ", ".join(format_count(row[kind], user) for kind, user in _USERS.items() if row[kind])
        serve.append(rows.Bar(row["label"], row["fleets"], layout.NEWEST, words=words))
    bars = _cut(serve, half)
    if others:
        bars.append(rows.Bar(format_count(others, "image"), 0, layout.RECENT, words="in use, without a fleet"))
    bars += _cut([rows.Bar(label, 0, layout.BEHIND, words=_NOBODY) for label in unused["label"]], half)
    if unknown:
        bars.append(rows.Bar(format_count(unknown, "image"), 0, layout.UNKNOWN, words="unknown: not all was read"))
    title = f"{format_share(len(serving), len(images), 'serve')} fleets"
    title += rows.format_others({f"{'is' if len(unused) == 1 else 'are'} {_NOBODY}": len(unused), "unknown": unknown})
    return rows.draw_bars(ax, bars, title, "Bars: fleets that start new instances from the image")


def _cut(bars: list[rows.Bar], most: int) -> list[rows.Bar]:
    """Return at most `most` bars; the last one summarizes those that do not fit."""
    if len(bars) <= most:
        return bars
    rest = bars[most - 1 :]
    fleets = sum(bar.count for bar in rest)
    colour, words = (layout.RECENT, format_count(fleets, "fleet")) if fleets else (layout.BEHIND, _NOBODY)
    return [*bars[: most - 1], rows.Bar(format_count(len(rest)), 0, colour, words=words)]
