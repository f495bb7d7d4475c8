"""Frames to Parquet: a snapshot is under its root whole, or it is not there.

One file a table, ``<root>/<table>/<id>.parquet``, with the keys inside as columns. The file of ``coverage`` is written last
and is the commit record: its metadata holds rows, bytes and SHA-256 of the others and a digest of its own content. How
files come to be whole is the store's business, and reading them is that of `archive`.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames import archive, model, parquet
from appstream_frames import frames as arrow
from appstream_frames.errors import RequestError
from appstream_frames.frames import Frames
from appstream_frames.staging import Staged, Store
from appstream_frames.store import open_store
from appstream_frames.text import printable


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
    store = open_store(root)
    staged: list[Staged] = []
    name = None
    try:
        files = {table: _stage(store, table, tables[table], staged) for table in _in_order(tables)}
        _stage(store, "coverage", _sealed(tables["coverage"], files, redacted), staged)
        name = archive.id_of(frames.snapshot, staged[-1].sha256)
        store.publish(name, staged)
    except BaseException:
        store.discard(name, staged)
        raise
    return name


def _in_order(tables: Iterable[str]) -> list[str]:
    """Return the tables in the order of writing: children, then images; coverage comes after all of them."""
    return sorted(set(tables) - {"coverage"}, key=lambda table: (table == "images", table))


def _stage(store: Store, folder: str, table: pa.Table, staged: list[Staged]) -> dict[str, Any]:
    with store.stage(folder, staged) as sink:
        pq.write_table(table, sink, **parquet.WRITING)
    return _recorded(staged[-1], table.num_rows)


def _recorded(file: Staged, rows: int) -> dict[str, Any]:
    with open(file.path, "rb") as written, mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {"rows": rows, "bytes": file.bytes, "sha256": file.sha256, **parquet.fingerprints(content)}


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
    record = {
        "format": archive.FORMAT,
        "files": files,
        "redacted": redacted,
        "nonce": secrets.token_hex(8),  # no two snapshots are alike, so no two ids are
    }
    record["digest"] = archive.digest(coverage, record)
    return coverage.replace_schema_metadata({archive.RECORD: json.dumps(record)})
