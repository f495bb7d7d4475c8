"""What every store of snapshots does: a file is staged whole, flushed and hashed, then published under its name.

How a staged file gets its name differs from store to store (`local`, `s3`). What is in the files is no concern of theirs.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from appstream_frames.errors import StorageError

SUFFIX: Final = ".parquet"
STAGING: Final = ".staging"  # the folder of a local root in which files are staged
README: Final = "README.txt"
README_TEXT: Final = (
    "Snapshots of Amazon AppStream 2.0 (WorkSpaces Applications) by appstream-frames: one folder a table, one Parquet file a "
    "snapshot, the manifests in coverage/. List them with `appstream-frames ls`, check them with `appstream-frames verify`.\n"
)
_TRIES: Final = 100


@dataclass(frozen=True)
class StagedFile:
    """A file written whole and flushed, but not yet under its name."""

    folder: str
    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StoredFile:
    """A file that lies in a folder of a store."""

    folder: str
    filename: str
    location: str  # its path or URL, for messages
    bytes: int
    age: float  # seconds since it was written, or came to be where it is
    linked: bool = False  # it is a symbolic link, or in a folder that is one: it may be another archive's

    @property
    def name(self) -> str:
        """The file's name without the suffix of Parquet files."""
        return self.filename.removesuffix(SUFFIX)


class HashingFile:
    """A binary file that hashes and counts what is written into it."""

    closed = False

    def __init__(self, file: BinaryIO, root: str) -> None:
        self._file, self._root, self._hash, self.bytes = file, root, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        """Write all of some bytes."""
        with explain_errors(f"writing into {self._root}"):
            self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the store flushes the whole file at its end."""

    @property
    def sha256(self) -> str:
        """Digest of everything written."""
        return self._hash.hexdigest()


class RangeFile(io.RawIOBase):
    """A file for reading, of which each part is fetched when it is read."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read, self._size, self._position = read, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, and return it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes from the position on."""
        left = self._size - self._position
        content = self._read(self._position, left if size < 0 else min(size, left))
        self._position += len(content)
        return content


class Store(ABC):
    """A location of snapshots: files appear under their name whole or not at all, and are never overwritten."""

    root: str

    def exists(self) -> bool:
        """Tell whether the root can hold anything: a prefix of a bucket always can, a folder when it is there."""
        return True

    @abstractmethod
    def list_files(self, folder: str) -> list[StoredFile]:
        """Return what lies in a folder, sorted by name; StorageError unless it can be listed or is not there."""

    @abstractmethod
    def locate(self, folder: str, name: str) -> str:
        """Return where a file lies, for a message."""

    @abstractmethod
    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes, all or so many from a position on; FileNotFoundError when it is not there."""

    @abstractmethod
    def remove(self, file: StoredFile) -> None:
        """Remove one file."""

    def publish(self, name: str, staged: list[StagedFile]) -> None:
        """Give staged files their name, in order, each safe before the next one; the last one is the manifest.

        On StorageError nothing is committed: the storage refused, or a file published before is not there any more.
        """
        begun: list[StagedFile] = []
        try:
            for file in staged[:-1]:
                begun.append(file)
                self._publish(file, name, last=False)
            self._check_published(name, staged[:-1])
            begun.append(staged[-1])
            self._publish(staged[-1], name, last=True)
        except BaseException:
            self._withdraw(name, begun)
            raise
        self.discard(staged)
        with suppress(OSError):  # it is committed all the same
            self._write_readme()

    def _check_published(self, name: str, published: list[StagedFile]) -> None:
        """Refuse to commit when a writer that paused for long finds its files moved, changed or removed."""
        for file in published:
            if not self._is_whole(file, name):
                raise StorageError(
                    f"{self.locate(file.folder, name)} was moved, changed or removed while the snapshot was being written: "
                    f"{file.bytes} bytes were expected. Nothing was committed; leave the root alone, and try again."
                )

    def discard(self, staged: list[StagedFile]) -> None:
        """Remove staged files; what cannot be removed is left, as it must not hide why a write failed."""
        for file in staged:
            with suppress(OSError):
                file.path.unlink()
        self._tidy()

    @abstractmethod
    def _publish(self, file: StagedFile, name: str, *, last: bool) -> None:
        """Give one file its name, or leave nothing of it under that name; the last one is the manifest."""

    @abstractmethod
    def _is_whole(self, file: StagedFile, name: str) -> bool:
        """Tell whether a published file is there, with all its bytes."""

    @abstractmethod
    def _withdraw(self, name: str, staged: list[StagedFile]) -> None:
        """Take back what was published, and nothing that a manifest may refer to; raise nothing."""

    @abstractmethod
    def _write_readme(self) -> None:
        """Write the README of the archive, if there is none."""

    @abstractmethod
    def _tidy(self) -> None:
        """Remove the folders that were made for staging, if nobody uses them."""

    @abstractmethod
    def _make_staging(self) -> Path:
        """Return the local folder in which files are staged."""

    @contextmanager
    def stage(self, folder: str, staged: list[StagedFile]) -> Iterator[HashingFile]:
        """Write a file into staging; when the block ends well it is whole, flushed, and added to `staged`."""
        opened = self._open_staged(folder)
        path = Path(opened.name)
        try:
            with opened as file:
                hashing = HashingFile(file, self.root)
                yield hashing
                with explain_errors(f"writing into {self.root}"):
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        staged.append(StagedFile(folder, path, hashing.bytes, hashing.sha256))

    def _open_staged(self, folder: str) -> BinaryIO:
        name = f"{secrets.token_hex(8)}.{folder}.tmp"
        with explain_errors(f"writing into {self.root}"):
            for _ in range(_TRIES):
                with suppress(FileNotFoundError):  # another writer tidied the folder away before we were in it
                    return open(self._make_staging() / name, "xb")
            return open(self._make_staging() / name, "xb")


@contextmanager
def explain_errors(doing: str, *, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Raise an error of the operating system as one that says where, and what to do; those of one type as they are."""
    try:
        yield
    except but:
        raise
    except OSError as error:
        problem = StorageError(f"{doing}: {error.strerror or error}. {_advise(error)}")
        problem.errno = error.errno
        raise problem from error


def _advise(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "Check who may read and write there, or choose another root. Nothing was changed."
    if isinstance(error, NotADirectoryError | FileExistsError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return "Expected a folder; correct the root. Nothing was changed."
    return "The snapshots already there are as they were; free space or mend the storage, and try again."
