"""Read targets on an executor, for example a cluster: targets are sent there, Arrow tables come back.

Credentials are never sent: each process finds those that the target names. A target whose result is lost has failed. An executor
that finishes no target for a long time is not waited for.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from functools import lru_cache
from itertools import islice
from typing import Final

from appstream_frames.aws.clients import ClientPool
from appstream_frames.aws.credentials import Target
from appstream_frames.aws.redaction import list_secrets, redact
from appstream_frames.errors import DrainError
from appstream_frames.fetch.pages import Outcome, TargetRead
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.threads import Tables, check_duplicate, concat_batches, read_side_by_side
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

WINDOW: Final = 512  # targets submitted to the executor whose tables were not yielded yet
_PATIENCE: Final = 10  # times `timeout`: an executor that finishes no target for so long has failed
_Read = tuple[list[Outcome], Tables]


def read_there(
    target: Target, operations: Sequence[str], request: Request, timeout: float, snapshot: dt.datetime, run: str
) -> _Read:
    """Read one target in a worker of the executor; return its outcomes and its tables."""
    chosen = [OPERATIONS[name] for name in operations]
    read = TargetRead(target, _share_clients(run), chosen, request, timeout, snapshot)
    tables = concat_batches(read_side_by_side([read], Bar([read.name], progress=False)))
    # a slice would be pickled with the whole table it comes from
    return read.outcomes, {name: table.combine_chunks() for name, table in tables.items()}


@lru_cache(maxsize=1)
def _share_clients(_run: str) -> ClientPool:
    """Return the client pool of one run in this process, so that its targets share credentials."""
    return ClientPool()


def read_on_executor(executor: Executor, reads: Sequence[TargetRead], timeout: float, bar: Bar) -> Iterator[Tables]:
    """Read targets on an executor, and yield the tables of each one that has any, in order; then see their outcomes.

    Warn when no target finishes for `timeout` seconds; after ten times that, fail all targets that were submitted.
    """
    run, locations, unread = secrets.token_hex(8), dict[str, str](), iter(reads)
    given: dict[TargetRead, Future[_Read]] = {}  # in the order of targets
    news = threading.Event()
    try:
        for read in reads:
            for later in islice(unread, WINDOW - len(given)):
                given[later] = _submit(executor, later, timeout, run)
                # unlike `concurrent.futures.wait`, a callback also learns of futures that are cancelled before they run
                given[later].add_done_callback(lambda _: news.set())
            idle = 0  # periods of `timeout` in a row in which no target finished
            while not given[read].done():
                idle = 0 if news.wait(min(timeout, threading.TIMEOUT_MAX)) else idle + 1
                news.clear()
                if idle == 1:
                    _warn_of_idleness(executor, given, timeout)
                elif idle == _PATIENCE:
                    _give_up(given, timeout)
            tables = _take_result(read, given.pop(read))
            if read.outcomes[0].pages:
                check_duplicate(locations, f"{read.outcomes[0].account}/{read.outcomes[0].region}", read.name)
            bar.count_rows(read.outcomes[0].sent)
            bar.count_target(read.outcomes)
            if tables:
                yield tables
    finally:
        for future in given.values():
            future.cancel()


def _submit(executor: Executor, read: TargetRead, timeout: float, run: str) -> Future[_Read]:
    operations, first = [outcome.operation for outcome in read.outcomes], read.outcomes[0]
    try:
        return executor.submit(read_there, read.target, operations, first.request, timeout, first.snapshot, run)
    except Exception as error:  # noqa: BLE001  an executor that is broken or shut down may raise anything
        return _make_failed(error)


def _make_failed(error: Exception) -> Future[_Read]:
    future: Future[_Read] = Future()
    future.set_exception(error)
    return future


def _give_up(given: dict[TargetRead, Future[_Read]], timeout: float) -> None:
    for read, future in given.items():
        if not future.done():
            future.cancel()
            given[read] = _make_failed(TimeoutError(f"it has finished no target for {_PATIENCE * timeout:g} s"))


def _warn_of_idleness(executor: Executor, given: Mapping[TargetRead, Future[_Read]], timeout: float) -> None:
    unfinished = [read for read, future in given.items() if not future.done()]
    running = [read for read in unfinished if given[read].running()]
    named = ", ".join(read.name for read in (running or unfinished)[:3])
    warnings.warn(
        f"The executor {type(executor).__name__} has finished no target for {timeout:g} s. It was given {len(unfinished)}, "
        f"of which {len(running)} are running, such as {named}. Does it have workers? What it does not finish within "
        f"{(_PATIENCE - 1) * timeout:g} s is given up.",
        stacklevel=2,
    )


def _take_result(read: TargetRead, future: Future[_Read]) -> Tables:
    try:
        read.outcomes, tables = future.result()
    except (Exception, CancelledError, SystemExit) as error:  # noqa: BLE001  the future of a dead worker may raise anything
        words = printable(redact(str(error), list_secrets()), 300)
        message = (
            f"{read.name}: the executor gave no result, but {type(error).__name__}: {words}. Drain this target again."
        )
        for outcome in read.outcomes:
            outcome.end(DrainError(message, target=read.name, code=type(error).__name__))
        return {}
    return tables
