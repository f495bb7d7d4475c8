"""The sample catalogue that the sandbox serves: who sees which images in which week.

It reads ``data/catalogue.json``, whose format is told in ``data/make_catalogue.py``, and gives images as the API sends
them. It is invented; it says nothing about any real account, and it asks AWS nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from functools import cache, lru_cache
from typing import Any, Final
from zlib import crc32

from appstream_frames.errors import RequestError
from appstream_frames.resources import data_path

Json = dict[str, Any]
_FIRST: Final = 4  # number of the first invented account
_INVENTED: Final = re.compile(r"([0-9]{4})\1\1")


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


def accounts(count: int | None = None) -> list[str]:
    """Return the first `count` accounts: the catalogue's three, and after them more, each of which is like one of the three.

    Parameters
    ----------
    count : int, optional
        1 to 9,998; default: the three.

    Raises
    ------
    RequestError
        `count` is something else.

    Examples
    --------
    >>> accounts(4)[2:]
    ['444455556666', '000400040004']
    """
    known: list[str] = catalogue()["accounts"]
    if count is None:
        return list(known)
    if type(count) is not int or not 0 < count <= 9_998:
        raise RequestError(f"accounts={count!r} must be a whole number from 1 to 9998, or None.")
    return [*known, *(f"{number:04d}" * 3 for number in range(_FIRST, _FIRST + count - len(known)))][:count]


@lru_cache(maxsize=32)
def images_of(account: str, region: str, week: int) -> list[Json]:
    """Return every image that `account` sees in `region` in that week, each as the API's ``Image``; not to be changed.

    An account of `accounts` that is not in the catalogue sees what one of the catalogue's sees, with its own account in the
    ARNs, in every other region; in the regions between it owns nothing and sees AWS's images only. A region that is not
    in the catalogue is like one of those that are.

    Parameters
    ----------
    account, region : str
        One of `accounts`, any other one sees nothing; and a region.
    week : int
        From `week_at`.

    Examples
    --------
    >>> images_of("012345678901", "eu-west-1", week_at())[0]["Visibility"]
    'PRIVATE'
    """
    return [finished(image, week) for image in listed(account, region, week)]


@lru_cache(maxsize=256)  # the sandbox asks for every page
def listed(account: str, region: str, week: int) -> list[Json]:
    """Return the images of `images_of` with the keys of their applications; not to be changed."""
    model, known = _like(account), catalogue()["regions"]
    if model is None:
        return []
    place = region if region in known else known[crc32(region.encode()) % len(known)]
    owner = model if account == model or (int(account[:4]) + crc32(region.encode())) % 2 else None
    seen = (_seen(row, owner, place, week) for row in catalogue()["images"])
    return [_moved(image, {model: account}, region) for image in seen if image is not None]


def finished(image: Json, week: int) -> Json:
    """Return an image of `listed` with its applications written out."""
    if image.get("Applications") is None:
        return image
    day = catalogue()["weeks"][week].replace("-", "")
    _, _, _, region, owner, _ = image["Arn"].split(":", 5)
    written = [_application(key, image["Name"], owner or "aws", region, day) for key in image["Applications"]]
    return image | {"Applications": written}


def _like(account: str) -> str | None:
    """Return the account of the catalogue which an account is like; None for a stranger."""
    known: list[str] = catalogue()["accounts"]
    if account in known or not _INVENTED.fullmatch(account) or int(account[:4]) < _FIRST:
        return account if account in known else None
    return known[int(account[:4]) % len(known)]


def _moved(image: Json, renamed: dict[str, str], region: str) -> Json:
    return image | {
        name: _arn(image[name], renamed, region) for name in ("Arn", "BaseImageArn") if image.get(name) is not None
    }


def _arn(text: str, renamed: dict[str, str], region: str) -> str:
    """Return an ARN as it is in a region, and with another account."""
    head, _, service, _, account, thing = text.split(":", 5)
    return ":".join((head, _partition(region), service, region, renamed.get(account, account), thing))


def _partition(region: str) -> str:
    return {"us-gov": "aws-us-gov", "cn": "aws-cn"}.get(region.rsplit("-", 2)[0], "aws")


def _seen(row: Json, account: str | None, region: str, week: int) -> Json | None:
    """Return the image of one record as `account` sees it, or who has none of his own; None when it is not seen."""
    if not _during(row["in"].get(region), week):
        return None
    if row["owner"] in (None, account):
        return _current(row, week)
    share = row.get("shared", {}).get(account)
    if share is None or not _during(share["weeks"], week):
        return None
    image = _current(row, week)
    if image["State"] != "AVAILABLE":
        return None
    # AWS tells a consumer neither the owner's builder nor with whom else the image is shared
    image |= {"Visibility": "SHARED", "ImagePermissions": share["permissions"], "ImageBuilderName": None}
    image.pop("ImageSharedWithOthers", None)
    return image


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


def _application(key: str, image: str, owner: str, region: str, day: str) -> Json:
    application = dict(catalogue()["applications"][key])
    for name in ("Arn", "AppBlockArn"):
        if name in application:
            filled = application[name].replace("{region}", region).replace("{account}", owner)
            application[name] = filled.replace("arn:aws:", f"arn:{_partition(region)}:")
    # looks like what AWS signs, and is good for nothing
    signature = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={day}T120000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600"
        f"&X-Amz-Credential=SANDBOX%2F{day}%2F{region}%2Fs3%2Faws4_request&X-Amz-Signature=SANDBOX"
    )
    icon = f"https://appstream-icons-{region}.s3.{region}.amazonaws.com/{owner}/{image}/{key}.png?{signature}"
    return {"IconURL": icon} | application
