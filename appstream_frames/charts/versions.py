"""Which agents images run and which base releases they stand on, as bars: newest on top, each with its age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.insights import days, reference
from appstream_frames.insights.base_names import Base, family_retired
from appstream_frames.insights.days import over_a_year, version_day
from appstream_frames.insights.distinct import distinct_images
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

# verb, before one of them, before AWS's newest, the thing: the words of a title
_AGENT = ("run", "an", "AWS's newest", "agent")
_BASE = ("stand", "on a", "on AWS's newest", "base release")

_Release = tuple[date, str]  # the day, and the family of platforms that it is for
_DatedBar = tuple[date, Bar]


@dataclass(frozen=True, slots=True)
class _Chart:
    """The bars of one chart, in which each image is counted once, and the words of its title."""

    verb: str
    one: str
    newest: str
    thing: str
    today: date
    above: list[Bar]
    dated: list[_DatedBar]
    below: list[Bar]


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
        Where to draw; without it a new figure is made, as tall as its rows need.
    today : str, date or Timestamp, optional
        The day (UTC) from which ages are counted; releases after it are not looked at. By default the newest
        ``snapshot`` in the frame, else now.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        The frame has no such column, or `today` is no day.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> images = pd.DataFrame({"appstream_agent_version": ["LATEST", "06-29-2026", "10-22-2024"]})
    >>> ax = agent_versions(images, Figure().subplots(), today="2026-11-23")
    >>> ax.get_title()
    '1 of 3 images runs an agent over a year old'
    """
    days.column(images, "appstream_agent_version")  # refuses what is no frame of images
    images, day = distinct_images(images), days.choose_day(today, images)
    counts = Counter(_texts(images["appstream_agent_version"]))
    following = Bar("LATEST · follows AWS's newest", counts.pop("LATEST", 0), layout.FOLLOWS)
    unnamed = Bar("no version named", counts.pop(None, 0), layout.UNKNOWN)
    dated = {text: version_day(text) for text in counts if text is not None}
    pinned = {(known, _ANY): counts[text] for text, known in dated.items() if known}
    garbled = _garbled({text: counts[text] for text, known in dated.items() if not known})
    below = [*garbled, _later(pinned, day), unnamed]
    return _draw(_Chart(*_AGENT, day, [following], _dated_bars(pinned, _agents(), day), below), ax)


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
        Where to draw; without it a new figure is made, as tall as its rows need.
    today : str, date or Timestamp, optional
        The day (UTC) from which ages are counted; releases after it are not looked at. By default the newest
        ``snapshot`` in the frame, else now.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        The frame lacks one of the columns, or `today` is no day.

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
        days.column(images, name)  # refuses what is no frame of images
    images, day = distinct_images(images), days.choose_day(today, images)
    released = days.days(images["public_base_image_released_date"])
    families = [_family(platform) for platform in _texts(images["platform"])]
    counts = Counter((known, family) for known, family in zip(released, families, strict=True) if known)
    verdicts = zip(released, families, _verdicts(images, day), strict=True)
    current = Counter((known, family) for known, family, verdict in verdicts if known and verdict == "current")
    newest = {release for release, count in current.items() if count > counts[release] / 2}
    unnamed = Bar("no base release named", released.count(None), layout.UNKNOWN)
    dated = _dated_bars(counts, _bases({family for _, family in counts}), day, newest)
    return _draw(_Chart(*_BASE, day, [], dated, [_later(counts, day), unnamed]), ax)


def _verdicts(images: pd.DataFrame, today: date) -> Iterable[str | None]:
    """Return what `base_images` says of each image; nothing where the frame lacks what that rests on."""
    needed = {"account", "region", "name", "arn", "base_image_arn"}
    return base_images(images, today=today)["verdict"] if needed <= set(images.columns) else [None] * len(images)


def _texts(column: pd.Series) -> list[str | None]:
    return [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _family(platform: str | None) -> str:
    names = (name for start, name in _FAMILIES.items() if platform and platform.startswith(start))
    return next(names, _UNKNOWN_FAMILY)


def _agents() -> list[_Release]:
    return [(day, _ANY) for day in reference.agent_releases()["iso_date"].dt.date]


def _bases(families: Iterable[str]) -> list[_Release]:
    table = reference.base_image_releases()
    table = table[
        table["image_types"].str.split(";").map(lambda types: "Base" in types)
    ]  # not of one graphics family only
    named = zip(table["release_date"].dt.date, table["platform"].replace(_REFERENCE_FAMILIES), strict=True)
    return [release for release in named if release[1] in families]


def _dated_bars(
    counts: Mapping[_Release, int], published: Iterable[_Release], today: date, current: Collection[_Release] = ()
) -> list[_DatedBar]:
    """Return a bar for each release up to today, newest first; the newest of each family has one even at 0 images."""
    known = sorted(release for release in {*counts, *published} if release[0] <= today)
    latest = {family: day for day, family in known if family != _UNKNOWN_FAMILY}
    newest = {(day, family) for family, day in latest.items()}.union(current)
    total = {release: counts.get(release, 0) for release in newest.union(counts).intersection(known)}
    shown = sorted(total.items(), key=lambda one: (-one[0][0].toordinal(), -one[1], one[0][1]))
    return [(release[0], _release_bar(release, count, release in newest, today)) for release, count in shown]


def _release_bar(release: _Release, count: int, newest: bool, today: date) -> Bar:
    day, family = release
    name = f"{day} · {family}" if family else f"{day:%m-%d-%Y}"
    mark = " · AWS's newest" if newest else ""
    offered = newest and not (family in _SYSTEMS and family_retired(Base("", "Base", _SYSTEMS[family], day), today))
    colour = layout.NEWEST if offered else layout.OLD if over_a_year(day, today) else layout.RECENT
    return Bar(f"{name}{mark} · {layout.age((today - day).days)}", count, colour, marked=newest)


def _later(counts: Mapping[_Release, int], today: date) -> Bar:
    return Bar(f"dated after {today}", sum(n for (day, _), n in counts.items() if day > today), layout.UNKNOWN)


def _garbled(texts: Mapping[str, int]) -> list[Bar]:
    """Return bars for texts that are no versions: the most frequent one, and all others together."""
    ranked = sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    first = [Bar(f"not a version: “{layout.drawable(text, 20)}”", n, layout.UNKNOWN) for text, n in ranked[:1]]
    others = Bar(f"{len(ranked) - 1:,} more that are not versions", sum(n for _, n in ranked[1:]), layout.UNKNOWN)
    return [*first, others]


def _draw(chart: _Chart, ax: Axes | None) -> Axes:
    above, below = ([bar for bar in bars if bar.count] for bars in (chart.above, chart.below))
    if not any(bar.count for bar in _all_bars(chart)):
        return layout.draw_nothing(ax, "No images")
    dated = _fitted(chart, layout.available(ax).rows - len(above) - len(below))
    return draw_bars(ax, [*above, *dated, *below], _title(chart), _note(chart))


def _all_bars(chart: _Chart) -> list[Bar]:
    return [*chart.above, *(bar for _, bar in chart.dated), *chart.below]


def _fitted(chart: _Chart, rows: int) -> list[Bar]:
    """Return bars in so many rows if possible: releases that do not fit share a bar by year or, failing that, by age."""
    for by_year, fewest in ((True, 4), (False, 1)):
        for kept in range(max(fewest, rows), fewest - 1, -1):
            bars = _split(chart, kept, by_year)
            if len(bars) <= rows:
                return bars
    return bars


def _split(chart: _Chart, kept: int, by_year: bool) -> list[Bar]:
    alone = [bar for n, (_, bar) in enumerate(chart.dated) if n < kept or bar.colour == layout.NEWEST]
    rest = [(day, bar) for day, bar in chart.dated[kept:] if bar.count and bar.colour != layout.NEWEST]
    groups = groupby(rest, key=lambda one: (one[1].colour == layout.OLD, by_year and one[0].year))
    return alone + [_shared_bar(chart, list(group), by_year) for _, group in groups]


def _shared_bar(chart: _Chart, dated: list[_DatedBar], by_year: bool) -> Bar:
    oldest, bar = dated[-1]
    if len(dated) == 1:
        return bar
    what = f"{len(dated):,} more {chart.thing}s" + (f" of {oldest.year}" if by_year else "")
    count = sum(bar.count for _, bar in dated)
    return Bar(f"{what} · up to {layout.age((chart.today - oldest).days)}", count, bar.colour)


def _title(chart: _Chart) -> str:
    counts: Counter[str] = Counter()
    for bar in _all_bars(chart):
        counts[bar.colour] += bar.count
    total, unknown, old = counts.total(), counts[layout.UNKNOWN], counts[layout.OLD]
    current = counts[layout.FOLLOWS] + counts[layout.NEWEST]
    if unknown == total:
        return f"No image names a known {chart.thing}"
    aged = f"{layout.share(old, total, chart.verb)} {chart.one} {chart.thing} over a year old"
    newest = f"{layout.share(current, total, chart.verb)} {chart.newest} {chart.thing}"
    finding = aged if old else newest if current == total else f"{newest}; no {chart.thing} is over a year old"
    return finding + (f"; {unknown:,} unknown" if unknown else "")


def _note(chart: _Chart) -> str:
    old = any(bar.count and bar.colour == layout.OLD for bar in _all_bars(chart))
    kinds = " · newest: of a kind of base" if chart.thing == _BASE[-1] else ""
    return f"Ages at {chart.today} (UTC)" + (" · red: over a year old" if old else "") + kinds
