"""What a user gave as root, to the store that it means; what cannot be meant is refused with what to give instead."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from appstream_frames.archive.local import LocalStore
from appstream_frames.archive.s3 import S3Store
from appstream_frames.archive.store import Store
from appstream_frames.aws import clients
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_EXPECTED: Final = "expected a folder, or s3://bucket/prefix"
_ACCESS_POINT: Final = re.compile(
    r"(arn:aws[\w-]*:s3[\w-]*:[\w-]*:\d{12}:(?:outpost[:/][\w-]+[:/])?accesspoint[:/][\w.-]+)(?:/(.*))?"
)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
#: Spellings of a bucket that no program but the one they come from understands; the group is what is meant.
_LIKE_S3: Final = re.compile(
    r"(?i)(?:s3[an]?:[/\\]*|arn:aws[\w-]*:s3:::|https?://s3[\w.-]*\.amazonaws\.com[\w.]*/)(.*)"
)
_HOSTED: Final = re.compile(r"(?i)(?:https?|s3)://([\w.-]+?)\.s3[\w.-]*\.amazonaws\.com[\w.]*(/.*|$)")
_ARN: Final = re.compile(r"arn:aws.*")
_VARIABLE: Final = re.compile(r"\$\w|\$\{|%[A-Za-z_]\w*%")
_USERINFO: Final = re.compile(r"(?<=//)[^/@]*@|[^/@\s'\"]+:[^/@\s'\"]+@")  # a password, also without // in front
_WINDOWS: Final = os.name == "nt"


def open_store(root: str | os.PathLike[str]) -> Store:
    """Return the store of a root; RequestError when it is neither a folder nor a location in S3, or may not be what was meant.

    Examples
    --------
    >>> open_store("snapshots").locate("images", "20261123T101500.123456Z-3f9c1a")
    'snapshots/images/20261123T101500.123456Z-3f9c1a.parquet'
    >>> open_store("s3:/bucket/prefix")
    Traceback (most recent call last):
    ...
    appstream_frames.errors.RequestError: root='s3:/bucket/prefix' is no folder; for a bucket, pass 's3://bucket/prefix'.
    """
    text = _check_text(root)
    if text.lower().startswith("s3://") and not _HOSTED.fullmatch(text):
        bucket, prefix = _split_url(text)
        return S3Store(bucket, prefix, clients.open_s3_client())
    return LocalStore(_find_folder(text))


def _check_text(root: object) -> str:
    text = os.fspath(root) if isinstance(root, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip():
        raise RequestError(f"root={printable(repr(root))} names nothing; {_EXPECTED}.")
    if text != text.strip() or any(char < " " for char in text):
        raise _refuse(text, "begins or ends with white space, or holds a control character", _EXPECTED)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"`":  # of cmd.exe, or of a file of variables
        raise _refuse(
            text, "is in quotation marks, which only some shells take away", f"pass {printable(text[1:-1], 300)}"
        )
    return text


def _refuse(text: str, seen: str, advice: str) -> RequestError:
    return RequestError(_USERINFO.sub("***@", f"root={printable(repr(text), 300)} {seen}; {advice}."))


def _split_url(text: str) -> tuple[str, str]:
    """Return the bucket, or the ARN of an access point, and the prefix of an S3 URL."""
    rest = text[len("s3://") :].rstrip("/")
    found = _ACCESS_POINT.fullmatch(rest)
    bucket, prefix = (found[1], found[2] or "") if found else (rest.partition("/")[0], rest.partition("/")[2])
    if not found and not _BUCKET.fullmatch(bucket):
        raise _refuse(text, "names no bucket", "expected s3://bucket or s3://bucket/prefix")
    if prefix and {"", ".", ".."} & set(prefix.split("/")):
        plain = "/".join(part for part in rest.split("/") if part not in ("", ".", ".."))
        raise _refuse(text, "has an empty part, or . or .., which programs read differently", f"perhaps 's3://{plain}'")
    return bucket, prefix


def _find_folder(text: str) -> Path:
    for pattern, meant in ((_HOSTED, r"\1\2"), (_LIKE_S3, r"\1"), (_ARN, r"\g<0>")):
        if found := pattern.fullmatch(text):
            bucket = found.expand(meant).replace("\\", "/").strip("/")
            if not bucket:
                raise _refuse(text, "names no bucket", "expected s3://bucket or s3://bucket/prefix")
            raise _refuse(text, "is no folder", f"for a bucket, pass 's3://{bucket}'")
    if re.match(r"(?i)file:", text):
        plain = unquote(re.sub(r"(?i)^file:(//localhost)?", "", text))
        plain = re.sub(r"^/+([A-Za-z]:)?", lambda found: found[1] or "/", plain)
        raise _refuse(text, "is a URL", f"pass the folder itself, {printable(repr(plain))}")
    if "://" in text or re.match(r"[A-Za-z][\w+.-]+:[/\\]", text):
        raise _refuse(text, "is a URL that cannot be written to", _EXPECTED)
    if _VARIABLE.search(text):
        raise _refuse(text, "holds a variable, which only a shell replaces", "pass os.path.expandvars(root)")
    if not _WINDOWS and ("\\" in text or re.match(r"[A-Za-z]:|//[^/]", text)):
        raise _refuse(text, "is a path of Windows, and this is another system", _EXPECTED)
    path = Path(os.path.expanduser(text))  # Path.expanduser raises where there is no such user
    if text.startswith("~") and str(path).startswith("~"):
        raise _refuse(text, "names a user that is not known here", f"for a folder of that name, pass './{text}'")
    if os.path.isfile(path):
        raise _refuse(text, "is a file", _EXPECTED)
    return Path(os.path.realpath(path)) if ".." in path.parts else path  # what is left of .. need not be there for long
