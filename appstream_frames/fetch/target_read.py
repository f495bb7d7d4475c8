"""One target while it is read: a thread yields its pages, and whoever takes them notes what they held."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Final

from appstream_frames.aws import failures
from appstream_frames.aws.clients import Location
from appstream_frames.aws.connections import own_connections
from appstream_frames.aws.deadlines import Cancelled, Deadline
from appstream_frames.errors import DrainError
from appstream_frames.fetch import response
from appstream_frames.fetch.outcomes import Outcome, as_drain_error
from appstream_frames.fetch.pages import Pages
from appstream_frames.fetch.request import Request
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.operations import Operation

_STALE_PAGES: Final = 100
#: Failures that every operation of the target shares.
_WHOLE_TARGET: Final = frozenset({"bad_credentials", "region_disabled", "no_endpoint"})
_NOTHING: Final = Request()


@dataclass(frozen=True, repr=False)
class Rows:
    """The rows of one page, as JSON bytes."""

    outcome: Outcome
    key: Key
    rows: list[bytes]
    size: int  # in bytes


@dataclass
class _Progress:
    """What is known of the rows of one operation so far."""

    seen: set[int] = field(default_factory=set)  # hashed identities
    unnamed: set[int] = field(default_factory=set)  # hashed rows that have no identity
    stale: int = 0  # pages in a row that held nothing new


class TargetRead:
    """The reading of one target.

    Parameters
    ----------
    name : str
        What messages call the target until its account is known.
    locate : callable
        Returns the `Location`; it may take a while, or fail.
    operations : sequence of Operation
        What to read, in order.
    request : Request
        What to ask the first operation for.
    timeout : float
        Wall-clock seconds that one page may take, and finding the location.
    snapshot : datetime
        For every row.
    account, region : str or None
        As far as they are known before.
    owned : bool
        Whether the client is the reading's own, to be closed at its end.

    Attributes
    ----------
    outcomes : list of Outcome
        One for each operation.
    error : Exception or None
        What the first operation failed with.
    waiting : deque of Rows
        Pages that were read and not yet taken.
    ended : bool
        Whether no page will come any more.
    """

    def __init__(
        self,
        name: str,
        locate: Callable[[], Location],
        operations: Sequence[Operation],
        request: Request,
        timeout: float,
        snapshot: dt.datetime,
        account: str | None = None,
        region: str | None = None,
        *,
        owned: bool = False,
    ) -> None:
        self.name, self.timeout = name, timeout
        self._locate, self._operations, self._owned = locate, operations, owned
        self.deadline = Deadline()
        requests = [request, *[_NOTHING] * (len(operations) - 1)]
        self.outcomes = [
            Outcome(each.name, each.table, name, account, region, snapshot, wanted, started_at=snapshot)
            for each, wanted in zip(operations, requests, strict=True)
        ]
        self.error: Exception | None = None
        self.waiting: deque[Rows] = deque()
        self.ended = False
        self._progress = {each.name: _Progress() for each in operations}
        self._asking: tuple[Outcome, Pages] | None = None  # what the thread waits for
        self._questions: dict[str, dict[str, tuple[Request, Key]]] = {
            each.name: {} for each in operations if each.parent
        }

    @property
    def account(self) -> str | None:
        """The account, once it is known."""
        return self.outcomes[0].account

    def pages(self) -> Generator[Rows | Location, None, None]:
        """Yield the location, then each page of each operation; the caller's thread waits for AWS here.

        What fails is noted in the outcomes, and the next operation goes on where it can.
        """
        left = list(zip(self._operations, self.outcomes, strict=True))
        self._begin(left[0][1])
        try:
            location = self._locate()
        except Exception as error:  # noqa: BLE001  whatever a provider of credentials raises
            self._fail(self.outcomes, self._noted(error, failures.Position(self.name, 0, None)))
            return
        for outcome in self.outcomes:
            outcome.target, outcome.account, outcome.region = str(location), location.account, location.region
        with ExitStack() as stack:
            if self._owned:
                stack.enter_context(closing(location.client))  # or a thousand targets would leave a thousand sockets
            yield location
            stack.enter_context(own_connections(location.client))
            stack.enter_context(response.strict(location.client))
            while left:
                yield from self._read(location, *left[0])
                _, outcome = left.pop(0)
                if outcome.failure is not None and outcome.status in _WHOLE_TARGET:
                    self._fail([each for _, each in left], outcome.failure)
                    return

    def _begin(self, outcome: Outcome) -> None:
        outcome.started_at = dt.datetime.now(dt.UTC)
        self.deadline.restart(self.timeout)

    def _read(self, location: Location, operation: Operation, outcome: Outcome) -> Iterator[Rows]:
        self._begin(outcome)
        if (above := self._parent_of(operation)) is not None and above.status != "complete":
            outcome.status, outcome.failure, outcome.ended_at = above.status, above.failure, outcome.started_at
            return
        for request, key in self._requests(operation, outcome):
            pages = Pages(
                location.client,
                operation.name,
                request,
                target=outcome.target,
                deadline=self.deadline,
                timeout=self.timeout,
            )
            self._asking = outcome, pages
            retries, done = outcome.retries, outcome.pages
            try:
                for page in pages:
                    outcome.pages, outcome.retries = done + pages.read, retries + pages.retries
                    outcome.resume_token = pages.resume_token
                    outcome.add_unmodeled(page.unmodeled)
                    self._note_questions(operation, page.rows, key)
                    yield Rows(outcome, key, page.rows, sum(map(len, page.rows)))
                    if outcome.failure is not None:  # whoever takes the pages has seen enough
                        break
            except Exception as error:  # noqa: BLE001  every kind is explained
                where = failures.Position(outcome.target, pages.read + 1, pages.resume_token, operation=operation.name)
                self._fail([outcome], self._noted(error, where))
            outcome.retries, outcome.resume_token = retries + pages.retries, pages.resume_token
            self._asking = None  # it holds the client
            if outcome.failure is not None:
                break
        outcome.ended_at = dt.datetime.now(dt.UTC)
        if outcome.failure is None and (outcome.request.starting_token or outcome.resume_token):
            outcome.status = "limited"

    def _parent_of(self, operation: Operation) -> Outcome | None:
        """Return how the operation was read whose rows this one is about."""
        if operation.parent is None:
            return None
        return next(outcome for outcome in self.outcomes if outcome.table == operation.parent.table)

    def _requests(self, operation: Operation, outcome: Outcome) -> list[tuple[Request, Key]]:
        if operation.parent is not None:
            return list(self._questions.pop(operation.name).values())
        return [(outcome.request, Key(outcome.snapshot, outcome.account or "", outcome.region or ""))]

    def _note_questions(self, operation: Operation, rows: list[bytes], key: Key) -> None:
        """Keep what operations are asked about each of these rows."""
        asking = [each for each in self._operations if each.parent and each.parent.table == operation.table]
        if not asking or not rows:
            return
        table = decode(rows, key, operation.name)[operation.table]
        for each in asking:
            for parameters, parent in each.requests(table):
                named = json.dumps(parameters)  # a row that AWS sent twice is asked about once
                self._questions[each.name].setdefault(named, (Request(parameters), replace(key, parent=parent)))

    def _noted(self, error: Exception, where: failures.Position) -> DrainError:
        """Return the failure that an error is, and keep the error when the first operation met it."""
        if self.deadline.cancelled:  # the reading was given up meanwhile, and its end is told already
            raise Cancelled
        if self._owned:
            _drop_tracebacks(error)
        if where.operation == self.outcomes[0].operation:
            self.error = error
        return as_drain_error(error, where)

    def _fail(self, outcomes: Sequence[Outcome], failure: DrainError) -> None:
        for outcome in outcomes:
            outcome.fail(failure)
            outcome.ended_at = dt.datetime.now(dt.UTC)

    def abandon(self) -> None:
        """Give the reading up: its thread waits where no deadline is kept, say for a name server."""
        late = TimeoutError(f"no answer within {self.deadline.seconds:g} s")
        self.deadline.cancel()
        asking = self._asking  # the thread may end meanwhile
        for outcome in self.outcomes:
            if outcome.ended_at is None:
                if asking is not None and asking[0] is outcome:
                    outcome.resume_token = asking[1].resume_token
                page = outcome.pages + 1 if outcome.account else 0
                where = failures.Position(outcome.target, page, outcome.resume_token, operation=outcome.operation)
                outcome.fail(as_drain_error(late, where))
                outcome.ended_at = dt.datetime.now(dt.UTC)
        self.error = self.outcomes[0].failure

    def seen(self, outcome: Outcome) -> set[int]:
        """Return the hashed identities of the rows of an operation so far."""
        return self._progress[outcome.operation].seen

    def check(self, outcome: Outcome, pages: int, new: int, rows: Sequence[bytes], kept: int) -> None:
        """End the reading of an operation whose pages only repeat themselves, under ever-new tokens.

        Parameters
        ----------
        pages : int
            Pages that were decoded.
        new : int
            Identities in them that had not come before.
        rows : sequence of bytes
            Their rows.
        kept : int
            How many of the rows were kept: with no identity that is new, these have none.
        """
        progress = self._progress[outcome.operation]
        hashes = {hash(row) for row in rows} if kept and not new else set()
        progress.stale = 0 if new or hashes - progress.unnamed else progress.stale + pages
        progress.unnamed |= hashes
        if progress.stale < _STALE_PAGES or self.ended:
            return
        words = (
            f"{outcome.target}, page {outcome.pages} of {outcome.operation}: {progress.stale} pages came again, each with a new "
            "NextToken. Expected the pages to end. Nothing of this target is returned; try again."
        )
        failure = DrainError(words, target=outcome.target, page=outcome.pages, resume_token=outcome.resume_token)
        self.error = self.error or failure
        outcome.fail(failure)


def _drop_tracebacks(error: BaseException | None) -> None:
    """Take the tracebacks off an error and its causes: they hold the client, of which there may be thousands."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
