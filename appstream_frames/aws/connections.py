"""HTTP connections of this process alone, on which the waiting thread keeps its own `Deadline`.

boto3's read timeout is per read, so a reply that drips a byte a second never ends; and a client that was used before a fork
shares its open sockets with the children, whose replies then cross. While `use_own_connections` is in force, a thread that has a
deadline sends the client's requests over other connections: opened by this process, and with what is left of the deadline as
the timeout of each read. Every other thread's requests go where they went before.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakKeyDictionary

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from botocore.exceptions import ClientError

from appstream_frames.aws import botocore_private
from appstream_frames.aws.deadlines import Deadline, get_current_deadline
from appstream_frames.aws.locks import get_process_lock

_CANCEL_CHECK: Final = 0.2  # seconds between two looks at whether the deadline was cancelled
_ID: Final = "appstream_frames.connections."


class _DeadlineStream(io.RawIOBase):
    """Reads a reply from a socket for no longer than the deadline, and the client's own read timeout, allow."""

    def __init__(self, sock: socket.socket, deadline: Deadline, stream: io.BufferedReader) -> None:
        self._sock, self._deadline = sock, deadline
        self._stream = stream  # keeps the socket open until it is closed
        self._read_timeout = sock.gettimeout() or threading.TIMEOUT_MAX

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ends = time.monotonic() + min(self._read_timeout, self._deadline.patience())
        while True:
            left = min(self._deadline.left(), ends - time.monotonic())
            self._sock.settimeout(max(0.0001, min(left, _CANCEL_CHECK)))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                if time.monotonic() >= ends:
                    raise

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        if (deadline := get_current_deadline()) is not None:
            self.fp = io.BufferedReader(_DeadlineStream(sock, deadline, self.fp), 2**16)


class _Connecting:
    """Connects for no longer than the deadline allows."""

    timeout: float | None
    response_class = _Response

    def connect(self) -> None:
        if (deadline := get_current_deadline()) is not None:
            self.timeout = min(self.timeout or threading.TIMEOUT_MAX, deadline.left(), deadline.patience())
        super().connect()  # type: ignore[misc]  # of botocore's class


class _Connection(_Connecting, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    pass


class _TLSConnection(_Connecting, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _TLSConnection


class _Connections:
    """The connections of one client, and how many use them."""

    def __init__(self, client: Any) -> None:
        self._settings = botocore_private.read_http_settings(client)
        self._process = 0
        self.users = 0

    def send(self, request: Any, **_: object) -> Any:
        """Send a request of botocore's event ``before-send``, and return the reply; None in a thread without a deadline."""
        deadline = get_current_deadline()
        if deadline is None:
            return None
        deadline.left()
        deadline.requests += 1
        if self._settings is None:
            return None
        if self._process != os.getpid():
            self._session = botocore_private.make_http_session(self._settings, {"http": _Pool, "https": _TLSPool})
            self._process = os.getpid()
        try:
            return self._session.send(request)
        except Exception:
            deadline.left()  # once it is over, TimeoutError: botocore's retries let that pass
            raise

    def close(self) -> None:
        if self._process == os.getpid():
            botocore_private.close_http_session(self._session)


def _leave_retries_to_caller(*, operation: Any, response: Any, caught_exception: Exception | None, **_: object) -> None:
    """Raise what failed before botocore repeats it: botocore 1.39 takes an answer of False for a pause of no seconds."""
    if get_current_deadline() is None:
        return
    if caught_exception is not None:
        raise caught_exception
    if response[0].status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise ClientError(response[1], operation.name)


_in_use: WeakKeyDictionary[Any, _Connections] = WeakKeyDictionary()
# botocore's lists of handlers are not made for threads: they are changed under this lock
_HANDLERS: Final = "handlers"


@contextmanager
def use_own_connections(client: Any) -> Iterator[None]:
    """Send a client's requests over connections of this process that keep the sending thread's `Deadline`, each once.

    The client's proxies, certificates and timeouts hold for them too. Threads without a deadline are not concerned: the client
    behaves for them as before. May be nested, and used by many threads.
    """
    with get_process_lock(_HANDLERS):
        held = _in_use.get(client) or _Connections(client)
        held.users += 1
        _in_use[client] = held
    service = _name_service(client)
    before, after = f"before-send.{service}", f"needs-retry.{service}"
    try:
        with attach(client, {before: held.send, after: _leave_retries_to_caller}, first=True):
            yield
    finally:
        with get_process_lock(_HANDLERS):
            held.users -= 1
            if not held.users:
                _in_use.pop(client, None)
        if not held.users:
            held.close()


def keep_own_connections(client: Any) -> None:
    """Send a client's requests as `use_own_connections` does, with botocore's retries, for as long as there is the client."""
    client.meta.events.register_first(f"before-send.{_name_service(client)}", _Connections(client).send)


def _name_service(client: Any) -> str:
    return str(client.meta.service_model.service_id.hyphenize())


@contextmanager
def attach(client: Any, handlers: Mapping[str, Callable[..., Any]], *, first: bool = False) -> Iterator[None]:
    """Attach handlers of botocore's events to a client, behind or before others of the same event, and take them off again.

    The same handlers may be attached several times at once: they are called once, and stay until the last one is taken off.
    """
    events = client.meta.events
    register = events.register_first if first else events.register_last
    with get_process_lock(_HANDLERS):
        for event, handler in handlers.items():
            register(event, handler, _ID + event, True)
    try:
        yield
    finally:
        with get_process_lock(_HANDLERS):
            for event, handler in handlers.items():
                events.unregister(event, handler, _ID + event, True)


def look_up_handlers_again(client: Any) -> None:
    """Make botocore forget which handlers it found: a look-up that another thread began before `attach` may have been kept."""
    with get_process_lock(_HANDLERS):  # any change of any handler does
        client.meta.events.register(_ID, _leave_retries_to_caller)
        client.meta.events.unregister(_ID, _leave_retries_to_caller)
