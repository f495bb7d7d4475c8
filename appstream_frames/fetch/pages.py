"""Read the pages of one target, operation by operation, each to a validated end and with an outcome.

Each page is the first one of a new boto3 paginator, if the operation has one, that starts at the last validated token: a single
paginator would end normally although rows are missing. `response` validates each reply; an invalid one is requested again. Rows
stay undecoded. `max_items` and resume tokens mean the same as in boto3's paginator.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from botocore import xform_name
from botocore.paginate import TokenEncoder

from appstream_frames.aws import deadlines, failures
from appstream_frames.aws.clients import ClientPool, Location, locate
from appstream_frames.aws.credentials import Target
from appstream_frames.aws.deadlines import Cancelled, Deadline
from appstream_frames.aws.redaction import walk_causes
from appstream_frames.aws.retries import Attempts
from appstream_frames.errors import AppStreamFramesError, DrainError
from appstream_frames.fetch import response
from appstream_frames.fetch.request import Request, decode_token
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.operations import Operation
from appstream_frames.tables.schema import BOTOCORE_VERSION
from appstream_frames.text import printable

_MESSAGE: Final = 1_000  # characters of an error that coverage keeps
_ENDLESS: Final = 100  # pages in a row with nothing new
#: Statuses of a failure that applies to every operation of the target.
_WHOLE_TARGET: Final = frozenset({"bad_credentials", "region_disabled", "no_endpoint"})


@dataclass
class Outcome:
    """The result of reading one operation of one target; can be pickled, and holds no secret."""

    operation: str
    table: str
    target: str
    account: str | None
    region: str | None
    snapshot: dt.datetime
    request: Request
    started_at: dt.datetime
    located: bool = False  # whether the target has a client
    ended_at: dt.datetime | None = None
    status: str = "complete"
    failure: DrainError | None = None
    pages: int = 0
    sent: int = 0  # rows that AWS sent, duplicates included
    rows: Counter[str] = field(default_factory=Counter)  # in each table
    retries: int = 0
    resume_token: str | None = None
    unmodeled: list[str] = field(default_factory=list)  # other members of the replies, as JSON
    stale: int = 0  # decoded pages in a row without a new row

    def fail(self, failure: DrainError) -> None:
        """Record the error that ended the reading, or a better explanation of it."""
        self.status, self.failure = failure.status, failure

    def end(self, failure: DrainError | None = None) -> None:
        """Record the end of the reading, and its error if there was one."""
        if failure is not None:
            self.fail(failure)
        self.ended_at = dt.datetime.now(dt.UTC)

    def find_position(self, holder: object = None) -> failures.Position:
        """Return the position of the reading, to explain an error; `holder` as in `Position`."""
        page = self.pages + 1 if self.located else 0
        return failures.Position(self.target, page, self.resume_token, operation=self.operation, holder=holder)

    def make_row(self) -> dict[str, Any]:
        """Return the row of coverage."""
        own = "snapshot account region operation status started_at pages retries resume_token".split()
        return {name: getattr(self, name) for name in own} | {
            "ended_at": self.ended_at or self.started_at,
            "rows": self.rows[self.table],
            "duplicates": self.sent - self.rows[self.table],
            "error_code": self.failure and self.failure.code,
            "error_message": self.failure and printable(self.failure, _MESSAGE),
            "request": self.request.as_json(),
            "botocore_version": BOTOCORE_VERSION,
            "unmodeled": "[" + ",".join(self.unmodeled) + "]" if self.unmodeled else None,
        }


@dataclass(repr=False)
class Rows:
    """The rows of a page as JSON bytes; the pages of one request share `key`, those of one operation share `seen`."""

    outcome: Outcome
    key: Key
    seen: set[int]  # identities of the rows before
    rows: list[bytes]
    size: int  # bytes


class TargetRead:
    """The reading of one target, a `Target` or a boto3 AppStream client: an outcome for each operation, and its pages.

    `request` applies to the first operation. Each page may take `timeout` wall-clock seconds, and so may finding the location.
    The client of a `Target` comes from `clients` and is closed at the end.
    """

    def __init__(
        self,
        target: Any,
        clients: ClientPool,
        operations: Sequence[Operation],
        request: Request,
        timeout: float,
        snapshot: dt.datetime,
        account: str | None = None,
    ) -> None:
        self._owned = isinstance(target, Target)
        if self._owned:
            self.name, account, region = str(target), target.account, target.region  # until the location is found
            self._locate: Callable[[], Location] = partial(clients.locate, target, timeout)
        else:
            region = target.meta.region_name
            self.name, self._locate = f"client of {region}", partial(locate, target, account)
        self.target, self.account, self._operations = target, account, operations
        self.deadline = Deadline(timeout)
        self.deadline.pause()
        chosen = {operations[0].table: request}
        for each in operations[1:]:  # the parameters that choose a table's rows choose the requests made for them
            chosen[each.table] = Request(chosen[each.parent.table].parameters if each.parent else {})
        self.outcomes = [
            Outcome(
                each.name, each.table, self.name, account, region, snapshot, chosen[each.table], started_at=snapshot
            )
            for each in operations
        ]
        self.waiting: deque[Rows] = deque()  # until the targets before this one have ended
        self.ended = False  # whether no more pages will come
        #: The requests of operations that are called once per row, by operation and parameters, each with the key of its rows.
        self._row_requests: dict[str, dict[str, tuple[Request, Key]]] = defaultdict(dict)

    def pages(self) -> Generator[Rows | Location, None, None]:
        """Yield the location, then each page of each operation; blocks the calling thread while AWS answers.

        A failure is recorded in the outcomes; the next operation is still read where possible.
        """
        self.deadline.restart()
        self.outcomes[0].started_at = dt.datetime.now(dt.UTC)
        try:
            location = self._locate()
        except Exception as error:  # noqa: BLE001  a credential provider may raise anything
            self._fail(self.outcomes, error)
            return
        client, self.account = location.client, location.account
        for outcome in self.outcomes:
            outcome.target, outcome.account, outcome.region = str(location), location.account, location.region
            outcome.located = True
        with closing(client) if self._owned else nullcontext():  # a thousand targets would leave a thousand sockets
            yield location
            with deadlines.use_own_connections(client), response.attach_strict_reader(client):
                for operation, outcome in zip(self._operations, self.outcomes, strict=True):
                    yield from self._read(client, operation, outcome)

    def _read(self, client: Any, operation: Operation, outcome: Outcome) -> Iterator[Rows]:
        outcome.started_at = dt.datetime.now(dt.UTC)
        parent = operation.parent and operation.parent.table
        try:
            for other in self.outcomes:
                if other.status in _WHOLE_TARGET or (other.table == parent and other.status != "complete"):
                    outcome.status, outcome.failure = other.status, other.failure  # this one cannot be read either
                    break
            else:
                yield from self._read_rows(client, operation, outcome)
        except Exception as error:  # noqa: BLE001  every kind is explained
            self._fail([outcome], error)
            return
        if outcome.failure is None and (outcome.request.starting_token or outcome.resume_token):
            outcome.status = "limited"
        outcome.end()

    def _read_rows(self, client: Any, operation: Operation, outcome: Outcome) -> Iterator[Rows]:
        own, seen = Key(outcome.snapshot, outcome.account or "", outcome.region or ""), set[int]()
        requests = self._row_requests.pop(operation.name, {}) if operation.parent else {"": (outcome.request, own)}
        for request, key in requests.values():
            for rows in read_pages(client, request, outcome, self.deadline):
                self._collect_row_requests(operation, rows, key)
                yield Rows(outcome, key, seen, rows, sum(map(len, rows)))
                del rows  # as in read_pages

    def _collect_row_requests(self, operation: Operation, rows: list[bytes], key: Key) -> None:
        """Keep the requests that other operations have to make for these rows."""
        asking = [each for each in self._operations if each.parent and each.parent.table == operation.table]
        if not asking or not rows:
            return
        table = decode(rows, key, operation.name)[operation.table]
        for each in asking:
            for parameters, parent in each.requests(table):
                named = json.dumps(parameters)  # one request for a row that AWS sent twice
                self._row_requests[each.name].setdefault(named, (Request(parameters), replace(key, parent=parent)))

    def _fail(self, outcomes: Sequence[Outcome], error: Exception) -> None:
        if self.deadline.cancelled.is_set():  # the reading was abandoned, and its end is recorded already
            raise Cancelled
        if self._owned:
            for each in walk_causes(error):  # their tracebacks would keep the clients, perhaps thousands, in memory
                each.__traceback__ = None
        failure = _as_drain_error(error, outcomes[0].find_position())
        for outcome in outcomes:
            outcome.end(failure)

    def abandon(self) -> None:
        """Abandon the read: its thread blocks where no deadline applies, for example in DNS."""
        self.deadline.cancel()
        late = deadlines.make_timeout_error(self.deadline.seconds)
        for outcome in self.outcomes:
            if outcome.ended_at is None:
                outcome.end(_as_drain_error(late, outcome.find_position()))


def _as_drain_error(error: Exception, where: failures.Position) -> DrainError:
    """Return an error as a DrainError, which coverage can record."""
    if not isinstance(error, AppStreamFramesError):  # an unexpected error
        explained = failures.explain(error, where)
        explained.__cause__ = error
        error = explained
    if isinstance(error, DrainError):
        return error
    code = failures.get_code(error.__cause__ or error)
    shown = DrainError(str(error), target=where.target, page=where.page, resume_token=where.resume_token, code=code)
    shown.__cause__ = error
    return shown


class EndlessError(Exception):
    """A sequence of pages that would never end."""


def read_pages(client: Any, request: Request, outcome: Outcome, deadline: Deadline) -> Iterator[list[bytes]]:
    """Yield the rows of each page of the outcome's operation; blocks the calling thread while AWS answers.

    The client has the strict reader and connections of this process attached; the deadline starts again with every page. The
    outcome records pages, retries and the resume token: after each page the one behind it, at the end None, unless `max_items`
    cut the rows.
    """
    ask, encode = _paginate(client, outcome.operation), TokenEncoder().encode
    token, skipped = decode_token(request.starting_token)
    left, empty, sent = request.max_items, 0, set[str]()
    outcome.resume_token = request.starting_token
    while True:
        page = _read_page(partial(ask, **request.page_parameters(token)), client, outcome, deadline)
        outcome.pages += 1
        if page.unmodeled:
            outcome.unmodeled.append(page.unmodeled)
        rows = page.rows[skipped:]
        if left is not None and len(rows) > left:
            outcome.resume_token = encode({"NextToken": token, "boto_truncate_amount": skipped + left})
            yield rows[:left]
            return
        outcome.resume_token = page.token and encode({"NextToken": page.token})
        yield rows
        left = None if left is None else left - len(rows)
        if page.token is None or left == 0:
            return
        empty = 0 if page.rows else empty + 1
        if page.token in sent:
            endless = "AWS sent a NextToken that it had sent before"
        elif empty >= _ENDLESS:
            endless = f"AWS sent {empty} pages in a row without a row, each with a new NextToken"
        elif outcome.stale >= _ENDLESS:
            endless = f"{outcome.stale} pages came again, each with a new NextToken"
        else:
            sent.add(page.token)
            token, skipped = page.token, 0
            del page, rows  # the traceback of a later failure may show variables, and rows hold signed URLs
            continue
        raise failures.explain(EndlessError(endless), outcome.find_position(holder=client))


def _paginate(client: Any, operation: str) -> Callable[..., object]:
    """Return a function that requests one page: by boto3's paginator, or by the operation itself where there is none."""
    method = xform_name(operation)
    # the first thread searches all of botocore's folders for paginators; the others wait for its result
    with deadlines.get_process_lock("paginators"):
        if not client.can_paginate(method):
            return getattr(client, method)  # type: ignore[no-any-return]
        paginator = client.get_paginator(method)
    return lambda **parameters: next(iter(paginator.paginate(**parameters)))


def _read_page(ask: Callable[[], object], client: Any, outcome: Outcome, deadline: Deadline) -> response.Page:
    """Request a page until it is validated, the failure is final, or the time is up."""
    deadline.restart()
    attempts = Attempts(deadline)
    while True:
        try:
            sent = deadline.requests
            page = response.read_strictly(outcome.operation, ask)
            if page is None or deadline.requests == sent:
                deadlines.look_up_handlers_again(client)
                raise response.PageError("the reply bypassed the strict reader", cut=True)
            return page
        except Exception as error:  # noqa: BLE001  every kind is retried or explained
            if attempts.wait(error):
                outcome.retries += 1
                continue
            last = attempts.last or error
        late = TimeoutError(f"no whole page within {deadline.seconds:g} s") if attempts.is_late else None
        position = outcome.find_position(holder=client)
        # outside of `except`: the frames of a context hold credentials
        raise failures.explain(last, position, attempts.failed, late, unreachable=attempts.unreachable) from last
