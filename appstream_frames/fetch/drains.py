"""Drain one target or many, clients included, with threads or an executor: to `Frames`, or batch by batch."""

from __future__ import annotations

import datetime as dt
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from appstream_frames.aws import failures
from appstream_frames.aws.clients import ClientPool, check_client, open_client
from appstream_frames.aws.credentials import Target, is_account
from appstream_frames.aws.targets import targets
from appstream_frames.errors import DrainError, RequestError, TargetsError
from appstream_frames.fetch.executors import read_on_executor
from appstream_frames.fetch.pages import Outcome, TargetRead
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.threads import Tables, concat_batches, read_side_by_side
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.operations import Operation
from appstream_frames.tables.schema import choose_operations, list_tables
from appstream_frames.text import printable

_EXPECTED: Final = "pass what targets(...) returns, or boto3 AppStream clients"


def drain(
    client: Any = None,
    *,
    include: str | Iterable[str] | None = None,
    profile: str | None = None,
    region: str | None = None,
    account: str | None = None,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    max_items: int | None = None,
    page_size: int | None = None,
    starting_token: str | None = None,
    timeout: float = 60.0,
    progress: bool | None = None,
) -> Frames:
    """Read the images of one account in one region, and the tables that `include` names, each to a validated end.

    Parameters
    ----------
    client : boto3 AppStream client, optional
        Default: one with your default credentials and region. Other code may use the client as before, during the drain too.
    include : str or iterable of str, optional
        Tables to read in addition to the images, such as ``"fleets"``, or ``"all"``; ``"associations"`` includes ``stacks``.
    profile, region : str, optional
        Instead of a client, of your AWS configuration; default: those of your environment.
    account : str, optional
        Account id of the client's credentials, twelve digits; default: from STS.
    names, arns : iterable of str, optional
        Images to describe, by name or by ARN. AWS does not find shared images by name.
    type : {"PUBLIC", "PRIVATE", "SHARED"}, optional
        Default: everything, AWS's public images included.
    max_items : int, optional
        Read at most this many images; ``frames.resume_token`` then says where to continue.
    page_size : int, optional
        Images per request, 0 to 25; default: AWS's choice.
    starting_token : str, optional
        A ``resume_token`` of an earlier drain of the same request.
    timeout : float
        Wall-clock seconds that one page may take, its retries included; the same for finding the credentials.
    progress : bool, optional
        Show a progress bar; default: when standard error is a terminal.

    Returns
    -------
    Frames
        ``images``, ``applications``, ``errors``, the tables that `include` names, and ``coverage`` with a row for each
        operation: ``complete``, or ``limited`` when `max_items` cut the drain or `starting_token` skipped its beginning.

    Warns
    -----
    UserWarning
        When the images were read and a table that `include` names was not; says which, and why.

    Raises
    ------
    RequestError
        When a parameter is invalid; raised before any request, or when AWS rejected it.
    AccessError
        When AWS does not accept the credentials, or does not allow DescribeImages.
    EndpointError
        When no AppStream endpoint answers for the region.
    DrainError
        When a page could not be validated in time. Nothing is returned then; ``error.resume_token`` says where
        the validated pages end.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     frames = asf.drain(sandbox.client(), type="PUBLIC", max_items=2)
    >>> len(frames.images), frames.coverage["status"].item()
    (2, 'limited')
    """
    request = Request.of(
        names=names, arns=arns, type=type, max_items=max_items, page_size=page_size, starting_token=starting_token
    )
    if client is not None and (profile, region) != (None, None):
        raise RequestError("A client has its own profile and region: pass client, or profile= and region=, not both.")
    if account is not None and not is_account(account):
        raise RequestError(f"account={account!r} is not a string of twelve digits, such as '012345678901'.")
    _check_timeout(timeout)
    client = check_client(open_client(profile, region, timeout) if client is None else client)
    one = Drain(client, request, choose_operations(include), timeout, account=account)
    frames = one.read_frames(progress)
    if (failure := one.outcomes[0].failure) is not None:
        raise failure.__cause__ if isinstance(failure.__cause__, RequestError) else failure
    if one.failed:
        warnings.warn(f"{failures.summarize(one.failed, 1)}, and drain again.", stacklevel=2)
    return replace(frames, resume_token=one.outcomes[0].resume_token)


def drain_targets(
    targets: Any,
    *,
    include: str | Iterable[str] | None = None,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    page_size: int | None = None,
    timeout: float = 60.0,
    executor: Executor | None = None,
    progress: bool | None = None,
    raise_on_failure: bool = False,
) -> Frames:
    """Read the images of many accounts and regions, and the tables that `include` names, side by side.

    Parameters
    ----------
    targets : iterable of Target
        The result of `targets`, or the ``failed_targets`` of earlier frames; boto3 AppStream clients are accepted too.
    include, names, arns, type, page_size, timeout
        As in `drain`.
    executor : concurrent.futures.Executor, optional
        Where to drain, such as ``dask.distributed.Client(...).get_executor()``; each process then finds its own credentials.
        Default: threads of this process, at most 64 targets at once and eight calls of one account.
    progress : bool, optional
        Show a progress bar; default: when standard error is a terminal, or in a notebook.
    raise_on_failure : bool
        Raise when a target failed, after all others were read.

    Returns
    -------
    Frames
        The images of all targets, in the order of targets, with one snapshot moment; ``coverage`` has a row per target
        and operation whether it was read or not. ``failed_targets`` are those to drain again; `Frames.merge` joins the results.

    Warns
    -----
    UserWarning
        When a target failed; says which, and why.

    Raises
    ------
    RequestError
        When a parameter is invalid, or two targets are the same account and region.
    TargetsError
        When a target failed and `raise_on_failure` is set: a group of their errors, whose ``frames`` holds all that was read.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     where = asf.targets(session=sandbox.session(), regions=sandbox.regions)
    ...     frames = asf.drain_targets(where, type="PRIVATE")
    >>> frames.coverage["status"].to_list()
    ['complete', 'complete', 'complete', 'complete']
    """
    request = Request.of(names=names, arns=arns, type=type, page_size=page_size)
    many = Drain(targets, request, choose_operations(include), timeout, executor=executor)
    named = tuple(target for target in many.targets for _ in many.operations)
    frames = replace(many.read_frames(progress), targets=named)
    if failed := many.failed:
        message = f"{failures.summarize(failed, len(many.targets))}; drain frames.failed_targets again."
        if raise_on_failure:
            group = TargetsError(message, [failure for _, failure in failed])
            group.frames = frames
            raise group
        warnings.warn(message, stacklevel=2)
    return frames


class Drain:
    """The drain of one target or many: iterate `batches` for their tables, in the order of targets; then see `outcomes`.

    Each target is a `Target` or a boto3 AppStream client; None means your default credentials and region. `request` applies to
    the first operation. `account` is that of a client's credentials; without it STS is called. With an executor the targets are
    read there, else by threads of this process.

    Raise RequestError when a parameter or a target is invalid, or a target comes twice or cannot be sent to the executor.
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
        self.moment = dt.datetime.now(dt.UTC)  # the snapshot of every row
        self.targets, self.operations = _list_targets(targets), operations
        pooled = [target for target in self.targets if isinstance(target, Target)]
        if executor is not None:
            if not isinstance(executor, Executor):
                raise RequestError(f"executor is {printable(repr(executor))}; pass a concurrent.futures.Executor.")
            if len(pooled) < len(self.targets):
                raise RequestError(
                    "A client cannot travel to an executor, as its credentials must not: pass targets(...)."
                )
        self._timeout, self._account, self._executor = timeout, account, executor
        clients = ClientPool(pooled)
        self._reads = [
            TargetRead(target, clients, operations, request, timeout, self.moment, account) for target in self.targets
        ]

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcome of each operation of each target, in order."""
        return [outcome for read in self._reads for outcome in read.outcomes]

    @property
    def coverage(self) -> pa.Table:
        """The table of coverage."""
        rows = [outcome.make_row() for outcome in self.outcomes]
        return pa.Table.from_pylist(rows, schema=list_tables()["coverage"].schema)

    @property
    def failed(self) -> list[tuple[str, DrainError]]:
        """The names of the targets that were not read whole, each with its first error.

        An operation that is not offered is not a failure, nor is a region of ``regions="all"`` that is not enabled.
        """
        found: dict[TargetRead, tuple[str, DrainError]] = {}
        for read in self._reads:
            expected = {"not_offered", "region_disabled" if getattr(read.target, "optional", False) else ""}
            for each in read.outcomes:
                if each.failure and each.status not in expected:
                    name = each.target if each is read.outcomes[0] else f"{each.target} {each.operation}"
                    found.setdefault(read, (name, each.failure))
        return list(found.values())

    def batches(self, progress: bool | None) -> Iterator[Tables]:
        """Yield the tables of the targets, some rows of one operation at a time; `progress` as in `drain`."""
        with Bar([read.name for read in self._reads], progress) as bar:
            if self._executor is None:
                yield from read_side_by_side(self._reads, bar)
            else:
                yield from read_on_executor(self._executor, self._reads, self._timeout, bar)
        if self._account is None:  # else STS was not called, and the credentials may be invalid
            for alike in zip(*(read.outcomes for read in self._reads), strict=True):
                found = failures.reconsider([outcome.failure for outcome in alike])
                for read, outcome, failure in zip(self._reads, alike, found, strict=True):
                    if failure is not None and not read.outcomes[0].pages:  # else the region had answered
                        outcome.fail(failure)

    def read_frames(self, progress: bool | None) -> Frames:
        """Return the frames of all targets, with the tables that have no rows."""
        read = {each.name for each in self.operations}
        empty = {name: table.schema.empty_table() for name, table in list_tables().items() if table.operation in read}
        tables = concat_batches(chain([empty], self.batches(progress)))
        tables["coverage"] = self.coverage
        return Frames({name: to_pandas(tables.pop(name)) for name in list(tables)})


def _check_timeout(timeout: object) -> None:
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
