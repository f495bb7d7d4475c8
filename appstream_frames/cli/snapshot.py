"""The command ``appstream-frames snapshot``: one account and region, or every account of an organization in every region."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive import reader
from appstream_frames.archive.roots import open_store
from appstream_frames.cli.output import (
    Exit,
    OutputError,
    above_zero,
    as_json_option,
    as_records,
    count,
    echo,
    note,
    print_notes,
    speak_of_options,
)
from appstream_frames.tables.coverage import STATUSES, count_whole, is_whole, list_causes
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.text import printable

_LOGIN: Final = ("profiles", "roles", "organization_role", "external_id", "role_session_name")
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
@click.option("--include", multiple=True, metavar="TABLE", help="Also read this table: fleets …, or all (repeatable).")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only the image of this name (repeatable).")
@click.option("--arn", "arns", multiple=True, metavar="ARN", help="Only the image of this ARN (repeatable).")
@click.option("--type", metavar="TYPE", help="Only PUBLIC, PRIVATE or SHARED images; default: everything.")
@click.option("--max-items", type=click.IntRange(1), help="Maximum number of images per target, which is then partial.")
@click.option("--page-size", type=click.IntRange(0, 25), help="Images per request of one target, 0 to 25.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Leave this column null in the files (repeatable).")
@click.option("--timeout", type=above_zero, default=60.0, help="Seconds that one page may take, retries included.")
@as_json_option
def snapshot(root: str, regions: Sequence[str], redact: Sequence[str], as_json: bool, **given: Any) -> Exit:
    """Read accounts and regions concurrently, and write one Parquet snapshot under ROOT.

    Without options: your default credentials and region. With --region all, a region that is not enabled for an account does
    not count as missing.

    Exit codes: 0 every target was read whole, 1 none was, 2 misuse, 3 some were.

    Example: appstream-frames snapshot ./snapshots --profile prod --region all

    Example: appstream-frames snapshot s3://bucket/appstream --include all
    """
    open_store(root)  # an invalid root raises an error before any login
    everywhere = list(regions) == ["all"]
    given = {name: None if value == () else value for name, value in given.items()}
    login = {name: given.pop(name) for name in _LOGIN}
    with print_notes():
        where = asf.targets(regions="all" if everywhere else regions or None, **login)
    if len(where) > 1 and (given["max_items"] or given["page_size"]) is not None:
        raise asf.RequestError(f"--max-items and --page-size are of one account and region; these are {len(where)}.")
    try:
        name = asf.take_snapshot(root, where, redact=redact, **given)
    except asf.DrainError as error:
        if error.coverage is None or len(error.coverage) < 2:
            raise
        failed = count_whole(error.coverage)[1]
        note(f"Error: nothing was read, and nothing was written: {failed:,} targets failed.")
        for line in summarize(error.coverage, disabled=False):
            note(line)
        return Exit.FAILED
    coverage = reader.read_coverage(root, name)
    try:
        if as_json:
            echo(json.dumps({"id": name, "root": root, "coverage": as_records(coverage)}, indent=2))
        else:
            echo("\n".join([*summarize(coverage, disabled=everywhere), f"Snapshot {name} in {printable(root)}"]))
    except OutputError as error:  # the snapshot is committed anyway
        note(f"Snapshot {name} is in {printable(root)}, but {error}.")
    return Exit.COMPLETE if is_whole(coverage, disabled=everywhere).all() else Exit.PARTIAL


def summarize(coverage: pd.DataFrame, *, disabled: bool) -> list[str]:
    """Return a line about what was read; if not all was, also a line of counts by status, and a line per cause, worst first.

    With `disabled`, a region that is not enabled does not count as missing.
    """
    whole, total = count_whole(coverage, disabled=disabled)
    rows = coverage.groupby("operation", sort=False)["rows"].sum()
    read = ", ".join(f"{number:,} {OPERATIONS[operation].table}" for operation, number in rows.items())
    lines = [f"{read} from {whole:,} of {total:,} targets read whole"]
    if coverage["status"].eq("complete").all():
        return lines
    lines.append(count(coverage["status"], reversed(STATUSES)))
    causes = list_causes(coverage)
    for cause in causes.head(_CAUSES).itertuples():
        more = f" and {cause.targets - 1:,} more" if cause.targets > 1 else ""
        code = "" if pd.isna(cause.error_code) else f"{cause.error_code}: "
        reason = speak_of_options(cause.reason, snapshot)
        lines.append(printable(f"{cause.status} ({cause.where}{more}): {code}{reason}".rstrip(": "), _LONGEST))
    if len(causes) > _CAUSES:
        lines.append(f"and {len(causes) - _CAUSES:,} more causes: see the snapshot's coverage, or --json")
    return lines
