"""Wall-clock deadlines, kept by the thread that waits.

A `Deadline` is in force for the thread that enters it. What that thread sends over `connections` ends when it is over, or when
another thread cancels it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Self, TypeVar

_GRACE: Final = 1.0  # seconds in which a thread keeps its deadline by itself
_SHORTEST_PATIENCE: Final = 5.0
T = TypeVar("T")


class Cancelled(BaseException):  # not an Exception, which botocore would retry
    """Raised in a thread whose `Deadline` was cancelled by another one."""


class Deadline:
    """The moment until which a thread waits, so many seconds from now; infinity will do.

    It is in force for the thread that enters it, and any other one may cancel it.

    Examples
    --------
    >>> with Deadline(5) as deadline:
    ...     get_current_deadline() is deadline, 4 < deadline.left() <= 5
    (True, True)
    """

    def __init__(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        self._cancelled = threading.Event()
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
        if self._cancelled.is_set():
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
        if self._cancelled.wait(seconds):
            raise Cancelled

    @property
    def cancelled(self) -> bool:
        """Whether another thread has cancelled it."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Have the thread that waits stop soon: it raises `Cancelled`."""
        self._cancelled.set()

    def __enter__(self) -> Self:
        self._outer = get_current_deadline()
        _thread.deadline = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.deadline = self._outer


_thread = threading.local()


def get_current_deadline() -> Deadline | None:
    """Return the deadline that is in force for this thread."""
    return getattr(_thread, "deadline", None)


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
        error = result.exception(min(deadline.seconds + _GRACE, threading.TIMEOUT_MAX))
    except TimeoutError:
        raise make_timeout_error(seconds) from None
    finally:
        deadline.cancel()  # a thread that still waits is left
    if error is not None:
        raise error
    return result.result()


def make_timeout_error(seconds: float) -> TimeoutError:
    """Return the error that says how long was waited in vain."""
    return TimeoutError(f"no answer within {seconds:g} s")
