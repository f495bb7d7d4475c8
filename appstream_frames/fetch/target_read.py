"""One target while it is read: a thread yields its pages, and whoever takes them notes what they held."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from appstream_frames.aws.clients import ClientPool, Location, locate
from appstream_frames.aws.deadlines import Cancelled, Deadline, make_timeout_error, use_own_connections
from appstream_frames.aws.redaction import walk_causes
from appstream_frames.aws.targets import Target
from appstream_frames.errors import RequestError
from appstream_frames.fetch import response
from appstream_frames.fetch.outcomes import Outcome, as_drain_error
from appstream_frames.fetch.pages import read_pages
from appstream_frames.fetch.request import Request
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.operations import Operation

#: Failures that every operation of the target shares.
_WHOLE_TARGET: Final = frozenset({"bad_credentials", "region_disabled", "no_endpoint"})


@dataclass(repr=False)
class Rows:
    """The rows of a page as JSON bytes; the pages of one request share the key."""

    outcome: Outcome
    key: Key
    rows: list[bytes]

    @property
    def size(self) -> int:
        """How many bytes they are."""
        return sum(map(len, self.rows))


class TargetRead:
    """The reading of one target, a `Target` or a boto3 AppStream client: an outcome for each operation, and its pages.

    The first operation is asked for `request`. A page may take `timeout` seconds by the clock on the wall, and so may finding
    the location. The client of a `Target` comes from `clients` and is closed at the end.
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
        self.target, self._operations = target, operations
        self.deadline = Deadline(timeout)
        self.deadline.pause()
        self.outcomes = [
            Outcome(each.name, each.table, self.name, account, region, snapshot, wanted, started_at=snapshot)
            for each, wanted in zip(operations, _list_requests(operations, request), strict=True)
        ]
        self.refusal: RequestError | None = None  # of the first operation
        self.waiting: deque[Rows] = deque()  # for the targets before this one
        self.ended = False  # whether no page will come any more
        #: What operations are asked about, by their names: requests by their parameters, each with the key of its rows.
        self._questions: dict[str, dict[str, tuple[Request, Key]]] = defaultdict(dict)

    @property
    def account(self) -> str | None:
        """The account, once it is known."""
        return self.outcomes[0].account

    def pages(self) -> Generator[Rows | Location, None, None]:
        """Yield the location, then each page of each operation; the caller's thread waits for AWS here.

        What fails is noted in the outcomes, and the next operation goes on where it can.
        """
        self.deadline.restart()
        self.outcomes[0].started_at = dt.datetime.now(dt.UTC)
        try:
            location = self._locate()
        except Exception as error:  # noqa: BLE001  whatever a provider of credentials raises
            self._fail(self.outcomes, error)
            return
        for outcome in self.outcomes:
            outcome.target, outcome.account, outcome.region = str(location), location.account, location.region
            outcome.located = True
        with ExitStack() as stack:
            if self._owned:
                stack.enter_context(closing(location.client))  # or a thousand targets would leave a thousand sockets
            yield location
            stack.enter_context(use_own_connections(location.client))
            stack.enter_context(response.attach_strict_reader(location.client))
            for operation, outcome in zip(self._operations, self.outcomes, strict=True):
                yield from self._read(location.client, operation, outcome)

    def _read(self, client: Any, operation: Operation, outcome: Outcome) -> Iterator[Rows]:
        outcome.started_at = dt.datetime.now(dt.UTC)
        if (obstacle := self._find_obstacle(operation)) is not None:
            outcome.status, outcome.failure = obstacle.status, obstacle.failure
            outcome.end()
            return
        try:
            for rows in self._read_rows(client, operation, outcome):
                yield rows
                if outcome.failure is not None:  # whoever takes the pages has seen enough
                    break
        except Exception as error:  # noqa: BLE001  every kind is explained
            self._fail([outcome], error)
            return
        if outcome.failure is None and (outcome.request.starting_token or outcome.resume_token):
            outcome.status = "limited"
        outcome.end()

    def _find_obstacle(self, operation: Operation) -> Outcome | None:
        """Return an outcome because of which the operation cannot be read."""
        for outcome in self.outcomes:
            is_parent = operation.parent is not None and operation.parent.table == outcome.table
            if outcome.status in _WHOLE_TARGET or (is_parent and outcome.status != "complete"):
                return outcome
        return None

    def _read_rows(self, client: Any, operation: Operation, outcome: Outcome) -> Iterator[Rows]:
        if operation.parent is None:
            own = Key(outcome.snapshot, outcome.account or "", outcome.region or "")
            questions = [(outcome.request, own)]
        else:
            questions = list(self._questions.pop(operation.name, {}).values())
        for request, key in questions:
            for rows in read_pages(client, request, outcome, self.deadline):
                self._note_questions(operation, rows, key)
                yield Rows(outcome, key, rows)
                del rows  # as in read_pages

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

    def _fail(self, outcomes: Sequence[Outcome], error: Exception) -> None:
        if self.deadline.cancelled:  # the reading was given up meanwhile, and its end is told already
            raise Cancelled
        if self._owned:
            for each in walk_causes(error):  # their tracebacks hold the client, of which there may be thousands
                each.__traceback__ = None
        if outcomes[0] is self.outcomes[0] and isinstance(error, RequestError):
            self.refusal = error
        failure = as_drain_error(error, outcomes[0].find_position())
        for outcome in outcomes:
            outcome.fail(failure)
            outcome.end()

    def abandon(self) -> None:
        """Give the reading up: its thread waits where no deadline is kept, say for a name server."""
        self.deadline.cancel()
        late = make_timeout_error(self.deadline.seconds)
        for outcome in self.outcomes:
            if outcome.ended_at is None:
                outcome.fail(as_drain_error(late, outcome.find_position()))
                outcome.end()


def _list_requests(operations: Sequence[Operation], request: Request) -> list[Request]:
    """Return the request of each operation; what chooses the rows of a table chooses what is asked about them."""
    chosen = {operations[0].table: Request(request.parameters)}
    for each in operations[1:]:
        chosen[each.table] = chosen[each.parent.table] if each.parent else Request()
    return [request, *list(chosen.values())[1:]]
