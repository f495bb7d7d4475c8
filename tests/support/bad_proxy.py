"""A TCP proxy before an S3 server: it passes bytes on as they are, and fails the uploads that a test chooses."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from support.listening import hang_up

Fault = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One upload that is to fail: its request, unsent as yet, and the two connections."""

    near: socket.socket
    request: bytes
    far: Callable[[], bytes]  # sends the request on, and returns the reply


@dataclass
class Proxy:
    """A TCP proxy in front of a server; use it as a context.

    Attributes
    ----------
    fault : callable or None
        What happens to an upload (or another request of `verbs`) whose key holds `to`, at most `times` times.
    failed : list of str
        Request lines of what was failed.
    """

    server: str
    fault: Fault | None = None
    to: str = ""
    times: float = float("inf")
    failed: list[str] = field(default_factory=list)
    verbs: tuple[str, ...] = ("PUT",)
    _at_work: int = 0

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._address = ("127.0.0.1", 0)
        self.listen()
        self.url = f"http://127.0.0.1:{self._address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every connection and listen no more; stopping twice does no harm."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        hang_up(self._listener, self._thread, self._open)

    def listen(self) -> None:
        """Accept connections, say again after `refuse`."""
        self._listener = socket.create_server(self._address, backlog=128)
        self._address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, name="proxy.accept", daemon=True)
        self._thread.start()

    def refuse(self) -> None:
        """Break every connection off and accept none, as a network does that is down."""
        hang_up(self._listener, self._thread, self._open)

    def heal(self) -> None:
        """Pass everything on from now on, and wait for what is under way."""
        self.fault = None
        while self._at_work:
            time.sleep(0.01)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(near,), name="proxy.serve", daemon=True)
            self._open[thread] = near
            thread.start()

    def _serve(self, near: socket.socket) -> None:
        host, port = self.server.removeprefix("http://").split(":")
        try:
            with near, socket.create_connection((host, int(port))) as far:
                while request := _message(near, answer_continue=True):
                    self._pass(near, far, request)
        except OSError:
            pass  # one of the two went away, or the fault closed the connection
        finally:
            self._open.pop(threading.current_thread(), None)

    def _pass(self, near: socket.socket, far: socket.socket, request: bytes) -> None:
        def send() -> bytes:
            far.sendall(request)
            return _message(far, head=request.startswith(b"HEAD"))

        line = request.partition(b"\r\n")[0].decode()
        if self.fault and line.startswith(self.verbs) and self.to in line and len(self.failed) < self.times:
            self.failed.append(line)
            self._at_work += 1
            try:
                self.fault(Exchange(near, request, send))
            finally:
                self._at_work -= 1
        else:
            near.sendall(send())


def _message(sock: socket.socket, *, answer_continue: bool = False, head: bool = False) -> bytes:
    """Return one whole HTTP message, or nothing at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return b""
        data += more
        if not answer_continue and data.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in data:
            data = data.partition(b"\r\n\r\n")[2]
    headers, _, body = data.partition(b"\r\n\r\n")
    if answer_continue and re.search(rb"(?i)\r\nexpect: *100-continue", headers):
        headers = re.sub(rb"(?i)\r\nexpect: *100-continue", b"", headers)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if head:
        return headers + b"\r\n\r\n"
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", headers)
    length = int((re.search(rb"(?i)\r\ncontent-length: *(\d+)", headers) or (b"", b"0"))[1])
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
        if not (more := sock.recv(65536)):
            return b""
        body += more
    return headers + b"\r\n\r\n" + body


def error_after(exchange: Exchange) -> None:
    """Store the object, and answer 500."""
    exchange.far()
    body = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
    exchange.near.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def error_before(exchange: Exchange) -> None:
    """Answer 500, and store nothing."""
    body = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
    exchange.near.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def lost_reply(exchange: Exchange) -> None:
    """Store the object, and close without a reply."""
    exchange.far()
    exchange.near.shutdown(socket.SHUT_RDWR)


def reset(exchange: Exchange) -> None:
    """Reset the connection; nothing reaches the server."""
    exchange.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    exchange.near.close()
    raise ConnectionResetError


def slow(exchange: Exchange) -> None:
    """Answer well, a byte every fifth of a millisecond, and the first one late."""
    reply = exchange.far()
    time.sleep(0.3)
    for place in range(len(reply)):
        exchange.near.sendall(reply[place : place + 1])
        time.sleep(0.0002)


def drip(exchange: Exchange) -> None:
    """Answer a byte every tenth of a second: any timeout of a single read is kept."""
    for byte in exchange.far():
        exchange.near.sendall(bytes([byte]))
        time.sleep(0.1)


def late(gave_up: threading.Event) -> Fault:
    """Give the client no answer; the object is stored after the test says that the client gave up."""

    def store(exchange: Exchange) -> None:
        gave_up.wait(60)
        exchange.far()

    return store
