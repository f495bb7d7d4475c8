"""Verdicts at one moment: how far behind is each image's agent, and the public base image it was built on.

A verdict is as good as its yardstick: what the frames show, and the reference tables, which are incomplete and age. Each says
which of the two it rests on, and of when. Nothing here calls AWS, and the frames are not changed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeAlias

import pandas as pd
import pyarrow as pa

from appstream_frames.insights import base_names, days
from appstream_frames.insights.base_names import Base, Retirements
from appstream_frames.insights.coverage import Coverage
from appstream_frames.insights.days import Day
from appstream_frames.insights.reference import read_tables
from appstream_frames.tables.frames import Frames, to_pandas
from appstream_frames.tables.schema import UTC_US

_IMAGE: Final = [(name, pa.string()) for name in ("account", "region", "name", "arn")]
_AGENTS: Final = pa.schema(
    [
        *_IMAGE,
        ("appstream_agent_version", pa.string()),
        ("follows_latest", pa.bool_()),
        ("agent_date", UTC_US),
        ("newest_agent", UTC_US),
        ("newest_from", pa.string()),
        ("newest_as_of", UTC_US),
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
        ("newest_as_of", UTC_US),
        ("days_behind", pa.int64()),
        ("age_days", pa.int64()),
        ("maybe_updated", pa.bool_()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
    ]
)
_Texts: TypeAlias = list[str | None]
_IMPORTED: Final = ("CUSTOM", "BYOL")
_DEEPEST: Final = 50  # generations; an image cannot be its own ancestor, but a stranger's ARN can say so


def agents(
    images: pd.DataFrame | Frames, *, today: Day = None, reference: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Say of each image how far its AppStream agent is behind.

    Parameters
    ----------
    images : pandas.DataFrame or Frames
        `Frames.images`, or some of its rows; or the frames.
    today : str, date or Timestamp, optional
        The day of the question; releases after it do not count. Default: the day of the newest snapshot in the frame.
    reference : str or path, optional
        A folder with tables of your own, see `reference`.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``appstream_agent_version`` as AWS sent it,
        ``follows_latest`` (true for LATEST), ``agent_date`` (of a pinned version), ``newest_agent`` (the newest known then),
        ``newest_from`` (``drain``: an image of these frames has it; ``reference``: the table that ships with the package;
        ``yours``: your table) and ``newest_as_of`` (the day of the drain, or on which the table was read), ``days_behind``,
        AWS's flag ``latest_appstream_agent_version``, ``contradiction`` (where that flag disagrees with the versions),
        ``verdict`` and its ``reason``. Verdicts: ``latest`` (follows AWS), ``current`` (pinned to the newest: the newest known,
        or the one that AWS flags as the latest), ``behind``, ``known_bad`` (AWS advises against it), ``unknown``.

    Raises
    ------
    RequestError
        When `images` lacks a column that is needed, `today` is no day, or `reference` holds no such tables.

    Warns
    -----
    UserWarning
        When AWS flags the newest version of the reference table as not the latest: the table is old.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     images = asf.drain(sandbox.client(), type="PRIVATE").images
    >>> sorted(asf.agents(images, today="2026-11-23")["verdict"].unique())
    ['behind', 'current', 'known_bad', 'latest']
    """
    images, _ = _images_of(images)
    day, found = days.choose_day(today, images), read_tables(reference)
    versions = _texts(images, "appstream_agent_version")
    flags = [None if pd.isna(flag) else bool(flag) for flag in days.column(images, "latest_appstream_agent_version")]
    newest = _newest_agent(versions, found["agent_versions"], day)
    bad = dict(zip(found["known_bad_agents"]["agent_version"], found["known_bad_agents"]["reason"], strict=True))
    rows = [_agent(version, flag, newest, day, bad) for version, flag in zip(versions, flags, strict=True)]
    if newest.origin != "drain" and any(
        version == f"{newest.day:%m-%d-%Y}" and flag is False for version, flag in zip(versions, flags, strict=True)
    ):
        warnings.warn(
            f"The reference table of agents is old: AWS flags {newest.day:%m-%d-%Y}, its newest, as not the latest. Upgrade "
            "the package, or give a folder with a newer agent_versions.csv as reference=.",
            stacklevel=2,
        )
    return _judged(images, rows, _AGENTS)


def _images_of(images: pd.DataFrame | Frames) -> tuple[pd.DataFrame, Coverage | None]:
    if isinstance(images, Frames):
        return images.images, Coverage(images.coverage)
    return images, None


@dataclass(frozen=True)
class _Yardstick:
    """The newest that is known: its day, where that was seen, and on which day."""

    day: date
    origin: str
    as_of: date | None


def _newest_agent(versions: Iterable[str | None], table: pd.DataFrame, today: date) -> _Yardstick:
    listed = zip(days.days(table["iso_date"]), table["origin"], strict=True)
    known = sorted((day, origin) for day, origin in listed if day is not None)
    day, origin = next((each for each in reversed(known) if each[0] <= today), known[0])
    seen = [found for version in set(versions) if version and (found := days.version_day(version)) and found <= today]
    if seen and max(seen) > day:
        return _Yardstick(max(seen), "drain", today)
    return _Yardstick(day, origin, _read_on(table, origin))


def _read_on(table: pd.DataFrame, origin: str) -> date | None:
    """Return the last day on which rows of a table were read."""
    read = days.days(table.loc[table["origin"] == origin, "read_on"])
    return max((day for day in read if day is not None), default=None)


def _agent(
    version: str | None, flag: bool | None, newest: _Yardstick, today: date, bad: Mapping[str, str]
) -> dict[str, Any]:
    day = days.version_day(version) if version else None
    known = newest.day
    if flag is True and day is not None and day <= today:  # AWS knows better than any table
        newest = _Yardstick(day, "drain", today)
    verdict, reason = _agent_verdict(version, day, flag, newest.day, today, bad)
    dated = verdict not in ("latest", "unknown") and day is not None
    return {
        "appstream_agent_version": version,
        "follows_latest": None if version is None else version == "LATEST",
        "agent_date": day,
        "newest_agent": newest.day,
        "newest_from": newest.origin,
        "newest_as_of": newest.as_of,
        "days_behind": (newest.day - day).days
        if dated and day and (day < newest.day or verdict == "current")
        else None,
        "latest_appstream_agent_version": flag,
        "contradiction": _contradiction(version, day, flag, known),
        "verdict": verdict,
        "reason": reason,
    }


def _agent_verdict(
    version: str | None, day: date | None, flag: bool | None, newest: date, today: date, bad: Mapping[str, str]
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
    return "current", "AWS flags it as the latest" if flag else "pinned to the newest known"


def _contradiction(version: str | None, day: date | None, flag: bool | None, newest: date) -> str | None:
    if flag is True and day is not None and day < newest:
        return f"AWS flags it as the latest agent, though {newest:%m-%d-%Y} is newer"
    if flag is False and version == "LATEST":
        return "AWS flags it as not the latest agent, though it follows LATEST"
    if flag is False and day is not None and day == newest:
        return "AWS flags it as not the latest agent, and no newer one is known here"
    return None


def base_images(
    images: pd.DataFrame | Frames, *, today: Day = None, reference: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Say of each image which public base image it stands on, and how far that is behind.

    The base is found through ``base_image_arn``, generation by generation where images were built on images of the same frame.

    Parameters
    ----------
    images : pandas.DataFrame or Frames
        `Frames.images`, best whole: AWS's public images in it say what is newest in that region. Of frames, `coverage` says
        besides where AWS's images were read whole: a base that is not listed there is retired.
    today : str, date or Timestamp, optional
        As in `agents`.
    reference : str or path, optional
        A folder with tables of your own, see `reference`.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``base_name``, ``generations`` (images between
        it and the base, itself included; 0 for a base), ``family`` (such as ``Base WinServer2022`` or ``Graphics G4dn RHEL8``),
        ``released``, ``newest_base`` of the family, ``newest_released``, ``newest_from`` (``drain``: a public image of the same
        account and region; ``reference``: the table that ships with the package; ``yours``: your table) and ``newest_as_of``
        (the day of the drain, or on which the table was read), ``days_behind``, ``age_days``, ``maybe_updated``, ``verdict`` and
        its ``reason``. The columns of the newest base and ``days_behind`` are null where AWS has retired the whole family.
        Verdicts: ``current``, ``behind``, ``retired`` (AWS lists the family, or that release, no more), ``not_applicable``
        (imported images have no base of AppStream's), ``unknown``. ``maybe_updated`` is true where an image that is late names
        no image builder: a managed image update may have moved it past its base without a trace.

    Raises
    ------
    RequestError
        When `images` lacks a column that is needed, `today` is no day, or `reference` holds no such tables.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     images = asf.drain(sandbox.client()).images
    >>> sorted(asf.base_images(images, today="2026-11-23")["verdict"].unique())
    ['behind', 'current', 'not_applicable', 'retired']
    """
    images, covered = _images_of(images)
    day, found = days.choose_day(today, images), read_tables(reference)
    arns, bases_named = _texts(images, "arn"), _texts(images, "base_image_arn")
    moments = images["snapshot"].tolist() if "snapshot" in images.columns else [None] * len(images)
    targets = list(zip(_texts(images, "account"), _texts(images, "region"), strict=True))
    judge = _Judge(day, list(zip(targets, arns, strict=True)), covered, found)
    named = _named_bases(moments, targets, arns, bases_named)
    released = days.days(days.column(images, "public_base_image_released_date"))
    builders, kinds = (_optional_texts(images, name) for name in ("image_builder_name", "image_type"))
    rows = [
        judge.row(*_origin(moment, arn, base, named), target, own, kind, builder)
        for moment, arn, base, target, own, kind, builder in zip(
            moments, arns, bases_named, targets, released, kinds, builders, strict=True
        )
    ]
    return _judged(images, rows, _BASES)


def _named_bases(moments: Iterable[Any], targets: Iterable[Any], arns: _Texts, named: _Texts) -> dict[Any, str | None]:
    """Return the base of each image by snapshot and ARN, null where no row names one.

    Accounts that share an image may see different values, and rows come in any order: the owner's row counts first,
    then the first base in the alphabet.
    """
    found: dict[Any, tuple[bool, bool, str]] = {}
    for moment, (account, _), arn, base in zip(moments, targets, arns, named, strict=True):
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


class _Judge:
    """Judges base images by what the targets list, by their coverage and by the reference tables."""

    def __init__(
        self,
        today: date,
        seen: list[tuple[Any, str | None]],
        covered: Coverage | None,
        found: Mapping[str, pd.DataFrame],
    ) -> None:
        self._today, self._seen, self._covered = today, set(seen), covered
        self._with_public = {target for target, arn in seen if arn is not None and base_names.is_public(arn)}
        self._drained = base_names.newest_drained(seen, today)
        table = found["latest_public_base_images"]
        self._listed = base_names.newest_listed(table, today)
        self._read_on = {origin: _read_on(table, origin) for origin in ("reference", "yours")}
        self._retirements = Retirements(found["retired_base_images"], today)

    def row(
        self,
        origin: str | None,
        generations: int,
        target: tuple[str | None, str | None],
        released: date | None,
        kind: str | None,
        builder: str | None,
    ) -> dict[str, Any]:
        """Return the columns of one image, whose first ancestor is `origin`."""
        base = base_names.named(origin)
        if base is None or kind in _IMPORTED:
            return self._unjudged(origin, generations, released, kind)
        best, best_from = self._newest(base, target)
        verdict, reason = self._verdict(base, best, target, str(origin))
        late = verdict in ("behind", "retired") and generations > 0 and builder is None
        row = {
            "base_name": base.name,
            "generations": generations,
            "family": base.family,
            "released": base.released,
            "age_days": (self._today - base.released).days,
            "maybe_updated": late,
            "verdict": verdict,
            "reason": f"{reason}; a managed image update may have moved it on" if late else reason,
        }
        if verdict == "retired" and self._retirements.whole_family(base):  # nothing of it is new
            return row
        return row | {
            "newest_base": best.name,
            "newest_released": best.released,
            "newest_from": best_from,
            "newest_as_of": self._today if best_from == "drain" else self._read_on[best_from],
            "days_behind": max(0, (best.released - base.released).days) if verdict != "unknown" else None,
        }

    def _newest(self, base: Base, target: tuple[str | None, str | None]) -> tuple[Base, str]:
        drained, listed = self._drained.get((target, base.family)), self._listed.get(base.family)
        if listed and not (drained and drained.released >= listed[0].released):
            return listed
        return (drained, "drain") if drained else (base, "reference")

    def _unjudged(
        self, origin: str | None, generations: int, released: date | None, kind: str | None
    ) -> dict[str, Any]:
        verdict, reason = "unknown", "its base is no public base image of these frames"
        if kind in _IMPORTED:
            verdict, reason = "not_applicable", f"imported ({kind}); it has no base image of AppStream's"
        elif origin is None:
            reason = "AWS names no base image"
        return {
            "base_name": origin.rpartition("/")[2] if origin else None,
            "generations": generations,
            "released": released,
            "age_days": (self._today - released).days if released else None,
            "maybe_updated": False,
            "verdict": verdict,
            "reason": reason,
        }

    def _verdict(self, base: Base, best: Base, target: tuple[str | None, str | None], arn: str) -> tuple[str, str]:
        if base.released > self._today:
            return "unknown", f"released after {self._today}"
        if (target, arn) not in self._seen:  # what AWS lists is not retired, whatever a table says
            if reason := self._retirements.reason(base):
                return "retired", reason
            if self._lists_all(target):
                return "retired", f"AWS lists it no more in {target[1]}"
        if base.released < best.released:
            return "behind", f"{best.name} is newer"
        return "current", "the newest of its family"

    def _lists_all(self, target: tuple[str | None, str | None]) -> bool:
        """Tell whether AWS's own images were read whole in a target."""
        covered = self._covered
        return (
            covered is not None
            and target in self._with_public  # AWS lists some everywhere
            and covered.missing(*target, "DescribeImages") is None
            and not covered.excludes(*target, None, None)
        )


def _moment(value: Any) -> Any:
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _texts(images: pd.DataFrame, name: str) -> list[str | None]:
    values = days.column(images, name).to_numpy(object, na_value=None)
    return [None if value is None else str(value) for value in values]


def _optional_texts(images: pd.DataFrame, name: str) -> _Texts:
    return _texts(images, name) if name in images.columns else [""] * len(images)


def _judged(images: pd.DataFrame, rows: list[dict[str, Any]], schema: pa.Schema) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {name: _texts(images, name) for name, _ in _IMAGE}
    for field in schema:
        if field.name not in columns:
            values = [row.get(field.name) for row in rows]
            columns[field.name] = [_moment(value) for value in values] if field.type == UTC_US else values
    return to_pandas(pa.table(columns, schema=schema)).set_index(images.index)
