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
        columns = ["account", "region", "operation", "status", "request", "redacted"]
        rows = iterate_rows(table.reindex(columns=columns), *columns)  # older tables have no `redacted`
        self._readings = {row[:3]: row[3:] for row in rows}

    def find_missing(self, account: str | None, region: str | None, operation: str) -> str | None:
        """Return why an operation was not read whole in a target; None when it was, but for a filter."""
        found = self._readings.get((account, region, operation))
        target = f"{account or '?'}/{region or '?'}"
        if found is None:
            return f"{operation} was not read in {target}"
        return None if found[0] == "complete" else f"{operation} in {target} is {found[0]}"

    def redacts(self, account: str | None, region: str | None, column: str) -> bool:
        """Tell whether a column of a target's images was left out on purpose."""
        _, _, redacted = self._readings.get((account, region, "DescribeImages"), (None, None, None))
        return redacted is not None and column in redacted

    def excludes(self, account: str | None, region: str | None, arn: str | None, whose: str | None) -> bool:
        """Tell whether the request for a target's images leaves out an image, or with no `arn` any of its owner's."""
        _, text, _ = self._readings.get((account, region, "DescribeImages"), (None, None, None))
        request = _parse(text) if text else {}
        kind = "PUBLIC" if whose is None else "PRIVATE" if whose == account else "SHARED"
        if request.get("Type") not in (None, kind):
            return True
        return bool(request.get("Names")) or arn not in (request.get("Arns") or [arn])


@cache
def _parse(request: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(request)
    return parsed
