"""A raw HTTP server on loopback that can answer as badly as a network can: scripted, byte by byte, over real TCP.

It serves pages of DescribeImages (and GetCallerIdentity of STS), and at a chosen page, a chosen number of times or for
ever, a fault instead. It checks no signature. A fault is a function that is given the connection and the good body.
"""

from __future__ import annotations

import json
import math
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config
from support.listening import hang_up

ACCOUNT = "012345678901"
REGION = "eu-west-1"
JSON = "application/x-amz-json-1.1"
#: On a machine with too much to do, a call is broken off amid its work, and leaves its socket to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
CANARIES = ("AKIACANARYCANARY0001", "canary/secret/key+0123456789", "canary//session//token==")


def image(number: int, **members: object) -> dict[str, object]:
    """Return one image with one application, distinguished by its number."""
    name = f"image-{number:04}"
    arn = f"arn:aws:appstream:{REGION}:{ACCOUNT}:image/{name}"
    return {"Name": name, "Arn": arn, "Applications": [{"Name": f"app-{number:04}"}], **members}


def page(numbers: Sequence[int], token: object = None) -> dict[str, object]:
    """Return one page of images; without a token, the last one."""
    return {"Images": [image(number) for number in numbers], **({} if token is None else {"NextToken": token})}


def linked_pages(pages: int = 3, size: int = 3) -> dict[str | None, dict[str, object]]:
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
    connections : int
        Connections accepted so far.
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
        self.pages = linked_pages() if pages is None else pages
        self.fault, self.times, self.at = fault, times, list(self.pages)[at]
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.moments: list[float] = []
        self.faulted: list[float] = []
        self.sts = 0
        self.broken_off: float | None = None
        self.stopped = threading.Event()
        self._answer, self._sts = answer or self._page, sts or body(identity(), kind="text/xml")
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._tls = tls
        self._listen(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _listen(self, address: tuple[str, int]) -> None:
        self._listener = socket.create_server(address, backlog=128)
        self._thread = threading.Thread(target=self._accept, name="faults.accept", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; every socket is closed and every thread has ended afterwards."""
        self.stopped.set()
        hang_up(self._listener, self._thread, self._open)

    def client(self, service: str = "appstream", *, keys: tuple[str, ...] = ("AKID", "SECRET"), **config: Any) -> Any:
        """Return a real boto3 client that speaks to this server."""
        return session().client(
            service,
            endpoint_url=self.url,
            **dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), keys, strict=False)),
            config=Config(**{"proxies": {}, **config}),
        )

    def refuse(self, seconds: float) -> None:
        """Break every connection off and accept none for a while, as a network does that is down."""
        address = self._listener.getsockname()
        hang_up(self._listener, self._thread, self._open)

        def come_back() -> None:
            if not self.stopped.wait(seconds):
                self._listen(address)

        self._thread = threading.Thread(target=come_back, name="faults.refuse", daemon=True)
        self._thread.start()

    def heal(self) -> None:
        """Answer well from now on."""
        self.fault = None

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
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


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a server's side of TLS for 127.0.0.1 whose certificate nobody trusts; it is the file `cert` in the folder."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout key -out cert"
    command = ["openssl", "req", *options.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert", folder / "key")
    return tls
