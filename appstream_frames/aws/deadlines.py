"""Wall-clock deadlines, kept by the thread that waits, and the HTTP connections of this process on which it keeps them.

boto3's read timeout is per read, so a reply that drips a byte a second never ends; and a client that was used before a fork
shares its open sockets with the children, whose replies then cross. While `use_own_connections` is in force, a thread that has a
`Deadline` sends the client's requests over other connections: opened by this process, and with what is left of the deadline as
the timeout of each read. Every other thread's requests go where they went before.
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

_GRACE: Final = 1.0  # seconds in which a thread keeps its deadline by itself
_SHORTEST_PATIENCE: Final = 5.0
_CANCEL_CHECK: Final = 0.2  # seconds between two looks at whether the deadline was cancelled
_HANDLERS: Final = "handlers"  # botocore's lists of them are not made for threads: they are changed under this lock
T = TypeVar("T")
_thread = threading.local()
_locks: Final[dict[tuple[str, int], threading.Lock]] = {}


def get_process_lock(name: str) -> threading.Lock:
    """Return the lock of that name in this process: a forked child finds it free, though a thread of the parent held it."""
    return _locks.setdefault((name, os.getpid()), threading.Lock())


class Cancelled(BaseException):  # not an Exception, which botocore would retry
    """Raised in a thread whose `Deadline` was cancelled by another one."""


class Deadline:
    """The moment until which the thread that enters it waits, so many seconds from now; any other thread may cancel it.

    Examples
    --------
    >>> with Deadline(5) as deadline:
    ...     get_current_deadline() is deadline, 4 < deadline.left() <= 5
    (True, True)
    """

    def __init__(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        self.cancelled = threading.Event()
        self.requests = 0  # sent under it so far
        self.out_of_files: Callable[[], None] | None = None  # called when no more files could be opened for a request
        self.seconds = min(seconds, threading.TIMEOUT_MAX)
        self.restart()

    def restart(self) -> None:
        """Begin again, with as many seconds from now."""
        self.ends = time.monotonic() + self.seconds

    def pause(self) -> None:
        """Let it not be over before it begins again."""
        self.ends = math.inf

    def left(self) -> float:
        """Return the seconds that are left, more than 0; raise TimeoutError when none is, or Cancelled."""
        if self.cancelled.is_set():
            raise Cancelled
        left = self.ends - time.monotonic()
        if left <= 0:
            raise make_timeout_error(self.seconds)
        return left

    def patience(self) -> float:
        """Return the seconds to wait for a sign of life: half of those left, which leaves time to ask on another connection."""
        return max(self.left() / 2, _SHORTEST_PATIENCE)

    def sleep(self, seconds: float) -> None:
        """Wait, and raise `Cancelled` as soon as the deadline is cancelled."""
        if self.cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        """Have the thread that waits stop soon: it raises `Cancelled`."""
        self.cancelled.set()

    def __enter__(self) -> Self:
        self._outer = get_current_deadline()
        _thread.deadline = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.deadline = self._outer


def get_current_deadline() -> Deadline | None:
    """Return the deadline that is in force for this thread."""
    return getattr(_thread, "deadline", None)


def make_timeout_error(seconds: float) -> TimeoutError:
    """Return the error that says how long was waited in vain."""
    return TimeoutError(f"no answer within {seconds:g} s")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, made under a deadline in a thread of its own.

    For what may wait where no deadline can be kept, say for a name server or a `credential_process`: when the time is up, the
    thread is left, and TimeoutError raised.
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
        deadline.cancel()  # a thread that still waits is left
    return result.result()


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


def _derive_pool(pool: Any) -> type:
    """Return a class of connection pools like one of botocore's, whose connections keep the deadline."""
    connection = type("Connection", (_Connecting, pool.ConnectionCls), {})
    return type("Pool", (pool,), {"ConnectionCls": connection})


_POOLS: Final = {"http": _derive_pool(AWSHTTPConnectionPool), "https": _derive_pool(AWSHTTPSConnectionPool)}


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
        if self._process != os.getpid():
            self._session = botocore_private.make_http_session(self._settings, _POOLS)
            self._process = os.getpid()
        try:
            return self._session.send(request)
        except Exception:
            deadline.left()  # once it is over, TimeoutError: botocore's retries let that pass
            raise

    def close(self) -> None:
        if self._process == os.getpid():
            botocore_private.close_http_session(self._session)


_in_use: Final[dict[Any, _Connections]] = {}  # by client


def _leave_retries_to_caller(*, operation: Any, response: Any, caught_exception: Exception | None, **_: object) -> None:
    """Raise what failed before botocore repeats it: botocore 1.39 takes an answer of False for a pause of no seconds."""
    if get_current_deadline() is None:
        return
    if caught_exception is not None:
        raise caught_exception
    if response[0].status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise ClientError(response[1], operation.name)


@contextmanager
def use_own_connections(client: Any) -> Iterator[None]:
    """Send a client's requests over connections of this process that keep the sending thread's `Deadline`, each once.

    The client's proxies, certificates and timeouts hold for them too. Threads without a deadline are not concerned: the client
    behaves for them as before. May be nested, and used by many threads.
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
    """Send a client's requests as `use_own_connections` does, with botocore's retries, for as long as there is the client."""
    client.meta.events.register_first(f"before-send.{_name_service(client)}", _Connections(client).send)


def _name_service(client: Any) -> str:
    return str(client.meta.service_model.service_id.hyphenize())


@contextmanager
def attach(client: Any, handlers: Mapping[str, Callable[..., Any]], *, first: bool = False) -> Iterator[None]:
    """Attach handlers of botocore's events to a client, behind or before others of the same event, and take them off again.

    The same handlers may be attached several times at once: they are called once, and stay until the last one is taken off.
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
    """Make botocore forget which handlers it found: a look-up that another thread began before `attach` may have been kept."""
    with attach(client, {"any-change": _leave_retries_to_caller}):
        pass
