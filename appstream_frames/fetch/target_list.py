"""Any number of targets, clients among them, drained by threads here or by an executor; in the end an outcome for each."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any

from appstream_frames.aws import failures
from appstream_frames.aws.client_pool import Clients
from appstream_frames.aws.clients import Place, checked, place
from appstream_frames.aws.targets import Target
from appstream_frames.aws.targets import targets as default_targets
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.fetch.executors import Cluster, chain_of
from appstream_frames.fetch.outcomes import Chain, Outcome
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.threads import Tables, Watch, side_by_side
from appstream_frames.text import printable


class Fleet:
    """Targets to drain: iterate `batches` for their tables, in the order of targets; then see `outcomes`.

    Parameters
    ----------
    targets : Target, boto3 AppStream client, iterable of these, or None
        None: your default credentials and region.
    executor : concurrent.futures.Executor, optional
        Where to drain; default: threads of this process.

    Raises
    ------
    RequestError
        When a target is none, comes twice, or cannot travel to the executor.
    """

    def __init__(
        self, targets: Any, request: Request, timeout: float, snapshot: dt.datetime, executor: Executor | None = None
    ) -> None:
        self.targets = _listed(targets)
        self._chains: list[Chain] = []
        self._cluster: Cluster | None = None
        if executor is None:
            clients = Clients(target for target in self.targets if isinstance(target, Target))
            self._chains = [_chain(target, clients, request, timeout, snapshot) for target in self.targets]
        else:
            self._cluster = Cluster(_checked(executor, self.targets), self.targets, request, timeout, snapshot)

    @property
    def names(self) -> list[str]:
        """What the targets are called."""
        return [outcome.target for outcome in self.outcomes]

    @property
    def outcomes(self) -> list[Outcome]:
        """How each target's drain went, in order."""
        return self._cluster.outcomes if self._cluster else [chain.outcome for chain in self._chains]

    @property
    def failed(self) -> list[tuple[str, DrainError]]:
        """The names of the targets that failed, with their errors."""
        return [(each.target, each.failure) for each in self.outcomes if each.failure is not None]

    def batches(self, watch: Watch) -> Iterator[tuple[int, Tables]]:
        """Yield the number of a target and a batch of its tables."""
        yield from self._cluster.batches(watch) if self._cluster else side_by_side(self._chains, watch)
        outcomes = self.outcomes
        found = failures.reconsidered([each.failure for each in outcomes])
        for outcome, failure in zip(outcomes, found, strict=True):
            if failure is not None:
                outcome.fail(failure)


def _listed(targets: Any) -> list[Any]:
    if targets is None:
        return list(default_targets())
    given = [targets] if isinstance(targets, Target) or hasattr(targets, "meta") else targets
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise RequestError(f"targets is {printable(repr(targets))}; {_EXPECTED}.")
    listed = list(given)
    if not listed:
        raise RequestError(f"targets is empty; {_EXPECTED}, or None for your default credentials.")
    for target in listed:
        if not isinstance(target, Target):
            checked(target)
    twins = {printable(target, 80) for target, times in Counter(listed).items() if times > 1}
    if twins:
        raise RequestError(f"targets holds {', '.join(sorted(twins))} more than once; pass each once.")
    return listed


_EXPECTED = "pass what targets(...) returns, or boto3 AppStream clients"


def _chain(target: Any, clients: Clients, request: Request, timeout: float, snapshot: dt.datetime) -> Chain:
    if isinstance(target, Target):
        return chain_of(target, clients, request, timeout, snapshot)
    region = target.meta.region_name
    locate: Callable[[], Place] = partial(place, target)
    return Chain(f"client of {region}", locate, request, timeout, snapshot, None, region)


def _checked(executor: Any, targets: list[Any]) -> Executor:
    if not callable(getattr(executor, "submit", None)):
        raise RequestError(f"executor is {printable(repr(executor))}; pass a concurrent.futures.Executor.")
    if any(not isinstance(target, Target) for target in targets):
        raise RequestError("A client cannot travel to an executor, as its credentials must not: pass targets(...).")
    return executor  # type: ignore[no-any-return]
