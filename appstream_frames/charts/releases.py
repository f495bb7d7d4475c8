"""Which agents images run and which base releases they stand on, as bars: newest on top, each with its age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby, product

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout, rows
from appstream_frames.insights import days, reference
from appstream_frames.insights.base_names import Base, is_family_retired
from appstream_frames.insights.rows import keep_distinct_images
from appstream_frames.insights.verdicts import base_images
from appstream_frames.text import format_age, format_share

_ANY = ""  # the one family of agents, which AWS releases for all platforms alike
_UNKNOWN_FAMILY = "platform unknown"
_FAMILIES = {  # by the beginning of a platform
    "WINDOWS": "Windows",
    "RHEL": "RHEL",
    "ROCKY_LINUX": "Rocky Linux",
    "AMAZON_LINUX": "Amazon Linux",
    "UBUNTU": "Ubuntu",
}
_ONE_SYSTEM = "Amazon Linux"  # the family of one operating system, all of whose bases AWS may retire
_REFERENCE_FAMILIES = {"Amazon Linux 2": _ONE_SYSTEM, "Linux": _ONE_SYSTEM}

_Release = tuple[date, str]  # the day, and the family of platforms that it is for


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseBar(rows.Bar):
    """The bar of a release, with its day."""

    day: date


@dataclass(frozen=True, slots=True)
class _Words:
    """What a chart says: the title's verb, what precedes one release and AWS's newest, what releases are, a note."""

    verb: str
    one: str
    newest: str
    thing: str
    note: str = ""


_AGENT = _Words("run", "an", "AWS's newest", "agent")
_BASE = _Words("stand", "on a", "on AWS's newest", "base release", " · newest: of a kind of base")


def agent_versions(
    images: pd.DataFrame, ax: Axes | None = None, *, today: str | date | pd.Timestamp | None = None
) -> Axes:
    """Draw how many images run which AppStream agent, newest on top, each version with its age.

    ``LATEST`` has a bar of its own above the pinned versions: such images take AWS's newest agent each time they start.
    AWS's newest version is marked, and is shown even when no image runs it. Images without a version, or with one that
    cannot be read, have bars of their own below. When there are more versions than fit, old ones share a bar. The
    counts always add up to the images of the frame; one that several accounts see counts once.

    Parameters
    ----------
    images : DataFrame
        One row an image, ``frames.images`` or a part of it, with the column ``appstream_agent_version``; AWS's public
        images count too unless you leave them out: ``images[images["visibility"] != "PUBLIC"]``.
    ax : Axes, optional
        Where to draw; by default a figure of its own, as tall as its rows need.
    today : str, date or Timestamp, optional
        The day (UTC) from which ages are counted; releases after it are not looked at. By default the newest
        ``snapshot`` in the frame, else now.

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
    days.take_column(images, "appstream_agent_version")  # refuses what is no frame of images
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    counts = Counter(rows.read_texts(images["appstream_agent_version"]))
    unnamed, following = counts.pop(None, 0), counts.pop("LATEST", 0)
    dated = {text: released for text in counts if (released := days.parse_version(str(text)))}
    pinned = {(released, _ANY): counts.pop(text) for text, released in dated.items()}
    published = reference.reference()["agent_versions"]["iso_date"].dropna().dt.date
    releases = _make_release_bars(pinned, [(released, _ANY) for released in published], day)
    unknown = {**_count_garbled(counts), **_count_later(pinned, day), "no version named": unnamed}
    return _draw(ax, _AGENT, day, releases, unknown, following)


def base_image_releases(
    images: pd.DataFrame, ax: Axes | None = None, *, today: str | date | pd.Timestamp | None = None
) -> Axes:
    """Draw how many images stand on which release of AWS's public base images, newest on top, each with its age.

    A release is a day and a family of platforms (Windows, RHEL, Rocky Linux …), as AWS releases them on different days.
    The newest of each family in the frame is marked, and is shown even when no image stands on it. So is one of which
    `appstream_frames.base_images` says for most images that it is the newest of their kind of base: AWS releases
    Graphics G7, say, on other days. Images that name no base release have a bar of their own below. When there are more
    releases than fit, old ones share a bar. Counts add up as in `agent_versions`.

    Parameters
    ----------
    images : DataFrame
        As in `agent_versions`, with the columns ``public_base_image_released_date`` and ``platform``.
    ax : Axes, optional
        Where to draw; by default a figure of its own, as tall as its rows need.
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
        days.take_column(images, name)  # refuses what is no frame of images
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    released = days.to_days(images["public_base_image_released_date"])
    families = [_name_family(platform) for platform in rows.read_texts(images["platform"])]
    judged = {"account", "region", "name", "arn", "base_image_arn"} <= set(images.columns)
    current = base_images(images, today=day)["verdict"].eq("current").to_numpy() if judged else False
    table = pd.DataFrame({"day": released, "family": families, "current": current})
    grouped = table.groupby(["day", "family"])["current"]
    counts, newest = grouped.size().to_dict(), {*grouped.mean().loc[lambda share: share > 0.5].index}
    releases = _make_release_bars(counts, _list_published_bases({*families}), day, newest)
    unknown = {**_count_later(counts, day), "no base release named": released.count(None)}
    return _draw(ax, _BASE, day, releases, unknown)


def _name_family(platform: str | None) -> str:
    names = (name for start, name in _FAMILIES.items() if platform and platform.startswith(start))
    return next(names, _UNKNOWN_FAMILY)


def _list_published_bases(families: Collection[str]) -> list[_Release]:
    table = reference.reference()["base_image_releases"]
    table = table.dropna(subset=["release_date", "platform", "image_types"])
    table = table[["Base" in types.split(";") for types in table["image_types"]]]  # not of one graphics family only
    table = table.assign(platform=table["platform"].str.split(";")).explode("platform")
    named = zip(table["release_date"].dt.date, table["platform"].replace(_REFERENCE_FAMILIES), strict=True)
    return [release for release in named if release[1] in families]


def _count_garbled(counts: Counter[str | None]) -> dict[str, int]:
    """Return texts that are no versions in words: the most frequent one, and all others together."""
    (text, count), *others = sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))) or [("", 0)]
    first = f"not a version: “{layout.make_drawable(text, 20)}”"
    return {first: count, f"{len(others):,} more that are not versions": counts.total() - count}


def _count_later(counts: Mapping[_Release, int], today: date) -> dict[str, int]:
    return {f"dated after {today}": sum(count for (day, _), count in counts.items() if day > today)}


def _make_release_bars(
    counts: Mapping[_Release, int], published: Iterable[_Release], today: date, current: Collection[_Release] = ()
) -> list[_ReleaseBar]:
    """Return a bar for each release up to today, newest first; the newest of each family has one even at 0 images."""
    known = sorted(release for release in {*counts, *published} if release[0] <= today)
    latest = {family: day for day, family in known if family != _UNKNOWN_FAMILY}
    newest = {(day, family) for family, day in latest.items()}.union(current)
    bars = []
    for day, family in newest.union(counts).intersection(known):
        marked = (day, family) in newest
        name = f"{day} · {family}" if family else f"{day:%m-%d-%Y}"
        name += " · AWS's newest" if marked else ""
        label = f"{name} · {format_age((today - day).days)}"
        retired = family == _ONE_SYSTEM and is_family_retired(Base(day, "", "Base", "AmazonLinux2"), today)
        aged = layout.OLD if days.is_over_a_year(day, today) else layout.RECENT
        colour = layout.NEWEST if marked and not retired else aged
        bars.append(_ReleaseBar(label, counts.get((day, family), 0), colour, marked=marked, day=day))
    return sorted(bars, key=lambda bar: (-bar.day.toordinal(), -bar.count, bar.label))


def _draw(
    ax: Axes | None,
    words: _Words,
    today: date,
    releases: list[_ReleaseBar],
    unknown: Mapping[str, int],
    following: int = 0,
) -> Axes:
    above = [rows.Bar("LATEST · follows AWS's newest", following, layout.FOLLOWS)] if following else []
    below = [rows.Bar(label, count, layout.UNKNOWN) for label, count in unknown.items() if count]
    counts: Counter[str] = Counter()
    for bar in [*above, *releases, *below]:
        counts[bar.colour] += bar.count
    if not counts.total():
        return layout.draw_nothing(ax, "No images")
    fitting = layout.find_size(ax).rows - len(above) - len(below)
    note = f"Ages at {today} (UTC){' · red: over a year old' if counts[layout.OLD] else ''}{words.note}"
    return rows.draw_bars(
        ax, [*above, *_fold(releases, fitting, words.thing, today), *below], _make_title(words, counts), note
    )


def _fold(releases: list[_ReleaseBar], fitting: int, thing: str, today: date) -> list[rows.Bar]:
    """Return bars in so many rows if possible: releases that do not fit share a bar by year or, failing that, by age."""
    bars: list[rows.Bar] = []
    for by_year, kept in [*product([True], range(fitting, 3, -1)), *product([False], range(fitting, 0, -1))]:
        bars = [bar for number, bar in enumerate(releases) if number < kept or bar.colour == layout.NEWEST]
        rest = [bar for bar in releases[kept:] if bar.count and bar.colour != layout.NEWEST]
        for (_, year), group in groupby(rest, key=lambda bar: (bar.colour, bar.day.year if by_year else None)):
            bars.append(_share_bar([*group], f"{thing}s{f' of {year}' if year else ''}", today))
        if len(bars) <= fitting:
            break
    return bars


def _share_bar(releases: list[_ReleaseBar], counted: str, today: date) -> rows.Bar:
    if len(releases) == 1:
        return releases[0]
    label = f"{len(releases):,} more {counted} · up to {format_age((today - releases[-1].day).days)}"
    return rows.Bar(label, sum(bar.count for bar in releases), releases[0].colour)


def _make_title(words: _Words, counts: Counter[str]) -> str:
    total, unknown, old = counts.total(), counts[layout.UNKNOWN], counts[layout.OLD]
    current = counts[layout.FOLLOWS] + counts[layout.NEWEST]
    if unknown == total:
        return f"No image names a known {words.thing}"
    if old:
        finding = f"{format_share(old, total, words.verb)} {words.one} {words.thing} over a year old"
    else:
        finding = f"{format_share(current, total, words.verb)} {words.newest} {words.thing}"
        finding += f"; no {words.thing} is over a year old" if current < total else ""
    return finding + rows.format_others({"unknown": unknown})
