"""The command ``appstream-frames``: the package's main jobs for a terminal and for scripts.

It only calls the public functions and prints what they give. Exit codes: 0 complete, 3 partial, 1 failed, 2 misuse.
"""

from __future__ import annotations

import io
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive import maintenance
from appstream_frames.cli.output import COMPLETE, FAILED, MISUSE, PARTIAL, as_json_option, notes, print_table, show
from appstream_frames.cli.snapshot import snapshot
from appstream_frames.insights import days
from appstream_frames.reports import save
from appstream_frames.reports.build import build_page
from appstream_frames.tables.ddl import ddl as statement
from appstream_frames.text import printable


class _Group(click.Group):
    """Turns this package's errors into one line and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        before = signal.signal(signal.SIGTERM, _terminated)
        try:
            return super().invoke(context)
        except asf.AppStreamFramesError as error:
            click.echo(f"Error: {printable(error, 2000)}", err=True)
            context.exit(MISUSE if isinstance(error, asf.RequestError) else FAILED)
        except OSError as error:
            click.echo(f"Error: {printable(error, 2000)}. The snapshots already there are as they were.", err=True)
            context.exit(FAILED)
        finally:
            signal.signal(signal.SIGTERM, before)


def _terminated(number: int, _: object) -> None:
    """End as an error does, so that nothing half-written stays; a scheduler that stops a job sends this."""
    raise SystemExit(128 + number)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(asf.__version__, package_name="appstream-frames")
def main() -> None:
    """Amazon AppStream 2.0 images as tables and Parquet snapshots.

    Exit codes: 0 complete, 3 partial (something was not read to its end), 1 failed, 2 misuse.
    """
    for stream in (sys.stdout, sys.stderr):  # a stranger's letters may be in no code page of this machine
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="appstream-demo")
def demo(folder: Path) -> None:
    """Try the main job on the built-in sandbox, without an AWS account.

    Drains an invented account over real HTTP, writes a Parquet snapshot and two charts into FOLDER, and shows what is there.
    """
    with asf.sandbox() as sandbox:
        click.echo(f"A loopback AppStream serves account {sandbox.accounts[0]} at {sandbox.url}")
        frames = asf.drain(sandbox.client())
    click.echo(repr(frames))
    name = asf.write_snapshot(frames, folder / "snapshots")
    click.echo(f"\nSnapshot {name} in {folder / 'snapshots'}:\n")
    print_table(asf.list_snapshots(folder / "snapshots"))
    click.echo("\nCharts:")
    for path in _draw(frames.images, folder):
        click.echo(f"  {path}")
    click.echo("\nYour own account:  appstream-frames snapshot ./snapshots --profile NAME --region eu-west-1")


def _draw(images: pd.DataFrame, folder: Path) -> Iterable[Path]:
    from matplotlib.figure import Figure

    for chart in (asf.charts.agent_versions, asf.charts.base_image_releases):
        figure = Figure(figsize=(10, 7), layout="constrained")
        chart(images, ax=figure.add_subplot())
        path = folder / f"{chart.__name__}.png"
        figure.savefig(path, dpi=110)
        yield path


main.add_command(snapshot)


@main.command()
@click.argument("root")
@as_json_option
def ls(root: str, as_json: bool) -> None:
    """List the snapshots under ROOT, oldest first.

    Exit codes: 0 listed, 3 some manifests cannot be read (the list says why), 1 no snapshot.
    """
    listed = asf.list_snapshots(root)
    show(listed if as_json else listed.dropna(axis="columns", how="all"), as_json)
    click.get_current_context().exit(PARTIAL if listed["problem"].notna().any() else COMPLETE)


@main.command()
@click.argument("root")
@click.option(
    "--since", metavar="DATE", help="Compare with the newest snapshot up to this day; default: the last but one."
)
@click.option("--table", type=click.Choice(["images", "applications", "errors"]), default="images", show_default=True)
@as_json_option
def diff(root: str, since: str | None, table: str, as_json: bool) -> None:
    """Show what changed under ROOT, up to its newest snapshot.

    Exit codes: 0 everything was compared, 3 some targets were not (standard error says which).
    """
    before, after = _two(asf.list_snapshots(root), since)
    with notes() as noted:
        changes = asf.diff(asf.read_snapshot(root, before), asf.read_snapshot(root, after), table)
    show(changes if as_json else _readable(changes), as_json, empty=f"Nothing changed between {before} and {after}.")
    click.get_current_context().exit(PARTIAL if noted else COMPLETE)


def _readable(changes: pd.DataFrame) -> pd.DataFrame:
    """Return what a person needs of changes: no ARNs, no target when there is one, values only where a column changed."""
    shown = changes.drop(columns=["arn", "image_arn"], errors="ignore")
    for key in ("account", "region"):
        shown = shown.drop(columns=key) if shown[key].nunique() <= 1 else shown
    changed = shown["change"] == "changed"
    cells = {
        name: shown[name].where(changed).map(lambda value: printable(value, 48), na_action="ignore")
        for name in ("before", "after")
    }
    return shown.assign(**cells)


def _two(listed: pd.DataFrame, since: str | None) -> tuple[str, str]:
    """Return the ids of the snapshots to compare."""
    if len(listed) < 2:
        raise asf.SnapshotNotFoundError(
            f"A comparison needs two snapshots, and there are {len(listed)}. Take another one."
        )
    earlier = listed.iloc[:-1]
    if since is not None:
        day = days.days(pd.Series([since], dtype=object))[0]
        if day is None:
            raise asf.RequestError(f"--since {since!r} is no day; expected one such as 2026-11-16.")
        upto = earlier[earlier["snapshot"].dt.date <= day]
        earlier = upto if len(upto) else earlier.iloc[:1]
    return str(earlier["id"].iloc[-1]), str(listed["id"].iloc[-1])


@main.command()
@click.argument("root")
@click.option(
    "-o", "--output", default="report.html", show_default=True, help="The file to write; - is standard output."
)
@click.option("--today", metavar="DATE", help="Count ages from this day; default: the newest snapshot's.")
def report(root: str, output: str, today: str | None) -> None:
    """Write one page on the newest snapshot under ROOT for people who open no notebook.

    Exit codes: 0 every target was read to its end, 3 some were not (the page says which).
    """
    output = save.checked(output)
    page = build_page(root, today=today)
    save.save(page.html, output)
    if output != save.STDOUT:
        click.echo(f"{printable(output)}: {page.title}")
    click.get_current_context().exit(COMPLETE if page.whole else PARTIAL)


@main.command()
@click.argument("root")
@click.option(
    "--repair", is_flag=True, help="List what a crash left behind and is older than an hour; remove it after a yes."
)
@click.option("--yes", is_flag=True, help="With --repair: remove without asking.")
@as_json_option
def verify(root: str, repair: bool, yes: bool, as_json: bool) -> None:
    """Check every file under ROOT against its recorded hash.

    Exit codes: 0 whole, 3 only leftovers of a crash or files that are not ours, 1 damage.
    """
    inventory = maintenance.Inventory.of(root)
    problems = maintenance.find_problems(inventory)
    try:
        removed = _repair(inventory, yes) if repair else []
    except asf.SnapshotCorruptError:
        show(problems, as_json)
        raise
    problems = problems[~problems["file"].isin(removed)]
    snapshots, files = len(inventory.manifests), sum(1 + len(one.files) for one in inventory.manifests)
    show(problems, as_json, empty=f"{snapshots:,} snapshots, {files:,} files, all as written.")
    damaged = not problems["problem"].isin(["orphan", "foreign"]).all()
    click.get_current_context().exit(FAILED if damaged else PARTIAL if len(problems) else COMPLETE)


def _repair(inventory: maintenance.Inventory, yes: bool) -> list[str]:
    """Say what would be removed, and remove it if that is wanted; return where it lay."""
    planned = maintenance.plan_repair(inventory)
    for file in planned:
        click.echo(f"Left behind: {printable(file.location, 300)} ({file.bytes:,} bytes)", err=True)
    if planned and not yes and not sys.stdin.isatty():
        click.echo(f"Nothing was removed. To remove these {len(planned)} files, run this again with --yes.", err=True)
        return []
    if planned and not yes and not click.confirm(f"Remove these {len(planned)} files?", err=True):
        return []
    removed = maintenance.repair(inventory.store, planned)
    click.echo(f"Removed {len(removed)} files.", err=True)
    return removed


@main.command()
@click.argument("table", type=click.Choice(["images", "applications", "errors", "coverage"]))
@as_json_option
def columns(table: str, as_json: bool) -> None:
    """Describe the columns of TABLE, in AWS's own words."""
    show(asf.columns(table), as_json)


@main.command()
@click.argument("table", type=click.Choice(["images", "applications", "errors", "coverage"]))
@click.argument("location", metavar="S3_ROOT")
def ddl(table: str, location: str) -> None:
    """Print the SQL with which Athena and Glue read TABLE of the archive at S3_ROOT."""
    click.echo(statement(table, location))


@main.command()
@click.option("--port", default=0, help="Port on 127.0.0.1; default: a free one.")
@click.option("--at", metavar="DATE", help="Serve the catalogue as it was on this date, say 2026-09-07.")
@click.option("--account", help="Account of the printed credentials.")
@click.option("--region", help="Region of the printed environment.")
@click.option("--accounts", type=int, help="Serve so many accounts: the three of the catalogue, and invented ones.")
@click.option("--regions", type=int, help="Serve so many regions; default: four.")
@click.option("--minutes", default=60.0, show_default=True, help="Stop after so many minutes.")
def sandbox(
    port: int,
    at: str | None,
    account: str | None,
    region: str | None,
    accounts: int | None,
    regions: int | None,
    minutes: float,
) -> None:
    """Serve a loopback AppStream, and print the environment that points any boto3 program at it."""
    with asf.sandbox(at=at, port=port, accounts=accounts, regions=regions) as served:
        for name, value in served.environment(account, region).items():
            click.echo(f"export {name}={value}")
        click.echo(
            f"# serving {served.url} until Ctrl-C, at most {minutes:g} minutes; unset the variables afterwards",
            err=True,
        )
        try:
            time.sleep(minutes * 60)
        except KeyboardInterrupt:
            click.echo("# stopped", err=True)
