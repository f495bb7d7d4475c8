"""The command ``appstream-frames snapshot``: one account and region, or every account of an organization in every region."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive import reader
from appstream_frames.aws.client_pool import Clients
from appstream_frames.aws.clients import in_time
from appstream_frames.aws.targets import Target
from appstream_frames.cli.output import COMPLETE, PARTIAL, as_json_option, notes, print_json, print_table, records
from appstream_frames.text import printable


@click.command()
@click.argument("root")
@click.option("--profile", "profiles", multiple=True, help="Profile of your AWS configuration (repeatable).")
@click.option("--role", "roles", multiple=True, metavar="ARN", help="Role to assume (repeatable).")
@click.option("--organization-role", metavar="NAME", help="Role to assume in every account of the organization.")
@click.option("--external-id", help="What the roles demand of those who assume them.")
@click.option("--region", "regions", multiple=True, help="AWS region (repeatable), or all; default: the profile's.")
@click.option("--name", "names", multiple=True, help="Only the image of this name (repeatable).")
@click.option("--arn", "arns", multiple=True, help="Only the image of this ARN (repeatable).")
@click.option("--type", "type_", help="PUBLIC, PRIVATE or SHARED; default: everything.")
@click.option("--max-items", type=int, help="Read at most so many images of one target; the snapshot is then partial.")
@click.option("--page-size", type=int, help="Images per request of one target, 0 to 25.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Leave this column null in the files (repeatable).")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds that one page may take, retries included.")
@as_json_option
def snapshot(
    root: str,
    profiles: Sequence[str],
    roles: Sequence[str],
    organization_role: str | None,
    external_id: str | None,
    regions: Sequence[str],
    max_items: int | None,
    page_size: int | None,
    redact: Sequence[str],
    timeout: float,
    as_json: bool,
    **asked: Any,
) -> None:
    """Read accounts and regions side by side, and write one Parquet snapshot under ROOT.

    Without options: your default credentials and region. Exit codes: 0 every target was read whole, 3 some were, 1 none.
    """
    with notes():
        where = asf.targets(
            profiles=profiles or None,
            roles=roles or None,
            organization_role=organization_role,
            external_id=external_id,
            regions="all" if list(regions) == ["all"] else regions or None,
        )
    wanted = {"names": asked["names"] or None, "arns": asked["arns"] or None, "type": asked["type_"]}
    if max_items is None and page_size is None:
        name = asf.take_snapshot(root, where, timeout=timeout, redact=redact, **wanted)
    else:
        client = _client(where, timeout)
        frames = asf.drain(client, max_items=max_items, page_size=page_size, timeout=timeout, **wanted)
        name = asf.write_snapshot(frames, root, redact=redact)
    coverage = reader.read_coverage(root, name)
    if as_json:
        print_json({"id": name, "root": root, "coverage": records(coverage)})
    else:
        _print_summary(coverage, name, root)
    click.get_current_context().exit(COMPLETE if coverage["status"].eq("complete").all() else PARTIAL)


def _client(where: Sequence[Target], timeout: float) -> Any:
    if len(where) != 1:
        raise asf.RequestError(f"--max-items and --page-size are of one account and region; these are {len(where)}.")
    return in_time(partial(Clients().place, where[0], timeout), str(where[0]), timeout).client


def _print_summary(coverage: pd.DataFrame, name: str, root: str) -> None:
    """Say what was read, and each target that was not."""
    counts = ", ".join(f"{coverage[table].sum():,} {table}" for table in ("images", "applications", "errors"))
    whole = coverage["status"].eq("complete")
    click.echo(f"{counts} from {whole.sum():,} of {len(coverage):,} targets read whole")
    if not whole.all():
        print_table(coverage.loc[~whole, ["account", "region", "status", "error_code", "error_message"]])
    click.echo(f"Snapshot {name} in {printable(root)}")
