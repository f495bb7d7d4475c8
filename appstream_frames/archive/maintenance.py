"""Maintenance of an archive: every file against its manifest, and removal of what a crash left behind.

Only leftovers are ever removed, and only beside snapshots that are all there: files without a manifest, too old to belong to a
writer at work, and not all of a snapshot's tables, which would rather have lost its manifest than be left by a crash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from appstream_frames.archive.manifest import FOLDER, Manifest, find_ids, is_id, list_ids, make_seal, read_manifests
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import STAGING, SUFFIX, Store, StoredFile
from appstream_frames.errors import SnapshotCorruptError
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import encodable, printable

_PORTION: Final = 16 * 2**20  # bytes hashed at once
_AT_WORK: Final = 3600.0  # seconds for which a file may belong to a writer at work
_STAGED: Final = 24 * _AT_WORK  # the same, of one in staging: a long drain may have no row for it for hours
_LEAST: Final = {"images", "applications", "errors"}  # tables that every snapshot has
_SCHEMA: Final = pa.schema([(name, pa.string()) for name in ("id", "file", "problem", "detail")])


@dataclass(frozen=True)
class Inventory:
    """What lies in an archive."""

    store: Store
    manifests: list[Manifest]  # of the committed snapshots, those that can be read
    unreadable: dict[str, str]  # by id, what is wrong with the others
    # in the tables' folders and in staging, and Parquet at the root itself, by folder and name of the file
    files: dict[tuple[str, str], StoredFile]

    @classmethod
    def of(cls, root: str | os.PathLike[str]) -> Inventory:
        """Look at an archive; SnapshotNotFoundError when it holds no snapshot, StorageError when it cannot be listed."""
        store = open_store(root)
        manifests, unreadable = read_manifests(store, find_ids(store))
        # after the manifests: what is committed in between is whole, and not looked at
        tables = dict.fromkeys([*list_tables(), *(table for one in manifests for table in one.files), STAGING])
        files = [file for folder in tables for file in store.list_files(folder)]
        files += [file for file in store.list_files("") if file.filename.lower().endswith(SUFFIX)]
        return cls(store, manifests, unreadable, {(file.folder, file.filename): file for file in files})

    @property
    def missing(self) -> list[str]:
        """Where committed files ought to lie that are not there."""
        committed = [(table, one.id) for one in self.manifests for table in one.files]
        return [self.store.locate(*each) for each in committed if self.find(*each) is None]

    def find(self, table: str, name: str) -> StoredFile | None:
        """Return a snapshot's file."""
        return self.files.get((table, name + SUFFIX))

    @cached_property
    def orphans(self) -> list[StoredFile]:
        """The files of ours that no manifest, readable or not, can belong to."""
        # listed again: what was committed while we looked is no orphan
        committed = {*list_ids(self.store), *self.unreadable, *(one.id for one in self.manifests)}
        return [file for file in self.files.values() if _is_ours(file) and file.name not in committed]

    @property
    def foreign(self) -> list[StoredFile]:
        """What lies where readers look for tables and is not ours; hidden files are left out, as readers leave them out."""
        shown = [file for file in self.files.values() if not file.filename.startswith((".", "_"))]
        return [file for file in shown if file.folder != STAGING and not (file.folder and _has_snapshot_name(file))]

    @cached_property
    def leftovers(self) -> list[StoredFile]:
        """The orphans that a crash left behind for sure: old, and of no snapshot that may have lost its manifest."""
        orphans = self.orphans
        folders: dict[str, set[str]] = {}
        for file in orphans:
            folders.setdefault(file.name, set()).add(file.folder)
        seals = tuple(self._read_staged_seals())
        snapshots = [_LEAST, *(set(one.files) for one in self.manifests)]  # the tables of a snapshot that was committed
        whole = {name for name, held in folders.items() if any(tables <= held for tables in snapshots)}
        lost = {name for name in whole if not name.endswith(seals)}  # its manifest, as far as we can tell
        return [file for file in orphans if not _is_young(file) and not file.linked and file.name not in lost]

    def _read_staged_seals(self) -> Iterator[str]:
        """Yield the seals of the manifests that a crash left in staging: their snapshots were never committed."""
        for file in self.files.values():
            if file.folder == STAGING and file.filename.endswith(f".{FOLDER}.tmp") and not _is_young(file):
                with suppress(FileNotFoundError), open(file.location, "rb") as content:
                    yield make_seal(hashlib.file_digest(content, "sha256").hexdigest())


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
        written), ``missing`` (committed and not there), ``orphan`` (no manifest belongs to it: left behind by a writer that
        crashed, or being written right now; no reader of ours sees it) and ``foreign`` (not ours, among the files of a table
        or Parquet at the root, where other readers would read it too). Empty when the archive is whole.

    Raises
    ------
    SnapshotNotFoundError
        When there is no snapshot under the root.
    StorageError
        When the storage cannot be reached, or does not let a folder be listed.

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
    """Return a row per problem, as `verify` does."""
    leftovers = set(inventory.leftovers)
    rows = [
        *_check_files(inventory),
        *(_describe_orphan(file, file in leftovers) for file in inventory.orphans),
        *(_make_problem("", file.location, "foreign", "not ours; move it away") for file in inventory.foreign),
    ]
    return to_pandas(pa.Table.from_pylist(rows, schema=_SCHEMA))


def plan_repair(inventory: Inventory) -> list[StoredFile]:
    """Return what a repair would remove: leftovers of a crash, older than an hour, or a day in staging.

    SnapshotCorruptError says that a committed file is missing or a manifest cannot be read. A crash does not do that, so the
    archive is being copied or is damaged, and what looks left behind may be needed.
    """
    if broken := [*(f"{location} is missing" for location in inventory.missing), *inventory.unreadable.values()]:
        raise SnapshotCorruptError(
            f"Nothing is removed while the archive is not whole: {broken[0]} ({len(broken)} such files). Let a copy that "
            "is under way end, or restore them; then repair."
        )
    return inventory.leftovers


def repair(store: Store, planned: Iterable[StoredFile]) -> list[str]:
    """Remove planned files, but for those whose snapshot was committed meanwhile; return where they lay."""
    committed = set(list_ids(store))
    removed = [file for file in planned if file.name not in committed]
    for file in removed:
        store.remove(file)
    return [file.location for file in removed]


def _check_files(inventory: Inventory) -> Iterator[dict[str, Any]]:
    store = inventory.store
    for name, detail in inventory.unreadable.items():
        yield _make_problem(name, store.locate(FOLDER, name), "damaged", detail)
    for manifest in inventory.manifests:
        for table, expected in manifest.files.items():
            found = _compare(store, inventory.find(table, manifest.id), expected)
            if found is not None:
                yield _make_problem(manifest.id, store.locate(table, manifest.id), *found)


def _compare(store: Store, file: StoredFile | None, expected: dict[str, Any]) -> tuple[str, str] | None:
    """Return the problem of a committed file, and its detail; None when it is the one that was written."""
    with suppress(FileNotFoundError):  # removed after it was listed
        if file is not None and file.bytes != expected["bytes"]:
            return "damaged", f"{file.bytes} bytes, expected {expected['bytes']}"
        if file is not None:
            seen = _hash(store, file)
            whole = seen == expected["sha256"]
            return None if whole else ("damaged", f"SHA-256 {seen[:12]}…, expected {expected['sha256'][:12]}…")
    return "missing", f"expected {expected['bytes']} bytes"


def _hash(store: Store, file: StoredFile) -> str:
    digest = hashlib.sha256()
    for start in range(0, file.bytes, _PORTION):
        digest.update(store.read(file.folder, file.name, start, min(_PORTION, file.bytes - start)))
    return digest.hexdigest()


def _has_snapshot_name(file: StoredFile) -> bool:
    """Tell whether a file has the name of a snapshot's."""
    return file.filename.endswith(SUFFIX) and is_id(file.name)


def _is_ours(file: StoredFile) -> bool:
    """Tell whether a writer of ours may have left a file, manifests aside."""
    if file.folder == STAGING:
        return file.filename.endswith(".tmp")
    return file.folder not in ("", FOLDER) and _has_snapshot_name(file)


def _is_young(file: StoredFile) -> bool:
    return file.age <= (_STAGED if file.folder == STAGING else _AT_WORK)


def _describe_orphan(file: StoredFile, leftover: bool) -> dict[str, Any]:
    advice = "left behind; `verify --repair` removes it"
    if not leftover:
        advice = "perhaps being written"
        if file.linked:
            advice = "a link, or in a folder that is one; not removed, as it may be another archive's"
        elif not _is_young(file):
            advice = f"every table of this snapshot is there and its manifest is not: restore {FOLDER}/{file.filename}"
    name = "" if file.folder == STAGING else file.name
    return _make_problem(name, file.location, "orphan", f"{file.age / 3600:.1f} hours old, {advice}")


def _make_problem(name: str, location: str, problem: str, detail: str) -> dict[str, Any]:
    return {"id": name or None, "file": encodable(location), "problem": problem, "detail": printable(detail, 300)}
