"""What every store of snapshots can do, and the writing aside that all of them share.

A file is written in a local staging folder first, whole, flushed and hashed; how it then gets its name differs from store to
store (`local`, `s3`). A store knows folders, names and bytes; what is in the files is the business of others.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

SUFFIX: Final = ".parquet"
_TRIES: Final = 100


@dataclass(frozen=True)
class Staged:
    """A file written whole and flushed, but not yet under its name."""

    folder: str
    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Found:
    """A file that lies in a store, for whoever looks after the archive."""

    folder: str
    name: str
    where: str
    bytes: int
    age: float  # seconds since it was last written


class Sink:
    """A binary file that hashes what passes through it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.bytes = file, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        """Write all of some bytes."""
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


class Store(ABC):
    """A place for snapshots: files that appear under their name whole, or not at all, and are never overwritten."""

    root: str

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of a folder's files, without their suffix, sorted; none when there is no such folder."""

    @abstractmethod
    def where(self, folder: str, name: str) -> str:
        """Return where a file lies, for a message."""

    @abstractmethod
    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes, all or a range; FileNotFoundError when it is not there."""

    def publish(self, name: str, staged: list[Staged]) -> None:
        """Give staged files their name, in order; each is safe under it before the next one follows."""
        begun: list[Staged] = []
        try:
            for file in staged:
                begun.append(file)
                self._publish(file, name, last=file is staged[-1])
        except BaseException:
            self._withdraw(name, begun)
            raise
        with suppress(OSError):  # it is committed, whatever becomes of what was written aside
            self.discard(staged)

    def discard(self, staged: list[Staged]) -> None:
        """Remove what was written aside."""
        for file in staged:
            file.path.unlink(missing_ok=True)
        self._tidy()

    @abstractmethod
    def _publish(self, file: Staged, name: str, *, last: bool) -> None:
        """Give one file its name, or leave nothing of it under that name; the last one is the commit record."""

    @abstractmethod
    def _withdraw(self, name: str, staged: list[Staged]) -> None:
        """Take back what was published under a name, as far as that goes; it was the last file that failed.

        Nothing is removed that a commit record may refer to, and the error that led here is not replaced by another.
        """

    @abstractmethod
    def _tidy(self) -> None:
        """Remove the staging folder, if nobody uses it."""

    @abstractmethod
    def found(self) -> list[Found]:
        """Return every file under the root, those left in staging included (their folder is the staging folder's)."""

    @abstractmethod
    def remove(self, found: Found) -> None:
        """Remove one file."""

    @abstractmethod
    def _staging(self) -> Path:
        """Return the local folder in which files are written aside."""

    @contextmanager
    def stage(self, folder: str, made: list[Staged]) -> Iterator[Sink]:
        """Write a file aside; when the block ends well it is whole, flushed, and added to `made`."""
        opened = self._opened(folder)
        path = Path(opened.name)
        try:
            with opened as file:
                sink = Sink(file)
                yield sink
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        made.append(Staged(folder, path, sink.bytes, sink.sha256))

    def _opened(self, folder: str) -> BinaryIO:
        name = f"{secrets.token_hex(8)}.{folder}.tmp"
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # another writer tidied the folder away before we were in it
                return open(self._staging() / name, "xb")
        return open(self._staging() / name, "xb")
