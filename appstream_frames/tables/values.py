"""Values and columns: which values a column can hold, exactly, and how a list of them becomes an Arrow array.

A value that has to be changed to fit (text with a lone surrogate, a time finer than microseconds) goes into the column changed
and, verbatim, into ``unmodeled``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa

from appstream_frames.tables import raw_json
from appstream_frames.tables.raw_json import Number
from appstream_frames.tables.schema import ARROW, Column
from appstream_frames.tables.urls import clean_json

# Years 1 to 9999: what Python, pandas and every Parquet reader can show.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
_INT64: Final = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
_SECONDS: Final = msgspec.Meta(ge=_FIRST, le=_LAST)
_DECODED: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "integer": Annotated[int, _INT64],
    "float": float,
    "timestamp": Annotated[int, _SECONDS] | Annotated[float, _SECONDS],
    "strings": tuple[str | None, ...],  # not lists: tuples of text do not burden the garbage collector
    "map": dict[str, str | None],
    "json": msgspec.Raw,
}
#: Where columns are built. Their builders grow and shrink all the time; Arrow's default pool keeps what they shed, and a
#: large drain then peaks at nearly twice its tables.
POOL: Final = pa.system_memory_pool()


class RoundingError(Exception):
    """A timestamp is finer than its column."""


def choose_decoded_type(column: Column) -> Any:
    """Return the msgspec type that accepts the column's values and nothing else."""
    return Literal[column.flag] if column.kind == "flag" else _DECODED[column.kind]


def convert(value: Any, column: Column) -> tuple[Any, Any]:
    """Convert a value (from `raw_json.loads`, not None) to what the column holds; return it and what must be kept beside it.

    Examples
    --------
    >>> enabled = Column("enabled", "boolean", "")
    >>> convert(True, enabled), convert("yes", enabled)
    ((True, None), (None, 'yes'))
    """
    if column.kind == "json":
        return msgspec.Raw(raw_json.dumps(value).encode()), None
    converted = _convert_value(value, column)
    return converted, None if converted is not None and _is_same(converted, value, column.kind) else value


def _convert_value(value: Any, column: Column) -> Any:
    match column.kind, value:
        case "string", str():
            return _replace_surrogates(value)
        case "flag", str():
            return value if value in column.flag else None
        case "boolean", bool():
            return value
        case "integer" | "float" | "timestamp", Number():
            return _convert_number(value, column.kind)
        case "strings", list() if all(map(_is_text, value)):
            return [text and _replace_surrogates(text) for text in value]
        # a map whose keys would have to change is no form of itself
        case "map", dict() if all(_is_text(text) and _replace_surrogates(key) == key for key, text in value.items()):
            return {name: text and _replace_surrogates(text) for name, text in value.items()}
    return None


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _convert_number(number: Number, kind: str) -> Any:
    if kind == "integer":
        # a limit on length first: Python refuses to read thousands of digits
        fits = number.whole and len(number.text) < 21 and -(2**63) <= int(number.text) < 2**63
        return int(number.text) if fits else None
    value = float(number.text)
    if not math.isfinite(value) or (kind == "timestamp" and not _FIRST <= value <= _LAST):
        return None
    return value


def _is_same(converted: Any, value: Any, kind: str) -> bool:
    if kind == "timestamp":
        return bool(_to_microseconds(np.array([converted]))[0] / 1e6 == converted)
    return kind in ("integer", "float") or bool(converted == value)


def _replace_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def to_array(values: Sequence[Any], column: Column, *, rounded: bool) -> pa.Array:
    """Return the Arrow array of converted values; an empty map is no value, and RoundingError says what must not be `rounded`."""
    if column.kind == "timestamp":
        return _to_timestamps(values, rounded)
    if column.kind == "flag":
        true = column.flag[0]
        values = [None if value is None else value == true for value in values]
    elif column.kind == "map":
        values = [tuple(value.items()) if value else None for value in values]
    elif column.kind == "json":
        values = [_clean_raw(value) for value in values]
    return pa.array(values, column.type, memory_pool=POOL)


def _clean_raw(raw: Any) -> str | None:
    text = "null" if raw is None else str(bytes(raw), "utf-8")
    return None if text == "null" else clean_json(text)


def _to_timestamps(values: Sequence[float | None], rounded: bool) -> pa.Array:
    seconds = np.array([np.nan if value is None else value for value in values], np.float64)
    none = np.isnan(seconds)
    seconds[none] = 0
    micros = _to_microseconds(seconds)
    if not rounded and (micros / 1e6 != seconds).any():
        raise RoundingError
    return pa.array(micros, ARROW["timestamp"], mask=none, memory_pool=POOL)


def _to_microseconds(seconds: Any) -> Any:
    return np.rint(seconds * 1e6).astype(np.int64)
