"""Frames to Parquet and back: a snapshot is under its root whole, or it is not there.

One file a table, ``<root>/<table>/<id>.parquet``, with the keys inside as columns. The file of ``coverage`` is written last
and is the commit record: its metadata holds rows, bytes and SHA-256 of the others and a digest of its own content. A reader
of ours believes a file only when it is the one that was recorded. How files come to be whole is the store's business.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterable
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames import frames as arrow
from appstream_frames import model
from appstream_frames.errors import RequestError, SnapshotCorruptError, SnapshotNotFoundError
from appstream_frames.frames import Frames
from appstream_frames.store import LocalStore, Staged, open_store
from appstream_frames.text import printable

_FORMAT: Final = 1
_RECORD: Final = b"appstream_frames"
_ID: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6}")
_WRITING: Final = {
    "compression": "zstd",
    "compression_level": 1,  # 0.57 of snappy's size for 1.09 of its time
    "write_page_checksum": True,
}


def write_snapshot(frames: Frames, root: str | os.PathLike[str], *, redact: Iterable[str] = ()) -> str:
    """Write frames as one Parquet snapshot.

    Parameters
    ----------
    frames : Frames
        As a drain returned them.
    root : str or path
        The folder of the archive; made when it is not there.
    redact : iterable of str, optional
        Columns to leave null in the files, in whichever table they are, say ``["launch_parameters"]``; recorded beside
        the coverage.

    Returns
    -------
    str
        The snapshot's id, such as ``20261123T101500.123456Z-3f9c1a``. Ids sort by the moment of the snapshot.

    Raises
    ------
    RequestError
        When `frames` or `redact` cannot be right; nothing is written then.
    OSError
        When the disk refuses. The snapshot is not there then, and the earlier ones are as they were.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     frames = asf.drain(sandbox.client(), type="PRIVATE")
    ...     name = asf.write_snapshot(frames, root)
    ...     asf.read_snapshot(root).images.equals(frames.images)
    True
    """
    if not isinstance(frames, Frames):
        raise RequestError(f"frames is {printable(type(frames).__name__)}; pass the Frames that a drain returned.")
    tables = {name: arrow.to_arrow(table, name) for name, table in frames.tables.items()}
    redacted = _redacted(tables, redact)
    store, name = open_store(root), _new_id(frames.snapshot)
    staged: list[Staged] = []
    try:
        record = {}
        for table in sorted(set(tables) - {"coverage"}, key=lambda table: table == "images"):
            record[table] = _stage(store, name, table, tables[table], staged)
        _stage(store, name, "coverage", _sealed(tables["coverage"], record, redacted), staged)
        store.publish(staged)
    except BaseException:
        store.discard(staged)
        raise
    store.tidy()
    return name


def _stage(store: LocalStore, name: str, folder: str, table: pa.Table, staged: list[Staged]) -> dict[str, Any]:
    with store.stage(folder, name, staged) as sink:
        pq.write_table(table, sink, **_WRITING)
    return {"rows": table.num_rows, "bytes": staged[-1].bytes, "sha256": staged[-1].sha256}


def _redacted(tables: dict[str, pa.Table], redact: Iterable[str]) -> list[str]:
    names = [redact] if isinstance(redact, str) else list(redact)
    for name in names:
        holders = [table for table in tables if table != "coverage" and name in tables[table].schema.names]
        keys = {key.name for table in holders for key in model.tables()[table].keys}
        if not holders or name in keys:
            raise RequestError(
                f"redact={name!r} is {'a key' if holders else 'no column'}; see columns(table) for those to choose."
            )
        for table in holders:
            place = tables[table].schema.get_field_index(name)
            field = tables[table].schema.field(place)
            tables[table] = tables[table].set_column(place, field, pa.nulls(tables[table].num_rows, field.type))
    return sorted(names)


def _sealed(coverage: pa.Table, files: dict[str, Any], redacted: list[str]) -> pa.Table:
    record = {"format": _FORMAT, "files": files, "redacted": redacted}
    record["digest"] = _digest(coverage, record)
    return coverage.replace_schema_metadata({_RECORD: json.dumps(record)})


def _digest(coverage: pa.Table, record: dict[str, Any]) -> str:
    content = [coverage.schema.names, coverage.to_pylist(), {k: v for k, v in record.items() if k != "digest"}]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _new_id(moment: dt.datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(3)}"


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
    coverage, record = _coverage(store, name)
    read = {table: _proven(store, table, name, expected) for table, expected in record["files"].items()}
    order = [*(table for table in model.tables() if table in read), *(t for t in read if t not in model.tables())]
    tables = {table: arrow.to_pandas(_completed(read.pop(table), table)) for table in order}
    token = coverage.column("resume_token").to_pylist()
    tables["coverage"] = arrow.to_pandas(_completed(coverage, "coverage"))
    return Frames(tables, token[0] if len(token) == 1 else None)


def _chosen(store: LocalStore, snapshot: str | None) -> str:
    names = _ids(store)
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


def _ids(store: LocalStore) -> list[str]:
    return [name for name in store.names("coverage") if _ID.fullmatch(name)]


def _coverage(store: LocalStore, name: str) -> tuple[pa.Table, dict[str, Any]]:
    """Return the commit record of a snapshot: its coverage and what it says of the other files."""
    where = store.describe("coverage", name)
    try:
        table = _parsed(store.read("coverage", name))
        record = json.loads(table.schema.metadata[_RECORD])
        whole = record["digest"] == _digest(table, record)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotCorruptError(f"{where} cannot be read ({printable(error)}). {_CORRUPT}") from error
    if not whole:
        raise SnapshotCorruptError(f"{where} does not hold what was written into it. {_CORRUPT}")
    if record["format"] != _FORMAT:
        raise RequestError(
            f"{where} has format {record['format']}, this version reads {_FORMAT}. Upgrade appstream-frames."
        )
    return table, record


_CORRUPT: Final = "Restore the file from a copy, or read another snapshot; nothing of this one is given out."


def _proven(store: LocalStore, folder: str, name: str, expected: dict[str, Any]) -> pa.Table:
    where = store.describe(folder, name)
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


def _parsed(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content), page_checksum_verification=True)


def _completed(table: pa.Table, name: str) -> pa.Table:
    """Add, all null, the columns that the installed model knows and the file does not; ``unmodeled`` stays last."""
    if name not in model.tables():
        return table
    schema = model.tables()[name].schema
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
    rows = [_listed(name, *_coverage(store, name)) for name in _ids(store)]
    schema = pa.schema([("id", pa.string()), ("snapshot", model.UTC_US), *((name, pa.int64()) for name in _COUNTS)])
    return arrow.to_pandas(pa.Table.from_pylist(rows, schema=schema))


_COUNTS: Final = ("targets", "complete", "images", "applications", "errors", "bytes")


def _listed(name: str, coverage: pa.Table, record: dict[str, Any]) -> dict[str, Any]:
    moment = dt.datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=dt.UTC)
    status = coverage.column("status").to_pylist()
    return {
        "id": name,
        "snapshot": moment,
        "targets": len(status),
        "complete": status.count("complete"),
        **{table: file["rows"] for table, file in record["files"].items()},
        "bytes": sum(file["bytes"] for file in record["files"].values()),
    }
