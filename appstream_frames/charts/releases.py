"""The agents that images run and the base releases that they were built on, as bars: newest on top, each with its age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from itertools import groupby, product

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout, rows
from appstream_frames.insights import days, reference
from appstream_frames.insights.base_names import Base, is_family_retired
from appstream_frames.insights.days import Day
from appstream_frames.insights.rows import keep_distinct_images
from appstream_frames.insights.verdicts import base_images
from appstream_frames.text import format_age, format_share

_ANY = ""  # the only family of agents: AWS releases them for all platforms together
_UNKNOWN_FAMILY = "platform unknown"
_FAMILIES = {  # by the prefix of a platform
    "WINDOWS": "Windows",
    "RHEL": "RHEL",
    "ROCKY_LINUX": "Rocky Linux",
    "AMAZON_LINUX": "Amazon Linux",
    "UBUNTU": "Ubuntu",
}
_ONE_SYSTEM = "Amazon Linux"  # the only family with a single operating system, so that AWS may retire all its bases
_REFERENCE_FAMILIES = {"Amazon Linux 2": _ONE_SYSTEM, "Linux": _ONE_SYSTEM}

_Release = tuple[date, str]  # a day, and a family of platforms
_Dated = tuple[date, rows.Bar]  # the day of a release, and its bar
_AGENT = {"thing": "agent", "run": "run", "one": "an agent", "newest": "AWS's newest agent", "note": ""}
_BASE = {"thing": "base release", "run": "stand", "one": "on a base release", "newest": "on AWS's newest base release"}
_BASE |= {"note": " · newest: of a kind of base"}


def agent_versions(images: pd.DataFrame, ax: Axes | None = None, *, today: Day = None) -> Axes:
    """Draw how many images run which AppStream agent, newest on top, each version with its age.

    ``LATEST`` has its own bar above the pinned versions: such images take AWS's newest agent each time they start.
    AWS's newest version is marked, and is shown even if no image runs it. Images without a version, or with one that cannot
    be parsed, have their own bars below. If there are more versions than fit, old ones share a bar. The counts always add up
    to the number of images; one that several accounts see counts once.

    Parameters
    ----------
    images : DataFrame
        One row per image, ``frames.images`` or a part of it, with the column ``appstream_agent_version``; AWS's public
        images count too unless you leave them out: ``images[images["visibility"] != "PUBLIC"]``.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    today : str, date or Timestamp, optional
        The day (UTC) from which ages are counted; later releases are ignored. By default the newest ``snapshot`` in the
        DataFrame, else today.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> images = pd.DataFrame({"appstream_agent_version": ["LATEST", "06-29-2026", "10-22-2024"]})
    >>> agent_versions(images, Figure().subplots(), today="2026-11-23").get_title()
    '1 of 3 images runs an agent over a year old'
    """
    days.take_column(images, "appstream_agent_version")  # for its check of the argument
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    counts = Counter(rows.read_texts(images["appstream_agent_version"]))
    unnamed, following = counts.pop(None, 0), counts.pop("LATEST", 0)
    dated = {text: released for text in counts if (released := days.parse_version(str(text)))}
    pinned = {(released, _ANY): counts.pop(text) for text, released in dated.items()}
    published = reference.reference()["agent_versions"]["iso_date"].dropna().dt.date
    unknown = {**_count_garbled(counts), "no version named": unnamed}
    releases = [(released, _ANY) for released in published]
    return _draw(ax, _AGENT, day, pinned, releases, unknown, following=following)


def base_image_releases(images: pd.DataFrame, ax: Axes | None = None, *, today: Day = None) -> Axes:
    """Draw how many images were built on which release of AWS's public base images, newest on top, each with its age.

    A release is a day and a family of platforms (Windows, RHEL, Rocky Linux …), because AWS releases them on different days.
    The newest of each family in the DataFrame is marked, and is shown even if no image uses it. A release is also marked if
    `appstream_frames.base_images` finds most of its images current: AWS releases Graphics G7, for example, on other days.
    Images that name no base release have their own bar below. If there are more releases than fit, old ones share a bar.
    Counts add up as in `agent_versions`.

    Parameters
    ----------
    images : DataFrame
        As in `agent_versions`, with the columns ``public_base_image_released_date`` and ``platform``.
    ax : Axes, optional
        Where to draw; by default a new figure, as tall as its rows need.
    today : str, date or Timestamp, optional
        The day (UTC) from which ages are counted, as in `agent_versions`.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> released = pd.to_datetime(["2026-08-31", "2024-07-30"], utc=True)
    >>> images = pd.DataFrame({"public_base_image_released_date": released, "platform": "RHEL8"})
    >>> base_image_releases(images, Figure().subplots(), today="2026-11-23").get_title()
    '1 of 2 images stands on a base release over a year old'
    """
    for name in ("public_base_image_released_date", "platform"):
        days.take_column(images, name)  # for its check of the argument
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    released = days.to_days(images["public_base_image_released_date"])
    families = [_name_family(platform) for platform in rows.read_texts(images["platform"])]
    judged = {"account", "region", "name", "arn", "base_image_arn"} <= set(images.columns)
    current = base_images(images, today=day)["verdict"].eq("current").to_numpy() if judged else False
    table = pd.DataFrame({"day": released, "family": families, "current": current})
    grouped = table.groupby(["day", "family"])["current"]
    current = {*grouped.mean().loc[lambda share: share > 0.5].index}
    unknown = {"no base release named": released.count(None)}
    return _draw(ax, _BASE, day, grouped.size().to_dict(), _list_published_bases({*families}), unknown, current)


def _name_family(platform: str | None) -> str:
    names = (name for start, name in _FAMILIES.items() if platform and platform.startswith(start))
    return next(names, _UNKNOWN_FAMILY)


def _list_published_bases(families: Collection[str]) -> list[_Release]:
    table = reference.reference()["base_image_releases"]
    table = table.dropna(subset=["release_date", "platform", "image_types"])
    table = table[["Base" in types.split(";") for types in table["image_types"]]]  # not only of a graphics family
    table = table.assign(platform=table["platform"].str.split(";")).explode("platform")
    named = zip(table["release_date"].dt.date, table["platform"].replace(_REFERENCE_FAMILIES), strict=True)
    return [release for release in named if release[1] in families]


def _count_garbled(counts: Counter[str | None]) -> dict[str, int]:
    """Return labels and counts of texts that are not versions: the most frequent one, and all others together."""
    (text, count), *others = sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))) or [("", 0)]
    first = f"not a version: “{layout.make_drawable(text, 20)}”"
    return {first: count, f"{len(others):,} more that are not versions": counts.total() - count}


def _draw(
    ax: Axes | None,
    words: Mapping[str, str],
    today: date,
    counts: Mapping[_Release, int],
    published: Iterable[_Release],
    unknown: Mapping[str, int],
    current: Collection[_Release] = (),
    following: int = 0,
) -> Axes:
    """Draw the images that follow AWS's newest release, those of each release, and those whose release is not known."""
    later = sum(count for (day, _), count in counts.items() if day > today)
    unknown = {f"dated after {today}": later, **unknown}
    above = [rows.Bar("LATEST · follows AWS's newest", following, layout.FOLLOWS)] if following else []
    below = [rows.Bar(label, count, layout.UNKNOWN) for label, count in unknown.items() if count]
    releases = _make_release_bars(counts, published, today, current)
    images: Counter[str] = Counter()
    for bar in [*above, *(bar for _, bar in releases), *below]:
        images[bar.colour] += bar.count
    if not images.total():
        return layout.draw_nothing(ax, "No images")
    bars = _fold(releases, layout.find_size(ax).rows - len(above) - len(below), words["thing"], today)
    note = f"Ages at {today} (UTC){' · red: over a year old' if images[layout.OLD] else ''}{words['note']}"
    return rows.draw_bars(ax, [*above, *bars, *below], _make_title(words, images), note)


def _make_release_bars(
    counts: Mapping[_Release, int], published: Iterable[_Release], today: date, current: Collection[_Release]
) -> list[_Dated]:
    """Return a bar for each release up to today, newest first; the newest of each family has one even at 0 images."""
    known = sorted(release for release in {*counts, *published} if release[0] <= today)
    latest = {family: day for day, family in known if family != _UNKNOWN_FAMILY}
    newest = {(day, family) for family, day in latest.items()}.union(current)
    bars = []
    for day, family in newest.union(counts).intersection(known):
        marked = (day, family) in newest
        name = (f"{day} · {family}" if family else f"{day:%m-%d-%Y}") + (" · AWS's newest" if marked else "")
        label = f"{name} · {format_age((today - day).days)}"
        retired = family == _ONE_SYSTEM and is_family_retired(Base(day, "", "Base", "AmazonLinux2"), today)
        anniversary = day.year + 1, day.month, day.day  # not a date: 29 February may not exist
        aged = layout.OLD if anniversary < (today.year, today.month, today.day) else layout.RECENT
        colour = layout.NEWEST if marked and not retired else aged
        bars.append((day, rows.Bar(label, counts.get((day, family), 0), colour, marked=marked)))
    return sorted(bars, key=lambda dated: (-dated[0].toordinal(), -dated[1].count, dated[1].label))


def _fold(releases: list[_Dated], fitting: int, thing: str, today: date) -> list[rows.Bar]:
    """Return at most `fitting` bars if possible: releases that do not fit share a bar by year and colour, or else by colour."""
    bars: list[rows.Bar] = []
    for by_year, kept in [*product([True], range(fitting, 3, -1)), *product([False], range(fitting, 0, -1))]:
        bars = [bar for number, (_, bar) in enumerate(releases) if number < kept or bar.colour == layout.NEWEST]
        rest = [(day, bar) for day, bar in releases[kept:] if bar.count and bar.colour != layout.NEWEST]
        for (colour, year), group in groupby(rest, key=lambda old: (old[1].colour, old[0].year if by_year else None)):
            released, old = zip(*group, strict=True)
            label = f"{len(old):,} more {thing}s{f' of {year}' if year else ''}"
            label += f" · up to {format_age((today - released[-1]).days)}"
            bars.append(old[0] if len(old) == 1 else rows.Bar(label, sum(bar.count for bar in old), colour))
        if len(bars) <= fitting:
            break
    return bars


def _make_title(words: Mapping[str, str], images: Counter[str]) -> str:
    total, unknown, old = images.total(), images[layout.UNKNOWN], images[layout.OLD]
    current = images[layout.FOLLOWS] + images[layout.NEWEST]
    if unknown == total:
        return f"No image names a known {words['thing']}"
    if old:
        finding = f"{format_share(old, total, words['run'])} {words['one']} over a year old"
    else:
        finding = f"{format_share(current, total, words['run'])} {words['newest']}"
        finding += f"; no {words['thing']} is over a year old" if current < total else ""
    return finding + rows.format_others({"unknown": unknown})
