"""Targets drained by somebody's executor, say a cluster: a target travels there, Arrow tables travel back.

Credentials never travel: each process finds its own from what the target names. What the executor loses is a failed target.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import lru_cache, partial
from typing import Final

import pyarrow as pa

from appstream_frames.aws.client_pool import Clients
from appstream_frames.aws.targets import Target
from appstream_frames.errors import DrainError
from appstream_frames.fetch.collected import Collected, whole
from appstream_frames.fetch.outcomes import Chain, Outcome
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.threads import Tables, Watch, check_twins, side_by_side
from appstream_frames.text import printable

_WAITING: Final = 512  # targets handed to the executor and not yet handed on
_Drained = tuple[Outcome, dict[str, pa.Buffer]]


def chain_of(target: Target, clients: Clients, request: Request, timeout: float, snapshot: dt.datetime) -> Chain:
    """Return the chain that drains a target."""
    locate = partial(clients.place, target, timeout)
    return Chain(str(target), locate, request, timeout, snapshot, target.account, target.region, owned=True)


def drain_there(target: Target, request: Request, timeout: float, snapshot: dt.datetime, run: str) -> _Drained:
    """Drain one target in the process that an executor chose; return its outcome, and its tables as Arrow streams."""
    chain = chain_of(target, _clients(run), request, timeout, snapshot)
    collected = Collected()
    for _, batch in side_by_side([chain], _Nobody()):
        collected.add(batch)
    return chain.outcome, {name: _packed(table) for name, table in whole(collected.batches()).items()}


@lru_cache(maxsize=1)
def _clients(_run: str) -> Clients:
    """Return the clients of one run in this process: its targets share what credentials they have in common."""
    return Clients()


class _Nobody:
    """Watches nothing."""

    def read(self, images: int) -> None:
        """Let it be."""

    def ended(self, outcome: Outcome) -> None:
        """Let it be."""


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _unpacked(tables: dict[str, pa.Buffer]) -> Tables:
    return {name: pa.ipc.open_stream(buffer).read_all() for name, buffer in tables.items()}


class Cluster:
    """Targets on an executor: iterate `batches` for each one's tables, in the order of targets; then see `outcomes`."""

    def __init__(
        self, executor: Executor, targets: Sequence[Target], request: Request, timeout: float, snapshot: dt.datetime
    ) -> None:
        self._executor, self._targets = executor, targets
        self._asked = (request, timeout, snapshot, secrets.token_hex(8))
        began = dt.datetime.now(dt.UTC)
        self.outcomes = [Outcome(str(t), t.account, t.region, snapshot, request, began) for t in targets]
        self._there: dict[Future[_Drained], int] = {}
        self._here: dict[int, Tables | None] = {}
        self._places: dict[str, str] = {}

    def batches(self, watch: Watch) -> Iterator[tuple[int, Tables]]:
        """Yield the number and the tables of each target that has images."""
        try:
            for number in range(len(self._targets)):
                while number not in self._here:
                    self._submit(number)
                    self._collect(watch)
                if tables := self._here.pop(number):
                    yield number, tables
        finally:
            for future in self._there:
                future.cancel()

    def _submit(self, first: int) -> None:
        """Keep the executor busy, with no more than it may finish before `first`."""
        begun = first + len(self._here) + len(self._there)
        for number in range(begun, min(first + _WAITING, len(self._targets))):
            try:
                future = self._executor.submit(drain_there, self._targets[number], *self._asked)
            except Exception as error:  # noqa: BLE001  whatever an executor raises that is broken or shut down
                future = Future()
                future.set_exception(error)
            self._there[future] = number

    def _collect(self, watch: Watch) -> None:
        for future in wait(self._there, return_when=FIRST_COMPLETED).done:
            number = self._there.pop(future)
            self._here[number] = self._result(number, future)
            watch.read(self.outcomes[number].images)
            watch.ended(self.outcomes[number])

    def _result(self, number: int, future: Future[_Drained]) -> Tables | None:
        try:
            self.outcomes[number], tables = future.result()
        except Exception as error:  # noqa: BLE001  whatever an executor raises whose worker died
            lost = self.outcomes[number]
            lost.ended_at = dt.datetime.now(dt.UTC)
            words = f"{type(error).__name__}: {printable(error, 300)}"
            message = f"{lost.target}: the executor gave no result, but {words}. Drain this target again."
            lost.fail(DrainError(message, target=lost.target, code=type(error).__name__))
            return None
        place = f"{self.outcomes[number].account}/{self.outcomes[number].region}"
        if self.outcomes[number].pages:
            check_twins(self._places, place, str(self._targets[number]))
        return _unpacked(tables) if self.outcomes[number].images else None
