"""Frames and drains to Parquet: one file per table, ``<root>/<table>/<id>.parquet``; ``coverage``, the manifest, is last.

Every file is staged in batches, with at most a row group of each table in memory, before the first one is published.
"""

from __future__ import annotations

import datetime as dt
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
from appstream_frames.errors import RequestError, SnapshotCorruptError
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.request import Request
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.frames import Frames, check_frames
from appstream_frames.tables.schema import choose_operations, list_tables

GROUP: Final = 8_192  # rows held before a row group is written


def write_snapshot(frames: Frames, root: str | os.PathLike[str], *, redact: Iterable[str] = ()) -> str:
    """Write frames as one Parquet snapshot.

    Parameters
    ----------
    frames : Frames
        As a drain returned them.
    root : str or path
        The archive: a folder, created if necessary, or ``s3://bucket/prefix``.
    redact : iterable of str, optional
        Columns to leave out, for example ``["launch_parameters"]``: null in every table, and removed from ``unmodeled``, maps
        and the request. ``coverage.redacted`` names them. Columns that identify rows cannot be redacted.

    Returns
    -------
    str
        The snapshot's id, such as ``20261123T101500.123456Z-3f9c1a``. Ids sort by the moment of the snapshot. When a snapshot
        already holds these frames, nothing is written and its id is returned.

    Raises
    ------
    RequestError
        When `frames` or `redact` is invalid; nothing is written.
    StorageError, OSError
        When the storage refuses. The snapshot does not exist then, and the earlier ones are unchanged.

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
    frames = check_frames(frames)
    moment = frames.snapshot
    held = [column for table in frames.tables.values() for column in table.columns]
    redaction, store = Redaction.of(redact, held), open_store(root)
    tables = {name: to_arrow(table, name) for name, table in frames.tables.items()}
    tables[FOLDER] = complete(tables[FOLDER], FOLDER)
    tables = {name: redaction.apply(table, name) for name, table in tables.items()}
    for name, table in tables.items():
        parquet.check_types(name, table.schema)
    if (written := _find_equal(store, moment, tables)) is not None:
        return written
    with store.staging() as staged:
        with stage_tables(store, {name: table.schema for name, table in tables.items()}, staged) as files:
            for name, file in files.items():
                file.add(tables[name])
        return _commit(store, moment, tables[FOLDER], staged)


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
    """Drain straight to a snapshot in bounded memory: no table is ever held whole.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.
    targets : iterable of Target, optional
        Targets to drain concurrently: what `targets` returns, or boto3 AppStream clients; default: your default credentials
        and region.
    include, names, arns, type, max_items, page_size, timeout, executor, progress
        As in `drain` and `drain_targets`; `max_items` applies to each target.
    redact : iterable of str, optional
        As in `write_snapshot`.

    Returns
    -------
    str
        The snapshot's id.

    Raises
    ------
    DrainError
        When no target could be read at all. If only some failed, their rows in ``coverage`` say why.
    RequestError, StorageError, OSError
        As in `write_snapshot`.

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
    schemas = {name: table.schema for name, table in list_tables().items() if table.operation in read}
    with store.staging() as staged:
        with stage_tables(store, schemas, staged) as files:
            for batch in drained.batches(progress):
                for name, rows in batch.items():
                    files[name].add(redaction.apply(rows, name))
        coverage, failures = drained.coverage, [outcome.failure for outcome in drained.outcomes]
        if failures[0] is not None and None not in failures:
            failures[0].coverage = to_pandas(coverage)
            raise failures[0]
        return _commit(store, drained.moment, redaction.apply(coverage, FOLDER), staged)


def _commit(store: Store, moment: dt.datetime, coverage: pa.Table, staged: list[StagedFile]) -> str:
    record = {file.folder: parquet.make_record(file) for file in staged}
    with store.stage(FOLDER, staged) as sink:
        write_manifest(coverage, record, sink)
    name = make_id(moment, sink.sha256)
    store.publish(name, staged)
    return name


def _find_equal(store: Store, moment: dt.datetime, tables: Mapping[str, pa.Table]) -> str | None:
    """Return the id of the snapshot with that moment and the same rows, if there is one."""
    sought = {name: complete(table, name) for name, table in tables.items()}
    for name in list_ids(store):
        if parse_moment(name) == moment:
            with suppress(SnapshotCorruptError, RequestError):  # a damaged one cannot be compared
                if read_tables(store, read_manifest(store, name)) == sought:
                    return name
    return None


class RowGroups:
    """Collects a table's rows until there are enough for a row group."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[pa.Table] = []
        self._rows = 0  # in those tables

    def add(self, table: pa.Table) -> None:
        """Add rows, and write a row group when there are enough."""
        if table.num_rows:  # else a drain of a million images without errors would hold thousands of empty tables
            self._held.append(table)
        self._rows += table.num_rows
        if self._rows >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held, if any."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self._rows)
            self._held, self._rows = [], 0


@contextmanager
def stage_tables(
    store: Store, schemas: Mapping[str, pa.Schema], staged: list[StagedFile]
) -> Iterator[dict[str, RowGroups]]:
    """Stage a file for each table, images last; except coverage, which is written after all of them."""
    with ExitStack() as stack:
        files = {}
        for name in sorted(set(schemas) - {FOLDER}, key=lambda name: (name == "images", name)):
            sink = stack.enter_context(store.stage(name, staged))
            files[name] = RowGroups(stack.enter_context(parquet.open_writer(sink, name, schemas[name])))
        yield files
        for each in files.values():
            each.flush()
