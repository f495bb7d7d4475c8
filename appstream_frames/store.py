"""Where snapshots lie: files that appear under their name whole and flushed, or not at all, and are never overwritten.

A store knows folders, names and bytes; what is in the files is the business of `snapshots`.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from appstream_frames.errors import RequestError

_STAGING: Final = ".staging"
_SUFFIX: Final = ".parquet"
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True)
class Staged:
    """A file written whole and flushed, but not yet under its name."""

    folder: str
    name: str
    path: Path
    bytes: int
    sha256: str


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


class LocalStore:
    """A folder."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def names(self, folder: str) -> list[str]:
        """Return the names of a folder's files, without their suffix, sorted; none when there is no such folder."""
        found = (self.root / folder).glob(f"*{_SUFFIX}")
        return sorted(path.name.removesuffix(_SUFFIX) for path in found)

    def describe(self, folder: str, name: str) -> str:
        """Return where a file lies, for a message."""
        return str(self.root / folder / f"{name}{_SUFFIX}")

    def read(self, folder: str, name: str) -> bytes:
        """Return a whole file."""
        return (self.root / folder / f"{name}{_SUFFIX}").read_bytes()

    @contextmanager
    def stage(self, folder: str, name: str, made: list[Staged]) -> Iterator[Sink]:
        """Write a file aside; when the block ends well it is whole, flushed, and added to `made`."""
        staging = self.root / _STAGING
        staging.mkdir(parents=True, exist_ok=True)
        path = staging / f"{name}.{folder}.tmp"
        with _removed_unless_done(path), open(path, "xb") as file:
            sink = Sink(file)
            yield sink
            file.flush()
            os.fsync(file.fileno())
            made.append(Staged(folder, name, path, sink.bytes, sink.sha256))

    def publish(self, staged: list[Staged]) -> None:
        """Give staged files their names, in order; each is on disk under its name before the next one follows."""
        for file in staged:
            folder = self.root / file.folder
            folder.mkdir(exist_ok=True)
            _move(file.path, folder / f"{file.name}{_SUFFIX}")
            _flush_folder(folder)
        _flush_folder(self.root)

    def discard(self, staged: list[Staged]) -> None:
        """Remove files that were staged or published but never committed, and the staging folder when it is empty."""
        for file in staged:
            file.path.unlink(missing_ok=True)
            (self.root / file.folder / f"{file.name}{_SUFFIX}").unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove the staging folder if nobody uses it."""
        with suppress(OSError):
            (self.root / _STAGING).rmdir()


@contextmanager
def _removed_unless_done(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


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


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_store(root: str | os.PathLike[str]) -> LocalStore:
    """Return the store of a root.

    Raises
    ------
    RequestError
        When the root is a URL of a kind that cannot be written to.
    """
    if "://" in os.fspath(root):
        raise RequestError(f"root={os.fspath(root)!r} is a URL; this version writes snapshots to a local folder.")
    return LocalStore(root)
