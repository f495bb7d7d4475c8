"""The command ``appstream-frames snapshot``: one account and region, or every account of an organization in every region."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NoReturn

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive import reader
from appstream_frames.archive.roots import open_store
from appstream_frames.aws import failures
from appstream_frames.aws.clients import ClientPool
from appstream_frames.aws.deadlines import call_within
from appstream_frames.aws.targets import Target
from appstream_frames.cli.output import (
    COMPLETE,
    FAILED,
    PARTIAL,
    OutputError,
    as_json_option,
    as_records,
    echo,
    note,
    print_json,
    print_notes,
    speak_of_options,
)
from appstream_frames.tables.coverage import STATUSES, count_whole, is_whole, list_causes
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

_CAUSES: Final = 18  # lines of a summary
_LONGEST: Final = 1_000  # characters of one of them


@click.command(short_help="Read accounts and regions, and write one Parquet snapshot under ROOT.")
@click.argument("root")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Profile of your AWS files (repeatable).")
@click.option("--role", "roles", multiple=True, metavar="ARN", help="Role to assume (repeatable).")
@click.option("--organization-role", metavar="NAME", help="Role to assume in every account of the organization.")
@click.option("--external-id", metavar="ID", help="External id that the roles require.")
@click.option("--role-session-name", metavar="NAME", help="Name of the roles' sessions; default: appstream-frames.")
@click.option(
    "--region", "regions", multiple=True, metavar="REGION", help="Repeatable, or all; default: the profile's."
)
@click.option("--include", multiple=True, metavar="TABLE", help="Read this table too, say fleets, or all (repeatable).")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only the image of this name (repeatable).")
@click.option("--arn", "arns", multiple=True, metavar="ARN", help="Only the image of this ARN (repeatable).")
@click.option("--type", "type_", metavar="TYPE", help="Only PUBLIC, PRIVATE or SHARED images; default: everything.")
@click.option(
    "--max-items",
    type=click.IntRange(1),
    help="Images to read of one target, at most; the snapshot is then partial.",
)
@click.option("--page-size", type=click.IntRange(0, 25), help="Images per request of one target, 0 to 25.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Leave this column null in the files (repeatable).")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that one page may take, retries included.",
)
@as_json_option
def snapshot(
    root: str,
    profiles: Sequence[str],
    roles: Sequence[str],
    organization_role: str | None,
    external_id: str | None,
    role_session_name: str | None,
    regions: Sequence[str],
    max_items: int | None,
    page_size: int | None,
    redact: Sequence[str],
    timeout: float,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Read accounts and regions side by side, and write one Parquet snapshot under ROOT.

    Without options: your default credentials and region. With --region all, a region that is not enabled for an account is
    nothing missing.

    Exit codes: 0 every target was read whole, 1 none was, 2 misuse, 3 some were.

    Example: appstream-frames snapshot ./snapshots --profile prod --region all

    Example: appstream-frames snapshot s3://bucket/appstream --include all
    """
    open_store(root)  # refused before anybody signs in
    everywhere = list(regions) == ["all"]
    with print_notes():
        where = asf.targets(
            profiles=profiles or None,
            roles=roles or None,
            organization_role=organization_role,
            external_id=external_id,
            role_session_name=role_session_name,
            regions="all" if everywhere else regions or None,
        )
    request = {name: wanted[name] or None for name in ("include", "names", "arns")} | {"type": wanted["type_"]}
    if max_items is None and page_size is None:
        try:
            name = asf.take_snapshot(root, where, timeout=timeout, redact=redact, **request)
        except asf.DrainError as error:
            _refuse(error)
    else:
        client = _make_client(where, timeout)
        frames = asf.drain(client, max_items=max_items, page_size=page_size, timeout=timeout, **request)
        name = asf.write_snapshot(frames, root, redact=redact)
    coverage = reader.read_coverage(root, name)
    try:
        if as_json:
            print_json({"id": name, "root": root, "coverage": as_records(coverage)})
        else:
            for line in summarize(coverage, click.get_current_context().command, disabled=everywhere):
                echo(line)
            echo(f"Snapshot {name} in {printable(root)}")
    except OutputError as error:  # the snapshot is there all the same
        note(f"Snapshot {name} is in {printable(root)}, but {error}.")
    click.get_current_context().exit(COMPLETE if is_whole(coverage, disabled=everywhere).all() else PARTIAL)


def _refuse(error: asf.DrainError) -> NoReturn:
    """Say by cause why no target of several was read, and end."""
    if error.coverage is None or len(error.coverage) < 2:
        raise error
    context = click.get_current_context()
    note(f"Error: nothing was read, and nothing was written: {count_whole(error.coverage)[1]:,} targets failed.")
    for line in summarize(error.coverage, context.command, disabled=False):
        note(line)
    context.exit(FAILED)


def _make_client(where: Sequence[Target], timeout: float) -> Any:
    if len(where) != 1:
        raise asf.RequestError(f"--max-items and --page-size are of one account and region; these are {len(where)}.")
    try:
        return call_within(timeout, partial(ClientPool().locate, where[0], timeout)).client
    except TimeoutError as late:
        raise failures.explain(late, failures.Position(str(where[0]), 0, None)) from late


def summarize(coverage: pd.DataFrame, command: click.Command, *, disabled: bool) -> list[str]:
    """Return what was read in a line, then what was not: a line of counts by status, and a line per cause, worst first.

    Advice speaks of the options of `command`. With `disabled`, a region that is not enabled counts as nothing missing.
    """
    whole, total = count_whole(coverage, disabled=disabled)
    rows = coverage.groupby("operation", sort=False)["rows"].sum()
    read = ", ".join(f"{count:,} {OPERATIONS[operation].table}" for operation, count in rows.items())
    lines = [f"{read} from {whole:,} of {total:,} targets read whole"]
    if coverage["status"].eq("complete").all():
        return lines
    counts = coverage["status"].value_counts()
    known = [status for status in reversed(STATUSES) if status in counts]
    strange = sorted(set(counts.index) - set(known))
    lines.append(", ".join(f"{counts[status]:,} {printable(status, 30)}" for status in [*known, *strange]))
    causes = list_causes(coverage)
    lines += [_describe(cause, command) for cause in causes.head(_CAUSES).itertuples()]
    if len(causes) > _CAUSES:
        lines.append(f"and {len(causes) - _CAUSES:,} more causes: see the snapshot's coverage, or --json")
    return lines


def _describe(cause: Any, command: click.Command) -> str:
    more = f" and {cause.targets - 1:,} more" if cause.targets > 1 else ""
    words = "" if pd.isna(cause.error_code) else f"{cause.error_code}: "
    reason = speak_of_options(cause.reason, command)
    return printable(f"{cause.status} ({cause.where}{more}): {words}{reason}".rstrip(": "), _LONGEST)
