"""Frames to Parquet: a snapshot is under its root whole, or it is not there.

One file a table, ``<root>/<table>/<id>.parquet``, with the keys inside as columns. The file of ``coverage`` is written last
and is the commit record: its metadata holds rows, bytes and SHA-256 of the others and a digest of its own content. How
files come to be whole is the store's business, and reading them is that of `archive`.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from appstream_frames.archive import parquet
from appstream_frames.archive.manifest import make_id, seal
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.row_groups import Stream
from appstream_frames.archive.store import StagedFile, Store
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.outcomes import coverage
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.tables.frames import Frames, to_arrow, to_pandas
from appstream_frames.tables.schema import all_tables, operations_for
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
    tables = {name: to_arrow(table, name) for name, table in frames.tables.items()}
    redacted = _redactable(redact, {name: table.schema for name, table in tables.items()})
    store = open_store(root)
    with _committed(store) as staged:
        files = {name: _stage(store, name, _redacted(tables[name], redacted), staged) for name in _in_order(tables)}
        return _commit(store, frames.snapshot, tables["coverage"], files, redacted, staged)


def take_snapshot(
    root: str | os.PathLike[str],
    targets: Any = None,
    *,
    include: str | Iterable[str] | None = None,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    timeout: float = 60.0,
    executor: Executor | None = None,
    progress: bool | None = None,
    redact: Iterable[str] = (),
) -> str:
    """Drain straight into a snapshot, in bounded memory: no table is ever held whole.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.
    targets : iterable of Target, optional
        Where to drain, side by side: what `targets` returns, or boto3 AppStream clients; default: your default credentials
        and region.
    include, names, arns, type, timeout, progress
        As in `drain`.
    executor : concurrent.futures.Executor, optional
        As in `drain_targets`.
    redact : iterable of str, optional
        As in `write_snapshot`.

    Returns
    -------
    str
        The snapshot's id.

    Raises
    ------
    RequestError
        When a parameter cannot be right; nothing is written then.
    DrainError
        When no target could be read at all. When some could, the others are rows in ``coverage`` that say why not.
    StorageError, OSError
        When the storage refuses. The snapshot is not there then, and the earlier ones are as they were.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     clients = [sandbox.client(region=region) for region in sandbox.regions]
    ...     name = asf.take_snapshot(root, clients)
    ...     asf.list_snapshots(root)["complete"].to_list()
    [4]
    """
    request = Request.of(names=names, arns=arns, type=type)
    drained = Drain(targets, request, operations_for(include), timeout, executor=executor)
    read = {operation.name for operation in drained.operations}
    schemas = {
        name: all_tables()[name].schema for name in _in_order(all_tables()) if all_tables()[name].operation in read
    }
    redacted = _redactable(redact, schemas)
    store = open_store(root)
    with _committed(store) as staged, Bar(drained.names, progress) as bar:
        with Stream(store, schemas, staged) as stream:
            for batch in drained.batches(bar):
                stream.add({name: _redacted(table, redacted) for name, table in batch.tables.items()})
            stream.finish()
        table = coverage(drained.outcomes)
        _refuse_nothing([outcome.failure for outcome in drained.outcomes], table)
        files = {file.folder: _recorded(file, stream.rows[file.folder]) for file in staged}
        return _commit(store, drained.moment, table, files, redacted, staged)


def _refuse_nothing(failures: list[DrainError | None], table: pa.Table) -> None:
    """Raise the first failure when nothing was read."""
    if failures[0] is not None and None not in failures:
        failures[0].coverage = to_pandas(table)
        raise failures[0]


@contextmanager
def _committed(store: Store) -> Iterator[list[StagedFile]]:
    """Give a list for staged files; whatever is in it is removed when the block fails."""
    staged: list[StagedFile] = []
    try:
        yield staged
    except BaseException:
        store.discard(staged)
        raise


def _commit(
    store: Store,
    moment: dt.datetime,
    coverage: pa.Table,
    files: dict[str, Any],
    redacted: list[str],
    staged: list[StagedFile],
) -> str:
    _stage(store, "coverage", seal(coverage, files, redacted), staged)
    name = make_id(moment, staged[-1].sha256)
    store.publish(name, staged)
    return name


def _in_order(tables: Iterable[str]) -> list[str]:
    """Return the tables in the order of writing: children, then images; coverage comes after all of them."""
    return sorted(set(tables) - {"coverage"}, key=lambda table: (table == "images", table))


def _stage(store: Store, folder: str, table: pa.Table, staged: list[StagedFile]) -> dict[str, Any]:
    with store.stage(folder, staged) as sink:
        parquet.write(table, sink, [key.name for key in all_tables()[folder].keys])
    return _recorded(staged[-1], table.num_rows)


def _recorded(file: StagedFile, rows: int) -> dict[str, Any]:
    with open(file.path, "rb") as written, mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {"rows": rows, "bytes": file.bytes, "sha256": file.sha256, **parquet.fingerprints(content)}


def _redactable(redact: Iterable[str], schemas: Mapping[str, pa.Schema]) -> list[str]:
    names = [redact] if isinstance(redact, str) else list(redact)
    for name in names:
        holders = [table for table in schemas if table != "coverage" and name in schemas[table].names]
        keys = {key.name for table in holders for key in all_tables()[table].keys}
        if not holders or name in keys:
            what = "a key" if holders else "no column"
            raise RequestError(f"redact={name!r} is {what}; see columns(table) for those to choose.")
    return sorted(names)


def _redacted(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    for name in columns:
        place = table.schema.get_field_index(name)
        if place >= 0:
            field = table.schema.field(place)
            table = table.set_column(place, field, pa.nulls(table.num_rows, field.type))
    return table
