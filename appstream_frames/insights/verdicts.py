"""Answers about one moment: how far behind is each image's agent, and the public base image it was built on.

A verdict is as good as what is known here: versions seen in the frames given, and the reference tables in ``data/``, which were
read in late 2026 and are incomplete. Nothing here asks AWS, and the frames are not changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeAlias

import pandas as pd
import pyarrow as pa

from appstream_frames.insights import base_names, days, reference
from appstream_frames.insights.base_names import Base
from appstream_frames.insights.days import Day
from appstream_frames.tables.frames import to_pandas
from appstream_frames.tables.schema import UTC_US

_IMAGE: Final = [(name, pa.string()) for name in ("account", "region", "name", "arn")]
_AGENTS: Final = pa.schema(
    [
        *_IMAGE,
        ("appstream_agent_version", pa.string()),
        ("follows_latest", pa.bool_()),
        ("agent_date", UTC_US),
        ("newest_agent", UTC_US),
        ("days_behind", pa.int64()),
        ("latest_appstream_agent_version", pa.bool_()),
        ("contradiction", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
    ]
)
_BASES: Final = pa.schema(
    [
        *_IMAGE,
        ("base_name", pa.string()),
        ("generations", pa.int64()),
        ("family", pa.string()),
        ("released", UTC_US),
        ("newest_base", pa.string()),
        ("newest_released", UTC_US),
        ("newest_from", pa.string()),
        ("days_behind", pa.int64()),
        ("age_days", pa.int64()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
    ]
)
_Texts: TypeAlias = list[str | None]
_DEEPEST: Final = 50  # generations; an image cannot be its own ancestor, but a stranger's ARN can say so


def agents(images: pd.DataFrame, *, today: Day = None) -> pd.DataFrame:
    """Say of each image how far its AppStream agent is behind.

    Parameters
    ----------
    images : pandas.DataFrame
        `Frames.images`, or some of its rows.
    today : str, date or Timestamp, optional
        The day of the question; releases after it do not count. Default: the day of the newest snapshot in the frame.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``appstream_agent_version`` as AWS sent it,
        ``follows_latest`` (true for LATEST), ``agent_date`` (of a pinned version), ``newest_agent`` (the newest known then: in
        these frames or in the reference table), ``days_behind``, AWS's flag ``latest_appstream_agent_version``, ``contradiction``
        (where that flag disagrees with the versions), ``verdict`` and its ``reason``. Verdicts: ``latest`` (follows
        AWS), ``current`` (pinned to the newest), ``behind``, ``known_bad`` (AWS advises against it), ``unknown``.

    Raises
    ------
    RequestError
        When `images` lacks a column that is needed, or `today` is no day.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     images = asf.drain(sandbox.client(), type="PRIVATE").images
    >>> sorted(asf.agents(images, today="2026-11-23")["verdict"].unique())
    ['behind', 'current', 'known_bad', 'latest']
    """
    versions = [_text(value) for value in days.column(images, "appstream_agent_version")]
    flags = [None if pd.isna(flag) else bool(flag) for flag in days.column(images, "latest_appstream_agent_version")]
    day = days.choose_day(today, images)
    newest = _newest_agent(versions, day)
    bad = reference.known_bad_agents()
    rows = [_agent(version, flag, newest, day, bad) for version, flag in zip(versions, flags, strict=True)]
    return _verdicts_of(images, rows, _AGENTS)


def _newest_agent(versions: Iterable[str | None], today: date) -> date:
    published = reference.agent_releases()["iso_date"].dt.date
    seen = (days.version_day(version) for version in set(versions) if version)
    oldest: date = published.min()
    return max((day for day in [*published, *seen] if day is not None and day <= today), default=oldest)


def _agent(version: str | None, flag: bool | None, newest: date, today: date, bad: dict[str, str]) -> dict[str, Any]:
    day = days.version_day(version) if version else None
    verdict, reason = _agent_verdict(version, day, flag, newest, today, bad)
    dated = verdict not in ("latest", "unknown") and day is not None
    return {
        "appstream_agent_version": version,
        "follows_latest": None if version is None else version == "LATEST",
        "agent_date": day,
        "newest_agent": newest,
        "days_behind": (newest - day).days if dated and day and (day < newest or verdict == "current") else None,
        "latest_appstream_agent_version": flag,
        "contradiction": _contradiction(version, day, flag, newest),
        "verdict": verdict,
        "reason": reason,
    }


def _agent_verdict(
    version: str | None, day: date | None, flag: bool | None, newest: date, today: date, bad: dict[str, str]
) -> tuple[str, str]:
    if version == "LATEST":
        return "latest", "follows AWS's newest agent"
    if day is None or version is None:
        return "unknown", "AWS names no version" if version is None else "not a version MM-DD-YYYY"
    if day > today:
        return "unknown", f"dated after {today}"
    if version in bad:
        return "known_bad", bad[version]
    if day < newest:
        return "behind", f"{newest:%m-%d-%Y} is newer"
    if flag is False:
        return "behind", "AWS says it is not the latest; the newer one is not known here"
    return "current", "pinned to the newest known"


def _contradiction(version: str | None, day: date | None, flag: bool | None, newest: date) -> str | None:
    if flag is True and day is not None and day < newest:
        return f"AWS flags it as the latest agent, though {newest:%m-%d-%Y} is newer"
    if flag is False and version == "LATEST":
        return "AWS flags it as not the latest agent, though it follows LATEST"
    if flag is False and day is not None and day == newest:
        return "AWS flags it as not the latest agent, and no newer one is known here"
    return None


def base_images(images: pd.DataFrame, *, today: Day = None) -> pd.DataFrame:
    """Say of each image which public base image it stands on, and how far that is behind.

    The base is found through ``base_image_arn``, generation by generation where images were built on images of the same frame.

    Parameters
    ----------
    images : pandas.DataFrame
        `Frames.images`, best whole: AWS's public images in it say what is newest in that region.
    today : str, date or Timestamp, optional
        As in `agents`.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``base_name``, ``generations`` (images between
        it and the base, itself included; 0 for a base), ``family`` (such as ``Base WinServer2022`` or ``Graphics G4dn RHEL8``),
        ``released``, ``newest_base`` of the family, ``newest_released``, ``newest_from`` (``drain``: a public image of the same
        account and region; ``reference``: the table that ships with the package), ``days_behind``, ``age_days``, ``verdict``
        and its ``reason``. The columns of the newest base and ``days_behind`` are null where AWS has retired the whole
        family. Verdicts: ``current``, ``behind``, ``retired`` (AWS lists the family, or that release, no more), ``unknown``.

    Raises
    ------
    RequestError
        When `images` lacks a column that is needed, or `today` is no day.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     images = asf.drain(sandbox.client()).images
    >>> sorted(asf.base_images(images, today="2026-11-23")["verdict"].unique())
    ['behind', 'current', 'retired', 'unknown']
    """
    day = days.choose_day(today, images)
    arns, bases_named = _texts(images, "arn"), _texts(images, "base_image_arn")
    moments = images["snapshot"].tolist() if "snapshot" in images.columns else [None] * len(images)
    places = list(zip(_texts(images, "account"), _texts(images, "region"), strict=True))
    newest = base_names.newest_bases(zip(places, arns, strict=True), day)
    named = _named_bases(moments, places, arns, bases_named)
    released = days.days(days.column(images, "public_base_image_released_date"))
    rows = [
        _base_row(*_origin(moment, arn, base, named), where, own, newest, day)
        for moment, arn, base, where, own in zip(moments, arns, bases_named, places, released, strict=True)
    ]
    return _verdicts_of(images, rows, _BASES)


def _named_bases(moments: Iterable[Any], places: Iterable[Any], arns: _Texts, named: _Texts) -> dict[Any, str | None]:
    """Return the base of each image by snapshot and ARN, null where no row names one.

    Accounts that share an image may see it with different columns, and rows come in any order: the owner's row counts first,
    then the first base in the alphabet.
    """
    found: dict[Any, tuple[bool, bool, str]] = {}
    for moment, (account, _), arn, base in zip(moments, places, arns, named, strict=True):
        if arn is not None:
            seen = base is None, base_names.owner(arn) != account, base or ""
            found[moment, arn] = min(seen, found.get((moment, arn), seen))
    return {image: base or None for image, (_, _, base) in found.items()}


def _origin(moment: Any, arn: str | None, base: str | None, named: dict[Any, str | None]) -> tuple[str | None, int]:
    """Return the first ancestor that is AWS's own or is not in the frame, and how many images lie below it."""
    if arn is not None and base_names.is_public(arn):
        return arn, 0
    origin, generations = base or named.get((moment, arn)), 1
    while (
        origin is not None and (moment, origin) in named and not base_names.is_public(origin) and generations < _DEEPEST
    ):
        origin, generations = named[moment, origin], generations + 1
    return origin, generations


def _base_row(
    origin: str | None,
    generations: int,
    where: Any,
    own: date | None,
    newest: base_names.Newest,
    today: date,
) -> dict[str, Any]:
    base = base_names.named(origin)
    if base is None:
        return _unknown_base(origin, generations, own, today)
    best = max(
        (found for region in (where, None) if (found := newest.get((region, base.family)))),
        key=lambda found: found.released,
        default=base,
    )
    verdict, reason = _base_verdict(base, best, today)
    row = {
        "base_name": base.name,
        "generations": generations,
        "family": base.family,
        "released": base.released,
        "age_days": (today - base.released).days,
        "verdict": verdict,
        "reason": reason,
    }
    if base_names.family_retired(base, today):  # nothing of it is new
        return row
    return row | {
        "newest_base": best.name,
        "newest_released": best.released,
        "newest_from": "drain" if newest.get((where, base.family)) == best else "reference",
        "days_behind": max(0, (best.released - base.released).days) if verdict != "unknown" else None,
    }


def _unknown_base(origin: str | None, generations: int, own: date | None, today: date) -> dict[str, Any]:
    name = origin.rpartition("/")[2] if origin else None
    reason = "AWS names no base image" if origin is None else "its base is no public base image of these frames"
    age = (today - own).days if own else None
    return {
        "base_name": name,
        "generations": generations,
        "released": own,
        "age_days": age,
        "verdict": "unknown",
        "reason": reason,
    }


def _base_verdict(base: Base, best: Base, today: date) -> tuple[str, str]:
    if base.released > today:
        return "unknown", f"released after {today}"
    if reason := base_names.retired(base, today):
        return "retired", reason
    if base.released < best.released:
        return "behind", f"{best.name} is newer"
    return "current", "the newest of its family"


def _moment(value: Any) -> Any:
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _texts(images: pd.DataFrame, name: str) -> list[str | None]:
    return [_text(value) for value in days.column(images, name)]


def _verdicts_of(images: pd.DataFrame, rows: list[dict[str, Any]], schema: pa.Schema) -> pd.DataFrame:
    keys = {name: _texts(images, name) for name, _ in _IMAGE}
    columns = {name: keys[name] if name in keys else [_moment(row.get(name)) for row in rows] for name in schema.names}
    return to_pandas(pa.table(columns, schema=schema)).set_index(images.index)
