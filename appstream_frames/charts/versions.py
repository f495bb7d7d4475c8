"""Which agents images run and which base releases they stand on, as bars: newest on top, each with its age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby, product

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import read_texts
from appstream_frames.charts.wording import format_age, format_share
from appstream_frames.insights import days, reference
from appstream_frames.insights.base_names import Base, is_family_retired
from appstream_frames.insights.days import is_over_a_year, parse_version
from appstream_frames.insights.rows import keep_distinct_images
from appstream_frames.insights.verdicts import base_images

_ANY = ""  # the one family of agents, which AWS releases for all platforms alike
_UNKNOWN_FAMILY = "platform unknown"
_FAMILIES = {
    "WINDOWS": "Windows",
    "RHEL": "RHEL",
    "ROCKY_LINUX": "Rocky Linux",
    "AMAZON_LINUX": "Amazon Linux",
    "UBUNTU": "Ubuntu",
}
_SYSTEMS = {"Amazon Linux": "AmazonLinux2"}  # families of one operating system, all of whose bases AWS may retire
_REFERENCE_FAMILIES = {"Amazon Linux 2": "Amazon Linux", "Linux": "Amazon Linux"}

_Release = tuple[date, str]  # the day, and the family of platforms that it is for


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseBar(Bar):
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
    >>> ax = agent_versions(images, Figure().subplots(), today="2026-11-23")
    >>> ax.get_title()
    '1 of 3 images runs an agent over a year old'
    """
    days.take_column(images, "appstream_agent_version")  # refuses what is no frame of images
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    counts = Counter(read_texts(images["appstream_agent_version"]))
    unnamed = Bar("no version named", counts.pop(None, 0), layout.UNKNOWN)
    following = Bar("LATEST · follows AWS's newest", counts.pop("LATEST", 0), layout.FOLLOWS)
    pinned: Counter[_Release] = Counter()
    garbled: Counter[str] = Counter()
    for text, count in counts.items():
        if released := parse_version(str(text)):
            pinned[released, _ANY] += count
        else:
            garbled[str(text)] = count
    published = reference.reference()["agent_versions"]["iso_date"].dropna().dt.date
    releases = _make_release_bars(pinned, [(released, _ANY) for released in published], day)
    below = [*_make_garbled_bars(garbled), _make_later_bar(pinned, day), unnamed]
    return _draw(ax, _AGENT, day, [following], releases, below)


def base_image_releases(
    images: pd.DataFrame, ax: Axes | None = None, *, today: str | date | pd.Timestamp | None = None
) -> Axes:
    """Draw how many images stand on which release of AWS's public base images, newest on top, each with its age.

    A release is a day and a family of platforms (Windows, RHEL, Rocky Linux …), as AWS releases them on different days.
    The newest of each family in the frame is marked, and is shown even when no image stands on it. So is one of which
    `appstream_frames.base_images` says for most images that it is the newest of their kind of base: AWS releases
    Graphics G7, say, on other days. Images that name no base release have a bar of their own below. When there are more
    releases than fit, old ones share a bar. The counts always add up to the images of the frame; one that several accounts
    see counts once.

    Parameters
    ----------
    images : DataFrame
        One row an image, ``frames.images`` or a part of it, with the columns ``public_base_image_released_date`` and
        ``platform``; AWS's public images count too unless you leave them out.
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
    >>> released = pd.to_datetime(["2026-08-31", "2024-07-30"], utc=True)
    >>> images = pd.DataFrame({"public_base_image_released_date": released, "platform": "RHEL8"})
    >>> ax = base_image_releases(images, Figure().subplots(), today="2026-11-23")
    >>> ax.get_title()
    '1 of 2 images stands on a base release over a year old'
    """
    for name in ("public_base_image_released_date", "platform"):
        days.take_column(images, name)  # refuses what is no frame of images
    images, day = keep_distinct_images(images), days.choose_day(today, images)
    released = days.to_days(images["public_base_image_released_date"])
    families = [_name_family(platform) for platform in read_texts(images["platform"])]
    table = pd.DataFrame({"day": released, "family": families, "current": _judge_bases(images, day)})
    grouped = table.groupby(["day", "family"])["current"]
    counts, newest = grouped.size().to_dict(), {*grouped.mean().loc[lambda share: share > 0.5].index}
    unnamed = Bar("no base release named", released.count(None), layout.UNKNOWN)
    releases = _make_release_bars(counts, _read_published_bases({*families}), day, newest)
    return _draw(ax, _BASE, day, [], releases, [_make_later_bar(counts, day), unnamed])


def _judge_bases(images: pd.DataFrame, today: date) -> list[bool]:
    """Tell of which images `base_images` says that their base is the newest; of none without what that rests on."""
    if not {"account", "region", "name", "arn", "base_image_arn"} <= set(images.columns):
        return [False] * len(images)
    return [verdict == "current" for verdict in base_images(images, today=today)["verdict"]]


def _name_family(platform: str | None) -> str:
    names = (name for start, name in _FAMILIES.items() if platform and platform.startswith(start))
    return next(names, _UNKNOWN_FAMILY)


def _read_published_bases(families: Collection[str]) -> list[_Release]:
    table = reference.reference()["base_image_releases"].dropna(subset=["release_date", "platform", "image_types"])
    table = table[["Base" in types.split(";") for types in table["image_types"]]]  # not of one graphics family only
    table = table.assign(platform=table["platform"].str.split(";")).explode("platform")
    named = zip(table["release_date"].dt.date, table["platform"].replace(_REFERENCE_FAMILIES), strict=True)
    return [release for release in named if release[1] in families]


def _make_release_bars(
    counts: Mapping[_Release, int], published: Iterable[_Release], today: date, current: Collection[_Release] = ()
) -> list[_ReleaseBar]:
    """Return a bar for each release up to today, newest first; the newest of each family has one even at 0 images."""
    known = sorted(release for release in {*counts, *published} if release[0] <= today)
    latest = {family: day for day, family in known if family != _UNKNOWN_FAMILY}
    newest = {(day, family) for family, day in latest.items()}.union(current)
    drawn = newest.union(counts).intersection(known)
    bars = [_make_release_bar(release, counts.get(release, 0), release in newest, today) for release in sorted(drawn)]
    return sorted(bars, key=lambda bar: (-bar.day.toordinal(), -bar.count))


def _make_release_bar(release: _Release, count: int, newest: bool, today: date) -> _ReleaseBar:
    day, family = release
    name = f"{day} · {family}" if family else f"{day:%m-%d-%Y}"
    mark = " · AWS's newest" if newest else ""
    offered = newest and not (family in _SYSTEMS and is_family_retired(Base(day, "", "Base", _SYSTEMS[family]), today))
    colour = layout.NEWEST if offered else layout.OLD if is_over_a_year(day, today) else layout.RECENT
    return _ReleaseBar(f"{name}{mark} · {format_age((today - day).days)}", count, colour, marked=newest, day=day)


def _make_later_bar(counts: Mapping[_Release, int], today: date) -> Bar:
    return Bar(f"dated after {today}", sum(n for (day, _), n in counts.items() if day > today), layout.UNKNOWN)


def _make_garbled_bars(texts: Counter[str]) -> list[Bar]:
    """Return bars for texts that are no versions: the most frequent one, and all others together."""
    (text, count), *others = sorted(texts.items(), key=lambda item: (-item[1], item[0])) or [("", 0)]
    first = Bar(f"not a version: “{layout.make_drawable(text, 20)}”", count, layout.UNKNOWN)
    return [first, Bar(f"{len(others):,} more that are not versions", texts.total() - count, layout.UNKNOWN)]


def _draw(
    ax: Axes | None, words: _Words, today: date, above: list[Bar], releases: list[_ReleaseBar], below: list[Bar]
) -> Axes:
    bars = [*above, *releases, *below]
    if not any(bar.count for bar in bars):
        return layout.draw_nothing(ax, "No images")
    above, below = ([bar for bar in part if bar.count] for part in (above, below))
    rows = layout.find_size(ax).rows - len(above) - len(below)
    old = any(bar.count and bar.colour == layout.OLD for bar in bars)
    note = f"Ages at {today} (UTC){' · red: over a year old' if old else ''}{words.note}"
    return draw_bars(ax, [*above, *_fold(releases, rows, words.thing, today), *below], _make_title(words, bars), note)


def _fold(releases: list[_ReleaseBar], rows: int, thing: str, today: date) -> list[Bar]:
    """Return bars in so many rows if possible: releases that do not fit share a bar by year or, failing that, by age."""
    bars: list[Bar] = []
    for by_year, kept in [*product([True], range(rows, 3, -1)), *product([False], range(rows, 0, -1))]:
        bars = [bar for number, bar in enumerate(releases) if number < kept or bar.colour == layout.NEWEST]
        rest = [bar for bar in releases[kept:] if bar.count and bar.colour != layout.NEWEST]
        for (_, year), group in groupby(rest, key=lambda bar: (bar.colour, bar.day.year if by_year else None)):
            bars.append(_share_bar([*group], f"{thing}s{f' of {year}' if year else ''}", today))
        if len(bars) <= rows:
            break
    return bars


def _share_bar(releases: list[_ReleaseBar], counted: str, today: date) -> Bar:
    if len(releases) == 1:
        return releases[0]
    label = f"{len(releases):,} more {counted} · up to {format_age((today - releases[-1].day).days)}"
    return Bar(label, sum(bar.count for bar in releases), releases[0].colour)


def _make_title(words: _Words, bars: list[Bar]) -> str:
    counts: Counter[str] = Counter()
    for bar in bars:
        counts[bar.colour] += bar.count
    total, unknown, old = counts.total(), counts[layout.UNKNOWN], counts[layout.OLD]
    current = counts[layout.FOLLOWS] + counts[layout.NEWEST]
    if unknown == total:
        return f"No image names a known {words.thing}"
    if old:
        finding = f"{format_share(old, total, words.verb)} {words.one} {words.thing} over a year old"
    else:
        finding = f"{format_share(current, total, words.verb)} {words.newest} {words.thing}"
        finding += f"; no {words.thing} is over a year old" if current < total else ""
    return finding + (f"; {unknown:,} unknown" if unknown else "")
