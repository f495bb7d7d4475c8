"""Public base images: what their names tell, which is the newest of a family, which families AWS has retired.

The names follow ``AppStream-[Graphics-KIND-]OS-MM-DD-YYYY``; old ones ``Base-Image-Builder-MM-DD-YYYY`` and
``Graphics-KIND-Image-Builder-MM-DD-YYYY``. Nothing here calls AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.insights.days import parse_version
from appstream_frames.insights.reference import read_tables
from appstream_frames.insights.rows import iterate_rows
from appstream_frames.text import printable

_BASE_NAME: Final = re.compile(r"AppStream-(?:(Graphics-[A-Za-z0-9]+)-)?([A-Za-z0-9]+)-(\d{2}-\d{2}-\d{4})")
_SAMPLE_NAME: Final = re.compile(r"Amazon-AppStream2-Sample-Image-(\d{2}-\d{2}-\d{4})")
_OLD_NAME: Final = re.compile(r"(?:Base|(Graphics-(?:Design|Desktop|Pro)))-Image-Builder-(\d{2}-\d{2}-\d{4})")


@dataclass(frozen=True)
class Base:
    """A public base image, as its name tells."""

    name: str
    kind: str
    os: str
    released: date

    @property
    def family(self) -> str:
        """Kind and operating system, such as ``Graphics G4dn RHEL8``."""
        return f"{self.kind} {self.os}".strip()


@lru_cache(maxsize=8192)
def parse_arn(arn: str | None) -> Base | None:
    """Return the base image that a public ARN names.

    Examples
    --------
    >>> parse_arn("arn:aws:appstream:eu-west-1::image/AppStream-Graphics-NV-RHEL8-09-22-2026").family
    'Graphics NV RHEL8'
    >>> parse_arn("arn:aws:appstream:eu-west-1::image/Graphics-Pro-Image-Builder-06-12-2018").family
    'Graphics Pro WinServer2012R2'
    """
    if arn is None or not is_public(arn):
        return None
    name = arn.rpartition("/")[2]
    if match := _SAMPLE_NAME.fullmatch(name):
        return _parse_dated(name, "Sample apps", "", match[1])
    if match := _OLD_NAME.fullmatch(name):
        return _parse_dated(name, match[1] or "Base", "WinServer2012R2", match[2])
    match = _BASE_NAME.fullmatch(name)
    return _parse_dated(name, match[1] or "Base", match[2], match[3]) if match else None


def _parse_dated(name: str, kind: str, os: str, version: str) -> Base | None:
    released = parse_version(version)
    return None if released is None else Base(name, kind.replace("-", " "), os, released)


def find_newest_drained(seen: Iterable[tuple[Any, str | None]], today: date) -> dict[tuple[Any, str], Base]:
    """Return the newest base of each family by target, of the (target, ARN) pairs that were seen."""
    newest: dict[tuple[Any, str], Base] = {}
    for target, arn in seen:
        base = parse_arn(arn)
        if base and base.released <= today:
            newest[target, base.family] = max(newest.get((target, base.family), base), base, key=_rank)
    return newest


def find_newest_listed(table: pd.DataFrame, today: date) -> dict[str, tuple[Base, str]]:
    """Return the newest base of each family, and its origin, of a table of newest bases; a user's rows replace a family's."""
    newest: dict[str, tuple[Base, str]] = {}
    for name, origin in zip(table["image_name"], table["origin"], strict=True):
        base = parse_arn(f"arn:aws:appstream:::image/{name}")
        if base is None:
            example = "expected that of a public base image such as AppStream-WinServer2022-08-31-2026"
            raise RequestError(f"latest_public_base_images.csv has {printable(repr(name))} in image_name, {example}")
        if base.released <= today:
            known = newest.get(base.family, (base, origin))
            if (origin == "yours", *_rank(base)) >= (known[1] == "yours", *_rank(known[0])):
                newest[base.family] = base, origin
    return newest


def _rank(base: Base) -> tuple[date, str]:
    return base.released, base.name


class Retirements:
    """Which families and releases AWS lists no more."""

    def __init__(self, table: pd.DataFrame, today: date) -> None:
        self._today = today
        names = ("family_type", "family_os", "retired_after", "released_before", "reason")
        self._rows = list(iterate_rows(table, *names))

    def find_reason(self, base: Base) -> str | None:
        """Return why AWS lists a base image no more, if so."""
        return next((reason for reason, _ in self._find(base)), None)

    def include_family_of(self, base: Base) -> bool:
        """Tell whether AWS has retired all releases of a base image's family."""
        return any(before is None for _, before in self._find(base))

    def _find(self, base: Base) -> Iterator[tuple[str, pd.Timestamp | None]]:
        for kind, os, after, before, reason in self._rows:
            of_it = (kind or base.kind).lower() == base.kind.lower() and (os or base.os).lower() == base.os.lower()
            due = after is None or after.date() < self._today
            if of_it and due and (before is None or base.released < before.date()):
                yield reason, before


def is_family_retired(base: Base, today: date) -> bool:
    """Tell whether AWS had retired all releases of a base image's family on a day."""
    return Retirements(read_tables(None)["retired_base_images"], today).include_family_of(base)


def parse_owner(arn: str) -> str | None:
    """Return the account in an image's ARN: empty for AWS's own images, None when it is no ARN."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else None


def is_public(arn: str) -> bool:
    """Tell whether an ARN names no account: AWS's own image."""
    return parse_owner(arn) == ""
