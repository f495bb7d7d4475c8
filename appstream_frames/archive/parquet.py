"""Parquet files that can be validated in part: a SHA-256 of the footer and one of each column's bytes, recorded at writing.

A Parquet file's own checksums do not cover its footer and page headers, and with a hash of the whole file a reader of three
columns reads all of them. With these fingerprints a few columns are read, and just those are validated.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive.store import HashingFile

_MAGIC: Final = b"PAR1"
_LARGE: Final = 16 * 2**20  # bytes from which reading with several threads is worth it

#: Returns bytes of a file, given the first one's position and their number.
ReadRange = Callable[[int, int], bytes]


#: Types that Parquet gives back as they were, without a copy of the schema (and of its metadata) beside its own.
_PLAIN: Final = {pa.string(), pa.bool_(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC")}


def writer_options(schema: pa.Schema, keys: Iterable[str]) -> dict[str, Any]:
    """Return the options for writing a table; only of its keys are least and greatest value kept, for readers to skip by."""
    return {
        "compression": "zstd",
        "compression_level": 3,  # 0.98 of level 1 for 1.1 of its time; from 4 on the time doubles
        "write_page_checksum": True,
        "write_statistics": [name for name in keys if name in schema.names],
        "store_schema": not set(schema.types) <= _PLAIN,
    }


def read(content: bytes) -> pa.Table:
    """Return the rows in the bytes of a file."""
    # a process that ends right after a small file was read can be aborted by the threads that Arrow had started for it
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, pre_buffer=False)
    return _read_groups(file, use_threads=len(content) > _LARGE)


def write(
    table: pa.Table,
    sink: HashingFile,
    keys: Iterable[str],
    describe: Callable[[str], dict[bytes, bytes]],
) -> None:
    """Write a table, and metadata that `describe` returns when it is given the SHA-256 of the rows' bytes."""
    with pq.ParquetWriter(sink, table.schema, **writer_options(table.schema, keys)) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(describe(sink.sha256))


def read_metadata(content: bytes) -> dict[bytes, bytes]:
    """Return the metadata in the bytes of a file."""
    return pq.read_metadata(pa.BufferReader(content)).metadata or {}


def hash_rows(content: bytes) -> str:
    """Return the SHA-256 of the rows' bytes: all that is in front of the footer."""
    return _sha256([memoryview(content)[: -_footer_bytes(content)]])


def _footer_bytes(content: Any) -> int:
    return int(struct.unpack("<I", content[-8:-4])[0]) + 8


class DamageError(ValueError):
    """Bytes that are not those that were written."""


def fingerprints(content: Any) -> dict[str, Any]:
    """Return what `read_columns` needs to validate a part of a file: hashes of its footer and of each column.

    Parameters
    ----------
    content : bytes-like
        The whole file.
    """
    view = memoryview(content)
    length = _footer_bytes(view)
    chunks = _chunks(_metadata(bytes(view[-length:])))
    columns = {name: _sha256(view[start : start + size] for start, size in found) for name, found in chunks.items()}
    return {"footer": {"bytes": length, "sha256": _sha256([view[-length:]])}, "columns": columns}


def read_columns(read: ReadRange, expected: dict[str, Any], names: list[str]) -> pa.Table:
    """Read some columns of a file, each validated, and nothing else of it.

    Parameters
    ----------
    read : callable
        Returns bytes of the file.
    expected : dict
        ``bytes`` of the file, and its `fingerprints`.
    names : list of str
        The columns; those that the file does not hold are left out.

    Raises
    ------
    DamageError
        When the footer or a column is not what was written.
    """
    footer = read(expected["bytes"] - expected["footer"]["bytes"], expected["footer"]["bytes"])
    if _sha256([footer]) != expected["footer"]["sha256"]:
        raise DamageError("the footer is not the one that was written")
    metadata = _metadata(footer)
    chunks = _chunks(metadata)
    wanted = [name for name in names if name in chunks]
    # pyarrow takes "a" for a prefix of "a.b", and would read that too
    needed = [name for name in chunks if any(name == each or name.startswith(f"{each}.") for each in wanted)]
    parts: dict[int, bytes] = {}
    for name in needed:
        contents = [(start, read(start, size)) for start, size in chunks[name]]
        if _sha256(content for _, content in contents) != expected["columns"][name]:
            raise DamageError(f"the column {name} is not the one that was written")
        parts.update(contents)
    at_hand = RangeFile(partial(_join_parts, parts), expected["bytes"])
    file = pq.ParquetFile(at_hand, metadata=metadata, pre_buffer=False)
    return _read_groups(file, needed, use_threads=False).select(wanted)


def _read_groups(file: pq.ParquetFile, columns: list[str] | None = None, *, use_threads: bool) -> pa.Table:
    if not file.num_row_groups:  # an error in pyarrow 18
        return file.schema_arrow.empty_table()
    return file.read(columns, use_threads=use_threads)


def _metadata(footer: bytes) -> Any:
    return pq.read_metadata(pa.BufferReader(_MAGIC + footer))


def _chunks(metadata: Any) -> dict[str, list[tuple[int, int]]]:
    """Return where the bytes of each top-level column lie: (start, length) of every chunk, in order."""
    schema = metadata.schema.to_arrow_schema()
    chunks: dict[str, list[tuple[int, int]]] = {name: [] for name in schema.names}
    # a path such as a.b.element cannot be taken apart, because a column's own name may hold dots
    owners = [field.name for field in schema for _ in range(_count_leaves(field.type))]
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number, owner in enumerate(owners):
            chunk = row_group.column(number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            chunks[owner].append((start, chunk.total_compressed_size))
    return chunks


def _count_leaves(kind: pa.DataType) -> int:
    """Return how many columns of Parquet hold a type of Arrow."""
    children = [kind.field(number).type for number in range(kind.num_fields)]
    return sum(map(_count_leaves, children)) if children else 1


def _sha256(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


class RangeFile(io.RawIOBase):
    """A file for reading, of which each part is fetched when it is read."""

    def __init__(self, read: ReadRange, size: int) -> None:
        self._read, self._size, self._position = read, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read in any order."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, and return it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes from the position on."""
        left = self._size - self._position
        content = self._read(self._position, left if size < 0 else min(size, left))
        self._position += len(content)
        return content


def _join_parts(parts: dict[int, bytes], start: int, size: int) -> bytes:
    """Return bytes that lie in some parts of a file, by the position of each; anything else is an error."""
    found = b""
    for offset, part in sorted(parts.items()):
        position = start + len(found)
        if offset <= position < offset + len(part):
            found += part[position - offset : start + size - offset]
    if len(found) < size:
        raise DamageError(f"byte {start + len(found)} of the file belongs to no validated column")
    return found
