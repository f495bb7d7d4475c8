"""Blocking calls in a thread that can be given up: the only way to leave a reply that drips a byte a second in time.

The thread makes one call for one `ask` and puts the answer into a queue, which many of them may share. When it is given up,
the connection it reads from is shut under it, and `go_on` keeps it from opening another. It knows neither AWS nor pages.
"""

from __future__ import annotations

import contextvars
import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final, Generic, Self, TypeVar, cast

_GRACE: Final = 0.1
_SOON, _SELDOM = 0.02, 2.0  # seconds between two looks at a thread that was given up
_LOOKING: Final = threading.Lock()
T = TypeVar("T")


class Cancelled(BaseException):  # not an Exception, which botocore would retry
    """Raised in a thread whose `Deadline` was cancelled by another one."""


class Deadline:
    """The moment until which a thread waits; in force for the thread that enters it, and cancelled by any.

    Parameters
    ----------
    seconds : float
        From now; any number, infinity too.

    Examples
    --------
    >>> with Deadline(5) as deadline:
    ...     current_deadline() is deadline, 4 < deadline.left() <= 5
    (True, True)
    """

    def __init__(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        self._cancelled = threading.Event()
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin again, with so many seconds from now."""
        self.seconds = min(seconds, threading.TIMEOUT_MAX)
        self.ends = time.monotonic() + self.seconds

    def left(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises
        ------
        TimeoutError
            When none is.
        Cancelled
            When the deadline was cancelled.
        """
        if self._cancelled.is_set():
            raise Cancelled
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {self.seconds:g} s")
        return left

    def sleep(self, seconds: float) -> None:
        """Wait, and raise `Cancelled` as soon as the deadline is cancelled."""
        if self._cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        """Have the thread that waits stop soon: it raises `Cancelled`."""
        self._cancelled.set()

    def __enter__(self) -> Self:
        self._outer = current_deadline()
        _thread.deadline = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.deadline = self._outer


_thread = threading.local()


def current_deadline() -> Deadline | None:
    """Return the deadline that is in force for this thread."""
    return getattr(_thread, "deadline", None)


class GivenUp(BaseException):  # not an Exception, which botocore would retry
    """Raised by `go_on` inside a call that was given up."""


def go_on(**_: object) -> None:
    """Let a call go on to its next request, or raise `GivenUp` when nobody waits for it; takes what botocore's events send."""
    if given_up():
        raise GivenUp


def given_up() -> bool:
    """Tell whether this runs inside a call that was given up."""
    return getattr(threading.current_thread(), "given_up", False)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What one call gave: a value, or at the end of the calls None, or an error."""

    calls: Calls[T]
    value: T | None = None
    error: BaseException | None = None


class Calls(Generic[T]):
    """Calls made one after another by a thread of their own, each when it is asked for.

    Parameters
    ----------
    calls : generator
        Each step is one blocking call; it is closed in the thread when it is not wanted any more.
    answers : queue of Answer
        Where the answers go.
    """

    def __init__(self, calls: Generator[T, None, None], answers: SimpleQueue[Answer[T]]) -> None:
        self._calls, self._answers = calls, answers
        self._asks: SimpleQueue[bool] = SimpleQueue()
        self.asked_at = 0.0
        self._thread = _Caller(self._run)
        self._thread.start()

    def ask(self) -> None:
        """Have the next call made."""
        self.asked_at = time.monotonic()
        self._asks.put(True)

    def end(self) -> None:
        """End the thread, which waits for nothing but another `ask`."""
        self._asks.put(False)
        self._thread.join(_GRACE)  # it takes what it attached to a client off again

    def abandon(self) -> None:
        """Let the thread end though a call is under way: what it reads ends here, and it asks for nothing more."""
        self._asks.put(False)
        self._thread.give_up()

    def _run(self) -> None:
        try:
            for _ in iter(self._asks.get, False):
                self._answers.put(self._next())
        finally:
            self._calls.close()

    def _next(self) -> Answer[T]:
        try:
            return Answer(self, next(self._calls, None))
        except BaseException as error:  # noqa: BLE001  whoever takes the answer deals with it
            return Answer(self, error=error)


class _Caller(threading.Thread):
    """The thread of some `Calls`."""

    def __init__(self, run: Callable[[], None]) -> None:
        within = contextvars.copy_context().run
        super().__init__(target=within, args=(run,), name="appstream_frames.calls", daemon=True)
        self.given_up = False

    def give_up(self) -> None:
        """Have the thread end soon, whatever it waits for."""
        self.given_up = True
        threading.Thread(target=self._hang_up, name="appstream_frames.hang_up", daemon=True).start()

    def _hang_up(self) -> None:
        """Shut whatever connection the thread reads from, until it has ended: it may be between two of them."""
        pause = _SOON
        while self.is_alive():
            reader = _reader(self.ident)
            if reader is not None:
                _shut(reader)
            self.join(pause)
            pause = min(2 * pause, _SELDOM)


def _reader(thread: int | None) -> socket.SocketIO | None:
    """Return the stream, over a socket, that a thread reads from at this moment."""
    frame = _frames().get(thread or 0)
    while frame is not None and frame.f_code is not socket.SocketIO.readinto.__code__:
        frame = frame.f_back
    return frame and frame.f_locals["self"]


def _frames() -> dict[int, FrameType]:
    """Return what each thread runs at this moment."""
    with _LOOKING:
        collects = gc.isenabled()
        gc.disable()  # or Python up to 3.11.8 may wait for ever: it would collect garbage while it holds all threads back
        try:
            return sys._current_frames()
        finally:
            if collects:
                gc.enable()


def _shut(reader: socket.SocketIO) -> None:
    """Shut a connection for both sides; its file stays open, and is closed by whom it belongs to."""
    with suppress(OSError, ValueError):  # it is closed already
        twin = socket.socket(fileno=reader.fileno())
        try:
            twin.shutdown(socket.SHUT_RDWR)
        finally:
            twin.detach()


def in_time(call: Callable[[], T], timeout: float) -> T:
    """Return what a call returns, or raise what it raises; give it up when it takes more than `timeout` seconds.

    Raises
    ------
    TimeoutError
        When the time is up.
    """
    answers: SimpleQueue[Answer[T]] = SimpleQueue()
    calls = Calls((call() for _ in range(1)), answers)
    calls.ask()
    try:
        answer = answers.get(timeout=min(timeout, threading.TIMEOUT_MAX))
    except BaseException as reason:
        calls.abandon()
        if isinstance(reason, Empty):
            raise TimeoutError(f"no answer within {timeout:g} s") from None
        raise
    calls.end()
    if answer.error is not None:
        raise answer.error
    return cast(T, answer.value)
