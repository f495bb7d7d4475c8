"""What the sandbox serves, of any week and without a server: rows as the API sends them, not to be changed."""

from __future__ import annotations

from functools import cache
from typing import Any

from appstream_frames.emulator.catalogue import finish, list_rows


@cache
def rows_of(operation: str, account: str, region: str, week: int) -> list[Any]:
    """Return every row of an operation in one account, region and week."""
    return [finish(each.row, week) for each in list_rows(operation, account, region, week)]


def images_of(account: str, region: str, week: int) -> list[dict[str, Any]]:
    """Return every image that an account sees in a region in that week."""
    return rows_of("DescribeImages", account, region, week)
