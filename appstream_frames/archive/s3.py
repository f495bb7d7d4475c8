"""Snapshots in an S3 bucket: one conditional PUT a file, so that no object is ever replaced, through the boto3 session's client.

Its credentials, their refreshing, its endpoint, proxies and certificates are boto3's, as everywhere in this package. An upload
whose answer was lost is looked at afterwards: our own object is a success, and what cannot be known is said and not deleted.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from appstream_frames.archive.staging import SUFFIX, Found, Staged, Store
from appstream_frames.aws import failures
from appstream_frames.errors import RequestError, StorageError, UnknownOutcomeError

_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_MISSING: Final = {"NoSuchKey", "404", "NotFound"}


class S3Store(Store):
    """A prefix of a bucket."""

    def __init__(self, root: str, client: Any) -> None:
        self.root = root.rstrip("/")
        self._bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client
        self._aside: Path | None = None
        self._committing = False
        if not self._bucket:
            raise RequestError(f"root={root!r} names no bucket; expected s3://bucket or s3://bucket/prefix.")

    def names(self, folder: str) -> list[str]:
        """Return the names of a folder's objects, without their suffix, sorted."""
        keys = [item["Key"].rpartition("/")[2] for item in self._listed(f"{folder}/", delimiter="/")]
        return sorted(key.removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX))

    def where(self, folder: str, name: str) -> str:
        """Return an object's URL."""
        return f"s3://{self._bucket}/{self._key(folder, name)}"

    def read(self, folder: str, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, all or a range."""
        span = (
            {}
            if start == 0 and length is None
            else {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        )
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(folder, name), **span)
            return bytes(answer["Body"].read())
        except Exception as error:
            if failures.code_of(error) in _MISSING:
                raise FileNotFoundError(self.where(folder, name)) from error
            raise self._explained(error, f"reading {self.where(folder, name)}") from error

    def _publish(self, file: Staged, name: str, *, last: bool) -> None:
        self._committing = last
        self._upload(file, self._key(file.folder, name))

    def _withdraw(self, name: str, staged: list[Staged]) -> None:
        if self._committing:  # the commit record was on its way, and may yet arrive
            return
        with suppress(Exception):  # not everybody who may write may delete; what is left is an orphan
            for file in staged[:-1]:
                self._client.delete_object(Bucket=self._bucket, Key=self._key(file.folder, name))

    def found(self) -> list[Found]:
        """Return every object under the root."""
        now = dt.datetime.now(dt.UTC)
        made = []
        for item in self._listed(""):
            folder, _, name = item["Key"].removeprefix(self._prefix).rpartition("/")
            if name.endswith(SUFFIX) and "/" not in folder:
                where, age = f"s3://{self._bucket}/{item['Key']}", (now - item["LastModified"]).total_seconds()
                made.append(Found(folder, name.removesuffix(SUFFIX), where, item["Size"], age))
        return made

    def remove(self, found: Found) -> None:
        """Delete one object."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._key(found.folder, found.name))
        except Exception as error:
            raise self._explained(error, f"removing {found.where}") from error

    def _listed(self, under: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
        paginator = self._client.get_paginator("list_objects_v2")
        try:
            for page in paginator.paginate(Bucket=self._bucket, Prefix=self._prefix + under, Delimiter=delimiter):
                yield from page.get("Contents", ())
        except Exception as error:
            raise self._explained(error, f"listing {self.root}") from error

    def _key(self, folder: str, name: str) -> str:
        return f"{self._prefix}{folder}/{name}{SUFFIX}"

    def _upload(self, file: Staged, key: str) -> None:
        try:
            with open(file.path, "rb") as body:
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*", Metadata={"sha256": file.sha256}
                )
        except Exception as error:
            if not self._is_there(file, key, error):
                raise self._explained(error, f"writing s3://{self._bucket}/{key}") from error

    def _is_there(self, file: Staged, key: str, error: Exception) -> bool:
        """Tell whether the object is ours after all: an answer that was lost, and a retry that met its own object."""
        if _is_settled(error):
            return False
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except Exception as unseen:  # noqa: BLE001  even that it is not there: what got no answer may yet arrive
            if self._committing:
                raise UnknownOutcomeError(
                    f"s3://{self._bucket}/{key}: it is not known whether the snapshot is committed: the upload failed "
                    f"({_told(error)}), and looking for it gave: {_told(unseen)}. Nothing was deleted; "
                    "list_snapshots shows, in a minute, whether it is there."
                ) from error
            return False
        return bool(head["Metadata"].get("sha256") == file.sha256 and head["ContentLength"] == file.bytes)

    def _explained(self, error: Exception, doing: str) -> Exception:
        advice = "Try again; nothing was committed."
        if failures.code_of(error) == "NoSuchBucket":
            advice = f"There is no bucket {self._bucket!r}: create it, or correct the root."
        elif failures.is_refusal(error):
            advice = (
                "Check the credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; sign in again when they "
                "expire), and that they allow s3:ListBucket, s3:GetObject and s3:PutObject there."
            )
        return StorageError(f"{doing}: {_told(error)}. {advice}")

    def _staging(self) -> Path:
        if self._aside is None:
            self._aside = Path(tempfile.mkdtemp(prefix="appstream-frames-"))
            weakref.finalize(self, shutil.rmtree, self._aside, ignore_errors=True)
        return self._aside

    def _tidy(self) -> None:
        if self._aside is not None:
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside = None


def _told(error: Exception) -> str:
    """Return an error's words without secrets, and leave it no others: it is shown as the cause."""
    words = failures.seen(error)
    error.args = (words,)
    failures.bare(error)
    return words


def _is_settled(error: Exception) -> bool:
    """Tell whether S3 refused the one and only attempt, so that nothing of it can be stored."""
    answer = (getattr(error, "response", None) or {}).get("ResponseMetadata", {})
    refused = 400 <= answer.get("HTTPStatusCode", 0) < 500 and failures.code_of(error) not in _TAKEN
    return refused and not answer.get("RetryAttempts")
