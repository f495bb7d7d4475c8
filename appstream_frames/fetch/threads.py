"""Many targets side by side: each chain of pages has a thread that waits for AWS, and one thread does all the rest.

That one asks for pages, flattens them, keeps every deadline and hands the batches on in the order of the targets, whatever
the order in which they arrive. It asks no more than the limits allow: so many targets at once, so many calls of one account,
and, when the batches of later targets pile up behind a slow one, only the slow one's.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

import pyarrow as pa

from appstream_frames.aws.clients import Place
from appstream_frames.aws.deadlines import Answer, Calls
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.outcomes import Chain, Outcome
from appstream_frames.tables.decode import decode_groups

_AT_ONCE: Final = 64  # targets
_EACH_ACCOUNT: Final = 8  # calls under way: its regions must not fight for what AWS grants the account
_BEHIND: Final = 128 * 2**20  # bytes, as they came, of batches that may wait for a slower target before them
#: Images flattened at once: enough for Arrow, and soon over, as the next pages are asked for after it.
_BATCH: Final = 125
_MOST_WAITING: Final = 32 * _BATCH  # images that wait to be flattened, some two pages of each target
_LONGEST_WAIT: Final = 3600.0

Tables = dict[str, pa.Table]


class Watch(Protocol):
    """Somebody who wants to know how it goes."""

    def read(self, images: int) -> None:
        """Note that a page was read."""

    def ended(self, outcome: Outcome) -> None:
        """Note that a target's drain has ended."""


def side_by_side(chains: Sequence[Chain], watch: Watch, behind: float = _BEHIND) -> Iterator[tuple[int, Tables]]:
    """Drain chains side by side, and yield each one's number with its batches, in the order of the chains.

    A chain that fails ends there, and its outcome says so; the others go on.

    Parameters
    ----------
    chains : sequence of Chain
        None of them begun.
    watch : Watch
        Is told of pages and ends as they come.
    behind : float
        Bytes of batches that may wait for a target before them.

    Raises
    ------
    RequestError
        When two of them turn out to be the same account and region.
    """
    run = _Run(chains, watch, behind)
    try:
        yield from run.batches()
    finally:
        run.give_up()


@dataclass(eq=False)
class _Line:
    """A chain that has begun, with the thread that waits for it."""

    number: int
    chain: Chain
    calls: Calls[Any]
    asked: bool = False
    account: str | None = None  # that its call under way counts for

    @property
    def deadline(self) -> float:
        return self.calls.asked_at + self.chain.timeout


class _Run:
    def __init__(self, chains: Sequence[Chain], watch: Watch, behind: float) -> None:
        self._chains, self._watch, self._behind = chains, watch, behind
        self._lines: dict[Calls[Any], _Line] = {}  # those that have not ended
        self._begun = 0  # chains begun so far
        self._given = 0  # chains whose batches were all handed on
        self._held: list[deque[tuple[int, Tables]]] = [deque() for _ in chains]  # batches, with the bytes they came in
        self._bytes = 0
        self._waiting = 0  # images that have come and are not flattened yet
        self._under_way: Counter[str | None] = Counter()  # calls by account
        self._answers: SimpleQueue[Answer[Any]] = SimpleQueue()
        self._places: dict[str, str] = {}
        self._full: list[_Line] = []  # chains that have ended, with images to be flattened

    def batches(self) -> Iterator[tuple[int, Tables]]:
        while self._given < len(self._chains):
            self._begin()
            self._ask()
            self._listen()
            self._flatten()
            yield from self._in_order()

    def give_up(self) -> None:
        """End the threads that are still there."""
        for line in self._lines.values():
            line.calls.abandon() if line.asked else line.calls.end()

    def _begin(self) -> None:
        while self._begun < len(self._chains) and len(self._lines) < _AT_ONCE and self._may_go(self._begun):
            chain = self._chains[self._begun]
            chain.begin()
            calls: Calls[Any] = Calls(chain.steps(), self._answers)
            self._lines[calls] = _Line(self._begun, chain, calls)
            self._begun += 1

    def _may_go(self, number: int) -> bool:
        """Tell whether a chain may go on: the first one always, others while not too much waits for it or to be flattened."""
        return number == self._given or (self._bytes < self._behind and self._waiting < _MOST_WAITING)

    def _ask(self) -> None:
        for line in self._lines.values():
            account = line.chain.outcome.account
            if not line.asked and self._may_go(line.number) and self._under_way[account] < _limit(account):
                line.asked, line.account = True, account
                self._under_way[account] += 1
                line.calls.ask()

    def _listen(self) -> None:
        """Take every answer that is there; with nothing else to do, wait for one until the next deadline."""
        idle = self._waiting < _BATCH
        wait = min((line.deadline for line in self._asked()), default=0.0) - time.monotonic() if idle else 0.0
        try:
            while True:
                self._take(self._answers.get(timeout=min(max(wait, 0.0), _LONGEST_WAIT)))
                wait = 0.0
        except Empty:
            self._give_up_late_ones()

    def _asked(self) -> Iterator[_Line]:
        return (line for line in self._lines.values() if line.asked)

    def _take(self, answer: Answer[Any]) -> None:
        line = self._lines.get(answer.calls)
        if line is None:
            return  # it was given up
        self._answered(line)
        if answer.error is not None or answer.value is None:
            line.calls.end()
            self._end(line, answer.error)
        elif isinstance(answer.value, Place):
            self._found(line, answer.value)
        else:
            line.chain.take(answer.value)
            self._waiting += len(answer.value.images)
            self._watch.read(len(answer.value.images))

    def _answered(self, line: _Line) -> None:
        line.asked = False
        self._under_way[line.account] -= 1

    def _found(self, line: _Line, place: Place) -> None:
        check_twins(self._places, str(place), line.chain.target)
        line.chain.found(place)

    def _give_up_late_ones(self) -> None:
        now = time.monotonic()
        for line in [line for line in self._asked() if line.deadline <= now]:
            self._answered(line)
            line.calls.abandon()
            self._end(line, line.chain.late())

    def _end(self, line: _Line, error: BaseException | None) -> None:
        del self._lines[line.calls]
        line.chain.end(error)
        self._full.append(line)
        self._watch.ended(line.chain.outcome)

    def _flatten(self) -> None:
        """Flatten the images of some chains, once there are enough or nothing else is to be done."""
        lines = [line for line in (*self._full, *self._lines.values()) if line.chain.waiting]
        if not lines or (self._waiting < _BATCH and self._goes_on()):
            return
        totals = accumulate((line.chain.waiting for line in lines), initial=0)
        chosen = [line for line, before in zip(lines, totals, strict=False) if before < _BATCH]
        given = [line.chain.give() for line in chosen]
        for line, group, tables in zip(chosen, given, decode_groups(given), strict=True):
            self._waiting -= len(group.rows)
            self._hold(line, tables, sum(map(len, group.rows)))
        self._full = [line for line in self._full if line.chain.waiting]

    def _goes_on(self) -> bool:
        """Tell whether more images may come before those that wait are handed on."""
        return any(line.asked or self._may_go(line.number) for line in self._lines.values())

    def _hold(self, line: _Line, tables: Tables, size: int) -> None:
        try:
            line.chain.check(tables["images"])
        except DrainError as error:  # its pages only repeat themselves
            if line.asked:
                self._answered(line)
                line.calls.abandon()
            else:
                line.calls.end()
            self._end(line, error)
        self._held[line.number].append((size, tables))
        self._bytes += size

    def _in_order(self) -> Iterator[tuple[int, Tables]]:
        while self._given < self._begun:
            held = self._held[self._given]
            while held:
                size, tables = held.popleft()
                self._bytes -= size
                yield self._given, tables
            chain = self._chains[self._given]
            if chain.waiting or not chain.has_ended:
                return
            self._given += 1


def _limit(account: str | None) -> float:
    return math.inf if account is None else _EACH_ACCOUNT


def check_twins(places: dict[str, str], place: str, target: str) -> None:
    """Note which target a place belongs to, and refuse a second one: its images would count twice."""
    if place in places:
        raise RequestError(
            f"{places[place]} and {target} are both {place}, and its images would count twice. "
            "Pass one target for each account and region."
        )
    places[place] = target
