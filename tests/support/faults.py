"""The faults themselves: replies that are no whole page, replies that are only unusual, and replies that never end."""

from __future__ import annotations

import gzip
import json
import math
import time
from collections.abc import Callable

from support.faultserver import JSON, Connection, Fault, body, error


def _members(**change: object) -> Callable[[bytes], bytes]:
    return lambda good: json.dumps(json.loads(good) | change).encode()


def _first_image(value: object) -> Callable[[bytes], bytes]:
    return lambda good: json.dumps({**(reply := json.loads(good)), "Images": [value, *reply["Images"][1:]]}).encode()


def _short(connection: Connection, good: bytes) -> None:
    connection.send(good[:-20], length=len(good))
    connection.close()


def _short_but_whole(connection: Connection, good: bytes) -> None:
    connection.send(good, length=len(good) + 20)
    connection.close()


def _close(connection: Connection, _: bytes) -> None:
    connection.close()


def _reset(connection: Connection, _: bytes) -> None:
    connection.close(reset=True)


def _reset_in_body(connection: Connection, good: bytes) -> None:
    connection.send(good[:30], length=len(good))
    time.sleep(0.05)
    connection.close(reset=True)


def _chunked_cut(connection: Connection, good: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    connection.sock.sendall(head + b"%x\r\n" % len(good) + good[:-20])
    connection.close()


def _chunked_unended(connection: Connection, good: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    connection.sock.sendall(head + b"%x\r\n" % len(good) + good + b"\r\n")
    connection.close()


def _raw(data: bytes) -> Fault:
    def send(connection: Connection, _: bytes) -> None:
        connection.sock.sendall(data)
        connection.close()

    return send


def chunked(connection: Connection, good: bytes) -> None:
    """Send the good body in chunks, as HTTP allows."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    half = len(good) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (good[:half], good[half:], b""))
    connection.sock.sendall(head + chunks)


def unsized(connection: Connection, good: bytes) -> None:
    """Send the good body with neither length nor chunks; its end is the connection's."""
    connection.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\n\r\n".encode() + good)
    connection.close()


def zipped(connection: Connection, good: bytes) -> None:
    """Send the good body compressed, as its header says."""
    connection.send(gzip.compress(good), Content_Encoding="gzip")


def stall(connection: Connection, _: bytes) -> None:
    """Never answer."""
    connection.server.stopped.wait()


def drip_body(connection: Connection, good: bytes) -> None:
    """Send the body at a byte a second."""
    connection.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(good)}\r\n\r\n".encode())
    connection.drip(good)


def drip_headers(connection: Connection, _: bytes) -> None:
    """Send the headers at a byte a second."""
    connection.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 1000)


def drip_chunks(connection: Connection, _: bytes) -> None:
    """Send the size of the first chunk at a byte a second."""
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.drip(b"0" * 1000)


#: Replies that are no whole page. Each has to be asked for again, and never to be taken for a page without images.
BAD: dict[str, Fault] = {
    "empty": body(b""),
    "no members": body(b"{}"),
    "a list": body(b"[]"),
    "html": body(b"<html><body>Please sign in</body></html>", kind="text/html"),
    "html as json": body(b"<html><body>Please sign in</body></html>"),
    "cut": body(lambda good: good[: len(good) // 2]),
    "cut by one": body(lambda good: good[:-1]),
    "trailing": body(lambda good: good + b"}"),
    "not utf-8": body(lambda good: good.replace(b"image-", b"image\xff", 1)),
    "utf-16": body(lambda good: good.decode().encode("utf-16")),
    "bom": body(lambda good: b"\xef\xbb\xbf" + good),
    "nan": body(_members(Odd=math.nan)),
    "images null": body(_members(Images=None)),
    "images a string": body(_members(Images="[]")),
    "images an object": body(_members(Images={})),
    "images absent": body(lambda good: good.replace(b'"Images"', b'"images"', 1)),
    "an image null": body(_first_image(None)),
    "an image a string": body(_first_image("{}")),
    "an error body": body(b'{"__type": "InternalFailure", "message": "oh"}'),
    "token a number": body(_members(NextToken=5)),
    "20,000 brackets": body(b"[" * 20_000 + b"]" * 20_000),
    "brackets inside": body(b'{"Images": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "gzip cut": body(lambda good: gzip.compress(good)[:-9], Content_Encoding="gzip"),
    "unknown encoding": body(lambda good: good[::-1], Content_Encoding="br"),
    "no content": body(b"", status="204 No Content"),
    "short": _short,
    "short but whole": _short_but_whole,
    "closed": _close,
    "reset": _reset,
    "reset in body": _reset_in_body,
    "chunks cut": _chunked_cut,
    "chunks unended": _chunked_unended,
    "no http": _raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "endless header": _raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    "1000 headers": _raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
    "bad length": _raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
    "bad chunk": _raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
    "500": error("InternalFailure", "500 Internal Server Error"),
    "500 empty": body(b"", status="500 Internal Server Error"),
    "500 a list": body(b"[]", status="500 Internal Server Error"),
    "500 a string": body(b'"oh"', status="500 Internal Server Error"),
    "500 no text": body(b'{"__type": 5, "message": {}}', status="500 Internal Server Error"),
    "500 not utf-8": body(b"\xff\xfe", status="500 Internal Server Error"),
    "500 brackets": body(b"[" * 20_000, status="500 Internal Server Error"),
    "503": error("ServiceUnavailable", "503 Service Unavailable"),
    "503 html": body(b"<html>busy</html>", status="503 Service Unavailable", kind="text/html"),
    "502 html": body(b"<h1>Bad gateway</h1>", status="502 Bad Gateway", kind="text/html"),
}

#: Unusual replies that are whole, and so have to arrive.
GOOD: dict[str, Fault] = {
    "chunked": chunked,
    "unsized": unsized,
    "gzip": zipped,
    "lone surrogates": body(_members(Odd="\ud800")),
    "spaces": body(lambda good: b" \r\n" + good + b"\n" * 5),
    "indented": body(lambda good: json.dumps(json.loads(good), indent=2).encode()),
    "no content type": lambda connection, good: connection.sock.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(good) + good
    ),
    "text/html": body(lambda good: good, kind="text/html"),
    "201": body(lambda good: good, status="201 Created"),
    "ResponseMetadata inside": body(_members(ResponseMetadata={"HTTPStatusCode": 500}, Error={"Code": "no"})),
    "wrongly said to be gzip": body(lambda good: good, Content_Encoding="gzip"),
}
THROTTLES = ("ThrottlingException", "TooManyRequestsException", "RequestLimitExceededException")
#: Replies that never end.
SLOW: dict[str, Fault] = {
    "stall": stall,
    "drip body": drip_body,
    "drip headers": drip_headers,
    "drip chunks": drip_chunks,
}
