"""Frames and drains to Parquet: one file a table, ``<root>/<table>/<id>.parquet``; that of ``coverage``, the manifest, last.

Every file is staged batch by batch, with no more than a row group of each table in memory, before the first one is published.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.manifest import FOLDER, list_ids, make_id, parse_moment, read_manifest, write_manifest
from appstream_frames.archive.reader import complete, read_tables
from appstream_frames.archive.redaction import Redaction
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import StagedFile, Store
from appstream_frames.errors import DrainError, RequestError, SnapshotCorruptError
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.outcomes import make_coverage
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import Table, choose_operations, list_tables
from appstream_frames.text import printable

GROUP: Final = 8_192  # rows held before a row group is written


def write_snapshot(frames: Frames, root: str | os.PathLike[str], *, redact: Iterable[str] = ()) -> str:
    """Write frames as one Parquet snapshot.

    Parameters
    ----------
    frames : Frames
        As a drain returned them.
    root : str or path
        The archive: a folder, made when it is not there, or ``s3://bucket/prefix``.
    redact : iterable of str, optional
        Columns to leave out, say ``["launch_parameters"]``: null in every table, and gone from ``unmodeled``, maps
        and the request. ``coverage.redacted`` names them. Not those that identify rows.

    Returns
    -------
    str
        The snapshot's id, such as ``20261123T101500.123456Z-3f9c1a``. Ids sort by the moment of the snapshot. When these frames
        are there already, nothing is written, and the id is that of the snapshot that holds them.

    Raises
    ------
    RequestError
        When `frames` or `redact` cannot be right; nothing is written then.
    StorageError, OSError
        When the storage refuses. The snapshot is not there then, and the earlier ones are as they were.

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
    held = [column for table in frames.tables.values() for column in table.columns]
    redaction, store = Redaction.of(redact, held), open_store(root)
    tables = {name: redaction.apply(to_arrow(table, name), name) for name, table in frames.tables.items()}
    tables["coverage"] = redaction.apply_to_coverage(complete(tables["coverage"], "coverage"))
    for name, table in tables.items():
        parquet.check_types(name, table.schema)
    if (written := _find_equal(store, frames.snapshot, tables)) is not None:
        return written
    with _discard_on_failure(store) as staged:
        with stage_tables(store, _order_schemas(tables), staged) as files:
            for name, file in files.items():
                file.add(tables[name])
        return _commit(store, frames.snapshot, tables["coverage"], files, staged)


def take_snapshot(
    root: str | os.PathLike[str],
    targets: Any = None,
    *,
    include: str | Iterable[str] | None = None,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    max_items: int | None = None,
    page_size: int | None = None,
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
    include, names, arns, type, max_items, page_size, timeout, progress
        As in `drain`, `max_items` of each target.
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
    request = Request.of(names=names, arns=arns, type=type, max_items=max_items, page_size=page_size)
    redaction, store = Redaction.of(redact), open_store(root)
    drained = Drain(targets, request, choose_operations(include), timeout, executor=executor)
    read = {operation.name for operation in drained.operations}
    schemas = _order_schemas({name: table for name, table in list_tables().items() if table.operation in read})
    with _discard_on_failure(store) as staged, Bar(drained.names, progress) as bar:
        with stage_tables(store, schemas, staged) as files:
            for batch in drained.batches(bar):
                for name, rows in batch.items():
                    files[name].add(redaction.apply(rows, name))
        table = make_coverage(drained.outcomes)
        _raise_if_all_failed([outcome.failure for outcome in drained.outcomes], table)
        return _commit(store, drained.moment, redaction.apply_to_coverage(table), files, staged)


def _raise_if_all_failed(failures: list[DrainError | None], table: pa.Table) -> None:
    if failures[0] is not None and None not in failures:
        failures[0].coverage = to_pandas(table)
        raise failures[0]


@contextmanager
def _discard_on_failure(store: Store) -> Iterator[list[StagedFile]]:
    """Yield a list for staged files; they are removed when the block fails."""
    staged: list[StagedFile] = []
    try:
        yield staged
    except BaseException:
        store.discard(staged)
        raise


def _commit(
    store: Store, moment: dt.datetime, coverage: pa.Table, files: Mapping[str, RowGroups], staged: list[StagedFile]
) -> str:
    record = {file.folder: _record(file, files[file.folder].rows) for file in staged}
    with store.stage(FOLDER, staged) as sink:
        write_manifest(coverage, record, sink)
    name = make_id(moment, staged[-1].sha256)
    store.publish(name, staged)
    return name


def _order_schemas(tables: Mapping[str, pa.Table | Table]) -> dict[str, pa.Schema]:
    """Return schemas in the order of writing: children, then images; coverage, written after all of them, is left out."""
    order = sorted(set(tables) - {"coverage"}, key=lambda name: (name == "images", name))
    return {name: tables[name].schema for name in order}


def _record(file: StagedFile, rows: int) -> dict[str, Any]:
    with open(file.path, "rb") as written, mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {"rows": rows, "bytes": file.bytes, "sha256": file.sha256, **parquet.make_fingerprints(content)}


def _find_equal(store: Store, moment: dt.datetime, tables: Mapping[str, pa.Table]) -> str | None:
    """Return the id of the snapshot of that moment that holds the same rows, if there is one."""
    for name in list_ids(store):
        if parse_moment(name) == moment:
            with suppress(SnapshotCorruptError, RequestError):  # of a damaged one, nothing can be said
                stored = read_tables(store, read_manifest(store, name))
                if set(stored) == set(tables) and all(
                    stored[table].equals(complete(rows, table)) for table, rows in tables.items()
                ):
                    return name
    return None


class RowGroups:
    """Gathers a table's rows until there are enough for a row group."""

    def __init__(self, writer: pq.ParquetWriter, group: int) -> None:
        self._writer, self._group = writer, group
        self._held: list[pa.Table] = []
        self._written = self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows, which are written with later ones."""
        if table.num_rows:  # or a drain of a million images without errors would hold thousands of empty tables
            self._held.append(table)
        self.rows += table.num_rows
        if self.rows - self._written >= self._group:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self.rows - self._written)
        self._held, self._written = [], self.rows


@contextmanager
def stage_tables(
    store: Store, schemas: Mapping[str, pa.Schema], staged: list[StagedFile], group: int = GROUP
) -> Iterator[dict[str, RowGroups]]:
    """Stage a file for each of some tables; when the block ends well they are in `staged`, in the order of the tables.

    A row group of a file is written as soon as `group` rows are there.
    """
    with ExitStack() as stack:
        files = {}
        for name, schema in reversed(list(schemas.items())):  # the file that is begun last is finished first
            sink = stack.enter_context(store.stage(name, staged))
            files[name] = RowGroups(stack.enter_context(parquet.open_writer(sink, name, schema)), group)
        yield files
        for each in files.values():
            each.flush()
