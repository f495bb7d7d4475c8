"""Rows as plain Python values, and verdicts as DataFrames whose columns have the same type everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.tables.conversion import to_pandas
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


def iterate_rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the values of some columns row by row, with None for what is missing."""
    return zip(*(table[name].to_numpy(object, na_value=None) for name in columns), strict=True)


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts, missing values as None."""
    names = list(frame.columns)  # iterating over pandas' own index for each row would take most of the time
    return [dict(zip(names, row, strict=True)) for row in iterate_rows(frame, *names)]


def to_typed(columns: Mapping[str, Any], names: Sequence[str]) -> pd.DataFrame:
    """Return some columns as a DataFrame, each of its own type; a day is its first moment in UTC."""
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])
    arrays = []
    for name, kind in zip(names, schema.types, strict=True):
        values = pd.Series(columns[name], dtype=object)
        arrays.append(pa.array(values, pa.date32() if kind == UTC_US else kind, from_pandas=True).cast(kind))
    return to_pandas(pa.table(arrays, schema=schema))
