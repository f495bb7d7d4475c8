"""The invented catalogue that the sandbox serves: which images, fleets, stacks … each account sees in each week.

It reads ``data/catalogue.json``, whose format is described in ``data/make_catalogue.py``.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import cache, lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from appstream_frames.errors import RequestError
from appstream_frames.resources import find_data_path

Json = dict[str, Any]


@cache
def read_catalogue() -> Json:
    """Return the content of ``catalogue.json``, which must not be changed; it is read once."""
    content: Json = json.loads(find_data_path("catalogue.json").read_text(encoding="utf-8"))
    return content


def find_week(at: str | dt.date | None = None) -> int:
    """Return the number of the newest week that is not later than a day; by default that of the newest week."""
    weeks: list[str] = read_catalogue()["weeks"]
    if at is None:
        return len(weeks) - 1
    hint = f"Give a date from these weeks on: {', '.join(weeks)}."
    try:
        day = f"{dt.datetime.fromisoformat(at) if isinstance(at, str) else at:%Y-%m-%d}"
    except (TypeError, ValueError) as error:
        raise RequestError(f"at={at!r} is not a date. {hint}") from error
    earlier = sum(week <= day for week in weeks)
    if not earlier:
        raise RequestError(f"at={at!r} is before the catalogue's first week. {hint}")
    return earlier - 1


def list_accounts(count: int | None = None) -> list[str]:
    """Return the first `count` accounts: the catalogue's three, then generated ones such as ``000400040004``."""
    known: list[str] = read_catalogue()["accounts"]
    if count is None:
        return list(known)
    if type(count) is not int or not 0 < count <= 9_998:
        raise RequestError(f"accounts={count!r} must be a whole number from 1 to 9998, or None.")
    return [*known, *(f"{number:04d}" * 3 for number in range(4, count + 1))][:count]


class Row(NamedTuple):
    """One row of an operation's reply, and the request parameters that it belongs to, such as ``StackName``."""

    row: Any
    of: Json


@lru_cache(maxsize=512)  # the sandbox needs them for every page
def list_rows(operation: str, account: str, region: str, week: int) -> list[Row]:
    """Return every row of an operation in one account, region and week, as input of `finish`; it must not be changed.

    An account outside the catalogue sees the rows of one of the catalogue's accounts, with its own id in the ARNs, in about half
    of the regions. In the others it owns nothing and sees AWS's images only; so does a caller without an account id everywhere.
    A region outside the catalogue has the rows of one in it.

    Examples
    --------
    >>> list_rows("ListAssociatedFleets", "012345678901", "us-east-1", find_week())[0]
    Row(row='finance-us', of={'StackName': 'finance-us'})
    """
    known: list[str] = read_catalogue()["accounts"]
    like, owner = find_model_region(region), None
    if account in known:
        owner = account
    elif account.isdigit() and (int(account[:4]) + crc32(region.encode())) % 2:
        owner = known[int(account[:4]) % len(known)]
    found = []
    for record in read_catalogue()["operations"].get(operation, ()):
        row = _view_as(record, owner, like, week)
        if row is not None:
            of_owner = account if record["owner"] == owner else record["owner"]
            found.append(Row(_fill(row, region, of_owner or ""), record.get("of", {})))
    return found


def finish(row: Any, week: int) -> Any:
    """Return a row as the API sends it: an image with its applications written out, any other row unchanged."""
    if not isinstance(row, dict) or not isinstance(row.get("Applications"), list):
        return row
    written = [_write_application(each, row, week) if isinstance(each, str) else each for each in row["Applications"]]
    return row | {"Applications": written}


def find_model_region(region: str) -> str:
    """Return the region of the catalogue whose rows a region has."""
    known: list[str] = read_catalogue()["regions"]
    return region if region in known else known[crc32(region.encode()) % len(known)]


def _fill(value: Any, region: str, account: str) -> Any:
    """Return a row with a region and an account in place of ``{region}`` and ``{account}``, and the region's partition."""
    if isinstance(value, str):
        text = value.replace("{region}", region).replace("{account}", account)
        if not text.startswith("arn:"):
            return text
        # botocore would read its file of endpoints to find the partition
        partition = {"us-gov": "aws-us-gov", "cn": "aws-cn"}.get(region.rsplit("-", 2)[0], "aws")
        return text.replace("arn:aws:", f"arn:{partition}:")
    if isinstance(value, dict):
        return {name: _fill(each, region, account) for name, each in value.items()}
    return [_fill(each, region, account) for each in value] if isinstance(value, list) else value


def _view_as(record: Json, account: str | None, region: str, week: int) -> Any:
    """Return the row of one record as `account` sees it, or None when it does not; `account` None owns nothing."""
    if not _is_during(record["in"].get(region), week):
        return None
    row = record["row"]
    for since, members in record.get("changes", {}).items():
        if int(since) <= week:
            row = row | members
    if record["owner"] in (None, account):
        return row
    share = record.get("shared", {}).get(account)
    if share is None or not _is_during(share["weeks"], week) or row["State"] != "AVAILABLE":
        return None
    # AWS does not show a consumer the owner's builder or the other consumers of the image
    view = {"Visibility": "SHARED", "ImagePermissions": share["permissions"], "ImageBuilderName": None}
    return {name: value for name, value in (row | view).items() if name != "ImageSharedWithOthers"}


def _is_during(weeks: tuple[int, int | None] | None, week: int) -> bool:
    """Return whether a week is not before the first of two weeks, and is before the second."""
    return weeks is not None and weeks[0] <= week and (weeks[1] is None or week < weeks[1])


def _write_application(key: str, image: Json, week: int) -> Json:
    day = read_catalogue()["weeks"][week].replace("-", "")
    _, _, _, region, owner, _ = image["Arn"].split(":", 5)
    application = _find_application(key, region, owner or "aws")
    folder = f"https://appstream-icons-{region}.s3.{region}.amazonaws.com/{owner or 'aws'}/{image['Name']}"
    # looks like a signature of AWS's, but is not valid
    signature = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={day}T120000Z&X-Amz-Expires=3600&X-Amz-Signature=SANDBOX"
    return {"IconURL": f"{folder}/{key}.png?{signature}"} | application


@cache
def _find_application(key: str, region: str, owner: str) -> Json:
    application: Json = _fill(read_catalogue()["applications"][key], region, owner)
    return application
