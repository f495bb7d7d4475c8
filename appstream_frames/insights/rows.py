"""Rows of DataFrames as plain values and back to typed DataFrames; coverage by target; images without duplicates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.tables.conversion import make_empty, to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import UTC_US

_INTEGERS: Final = """generations days_behind age_days running_instances value
    fleets image_builders accounts images""".split()
_BOOLEANS: Final = "follows_latest latest_appstream_agent_version maybe_updated deletable".split()
_MOMENTS: Final = "agent_date newest_agent newest_as_of released newest_released reference_date".split()
#: The type of each column that is not text.
_TYPES: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(_INTEGERS, pa.int64()),
    **dict.fromkeys(_BOOLEANS, pa.bool_()),
    **dict.fromkeys(_MOMENTS, UTC_US),
    "stacks": pa.list_(pa.string()),
}
_parse: Final = cache(json.loads)


def get_table(frames: Frames, name: str) -> pd.DataFrame:
    """Return a table of frames, empty if it was not read."""
    return frames.tables[name] if name in frames.tables else make_empty(name)


def iterate_rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the values of some columns row by row, missing ones as None."""
    return zip(*(table[name].to_numpy(object, na_value=None) for name in columns), strict=True)


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts, missing values as None."""
    names = list(frame.columns)  # to iterate over the pandas Index for each row would take most of the time
    return [dict(zip(names, row, strict=True)) for row in iterate_rows(frame, *names)]


def to_typed(columns: Mapping[str, Any], names: Sequence[str]) -> pd.DataFrame:
    """Return some columns as a DataFrame with their types; a day becomes its midnight in UTC."""
    arrays = {}
    for name in names:
        kind, values = _TYPES.get(name, pa.string()), pd.Series(columns[name], dtype=object)
        arrays[name] = pa.array(values, pa.date32() if kind == UTC_US else kind, from_pandas=True).cast(kind)
    return to_pandas(pa.table(arrays))


def find_foreign(accounts: Iterable[object], arns: Iterable[object]) -> list[bool]:
    """Return for each account that sees an ARN whether it is another one than the account in the ARN."""
    return [f":{account}:" not in str(arn) for account, arn in zip(accounts, arns, strict=True)]


def keep_distinct_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return each image once, without the rows of further accounts that see it.

    Of the rows with one ARN, those of its owner are kept, else those of the first account in order. Rows without an ARN, and
    rows of different snapshots, are different images. The results of `agents` and `base_images` may be passed too; a DataFrame
    without the columns ``account`` and ``arn`` is returned whole.

    Examples
    --------
    >>> arn = "arn:aws:appstream:eu-west-1:222222222222:image/cad"
    >>> images = pd.DataFrame({"account": ["111111111111", "222222222222"], "arn": arn})
    >>> keep_distinct_images(images)["account"].to_list()
    ['222222222222']
    """
    if not {"account", "arn"} <= set(images.columns):
        return images
    account, arn = images["account"].astype(object), images["arn"].astype(object)
    seen = pd.DataFrame({"arn": arn, "account": account, "snapshot": images.get("snapshot")}).reset_index(drop=True)
    seen["foreign"] = find_foreign(account, arn)
    ordered = seen.sort_values(["foreign", "account"], kind="stable", key=lambda column: column.astype(str))
    first = ordered.groupby(["snapshot", "arn"], dropna=False)["account"].transform("first").reindex(seen.index)
    kept = seen["arn"].isna() | (seen["account"] == first) | (seen["account"].isna() & first.isna())
    return images[kept.to_numpy(bool)]


class Coverage:
    """The coverage of each target, by operation."""

    def __init__(self, table: pd.DataFrame) -> None:
        columns = ["account", "region", "operation", "status", "request", "redacted"]
        rows = iterate_rows(table.reindex(columns=columns), *columns)  # older tables have no `redacted`
        self._readings = {row[:3]: row[3:] for row in rows}

    def find_missing(self, account: str | None, region: str | None, operation: str) -> str | None:
        """Return why an operation was not read whole in a target; None when it was, even if filtered."""
        found = self._readings.get((account, region, operation))
        target = f"{account or '?'}/{region or '?'}"
        if found is None:
            return f"{operation} was not read in {target}"
        return None if found[0] == "complete" else f"{operation} in {target} is {found[0]}"

    def redacts(self, account: str | None, region: str | None, column: str) -> bool:
        """Return whether a column of a target's images was redacted."""
        *_, redacted = self._readings.get((account, region, "DescribeImages"), (None,))
        return column in (redacted or ())

    def excludes(self, account: str | None, region: str | None, arn: str | None, whose: str | None) -> bool:
        """Return whether the request for a target's images leaves out an image, or without `arn`, any image of owner `whose`."""
        _, text, _ = self._readings.get((account, region, "DescribeImages"), (None, None, None))
        request = _parse(text) if text else {}
        kind = "PUBLIC" if whose is None else "PRIVATE" if whose == account else "SHARED"
        if request.get("Type") not in (None, kind):
            return True
        return bool(request.get("Names")) or arn not in (request.get("Arns") or [arn])
