"""Read many targets side by side: threads wait for AWS, and one consumer decodes the pages in the order of targets.

Up to 64 daemon threads each take the next target and read its pages, with at most eight calls of one account at a time. Pages
wait at their target until every target before it has ended. Their total size is bounded; beyond it only the first target that
has not ended continues, while the consumer lacks rows. Each thread enforces its own deadline; where it has no socket to do so
(DNS, a `credential_process`), the consumer abandons the target.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final

import pyarrow as pa

from appstream_frames.aws import failures
from appstream_frames.aws.clients import Location
from appstream_frames.aws.deadlines import Cancelled
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.pages import Rows, TargetRead
from appstream_frames.fetch.progress import Bar
from appstream_frames.tables.decode import Group, decode_groups

MOST_WAITING: Final = 64 * 2**20  # bytes of rows that wait for the consumer, or that it decodes
_AT_ONCE: Final = 64  # targets
_EACH_ACCOUNT: Final = 8  # concurrent calls: the regions of an account share what AWS grants it
_BATCH: Final = 200  # rows decoded at once: enough for Arrow, and few enough that the caller does not wait long
_LOOK: Final = 0.5  # seconds between checks of the deadlines
_GRACE: Final = 2.0  # seconds after its deadline for a thread to end by itself

Tables = dict[str, pa.Table]


def read_side_by_side(reads: Sequence[TargetRead], bar: Bar) -> Iterator[Tables]:
    """Read targets side by side, and yield their tables in the order of the targets, some rows of one operation at a time.

    A failed target ends with the error in its outcomes; the others continue. The bar is updated in the calling thread.
    Raise RequestError when two targets prove to be the same account and region, DrainError when no thread can be started.
    """
    return _Threads(reads, bar).tables()


class _Threads:
    def __init__(self, reads: Sequence[TargetRead], bar: Bar) -> None:
        self._bar = bar
        self._events: deque[Callable[[], object]] = deque()  # calls that the consumer makes: progress, errors
        # limits of calls by account; while the account of a target is unknown, any number of threads may look for it
        self._slots: dict[str | None, threading.Semaphore] = {None: threading.Semaphore(_AT_ONCE)}
        self._locations: dict[str, str] = {}
        # the thread of a single target waits while the consumer decodes: the two would compete for the interpreter
        self._most_waiting = MOST_WAITING if len(reads) > 1 else 0
        self._lock = threading.RLock()  # guards what follows
        self._news = threading.Condition(self._lock)  # for the consumer
        self._space = threading.Condition(self._lock)  # for the threads
        self._at_once = min(_AT_ONCE, len(reads))
        self._workers: dict[threading.Thread, TargetRead | None] = {}  # and what each of them reads
        self._unread = deque(reads)  # those that no worker has taken
        self._unfinished = deque(reads)  # those from the first that has not ended, in order
        self._ready: deque[Rows] = deque()  # the pages with no unfinished target before them
        self._rows = 0  # of those pages, and of those that the consumer decodes
        self._waiting = 0  # bytes of all pages, and of those that the consumer decodes
        self._stopped = False

    # the threads

    def _work(self) -> None:
        worker = threading.current_thread()
        while True:
            with self._lock:
                enough = self._stopped or not self._unread or len(self._workers) > self._at_once
                if enough or worker not in self._workers:  # or it was abandoned
                    self._workers.pop(worker, None)
                    return
                read = self._workers[worker] = self._unread.popleft()
            self._read(read)

    def _read(self, read: TargetRead) -> None:
        read.deadline.out_of_files = partial(self._read_fewer, failures.OUT_OF_FILES)
        try:
            with read.deadline, closing(read.pages()) as pages:
                while self._wait_for_space(read):
                    with self._slots.setdefault(read.account, threading.Semaphore(_EACH_ACCOUNT)):
                        page = next(pages, None)
                        read.deadline.pause()
                    if page is None:
                        break
                    self._add(read, page)
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001  it is raised in the consumer's thread
            self._events.append(partial(_raise, error))
            self._stopped = True
        finally:
            self._end(read)

    def _wait_for_space(self, read: TargetRead) -> bool:
        with self._lock:
            self._space.wait_for(lambda: self._stopped or read.ended or self._has_space(read))
            return not self._stopped and not read.ended

    def _has_space(self, read: TargetRead) -> bool:
        return self._waiting < self._most_waiting or (read is self._unfinished[0] and not self._is_ready())

    def _add(self, read: TargetRead, page: Rows | Location) -> None:
        with self._lock:
            if isinstance(page, Location):
                check_duplicate(self._locations, str(page), read.name)
                self._events.append(partial(self._bar.name_target, str(page)))
            elif not read.ended:
                if page.outcome is read.outcomes[0]:
                    self._events.append(partial(self._bar.count_rows, len(page.rows)))
                read.waiting.append(page)
                self._waiting += page.size
                self._hand_over()

    def _end(self, read: TargetRead) -> None:
        with self._lock:
            if not read.ended:
                read.ended = True
                self._events.append(partial(self._bar.count_target, read.outcomes))
                self._hand_over()
                self._space.notify_all()

    def _hand_over(self) -> None:
        """Make ready the pages that have no unfinished target before them any more."""
        while self._unfinished:
            first = self._unfinished[0]
            self._ready += first.waiting
            self._rows += sum(len(page.rows) for page in first.waiting)
            first.waiting.clear()
            if not first.ended:
                break
            self._unfinished.popleft()
        if self._is_ready():
            self._news.notify()

    def _is_ready(self) -> bool:
        return self._stopped or self._rows >= _BATCH or not self._unfinished

    def _read_fewer(self, why: str) -> None:
        """Read fewer targets at once from now on: this process has reached a limit."""
        with self._lock:
            self._at_once = max(1, min(self._at_once - 1, len(self._workers)))
        self._events.append(partial(warnings.warn, f"{why} Fewer targets are read at once.", stacklevel=2))

    # the consumer

    def tables(self) -> Iterator[Tables]:
        """Yield the tables of each target, in order."""
        try:
            while self._unfinished or self._ready:
                self._start_workers()
                taken = self._take_pages()
                self._run_events()
                yield from _decode(taken)
                with self._lock:
                    self._rows -= sum(len(page.rows) for page in taken)
                    self._waiting -= sum(page.size for page in taken)
                    self._space.notify_all()
            self._run_events()
        finally:
            self._stop()

    def _start_workers(self) -> None:
        with self._lock:
            while self._unread and len(self._workers) < self._at_once:
                worker = threading.Thread(target=self._work, name="appstream_frames.read", daemon=True)
                self._workers[worker] = None
                try:
                    worker.start()
                except RuntimeError as error:
                    del self._workers[worker]
                    if not self._workers:
                        words = f"{failures.OUT_OF_THREADS} Not one more could be started ({error})."
                        raise DrainError(words) from None
                    self._read_fewer(failures.OUT_OF_THREADS)

    def _take_pages(self) -> list[Rows]:
        """Wait for the rows of a batch, or the last ones, and take them; none when it is time to check the deadlines."""
        taken: list[Rows] = []
        rows = 0
        with self._lock:
            if not self._news.wait_for(self._is_ready, _LOOK):
                self._give_up_late()
            while self._is_ready() and self._ready and rows < _BATCH:
                taken.append(self._ready.popleft())
                rows += len(taken[-1].rows)
        return taken

    def _give_up_late(self) -> None:
        """Fail the targets whose threads missed their deadlines; other threads take over."""
        late = time.monotonic() - _GRACE
        for worker, read in list(self._workers.items()):
            if read is not None and not read.ended and read.deadline.ends < late:
                del self._workers[worker]
                if (slot := self._slots.get(read.account)) is not None:
                    slot.release()  # the thread may never release it
                read.abandon()
                self._end(read)

    def _run_events(self) -> None:
        while self._events:
            self._events.popleft()()

    def _stop(self) -> None:
        """Stop every thread, and wait a little for each: it removes the handlers that it attached to a client."""
        with self._lock:
            self._stopped = True
            for read in filter(None, self._workers.values()):
                read.deadline.cancel()
            workers = list(self._workers)
            self._space.notify_all()
        ends = time.monotonic() + _GRACE
        for worker in workers:
            if worker.is_alive():  # a signal may arrive before the thread starts
                worker.join(max(0.0, ends - time.monotonic()))


def concat_batches(batches: Iterable[Tables]) -> Tables:
    """Return batches of tables as whole tables, by name."""
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    for batch in batches:
        for name, table in batch.items():
            parts[name].append(table)
    return {name: pa.concat_tables(parts.pop(name)) for name in list(parts)}


def _raise(error: BaseException) -> None:
    raise error


def _decode(taken: Sequence[Rows]) -> Iterator[Tables]:
    """Yield the tables of each request, those of one operation decoded together, and count them in the outcomes."""
    for operation in dict.fromkeys(page.outcome.operation for page in taken):
        of_operation = [page for page in taken if page.outcome.operation == operation]
        requests = [list(pages) for _, pages in groupby(of_operation, attrgetter("key"))]
        groups = [Group([row for page in each for row in page.rows], each[0].key, each[0].seen) for each in requests]
        known = [len(group.seen) for group in groups]
        for pages, group, before, tables in zip(requests, groups, known, decode_groups(groups, operation), strict=True):
            outcome = pages[0].outcome
            outcome.sent += len(group.rows)
            for name, table in tables.items():
                outcome.rows[name] += table.num_rows
            outcome.stale = 0 if len(group.seen) > before else outcome.stale + sum(bool(page.rows) for page in pages)
            yield tables


def check_duplicate(locations: dict[str, str], location: str, target: str) -> None:
    """Record the target of a location; raise RequestError for a second target, whose rows would count twice."""
    if location in locations:
        raise RequestError(
            f"{locations[location]} and {target} are both {location}, and its images would count twice. "
            "Pass one target for each account and region."
        )
    locations[location] = target
