"""The manifest of a snapshot: its coverage file, which records every other file; its own hash is part of its name.

The manifest is written last: once it exists, the snapshot is committed; until then, no reader sees the other files.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from appstream_frames.archive import parquet
from appstream_frames.archive.store import StagedFile, Store, StoredFile
from appstream_frames.errors import RequestError, SnapshotCorruptError, SnapshotNotFoundError
from appstream_frames.tables.coverage import FIRST_OPERATION
from appstream_frames.text import printable

FORMAT: Final = 2  # format 1 had one coverage row per target, and a digest of its values
FOLDER: Final = "coverage"
RESTORE: Final = "Restore the file from a copy, or read another snapshot; nothing of this one is given out."
_KEY: Final = b"appstream_frames"  # metadata key of the record in the coverage file
_FILENAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6}\.parquet")
_AT_ONCE: Final = 4  # manifests that are read concurrently


@dataclass(frozen=True)
class Manifest:
    """The content of a snapshot's manifest."""

    id: str
    coverage: pa.Table
    files: dict[str, dict[str, Any]]  # table → `parquet.make_record` of its file
    redacted: list[str]


def has_id(file: StoredFile) -> bool:
    """Return whether a file's name is a snapshot id."""
    with suppress(ValueError):
        return bool(_FILENAME.fullmatch(file.filename) and parse_moment(file.name))
    return False


def make_id(moment: dt.datetime, sha256: str) -> str:
    """Return the id of a snapshot: its moment, and the first digits of its manifest's SHA-256."""
    return f"{moment.year:04}{moment:%m%dT%H%M%S.%f}Z-{sha256[:6]}"  # on Linux, %Y is as short as the year


def parse_moment(name: str) -> dt.datetime:
    """Return the moment in a snapshot's id, UTC."""
    return dt.datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=dt.UTC)


def list_ids(store: Store) -> list[str]:
    """Return the ids of the committed snapshots, oldest first; empty when there are none."""
    return [file.name for file in store.list_files(FOLDER) if has_id(file)]


def find_ids(store: Store) -> list[str]:
    """Return the ids of the committed snapshots, oldest first; SnapshotNotFoundError, with a likely cause, if there are none."""
    if found := list_ids(store):
        return found
    seen = "nothing was written there. Correct the root, or write a snapshot there"
    if not store.exists():
        seen = "there is no such folder. Correct the root, or write a snapshot there"
    elif any(map(has_id, store.list_files(""))):
        seen = "it is the folder of one table. Pass the folder above it"
    elif count := sum(map(has_id, store.list_files("images"))):
        seen = (
            f"{count} files of images lie there, but no manifest in {FOLDER}/. Put {FOLDER}/ back if it was lost or moved; "
            "without it nothing is read, and nothing is removed"
        )
    raise SnapshotNotFoundError(f"No snapshot under {store.root}: {seen}.")


def read_file(store: Store, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
    """Return the bytes of a snapshot's file, all or a range; SnapshotCorruptError when it is missing."""
    try:
        return store.read(folder, name, start, length)
    except FileNotFoundError as error:
        location = store.locate(folder, name)
        raise SnapshotCorruptError(f"{location} is missing, though the snapshot was committed. {RESTORE}") from error


def read_manifest(store: Store, name: str) -> Manifest:
    """Return the manifest of a snapshot; SnapshotCorruptError when it is damaged, RequestError when a newer version wrote it."""
    location, content = store.locate(FOLDER, name), read_file(store, FOLDER, name)
    try:
        if name != make_id(parse_moment(name), parquet.hash_parts([content])):
            raise ValueError("its content is not what its name says")
        coverage = parquet.read(content)
        record = json.loads(coverage.schema.metadata[_KEY])
        if record["format"] > FORMAT:
            raise RequestError(
                f"{location} has format {record['format']}, this version reads up to {FORMAT}. Upgrade appstream-frames."
            )
        if record["digest"] != _digest(record, coverage, content):
            raise ValueError("it does not hold what was written into it")
        current = _add_newer_columns(coverage.replace_schema_metadata(None), record["redacted"])
        return Manifest(name, current, record["files"], record["redacted"])
    except RequestError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotCorruptError(f"{location} cannot be read ({printable(error)}). {RESTORE}") from error


def _add_newer_columns(coverage: pa.Table, redacted: list[str]) -> pa.Table:
    """Return coverage with the columns that earlier versions did not write, filled with the values they imply."""
    names, length = coverage.schema.names, coverage.num_rows
    if "operation" not in names:  # format 1 read only images: a row per target, with a column of counts per table
        coverage = coverage.append_column("operation", pa.repeat(pa.scalar(FIRST_OPERATION), length))
        coverage = coverage.append_column("rows", coverage.column("images"))
    if "redacted" not in names:
        coverage = coverage.append_column("redacted", pa.array([redacted or None] * length, pa.list_(pa.string())))
    return coverage


def read_manifests(store: Store, names: Sequence[str]) -> tuple[list[Manifest], dict[str, str]]:
    """Return the manifests of some snapshots, and by id the errors of those that cannot be read."""

    def read(name: str) -> Manifest | str:
        try:
            return read_manifest(store, name)
        except (SnapshotCorruptError, RequestError) as error:
            return str(error)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(read, names))
    problems = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, str)}
    return [one for one in found if isinstance(one, Manifest)], problems


def read_intact(store: Store, names: Sequence[str]) -> list[Manifest]:
    """Return the manifests that can be read, with a warning for each other; SnapshotCorruptError when none can be read."""
    manifests, problems = read_manifests(store, names)
    if problems and not manifests:
        raise SnapshotCorruptError(next(iter(problems.values())))
    for problem in problems.values():
        warnings.warn(f"One snapshot is left out: {problem}", UserWarning, stacklevel=4)
    return manifests


def write_manifest(coverage: pa.Table, files: dict[str, dict[str, Any]], sink: StagedFile) -> None:
    """Write the coverage and the record of the other files."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "files": files,
        "redacted": sorted({name for names in coverage.column("redacted").to_pylist() for name in names or ()}),
        "nonce": secrets.token_hex(8),  # so that equal snapshots get different ids
    }
    with parquet.open_writer(sink, FOLDER, coverage.schema) as writer:
        writer.write_table(coverage)
        record["digest"] = _hash([sink.sha256, coverage.schema.names, record])
        writer.add_key_value_metadata({_KEY: json.dumps(record).encode()})


def _digest(record: dict[str, Any], coverage: pa.Table, content: bytes) -> str:
    """Return the digest that the record of an undamaged manifest holds."""
    rest = {name: value for name, value in record.items() if name != "digest"}
    if record["format"] == 1:
        return _hash([coverage.schema.names, coverage.to_pylist(), rest])
    return _hash([parquet.hash_rows(content), coverage.schema.names, rest])


def _hash(value: Any) -> str:
    return parquet.hash_parts([json.dumps(value, sort_keys=True, default=str).encode()])
