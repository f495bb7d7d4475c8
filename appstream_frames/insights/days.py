"""Days in UTC, of a column, of an agent's version or of today: the basis of every age in the package."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeAlias

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_VERSION = re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{4}")

Day: TypeAlias = str | date | None  # as callers give it; a Timestamp is a date


def choose_day(given: object, images: pd.DataFrame) -> date:
    """Return the day from which ages are counted: the one given, else that of the newest snapshot in the frame, else today."""
    if given is None:
        return find_snapshot_day(images, datetime.now(UTC).date())
    day = to_days(pd.Series([given if isinstance(given, str | date) else None], dtype=object))[0]
    if day is None:
        raise RequestError(f"today={printable(repr(given))} is no date, expected a day such as '2026-11-23'")
    return day


def find_snapshot_day(images: pd.DataFrame, default: date) -> date:
    """Return the day of the newest snapshot in the frame; without one, the default."""
    taken = to_days(images["snapshot"].drop_duplicates()) if "snapshot" in images.columns else []
    return max((day for day in taken if day), default=default)


def to_days(column: pd.Series) -> list[date | None]:
    """Return the UTC day of each value; one outside the range of `date` becomes the nearest inside."""
    moments = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")
    clipped = moments.clip(pd.Timestamp(date.min, tz="UTC"), pd.Timestamp(date.max, tz="UTC"))
    return [None if missing else day for day, missing in zip(clipped.dt.date, clipped.isna(), strict=True)]


@lru_cache(maxsize=4096)
def parse_version(text: str) -> date | None:
    """Return the day in an agent's version, MM-DD-YYYY.

    Examples
    --------
    >>> parse_version("09-18-2024"), parse_version("LATEST"), parse_version("02-30-2024")
    (datetime.date(2024, 9, 18), None, None)
    """
    try:
        return datetime.strptime(text, "%m-%d-%Y").date() if _VERSION.fullmatch(text) else None
    except ValueError:  # 02-30-2024
        return None


def take_column(images: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of a DataFrame of images; RequestError when it is not one or lacks the column."""
    if not isinstance(images, pd.DataFrame):
        raise RequestError(f"images is a {type(images).__name__}, expected a DataFrame: pass frames.images")
    if name not in images.columns:
        raise RequestError(f"images has no column {name!r}, which is needed here: pass frames.images whole")
    return images[name]
