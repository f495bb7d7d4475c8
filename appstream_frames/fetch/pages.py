"""The pages of one request, in order, each validated, to a validated end.

Each page is the first one of a new paginator of boto3's, where there is one, that starts at the last validated token: a paginator
that went on by itself would end normally where rows are missing. `response` validates each reply; one that was not whole is asked
for again. Rows stay undecoded. `max_items` and resume tokens mean what they mean to boto3's paginator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from botocore import xform_name
from botocore.paginate import TokenEncoder

from appstream_frames.aws import failures
from appstream_frames.aws.deadlines import Deadline, get_process_lock, look_up_handlers_again
from appstream_frames.aws.retries import Attempts
from appstream_frames.errors import AppStreamFramesError
from appstream_frames.fetch import response
from appstream_frames.fetch.outcomes import Outcome
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.response import Page, PageError

_EMPTY_PAGES: Final = 100


class EndlessError(Exception):
    """Pages that would never end."""


def read_pages(client: Any, request: Request, outcome: Outcome, deadline: Deadline) -> Iterator[list[bytes]]:
    """Yield the rows of each page of the outcome's operation; the caller's thread waits for AWS here.

    The client has the strict reader and connections of this process attached, the deadline begins again with every page. The
    outcome notes pages, retries, and where to go on: after each page the validated boundary behind it, at the end None, unless
    `max_items` cut the rows.
    """
    ask = _paginate(client, outcome.operation)
    token, skipped = request.start
    left, empty, sent = request.max_items, 0, set[str]()
    outcome.resume_token = request.starting_token
    while True:
        page = _read_page(partial(ask, **request.page_parameters(token)), client, outcome, deadline)
        outcome.note_page(page.unmodeled)
        rows = page.rows[skipped:]
        if left is not None and len(rows) > left:
            outcome.resume_token = _resume_token(token, boto_truncate_amount=skipped + left)
            yield rows[:left]
            return
        outcome.resume_token = page.token and _resume_token(page.token)
        yield rows
        left = None if left is None else left - len(rows)
        if page.token is None or left == 0:
            return
        empty = 0 if page.rows else empty + 1
        if page.token in sent:
            raise _explain_endless("AWS sent a NextToken that it had sent before", outcome, client)
        if empty >= _EMPTY_PAGES:
            words = f"AWS sent {_EMPTY_PAGES} pages in a row without a row, each with a new NextToken"
            raise _explain_endless(words, outcome, client)
        sent.add(page.token)
        token, skipped = page.token, 0
        del page, rows  # the traceback of a later failure may show variables, and rows hold what signs URLs


def _resume_token(token: str | None, **more: int) -> str:
    return str(TokenEncoder().encode({"NextToken": token, **more}))


def _paginate(client: Any, operation: str) -> Callable[..., object]:
    """Return what asks for one page: boto3's paginator, or the operation itself where there is none."""
    method = xform_name(operation)
    # botocore looks for them once, in all its folders; so would each of many threads
    with get_process_lock("paginators"):
        if not client.can_paginate(method):
            return getattr(client, method)  # type: ignore[no-any-return]
        paginator = client.get_paginator(method)
    return lambda **parameters: next(iter(paginator.paginate(**parameters)))


def _read_page(ask: Callable[[], object], client: Any, outcome: Outcome, deadline: Deadline) -> Page:
    """Ask for a page until it is validated, the failure is final, or the time is up."""
    deadline.restart()
    attempts = Attempts(deadline)
    while True:
        try:
            sent = deadline.requests
            page = response.read_strictly(outcome.operation, ask)
            if page is None or deadline.requests == sent:
                look_up_handlers_again(client)
                raise PageError("the reply passed by the strict reader", cut=True)
            return page
        except Exception as error:  # noqa: BLE001  every kind is asked about again, or explained
            if attempts.wait(error):
                outcome.retries += 1
                continue
            last = attempts.last or error
        late = TimeoutError(f"no whole page within {deadline.seconds:g} s") if attempts.is_late else None
        position = outcome.find_position(holder=client)
        # not amid another error, whose frames hold credentials
        raise failures.explain(last, position, attempts.failed, late, unreachable=attempts.unreachable) from last


def _explain_endless(seen: str, outcome: Outcome, client: Any) -> AppStreamFramesError:
    return failures.explain(EndlessError(seen), outcome.find_position(holder=client))
