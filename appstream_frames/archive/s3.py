"""Snapshots in an S3 bucket: one conditional PUT per file, so that no object is ever replaced, with a boto3 client.

When the reply to an upload is lost, the object is looked up: if it is ours, the upload succeeded. If that cannot be determined,
an error says so and nothing is deleted.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from appstream_frames.archive.store import README, README_TEXT, STAGING, SUFFIX, StagedFile, Store, StoredFile
from appstream_frames.aws import failures
from appstream_frames.aws.deadlines import Deadline, keep_own_connections
from appstream_frames.aws.redaction import scrub
from appstream_frames.errors import StorageError, UnknownOutcomeError

_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_MISSING: Final = {"NoSuchKey", "404", "NotFound"}
TIMEOUT: Final = 60.0  # seconds per request, and per portion of its body
_PORTION: Final = 8 * 2**20  # bytes


class S3Store(Store):
    """A prefix of a bucket, or of an access point."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        self.root = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._client = client
        keep_own_connections(client)
        self._aside: Path | None = None
        self._published: list[StagedFile] = []
        self._committing = False

    def list_files(self, folder: str) -> list[StoredFile]:
        """Return the files of a folder, sorted by name; empty only when there is no such folder."""
        if folder == STAGING:  # files are staged on this machine
            return []
        under, now, found = self._prefix + (f"{folder}/" if folder else ""), time.time(), []
        with self._call(f"listing s3://{self._bucket}/{under}") as deadline:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=under, Delimiter="/"):
                for item in (*page.get("Contents", ()), *page.get("CommonPrefixes", ())):
                    key = item.get("Key") or item["Prefix"]
                    age = now - item["LastModified"].timestamp() if "LastModified" in item else 0.0
                    file = StoredFile(
                        folder, key.removeprefix(under), f"s3://{self._bucket}/{key}", item.get("Size", 0), age
                    )
                    if file.filename:  # else it is an empty object that the S3 console made as a folder
                        found.append(file)
                deadline.restart()
        return sorted(found, key=lambda file: file.filename)

    def locate(self, folder: str, name: str) -> str:
        """Return an object's URL."""
        return f"{self.root}/{folder}/{name}{SUFFIX}"

    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, all or a range; FileNotFoundError when it is not there."""
        part = {} if length is None else {"Range": f"bytes={start}-{start + length - 1}"}
        with self._call(f"reading {self.locate(folder, name)}", reads=True) as deadline:
            try:
                body = self._client.get_object(**self._address(folder, name), **part)["Body"]
            except Exception as error:
                if failures.get_code(error) != "InvalidRange":
                    raise
                return b""  # as of a file: the object is shorter than it was
            parts = []
            while read := body.read(_PORTION):
                parts.append(read)
                deadline.restart()
        return b"".join(parts)

    def remove(self, file: StoredFile) -> None:
        """Delete one object."""
        with self._call(f"removing {file.location}"):
            self._client.delete_object(Bucket=self._bucket, Key=file.location.removeprefix(f"s3://{self._bucket}/"))

    def _make_staging(self) -> Path:
        if self._aside is None:  # not a TemporaryDirectory, which a forked child would remove when it exits
            self._aside = Path(tempfile.mkdtemp(prefix="appstream-frames-"))
        return self._aside

    def _tidy(self) -> None:
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside = None

    def _publish(self, file: StagedFile, name: str, *, last: bool) -> None:
        self._committing = last
        where, doing = self._address(file.folder, name), f"writing {self.locate(file.folder, name)}"
        try:
            portions = 1 + file.bytes // _PORTION
            with self._call(doing, portions=portions), open(file.path, "rb") as body:
                self._client.put_object(**where, Body=body, IfNoneMatch="*", Metadata={"sha256": file.sha256})
        except StorageError as error:
            if not self._is_there(file, where, error.__cause__ or error):
                raise
        self._published.append(file)

    def _is_there(self, file: StagedFile, where: dict[str, str], error: BaseException) -> bool:
        """Return whether the object is ours after all: its reply was lost, and a retry found the object already there."""
        if _is_settled(error):
            return False
        try:
            with Deadline(TIMEOUT):
                head = self._client.head_object(**where)
        except Exception as unseen:  # noqa: BLE001  a 404 proves nothing either: the upload may still arrive
            if self._committing:
                raise UnknownOutcomeError(
                    f"s3://{self._bucket}/{where['Key']}: it is not known whether the snapshot is committed: the upload failed "
                    f"({self._redact(error)}), and looking for it gave: {self._redact(unseen)}. Nothing was deleted; "
                    "list_snapshots shows, in a minute, whether it is there."
                ) from error
            return False
        return bool(head["Metadata"].get("sha256") == file.sha256 and head["ContentLength"] == file.bytes)

    def _is_whole(self, file: StagedFile, name: str) -> bool:
        try:
            with self._call(f"looking at {self.locate(file.folder, name)}", reads=True):
                reply = self._client.head_object(**self._address(file.folder, name))
            return bool(reply["ContentLength"] == file.bytes)
        except FileNotFoundError:
            return False
        except StorageError as error:
            if error.errno == errno.EACCES:  # permission to write does not imply permission to read
                return True
            raise

    def _withdraw(self, name: str, staged: list[StagedFile]) -> None:
        if self._committing:  # the upload of the manifest had started, and may still arrive
            return
        with suppress(Exception), Deadline(TIMEOUT):  # without permission to delete, orphans stay
            for file in [file for file in staged if file in self._published]:
                self._client.delete_object(**self._address(file.folder, name))

    def _write_readme(self) -> None:
        key, body = self._prefix + README, README_TEXT.encode()
        with suppress(Exception), Deadline(TIMEOUT):  # it already exists, or writing it is not allowed
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")

    def _address(self, folder: str, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{folder}/{name}{SUFFIX}"}

    @contextmanager
    def _call(self, doing: str, *, portions: int = 1, reads: bool = False) -> Iterator[Deadline]:
        """Keep a deadline, and raise failures as StorageError; with `reads`, a missing object as FileNotFoundError."""
        try:
            with Deadline(TIMEOUT * portions) as deadline:
                yield deadline
        except Exception as error:
            code, number, advice = failures.get_code(error), None, "Try again; nothing was committed."
            if reads and code in _MISSING:
                raise FileNotFoundError(doing) from error
            if code == "NoSuchBucket":
                advice = f"There is no bucket {self._bucket!r}: create it, or correct the root."
            elif code == "InvalidObjectState":
                advice = "It is in a storage class of archives, perhaps by a lifecycle rule: restore the object, and try again."
            elif failures.is_refusal(error):
                number = errno.EACCES
                advice = (
                    "Check the credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; sign in again when "
                    "they expire), and that they allow s3:ListBucket, s3:GetObject and s3:PutObject there."
                )
            problem = StorageError(f"{doing}: {self._redact(error)}. {advice}")
            problem.errno = number
            raise problem from error

    def _redact(self, error: BaseException) -> str:
        """Return an error's message without secrets, and remove them from the error too: it becomes the cause."""
        scrub(error, self._client)
        return failures.describe(error)


def _is_settled(error: BaseException) -> bool:
    """Return whether S3 refused the only attempt, so that nothing can have been stored."""
    reply = (getattr(error, "response", None) or {}).get("ResponseMetadata", {})
    refused = 400 <= reply.get("HTTPStatusCode", 0) < 500 and failures.get_code(error) not in _TAKEN
    return refused and not reply.get("RetryAttempts")
