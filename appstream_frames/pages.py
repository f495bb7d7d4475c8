"""One target's pages, in order, each proven whole, to a proven end.

boto3's own paginator signs, retries, counts `max_items` and makes resume tokens; `wire` proves each reply. A page that could
not be proven is asked for again with a *new* paginator that starts at the last proven token. The calls run in a thread of
their own, because only so can a reply that drips a byte a second be abandoned in time. Images stay undecoded.
"""

from __future__ import annotations

import contextvars
import ctypes
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from botocore.paginate import TokenEncoder

from appstream_frames import failures, wire
from appstream_frames.request import Request

_ATTEMPTS: Final = 6  # of one page, throttles not counted: those are asked again until the time is up
_LONGEST_PAUSE: Final = 8.0
_EMPTY_PAGES: Final = 100
_GRACE: Final = 0.1
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """A proven page: its images as JSON bytes, and the reply's other members as JSON text by name."""

    images: list[bytes]
    unmodeled: dict[str, str]


class EndlessError(Exception):
    """A chain of pages that would never end."""


class _Abandoned(BaseException):
    """Raised inside the calling thread when nobody waits for its page any more."""


class Pages:
    """The pages of one drain; iterate once.

    Attributes
    ----------
    read : int
        Pages proven so far.
    retries : int
        Requests made again so far, botocore's own retries included.
    resume_token : str or None
        After the end: where to go on when `max_items` cut the drain. During it, or after a failure: the last proven
        page boundary, None at the start.
    """

    def __init__(self, client: Any, request: Request, *, target: str, timeout: float) -> None:
        self._client, self._request, self._target = client, request, target
        self._timeout = min(timeout, threading.TIMEOUT_MAX)
        self._left = request.max_items
        self._pager: Any = None
        self._stream: Iterator[Any] | None = None
        self._asked = 0
        self._last: Exception | None = None
        self._seen: set[str] = set()
        self._empty = 0
        self.read = 0
        self.retries = 0
        self.resume_token = request.starting_token
        self._token = request.next_token  # AWS's own, inside the resume token

    def __iter__(self) -> Generator[Page, None, None]:
        """Yield each page, asked for when it is wanted."""
        with wire.strict(self._client):
            caller = _Caller(self._pages())
            try:
                while (page := self._wait(caller)) is not None:
                    yield page
                    caller.ask()  # not sooner: two busy threads would fight for one interpreter
            finally:
                caller.abandon()

    def _wait(self, caller: _Caller[Page]) -> Page | None:
        try:
            return caller.answer(self._timeout)
        except Empty:
            late = TimeoutError(f"no whole page within {self._timeout:g} s")
            raise self._explained(self._last or late, late) from (self._last or late)

    def _explained(self, error: Exception, late: Exception | None = None) -> Exception:
        where = failures.Where(self._target, self.read + 1, self.resume_token)
        return failures.explain(error, where, self._asked, late)

    def _pages(self) -> Iterator[Page]:
        while (found := self._page()) is not None:
            page, token = found
            self.read += 1
            yield page
            self._advance(page, token)
        self.resume_token = self._pager.resume_token

    def _page(self) -> tuple[Page, str | None] | None:
        """Ask for the next page until it is proven, the failure is final, or the time is up."""
        deadline = time.monotonic() + self._timeout
        self._asked, self._last = 0, None
        while True:
            self._asked += 1
            try:
                return self._call()
            except Exception as error:  # noqa: BLE001  every kind is retried or explained in the next line
                self._pause(error, deadline)
                self._stream = None
                self.retries += 1

    def _call(self) -> tuple[Page, str | None] | None:
        self._stream = self._stream or self._open()
        with wire.reading(self._token) as proof:
            reply = next(self._stream, None)
        if reply is None:
            return None
        if proof.images is None:
            wire.find_again(self._client)
            raise wire.PageError("the reply passed by the strict reader")
        self.retries += reply["ResponseMetadata"].get("RetryAttempts", 0)
        return Page(reply["Images"], proof.unmodeled), proof.token

    def _open(self) -> Iterator[Any]:
        """Open a new paginator at the last proven page boundary: a used one must not be iterated again."""
        config = {"MaxItems": self._left, "PageSize": self._request.page_size, "StartingToken": self.resume_token}
        paginator = self._client.get_paginator("describe_images")
        self._pager = paginator.paginate(**self._request.parameters(), PaginationConfig=config)
        return iter(self._pager)

    def _pause(self, error: Exception, deadline: float) -> None:
        """Wait with full jitter before the page is asked for again; raise when it must not be."""
        self._last = error
        if not failures.is_passing(error) or (self._asked >= _ATTEMPTS and not failures.is_throttle(error)):
            raise self._explained(error) from error
        left = deadline - time.monotonic()
        if left < _GRACE:
            late = TimeoutError(f"no whole page within {self._timeout:g} s")
            raise self._explained(error, late) from error
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.2 * 2**self._asked))  # noqa: S311  jitter is no secret
        time.sleep(min(pause, left / 2))  # the last of the time is for asking once more

    def _advance(self, page: Page, token: str | None) -> None:
        self._empty = 0 if page.images else self._empty + 1
        if self._left is not None:
            self._left -= len(page.images)
        if token is None:
            return
        encoded = TokenEncoder().encode({"NextToken": token})
        if encoded in self._seen:
            raise self._endless("AWS sent a NextToken that it had sent before")
        if self._empty >= _EMPTY_PAGES:
            raise self._endless(f"AWS sent {_EMPTY_PAGES} pages in a row without an image, each with a new NextToken")
        self._seen.add(encoded)
        self._token, self.resume_token = token, encoded

    def _endless(self, seen: str) -> Exception:
        return self._explained(EndlessError(seen))


def in_time(call: Callable[[], T], timeout: float) -> T:
    """Return what a call returns, or raise what it raises; give it up when it takes more than `timeout` seconds.

    Raises
    ------
    TimeoutError
        When the time is up.
    """
    caller = _Caller(call() for _ in range(1))
    try:
        return caller.answer(min(timeout, threading.TIMEOUT_MAX))  # type: ignore[return-value]  # the one answer there is
    except Empty:
        raise TimeoutError(f"no answer within {timeout:g} s") from None
    finally:
        caller.abandon()


class _Caller(Generic[T]):
    """A thread that makes the calls, one for one `ask`."""

    def __init__(self, calls: Iterator[T]) -> None:
        self._calls = calls
        self._asks: SimpleQueue[bool] = SimpleQueue()
        self._answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._waiting = False
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="appstream_frames.pages", daemon=True)
        self._thread.start()
        self.ask()

    def ask(self) -> None:
        self._waiting, self._asked_at = True, time.monotonic()
        self._asks.put(True)

    def answer(self, timeout: float) -> T | None:
        found, error = self._answers.get(timeout=max(0.0, self._asked_at + timeout - time.monotonic()))
        self._waiting = False
        if error is not None:
            raise error
        return found

    def abandon(self) -> None:
        """Let the thread end; a call that is still under way is broken off at its next byte."""
        try:
            if self._waiting:
                self._answers.get(timeout=_GRACE)  # a call that ends by itself leaves its connection in order
        except Empty:
            self._break_off()
        finally:
            self._asks.put(False)  # last: until then the thread cannot have ended, and its number be another's

    def _break_off(self) -> None:
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(_Abandoned))

    def _run(self) -> None:
        with suppress(_Abandoned), suppress(_Abandoned):  # it may arrive while the inner one is being left
            for _ in iter(self._asks.get, False):
                self._answers.put(self._next())

    def _next(self) -> tuple[T | None, BaseException | None]:
        try:
            return next(self._calls, None), None
        except BaseException as error:  # noqa: BLE001  it is raised again where the answer is waited for
            return None, error
