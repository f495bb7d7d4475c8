"""The command ``appstream-frames``: the package's main functions for terminals and scripts.

It only calls the package's functions and prints their results. A command returns its exit code.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

import appstream_frames as asf
from appstream_frames.archive import maintenance
from appstream_frames.aws.credentials import is_account
from appstream_frames.aws.regions import check_region
from appstream_frames.cli.check import check, diff
from appstream_frames.cli.output import (
    STDOUT,
    Exit,
    OutputError,
    above_zero,
    as_json_option,
    echo,
    note,
    print_notes,
    reference_option,
    show,
    speak_of_options,
    today_option,
)
from appstream_frames.cli.snapshot import snapshot
from appstream_frames.fetch.progress import is_terminal
from appstream_frames.reports.build import build_page
from appstream_frames.tables.dictionary import ddl
from appstream_frames.tables.files import find_file, replace_file
from appstream_frames.text import printable


class _Group(click.Group):
    """Turns errors of this package into one line and an exit code; lists commands in the order of their definition."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> NoReturn:
        code = Exit.FAILED
        try:
            code = super().invoke(context) or Exit.COMPLETE
        except asf.AppStreamFramesError as error:
            command = self.commands.get(context.invoked_subcommand or "", self)
            note(f"Error: {speak_of_options(str(error), command, snapshot)}")
            code = Exit.MISUSE if isinstance(error, asf.RequestError) else Exit.FAILED
        except OutputError as error:
            note(f"Error: {error}.")
        except OSError as error:
            note(f"Error: {error}. The snapshots already there are unchanged.")
        context.exit(code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(asf.__version__, package_name="appstream-frames")
def main() -> None:
    """Amazon AppStream 2.0 images, and who uses them, as tables and Parquet snapshots.

    ROOT is the archive of snapshots: a folder, or s3://bucket/prefix. Each command's --help has an example.

    Exit codes: 0 complete, 1 failed, 2 misuse, 3 partial (something was not read to its end), 4 `check` found something.
    """
    for stream in (sys.stdout, sys.stderr):  # names from AWS may have characters that this encoding lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):  # a scheduler stops the job, or the terminal is closed
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            before = signal.signal(number, _terminate)
            click.get_current_context().call_on_close(partial(signal.signal, number, before))


def _terminate(number: int, _: object) -> NoReturn:
    """Exit with an exception, so that incomplete files are removed."""
    raise SystemExit(128 + number)


@main.command(short_help="Try the main job on a built-in sandbox: no AWS account needed.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="appstream-demo")
def demo(folder: Path) -> None:
    """Try the main job on the built-in sandbox, without an AWS account.

    Drains an invented account over real HTTP, writes a Parquet snapshot and two charts into FOLDER (default: appstream-demo),
    and shows the results.

    Exit codes: 0 done, 1 failed, 2 misuse.

    Example: appstream-frames demo ./here
    """
    from matplotlib.figure import Figure

    folder = folder.expanduser()
    with asf.sandbox() as sandbox:
        echo(f"A loopback AppStream serves account {sandbox.accounts[0]} at {sandbox.url}")
        frames = asf.drain(sandbox.client())
    echo(repr(frames))
    name = asf.write_snapshot(frames, folder / "snapshots")
    echo(f"\nSnapshot {name} in {folder / 'snapshots'}:\n")
    click.get_current_context().invoke(ls, root=str(folder / "snapshots"), as_json=False)
    echo("\nCharts of the account's own images:")
    verdicts = asf.base_images(frames.images)
    verdicts = verdicts[verdicts["arn"].isin(frames.own.images["arn"])]
    for draw, rows in ((asf.charts.agent_versions, frames.own.images), (asf.charts.base_images, verdicts)):
        figure = Figure(figsize=(10, 7), layout="constrained")
        draw(rows, figure.add_subplot())
        path = folder / f"{draw.__name__}.png"
        figure.savefig(path, dpi=110)
        echo(f"  {path}")
    echo("\nYour own account:  appstream-frames snapshot ./snapshots --profile NAME --region eu-west-1")


main.add_command(snapshot)


@main.command(short_help="List the snapshots under ROOT.")
@click.argument("root")
@as_json_option
def ls(root: str, as_json: bool) -> Exit:
    """List the snapshots under ROOT, oldest first.

    Exit codes: 0 listed, 1 no snapshot, 2 misuse, 3 some manifests cannot be read (the list says why).

    Example: appstream-frames ls s3://bucket/appstream --json
    """
    listed = asf.list_snapshots(root)
    # in a table for people, the id already shows the moment, and empty columns are noise
    show(listed if as_json else listed.drop(columns="snapshot").dropna(axis="columns", how="all"), as_json)
    return Exit.PARTIAL if listed["problem"].notna().any() else Exit.COMPLETE


main.add_command(check)
main.add_command(diff)


@main.command(short_help="Write one HTML page about the newest snapshot under ROOT.")
@click.argument("root")
@click.option("-o", "--output", metavar="FILE", default="report.html", help="The file to write, - for standard output.")
@today_option
@reference_option
def report(root: str, output: str, today: str | None, reference: str | None) -> Exit:
    """Write one HTML page about the newest snapshot under ROOT, for readers who do not use notebooks.

    Exit codes: 0 every target was read to its end, 1 failed, 2 misuse, 3 some targets were not read (the page says which).

    Example: appstream-frames report ./snapshots -o november.html
    """
    if output != STDOUT:
        find_file(output, "-o ")
    with print_notes():
        page = build_page(root, today=today, reference=reference)
    if output == STDOUT:
        echo(page.html.encode(), nl=False)  # UTF-8, whatever the terminal's encoding
    else:
        with replace_file(output) as file:
            file.write(page.html.encode())
        echo(f"{printable(output)}: {page.title}")
    return Exit.COMPLETE if page.whole else Exit.PARTIAL


@main.command(short_help="Write the newest snapshot under ROOT as an Excel workbook.")
@click.argument("root")
@click.option("-o", "--output", metavar="FILE", default="images.xlsx", help="The file to write.")
@click.option("--snapshot", "name", metavar="ID", help="Id of a snapshot, as `ls` shows it; default: the newest.")
@click.option("--public", is_flag=True, help="Include AWS's own public images.")
def export(root: str, output: str, name: str | None, public: bool) -> None:
    """Write the newest snapshot under ROOT as an Excel workbook with a sheet per table.

    Needs the extra `excel`: pip install "appstream-frames[excel]".

    Exit codes: 0 written, 1 failed, 2 misuse.

    Example: appstream-frames export ./snapshots -o november.xlsx --public
    """
    if output == STDOUT:
        raise asf.RequestError("-o - is standard output, and a workbook is a file; expected its name.")
    find_file(output, "-o ")
    frames = asf.read_snapshot(root, name)
    frames = frames if public else frames.own
    frames.to_excel(output)
    echo(f"{printable(output)}: {', '.join(f'{len(table):,} {name}' for name, table in frames.tables.items())}")


@main.command(short_help="Check every file under ROOT against its recorded hash.")
@click.argument("root")
@click.option(
    "--repair", is_flag=True, help="List files older than an hour that a crash left behind; remove them after a yes."
)
@click.option("--yes", is_flag=True, help="With --repair: remove without asking.")
@as_json_option
def verify(root: str, repair: bool, yes: bool, as_json: bool) -> Exit:
    """Check every file under ROOT against its recorded hash.

    Exit codes: 0 whole, 1 damage, 2 misuse, 3 only leftovers of a crash, or files that this package did not write.

    Example: appstream-frames verify s3://bucket/appstream --repair
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
    show(problems, as_json, empty=f"{snapshots:,} snapshot{'s' * (snapshots != 1)}, {files:,} files, all as written.")
    damaged = not problems["problem"].isin(["orphan", "foreign"]).all()
    return Exit.FAILED if damaged else Exit.PARTIAL if len(problems) else Exit.COMPLETE


def _repair(inventory: maintenance.Inventory, yes: bool) -> list[str]:
    """Print the files that a repair removes, and remove them if the user agrees; return the locations of removed files."""
    planned = maintenance.plan_repair(inventory)
    for file in planned:
        note(f"Left behind: {printable(file.location, 300)} ({file.bytes:,} bytes)")
    if planned and not yes and not is_terminal(sys.stdin):
        note(f"Nothing was removed. To remove these {len(planned)} files, run this again with --yes.")
        return []
    if planned and not yes and not click.confirm(f"Remove these {len(planned)} files?", err=True):
        return []
    removed = maintenance.repair(inventory.store, planned)
    note(f"Removed {len(removed)} files.")
    return removed


@main.command(short_help="Describe the columns of TABLE, in AWS's own words.")
@click.argument("table")
@as_json_option
def columns(table: str, as_json: bool) -> None:
    """Describe the columns of TABLE (images, applications, errors, fleets, coverage …), in AWS's own words.

    Exit codes: 0 described, 2 there is no such table.

    Example: appstream-frames columns fleets
    """
    show(asf.columns(table), as_json)


@main.command("ddl", short_help="Print the SQL that defines TABLE in Athena and Glue.")
@click.argument("table")
@click.argument("location", metavar="S3_ROOT")
def print_ddl(table: str, location: str) -> None:
    """Print the SQL with which Athena and Glue read TABLE of the archive at S3_ROOT.

    Exit codes: 0 printed, 2 no such table, or a root that is not in S3.

    Example: appstream-frames ddl images s3://bucket/appstream
    """
    echo(ddl(table, location))


@main.command(short_help="Serve a loopback AppStream for any boto3 program.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option("--at", metavar="DATE", help="Serve the catalogue of this date, for example 2026-09-07.")
@click.option("--account", metavar="ID", help="Account of the printed credentials; default: the first.")
@click.option("--region", metavar="REGION", help="Region of the printed environment; default: the first.")
@click.option("--accounts", type=int, help="Serve this many accounts; default: three.")
@click.option("--regions", type=int, help="Serve this many regions; default: four.")
@click.option("--minutes", type=above_zero, default=60.0, help="Stop after this many minutes.")
def sandbox(account: str | None, region: str | None, minutes: float, **given: Any) -> None:
    """Serve a loopback AppStream, and print the environment variables that point any boto3 program to it.

    It runs until Ctrl-C. Paste its output into another shell, and start your program there.

    Exit codes: 0 stopped, 1 failed, 2 misuse.

    Example: appstream-frames sandbox --at 2026-09-07 --minutes 5
    """
    if account is not None and not is_account(account):
        raise asf.RequestError(f"--account {printable(account)!r} is no account; expected twelve digits: 012345678901.")
    if region is not None:
        check_region(region)
    with asf.sandbox(**given) as served:
        for name, value in served.environment(account, region).items():
            echo(f"export {name}={value}")
        note(f"# serving {served.url} until Ctrl-C, at most {minutes:g} minutes; unset the variables afterwards")
        try:
            time.sleep(min(threading.TIMEOUT_MAX, minutes * 60))
        except KeyboardInterrupt:
            note("# stopped")
