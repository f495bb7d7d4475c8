"""Targets read by somebody's executor, say a cluster: a target travels there, Arrow tables travel back.

Credentials never travel: each process finds its own from what the target names. What the executor loses is a failed target, and
one that finishes nothing for a long time is not waited for.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from functools import lru_cache, partial
from queue import Empty, SimpleQueue
from typing import Final

import pyarrow as pa

from appstream_frames.aws.client_pool import ClientPool
from appstream_frames.aws.targets import Target
from appstream_frames.errors import DrainError
from appstream_frames.fetch.outcomes import Outcome
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.target_read import TargetRead
from appstream_frames.fetch.threads import Batch, ProgressObserver, Tables, check_duplicate, read_side_by_side
from appstream_frames.tables.operations import OPERATIONS, Operation
from appstream_frames.text import printable

_WAITING: Final = 512  # targets handed to the executor and not yet handed on
_PATIENCE: Final = 10  # times `timeout`: how long an executor may finish no target
_LONGEST_WAIT: Final = 30 * 86_400.0
_Read = tuple[list[Outcome], dict[str, pa.Buffer]]


def read_of(
    target: Target,
    clients: ClientPool,
    operations: Sequence[Operation],
    request: Request,
    timeout: float,
    snapshot: dt.datetime,
) -> TargetRead:
    """Return the reading of a target."""
    locate = partial(clients.locate, target, timeout)
    return TargetRead(
        str(target), locate, operations, request, timeout, snapshot, target.account, target.region, owned=True
    )


def read_there(
    target: Target, operations: Sequence[str], request: Request, timeout: float, snapshot: dt.datetime, run: str
) -> _Read:
    """Read one target in the process that an executor chose; return its outcomes, and its tables as Arrow streams."""
    read = read_of(target, _clients(run), [OPERATIONS[name] for name in operations], request, timeout, snapshot)
    parts: dict[str, list[pa.Table]] = {}
    for batch in read_side_by_side([read], _Nobody()):
        for name, table in batch.tables.items():
            parts.setdefault(name, []).append(table)
    return read.outcomes, {name: _packed(pa.concat_tables(tables)) for name, tables in parts.items()}


@lru_cache(maxsize=1)
def _clients(_run: str) -> ClientPool:
    """Return the clients of one run in this process: its targets share what credentials they have in common."""
    return ClientPool()


class _Nobody:
    """Observes nothing."""

    def located(self, target: str) -> None:
        """Do nothing."""

    def read(self, rows: int) -> None:
        """Do nothing."""

    def ended(self, *, failed: bool) -> None:
        """Do nothing."""


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


class ExecutorReads:
    """Targets on an executor: iterate `batches` for each one's tables, in the order of targets; then see `outcomes`.

    Attributes
    ----------
    outcomes : list of list of Outcome
        Of each target, one for each operation.
    """

    def __init__(
        self,
        executor: Executor,
        targets: Sequence[Target],
        operations: Sequence[Operation],
        request: Request,
        timeout: float,
        snapshot: dt.datetime,
    ) -> None:
        self._executor, self._targets, self._timeout = executor, targets, timeout
        self._arguments = ([each.name for each in operations], request, timeout, snapshot, secrets.token_hex(8))
        # what coverage says of a target that is lost
        self.outcomes = [
            read_of(target, ClientPool(), operations, request, timeout, snapshot).outcomes for target in targets
        ]
        self._done: SimpleQueue[tuple[int, Future[_Read]]] = SimpleQueue()
        self._there: dict[int, Future[_Read]] = {}
        self._here: dict[int, Tables] = {}
        self._locations: dict[str, str] = {}

    def batches(self, observer: ProgressObserver) -> Iterator[Batch]:
        """Yield the tables of each target that has any."""
        try:
            for number in range(len(self._targets)):
                self._submit(number)
                while number not in self._here:
                    self._collect(observer)
                    self._submit(number)
                if tables := self._here.pop(number):
                    yield Batch(number, tables)
        finally:
            for future in list(self._there.values()):
                future.cancel()

    def _submit(self, first: int) -> None:
        """Keep the executor busy, with no more than it may finish before `first`."""
        begun = first + len(self._here) + len(self._there)
        for number in range(begun, min(first + _WAITING, len(self._targets))):
            try:
                future = self._executor.submit(read_there, self._targets[number], *self._arguments)
            except Exception as error:  # noqa: BLE001  whatever an executor raises that is broken or shut down
                future = Future()
                future.set_exception(error)
            self._there[number] = future
            # unlike `concurrent.futures.wait`, a callback is told of futures that are cancelled before they run
            future.add_done_callback(partial(self._note_done, number))

    def _note_done(self, number: int, future: Future[_Read]) -> None:
        self._done.put((number, future))

    def _collect(self, observer: ProgressObserver) -> None:
        """Take a result, or give up those that are waited for when none came for too long."""
        done = self._next_done()
        if done is None:
            late = TimeoutError(f"it has finished no target for {_PATIENCE * self._timeout:g} s")
            for number, future in list(self._there.items()):
                future.cancel()
                self._lose(number, late)
                self._note_end(number, observer)
            return
        number, future = done
        if self._there.pop(number, None) is None:
            return  # it was given up
        try:
            self.outcomes[number], packed = future.result()
            tables = {name: pa.ipc.open_stream(buffer).read_all() for name, buffer in packed.items()}
        except (Exception, CancelledError) as error:  # noqa: BLE001  whatever an executor raises whose worker died
            self._lose(number, error)
        else:
            outcome = self.outcomes[number][0]
            if outcome.pages:
                check_duplicate(self._locations, f"{outcome.account}/{outcome.region}", str(self._targets[number]))
            self._here[number] = tables
        self._note_end(number, observer)

    def _next_done(self) -> tuple[int, Future[_Read]] | None:
        """Return a future that is done; say meanwhile what is waited for."""
        ends = time.monotonic() + _PATIENCE * self._timeout
        for wait in (self._timeout, max(0.0, ends - time.monotonic() - self._timeout)):
            try:
                return self._done.get(timeout=min(wait, _LONGEST_WAIT))
            except Empty:
                if wait == self._timeout:
                    self._warn(ends)
        return None

    def _warn(self, ends: float) -> None:
        running = [number for number, future in self._there.items() if future.running()]
        named = ", ".join(str(self._targets[number]) for number in (running or list(self._there))[:3])
        warnings.warn(
            f"The executor {type(self._executor).__name__} has finished no target for {self._timeout:g} s. It was given "
            f"{len(self._there)}, of which {len(running)} are running, such as {named}. Has it workers? What it does not finish "
            f"within {max(0.0, ends - time.monotonic()):.0f} s is given up.",
            stacklevel=2,
        )

    def _lose(self, number: int, error: BaseException) -> None:
        self._there.pop(number, None)
        self._here[number] = {}
        words = f"{type(error).__name__}: {printable(error, 300)}"
        name = str(self._targets[number])
        message = f"{name}: the executor gave no result, but {words}. Drain this target again."
        for outcome in self.outcomes[number]:
            outcome.ended_at = dt.datetime.now(dt.UTC)
            outcome.fail(DrainError(message, target=name, code=type(error).__name__))

    def _note_end(self, number: int, observer: ProgressObserver) -> None:
        outcomes = self.outcomes[number]
        observer.read(outcomes[0].sent)
        observer.ended(failed=any(outcome.failure for outcome in outcomes))
