"""Maintenance of an archive: check every file against its manifest, and remove what a crash left behind.

A file is removed only if it has no manifest, is too old to belong to an active writer, and no committed file is missing. A group
of files that has every table of a snapshot is kept: it has more likely lost its manifest than been left by a crash.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from appstream_frames.archive import manifest, parquet
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import STAGING, SUFFIX, Store, StoredFile
from appstream_frames.errors import SnapshotCorruptError
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import encodable, printable

_PORTION: Final = 16 * 2**20  # bytes hashed at once
_AT_WORK: Final = 3600.0  # seconds for which a file may belong to an active writer
_STAGED: Final = 24 * _AT_WORK  # the same for a staged file: a long drain may add no row to it for hours
_LEAST: Final = {"images", "applications", "errors"}  # tables that every snapshot has
_LEFT_BEHIND: Final = "left behind; `verify --repair` removes it"


@dataclass(frozen=True)
class Inventory:
    """The manifests and files of an archive."""

    store: Store
    manifests: list[manifest.Manifest]  # the readable manifests of committed snapshots
    unreadable: dict[str, str]  # snapshot id → why its manifest cannot be read
    # by folder and file name: files in table folders and in staging, and Parquet files at the root
    files: dict[tuple[str, str], StoredFile]

    @classmethod
    def of(cls, root: str | os.PathLike[str]) -> Inventory:
        """List an archive; SnapshotNotFoundError when it holds no snapshot, StorageError when it cannot be listed."""
        store = open_store(root)
        manifests, unreadable = manifest.read_manifests(store, manifest.find_ids(store))
        # after the manifests: a snapshot committed in between is not checked, rather than reported as damaged
        tables = dict.fromkeys([*list_tables(), *(table for one in manifests for table in one.files), STAGING])
        files = [file for folder in tables for file in store.list_files(folder)]
        files += [file for file in store.list_files("") if file.filename.lower().endswith(SUFFIX)]
        return cls(store, manifests, unreadable, {(file.folder, file.filename): file for file in files})

    @cached_property
    def orphans(self) -> dict[StoredFile, str]:
        """The snapshot files that no manifest, readable or not, belongs to, each with an explanation.

        `_LEFT_BEHIND` explains only old files, and none of a snapshot that may have lost its manifest.
        """
        # listed again: a file that was committed in the meantime is not an orphan
        committed = {*manifest.list_ids(self.store), *self.unreadable, *(one.id for one in self.manifests)}
        orphans = [file for file in self.files.values() if _is_ours(file) and file.name not in committed]
        folders: dict[str, set[str]] = {}
        for file in orphans:
            folders.setdefault(file.name, set()).add(file.folder)
        snapshots = [_LEAST, *(set(one.files) for one in self.manifests)]  # the tables of committed snapshots
        whole = [name for name, held in folders.items() if any(tables <= held for tables in snapshots)]
        hashes = list(self._hash_staged_manifests())
        # snapshots that were probably committed: no staged manifest has their hash
        lost = {name for name in whole if not any(each.startswith(name.rpartition("-")[2]) for each in hashes)}
        return {file: _explain_orphan(file, file.name in lost) for file in orphans}

    def _hash_staged_manifests(self) -> Iterator[str]:
        """Yield the hashes of manifests that a crash left in staging; their snapshots were never committed."""
        for file in self.files.values():
            if file.folder == STAGING and file.filename.endswith(f".{manifest.FOLDER}.tmp") and not _is_young(file):
                with suppress(FileNotFoundError):
                    yield parquet.hash_parts([Path(file.location).read_bytes()])


def verify(root: str | os.PathLike[str]) -> pd.DataFrame:
    """Check every file of an archive: bytes and SHA-256 against the snapshot's manifest.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.

    Returns
    -------
    pandas.DataFrame
        A row per problem: ``id`` of the snapshot, ``file``, ``problem`` and ``detail``. Problems are ``damaged`` (not what was
        written), ``missing`` (committed but not found), ``orphan`` (no manifest lists it: left by a writer that crashed, or
        still being written; this package ignores it) and ``foreign`` (not written by this package, but in a table's folder, or
        Parquet at the root, where other readers would read it). Empty when the archive is whole.

    Raises
    ------
    SnapshotNotFoundError
        When there is no snapshot under the root.
    StorageError
        When the storage cannot be reached, or denies listing a folder.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     name = asf.write_snapshot(asf.drain(sandbox.client(), max_items=5), root)
    ...     asf.verify(root).empty
    True
    """
    return find_problems(Inventory.of(root))


def find_problems(inventory: Inventory) -> pd.DataFrame:
    """Return the DataFrame of `verify`."""
    rows: list[tuple[str | None, str, str, str]] = list(_check_files(inventory))
    for file, why in inventory.orphans.items():
        name = None if file.folder == STAGING else file.name
        rows.append((name, file.location, "orphan", f"{file.age / 3600:.1f} hours old, {why}"))
    for file in inventory.files.values():  # Parquet readers ignore hidden files
        hidden = file.folder == STAGING or file.filename.startswith((".", "_"))
        if not hidden and not (file.folder and manifest.has_id(file)):
            rows.append((None, file.location, "foreign", "not ours; move it away"))
    shown = [(name, encodable(where), problem, printable(detail, 300)) for name, where, problem, detail in rows]
    return pd.DataFrame(shown, columns=["id", "file", "problem", "detail"], dtype="str")


def plan_repair(inventory: Inventory) -> list[StoredFile]:
    """Return the files that a repair would remove: leftovers of a crash, older than an hour, or than a day in staging.

    Raise SnapshotCorruptError when a committed file is missing or a manifest cannot be read. A crash does not cause that: the
    archive is being copied or is damaged, and files that look left behind may be needed.
    """
    missing = [
        f"{inventory.store.locate(table, one.id)} is missing"
        for one in inventory.manifests
        for table in one.files
        if (table, one.id + SUFFIX) not in inventory.files
    ]
    if broken := [*missing, *inventory.unreadable.values()]:
        raise SnapshotCorruptError(
            f"Nothing is removed while the archive is not whole: {broken[0]} ({len(broken)} such files). Let a copy that "
            "is under way end, or restore them; then repair."
        )
    return [file for file, why in inventory.orphans.items() if why == _LEFT_BEHIND]


def repair(store: Store, planned: Iterable[StoredFile]) -> list[str]:
    """Remove planned files, except those whose snapshot has been committed since; return their locations."""
    committed = set(manifest.list_ids(store))
    removed = [file for file in planned if file.name not in committed]
    for file in removed:
        store.remove(file)
    return [file.location for file in removed]


def _check_files(inventory: Inventory) -> Iterator[tuple[str, str, str, str]]:
    store = inventory.store
    for name, detail in inventory.unreadable.items():
        yield name, store.locate(manifest.FOLDER, name), "damaged", detail
    for one in inventory.manifests:
        for table, expected in one.files.items():
            try:
                problem, detail = "damaged", _compare(store, inventory.files[table, one.id + SUFFIX], expected)
            except (KeyError, FileNotFoundError):  # not listed, or removed since then
                problem, detail = "missing", f"expected {expected['bytes']} bytes"
            if detail:
                yield one.id, store.locate(table, one.id), problem, detail


def _compare(store: Store, file: StoredFile, expected: dict[str, Any]) -> str:
    """Return how a committed file differs from its record; empty if it does not."""
    if file.bytes != expected["bytes"]:
        return f"{file.bytes} bytes, expected {expected['bytes']}"
    portions = [(start, min(_PORTION, file.bytes - start)) for start in range(0, file.bytes, _PORTION)]
    seen = parquet.hash_parts(store.read(file.folder, file.name, *portion) for portion in portions)
    return "" if seen == expected["sha256"] else f"SHA-256 {seen[:12]}…, expected {expected['sha256'][:12]}…"


def _is_ours(file: StoredFile) -> bool:
    """Return whether this package may have written a file; False for manifests."""
    if file.folder == STAGING:
        return file.filename.endswith(".tmp")
    return file.folder not in ("", manifest.FOLDER) and manifest.has_id(file)


def _is_young(file: StoredFile) -> bool:
    return file.age <= (_STAGED if file.folder == STAGING else _AT_WORK)


def _explain_orphan(file: StoredFile, lost: bool) -> str:
    if file.linked:
        return "a link, or in a folder that is one; not removed, as it may be another archive's"
    if _is_young(file):
        return "perhaps being written"
    where = f"{manifest.FOLDER}/{file.filename}"
    return f"every table of this snapshot is there and its manifest is not: restore {where}" if lost else _LEFT_BEHIND
