"""One reply, proven: from the bytes of a DescribeImages reply with status 200 to its images, or a `PageError`.

botocore's own parser takes an empty, cut, HTML or ``{}`` reply for a page without images, so we read the bytes before it
does, on its ``before-parse`` event. The images stay undecoded here: what is in them is `flatten`'s business. The handler
acts only for the thread that asked for it; whoever else uses the same client gets what plain boto3 gives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from appstream_frames import jsontext
from appstream_frames.text import printable

_EVENT: Final = "before-parse.appstream.DescribeImages"
_HANDLER_ID: Final = "appstream_frames.wire"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_thread = threading.local()
_registering = threading.Lock()


class PageError(Exception):
    """A reply with status 200 that is not a whole page; ask for the page again."""


@dataclass
class Proof:
    """What the last reply was found to hold; `images` is None until a reply was read."""

    images: list[bytes] | None = None
    token: str | None = None
    unmodeled: dict[str, str] = field(default_factory=dict)  # other members of the reply, JSON text by name


@contextmanager
def strict(client: Any) -> Iterator[None]:
    """Attach the strict reader to a client, and take it off again."""
    events, how = client.meta.events, {"unique_id": _HANDLER_ID, "unique_id_uses_count": True}
    with _registering:  # botocore's counting of handlers is not made for threads
        events.register_last(_EVENT, _on_reply, **how)
    try:
        yield
    finally:
        with _registering:
            events.unregister(_EVENT, _on_reply, **how)


@contextmanager
def reading() -> Iterator[Proof]:
    """Read the replies of this thread's calls strictly; the `Proof` holds the last one."""
    proof = _thread.proof = Proof()
    try:
        yield proof
    finally:
        _thread.proof = None


def _on_reply(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    proof: Proof | None = getattr(_thread, "proof", None)
    if proof is None or response_dict["status_code"] >= 300:
        return
    body = response_dict["body"]
    _check_length(body, response_dict["headers"])
    read = prove(body)
    proof.images, proof.token, proof.unmodeled = read.images, read.token, read.unmodeled
    customized_response_dict["Images"] = read.images
    if read.token:
        customized_response_dict["NextToken"] = read.token
    response_dict["body"] = b"{}"  # nothing is left for botocore to parse a second time


def _check_length(body: bytes, headers: MutableMapping[str, str]) -> None:
    declared = headers.get("content-length")
    if headers.get("content-encoding", "identity") != "identity" or declared is None:
        return
    if not declared.isdecimal() or int(declared) != len(body):
        raise PageError(f"the reply is {len(body)} bytes long where its Content-Length says {printable(declared, 20)}")


def prove(body: bytes) -> Proof:
    """Return the page that a body holds.

    Raises
    ------
    PageError
        When the body is not strict UTF-8 JSON, has no list `Images`, an image is not an object, or the token is not text.

    Examples
    --------
    >>> prove(b'{"Images": [{"Name": "a"}], "NextToken": "t"}')
    Proof(images=[b'{"Name": "a"}'], token='t', unmodeled={})
    """
    try:
        text = str(body, "utf-8")
        try:
            members, images = _split(text)
        except (msgspec.DecodeError, RecursionError):
            members, images = _split_slowly(text)
        return Proof(images, _token(members.pop("NextToken", "null")), members)
    except ValueError as error:
        raise PageError(f"{printable(error, 160)}; the body begins {_beginning(body)}") from None


def _split(text: str) -> tuple[dict[str, str], list[bytes]]:
    members = _members.decode(text)
    images = [bytes(image) for image in _elements.decode(members.pop("Images", b"null"))]
    if not all(image.startswith(b"{") for image in images):
        raise msgspec.DecodeError
    return {name: str(value, "utf-8") for name, value in members.items()}, images


def _split_slowly(text: str) -> tuple[dict[str, str], list[bytes]]:
    """Say what is wrong with a body, or split the legal JSON that msgspec refuses: lone surrogates."""
    reply = jsontext.loads(text)
    images = reply.pop("Images", None) if isinstance(reply, dict) else None
    if not isinstance(images, list):
        raise ValueError(
            f"expected an object with a list Images, got {_kind(reply)} in which Images is {_kind(images)}"
        )
    for number, image in enumerate(images):
        if not isinstance(image, dict):
            raise ValueError(f"image {number} of the page is {_kind(image)}, expected an object")
    return {name: jsontext.dumps(value) for name, value in reply.items()}, [_encoded(image) for image in images]


def _encoded(value: Any) -> bytes:
    return jsontext.dumps(value).encode("ascii")


def _token(text: str) -> str | None:
    token = jsontext.loads(text)
    if token is not None and not isinstance(token, str):
        raise ValueError(f"expected NextToken to be a string, got {_kind(token)}")
    return token or None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null or absent"}
    return names.get(type(value), "a number")


def _beginning(body: bytes) -> str:
    return repr(printable(body[:60].decode("utf-8", "replace"), 60)) if body else "(it is empty)"
