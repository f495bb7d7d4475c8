"""What the rows of coverage say about a target: what was read whole there, and what a request left out."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pandas as pd

from appstream_frames.insights.rows import iterate_rows


class Coverage:
    """What was read of each target, by operation."""

    def __init__(self, table: pd.DataFrame) -> None:
        rows = iterate_rows(table, "account", "region", "operation", "status", "request")
        self._readings = {tuple(key): (status, request) for *key, status, request in rows}

    def find_missing(self, account: str | None, region: str | None, operation: str) -> str | None:
        """Return why an operation was not read whole in a target; None when it was, but for a filter."""
        found = self._readings.get((account, region, operation))
        target = f"{account or '?'}/{region or '?'}"
        if found is None:
            return f"{operation} was not read in {target}"
        status, _ = found
        return None if status == "complete" else f"{operation} in {target} is {status}"

    def excludes(self, account: str | None, region: str | None, arn: str | None, whose: str | None) -> bool:
        """Tell whether the request for a target's images leaves out an image, or with no `arn` any of its owner's."""
        _, text = self._readings.get((account, region, "DescribeImages"), (None, None))
        request = _parse(text) if text else {}
        kind = "PUBLIC" if whose is None else "PRIVATE" if whose == account else "SHARED"
        if request.get("Type") not in (None, kind):
            return True
        return bool(request.get("Names")) or arn not in (request.get("Arns") or [arn])


@cache
def _parse(request: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(request)
    return parsed
