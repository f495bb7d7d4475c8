"""Convert Arrow tables to pandas and back; dtypes never depend on content."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import find_table
from appstream_frames.text import printable

_PANDAS: Final[dict[pa.DataType, Any]] = {
    pa.string(): pd.StringDtype("pyarrow", na_value=np.nan),
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.timestamp("us", "UTC"): pd.DatetimeTZDtype("us", "UTC"),
}
_SMALL: Final = 2**28  # bytes up to which the chunks of a column of lists are joined first


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a DataFrame whose dtypes follow from the Arrow types alone."""
    columns = dict(zip(table.column_names, table.columns, strict=True))
    del table  # so that each Arrow column is freed as soon as its pandas column exists
    return pd.DataFrame({name: _column_to_pandas(columns.pop(name)) for name in list(columns)}, copy=False)


def _column_to_pandas(column: pa.ChunkedArray) -> Any:
    if not column.num_chunks:  # pandas cannot merge on a column without chunks
        column = pa.chunked_array([[]], column.type)
    if column.type in _PANDAS:  # for times far faster than `to_pandas`
        array = _PANDAS[column.type].__from_arrow__(column)
        return array.copy() if pa.types.is_timestamp(column.type) else array  # the array of times shares Arrow memory
    if not pa.types.is_list(column.type) and not pa.types.is_map(column.type):
        return column.to_pandas(use_threads=False).array
    chunks = [column.combine_chunks()] if column.nbytes < _SMALL else column.chunks
    return np.concatenate([_make_tuples(chunk) for chunk in chunks])


def _make_tuples(array: pa.ListArray | pa.MapArray) -> Any:
    """Return each list as a tuple, each map as a tuple of (key, value) pairs; null is None. Equal rows share one tuple."""
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    parts = [array.keys, array.items] if pa.types.is_map(array.type) else [array.values]
    if any(pa.types.is_nested(part.type) for part in parts):  # Arrow cannot dictionary-encode such elements
        return _list_tuples(array)
    numbers = np.zeros(last - first, np.int64)  # of the elements; equal ones share a number
    for part in parts:
        encoded = part.slice(first, last - first).dictionary_encode(null_encoding="encode")
        numbers = numbers * len(encoded.dictionary) + np.asarray(encoded.indices)
    offsets = (np.asarray(array.offsets, np.int64) - first) * numbers.itemsize
    rows = pa.Array.from_buffers(pa.large_binary(), len(array), [None, pa.py_buffer(offsets), pa.py_buffer(numbers)])
    kinds = pc.if_else(array.is_valid(), rows, None).dictionary_encode(null_encoding="encode")
    examples = np.empty(len(kinds.dictionary), np.int64)
    examples[kinds.indices] = np.arange(len(array))
    return _list_tuples(array.take(pa.array(examples)))[kinds.indices]


def _list_tuples(array: pa.ListArray | pa.MapArray) -> Any:
    made = [row if row is None else tuple(row) for row in array.to_pylist()]
    return np.fromiter(made, object, len(made))


def to_arrow(frame: pd.DataFrame, name: str) -> pa.Table:
    """Return the Arrow table of a DataFrame: the model's types for its own columns, pandas' types for any other.

    Raise RequestError when a key is missing, or a column has an unusable name or a value that does not fit its type.
    """
    table, columns = find_table(name), list(frame.columns)
    known = {column.name: column.type for column in table.columns}
    if missing := ", ".join(key.name for key in table.keys if key.name not in frame):
        raise RequestError(f"The frame {name!r} lacks its key {missing}; pass Frames as a drain returned them.")
    if unfit := [column for column in columns if not isinstance(column, str) or columns.count(column) > 1]:
        raise RequestError(
            f"The frame {name!r} has a column named {printable(repr(unfit[0]))}, which is not text or occurs twice; rename it."
        )
    try:
        return pa.table({column: _series_to_arrow(frame[column], known.get(column)) for column in columns})
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise RequestError(
            f"The frame {name!r} holds a value that does not fit its column: {printable(error)}. "
            "Pass it as a drain or read_snapshot returned it."
        ) from error


def _series_to_arrow(series: pd.Series, kind: pa.DataType | None) -> Any:
    array = pa.array(series, kind, from_pandas=True)
    if kind is None and pa.types.is_large_string(array.type):
        kind = pa.string()
    # some versions of pyarrow ignore the type when the column is Arrow's already
    return array if kind in (None, array.type) else array.cast(kind)


def make_empty(name: str) -> pd.DataFrame:
    """Return a table without rows, with all its columns and dtypes."""
    return to_pandas(find_table(name).schema.empty_table())
