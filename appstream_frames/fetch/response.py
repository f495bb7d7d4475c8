"""One reply, validated: from its bytes to the rows of a page, or a `PageError`.

botocore's own parser takes an empty, cut, HTML or ``{}`` reply with status 200 for a page without rows, so we read the bytes
before it does, on its ``before-parse`` event. The rows stay undecoded here: what is in them is `decode`'s business. The handler
acts only for the thread that asked for it; whoever else uses the same client gets what plain boto3 gives.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
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
_ALIKE: Final = 0.9  # of the letters: as "NextTokens" and "Image" are of the members of a page
_GZIP: Final = b"\x1f\x8b"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_thread = threading.local()


class PageError(BrokenReplyError):
    """A reply with status 200 that is not a whole page; ask for the page again."""


@dataclass(frozen=True, repr=False)  # in its rows are signed URLs
class Page:
    """A validated page: its rows as JSON bytes, the next token, and the reply's other members as JSON text by name."""

    rows: list[bytes]
    token: str | None
    unmodeled: dict[str, str]


@contextmanager
def attach_strict_reader(client: Any) -> Iterator[None]:
    """Attach the strict reader to a client, and take it off again."""
    with attach(client, {"before-parse": _handle_reply}):
        yield


def read_strictly(operation: str, call: Callable[[], object]) -> Page | None:
    """Make a call of an operation, and return the page of its reply; None when the reply passed by the strict reader."""
    _thread.operation, _thread.page = operation, None
    try:
        call()
        return _thread.page  # type: ignore[no-any-return]
    finally:
        _thread.operation = _thread.page = None


def _handle_reply(response_dict: dict[str, Any], **_: object) -> None:
    operation = getattr(_thread, "operation", None)
    if operation is None:
        return
    if response_dict["status_code"] >= 300:
        response_dict["body"] = _make_refusal_readable(response_dict["body"])
        return
    member, strings = find_rows_member(operation)
    _thread.page = validate(_unpack_whole(response_dict["body"], response_dict["headers"]), member, strings=strings)
    response_dict["body"] = b"{}"  # nothing is left for botocore to parse a second time


def _make_refusal_readable(body: bytes) -> bytes:
    """Return the body of an error reply; an empty object instead of one that botocore's parser would stumble over."""
    try:
        reply = json.loads(str(body, "utf-8"))
    except (UnicodeDecodeError, RecursionError):
        return b"{}"
    except ValueError:
        return body  # botocore takes what is no JSON for the message
    return body if isinstance(reply, dict) and isinstance(reply.get("__type", ""), str) else b"{}"


def _unpack_whole(body: bytes, headers: MutableMapping[str, str]) -> bytes:
    """Return the body, unpacked, once it is as long as its header says."""
    if body.startswith(_GZIP):  # which has a length and a checksum of its own
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise PageError(f"the reply is not whole gzip: {printable(error, 80)}") from None
    check_length(body, headers, PageError)
    return body


def validate(body: bytes, member: str = "Images", *, strings: bool = False) -> Page:
    """Return the page that the whole body of a reply holds; its rows, objects or `strings`, are the list `member`.

    Raise PageError when the body is not strict UTF-8 JSON, lacks the list, has a row of another kind, a token that is
    not text, a member twice, or the list or the token misspelt.

    Examples
    --------
    >>> page = validate(b'{"Images": [{"Name": "a"}], "NextToken": "t"}')
    >>> page.rows, page.token
    ([b'{"Name": "a"}'], 't')
    """
    try:
        text = str(body, "utf-8")
        page = _read(text, member, b'"' if strings else b"{")
        _check_names(body, page.rows, member)
        return page
    except (ValueError, RecursionError) as error:
        raise PageError(f"{printable(error, 160)}; the body begins {_quote_beginning(body)}") from None


def _read(text: str, member: str, opening: bytes) -> Page:
    try:
        reply = _make_decoder(member)(text)  # in one pass, which counts for thousands of pages
        return Page(_check_rows(getattr(reply, member), opening), reply.NextToken or None, {})
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        others = _members.decode(text)
        rows = _check_rows(_elements.decode(others.pop(member, msgspec.Raw(b"null"))), opening)
        unmodeled = {name: str(bytes(value), "utf-8") for name, value in others.items()}
    except (msgspec.DecodeError, RecursionError):
        rows, unmodeled = _read_slowly(text, member, dict if opening == b"{" else str)
    return Page(rows, _read_token(unmodeled.pop(_TOKEN, "null")), unmodeled)


@cache
def _make_decoder(member: str) -> Callable[[str], Any]:
    """Return the decoder of a reply that has its usual two members only, as nearly all do."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [(member, list[msgspec.Raw]), (_TOKEN, str | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Reply", fields, forbid_unknown_fields=True)).decode


def _check_rows(elements: list[msgspec.Raw], opening: bytes) -> list[bytes]:
    rows = [bytes(element) for element in elements]
    if not all(row.startswith(opening) for row in rows):
        raise msgspec.DecodeError
    return rows


def _read_slowly(text: str, member: str, kind: type) -> tuple[list[bytes], dict[str, str]]:
    """Say what is wrong with a body, or split the legal JSON that msgspec refuses: lone surrogates."""
    reply = raw_json.loads(text)
    rows = reply.pop(member, None) if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise ValueError(
            f"expected an object with a list {member}, got {_name_kind(reply)} in which {member} is {_name_kind(rows)}"
        )
    for number, row in enumerate(rows):
        if not isinstance(row, kind):
            expected = "a string" if kind is str else "an object"
            raise ValueError(f"element {number} of {member} is {_name_kind(row)}, expected {expected}")
    unmodeled = {name: raw_json.dumps(value) for name, value in reply.items()}
    return [raw_json.dumps(row).encode("ascii") for row in rows], unmodeled


def _read_token(text: str) -> str | None:
    token = raw_json.loads(text)
    if token is not None and not isinstance(token, str):
        raise ValueError(f"expected {_TOKEN} to be a string, got {_name_kind(token)}")
    return token or None


def _check_names(body: bytes, rows: list[bytes], member: str) -> None:
    """Refuse a body that has a member twice, of which parsers see the last, or a member of the page misspelt."""
    names = _list_names(body, rows)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected every member once, got {twice!r} {names.count(twice)} times")
    for name in set(names) - {member, _TOKEN}:
        meant = get_close_matches(
            _keep_letters(name), [_keep_letters(member), _keep_letters(_TOKEN)], n=1, cutoff=_ALIKE
        )
        if meant:
            raise ValueError(f"expected {member} and {_TOKEN}, each spelt so and once, got {name!r}")


def _list_names(body: bytes, rows: list[bytes]) -> list[str]:
    """Return the names of a body's members, each as often as it stands there; the rows, most of the body, are left out."""
    for separator in (b",", b", ") if rows else ():
        first, whole = body.find(rows[0][:64]), separator.join(rows)
        if body.startswith(whole, first):
            with suppress(ValueError):  # more rows stand there than were read
                return _list_names(body[:first] + body[first + len(whole) :], [])
    return [name for name, _ in json.loads(body, object_pairs_hook=list, parse_int=str)]


def _keep_letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _name_kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null or absent"}
    return names.get(type(value), "a number")


def _quote_beginning(body: bytes) -> str:
    return repr(printable(body[:60].decode("utf-8", "replace"), 60)) if body else "(it is empty)"
