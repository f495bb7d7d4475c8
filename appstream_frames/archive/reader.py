"""List and read the snapshots of an archive. Damaged files raise an error, and nothing here writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.archive import parquet
from appstream_frames.archive.manifest import (
    RESTORE,
    Manifest,
    find_ids,
    parse_moment,
    read_file,
    read_intact,
    read_manifest,
    read_manifests,
)
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import Store
from appstream_frames.errors import SnapshotCorruptError, SnapshotNotFoundError
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.coverage import count_whole
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import UNMODELED, UTC_US, list_tables
from appstream_frames.text import printable

_COUNTS: Final = [(name, pa.int64()) for name in ("targets", "complete", "images", "applications", "errors", "bytes")]
_TEXTS: Final = [("redacted", pa.list_(pa.string())), ("problem", pa.string())]
_LISTED: Final = pa.schema([("id", pa.string()), ("snapshot", UTC_US), *_COUNTS, *_TEXTS])


def read_snapshot(root: str | os.PathLike[str], snapshot: str | None = None) -> Frames:
    """Read one snapshot; each file is first checked against its recorded size and SHA-256.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.
    snapshot : str, optional
        The id of the snapshot; default: the newest.

    Returns
    -------
    Frames
        Equal to the frames that were written. A column that only the installed boto3 knows is added, all null; one that
        only the snapshot holds is kept.

    Raises
    ------
    SnapshotNotFoundError
        When there is no such snapshot.
    SnapshotCorruptError
        When a file is missing or is not what was written; the message names the file.
    """
    store = open_store(root)
    names = find_ids(store)
    if snapshot is not None and snapshot not in names:
        raise SnapshotNotFoundError(
            f"No snapshot {printable(repr(snapshot))} under {store.root}. Newest there: {', '.join(names[-3:])}; "
            "see list_snapshots."
        )
    manifest = read_manifest(store, snapshot or names[-1])
    tables = {name: to_pandas(table) for name, table in read_tables(store, manifest).items()}
    token = manifest.coverage.column("resume_token").to_pylist()
    return Frames(tables, token[0] if len(token) == 1 else None)


def read_coverage(root: str | os.PathLike[str], snapshot: str) -> pd.DataFrame:
    """Return the coverage of one snapshot, without reading its other files."""
    return to_pandas(complete(read_manifest(open_store(root), snapshot).coverage, "coverage"))


def list_snapshots(root: str | os.PathLike[str]) -> pd.DataFrame:
    """List the committed snapshots, oldest first.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.

    Returns
    -------
    pandas.DataFrame
        A row per snapshot: ``id``, ``snapshot`` (its moment, UTC), ``targets``, ``complete`` (targets read whole), ``images``,
        ``applications``, ``errors`` (rows), ``bytes`` (of all its files except the manifest), ``redacted`` (a tuple of the
        columns left out by choice, or null) and ``problem`` (null, or why its manifest cannot be read; the counts are null then).

    Raises
    ------
    SnapshotNotFoundError
        When there is no snapshot under the root.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     name = asf.write_snapshot(asf.drain(sandbox.client(), max_items=5), root)
    ...     asf.list_snapshots(root)[["images", "complete"]].to_numpy().tolist()
    [[5, 0]]
    """
    store = open_store(root)
    return _list(*read_manifests(store, find_ids(store)))


def list_intact(root: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the rows of `list_snapshots` whose manifests can be read, with a warning for each other."""
    store = open_store(root)
    return _list(read_intact(store, find_ids(store)), {})


def _list(manifests: list[Manifest], problems: Mapping[str, str]) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {name: {"problem": problem} for name, problem in problems.items()}
    for one in manifests:
        whole, targets = count_whole(to_pandas(one.coverage), disabled=False)
        rows[one.id] = {
            "targets": targets,
            "complete": whole,
            **{table: file["rows"] for table, file in one.files.items()},
            "bytes": sum(file["bytes"] for file in one.files.values()),
            "redacted": one.redacted or None,
        }
    listed = [{"id": name, "snapshot": parse_moment(name), **row} for name, row in sorted(rows.items())]
    return to_pandas(pa.Table.from_pylist(listed, schema=_LISTED))


def read_tables(store: Store, manifest: Manifest) -> dict[str, pa.Table]:
    """Return all tables of a snapshot, in the order of the model."""
    order = [*(name for name in list_tables() if name in manifest.files), *manifest.files]
    tables = {name: complete(read_table(store, manifest, name), name) for name in dict.fromkeys(order)}
    return tables | {"coverage": complete(manifest.coverage, "coverage")}


def read_table(store: Store, manifest: Manifest, table: str) -> pa.Table:
    """Return a file's rows; SnapshotCorruptError when it is missing or is not what was written."""
    content, expected = read_file(store, table, manifest.id), manifest.files[table]
    seen = parquet.hash_parts([content])
    if seen != expected["sha256"]:
        raise SnapshotCorruptError(
            f"{store.locate(table, manifest.id)} is not the file that was written: {len(content)} bytes with SHA-256 "
            f"{seen[:12]}…, expected {expected['bytes']} bytes with {expected['sha256'][:12]}…. {RESTORE}"
        )
    return parquet.read(content)


def read_columns(store: Store, manifest: Manifest, table: str, columns: list[str]) -> pa.Table:
    """Return some columns of a file, without those it does not hold; only their bytes are read and checked (see `read_table`)."""
    try:
        return parquet.read_columns(partial(read_file, store, table, manifest.id), manifest.files[table], columns)
    except (parquet.DamageError, pa.ArrowException) as error:
        raise SnapshotCorruptError(f"{store.locate(table, manifest.id)}: {printable(error)}. {RESTORE}") from error


def read_range(store: Store, manifest: Manifest, table: str, start: int, length: int) -> bytes:
    """Return some bytes of a file; SnapshotCorruptError when it is missing, or its footer is among them and another."""
    content = read_file(store, table, manifest.id, start, length)
    try:
        parquet.check_footer(content, start, manifest.files[table])
    except parquet.DamageError as error:
        raise SnapshotCorruptError(f"{store.locate(table, manifest.id)}: {error}. {RESTORE}") from error
    return content


def complete(table: pa.Table, name: str) -> pa.Table:
    """Add the columns of the installed model that the file does not hold, all null; ``unmodeled`` stays last."""
    if name not in list_tables():
        return table
    known = list_tables()[name].schema
    for field in known:
        if field.name not in table.schema.names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    extra = [column for column in table.schema.names if column not in known.names]
    return table.select([*known.names[:-1], *extra, UNMODELED.name])
