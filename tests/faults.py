"""A raw HTTP server on loopback that can answer as badly as a network can: scripted, byte by byte, over real TCP.

It serves pages of DescribeImages (and GetCallerIdentity of STS), and at a chosen page, a chosen number of times or for
ever, a fault instead. It checks no signature. A fault is a function that is given the connection and the good body.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

ACCOUNT = "012345678901"
REGION = "eu-west-1"
JSON = "application/x-amz-json-1.1"
#: On a machine with too much to do, a call is broken off amid its work, and leaves its socket to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
CANARIES = ("AKIACANARYCANARY0001", "canary/secret/key+0123456789", "canary//session//token==")


def image(number: int, **members: object) -> dict[str, object]:
    """Return one image with one application, told apart by its number."""
    name = f"image-{number:04}"
    arn = f"arn:aws:appstream:{REGION}:{ACCOUNT}:image/{name}"
    return {"Name": name, "Arn": arn, "Applications": [{"Name": f"app-{number:04}"}], **members}


def page(numbers: Sequence[int], token: object = None) -> dict[str, object]:
    """Return one page of images; without a token, the last one."""
    return {"Images": [image(number) for number in numbers], **({} if token is None else {"NextToken": token})}


def chain(pages: int = 3, size: int = 3) -> dict[str | None, dict[str, object]]:
    """Return pages by the token that leads to them; together they hold the images 0 to pages × size - 1."""
    tokens = [None, *(f"token-{number}" for number in range(1, pages)), None]
    return {
        tokens[number]: page(range(number * size, (number + 1) * size), tokens[number + 1]) for number in range(pages)
    }


def arns(numbers: Sequence[int]) -> list[str]:
    """Return the ARNs of the images with these numbers."""
    return [str(image(number)["Arn"]) for number in numbers]


class Connection:
    """One connection that a client opened."""

    def __init__(self, server: FaultServer, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self._buffer = b""

    def request(self) -> bytes | None:
        """Return the body of the next request; None when the client closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        length = int((re.search(rb"(?i)content-length: *(\d+)", head) or [0, 0])[1])
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _more(self) -> bytes:
        got = self.sock.recv(65536)
        self._buffer += got
        return got

    def send(
        self, body: bytes, *, status: str = "200 OK", kind: str = JSON, length: int | None = None, **more: str
    ) -> None:
        """Send one reply; `length` lies about the body's."""
        headers = {"Content-Type": kind, "Content-Length": str(len(body) if length is None else length), **more}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.sock.sendall(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    def drip(self, data: bytes, pause: float = 1.0) -> None:
        """Send a byte at a time until the client goes away; then note when that was."""
        for number in range(len(data)):
            self.sock.sendall(data[number : number + 1])
            gone, _, _ = select.select([self.sock], [], [], pause)
            if gone:  # the client has closed, or the server is being stopped
                self.server.broken_off = time.monotonic()
                return

    def close(self, *, reset: bool = False) -> None:
        """End the connection now, politely or with a reset."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


Fault = Callable[[Connection, bytes], None]
Answer = Callable[[Any], dict[str, object]]


class FaultServer:
    """Answers DescribeImages with `pages` (by token), or with what `answer` returns for the request.

    Attributes
    ----------
    requests : list of dict
        The DescribeImages requests so far; `moments` has the moment of each.
    faulted : list of float
        When each fault was served.
    sts : int
        GetCallerIdentity requests so far.
    broken_off : float or None
        When a client left in the middle of a drip.
    """

    def __init__(
        self,
        pages: dict[str | None, dict[str, object]] | None = None,
        *,
        answer: Answer | None = None,
        fault: Fault | None = None,
        at: int = 0,
        times: float = math.inf,
        sts: Fault | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.pages = chain() if pages is None else pages
        self.fault, self.times, self.at = fault, times, list(self.pages)[at]
        self.requests: list[dict[str, Any]] = []
        self.moments: list[float] = []
        self.faulted: list[float] = []
        self.sts = 0
        self.broken_off: float | None = None
        self.stopped = threading.Event()
        self._answer, self._sts = answer or self._page, sts or body(identity(), kind="text/xml")
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="faults.accept", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; every socket is closed and every thread has ended afterwards."""
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()
        for thread, sock in list(self._open.items()):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def client(self, service: str = "appstream", *, keys: tuple[str, ...] = ("AKID", "SECRET"), **config: Any) -> Any:
        """Return a real boto3 client that speaks to this server."""
        return session().client(
            service,
            endpoint_url=self.url,
            **dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), keys, strict=False)),
            config=Config(proxies={}, **config),
        )

    def heal(self) -> None:
        """Answer well from now on."""
        self.fault = None

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=self._serve, args=(sock,), name="faults.serve", daemon=True)
            self._open[thread] = sock
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(self, sock)
        try:
            while sock.fileno() >= 0 and (request := connection.request()) is not None:
                self._respond(connection, request)
        except OSError:
            pass  # the client went away, or the fault closed the connection
        finally:
            sock.close()
            self._open.pop(threading.current_thread(), None)

    def _respond(self, connection: Connection, body: bytes) -> None:
        if b"GetCallerIdentity" in body:
            self.sts += 1
            self._sts(connection, identity())
            return
        request = json.loads(body)
        with self._lock:
            self.requests.append(request)
            self.moments.append(time.monotonic())
            ill = self.fault is not None and request.get("NextToken") == self.at and len(self.faulted) < self.times
            if ill:
                self.faulted.append(time.monotonic())
        good = json.dumps(self._answer(request)).encode()
        if ill and self.fault is not None:
            self.fault(connection, good)
        else:
            connection.send(good)

    def _page(self, request: dict[str, Any]) -> dict[str, object]:
        return self.pages[request.get("NextToken")]


@cache
def session() -> boto3.Session:
    """Return the session of every client here; clients of one session are cheap."""
    return boto3.Session("AKID", "SECRET", region_name=REGION)


def identity(account: str = ACCOUNT) -> bytes:
    """Return the body of a GetCallerIdentity reply."""
    inner = f"<Arn>arn:aws:iam::{account}:user/u</Arn><UserId>U</UserId><Account>{account}</Account>"
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"{inner}</GetCallerIdentityResult></GetCallerIdentityResponse>"
    ).encode()


def body(content: bytes | Callable[[bytes], bytes], **how: Any) -> Fault:
    """Return the fault that sends another body with status 200, its length declared as it is."""
    return lambda connection, good: connection.send(content if isinstance(content, bytes) else content(good), **how)


def error(code: str, status: str = "400 Bad Request", message: str = "said the service") -> Fault:
    """Return the fault that answers as AWS does when it refuses."""
    content = json.dumps({"__type": code, "message": message}).encode()
    return lambda connection, _: connection.send(content, status=status)


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
