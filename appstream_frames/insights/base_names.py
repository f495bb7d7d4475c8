"""Public base images: what their names tell, which is the newest of a family, which families AWS has retired.

The names follow ``AppStream-[Graphics-KIND-]OS-MM-DD-YYYY``. Nothing here asks AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from appstream_frames.insights import days, reference

_BASE_NAME: Final = re.compile(r"AppStream-(?:(Graphics-[A-Za-z0-9]+)-)?([A-Za-z0-9]+)-(\d{2}-\d{2}-\d{4})")
_SAMPLE_NAME: Final = re.compile(r"Amazon-AppStream2-Sample-Image-(\d{2}-\d{2}-\d{4})")
_OLD_NAME: Final = re.compile(r"Base-Image-Builder-(\d{2}-\d{2}-\d{4})")


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


def named(arn: str | None) -> Base | None:
    """Return the base image that a public ARN names."""
    name = (arn or "").rpartition("/")[2]
    if arn is None or not is_public(arn):
        return None
    for pattern, kind, os, group in ((_SAMPLE_NAME, "Sample apps", "", 1), (_OLD_NAME, "Base", "WinServer2012R2", 1)):
        if match := pattern.fullmatch(name):
            return _dated(name, kind, os, match[group])
    match = _BASE_NAME.fullmatch(name)
    return _dated(name, (match[1] or "Base").replace("-", " "), match[2], match[3]) if match else None


def _dated(name: str, kind: str, os: str, version: str) -> Base | None:
    released = days.version_day(version)
    return None if released is None else Base(name, kind, os, released)


Newest = dict[tuple[Any, str], Base]


def newest_bases(seen: Iterable[tuple[Any, str | None]], today: date) -> Newest:
    """Return the newest base of a family by (account, region), and by None as the reference table has it."""
    listed = ((None, f"arn:aws:appstream:::image/{name}") for name in reference.newest_bases())
    newest: Newest = {}
    for where, arn in [*listed, *seen]:
        base = named(arn)
        if base and base.released <= today:
            newest[where, base.family] = max(newest.get((where, base.family), base), base, key=_release)
    return newest


def _release(base: Base) -> tuple[date, str]:
    return base.released, base.name


def retired(base: Base, today: date) -> str | None:
    """Return why AWS lists a base image no more, if so."""
    return next((reason for reason, _ in _retirements_of(base, today)), None)


def family_retired(base: Base, today: date) -> bool:
    """Tell whether AWS has retired all releases of a base image's family."""
    return any(before is None for _, before in _retirements_of(base, today))


def _retirements_of(base: Base, today: date) -> Iterator[tuple[str, date | None]]:
    for kind, os, on, before, reason in _retirements():
        of_it = kind in (None, base.kind) and os in (None, base.os)
        if of_it and (on is None or on <= today) and (before is None or base.released < before):
            yield reason, before


@cache
def _retirements() -> list[tuple[str | None, str | None, date | None, date | None, str]]:
    table = reference.retired_bases().astype(object)
    return [tuple(row) for row in table.where(table.notna(), None).to_numpy().tolist()]


def owner(arn: str) -> str | None:
    """Return the account in an image's ARN: empty for AWS's own images, None when it is no ARN."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else None


def is_public(arn: str) -> bool:
    """Tell whether an ARN names no account: AWS's own image."""
    return owner(arn) == ""
