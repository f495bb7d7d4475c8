"""Values and columns: which values a column can hold, exactly, and how a list of them becomes an Arrow array.

For every kind of column in `model` there are three things here: the msgspec type that accepts just what fits, the careful
splitting of a value that may not, and the making of the array. A value that fits only nearly (text with a lone surrogate, a
time finer than microseconds) goes into the column in its nearest form and, verbatim, into ``unmodeled``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa

from appstream_frames.tables import raw_json
from appstream_frames.tables.raw_json import Number
from appstream_frames.tables.schema import ARROW, Column

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
#: The member whose query string is dropped, wherever it stands.
ICON_URL: Final = "IconURL"
_QUERY: Final = re.compile(rf'("{ICON_URL}"\s*:\s*"(?:[^"\\?]|\\(?!u003[fF]).)*)(?:\?|\\u003[fF])(?:[^"\\]|\\.)*"')


class InexactError(Exception):
    """A value in the batch fits its column only nearly."""


def decoded_type(column: Column) -> Any:
    """Return the msgspec type that accepts the column's values and nothing else."""
    return Literal[column.flag] if column.kind == "flag" else _DECODED[column.kind]


def fit(value: Any, column: Column) -> tuple[Any, Any]:
    """Split a value (from `jsontext.loads`, not None) into what the column holds, and what must be kept beside it.

    Examples
    --------
    >>> enabled = Column("enabled", "boolean", "")
    >>> fit(True, enabled), fit("yes", enabled)
    ((True, None), (None, 'yes'))
    """
    if column.kind == "json":
        return msgspec.Raw(raw_json.dumps(value).encode()), None
    near = _near(value, column)
    return near, None if near is not None and _exact(near, value, column.kind) else value


def _near(value: Any, column: Column) -> Any:
    kind = column.kind
    if kind in ("string", "flag"):
        text = _legible(value) if isinstance(value, str) else None
        return text if kind == "string" or text in column.flag else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind in ("integer", "float", "timestamp"):
        return _number(value, kind) if isinstance(value, Number) else None
    return _collection(value, kind)


def _collection(value: Any, kind: str) -> Any:
    if kind == "strings" and isinstance(value, list) and all(map(_is_text, value)):
        return [text and _legible(text) for text in value]
    # a map whose keys would have to change is no nearer form of itself
    if (
        kind == "map"
        and isinstance(value, dict)
        and all(_is_text(text) and _legible(key) == key for key, text in value.items())
    ):
        return {name: text and _legible(text) for name, text in value.items()}
    return None


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _number(number: Number, kind: str) -> Any:
    if kind == "integer":
        # a limit on length first: Python refuses to read thousands of digits
        fits = number.whole and len(number.text) < 21 and -(2**63) <= int(number.text) < 2**63
        return int(number.text) if fits else None
    value = float(number.text)
    if not math.isfinite(value) or (kind == "timestamp" and not _FIRST <= value <= _LAST):
        return None
    return value


def _exact(near: Any, value: Any, kind: str) -> bool:
    if kind == "timestamp":
        return bool(_microseconds(np.array([near]))[0] / 1e6 == near)
    return kind in ("integer", "float") or bool(near == value)


def _legible(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def array(values: Sequence[Any], column: Column, *, exact: bool) -> pa.Array:
    """Return the Arrow array of values that fit.

    Raises
    ------
    InexactError
        When they must fit exactly and a timestamp is finer than microseconds.
    """
    if column.kind == "timestamp":
        return _timestamps(values, exact)
    if column.kind == "flag":
        true = column.flag[0]
        values = [None if value is None else value == true for value in values]
    elif column.kind == "map":
        values = [None if value is None else tuple(value.items()) for value in values]
    elif column.kind == "json":
        values = [_json(value) for value in values]
    return pa.array(values, column.type, memory_pool=POOL)


def _json(raw: Any) -> str | None:
    text = "null" if raw is None else str(bytes(raw), "utf-8")
    return None if text == "null" else without_queries(text)


def _timestamps(values: Sequence[float | None], exact: bool) -> pa.Array:
    seconds = np.array([np.nan if value is None else value for value in values], np.float64)
    none = np.isnan(seconds)
    seconds[none] = 0
    micros = _microseconds(seconds)
    if exact and (micros / 1e6 != seconds).any():
        raise InexactError
    return pa.array(micros, ARROW["timestamp"], mask=none, memory_pool=POOL)


def _microseconds(seconds: Any) -> Any:
    return np.rint(seconds * 1e6).astype(np.int64)


def cut_queries(value: Any) -> Any:
    """Return a value, usually one URL, with the query string of every string in it dropped."""
    if isinstance(value, str):
        return value.partition("?")[0]
    if isinstance(value, list):
        return [cut_queries(inner) for inner in value]
    return {name: cut_queries(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def without_queries(text: str) -> str:
    """Drop the query strings of icon URLs in JSON text that is not parsed."""
    return _QUERY.sub(r'\1"', text)
