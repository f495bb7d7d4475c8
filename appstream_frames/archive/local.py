"""Snapshots in a folder: flushed to disk, then linked under their name, so that a crash leaves the old state or the new."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from appstream_frames.archive import store
from appstream_frames.archive.store import STAGING, SUFFIX, StagedFile, StoredFile, explain_errors

_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}  # EINVAL: Windows, on a share
_NOT_THERE: Final = {errno.ENOENT, errno.ELOOP}
_NO_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


class LocalStore(store.Store):
    """A folder of the local file system."""

    def __init__(self, root: Path) -> None:
        self._root, self.root = root, str(root)
        self._made: list[Path] = []  # the root, and folders above it, when this store made them

    def exists(self) -> bool:
        """Tell whether the folder is there; StorageError when the system does not say."""
        with suppress(FileNotFoundError), explain_errors(f"reading {self._root}", but=FileNotFoundError):
            return stat.S_ISDIR(self._root.stat().st_mode)
        return False

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return what lies in a folder, sorted by name; nothing only when there is no such folder."""
        path = self._root / folder
        entries: list[os.DirEntry[str]] = []
        linked = bool(folder) and os.path.islink(path)
        with suppress(FileNotFoundError), explain_errors(f"listing {path}", but=FileNotFoundError):
            entries = list(os.scandir(path))
        found = []
        with explain_errors(f"listing {path}"):  # who may list a folder need not be allowed to look at its files
            for entry in entries:
                try:
                    found.append(_describe_entry(folder, entry, linked))
                except OSError as error:
                    if error.errno not in _NOT_THERE:  # published or removed meanwhile, or a link to nothing
                        raise
        return sorted(found, key=lambda file: file.filename)

    def locate(self, folder: str, name: str) -> str:
        """Return a file's path."""
        return str(self._root / folder / f"{name}{SUFFIX}")

    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes, all or a range; FileNotFoundError when it is not there."""
        path = self.locate(folder, name)
        with explain_errors(f"reading {path}", but=FileNotFoundError), open(path, "rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def remove(self, file: StoredFile) -> None:
        """Remove one file."""
        with explain_errors(f"removing {file.location}"):
            Path(file.location).unlink(missing_ok=True)
        self._tidy()

    def _publish(self, file: StagedFile, name: str, *, last: bool) -> None:
        target = Path(self.locate(file.folder, name))
        with explain_errors(f"writing {target}"):
            _make_folder(target.parent)
            if last:
                _flush_folder(self._root)  # the folders of the other files are there to stay
            _move(file.path, target)
            _flush_folder(target.parent)

    def _is_whole(self, file: StagedFile, name: str) -> bool:
        try:
            return os.stat(self.locate(file.folder, name)).st_size == file.bytes
        except FileNotFoundError:
            return False

    def _withdraw(self, name: str, staged: list[StagedFile]) -> None:
        with suppress(OSError):
            for file in reversed(staged):  # the manifest first: at no moment is it there without the others
                target = Path(self.locate(file.folder, name))
                if _was_moved(file.path, target):
                    target.unlink()
                    _flush_folder(target.parent)

    def _write_readme(self) -> None:
        with suppress(FileExistsError), open(self._root / store.README, "x", encoding="utf-8") as file:
            file.write(store.README_TEXT)

    def _make_staging(self) -> Path:
        self._made += _make_folder(self._root)
        staging = self._root / STAGING
        staging.mkdir(exist_ok=True)
        return staging

    def _tidy(self) -> None:
        for folder in [self._root / STAGING, *reversed(self._made)]:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


def _describe_entry(folder: str, entry: os.DirEntry[str], linked: bool) -> StoredFile:
    status = entry.stat()
    # a copy or a move may keep the time of the content, and not that of the file's entry
    age = time.time() - max(status.st_mtime, status.st_ctime)
    name = entry.name + ("" if stat.S_ISREG(status.st_mode) else "/")  # a folder; whoever opens a pipe waits
    return StoredFile(folder, name, entry.path, status.st_size, age, linked or entry.is_symlink())


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it, each flushed to disk; return those that were not there."""
    if folder.is_dir():
        return []
    made = _make_folder(folder.parent) if folder.parent != folder else []
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)
    return [*made, folder]


def _move(source: Path, target: Path) -> None:
    """Rename without ever replacing a file; a link does that where the file system has links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "a snapshot's file is never overwritten", str(target)) from None
        source.rename(target)
    else:
        source.unlink()


def _was_moved(source: Path, target: Path) -> bool:
    """Tell whether `_move` got as far as giving the file its name."""
    return target.exists() and (not source.exists() or target.samefile(source))


def _flush_folder(folder: Path) -> None:
    """Flush a folder's names to disk, where the system can: Windows opens no folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(handle)
