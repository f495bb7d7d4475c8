"""The sample catalogue that the sandbox serves: who sees which images in which week.

It reads ``data/catalogue.json``, whose format is told in ``data/make_catalogue.py``, and gives images as the API sends
them. It is invented; it says nothing about any real account, and it asks AWS nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import cache, lru_cache
from typing import Any

from appstream_frames.errors import RequestError
from appstream_frames.reference import data_path

Json = dict[str, Any]


@cache
def catalogue() -> Json:
    """Return the content of ``catalogue.json``; read once, not to be changed.

    Examples
    --------
    >>> len(catalogue()["weeks"])
    13
    """
    content: Json = json.loads(data_path("catalogue.json").read_text(encoding="utf-8"))
    return content


def week_at(at: str | dt.date | None = None) -> int:
    """Return the number of the newest week that is not later than `at`; without `at`, of the newest week.

    Parameters
    ----------
    at : str or datetime.date, optional
        A date or an ISO date, with a time of day or without; a time of day makes no difference.

    Raises
    ------
    RequestError
        `at` is not a date, or it is before the first week.

    Examples
    --------
    >>> week_at("2026-09-10")
    1
    """
    weeks = catalogue()["weeks"]
    if at is None:
        return len(weeks) - 1
    earlier = [number for number, week in enumerate(weeks) if week <= _iso(at)]
    if not earlier:
        raise RequestError(f"at={at!r} is before the catalogue's first week. {_hint()}")
    return earlier[-1]


def _iso(at: str | dt.date) -> str:
    try:
        day = dt.datetime.fromisoformat(at) if isinstance(at, str) else at
        return f"{day:%Y-%m-%d}"
    except (TypeError, ValueError) as error:
        raise RequestError(f"at={at!r} is not a date. {_hint()}") from error


def _hint() -> str:
    return f"Give a date from these weeks on: {', '.join(catalogue()['weeks'])}."


@lru_cache(maxsize=32)  # the sandbox asks for every page
def images_of(account: str, region: str, week: int) -> list[Json]:
    """Return every image that `account` sees in `region` in that week, each as the API's ``Image``; not to be changed.

    Parameters
    ----------
    account, region : str
        One of the catalogue's accounts and one of its regions; any other one owns nothing.
    week : int
        From `week_at`.

    Examples
    --------
    >>> images_of("012345678901", "eu-west-1", week_at())[0]["Visibility"]
    'PRIVATE'
    """
    seen = (_seen(row, account, region, week) for row in catalogue()["images"])
    return [image for image in seen if image is not None]


def _seen(row: Json, account: str, region: str, week: int) -> Json | None:
    """Return the image of one record as `account` sees it; None when it does not."""
    if not _during(row["in"].get(region), week):
        return None
    share = row.get("shared", {}).get(account)
    if row["owner"] in (None, account):
        return _complete(_current(row, week), row["owner"], region, week)
    if share is None or not _during(share["weeks"], week):
        return None
    image = _current(row, week)
    if image["State"] != "AVAILABLE":
        return None
    # AWS tells a consumer neither the owner's builder nor with whom else the image is shared
    image |= {"Visibility": "SHARED", "ImagePermissions": share["permissions"], "ImageBuilderName": None}
    image.pop("ImageSharedWithOthers", None)
    return _complete(image, row["owner"], region, week)


def _during(weeks: list[int | None] | None, week: int) -> bool:
    if weeks is None:
        return False
    first, until = weeks
    return first is not None and first <= week and (until is None or week < until)


def _current(row: Json, week: int) -> Json:
    image = dict(row["image"])
    for since, members in row.get("changes", {}).items():
        if int(since) <= week:
            image |= members
    return image


def _complete(image: Json, owner: str | None, region: str, week: int) -> Json:
    """Return the image with its applications written out and its region filled in."""
    image["Arn"] = image["Arn"].replace("{region}", region)
    if image.get("Applications") is not None:
        day = catalogue()["weeks"][week].replace("-", "")
        image["Applications"] = [
            _application(key, image["Name"], owner or "aws", region, day) for key in image["Applications"]
        ]
    return image


def _application(key: str, image: str, owner: str, region: str, day: str) -> Json:
    application = dict(catalogue()["applications"][key])
    for name in ("Arn", "AppBlockArn"):
        if name in application:
            application[name] = application[name].replace("{region}", region).replace("{account}", owner)
    # looks like what AWS signs, and is good for nothing
    signature = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={day}T120000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600"
        f"&X-Amz-Credential=SANDBOX%2F{day}%2F{region}%2Fs3%2Faws4_request&X-Amz-Signature=SANDBOX"
    )
    icon = f"https://appstream-icons-{region}.s3.{region}.amazonaws.com/{owner}/{image}/{key}.png?{signature}"
    return {"IconURL": icon} | application
