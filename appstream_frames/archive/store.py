"""Storage of snapshots: every file is staged whole, flushed and hashed, then published under its name, and never overwritten.

`LocalStore` is a folder; the store of a bucket is in `s3`. Stores do not know the content of the files.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appstream_frames.errors import StorageError

SUFFIX: Final = ".parquet"
STAGING: Final = ".staging"  # the folder of a local root in which files are staged
README: Final = "README.txt"
README_TEXT: Final = (
    "Snapshots of Amazon AppStream 2.0 (WorkSpaces Applications) by appstream-frames: one folder a table, one Parquet file a "
    "snapshot, the manifests in coverage/. List them with `appstream-frames ls`, check them with `appstream-frames verify`.\n"
)
_TRIES: Final = 100
_NOT_THERE: Final = {errno.ENOENT, errno.ELOOP}
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}  # EINVAL: a Windows share
_NO_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


class StagedFile(io.FileIO):
    """A file without its final name; bytes written to it are hashed and counted."""

    def __init__(self, folder: str, path: Path, root: str) -> None:
        super().__init__(path, "x")
        self.folder, self.path, self._root = folder, path, root
        self.bytes, self._hash = 0, hashlib.sha256()

    def write(self, data: Any, /) -> int:
        """Write all bytes, where a raw file may write fewer."""
        left = memoryview(data)
        with explain_errors(f"writing into {self._root}"):
            while left:
                left = left[super().write(left) :]
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    @property
    def sha256(self) -> str:
        """SHA-256 of all bytes written so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder of a store."""

    folder: str
    filename: str
    location: str  # its path or URL, for messages
    bytes: int
    age: float  # seconds since it was written, moved or copied
    linked: bool = False  # a symbolic link, or in a folder that is one: it may belong to another archive

    @property
    def name(self) -> str:
        """The file's name without the suffix ``.parquet``."""
        return self.filename.removesuffix(SUFFIX)


class Store(ABC):
    """A store of snapshots: files appear under their name whole or not at all, and are never overwritten."""

    root: str

    def exists(self) -> bool:
        """Return whether the root exists; a prefix of a bucket always does."""
        return True

    @abstractmethod
    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files of a folder, sorted by name; empty only when there is no such folder."""

    @abstractmethod
    def locate(self, folder: str, name: str) -> str:
        """Return the path or URL of a file."""

    @abstractmethod
    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes, all or a range; FileNotFoundError when there is no such file."""

    @abstractmethod
    def remove(self, file: StoredFile) -> None:
        """Remove one file."""

    @contextmanager
    def staging(self) -> Iterator[list[StagedFile]]:
        """Yield the list that `stage` adds its files to; those not published are removed when the block ends."""
        self._begun: list[Path] = []  # including files whose creation a signal interrupted
        try:
            yield []
        finally:
            for path in self._begun:
                with suppress(OSError):  # an error of the cleanup must not hide the error of a write
                    path.unlink()
            self._tidy()

    @contextmanager
    def stage(self, folder: str, staged: list[StagedFile]) -> Iterator[StagedFile]:
        """Yield a new file in staging; when the block ends without an error, the file is flushed to disk."""
        file = self._open_staged(folder)
        staged.append(file)
        with file:
            yield file
            with explain_errors(f"writing into {self.root}"):
                os.fsync(file.fileno())

    def _open_staged(self, folder: str) -> StagedFile:
        name = f"{secrets.token_hex(8)}.{folder}.tmp"
        with explain_errors(f"writing into {self.root}"):
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):  # another writer removed the folder before we created our file
                    return self._create_staged(folder, name)
            return self._create_staged(folder, name)

    def _create_staged(self, folder: str, name: str) -> StagedFile:
        self._begun.append(self._make_staging() / name)  # recorded first: a signal may arrive right after the creation
        return StagedFile(folder, self._begun[-1], self.root)

    def publish(self, name: str, staged: list[StagedFile]) -> None:
        """Give staged files their name, in order, each durable before the next one; the last one is the manifest.

        On StorageError nothing is committed: the storage refused, or a file published before has disappeared.
        """
        *tables, manifest = staged
        try:
            for file in tables:
                self._publish(file, name, last=False)
            for file in tables:  # if this writer paused for long, a repair may have removed them
                if not self._is_whole(file, name):
                    raise StorageError(
                        f"{self.locate(file.folder, name)} was moved, changed or removed while the snapshot was being "
                        f"written: {file.bytes} bytes were expected. Nothing was committed; leave the root alone, and try again."
                    )
            self._publish(manifest, name, last=True)
        except BaseException:
            self._withdraw(name, staged)
            raise
        with suppress(OSError):  # the snapshot is already committed
            self._write_readme()

    @abstractmethod
    def _make_staging(self) -> Path:
        """Create the local folder in which files are staged, and return it."""

    @abstractmethod
    def _tidy(self) -> None:
        """Remove the folders that were made for staging, if they are empty."""

    @abstractmethod
    def _publish(self, file: StagedFile, name: str, *, last: bool) -> None:
        """Give one file its name, or leave nothing under that name; `last` marks the manifest."""

    @abstractmethod
    def _is_whole(self, file: StagedFile, name: str) -> bool:
        """Return whether a published file exists with all its bytes."""

    @abstractmethod
    def _withdraw(self, name: str, staged: list[StagedFile]) -> None:
        """Remove published files, except those that a manifest may refer to; raise nothing."""

    @abstractmethod
    def _write_readme(self) -> None:
        """Write the README of the archive, if there is none."""


class LocalStore(Store):
    """A folder: files are flushed to disk, then linked under their name, so that a crash leaves the old or the new state."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)  # as it was passed, for messages
        with explain_errors(f"finding {root}"):
            self._root = root.absolute()  # the working folder may change before the next access
        self._made: list[Path] = []  # of the root and the folders above it, those that this store made

    def exists(self) -> bool:
        """Return whether the folder exists; StorageError when the system cannot tell."""
        with explain_errors(f"reading {self._root}"), suppress(FileNotFoundError):
            return bool(self._root.stat())
        return False

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files of a folder, sorted by name; empty only when there is no such folder."""
        path, found = self._root / folder, []
        linked = bool(folder) and os.path.islink(path)
        with explain_errors(f"listing {path}"), suppress(FileNotFoundError):
            for entry in list(os.scandir(path)):
                try:
                    status = entry.stat()
                except OSError as error:
                    if error.errno in _NOT_THERE:  # published or removed meanwhile, or a broken link
                        continue
                    raise
                # copies and moves may preserve the modification time, but they set the change time
                age = time.time() - max(status.st_mtime, status.st_ctime)
                name = entry.name + ("" if entry.is_file() else "/")  # never read: opening a pipe would block
                links = linked or entry.is_symlink()
                found.append(StoredFile(folder, name, entry.path, status.st_size, age, links))
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

    def _make_staging(self) -> Path:
        self._made += _make_folder(self._root)
        staging = self._root / STAGING
        staging.mkdir(exist_ok=True)
        return staging

    def _tidy(self) -> None:
        for folder in [self._root / STAGING, *reversed(self._made)]:
            with suppress(OSError):  # it is not empty
                folder.rmdir()

    def _publish(self, file: StagedFile, name: str, *, last: bool) -> None:
        target = Path(self.locate(file.folder, name))
        with explain_errors(f"writing {target}"):
            _make_folder(target.parent)
            if last:
                _flush_folder(self._root)  # so that the folders of the other files survive a crash
            _move(file.path, target)
            _flush_folder(target.parent)

    def _is_whole(self, file: StagedFile, name: str) -> bool:
        with suppress(FileNotFoundError):
            return os.stat(self.locate(file.folder, name)).st_size == file.bytes
        return False

    def _withdraw(self, name: str, staged: list[StagedFile]) -> None:
        with suppress(OSError):
            for file in reversed(staged):  # the manifest first: it must never exist without the others
                target = Path(self.locate(file.folder, name))
                if target.exists() and (not file.path.exists() or target.samefile(file.path)):  # else not our file
                    target.unlink()
                    _flush_folder(target.parent)

    def _write_readme(self) -> None:
        with suppress(FileExistsError), open(self._root / README, "x", encoding="utf-8") as file:
            file.write(README_TEXT)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents, each flushed to disk; return those that did not exist."""
    missing = [each for each in (*reversed(folder.parents), folder) if not each.is_dir()]
    for each in missing:
        each.mkdir(exist_ok=True)
        _flush_folder(each.parent)
    return missing


def _move(source: Path, target: Path) -> None:
    """Rename without replacing a file: through a hard link where the file system has them."""
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


def _flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system supports it; Windows cannot open folders."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in _NO_FLUSH:
                raise
        finally:
            os.close(handle)


@contextmanager
def explain_errors(doing: str, *, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Raise an OSError as a StorageError that says where and what to do now; errors of type `but` pass unchanged."""
    try:
        yield
    except but:
        raise
    except OSError as error:
        advice = "The snapshots already there are unchanged; free space or repair the storage, and try again."
        if isinstance(error, PermissionError):
            advice = "Check who may read and write there, or choose another root. Nothing was changed."
        elif isinstance(error, NotADirectoryError | FileExistsError) or error.errno in (
            errno.ENAMETOOLONG,
            errno.ELOOP,
        ):
            advice = "Expected a folder; correct the root. Nothing was changed."
        problem = StorageError(f"{doing}: {error.strerror or error}. {advice}")
        problem.errno = error.errno
        raise problem from error
