"""Frames to Parquet: a snapshot is under its root whole, or it is not there.

One file a table, ``<root>/<table>/<id>.parquet``, with the keys inside as columns. The file of ``coverage`` is written last
and is the commit record: its metadata holds rows, bytes and SHA-256 of the others and a digest of its own content. How
files come to be whole is the store's business, and reading them is that of `archive`.
"""

from __future__ import annotations

import datetime as dt
import json
import mmap
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from appstream_frames import archive, model, parquet
from appstream_frames import frames as arrow
from appstream_frames.drain import Drain
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.frames import Frames
from appstream_frames.request import Request
from appstream_frames.staging import Staged, Store
from appstream_frames.store import open_store
from appstream_frames.stream import Stream
from appstream_frames.targets import place
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
    redacted = _redactable(redact, {name: table.schema for name, table in tables.items()})
    store = open_store(root)
    with _committed(store) as staged:
        files = {name: _stage(store, name, _redacted(tables[name], redacted), staged) for name in _in_order(tables)}
        return _commit(store, frames.snapshot, tables["coverage"], files, redacted, staged)


def take_snapshot(
    root: str | os.PathLike[str],
    targets: Any = None,
    *,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    timeout: float = 60.0,
    progress: bool | None = None,
    redact: Iterable[str] = (),
) -> str:
    """Drain straight into a snapshot, in bounded memory: no table is ever held whole.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.
    targets : boto3 AppStream client or iterable of them, optional
        Where to drain, one after another; default: your default credentials and region.
    names, arns, type, timeout, progress
        As in `drain`.
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
    schemas = {name: model.tables()[name].schema for name in _in_order(model.tables())}
    redacted = _redactable(redact, schemas)
    moment = dt.datetime.now(dt.UTC)
    drains = [Drain(place(client, None, timeout), request, timeout, moment) for client in _clients(targets)]
    _refuse_twins([str(drain.place) for drain in drains])
    store = open_store(root)
    with (
        _committed(store) as staged,
        tqdm(unit=" images", disable=None if progress is None else not progress, leave=False) as bar,
    ):
        with Stream(store, schemas, staged) as stream:
            ends = [_drained(drain, stream, redacted, bar) for drain in drains]
            stream.finish()
        _refuse_nothing([drain.failure for drain in drains])
        rows = [_row(drain, stream, *span) for drain, span in zip(drains, pairwise([0, *ends]), strict=True)]
        coverage = pa.Table.from_pylist(rows, schema=model.tables()["coverage"].schema)
        files = {file.folder: _recorded(file, stream.rows(file.folder)) for file in staged}
        return _commit(store, moment, coverage, files, redacted, staged)


def _clients(targets: Any) -> list[Any]:
    given = list(targets) if isinstance(targets, Iterable) else [targets]
    if not given:
        raise RequestError("targets is empty: pass at least one boto3 AppStream client, or None for your default one.")
    return given


def _refuse_twins(places: list[str]) -> None:
    """Refuse a target given twice: its images would count for the drain that sent them last only."""
    if twins := sorted({place for place in places if places.count(place) > 1}):
        raise RequestError(
            f"targets holds {', '.join(twins)} more than once; pass one client for each account and region."
        )


def _drained(drain: Drain, stream: Stream, redacted: list[str], bar: Any) -> int:
    """Drain one target into the stream; return the number of batches that are in it then."""
    bar.set_description(str(drain.place))
    try:
        with closing(iter(drain)) as batches:
            for batch in batches:
                stream.add({name: _redacted(table, redacted) for name, table in batch.items()})
                bar.update(batch["images"].num_rows)
    except DrainError as error:
        drain.fail(error)
    return stream.batches


def _refuse_nothing(failures: list[DrainError | None]) -> None:
    """Raise the first failure when no target was read."""
    first, *others = failures
    if first is not None and None not in others:
        raise first


def _row(drain: Drain, stream: Stream, first: int, last: int) -> dict[str, Any]:
    return drain.coverage({name: stream.rows(name, first, last) for name in stream.schemas})


@contextmanager
def _committed(store: Store) -> Iterator[list[Staged]]:
    """Give a list for staged files; whatever is in it is removed when the block fails."""
    staged: list[Staged] = []
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
    staged: list[Staged],
) -> str:
    _stage(store, "coverage", _sealed(coverage, files, redacted), staged)
    name = archive.id_of(moment, staged[-1].sha256)
    store.publish(name, staged)
    return name


def _in_order(tables: Iterable[str]) -> list[str]:
    """Return the tables in the order of writing: children, then images; coverage comes after all of them."""
    return sorted(set(tables) - {"coverage"}, key=lambda table: (table == "images", table))


def _stage(store: Store, folder: str, table: pa.Table, staged: list[Staged]) -> dict[str, Any]:
    with store.stage(folder, staged) as sink:
        parquet.write(table, sink, [key.name for key in model.tables()[folder].keys])
    return _recorded(staged[-1], table.num_rows)


def _recorded(file: Staged, rows: int) -> dict[str, Any]:
    with open(file.path, "rb") as written, mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {"rows": rows, "bytes": file.bytes, "sha256": file.sha256, **parquet.fingerprints(content)}


def _redactable(redact: Iterable[str], schemas: Mapping[str, pa.Schema]) -> list[str]:
    names = [redact] if isinstance(redact, str) else list(redact)
    for name in names:
        holders = [table for table in schemas if table != "coverage" and name in schemas[table].names]
        keys = {key.name for table in holders for key in model.tables()[table].keys}
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


def _sealed(coverage: pa.Table, files: dict[str, Any], redacted: list[str]) -> pa.Table:
    record = {
        "format": archive.FORMAT,
        "files": files,
        "redacted": redacted,
        "nonce": secrets.token_hex(8),  # no two snapshots are alike, so no two ids are
    }
    record["digest"] = archive.digest(coverage, record)
    return coverage.replace_schema_metadata({archive.RECORD: json.dumps(record)})
