"""Many targets side by side: threads that wait for AWS, and one consumer that decodes what they read, in the order of targets.

Up to 64 daemon threads take the next target each and read its pages into its queue, no more than eight calls of one account at a
time. The consumer decodes some 125 to 250 rows at once. What waits in all queues together is bounded, and the target that is
being handed on may always go on. Each thread keeps the deadline of what it waits for; where there is no socket to keep it on (a
name server, a `credential_process`), the consumer gives the target up.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from appstream_frames.aws import failures
from appstream_frames.aws.clients import Location
from appstream_frames.aws.deadlines import Cancelled
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.target_read import Rows, TargetRead
from appstream_frames.tables.decode import Group, decode_groups

_AT_ONCE: Final = 64  # targets
_EACH_ACCOUNT: Final = 8  # calls under way: its regions must not fight for what AWS grants the account
_MOST_WAITING: Final = 64 * 2**20  # bytes of rows that wait to be decoded
#: Rows decoded at once: enough for Arrow, and soon over, as whoever waits for the tables waits for it.
_BATCH: Final = 125
_GRACE: Final = 2.0  # seconds after its deadline in which a thread ends by itself

Tables = dict[str, pa.Table]


class ProgressObserver(Protocol):
    """Receives progress events of a drain."""

    def located(self, target: str) -> None:
        """Note what a target is called, now that its account is known."""

    def read(self, rows: int) -> None:
        """Note that a page of the first operation was read."""

    def ended(self, *, failed: bool) -> None:
        """Note that a target's reading has ended."""


@dataclass(frozen=True)
class Batch:
    """Some rows of one operation of one target, as tables by name."""

    target: int  # its number
    tables: Tables


def read_side_by_side(
    reads: Sequence[TargetRead], observer: ProgressObserver, most_waiting: float = _MOST_WAITING
) -> Iterator[Batch]:
    """Read targets side by side, and yield their tables in the order of the targets.

    A target that fails ends there, and its outcomes say so; the others go on.

    Parameters
    ----------
    reads : sequence of TargetRead
        None of them begun.
    observer : ProgressObserver
        Receives pages and ends as they come, in the calling thread.
    most_waiting : float
        Bytes of rows that may wait for a target before them.

    Raises
    ------
    RequestError
        When two of them turn out to be the same account and region.
    DrainError
        When this process may start no thread.
    """
    threads = _Threads(reads, observer, most_waiting)
    try:
        threads.start()
        yield from threads.batches()
    finally:
        threads.stop()


class _Threads:
    def __init__(self, reads: Sequence[TargetRead], observer: ProgressObserver, most_waiting: float) -> None:
        self._reads, self._observer, self._most_waiting = reads, observer, most_waiting
        self._lock = threading.Lock()  # guards what follows
        self._news = threading.Condition(self._lock)  # for the consumer
        self._space = threading.Condition(self._lock)  # for the threads
        self._begun = 0  # reads that a thread has taken
        self._first = 0  # the read that is being handed on
        self._running = 0  # the first read that has not ended
        self._bytes = 0  # of rows that wait
        self._under_way: dict[TargetRead, tuple[int, threading.Thread]] = {}  # its number, and who reads it
        self._at_once = _AT_ONCE
        self._workers: set[threading.Thread] = set()
        self._accounts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(_EACH_ACCOUNT))
        self._locations: dict[str, str] = {}
        self._stopped = False
        self._error: BaseException | None = None  # that ends everything
        self._shortage: str | None = None  # to be warned of
        self._located: list[str] = []  # for the observer, like those below
        self._pages: list[int] = []
        self._ends: list[bool] = []

    # the threads

    def start(self) -> None:
        """Start as many threads as there may be targets at once."""
        for _ in range(min(_AT_ONCE, len(self._reads))):
            if not self._start_one():
                break

    def _start_one(self) -> bool:
        worker = threading.Thread(target=self._work, name="appstream_frames.read", daemon=True)
        with self._lock:
            self._workers.add(worker)
        try:
            worker.start()
        except RuntimeError as error:
            with self._lock:
                self._workers.discard(worker)
                self._shortage = failures.OUT_OF_THREADS
            if not self._workers:
                raise DrainError(f"{failures.OUT_OF_THREADS} Not one more could be started ({error}).") from None
            return False
        return True

    def _work(self) -> None:
        try:
            while (read := self._take_read()) is not None:
                with read.deadline:
                    self._read(read)
        finally:
            with self._lock:
                self._workers.discard(threading.current_thread())

    def _take_read(self) -> TargetRead | None:
        with self._lock:
            while not self._stopped and self._begun < len(self._reads) and len(self._workers) <= self._at_once:
                if self._may_go_on(self._begun):
                    read = self._reads[self._begun]
                    self._under_way[read] = self._begun, threading.current_thread()
                    self._begun += 1
                    return read
                self._space.wait()
        return None

    def _may_go_on(self, number: int) -> bool:
        return number <= self._running or self._bytes < self._most_waiting

    def _read(self, read: TargetRead) -> None:
        read.deadline.out_of_files = self._read_fewer
        try:
            with closing(read.pages()) as pages:
                while self._wait_for_turn(read):
                    with self._slot(read.account):
                        read.deadline.restart(read.timeout)
                        page = next(pages, None)
                        read.deadline.restart(math.inf)
                    if page is None:
                        break
                    self._add(read, page)
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001  it is raised where the tables are awaited
            with self._lock:
                self._error = self._error or error
        finally:
            self._end(read)

    def _wait_for_turn(self, read: TargetRead) -> bool:
        with self._lock:
            self._space.wait_for(lambda: self._stopped or read.ended or self._may_go_on(self._under_way[read][0]))
            return not self._stopped and not read.ended

    def _slot(self, account: str | None) -> AbstractContextManager[object]:
        if account is None:
            return nullcontext()
        with self._lock:
            return self._accounts[account]

    def _add(self, read: TargetRead, page: Rows | Location) -> None:
        with self._lock:
            if read.ended:
                return
            if isinstance(page, Location):
                self._locate(read, str(page))
            else:
                read.waiting.append(page)
                self._bytes += page.size
                if page.outcome is read.outcomes[0]:
                    self._pages.append(len(page.rows))
            self._news.notify()

    def _locate(self, read: TargetRead, location: str) -> None:
        try:
            check_duplicate(self._locations, location, read.name)
        except RequestError as error:
            self._error = self._error or error
        self._located.append(location)

    def _end(self, read: TargetRead) -> None:
        with self._lock:
            if self._under_way.pop(read, None) is not None:
                self._note_end(read)
            self._news.notify()

    def _note_end(self, read: TargetRead) -> None:
        read.ended = True
        self._ends.append(any(outcome.failure for outcome in read.outcomes))
        while self._running < len(self._reads) and self._reads[self._running].ended:
            self._running += 1
        self._space.notify_all()

    def _read_fewer(self) -> None:
        """Read fewer targets at once from now on: this process may open no more files."""
        with self._lock:
            self._at_once = max(1, min(self._at_once, len(self._workers)) - 1)
            self._shortage = failures.OUT_OF_FILES

    # the consumer

    def batches(self) -> Iterator[Batch]:
        """Yield the tables of each target, in order."""
        while self._first < len(self._reads):
            with self._lock:
                if not self._is_ready() and not self._error:
                    self._news.wait(self._until_next_deadline())
                late = [read for read in self._under_way if read.deadline.ends + _GRACE < time.monotonic()]
            for read in late:
                self._give_up(read)
            self._tell()
            with self._lock:
                taken = self._take_rows() if self._is_ready() else []
            yield from self._decode(taken)
        self._tell()

    def _is_ready(self) -> bool:
        """Return whether enough rows wait in a row of targets, or nothing more is to come that could be handed on before them."""
        rows = 0
        for read in self._reads[self._first :]:
            rows += sum(len(page.rows) for page in read.waiting)
            if rows >= _BATCH:
                return True
            if not read.ended:
                return False
        return True

    def _until_next_deadline(self) -> float | None:
        ends = min((read.deadline.ends for read in self._under_way), default=math.inf)
        return (
            None if math.isinf(ends) else min(max(0.0, ends + _GRACE - time.monotonic()) + 0.01, threading.TIMEOUT_MAX)
        )

    def _give_up(self, read: TargetRead) -> None:
        """Fail a target whose thread cannot keep its deadline, and let another thread take over."""
        with self._lock:
            if read not in self._under_way:
                return
            _, worker = self._under_way.pop(read)
            self._workers.discard(worker)
            read.abandon()
            self._note_end(read)
        self._start_one()

    def _tell(self) -> None:
        with self._lock:
            located, self._located = self._located, []
            pages, self._pages = self._pages, []
            ends, self._ends = self._ends, []
            shortage, self._shortage = self._shortage, None
            error = self._error
        for target in located:
            self._observer.located(target)
        if pages:
            self._observer.read(sum(pages))
        for failed in ends:
            self._observer.ended(failed=failed)
        if shortage:
            warnings.warn(f"{shortage} Fewer targets are read at once.", stacklevel=2)
        if error is not None:
            raise error

    def _take_rows(self) -> list[tuple[int, Rows]]:
        """Return pages of the first targets in order, and go on to the next target when one is handed on whole."""
        taken: list[tuple[int, Rows]] = []
        rows = 0
        while self._first < len(self._reads):
            read = self._reads[self._first]
            while read.waiting and rows < _BATCH:
                page = read.waiting.popleft()
                taken.append((self._first, page))
                rows += len(page.rows)
                self._bytes -= page.size
            if read.waiting or not read.ended:
                break
            self._first += 1
        self._space.notify_all()
        return taken

    def _decode(self, taken: Iterable[tuple[int, Rows]]) -> Iterator[Batch]:
        by_operation: dict[str, list[tuple[int, Rows]]] = defaultdict(list)
        for number, page in taken:
            if page.rows:
                by_operation[page.outcome.operation].append((number, page))
        for operation, pages in by_operation.items():
            yield from self._decode_operation(operation, pages)

    def _decode_operation(self, operation: str, pages: Sequence[tuple[int, Rows]]) -> Iterator[Batch]:
        """Decode the pages of some targets together, which costs less than one by one."""
        merged: list[tuple[int, Rows, list[bytes]]] = []
        counts: Counter[int] = Counter()
        for number, page in pages:
            if not merged or (merged[-1][0], merged[-1][1].key) != (number, page.key):
                merged.append((number, page, []))
            merged[-1][2].extend(page.rows)
            counts[len(merged) - 1] += 1
        groups = [Group(rows, page.key, self._reads[number].seen(page.outcome)) for number, page, rows in merged]
        known = [len(group.seen) for group in groups]
        for index, tables in enumerate(decode_groups(groups, operation)):
            number, page, rows = merged[index]
            outcome = page.outcome
            outcome.sent += len(rows)
            for name, table in tables.items():
                outcome.rows[name] += table.num_rows
            new = len(groups[index].seen) - known[index]
            self._reads[number].check(outcome, counts[index], new, rows, tables[outcome.table].num_rows)
            yield Batch(number, tables)

    def stop(self) -> None:
        """Have every thread end, and wait a little until it has: it takes what it attached to a client off again."""
        with self._lock:
            self._stopped = True
            for read in self._under_way:
                read.deadline.cancel()
            workers = list(self._workers)
            self._space.notify_all()
        ends = time.monotonic() + _GRACE
        for worker in workers:
            worker.join(max(0.0, ends - time.monotonic()))


def check_duplicate(locations: dict[str, str], location: str, target: str) -> None:
    """Note which target a location belongs to, and refuse a second one: its rows would count twice."""
    if location in locations:
        raise RequestError(
            f"{locations[location]} and {target} are both {location}, and its images would count twice. "
            "Pass one target for each account and region."
        )
    locations[location] = target
