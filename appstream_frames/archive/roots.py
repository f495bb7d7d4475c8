"""From a user's root to its store: a root that is invalid or ambiguous is refused, with advice on what to pass instead."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from appstream_frames.archive.s3 import S3Store
from appstream_frames.archive.store import LocalStore, Store
from appstream_frames.aws import clients
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_EXPECTED: Final = "expected a folder, or s3://bucket/prefix"
_EXPECTED_BUCKET: Final = "expected s3://bucket or s3://bucket/prefix"
_ACCESS_POINT: Final = (
    r"(arn:aws[\w-]*:s3[\w-]*:[\w-]*:\d{12}:(?:outpost[:/][\w-]+[:/])?accesspoint[:/][\w.-]+)(?:/(.*))?"
)
_BUCKET: Final = r"([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(.*))?"
_HOSTED: Final = r"(?i)(?:https?|s3)://([\w.-]+?)\.s3[\w.-]*\.amazonaws\.com[\w.]*(|/.*?)/*"
_LIKE_S3: Final = r"(?i)(?:s3[an]?:|arn:aws[\w-]*:s3:::|https?://s3[\w.-]*\.amazonaws\.com[\w.]*/)[/\\]*"
_USERINFO: Final = r"(?<=//)[^/@]*@|[^/@\s'\"]+:[^/@\s'\"]+@"  # a password, also without // in front
_VARIABLE: Final = (
    r".*(\$[\w{]|%(?![0-9A-Fa-f]{2}%)[A-Za-z_]\w*%).*",  # %C3%BC is a letter in a URL
    "holds a variable, which only a shell replaces",
    "pass os.path.expandvars(root)",
)
#: Roots that are not folders, such as spellings of a bucket that only certain programs understand.
_NO_FOLDER: Final = (
    (_LIKE_S3, "names no bucket", _EXPECTED_BUCKET),
    (_HOSTED, "is no folder", r"for a bucket, pass 's3://\1\2'"),
    (_LIKE_S3 + r"(.*?)[/\\]*", "is no folder", r"for a bucket, pass 's3://\1'"),
    (r"(arn:aws.*?)[/\\]*", "is no folder", r"for a bucket, pass 's3://\1'"),
    (r".*://.*|[A-Za-z][\w+.-]+:[/\\].*", "is a URL that cannot be written to", _EXPECTED),
    _VARIABLE,
)
_OF_WINDOWS: Final = (r".*\\.*|[A-Za-z]:.*|//[^/].*", "is a path of Windows, and this is another system", _EXPECTED)


def open_store(root: str | os.PathLike[str]) -> Store:
    """Return the store of a root; RequestError when it is neither a folder nor in S3, or is probably a mistake.

    Examples
    --------
    >>> open_store("/data/snapshots").locate("images", "20261123T101500.123456Z-3f9c1a")
    '/data/snapshots/images/20261123T101500.123456Z-3f9c1a.parquet'
    """
    given: object = root
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip():
        raise RequestError(f"root={printable(repr(root))} names nothing; {_EXPECTED}.")
    if text != text.strip() or any(char < " " for char in text):
        raise _refuse(text, "begins or ends with white space, or holds a control character", _EXPECTED)
    if quoted := re.fullmatch(r"(['\"`])(.*)\1", text):  # cmd.exe keeps quotes, and so do some .env readers
        raise _refuse(text, "is in quotation marks, which only some shells take away", f"pass {quoted[2]}")
    if text.lower().startswith("s3://") and not re.fullmatch(_HOSTED, text):
        return S3Store(*_split_url(text), clients.open_s3_client())
    return LocalStore(_find_folder(text))


def _refuse(text: str, seen: str, advice: str) -> RequestError:
    return RequestError(
        re.sub(_USERINFO, "***@", f"root={printable(repr(text), 300)} {seen}; {printable(advice, 400)}.")
    )


def _split_url(text: str) -> tuple[str, str]:
    """Return the bucket, or the ARN of an access point, and the prefix of an S3 URL."""
    if re.fullmatch(_VARIABLE[0], text):
        raise _refuse(text, *_VARIABLE[1:])
    rest = text[len("s3://") :].rstrip("/")
    found = re.fullmatch(_ACCESS_POINT, rest) or re.fullmatch(_BUCKET, rest)
    if not found:
        raise _refuse(text, "names no bucket", _EXPECTED_BUCKET)
    bucket, prefix = found[1], found[2] or ""
    if prefix and {"", ".", ".."} & set(prefix.split("/")):
        plain = "/".join(part for part in rest.split("/") if part not in ("", ".", ".."))
        raise _refuse(text, "has an empty part, or . or .., which programs read differently", f"perhaps 's3://{plain}'")
    return bucket, prefix


def _find_folder(text: str) -> Path:
    if found := re.fullmatch(r"(?i)file:(?://localhost)?(.*)", text):
        plain = re.sub(r"^/+([A-Za-z]:)?", lambda start: start[1] or "/", unquote(found[1]))
        raise _refuse(text, "is a URL", f"pass the folder itself, {plain!r}")
    for pattern, seen, advice in (*_NO_FOLDER, *([] if os.name == "nt" else [_OF_WINDOWS])):
        if unfit := re.fullmatch(pattern, text):
            raise _refuse(text, seen, unfit.expand(advice).replace("\\", "/"))
    path = Path(os.path.expanduser(text))  # Path.expanduser raises where there is no such user
    if text.startswith("~") and str(path).startswith("~"):
        raise _refuse(text, "names a user that is not known here", f"for a folder of that name, pass './{text}'")
    if os.path.isfile(path):
        raise _refuse(text, "is a file", _EXPECTED)
    return Path(os.path.realpath(path)) if ".." in path.parts else path  # a folder in front of .. may be removed later
