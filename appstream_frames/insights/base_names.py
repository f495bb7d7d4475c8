"""Public base images: their names, the newest of each family, and the families that AWS has retired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.insights.days import parse_version
from appstream_frames.insights.reference import reference
from appstream_frames.insights.rows import iterate_rows
from appstream_frames.tables.decode import parse_owner
from appstream_frames.text import printable

_DAY: Final = r"(?P<day>\d{2}-\d{2}-\d{4})"
#: Patterns of names, old ones last, each with the kind and the operating system if the name does not contain them.
_NAMES: Final = (
    (rf"AppStream-(?:(?P<kind>Graphics-[A-Za-z0-9]+)-)?(?P<os>[A-Za-z0-9]+)-{_DAY}", "Base", ""),
    (rf"Amazon-AppStream2-Sample-Image-{_DAY}", "Sample apps", ""),
    (rf"(?:Base|(?P<kind>Graphics-(?:Design|Desktop|Pro)))-Image-Builder-{_DAY}", "Base", "WinServer2012R2"),
)


@dataclass(frozen=True, order=True)
class Base:
    """A public base image, parsed from its name; a newer one is greater."""

    released: date
    name: str
    kind: str
    os: str

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
    name = arn.rpartition("/")[2] if arn and is_public(arn) else ""
    for pattern, kind, os in _NAMES:
        if match := re.fullmatch(pattern, name):
            parts = {"kind": kind, "os": os} | {part: text for part, text in match.groupdict().items() if text}
            released = parse_version(match["day"])
            return Base(released, name, parts["kind"].replace("-", " "), parts["os"]) if released else None
    return None


def find_newest_listed(table: pd.DataFrame, today: date) -> dict[str, tuple[Base, str]]:
    """Return the newest listed base of each family, and its origin; the user's rows for a family replace the shipped ones."""
    listed = []
    for name, origin in iterate_rows(table, "image_name", "origin"):
        base = parse_arn(f"arn:aws:appstream:::image/{name}")
        if base is None:
            example = "expected that of a public base image such as AppStream-WinServer2022-08-31-2026"
            raise RequestError(f"latest_public_base_images.csv has {printable(repr(name))} in image_name, {example}")
        if base.released <= today:
            listed.append((origin == "yours", base, origin))
    return {base.family: (base, origin) for _, base, origin in sorted(listed)}


def list_retirements(base: Base, table: pd.DataFrame, today: date) -> list[tuple[str, bool]]:
    """Return why AWS no longer listed a base image on a day, each reason with whether it applies to the whole family."""
    found = []
    names = ("family_type", "family_os", "retired_after", "released_before", "reason")
    for kind, os, after, before, reason in iterate_rows(table, *names):
        of_it = (kind or base.kind).lower() == base.kind.lower() and (os or base.os).lower() == base.os.lower()
        due = after is None or after.date() < today
        if of_it and due and (before is None or base.released < before.date()):
            found.append((reason, before is None))
    return found


def is_family_retired(base: Base, today: date) -> bool:
    """Return whether AWS had retired all releases of a base image's family by a day."""
    return any(whole for _, whole in list_retirements(base, reference()["retired_base_images"], today))


def is_public(arn: str) -> bool:
    """Return whether an ARN is of AWS's own image: it contains no account."""
    return parse_owner(arn) == ""
