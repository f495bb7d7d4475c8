"""Blocking calls in a thread that can be given up: the only way to leave a reply that drips a byte a second in time.

The thread makes one call for one `ask` and puts the answer into a queue, which many of them may share. It knows neither
AWS nor pages.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar, cast

_GRACE: Final = 0.1
T = TypeVar("T")


class _Abandoned(BaseException):
    """Raised inside the calling thread when nobody waits for its answer any more."""


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
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="appstream_frames.calls", daemon=True)
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
        """Let the thread end though a call is under way: it is broken off at its next byte."""
        import ctypes  # here, for it is hardly ever needed

        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Abandoned))
        self._asks.put(False)  # last: until then the thread cannot have ended, and its number be another's

    def _run(self) -> None:
        with suppress(_Abandoned), suppress(_Abandoned):  # it may arrive while the inner one is being left
            try:
                for _ in iter(self._asks.get, False):
                    self._answers.put(self._next())
            finally:
                self._calls.close()

    def _next(self) -> Answer[T]:
        try:
            return Answer(self, next(self._calls, None))
        except _Abandoned:
            raise
        except BaseException as error:  # noqa: BLE001  whoever takes the answer deals with it
            return Answer(self, error=error)


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
