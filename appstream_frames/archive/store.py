"""From a root, a folder or ``s3://bucket/prefix``, to the store that keeps it."""

from __future__ import annotations

import os
import threading
from typing import Final

from appstream_frames.archive.local import LocalStore
from appstream_frames.archive.s3 import S3Store
from appstream_frames.archive.staging import Store
from appstream_frames.aws import clients
from appstream_frames.errors import RequestError

_one_by_one: Final = threading.Lock()  # boto3's default session makes no two clients at once


def open_store(root: str | os.PathLike[str]) -> Store:
    """Return the store of a root.

    Raises
    ------
    RequestError
        When the root is a URL of another kind than S3's.

    Examples
    --------
    >>> open_store("snapshots").where("images", "20261123T101500.123456Z-3f9c1a")
    'snapshots/images/20261123T101500.123456Z-3f9c1a.parquet'
    """
    text = os.fspath(root)
    if text.startswith("s3://"):
        with _one_by_one:
            return S3Store(text, clients.s3_client())
    if "://" in text:
        raise RequestError(
            f"root={text!r} is a URL that cannot be written to; expected a folder or s3://bucket/prefix."
        )
    return LocalStore(root)
