"""A drain of any number of targets, clients among them, by threads here or by an executor; in the end an outcome for each."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from appstream_frames.aws.client_pool import ClientPool
from appstream_frames.aws.clients import Location, check_client, locate
from appstream_frames.aws.targets import Target, targets
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.executors import ExecutorReads, read_of
from appstream_frames.fetch.outcomes import Outcome, explain_together
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.target_read import TargetRead
from appstream_frames.fetch.threads import Batch, ProgressObserver, read_side_by_side
from appstream_frames.tables.operations import Operation
from appstream_frames.tables.schema import all_tables
from appstream_frames.text import printable

_EXPECTED: Final = "pass what targets(...) returns, or boto3 AppStream clients"


class Drain:
    """Targets to drain: iterate `batches` for their tables, in the order of targets; then see `outcomes`.

    Parameters
    ----------
    targets : Target, boto3 AppStream client, iterable of these, or None
        None: your default credentials and region.
    request : Request
        What to ask the first operation for.
    operations : sequence of Operation
        What to read of each target, in order.
    timeout : float
        Wall-clock seconds that one page may take.
    account : str, optional
        Whose clients they are, twelve digits; default: asked of STS.
    executor : concurrent.futures.Executor, optional
        Where to drain; default: threads of this process.

    Attributes
    ----------
    moment : datetime
        The snapshot of every row.
    targets : list
        What is drained.
    operations : sequence of Operation
        What is read of each.

    Raises
    ------
    RequestError
        When a parameter cannot be right, a target is none, comes twice, or cannot travel to the executor.
    """

    def __init__(
        self,
        targets: Any,
        request: Request,
        operations: Sequence[Operation],
        timeout: float,
        *,
        account: str | None = None,
        executor: Executor | None = None,
    ) -> None:
        _check_timeout(timeout)
        self.moment = dt.datetime.now(dt.UTC)
        self.targets, self.operations = _targets_in(targets), operations
        self._account = account
        self._reads: list[TargetRead] = []
        self._there: ExecutorReads | None = None
        arguments = (operations, request, timeout, self.moment)
        if executor is None:
            clients = ClientPool(target for target in self.targets if isinstance(target, Target))
            self._reads = [
                read_of(target, clients, *arguments)
                if isinstance(target, Target)
                else _read_of_client(target, account, *arguments)
                for target in self.targets
            ]
        else:
            self._there = ExecutorReads(_checked(executor, self.targets), self.targets, *arguments)

    @property
    def names(self) -> list[str]:
        """What the targets are called."""
        return [outcomes[0].target for outcomes in self._by_target()]

    @property
    def outcomes(self) -> list[Outcome]:
        """How each operation of each target went, in order."""
        return list(chain.from_iterable(self._by_target()))

    @property
    def failed(self) -> list[tuple[str, DrainError]]:
        """The names of the targets that were not read whole, each with its first error.

        An operation that is not offered, and a region that is not enabled and came with ``regions="all"``, are no failures.
        """
        found = []
        for target, outcomes in zip(self.targets, self._by_target(), strict=True):
            expected = {"not_offered", "region_disabled" if getattr(target, "optional", False) else ""}
            failures = [(each, each.failure) for each in outcomes if each.failure and each.status not in expected]
            if failures:
                outcome, failure = failures[0]
                name = outcome.target if outcome is outcomes[0] else f"{outcome.target} {outcome.operation}"
                found.append((name, failure))
        return found

    @property
    def error(self) -> Exception | None:
        """What the first operation of the first target failed with.

        Where the caller named the account, STS was not asked, and it is not known whether the credentials are good.
        """
        failure = self.outcomes[0].failure
        raised = self._reads[0].error if self._reads else failure
        return failure if isinstance(raised, DrainError) and self._account is None else raised

    def _by_target(self) -> list[list[Outcome]]:
        return self._there.outcomes if self._there else [read.outcomes for read in self._reads]

    def batches(self, observer: ProgressObserver) -> Iterator[Batch]:
        """Yield the tables of the targets, a batch of one operation at a time."""
        yield from self._there.batches(observer) if self._there else read_side_by_side(self._reads, observer)
        explain_together(self.outcomes)

    def tables(self, observer: ProgressObserver) -> dict[str, pa.Table]:
        """Return the whole tables of all targets, also those without a row."""
        parts: dict[str, list[pa.Table]] = {
            name: [table.schema.empty_table()]
            for name, table in all_tables().items()
            if table.operation in {each.name for each in self.operations}
        }
        for batch in self.batches(observer):
            for name, table in batch.tables.items():
                parts[name].append(table)
        return {name: pa.concat_tables(parts.pop(name)) for name in list(parts)}


def _check_timeout(timeout: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise RequestError(f"timeout={timeout!r} must be a number of seconds above 0.")


def _targets_in(given: Any) -> list[Any]:
    if given is None:
        return list(targets())
    many = [given] if isinstance(given, Target) or hasattr(given, "meta") else given
    if isinstance(many, str) or not isinstance(many, Iterable):
        raise RequestError(f"targets is {printable(repr(given))}; {_EXPECTED}.")
    found = list(many)
    if not found:
        raise RequestError(f"targets is empty; {_EXPECTED}, or None for your default credentials.")
    for target in found:
        if not isinstance(target, Target):
            check_client(target)
    duplicates = {printable(target, 80) for target, times in Counter(found).items() if times > 1}
    if duplicates:
        raise RequestError(f"targets holds {', '.join(sorted(duplicates))} more than once; pass each once.")
    return found


def _read_of_client(
    client: Any,
    account: str | None,
    operations: Sequence[Operation],
    request: Request,
    timeout: float,
    moment: dt.datetime,
) -> TargetRead:
    region = client.meta.region_name
    find: Callable[[], Location] = partial(locate, client, account)
    return TargetRead(f"client of {region}", find, operations, request, timeout, moment, account, region)


def _checked(executor: Any, targets: list[Any]) -> Executor:
    if not callable(getattr(executor, "submit", None)):
        raise RequestError(f"executor is {printable(repr(executor))}; pass a concurrent.futures.Executor.")
    if any(not isinstance(target, Target) for target in targets):
        raise RequestError("A client cannot travel to an executor, as its credentials must not: pass targets(...).")
    return executor  # type: ignore[no-any-return]
