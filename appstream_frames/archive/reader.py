"""Reading an archive: which snapshots are there, whether each file is the one that was written, and its content.

A file is believed only after its size and SHA-256 were found to be those in the snapshot's commit record, so damage never
reads as data. Nothing here writes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.staging import Store
from appstream_frames.archive.store import open_store
from appstream_frames.errors import RequestError, SnapshotCorruptError, SnapshotNotFoundError
from appstream_frames.tables.frames import Frames, to_pandas
from appstream_frames.tables.schema import UTC_US, all_tables
from appstream_frames.text import printable

FORMAT: Final = 1
RECORD: Final = b"appstream_frames"  # the key of the commit record in the metadata of a coverage file
_ID: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6}")
_CORRUPT: Final = "Restore the file from a copy, or read another snapshot; nothing of this one is given out."
_LARGE: Final = 16 * 2**20  # bytes from which reading with several threads is worth it
_COUNTS: Final = ("targets", "complete", "images", "applications", "errors", "bytes")


def read_snapshot(root: str | os.PathLike[str], snapshot: str | None = None) -> Frames:
    """Read one snapshot, each file proven against its recorded size and SHA-256 first.

    Parameters
    ----------
    root : str or path
        The folder of the archive.
    snapshot : str, optional
        The id of the snapshot; default: the newest.

    Returns
    -------
    Frames
        Equal to the frames that were written. A column that the installed boto3 knows and the snapshot does not hold
        is there, all null; one that only the snapshot holds is kept.

    Raises
    ------
    SnapshotNotFoundError
        When there is no such snapshot.
    SnapshotCorruptError
        When a file is missing or is not what was written; it names the file.
    """
    store = open_store(root)
    name = _chosen(store, snapshot)
    coverage, record = commit_record(store, name)
    read = {table: proven(store, table, name, expected) for table, expected in record["files"].items()}
    order = [*(table for table in all_tables() if table in read), *(t for t in read if t not in all_tables())]
    tables = {table: to_pandas(completed(read.pop(table), table)) for table in order}
    token = coverage.column("resume_token").to_pylist()
    tables["coverage"] = to_pandas(completed(coverage, "coverage"))
    return Frames(tables, token[0] if len(token) == 1 else None)


def read_coverage(root: str | os.PathLike[str], snapshot: str) -> pd.DataFrame:
    """Return the coverage of one snapshot, proven; no other file of it is read."""
    coverage, _ = commit_record(open_store(root), snapshot)
    return to_pandas(completed(coverage, "coverage"))


def _chosen(store: Store, snapshot: str | None) -> str:
    names = ids(store)
    if snapshot in names:
        return snapshot
    if snapshot is not None:
        near = ", ".join(names[-3:]) or "none at all"
        raise SnapshotNotFoundError(
            f"No snapshot {snapshot!r} under {store.root}. Newest there: {near}; see list_snapshots."
        )
    if not names:
        raise SnapshotNotFoundError(
            f"No snapshot under {store.root}. Write one with write_snapshot, or check the root."
        )
    return names[-1]


def is_id(name: str) -> bool:
    """Tell whether a file's name is one that a snapshot may have."""
    return bool(_ID.fullmatch(name))


def ids(store: Store) -> list[str]:
    """Return the ids of the committed snapshots, oldest first."""
    return [name for name in store.names("coverage") if is_id(name)]


def commit_record(store: Store, name: str) -> tuple[pa.Table, dict[str, Any]]:
    """Return the commit record of a snapshot: its coverage and what it says of the other files."""
    where = store.where("coverage", name)
    try:
        content = store.read("coverage", name)
    except FileNotFoundError as error:
        raise SnapshotCorruptError(f"{where} is missing. {_CORRUPT}") from error
    try:
        if not name.endswith(_seal(hashlib.sha256(content).hexdigest())):
            raise ValueError("its content is not what its name says")
        table = _parsed(content)
        record = json.loads(table.schema.metadata[RECORD])
        whole = record["digest"] == digest(table, record)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotCorruptError(f"{where} cannot be read ({printable(error)}). {_CORRUPT}") from error
    if not whole:
        raise SnapshotCorruptError(f"{where} does not hold what was written into it. {_CORRUPT}")
    if record["format"] != FORMAT:
        raise RequestError(
            f"{where} has format {record['format']}, this version reads {FORMAT}. Upgrade appstream-frames."
        )
    return table, record


def id_of(moment: dt.datetime, sha256: str) -> str:
    """Return the id of a snapshot: its moment, and the beginning of its commit record's hash.

    Examples
    --------
    >>> id_of(dt.datetime(2026, 11, 23, 10, 15, 0, 123456), "3f9c1ab7")
    '20261123T101500.123456Z-3f9c1a'
    """
    return f"{moment:%Y%m%dT%H%M%S.%f}Z{_seal(sha256)}"


def moment_of(name: str) -> dt.datetime:
    """Return the moment in a snapshot's id, UTC."""
    return dt.datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=dt.UTC)


def _seal(sha256: str) -> str:
    return f"-{sha256[:6]}"


def proven(store: Store, folder: str, name: str, expected: dict[str, Any]) -> pa.Table:
    """Return a file's content, if it is the file that was recorded."""
    where = store.where(folder, name)
    try:
        content = store.read(folder, name)
    except FileNotFoundError as error:
        raise SnapshotCorruptError(f"{where} is missing, though the snapshot was committed. {_CORRUPT}") from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != expected["sha256"]:
        raise SnapshotCorruptError(
            f"{where} is not the file that was written: {len(content)} bytes with SHA-256 {seen[:12]}…, expected "
            f"{expected['bytes']} bytes with {expected['sha256'][:12]}…. {_CORRUPT}"
        )
    return _parsed(content)


def proven_columns(store: Store, folder: str, name: str, expected: dict[str, Any], columns: list[str]) -> pa.Table:
    """Return some columns of a file, read alone and proven alone; those the file does not hold are left out."""
    where = store.where(folder, name)
    try:
        return parquet.read_columns(lambda start, size: store.read(folder, name, start, size), expected, columns)
    except FileNotFoundError as error:
        raise SnapshotCorruptError(f"{where} is missing, though the snapshot was committed. {_CORRUPT}") from error
    except (parquet.DamageError, pa.ArrowException) as error:
        raise SnapshotCorruptError(f"{where}: {printable(error)}. {_CORRUPT}") from error


def _parsed(content: bytes) -> pa.Table:
    # a process that ends right after a small file was read can be aborted by the threads that Arrow had started for it
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, pre_buffer=False)
    return file.read(use_threads=len(content) > _LARGE)


def completed(table: pa.Table, name: str) -> pa.Table:
    """Add, all null, the columns that the installed model knows and the file does not; ``unmodeled`` stays last."""
    if name not in all_tables():
        return table
    schema = all_tables()[name].schema
    extra = [field for field in table.schema if field.name not in schema.names]
    fields = [*list(schema)[:-1], *extra, schema.field("unmodeled")]
    arrays = [
        table.column(f.name) if f.name in table.schema.names else pa.nulls(table.num_rows, f.type) for f in fields
    ]
    return pa.table(arrays, names=[field.name for field in fields])


def list_snapshots(root: str | os.PathLike[str]) -> pd.DataFrame:
    """List the committed snapshots, oldest first.

    Parameters
    ----------
    root : str or path
        The folder of the archive.

    Returns
    -------
    pandas.DataFrame
        A row per snapshot: ``id``, ``snapshot`` (its moment, UTC), ``targets``, ``complete`` (targets read whole), ``images``,
        ``applications``, ``errors`` (rows) and ``bytes`` (of all its files but the commit record). Empty when there is none.

    Raises
    ------
    SnapshotCorruptError
        When a commit record is damaged.
    """
    store = open_store(root)
    rows = [_listed(name, *commit_record(store, name)) for name in ids(store)]
    schema = pa.schema([("id", pa.string()), ("snapshot", UTC_US), *((name, pa.int64()) for name in _COUNTS)])
    return to_pandas(pa.Table.from_pylist(rows, schema=schema))


def _listed(name: str, coverage: pa.Table, record: dict[str, Any]) -> dict[str, Any]:
    status = coverage.column("status").to_pylist()
    return {
        "id": name,
        "snapshot": moment_of(name),
        "targets": len(status),
        "complete": status.count("complete"),
        **{table: file["rows"] for table, file in record["files"].items()},
        "bytes": sum(file["bytes"] for file in record["files"].values()),
    }


def digest(coverage: pa.Table, record: dict[str, Any]) -> str:
    """Return the digest of a commit record's rows and of what it says of the other files."""
    content = [coverage.schema.names, coverage.to_pylist(), {k: v for k, v in record.items() if k != "digest"}]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
