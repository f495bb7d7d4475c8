"""Parquet files that can be validated in part: a SHA-256 of the footer and of each column's bytes, recorded when written.

Parquet's own checksums do not cover footer and page headers, and a hash of the whole file needs all of it to be read.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive.store import StagedFile
from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import printable

_MAGIC: Final = b"PAR1"
_LARGE: Final = 16 * 2**20  # bytes from which several threads read faster than one
#: Types that survive a Parquet round trip without the Arrow schema stored in the file.
_PLAIN: Final = {pa.string(), pa.bool_(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC")}


class DamageError(ValueError):
    """Raised when bytes are not those that were written."""


def open_writer(sink: StagedFile, name: str, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a table's file for writing; minimum and maximum, which let readers skip row groups, are kept only for its keys."""
    keys = [key.name for key in list_tables()[name].keys]
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=3,  # 0.98 of level 1's size in 1.1 of its time; from level 4 on, the time doubles
        write_page_checksum=True,
        write_statistics=[key for key in keys if key in schema.names],
        store_schema=not set(schema.types) <= _PLAIN,
    )


def check_types(table: str, schema: pa.Schema) -> None:
    """Raise RequestError when a column has a type that Parquet does not have, such as a struct without fields."""
    for field in schema:
        try:
            if field.type not in _PLAIN:
                pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
            if str(field.type).startswith("extension<pandas"):  # a period or an interval, read back as its parts
                raise pa.ArrowNotImplementedError
        except pa.ArrowNotImplementedError as error:
            raise RequestError(
                f"The frame {table!r} has the column {printable(repr(field.name))} of type {printable(field.type)}, which "
                "Parquet does not have. Expected text, numbers, booleans, times, or lists and objects of these with at least "
                "one member; make it text, for example with .map(str), or drop the column."
            ) from error


def read(content: bytes) -> pa.Table:
    """Return the rows in the bytes of a file."""
    # Arrow's threads can abort a process that exits right after it read a small file: start none for it
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, pre_buffer=False)
    if not file.num_row_groups:  # pyarrow 18 raises an error for a file without rows
        return file.schema_arrow.empty_table()
    return file.read(use_threads=len(content) > _LARGE)


def hash_rows(content: bytes) -> str:
    """Return the SHA-256 of all bytes before the footer."""
    return hash_parts([memoryview(content)[: -_find_footer_length(content)]])


def hash_parts(parts: Iterable[Any]) -> str:
    """Return the SHA-256 of bytes that come in parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def make_record(staged: StagedFile) -> dict[str, Any]:
    """Return a file's entry in the manifest: its rows, bytes and SHA-256, and hashes of its footer and of each column."""
    with open(staged.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        footer = content[-_find_footer_length(content) :]
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + footer))
        columns = {
            name: hash_parts(content[start : start + size] for start, size in chunks)
            for name, chunks in _find_chunks(metadata).items()
        }
    return {
        "rows": metadata.num_rows,
        "bytes": staged.bytes,
        "sha256": staged.sha256,
        "footer": {"bytes": len(footer), "sha256": hash_parts([footer])},
        "columns": columns,
    }


def read_columns(read: Callable[[int, int], bytes], expected: dict[str, Any], names: list[str]) -> pa.Table:
    """Read some columns of a file that has rows, and nothing else; skip those it does not hold; DamageError when one is damaged.

    `read(start, length)` returns bytes of the file; `expected` is its `make_record`.
    """
    content = np.zeros(expected["bytes"], np.uint8)  # the system allocates only the pages that are written

    def fetch(ranges: list[tuple[int, int]], sha256: str, what: str) -> None:
        parts = [(start, read(start, size)) for start, size in ranges]
        if hash_parts(part for _, part in parts) != sha256:
            raise DamageError(f"the {what} is not the one that was written")
        for start, part in parts:
            content[start : start + len(part)] = np.frombuffer(part, np.uint8)

    length = expected["footer"]["bytes"]
    fetch([(expected["bytes"] - length, length)], expected["footer"]["sha256"], "footer")
    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)), pre_buffer=False)
    chunks = _find_chunks(file.metadata)
    wanted = [name for name in names if name in chunks]
    # asked for the column "a", pyarrow also reads a column named "a.b"
    needed = [name for name in chunks if any(name == each or name.startswith(f"{each}.") for each in wanted)]
    for name in needed:
        fetch(chunks[name], expected["columns"][name], f"column {name}")
    return file.read(needed, use_threads=False).select(wanted)


def check_footer(content: bytes, start: int, expected: dict[str, Any]) -> None:
    """Raise DamageError when a file's bytes from a position on hold its footer, and not the one of its `make_record`."""
    size = expected["footer"]["bytes"]
    begins = expected["bytes"] - size - start
    footer = content[begins : begins + size] if begins >= 0 else b""
    if len(footer) == size - 8:  # without its end, which has been read before: its length, and the magic bytes
        footer += struct.pack("<I", size - 8) + _MAGIC
    if len(footer) == size and hash_parts([footer]) != expected["footer"]["sha256"]:
        raise DamageError("the footer is not the one that was written")


def _find_footer_length(content: Any) -> int:
    return int(struct.unpack("<I", content[-8:-4])[0]) + 8


def _find_chunks(metadata: Any) -> dict[str, list[tuple[int, int]]]:
    """Return the byte ranges of each top-level column: (start, length) of every chunk, in order."""
    schema = metadata.schema.to_arrow_schema()
    chunks: dict[str, list[tuple[int, int]]] = {name: [] for name in schema.names}
    # counted, because a path such as a.b.element is ambiguous: a column's own name may contain dots
    owners = [field.name for field in schema for _ in range(_count_leaves(field.type))]
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number, owner in enumerate(owners):
            chunk = row_group.column(number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            chunks[owner].append((start, chunk.total_compressed_size))
    return chunks


def _count_leaves(kind: pa.DataType) -> int:
    """Return the number of Parquet columns of an Arrow type."""
    children = [kind.field(number).type for number in range(kind.num_fields)]
    return sum(map(_count_leaves, children)) if children else 1
