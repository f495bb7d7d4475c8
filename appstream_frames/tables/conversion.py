"""Arrow tables to pandas and back, with the dtypes of the design: types never depend on content."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import find_table
from appstream_frames.text import printable

_PANDAS: Final[dict[pa.DataType, Any]] = {
    pa.string(): pd.StringDtype("pyarrow", na_value=np.nan),
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
}
_SMALL: Final = 2**28  # bytes up to which the chunks of a column of lists are joined first


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a DataFrame with the dtypes of the design, whatever the table holds.

    Column by column, so that each Arrow column is given up as soon as its pandas column is there.
    """
    columns, made = dict(zip(table.schema.names, table.columns, strict=True)), {}
    del table
    for name in list(columns):
        made[name] = _column_to_pandas(columns.pop(name))
    return pd.DataFrame(made, copy=False)


def _column_to_pandas(column: pa.ChunkedArray) -> Any:
    if not pa.types.is_list(column.type) and not pa.types.is_map(column.type):
        if not column.num_chunks:  # pandas cannot merge on a column without any
            column = pa.chunked_array([pa.array([], column.type)])
        return column.to_pandas(types_mapper=_PANDAS.get, use_threads=False).array
    chunks = [column.combine_chunks()] if column.nbytes < _SMALL else column.chunks
    return np.concatenate([np.empty(0, object), *(_make_tuples(chunk) for chunk in chunks if len(chunk))])


def _make_tuples(array: pa.ListArray | pa.MapArray) -> np.ndarray:
    """Return each list as a tuple, each map as a tuple of (key, value) pairs; null is None.

    A tuple is made once for all rows that are alike: a row's number has the numbers of its elements as digits.
    """
    offsets, valid = np.asarray(array.offsets, np.int64), np.asarray(array.is_valid(), bool)
    elements, digits = _number_elements(array, int(offsets[0]), int(offsets[-1] - offsets[0]))
    sizes, starts = np.where(valid, np.diff(offsets), 0), offsets[:-1] - offsets[0]
    longest = int(sizes.max(initial=0))
    if longest * (len(elements) + 1).bit_length() > 61:  # more digits than a number can hold
        rows = [None if row is None else tuple(row) for row in array.to_pylist()]
        return np.fromiter(rows, object, len(rows))
    numbers = valid.astype(np.int64)
    for step in range(longest):
        there = sizes > step
        numbers[there] = numbers[there] * (len(elements) + 1) + digits[starts[there] + step] + 1
    _, first, alike = np.unique(numbers, return_index=True, return_inverse=True)
    made = [
        tuple(elements[digit] for digit in digits[starts[row] : starts[row] + sizes[row]]) if valid[row] else None
        for row in first.tolist()
    ]
    return np.fromiter(made, object, len(made))[alike]


def _number_elements(array: pa.ListArray | pa.MapArray, first: int, size: int) -> tuple[list[Hashable], np.ndarray]:
    """Return the different elements of lists or maps, and the number of each element among these."""
    if not size:
        return [], np.empty(0, np.int64)
    if not pa.types.is_map(array.type):
        found = array.values.slice(first, size).dictionary_encode(null_encoding="encode")
        return found.dictionary.to_pylist(), found.indices.to_numpy().astype(np.int64)
    parts = [part.slice(first, size).dictionary_encode(null_encoding="encode") for part in (array.keys, array.items)]
    names, values = (part.dictionary.to_pylist() for part in parts)
    pairs = parts[0].indices.to_numpy().astype(np.int64) * len(values) + parts[1].indices.to_numpy()
    digits, different = pd.factorize(pairs)
    return [(names[pair // len(values)], values[pair % len(values)]) for pair in different.tolist()], digits


def to_arrow(frame: pd.DataFrame, name: str) -> pa.Table:
    """Return the Arrow table of a frame: the model's types for its columns, pandas' own for any other.

    RequestError says that a column does not hold what its name promises.
    """
    table = find_table(name)
    known = {column.name: column.type for column in table.columns}
    if missing := [key.name for key in table.keys if key.name not in frame]:
        raise RequestError(
            f"The frame {name!r} lacks its key {', '.join(missing)}; pass Frames as a drain returned them."
        )
    columns = list(frame.columns)
    if unfit := [column for column in columns if not isinstance(column, str) or columns.count(column) > 1]:
        raise RequestError(
            f"The frame {name!r} has a column named {printable(repr(unfit[0]))}, which is no text or is there twice; rename it."
        )
    try:
        return pa.table({column: _series_to_arrow(frame[column], known.get(column)) for column in columns})
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise RequestError(
            f"The frame {name!r} holds a value that does not fit its column: {printable(error)}. "
            "Pass it as a drain or read_snapshot returned it."
        ) from error


def _series_to_arrow(series: pd.Series, kind: pa.DataType | None) -> Any:
    array = pa.array(series, kind, from_pandas=True)
    if kind is None and pa.types.is_large_string(array.type):
        kind = pa.string()
    # not every pyarrow heeds the type when the column is Arrow's already
    return array if kind in (None, array.type) else array.cast(kind)


def make_empty(name: str) -> pd.DataFrame:
    """Return a table without rows, with all its columns and dtypes."""
    return to_pandas(find_table(name).schema.empty_table())
