"""Validate one reply: turn its bytes into the rows of a page, or raise `PageError`.

botocore's own parser takes an empty, cut, HTML or ``{}`` reply with status 200 for a page without rows, so this module reads the
bytes first, on the ``before-parse`` event. The rows stay undecoded here; `decode` reads them. The handler acts only in the thread
that makes the call: other users of the same client get plain boto3.
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

import msgspec

from appstream_frames.aws.deadlines import attach
from appstream_frames.aws.retries import BrokenReplyError, check_length
from appstream_frames.tables import raw_json
from appstream_frames.tables.schema import find_rows_member
from appstream_frames.text import printable

_TOKEN: Final = "NextToken"  # noqa: S105  a member's name
_ALIKE: Final = 0.9  # similarity of a misspelt member's name, such as "NextTokens" or "Image", to the right one
_GZIP: Final = b"\x1f\x8b"
_thread = threading.local()


class PageError(BrokenReplyError):
    """A reply with status 200 that is not a whole page; the page can be requested again."""


@dataclass(frozen=True, repr=False)  # its rows hold signed URLs
class Page:
    """A validated page: its rows as JSON bytes, the next token, and the reply's other members as a JSON object."""

    rows: list[bytes]
    token: str | None
    unmodeled: str | None


def attach_strict_reader(client: Any) -> AbstractContextManager[None]:
    """Attach the strict reader to a client for the duration of the block."""
    return attach(client, {"before-parse": _handle_reply})


def read_strictly(operation: str, call: Callable[[], object]) -> Page | None:
    """Make a call of an operation, and return the page of its reply; None when the reply bypassed the strict reader."""
    _thread.operation, _thread.page = operation, None
    try:
        call()
        return _thread.page  # type: ignore[no-any-return]
    finally:
        _thread.operation = _thread.page = None


def _handle_reply(response_dict: dict[str, Any], **_: object) -> None:
    operation, body = getattr(_thread, "operation", None), response_dict["body"]
    if operation is None:
        return
    if response_dict["status_code"] >= 300:
        response_dict["body"] = _make_refusal_readable(body)
        return
    if body.startswith(_GZIP):  # gzip has a length and a checksum of its own
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise PageError(f"the reply is not whole gzip: {printable(error, 80)}") from None
    else:
        check_length(body, response_dict["headers"], PageError)
    member, strings = find_rows_member(operation)
    _thread.page = validate(body, member, strings=strings)
    response_dict["body"] = b"{}"  # so that botocore does not parse it a second time


def _make_refusal_readable(body: bytes) -> bytes:
    """Return the body of an error reply, or an empty object if botocore's parser would fail on it."""
    try:
        reply = json.loads(str(body, "utf-8"))
    except (UnicodeDecodeError, RecursionError):
        return b"{}"
    except ValueError:
        return body  # botocore takes a body that is not JSON as the message
    return body if isinstance(reply, dict) and isinstance(reply.get("__type", ""), str) else b"{}"


def validate(body: bytes, member: str = "Images", *, strings: bool = False) -> Page:
    """Return the page in the whole body of a reply; its rows, objects or `strings`, are the list `member`.

    Raise PageError when the body is not strict UTF-8 JSON, lacks the list, has a row of another kind, a token that is
    not text, a member twice, or the list or the token misspelt.

    Examples
    --------
    >>> page = validate(b'{"Images": [{"Name": "a"}], "NextToken": "t"}')
    >>> page.rows, page.token
    ([b'{"Name": "a"}'], 't')
    """
    try:
        return _read(body, member, str if strings else dict)
    except (ValueError, RecursionError) as error:
        begins = repr(printable(body[:60].decode("utf-8", "replace"), 60)) if body else "(it is empty)"
        raise PageError(f"{printable(error, 160)}; the body begins {begins}") from None


def _read(body: bytes, member: str, kind: type) -> Page:
    rows, reply = _cut_rows(body, member, b"{" if kind is dict else b'"')
    members: dict[str, Any] = reply if isinstance(reply, dict) else {}
    _check_names(members, member)
    listed, token = members.pop(member, None), members.pop(_TOKEN, None)
    if not isinstance(listed, list):
        seen = f"{_name_kind(reply)} in which {member} is {_name_kind(listed)}"
        raise ValueError(f"expected an object with a list {member}, got {seen}")
    if not rows:
        for number, row in enumerate(listed):
            if not isinstance(row, kind):
                expected = "a string" if kind is str else "an object"
                raise ValueError(f"element {number} of {member} is {_name_kind(row)}, expected {expected}")
        rows = [raw_json.dumps(row).encode("ascii") for row in listed]
    if not isinstance(token, str | None):
        raise ValueError(f"expected {_TOKEN} to be a string, got {_name_kind(token)}")
    return Page(rows, token or None, raw_json.dumps(raw_json.clean(members)) if members else None)


def _cut_rows(body: bytes, member: str, opening: bytes) -> tuple[list[bytes], Any]:
    """Return the rows as sent, and the reply without them; no rows and the whole reply when they cannot be cut out."""
    text = str(body, "utf-8")
    with suppress(msgspec.DecodeError, RecursionError):  # msgspec refuses lone surrogates, which are legal JSON
        rows = [bytes(row) for row in getattr(_make_decoder(member)(text), member)]
        for separator in (b",", b", ") if rows and all(row.startswith(opening) for row in rows) else ():
            first, whole = body.find(rows[0][:64]), separator.join(rows)
            if body.startswith(whole, first):
                with suppress(ValueError):
                    reply = raw_json.loads(str(body[:first] + body[first + len(whole) :], "utf-8"))
                    if reply.get(member) == []:  # else the list, or text like its rows, is there twice
                        return rows, reply
    return [], raw_json.loads(text)


@cache
def _make_decoder(member: str) -> Callable[[str], Any]:
    """Return a decoder that finds the rows of a reply in one pass, for speed over thousands of pages."""
    return msgspec.json.Decoder(msgspec.defstruct("Reply", [(member, list[msgspec.Raw])])).decode


def _check_names(members: Mapping[str, object], member: str) -> None:
    """Raise ValueError when a member is repeated, as parsers keep only the last, or one of the page is misspelt."""
    for name, value in members.items():
        if isinstance(value, raw_json.Repeated):
            raise ValueError(f"expected every member once, got {name!r} {len(value)} times")
        alike = list(map(raw_json.normalize_name, (member, _TOKEN)))
        if name not in (member, _TOKEN) and get_close_matches(raw_json.normalize_name(name), alike, n=1, cutoff=_ALIKE):
            raise ValueError(f"expected {member} and {_TOKEN}, each spelt so and once, got {name!r}")


def _name_kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null or absent"}
    return names.get(type(value), "a number")
