"""Targets read by somebody's executor, say a cluster: a target travels there, Arrow tables travel back.

Credentials never travel: each process finds its own from what the target names. What the executor loses is a failed target, and
one that finishes nothing for a long time is not waited for.
"""

from __future__ import annotations

import datetime as dt
import secrets
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Final

import pyarrow as pa

from appstream_frames.aws.clients import ClientPool
from appstream_frames.aws.redaction import list_secrets, redact
from appstream_frames.aws.targets import Target
from appstream_frames.errors import DrainError
from appstream_frames.fetch.outcomes import Outcome
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.target_read import TargetRead
from appstream_frames.fetch.threads import Tables, check_duplicate, read_side_by_side
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

WINDOW: Final = 512  # targets handed to the executor and not yet handed on
_PATIENCE: Final = 10  # times `timeout`: how long an executor may finish no target
_LONGEST_WAIT: Final = 30 * 86_400.0
_Read = tuple[list[Outcome], dict[str, pa.Buffer]]


def read_there(
    target: Target, operations: Sequence[str], request: Request, timeout: float, snapshot: dt.datetime, run: str
) -> _Read:
    """Read one target in the process that an executor chose; return its outcomes, and its tables as Arrow streams."""
    read = TargetRead(
        target, _share_clients(run), [OPERATIONS[name] for name in operations], request, timeout, snapshot
    )
    parts: dict[str, list[pa.Table]] = {}
    for tables in read_side_by_side([read], Bar([read.name], progress=False)):
        for name, table in tables.items():
            parts.setdefault(name, []).append(table)
    return read.outcomes, {name: _pack(pa.concat_tables(tables)) for name, tables in parts.items()}


@lru_cache(maxsize=1)
def _share_clients(_run: str) -> ClientPool:
    """Return the clients of one run in this process: its targets share what credentials they have in common."""
    return ClientPool()


def _pack(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


class ExecutorReads:
    """Targets on an executor: iterate `tables` for those of each one, in order; then see the outcomes of `reads`."""

    def __init__(self, executor: Executor, reads: Sequence[TargetRead], timeout: float, bar: Bar) -> None:
        self._executor, self._reads, self._timeout, self._bar = executor, reads, timeout, bar
        self._run = secrets.token_hex(8)
        self._done: SimpleQueue[tuple[int, Future[_Read]]] = SimpleQueue()
        self._there: dict[int, Future[_Read]] = {}
        self._here: dict[int, Tables] = {}
        self._locations: dict[str, str] = {}
        self._idle = 0  # times `timeout` in which it has finished no target

    def tables(self) -> Iterator[Tables]:
        """Yield the tables of each target that has any."""
        begun = 0
        try:
            for number in range(len(self._reads)):
                while begun < min(number + WINDOW, len(self._reads)):
                    self._submit(begun)
                    begun += 1
                while number not in self._here:
                    self._collect()
                if tables := self._here.pop(number):
                    yield tables
        finally:
            for future in list(self._there.values()):
                future.cancel()

    def _submit(self, number: int) -> None:
        read = self._reads[number]
        operations = [outcome.operation for outcome in read.outcomes]
        request, snapshot = read.outcomes[0].request, read.outcomes[0].snapshot
        try:
            future = self._executor.submit(
                read_there, read.target, operations, request, self._timeout, snapshot, self._run
            )
        except Exception as error:  # noqa: BLE001  whatever an executor raises that is broken or shut down
            future = Future()
            future.set_exception(error)
        self._there[number] = future
        # unlike `concurrent.futures.wait`, a callback is told of futures that are cancelled before they run
        future.add_done_callback(lambda done: self._done.put((number, done)))

    def _collect(self) -> None:
        """Take a result. When none comes for `timeout` seconds, warn; after ten times that, give up what is waited for."""
        try:
            number, future = self._done.get(timeout=min(self._timeout, _LONGEST_WAIT))
        except Empty:
            self._idle += 1
            if self._idle == 1:
                self._warn()
            elif self._idle == _PATIENCE:
                self._give_up()
            return
        self._idle = 0
        if number in self._there:  # else it was given up
            self._take(number, future)

    def _give_up(self) -> None:
        self._idle = 0
        late = TimeoutError(f"it has finished no target for {_PATIENCE * self._timeout:g} s")
        for number, future in list(self._there.items()):
            future.cancel()
            self._lose(number, late)

    def _warn(self) -> None:
        running = [number for number, future in self._there.items() if future.running()]
        named = ", ".join(self._reads[number].name for number in (running or list(self._there))[:3])
        warnings.warn(
            f"The executor {type(self._executor).__name__} has finished no target for {self._timeout:g} s. It was given "
            f"{len(self._there)}, of which {len(running)} are running, such as {named}. Has it workers? What it does not finish "
            f"within {(_PATIENCE - 1) * self._timeout:g} s is given up.",
            stacklevel=2,
        )

    def _take(self, number: int, future: Future[_Read]) -> None:
        read = self._reads[number]
        try:
            outcomes, packed = future.result()
            tables = {name: pa.ipc.open_stream(buffer).read_all() for name, buffer in packed.items()}
        except (Exception, CancelledError, SystemExit) as error:  # noqa: BLE001  whatever it raises whose worker died
            self._lose(number, error)
            return
        read.outcomes = outcomes
        if outcomes[0].pages:
            check_duplicate(self._locations, f"{outcomes[0].account}/{outcomes[0].region}", read.name)
        self._end(number, tables)

    def _lose(self, number: int, error: BaseException) -> None:
        name, words = self._reads[number].name, printable(redact(str(error), list_secrets()), 300)
        message = f"{name}: the executor gave no result, but {type(error).__name__}: {words}. Drain this target again."
        for outcome in self._reads[number].outcomes:
            outcome.fail(DrainError(message, target=name, code=type(error).__name__))
            outcome.end()
        self._end(number, {})

    def _end(self, number: int, tables: Tables) -> None:
        del self._there[number]
        self._here[number] = tables
        outcomes = self._reads[number].outcomes
        self._bar.count_rows(outcomes[0].sent)
        self._bar.count_target(failed=any(outcome.failure for outcome in outcomes))
