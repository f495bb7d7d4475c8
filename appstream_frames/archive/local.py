"""Snapshots in a folder: flushed to disk, then linked under their name, so that a crash leaves the old state or the new."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from appstream_frames.archive.staging import SUFFIX, Found, Staged, Store

STAGING: Final = ".staging"
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class LocalStore(Store):
    """A folder of the local file system."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)
        self.root = str(root)

    def names(self, folder: str) -> list[str]:
        """Return the names of a folder's files, without their suffix, sorted."""
        return sorted(path.name.removesuffix(SUFFIX) for path in (self._root / folder).glob(f"*{SUFFIX}"))

    def where(self, folder: str, name: str) -> str:
        """Return a file's path."""
        return str(self._path(folder, name))

    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes, all or a range."""
        with open(self._path(folder, name), "rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def _publish(self, file: Staged, name: str, *, last: bool) -> None:
        target = self._path(file.folder, name)
        _make(target.parent)
        if last:
            _flush_folder(self._root)  # the folders of the other files are there to stay
        _move(file.path, target)
        _flush_folder(target.parent)

    def _withdraw(self, name: str, staged: list[Staged]) -> None:
        with suppress(OSError):
            for file in reversed(staged):  # the commit record first: at no moment is it there without the others
                target = self._path(file.folder, name)
                if _is_ours(file.path, target):
                    target.unlink()
                    _flush_folder(target.parent)

    def found(self) -> list[Found]:
        """Return every file that a writer may have made."""
        paths = [*self._root.glob(f"*/*{SUFFIX}"), *(self._root / STAGING).glob("*.tmp")]
        return [_found(path) for path in sorted(paths)]

    def remove(self, found: Found) -> None:
        """Remove one file."""
        Path(found.where).unlink(missing_ok=True)
        self._tidy()

    def _path(self, folder: str, name: str) -> Path:
        return self._root / folder / f"{name}{SUFFIX}"

    def _staging(self) -> Path:
        _make(self._root)
        staging = self._root / STAGING
        staging.mkdir(exist_ok=True)
        return staging

    def _tidy(self) -> None:
        with suppress(OSError):  # another writer still uses it
            (self._root / STAGING).rmdir()


def _found(path: Path) -> Found:
    size, age = -1, 0.0
    with suppress(FileNotFoundError):  # published or removed meanwhile
        status = path.stat()
        size, age = status.st_size, time.time() - status.st_mtime
    return Found(path.parent.name, path.name.removesuffix(SUFFIX), str(path), size, age)


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


def _is_ours(source: Path, target: Path) -> bool:
    """Tell whether `_move` got as far as giving the file its name."""
    return target.exists() and (not source.exists() or target.samefile(source))


def _make(folder: Path) -> None:
    """Make a folder and those above it, each flushed to disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
