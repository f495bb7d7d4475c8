"""Wall-clock deadlines, enforced by the waiting thread on HTTP connections that this process opened.

boto3's read timeout applies to each read, so a reply of a byte a second never times out; and a client that was used before a
fork shares its sockets with the children, which mixes up their replies. Within `use_own_connections`, a thread with a `Deadline`
sends the client's requests over separate connections, opened by this process, on which no read takes longer than the time left.
Requests of other threads use the client's own connections as before.
"""

from __future__ import annotations

import http.client
import io
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.exceptions import ClientError

from appstream_frames.aws import botocore_private

_GRACE: Final = 1.0  # seconds after the deadline for a thread to stop by itself
_SHORTEST_PATIENCE: Final = 5.0
_CANCEL_CHECK: Final = 0.2  # seconds between checks for cancellation
_HANDLERS: Final = "handlers"  # the lock for changes of botocore's handler lists, which are not thread-safe
T = TypeVar("T")
_thread = threading.local()
_locks: Final[dict[tuple[str, int], threading.Lock]] = {}


def get_process_lock(name: str) -> threading.Lock:
    """Return this process's lock of a name; in a forked child it is free even if a thread of the parent held it."""
    return _locks.setdefault((name, os.getpid()), threading.Lock())


class Cancelled(BaseException):  # not an Exception, which botocore would retry
    """Raised in a thread whose `Deadline` was cancelled by another thread."""


class Deadline:
    """A time limit in seconds for the thread that enters it; any other thread may cancel it.

    Examples
    --------
    >>> with Deadline(5) as deadline:
    ...     get_current_deadline() is deadline, 4 < deadline.left() <= 5
    (True, True)
    """

    def __init__(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        self.cancelled = threading.Event()
        self.requests = 0  # sent under it so far
        self.out_of_files: Callable[[], None] | None = None  # called when a request could not open a file
        self.seconds = min(seconds, threading.TIMEOUT_MAX)
        self.restart()

    def restart(self) -> None:
        """Start the full time again from now."""
        self.ends = time.monotonic() + self.seconds

    def pause(self) -> None:
        """Stop the clock until `restart`."""
        self.ends = math.inf

    def left(self) -> float:
        """Return the seconds left, above 0; raise TimeoutError when the time is up, or Cancelled."""
        if self.cancelled.is_set():
            raise Cancelled
        left = self.ends - time.monotonic()
        if left <= 0:
            raise make_timeout_error(self.seconds)
        return left

    def patience(self) -> float:
        """Return the seconds that one read may wait: half of those left, so that there is time for another connection."""
        return max(self.left() / 2, _SHORTEST_PATIENCE)

    def sleep(self, seconds: float) -> None:
        """Wait, and raise `Cancelled` as soon as the deadline is cancelled."""
        if self.cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        """Stop the waiting thread soon: it raises `Cancelled`."""
        self.cancelled.set()

    def __enter__(self) -> Self:
        self._outer = get_current_deadline()
        _thread.deadline = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.deadline = self._outer


def get_current_deadline() -> Deadline | None:
    """Return the deadline of this thread, or None."""
    return getattr(_thread, "deadline", None)


def make_timeout_error(seconds: float) -> TimeoutError:
    """Return the error that states how long the thread waited."""
    return TimeoutError(f"no answer within {seconds:g} s")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Run a call under a deadline in a thread of its own, and return its result.

    For calls that may block where no deadline applies, for example in DNS or a `credential_process`: when the time is up, the
    thread is abandoned and TimeoutError raised.
    """
    deadline, result = Deadline(seconds), Future[T]()

    def run() -> None:
        with deadline:
            try:
                result.set_result(call())
            except BaseException as error:  # noqa: BLE001  it is raised below
                result.set_exception(error)

    threading.Thread(target=run, name="appstream_frames.call", daemon=True).start()
    try:
        result.exception(min(deadline.seconds + _GRACE, threading.TIMEOUT_MAX))
    except TimeoutError:
        raise make_timeout_error(seconds) from None
    finally:
        deadline.cancel()  # a thread that still waits is abandoned
    return result.result()


class _DeadlineStream(io.RawIOBase):
    """Reads a reply from a socket within the deadline and the client's own read timeout."""

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
    """Connects within the deadline."""

    timeout: float | None
    response_class = _Response

    def connect(self) -> None:
        if (deadline := get_current_deadline()) is not None:
            self.timeout = min(self.timeout or threading.TIMEOUT_MAX, deadline.left(), deadline.patience())
        super().connect()  # type: ignore[misc]  # of botocore's class


def _derive_pool(pool: Any) -> type:
    """Return a subclass of a botocore connection pool whose connections enforce the deadline."""
    connection = type("Connection", (_Connecting, pool.ConnectionCls), {})
    return type("Pool", (pool,), {"ConnectionCls": connection})


_POOLS: Final = {"http": _derive_pool(AWSHTTPConnectionPool), "https": _derive_pool(AWSHTTPSConnectionPool)}


class _Connections:
    """The separate connections for one client, and the number of their users."""

    def __init__(self, client: Any) -> None:
        self._settings = botocore_private.read_http_settings(client)
        self._process = 0
        self.users = 0

    def send(self, request: Any, **_: object) -> Any:
        """Handle botocore's ``before-send``: send the request, return the reply; None in a thread without a deadline."""
        deadline = get_current_deadline()
        if deadline is None:
            return None
        deadline.left()
        deadline.requests += 1
        if self._process != os.getpid():
            self._session = botocore_private.make_http_session(self._settings, _POOLS)
            self._process = os.getpid()
        try:
            return self._session.send(request)
        except Exception:
            deadline.left()  # TimeoutError when the time is up, which botocore does not retry
            raise

    def close(self) -> None:
        if self._process == os.getpid():
            botocore_private.close_http_session(self._session)


_in_use: Final[dict[Any, _Connections]] = {}  # by client


def _leave_retries_to_caller(*, operation: Any, response: Any, caught_exception: Exception | None, **_: object) -> None:
    """Raise a failure before botocore retries it: botocore 1.39 takes a result of False for a pause of 0 seconds."""
    if get_current_deadline() is None:
        return
    if caught_exception is not None:
        raise caught_exception
    if response[0].status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise ClientError(response[1], operation.name)


@contextmanager
def use_own_connections(client: Any) -> Iterator[None]:
    """Send each of a client's requests once, over connections of this process that enforce the sending thread's `Deadline`.

    The client's proxies, certificates and timeouts apply to them too. For threads without a deadline the client behaves as
    before. May be nested, and used by many threads.
    """
    with get_process_lock(_HANDLERS):
        held = _in_use.setdefault(client, _Connections(client))
        held.users += 1
    try:
        with attach(client, {"before-send": held.send, "needs-retry": _leave_retries_to_caller}, first=True):
            yield
    finally:
        with get_process_lock(_HANDLERS):
            held.users -= 1
            if not held.users:
                del _in_use[client]
                held.close()


def keep_own_connections(client: Any) -> None:
    """Send a client's requests as `use_own_connections` does, with botocore's retries, for the lifetime of the client."""
    client.meta.events.register_first(f"before-send.{_name_service(client)}", _Connections(client).send)


def _name_service(client: Any) -> str:
    return str(client.meta.service_model.service_id.hyphenize())


@contextmanager
def attach(client: Any, handlers: Mapping[str, Callable[..., Any]], *, first: bool = False) -> Iterator[None]:
    """Attach handlers of botocore events to a client for the duration of the block, after or before existing handlers.

    The same handlers may be attached several times at once: they are called once, and stay until the last block ends.
    """
    events, service = client.meta.events, _name_service(client)
    register = events.register_first if first else events.register_last
    registrations = [
        (f"{event}.{service}", handler, f"appstream_frames.{event}", True) for event, handler in handlers.items()
    ]
    with get_process_lock(_HANDLERS):
        for each in registrations:
            register(*each)
    try:
        yield
    finally:
        with get_process_lock(_HANDLERS):
            for each in registrations:
                events.unregister(*each)


def look_up_handlers_again(client: Any) -> None:
    """Clear botocore's cache of handlers: another thread may have filled it with the state before `attach`."""
    with attach(client, {"any-change": _leave_retries_to_caller}):
        pass
