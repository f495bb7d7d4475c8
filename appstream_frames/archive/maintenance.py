"""Looking after an archive: every file against its record, and what a crash left behind.

Only leftovers are ever removed: files that no commit record names and that are too old to belong to a writer at work.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.archive import reader
from appstream_frames.archive.staging import Found, Store
from appstream_frames.archive.store import open_store
from appstream_frames.errors import SnapshotCorruptError
from appstream_frames.tables.frames import to_pandas
from appstream_frames.text import printable

_PORTION: Final = 16 * 2**20  # bytes hashed at once
_AT_WORK: Final = 3600.0  # seconds for which a file may belong to a writer at work
_ASIDE: Final = 24 * _AT_WORK  # the same, of one in staging: a long drain may have no row for it for hours
_SCHEMA: Final = pa.schema([(name, pa.string()) for name in ("id", "file", "problem", "detail")])


def verify(root: str | os.PathLike[str]) -> pd.DataFrame:
    """Check every file of an archive: bytes and SHA-256 against the snapshot's commit record.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.

    Returns
    -------
    pandas.DataFrame
        A row per problem: ``id`` of the snapshot, ``file``, ``problem`` and ``detail``. Problems are ``damaged`` (not what was
        written), ``missing`` (committed and not there) and ``orphan`` (left behind by a writer that crashed, or being written
        right now; no reader of ours sees it). Empty when the archive is whole.

    Raises
    ------
    StorageError
        When the storage cannot be reached.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     name = asf.write_snapshot(asf.drain(sandbox.client(), max_items=5), root)
    ...     asf.verify(root).empty
    True
    """
    store = open_store(root)
    names = reader.ids(store)  # before the files: what is committed in between is whole, and not looked at
    found = {(file.folder, file.name): file for file in store.found()}
    problems = [*_problems(store, names, found), *map(_orphan, _orphans(store, found))]
    return to_pandas(pa.Table.from_pylist(problems, schema=_SCHEMA))


def repair(root: str | os.PathLike[str]) -> list[str]:
    """Remove the orphans that are older than an hour, a day for those in staging; return where they lay."""
    store = open_store(root)
    found = {(file.folder, file.name): file for file in store.found()}
    old = [file for file in _orphans(store, found) if not _is_young(file)]
    for file in old:
        store.remove(file)
    return [file.where for file in old]


def _problems(store: Store, names: list[str], found: dict[tuple[str, str], Found]) -> Iterator[dict[str, Any]]:
    for name in names:
        try:
            _, record = reader.commit_record(store, name)
        except SnapshotCorruptError as error:
            yield _row(name, store.where("coverage", name), "damaged", str(error))
            continue
        for folder, expected in record["files"].items():
            where, file = store.where(folder, name), found.get((folder, name))
            if file is None:
                yield _row(name, where, "missing", f"expected {expected['bytes']} bytes")
            elif file.bytes != expected["bytes"]:
                yield _row(name, where, "damaged", f"{file.bytes} bytes, expected {expected['bytes']}")
            elif (seen := _sha256(store, file)) != expected["sha256"]:
                yield _row(name, where, "damaged", f"SHA-256 {seen[:12]}…, expected {expected['sha256'][:12]}…")


def _sha256(store: Store, file: Found) -> str:
    digest = hashlib.sha256()
    for start in range(0, file.bytes, _PORTION):
        digest.update(store.read(file.folder, file.name, start, min(_PORTION, file.bytes - start)))
    return digest.hexdigest()


def _orphans(store: Store, found: dict[tuple[str, str], Found]) -> list[Found]:
    """Return the files of ours that no commit record, whole or damaged, can belong to."""
    # read again: what was committed while we looked is no orphan
    committed = set(reader.ids(store))
    ours = [file for file in found.values() if _is_aside(file) or reader.is_id(file.name)]
    return [file for file in ours if file.folder != "coverage" and file.name not in committed]


def _is_aside(file: Found) -> bool:
    return file.name.endswith(".tmp")


def _is_young(file: Found) -> bool:
    return file.age <= (_ASIDE if _is_aside(file) else _AT_WORK)


def _orphan(file: Found) -> dict[str, Any]:
    hours = f"{file.age / 3600:.1f} hours old"
    advice = "perhaps being written" if _is_young(file) else "left behind; `verify --repair` removes it"
    return _row("" if _is_aside(file) else file.name, file.where, "orphan", f"{hours}, {advice}")


def _row(name: str, where: str, problem: str, detail: str) -> dict[str, Any]:
    return {"id": name or None, "file": where, "problem": problem, "detail": printable(detail, 300)}
