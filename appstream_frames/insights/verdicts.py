"""Verdicts at one moment: how far behind each image's agent is, and the public base image it was built on.

A verdict compares with the newest version known from the frames or from the reference tables, which are incomplete and become
outdated. Each verdict names which of the two it used, and its date.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache, partial
from operator import itemgetter
from typing import Any, Final, TypeAlias

import pandas as pd

from appstream_frames.insights import base_names
from appstream_frames.insights.base_names import Base
from appstream_frames.insights.days import Day, choose_day, find_snapshot_day, parse_version, take_column, to_days
from appstream_frames.insights.reference import Folder, reference
from appstream_frames.insights.rows import Coverage, to_typed
from appstream_frames.tables.decode import parse_owner
from appstream_frames.tables.frames import Frames

_AGENTS: Final = """account region name arn appstream_agent_version follows_latest agent_date newest_agent newest_from
    newest_as_of days_behind latest_appstream_agent_version contradiction verdict reason""".split()
_BASES: Final = """account region name arn base_name generations family released newest_base newest_released newest_from
    newest_as_of days_behind age_days maybe_updated verdict reason""".split()
_IMPORTED: Final = ("CUSTOM", "BYOL")
_DEEPEST: Final = 50  # generations; no image is its own ancestor, but ARNs from other accounts may form a cycle
#: The ``contradiction`` of an image with the newest known agent, if AWS flags that as not the latest.
NONE_NEWER: Final = "AWS flags it as not the latest agent, and no newer one is known here"
_Target: TypeAlias = tuple[str | None, str | None]
_Seen: TypeAlias = tuple[_Target, str | None]  # where an image was seen, and its ARN
_Yardstick: TypeAlias = tuple[date, str, date | None]  # the newest known, its origin, and the day of that origin


def agents(images: pd.DataFrame | Frames, *, today: Day = None, reference: Folder = None) -> pd.DataFrame:
    """Return how far behind the AppStream agent of each image is.

    Parameters
    ----------
    images : pandas.DataFrame or Frames
        `Frames.images`, or some of its rows; or the Frames.
    today : str, date or Timestamp, optional
        The day to judge from; later releases are ignored. Default: the day of the newest snapshot in the DataFrame.
    reference : str or path, optional
        A folder with your own tables, see `reference`.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``appstream_agent_version`` as AWS sent it,
        ``follows_latest`` (true for LATEST), ``agent_date`` (of a pinned version), ``newest_agent`` (the newest known then),
        ``newest_from`` (``drain``: an image of these frames has it; ``reference``: the package's table; ``yours``: your table),
        ``newest_as_of`` (the day of the drain, or on which the table was read), ``days_behind``, AWS's flag
        ``latest_appstream_agent_version``, ``contradiction`` (if that flag disagrees with the versions), ``verdict`` and its
        ``reason``. Verdicts: ``latest`` (follows AWS), ``current`` (pinned to the newest known, or to the one that AWS flags as
        the latest), ``behind``, ``known_bad`` (AWS advises against it), ``unknown``.

    Raises
    ------
    RequestError
        When `images` lacks a required column, `today` is not a day, or `reference` holds no such tables.

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
    return judge_agents(images, today, reference)


def judge_agents(images: pd.DataFrame | Frames, today: Day, folder: Folder, apart: bool = False) -> pd.DataFrame:
    """Return the verdicts of `agents`; with `apart`, each target is judged by its own images alone."""
    images = images.images if isinstance(images, Frames) else images
    versions = _read_texts(images, "appstream_agent_version")
    flags = [None if pd.isna(flag) else bool(flag) for flag in take_column(images, "latest_appstream_agent_version")]
    day, tables = choose_day(today, images), reference(folder)
    listed, drained = _find_newest_listed(tables["agent_versions"], day), find_snapshot_day(images, day)
    newest: dict[_Target | None, _Yardstick] = {}
    scopes = _list_targets(images) if apart else [None] * len(images)
    for scope, version in zip(scopes, versions, strict=True):
        best, seen = newest.setdefault(scope, listed), parse_version(version or "")
        if seen and best[0] < seen <= day:
            newest[scope] = seen, "drain", drained
    bad = dict(zip(tables["known_bad_agents"]["agent_version"], tables["known_bad_agents"]["reason"], strict=True))
    judge = cache(partial(_judge_agent, today=day, drained=drained, bad=bad))  # many images have the same agent
    rows = [judge(version, flag, newest[scope]) for version, flag, scope in zip(versions, flags, scopes, strict=True)]
    verdicts = _to_verdicts(images, rows, _AGENTS)
    if ((verdicts["newest_from"] != "drain") & (verdicts["contradiction"] == NONE_NEWER)).any():
        warnings.warn(
            f"The reference table of agents is old: AWS flags {listed[0]:%m-%d-%Y}, its newest, as not the latest. Upgrade "
            "the package, or give a folder with a newer agent_versions.csv as reference=.",
            stacklevel=3,
        )
    return verdicts


def _find_newest_listed(table: pd.DataFrame, today: date) -> _Yardstick:
    """Return the newest agent of a table on a day, or the oldest in it if none had been released by then."""
    dated = table.dropna(subset="iso_date")
    known = sorted(zip(dated["iso_date"].dt.date, dated["origin"], strict=True))
    day, origin = next((each for each in reversed(known) if each[0] <= today), known[0])
    return day, origin, table.loc[table["origin"] == origin, "read_on"].max()


def _judge_agent(
    version: str | None, flag: bool | None, yardstick: _Yardstick, today: date, drained: date, bad: Mapping[str, str]
) -> dict[str, Any]:
    """Return the columns of an image with this version and AWS's flag."""
    day = parse_version(version or "")
    outdated = flag and drained < yardstick[0] <= today  # a newer agent was released after the drain
    known = None if outdated else flag
    contradiction = _find_contradiction(version, day, known, yardstick[0])
    if known and day is not None and day <= today:  # AWS's flag overrides the tables
        yardstick = day, "drain", drained
    newest = yardstick[0]
    verdict, reason = _decide_agent(version, day, known, newest, today, bad)
    dated = day is not None and verdict != "unknown" and (day < newest or verdict == "current")
    behind = (newest - day).days if dated and day else None
    follows = None if version is None else version == "LATEST"
    values = (version, follows, day, *yardstick, behind, flag, contradiction, verdict, reason)
    return dict(zip(_AGENTS[4:], values, strict=True))


def _decide_agent(
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


def _find_contradiction(version: str | None, day: date | None, flag: bool | None, newest: date) -> str | None:
    if flag is True and day is not None and day < newest:
        return f"AWS flags it as the latest agent, though {newest:%m-%d-%Y} is newer"
    if flag is False and version == "LATEST":
        return "AWS flags it as not the latest agent, though it follows LATEST"
    if flag is False and day is not None and day == newest:
        return NONE_NEWER
    return None


def base_images(images: pd.DataFrame | Frames, *, today: Day = None, reference: Folder = None) -> pd.DataFrame:
    """Return the public base image that each image was built on, and how far behind that is.

    The base is found through ``base_image_arn``, over several generations where images were built on images in `images`.

    Parameters
    ----------
    images : pandas.DataFrame or Frames
        `Frames.images`, preferably whole: AWS's public images in it show the newest in that region. For Frames, `coverage` also
        shows where AWS's images were read whole: a base that is not listed there is retired.
    today, reference
        As in `agents`.

    Returns
    -------
    pandas.DataFrame
        A row per image, in the order and with the index of `images`: its key, ``base_name``, ``generations`` (the number of
        images from it to the base, itself included; 0 for a base), ``family`` (such as ``Base WinServer2022`` or ``Graphics G4dn
        RHEL8``), ``released``, ``newest_base`` of the family, ``newest_released``, ``newest_from`` and ``newest_as_of`` (as in
        `agents`; ``drain`` is a public image of the same account and region), ``days_behind``, ``age_days``, ``maybe_updated``,
        ``verdict`` and its ``reason``. The columns of the newest base and ``days_behind`` are null if AWS has retired the whole
        family. Verdicts: ``current``, ``behind``, ``retired`` (AWS no longer lists the family, or that release),
        ``not_applicable`` (imported images have no AppStream base), ``unknown``. ``maybe_updated`` is true if an image that is
        behind or retired names no image builder: a managed image update may have changed it without a trace.

    Raises
    ------
    RequestError
        As in `agents`.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     images = asf.drain(sandbox.client()).images
    >>> sorted(asf.base_images(images, today="2026-11-23")["verdict"].unique())
    ['behind', 'current', 'not_applicable', 'retired']
    """
    return judge_bases(images, today, reference)


def judge_bases(images: pd.DataFrame | Frames, today: Day, folder: Folder, apart: bool = False) -> pd.DataFrame:
    """Return the verdicts of `base_images`; with `apart`, each target is judged by its own images alone."""
    covered = Coverage(images.coverage) if isinstance(images, Frames) else None
    images = images.images if isinstance(images, Frames) else images
    arns, named, targets = _read_texts(images, "arn"), _read_texts(images, "base_image_arn"), _list_targets(images)
    day = choose_day(today, images)
    seen, drained = set(zip(targets, arns, strict=True)), find_snapshot_day(images, day)
    judge = cache(_Judge(day, drained, seen, covered, reference(folder)).judge)
    moments = images.get("snapshot", pd.Series(0, images.index)).factorize()[0].tolist()
    scopes = list(zip(moments, targets if apart else [None] * len(images), strict=True))
    ancestors = _name_bases(scopes, targets, arns, named)
    released = to_days(take_column(images, "public_base_image_released_date"))
    older = images.assign(**{name: "" for name in ("image_type", "image_builder_name") if name not in images.columns})
    builders = [builder is None for builder in _read_texts(older, "image_builder_name")]
    rows = [
        judge(*_find_origin(scope, arn, base, ancestors), *facts)
        for scope, arn, base, *facts in zip(
            scopes, arns, named, targets, released, _read_texts(older, "image_type"), builders, strict=True
        )
    ]
    return _to_verdicts(images, rows, _BASES)


def _name_bases(
    scopes: Iterable[Any], targets: Iterable[_Target], arns: Iterable[str | None], named: Iterable[str | None]
) -> dict[Any, str | None]:
    """Return the base of each image by scope and ARN, None if no row names one.

    Accounts that share an image may see different values, and rows come in any order: the owner's row has precedence,
    then the first base in alphabetical order.
    """
    found: dict[Any, tuple[bool, bool, str]] = {}
    for scope, (account, _), arn, base in zip(scopes, targets, arns, named, strict=True):
        if arn is not None:
            seen = base is None, parse_owner(arn) != account, base or ""
            found[scope, arn] = min(seen, found.get((scope, arn), seen))
    return {image: base or None for image, (_, _, base) in found.items()}


def _find_origin(
    scope: Any, arn: str | None, base: str | None, bases: Mapping[Any, str | None]
) -> tuple[str | None, int]:
    """Return the first ancestor that is AWS's own or is not in the DataFrame, and the number of generations up to it."""
    if arn is not None and base_names.is_public(arn):
        return arn, 0
    origin, generations = base or bases.get((scope, arn)), 1
    while origin and (scope, origin) in bases and not base_names.is_public(origin) and generations < _DEEPEST:
        origin, generations = bases[scope, origin], generations + 1
    return origin, generations


class _Judge:
    """Judges base images by the images that targets list, their coverage, and the reference tables."""

    def __init__(
        self,
        today: date,
        drained: date,
        seen: Iterable[_Seen],
        covered: Coverage | None,
        tables: Mapping[str, pd.DataFrame],
    ) -> None:
        self._today = today
        public = [(target, arn) for target, arn in seen if arn is not None and base_names.is_public(arn)]
        #: By name, because the ARN in a copied image may be of its original region.
        self._listed_names = {(target, arn.rpartition("/")[2]) for target, arn in public}
        #: The targets in which AWS's own images were read whole; AWS lists some in every region.
        self._whole = {
            target
            for target in {target for target, _ in public}
            if covered
            and not covered.find_missing(*target, "DescribeImages")
            and not covered.excludes(*target, None, None)
        }
        bases = [
            (base, target) for target, arn in public if (base := base_names.parse_arn(arn)) and base.released <= today
        ]
        self._drained = {(target, base.family): base for base, target in sorted(bases, key=itemgetter(0))}
        table = tables["latest_public_base_images"]
        self._listed = base_names.find_newest_listed(table, today)
        self._as_of = {**table.groupby("origin")["read_on"].max(), "drain": drained}
        retired = tables["retired_base_images"]
        self._list_retirements = cache(partial(base_names.list_retirements, table=retired, today=today))

    def judge(
        self, origin: str | None, depth: int, target: _Target, released: date | None, kind: str | None, unnamed: bool
    ) -> dict[str, Any]:
        """Return the columns of an image whose first ancestor is `origin`; `unnamed` means that it names no image builder."""
        base = None if kind in _IMPORTED else base_names.parse_arn(origin)
        if base is not None:
            return self._judge_base(base, depth, target, depth > 0 and unnamed)
        verdict, reason = "unknown", "AWS names no base image"
        if kind in _IMPORTED:
            verdict, reason = "not_applicable", f"imported ({kind}); it has no base image of AppStream's"
        elif origin:
            reason = "its base is not a public base image in these frames"
        age = (self._today - released).days if released else None
        row = {"base_name": origin and origin.rpartition("/")[2], "generations": depth, "released": released}
        return row | {"age_days": age, "maybe_updated": False, "verdict": verdict, "reason": reason}

    def _judge_base(self, base: Base, depth: int, target: _Target, unnamed: bool) -> dict[str, Any]:
        best, best_from = self._find_newest(base, target)
        verdict, reason = self._decide(base, best, target)
        late = unnamed and verdict in ("behind", "retired")
        reason += "; a managed image update may have moved it on" if late else ""
        age = (self._today - base.released).days
        row = {"base_name": base.name, "generations": depth, "family": base.family, "released": base.released}
        row |= {"age_days": age, "maybe_updated": late, "verdict": verdict, "reason": reason}
        if verdict == "retired" and any(whole for _, whole in self._list_retirements(base)):  # the family has no newest
            return row
        behind = max(0, (best.released - base.released).days) if verdict != "unknown" else None
        row |= {"newest_base": best.name, "newest_released": best.released, "newest_from": best_from}
        return row | {"newest_as_of": self._as_of.get(best_from), "days_behind": behind}

    def _find_newest(self, base: Base, target: _Target) -> tuple[Base, str]:
        drained, listed = self._drained.get((target, base.family)), self._listed.get(base.family)
        if listed and not (drained and drained.released >= listed[0].released):
            return listed
        return (drained, "drain") if drained else (base, "reference")

    def _decide(self, base: Base, best: Base, target: _Target) -> tuple[str, str]:
        if base.released > self._today:
            return "unknown", f"released after {self._today}"
        if (target, base.name) not in self._listed_names:  # an image that AWS lists is not retired, whatever tables say
            if retirements := self._list_retirements(base):
                return "retired", retirements[0][0]
            if target in self._whole:
                return "retired", f"AWS no longer lists it in {target[1]}"
        if base.released < best.released:
            return "behind", f"{best.name} is newer"
        return "current", "the newest of its family"


def _read_texts(images: pd.DataFrame, name: str) -> list[str | None]:
    values = take_column(images, name).to_numpy(object, na_value=None)
    return [None if value is None else str(value) for value in values]


def _list_targets(images: pd.DataFrame) -> list[_Target]:
    return list(zip(_read_texts(images, "account"), _read_texts(images, "region"), strict=True))


def _to_verdicts(images: pd.DataFrame, rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Return verdicts with the keys of their images."""
    keys = {name: _read_texts(images, name) for name in columns[:4]}
    values = {name: [row.get(name) for row in rows] for name in columns[4:]}
    return to_typed(keys | values, columns).set_index(images.index)
