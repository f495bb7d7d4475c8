"""A drain of any number of targets, clients among them, by threads here or by an executor; in the end an outcome for each."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Final

import pyarrow as pa

from appstream_frames.aws.clients import ClientPool, check_client
from appstream_frames.aws.targets import Target, targets
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.executors import ExecutorReads
from appstream_frames.fetch.outcomes import Outcome, explain_together
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.target_read import TargetRead
from appstream_frames.fetch.threads import Tables, read_side_by_side
from appstream_frames.tables.operations import Operation
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import printable

_EXPECTED: Final = "pass what targets(...) returns, or boto3 AppStream clients"


class Drain:
    """Targets to drain: iterate `batches` for their tables, in the order of targets; then see `outcomes`.

    The targets are one or many, each a `Target` or a boto3 AppStream client; None: your default credentials and region.
    The first operation is asked for the request. `account` is that of a client's credentials; without it STS is asked.
    With an executor the targets are read there, else by threads of this process.

    RequestError is raised when a parameter cannot be right, a target is none, comes twice, or cannot travel to the
    executor.
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
        check_timeout(timeout)
        self.moment = dt.datetime.now(dt.UTC)  # the snapshot of every row
        self.targets, self.operations = _list_targets(targets), operations
        if executor is not None:
            _check_executor(executor, self.targets)
        self._timeout, self._account, self._executor = timeout, account, executor
        clients = ClientPool(target for target in self.targets if isinstance(target, Target))
        self._reads = [
            TargetRead(target, clients, operations, request, timeout, self.moment, account) for target in self.targets
        ]

    @property
    def names(self) -> list[str]:
        """What the targets are called."""
        return [read.name for read in self._reads]

    @property
    def outcomes(self) -> list[Outcome]:
        """How each operation of each target went, in order."""
        return [outcome for read in self._reads for outcome in read.outcomes]

    @property
    def failed(self) -> list[tuple[str, DrainError]]:
        """The names of the targets that were not read whole, each with its first error.

        An operation that is not offered, and a region that is not enabled and came with ``regions="all"``, are no failures.
        """
        found = []
        for read in self._reads:
            expected = {"not_offered", "region_disabled" if getattr(read.target, "optional", False) else ""}
            failures = [(each, each.failure) for each in read.outcomes if each.failure and each.status not in expected]
            if failures:
                outcome, failure = failures[0]
                name = outcome.target if outcome is read.outcomes[0] else f"{outcome.target} {outcome.operation}"
                found.append((name, failure))
        return found

    @property
    def error(self) -> Exception | None:
        """What the first operation of the first target failed with."""
        return self._reads[0].refusal or self._reads[0].outcomes[0].failure

    def batches(self, bar: Bar) -> Iterator[Tables]:
        """Yield the tables of the targets, some rows of one operation at a time."""
        if self._executor is None:
            yield from read_side_by_side(self._reads, bar)
        else:
            yield from ExecutorReads(self._executor, self._reads, self._timeout, bar).tables()
        if self._account is None:  # else STS was not asked, and it is not known whether the credentials are good
            explain_together(self.outcomes)

    def tables(self, bar: Bar) -> Tables:
        """Return the whole tables of all targets, also those without a row."""
        parts: dict[str, list[pa.Table]] = {
            name: [table.schema.empty_table()]
            for name, table in list_tables().items()
            if table.operation in {each.name for each in self.operations}
        }
        for batch in self.batches(bar):
            for name, table in batch.items():
                parts[name].append(table)
        return {name: pa.concat_tables(parts.pop(name)) for name in list(parts)}


def check_timeout(timeout: object) -> None:
    """Raise RequestError when a timeout cannot be right."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise RequestError(f"timeout={timeout!r} must be a number of seconds above 0.")


def _list_targets(given: Any) -> list[Any]:
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


def _check_executor(executor: Any, targets: list[Any]) -> None:
    if not callable(getattr(executor, "submit", None)):
        raise RequestError(f"executor is {printable(repr(executor))}; pass a concurrent.futures.Executor.")
    if any(not isinstance(target, Target) for target in targets):
        raise RequestError("A client cannot travel to an executor, as its credentials must not: pass targets(...).")
