"""One reply, proven: from the bytes of a DescribeImages reply with status 200 to its images, or a `PageError`.

botocore's own parser takes an empty, cut, HTML or ``{}`` reply for a page without images, so we read the bytes before it
does, on its ``before-parse`` event. The images stay undecoded here: what is in them is `flatten`'s business. The handler
acts only for the thread that asked for it; whoever else uses the same client gets what plain boto3 gives.
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from appstream_frames.aws import deadlines
from appstream_frames.aws.retries import BrokenReplyError
from appstream_frames.tables import raw_json
from appstream_frames.text import printable

_PARAMETERS: Final = "provide-client-params.appstream.DescribeImages"
_REQUEST: Final = "before-send.appstream.DescribeImages"
_REPLY: Final = "before-parse.appstream.DescribeImages"
_ID: Final = "appstream_frames."
_GZIP: Final = b"\x1f\x8b"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


class _Reply(msgspec.Struct, forbid_unknown_fields=True):
    """A reply as nearly all are."""

    Images: list[msgspec.Raw]
    NextToken: str | None = None


_reply = msgspec.json.Decoder(_Reply)
_thread = threading.local()
_registering = threading.Lock()


class PageError(BrokenReplyError):
    """A reply with status 200 that is not a whole page; ask for the page again."""


@dataclass
class Proof:
    """What the last reply was found to hold; `images` is None until a reply was read."""

    images: list[bytes] | None = None
    token: str | None = None
    unmodeled: dict[str, str] = field(default_factory=dict)  # other members of the reply, JSON text by name
    refusal: ClientError | None = (
        None  # what AWS answered last, if that was an error: botocore may still be asking again
    )


@contextmanager
def strict(client: Any) -> Iterator[None]:
    """Attach the strict reader to a client, and take it off again."""
    with _registering:  # botocore's counting of handlers is not made for threads
        for event, handler in _HANDLERS.items():
            client.meta.events.register_last(event, handler, _ID + event, True)
    try:
        yield
    finally:
        with _registering:
            for event, handler in _HANDLERS.items():
                client.meta.events.unregister(event, handler, _ID + event, True)


def find_again(client: Any) -> None:
    """Make botocore look its handlers up anew: a look-up that another thread began before `strict` may have been kept."""
    with _registering:  # any change of any handler does
        client.meta.events.register(_ID, _on_reply)
        client.meta.events.unregister(_ID, _on_reply)


@contextmanager
def reading(asked: str | None = None) -> Iterator[Proof]:
    """Read the replies of this thread's calls strictly; the `Proof` holds the last one, `asked` is the token they send."""
    proof = _thread.proof = Proof()
    _thread.asked = asked
    try:
        yield proof
    finally:
        _thread.proof = _thread.asked = None


def _on_parameters(params: dict[str, Any], **_: object) -> None:
    if getattr(_thread, "asked", None) == "None":  # botocore's paginator takes that text for no token, and begins again
        params["NextToken"] = "None"


def _on_reply(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    proof: Proof | None = getattr(_thread, "proof", None)
    if proof is None:
        return
    if response_dict["status_code"] >= 300:
        body = response_dict["body"] = _refusal(response_dict["body"])
        proof.refusal = _error(response_dict["status_code"], body)
        return
    proof.refusal = None
    read = prove(_whole(response_dict["body"], response_dict["headers"]))
    proof.images, proof.token, proof.unmodeled = read.images, read.token, read.unmodeled
    customized_response_dict["Images"] = read.images
    if read.token:
        customized_response_dict["NextToken"] = read.token
    response_dict["body"] = b"{}"  # nothing is left for botocore to parse a second time


_HANDLERS: Final = {_PARAMETERS: _on_parameters, _REQUEST: deadlines.go_on, _REPLY: _on_reply}


def _refusal(body: bytes) -> bytes:
    """Return the body of an error reply; an empty object instead of one that botocore's parser would stumble over."""
    try:
        reply = json.loads(str(body, "utf-8"))
    except (UnicodeDecodeError, RecursionError):
        return b"{}"
    except ValueError:
        return body  # botocore takes what is no JSON for the message
    return body if isinstance(reply, dict) and isinstance(reply.get("__type", ""), str) else b"{}"


def _error(status: int, body: bytes) -> ClientError:
    """Return the error that botocore will make of a reply once it gives up."""
    try:
        reply = json.loads(str(body, "utf-8"))
    except ValueError:
        reply = {}
    code = str(reply.get("__type", "")).rpartition("#")[2] or f"HTTP {status}"
    words = {"Code": code, "Message": str(reply.get("message", reply.get("Message", "")))}
    return ClientError({"Error": words, "ResponseMetadata": {"HTTPStatusCode": status}}, "DescribeImages")


def _whole(body: bytes, headers: MutableMapping[str, str]) -> bytes:
    """Return the body, unpacked, once it is as long as its header says."""
    if body.startswith(_GZIP):  # which has a length and a checksum of its own
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise PageError(f"the reply is not whole gzip: {printable(error, 80)}") from None
    _check_length(body, headers)
    return body


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
    >>> proof = prove(b'{"Images": [{"Name": "a"}], "NextToken": "t"}')
    >>> proof.images, proof.token
    ([b'{"Name": "a"}'], 't')
    """
    try:
        text = str(body, "utf-8")
        try:
            reply = _reply.decode(text)  # in one pass, which counts for thousands of pages
            return Proof(_objects(reply.Images), reply.NextToken or None)
        except (msgspec.DecodeError, RecursionError):
            return _prove_slowly(text)
    except (ValueError, RecursionError) as error:
        raise PageError(f"{printable(error, 160)}; the body begins {_beginning(body)}") from None


def _objects(elements: list[msgspec.Raw]) -> list[bytes]:
    images = [bytes(element) for element in elements]
    if not all(image.startswith(b"{") for image in images):
        raise msgspec.DecodeError
    return images


def _prove_slowly(text: str) -> Proof:
    try:
        members, images = _split(text)
    except (msgspec.DecodeError, RecursionError):
        members, images = _split_slowly(text)
    return Proof(images, _token(members.pop("NextToken", "null")), members)


def _split(text: str) -> tuple[dict[str, str], list[bytes]]:
    """Return the members of a body of which there are more than we know, and the images."""
    members = _members.decode(text)
    images = _objects(_elements.decode(members.pop("Images", b"null")))
    return {name: str(value, "utf-8") for name, value in members.items()}, images


def _split_slowly(text: str) -> tuple[dict[str, str], list[bytes]]:
    """Say what is wrong with a body, or split the legal JSON that msgspec refuses: lone surrogates."""
    reply = raw_json.loads(text)
    images = reply.pop("Images", None) if isinstance(reply, dict) else None
    if not isinstance(images, list):
        raise ValueError(
            f"expected an object with a list Images, got {_kind(reply)} in which Images is {_kind(images)}"
        )
    for number, image in enumerate(images):
        if not isinstance(image, dict):
            raise ValueError(f"image {number} of the page is {_kind(image)}, expected an object")
    return {name: raw_json.dumps(value) for name, value in reply.items()}, [_encoded(image) for image in images]


def _encoded(value: Any) -> bytes:
    return raw_json.dumps(value).encode("ascii")


def _token(text: str) -> str | None:
    token = raw_json.loads(text)
    if token is not None and not isinstance(token, str):
        raise ValueError(f"expected NextToken to be a string, got {_kind(token)}")
    return token or None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null or absent"}
    return names.get(type(value), "a number")


def _beginning(body: bytes) -> str:
    return repr(printable(body[:60].decode("utf-8", "replace"), 60)) if body else "(it is empty)"
