"""Drains to `Frames`: of one client, and of many targets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

import pyarrow as pa

from appstream_frames.aws import failures
from appstream_frames.aws.clients import check_client, open_client
from appstream_frames.errors import RequestError, TargetsError
from appstream_frames.fetch.drains import Drain, check_timeout
from appstream_frames.fetch.outcomes import make_coverage
from appstream_frames.fetch.progress import Bar
from appstream_frames.fetch.request import Request
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import choose_operations


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
    """Read the images of one account in one region, and what `include` names, each to a validated end.

    Parameters
    ----------
    client : boto3 AppStream client, optional
        Default: one of your default credentials and region. It behaves for others as before, during the drain too.
    include : str or iterable of str, optional
        Tables to read beside the images: names such as ``"fleets"`` or ``"permissions"``, or ``"all"``. A table's rows bring what
        they are asked about with them: ``"associations"`` brings ``stacks``.
    profile, region : str, optional
        Profile of your AWS configuration, and region, in place of a client; default: those of your environment.
    account : str, optional
        Account id of the client's credentials, twelve digits; default: asked of STS.
    names : iterable of str, optional
        Names of the images to describe. AWS does not find shared images by name.
    arns : iterable of str, optional
        ARNs of the images to describe; not together with `names`.
    type : {"PUBLIC", "PRIVATE", "SHARED"}, optional
        Default: everything, AWS's public images included.
    max_items : int, optional
        Read at most so many images; ``frames.resume_token`` then says where to go on.
    page_size : int, optional
        Images per request, 0 to 25; default: AWS's choice.
    starting_token : str, optional
        A ``resume_token`` of an earlier drain of the same request.
    timeout : float
        Wall-clock seconds that one page may take, its retries included, and finding the credentials.
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
        When the images were read and something that `include` names was not: which, and why.

    Raises
    ------
    RequestError
        When a parameter cannot be right; before anything is sent, or as AWS answered.
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
    check_timeout(timeout)
    client = check_client(open_client(profile, region, timeout) if client is None else client)
    one = Drain(client, request, choose_operations(include), timeout, account=account)
    with Bar(one.names, progress) as bar:
        tables = one.tables(bar)
    if one.error is not None:
        raise one.error
    if one.failed:
        warnings.warn(failures.summarize(one.failed, 1), stacklevel=2)
    return _make_frames(one, tables, resume_token=one.outcomes[0].resume_token)


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
    """Read the images of many accounts and regions, and what `include` names, side by side.

    Parameters
    ----------
    targets : iterable of Target
        What `targets` returns, or the ``failed_targets`` of earlier frames; boto3 AppStream clients will do too.
    include, names, arns, type, page_size, timeout
        As in `drain`.
    executor : concurrent.futures.Executor, optional
        Where to drain, say ``dask.distributed.Client(...).get_executor()``; each process then finds its own credentials.
        Default: threads of this process, at most 64 targets at once and eight calls of one account.
    progress : bool, optional
        Show a progress bar; default: when standard error is a terminal, or in a notebook.
    raise_on_failure : bool
        Raise when a target failed, after everything else is in.

    Returns
    -------
    Frames
        The images of all targets, in the order of targets, with one snapshot moment; ``coverage`` has a row per target
        and operation whether it was read or not. ``failed_targets`` are those to drain again; `Frames.merge` joins the results.

    Warns
    -----
    UserWarning
        When a target failed: which, and why.

    Raises
    ------
    RequestError
        When a parameter cannot be right, or two targets are the same account and region.
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
    with Bar(many.names, progress) as bar:
        tables = many.tables(bar)
    frames = _make_frames(many, tables, targets=tuple(target for target in many.targets for _ in many.operations))
    if failed := many.failed:
        message = failures.summarize(failed, len(many.targets))
        if raise_on_failure:
            group = TargetsError(message, [failure for _, failure in failed])
            group.frames = frames
            raise group
        warnings.warn(message, stacklevel=2)
    return frames


def _make_frames(drained: Drain, tables: dict[str, pa.Table], **more: Any) -> Frames:
    """Return the frames of tables, with their coverage; the tables are given up."""
    tables["coverage"] = make_coverage(drained.outcomes)
    return Frames({name: to_pandas(tables.pop(name)) for name in list(tables)}, **more)
