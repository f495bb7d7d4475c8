"""The pages of one operation, in order, each validated, to a validated end.

boto3's own paginators sign, count `max_items` and make resume tokens where there is one, else a loop over tokens does; `response`
validates each reply. A page that was not whole is asked for again with a *new* paginator that starts at the last validated token.
Rows stay undecoded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from botocore import xform_name
from botocore.paginate import TokenEncoder

from appstream_frames.aws import failures
from appstream_frames.aws.connections import look_up_handlers_again
from appstream_frames.aws.deadlines import Deadline
from appstream_frames.aws.retries import Attempts
from appstream_frames.errors import AppStreamFramesError
from appstream_frames.fetch import response
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.response import Page, PageError
from appstream_frames.tables.schema import rows_member

_EMPTY_PAGES: Final = 100
# botocore looks for paginators once, in all its folders; so would each of many threads
_looking = threading.Lock()


def _renew_lock() -> None:
    global _looking  # another thread of the parent may have held it
    _looking = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


class EndlessError(Exception):
    """Pages that would never end."""


class Pages:
    """The pages of one operation of one client: iterate once, in a thread whose deadline is `deadline`.

    Parameters
    ----------
    client : boto3 AppStream client
        With the strict reader and connections of this process attached.
    operation : str
        The API's name.
    request : Request
        What to ask for.
    target : str
        What messages call the target.
    deadline : Deadline
        Begins again with every page.
    timeout : float
        Wall-clock seconds that one page may take.

    Attributes
    ----------
    read : int
        Pages validated so far.
    retries : int
        Requests made again so far.
    resume_token : str or None
        After the end: where to go on when `max_items` cut the drain. During it, or after a failure: the last validated
        page boundary, None at the start.
    """

    def __init__(
        self, client: Any, operation: str, request: Request, *, target: str, deadline: Deadline, timeout: float
    ) -> None:
        self._client, self._operation, self._request = client, operation, request
        self._target, self._deadline, self._timeout = target, deadline, timeout
        self._left = request.max_items
        self._pager: Any = None
        self._replies: Iterator[Any] | None = None
        self._seen: set[str] = set()
        self._empty = 0
        self._ended = False
        self.read = 0
        self.retries = 0
        self.resume_token = request.starting_token
        self._token = request.next_token  # AWS's own, inside the resume token

    def __iter__(self) -> Iterator[Page]:
        """Yield each page; what takes time happens here, in the caller's thread."""
        while (page := self._page()) is not None:
            self.read += 1
            yield page
            self._advance(page)
        self.resume_token = self._pager.resume_token if self._pager else None

    def _page(self) -> Page | None:
        """Ask for the next page until it is validated, the failure is final, or the time is up."""
        self._deadline.restart(self._timeout)
        attempts = Attempts(self._deadline)
        while True:
            try:
                return self._ask()
            except Exception as error:  # noqa: BLE001  every kind is asked about again, or explained
                self._replies = None
                if not attempts.wait(error):
                    last = attempts.last or error
                    raise self._explained(last, attempts) from last
                self.retries += 1

    def _ask(self) -> Page | None:
        self._replies = self._replies or self._open()
        sent = self._deadline.requests
        with response.reading(self._operation, self._token) as reply:
            found = next(self._replies, None)
        if found is None:
            return None
        if reply.page is None or self._deadline.requests == sent:
            look_up_handlers_again(self._client)
            raise PageError("the reply passed by the strict reader", cut=True)
        return replace(reply.page, rows=found[rows_member(self._operation)[0]])  # the paginator may have cut them

    def _open(self) -> Iterator[Any]:
        """Begin at the last validated page boundary: a used paginator must not be iterated again."""
        method = xform_name(self._operation)
        with _looking:
            paginator = self._client.get_paginator(method) if self._client.can_paginate(method) else None
        if paginator is None:
            return self._follow_tokens(getattr(self._client, method))
        config = {"MaxItems": self._left, "PageSize": self._request.page_size, "StartingToken": self.resume_token}
        self._pager = paginator.paginate(**self._request.parameters, PaginationConfig=config)
        return iter(self._pager)

    def _follow_tokens(self, call: Any) -> Iterator[Any]:
        while True:
            yield call(**self._request.parameters, **({"NextToken": self._token} if self._token else {}))
            if self._ended:
                return

    def _advance(self, page: Page) -> None:
        self._empty = 0 if page.rows else self._empty + 1
        self._ended = page.token is None
        if self._left is not None:
            self._left -= len(page.rows)
        if page.token is None:
            return
        encoded = TokenEncoder().encode({"NextToken": page.token})
        if encoded in self._seen:
            raise self.endless("AWS sent a NextToken that it had sent before")
        if self._empty >= _EMPTY_PAGES:
            raise self.endless(f"AWS sent {_EMPTY_PAGES} pages in a row without a row, each with a new NextToken")
        self._seen.add(encoded)
        self._token, self.resume_token = page.token, encoded

    def endless(self, seen: str) -> AppStreamFramesError:
        """Return the error of pages that would never end."""
        return self._explained(EndlessError(seen))

    def _explained(self, error: Exception, attempts: Attempts | None = None) -> AppStreamFramesError:
        where = failures.Position(
            self._target, self.read + 1, self.resume_token, operation=self._operation, holder=self._client
        )
        if attempts is None:
            return failures.explain(error, where)
        late = TimeoutError(f"no whole page within {self._deadline.seconds:g} s") if attempts.is_late else None
        return failures.explain(error, where, attempts.failed, late, unreachable=attempts.unreachable)
