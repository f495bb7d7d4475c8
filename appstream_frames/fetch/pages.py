"""One target's pages, in order, each proven whole, to a proven end.

boto3's own paginator signs, retries, counts `max_items` and makes resume tokens; `wire` proves each reply. A page that could
not be proven is asked for again with a *new* paginator that starts at the last proven token. Images stay undecoded.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.paginate import TokenEncoder
from botocore.parsers import ResponseParserError

from appstream_frames.aws import deadlines, failures
from appstream_frames.aws.retries import BrokenReplyError
from appstream_frames.fetch import response
from appstream_frames.fetch.request import Request

_ATTEMPTS: Final = 6  # of one page, throttles not counted: those are asked again until the time is up
_LONGEST_PAUSE: Final = 8.0
_EMPTY_PAGES: Final = 100
_GRACE: Final = 0.1
_FIRST: Final = (
    threading.Lock()
)  # botocore looks for paginators once, in all its folders; so would each of many threads


@dataclass(frozen=True, repr=False)  # in its images are signed URLs
class Page:
    """A proven page: its images as JSON bytes, and the reply's other members as JSON text by name."""

    images: list[bytes]
    unmodeled: dict[str, str]


class EndlessError(Exception):
    """A chain of pages that would never end."""


class Pages:
    """The pages of one drain: iterate `proven` once.

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
        self._proof = response.Proof()
        self._asked = 0
        self._last: Exception | None = None
        self._seen: set[str] = set()
        self._empty = 0
        self.read = 0
        self.retries = 0
        self.resume_token = request.starting_token
        self._token = request.next_token  # AWS's own, inside the resume token

    def late(self) -> Exception:
        """Return the error of a page that did not come in time."""
        late = TimeoutError(f"no whole page within {self._timeout:g} s")
        cause = self._proof.refusal or self._last or late
        error = self._explained(cause, late)
        error.__cause__ = cause
        return error

    def _explained(self, error: Exception, late: Exception | None = None) -> Exception:
        where = failures.Where(self._target, self.read + 1, self.resume_token, holder=self._client)
        return failures.explain(error, where, self._asked, late)

    def proven(self) -> Generator[Page, None, None]:
        """Yield each page; what takes time happens here, in the caller's thread."""
        with response.strict(self._client):
            yield from self._proven()

    def _proven(self) -> Generator[Page, None, None]:
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
        with response.reading(self._token) as proof:
            self._proof = proof
            reply = next(self._stream, None)
        if reply is None:
            return None
        if proof.images is None:
            response.find_again(self._client)
            raise response.PageError("the reply passed by the strict reader")
        self.retries += reply["ResponseMetadata"].get("RetryAttempts", 0)
        return Page(reply["Images"], proof.unmodeled), proof.token

    def _open(self) -> Iterator[Any]:
        """Open a new paginator at the last proven page boundary: a used one must not be iterated again."""
        config = {"MaxItems": self._left, "PageSize": self._request.page_size, "StartingToken": self.resume_token}
        with _FIRST:
            paginator = self._client.get_paginator("describe_images")
        self._pager = paginator.paginate(**self._request.parameters(), PaginationConfig=config)
        return iter(self._pager)

    def _pause(self, error: Exception, deadline: float) -> None:
        """Wait with full jitter before the page is asked for again; raise when it must not be."""
        deadlines.go_on()
        self._last = error
        passing = failures.is_passing(error) or isinstance(error, BrokenReplyError | ResponseParserError)
        if not passing or (self._asked >= _ATTEMPTS and not failures.is_throttle(error)):
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
