"""The command ``appstream-frames diff``: what changed between two snapshots, in words for a person or rows for a script."""

from __future__ import annotations

from typing import Final

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive.reader import list_intact
from appstream_frames.cli.output import COMPLETE, PARTIAL, as_json_option, echo, note, print_notes, show
from appstream_frames.history.merging import ARNS, is_public, merge_changes
from appstream_frames.insights import days
from appstream_frames.text import printable

_KINDS: Final = ("added", "removed", "rebuilt", "changed")
_VALUE: Final = 48  # characters


@click.command(short_help="Show what changed under ROOT, up to its newest snapshot.")
@click.argument("root")
@click.option(
    "--since", metavar="DATE", help="Compare with the newest snapshot up to this day; default: the last but one."
)
@click.option("--table", metavar="TABLE", default="images", show_default=True, help="images, applications, fleets …")
@click.option("--public", is_flag=True, help="Show changes of AWS's own public images too.")
@as_json_option
def diff(root: str, since: str | None, table: str, public: bool, as_json: bool) -> None:
    """Show what changed under ROOT, up to its newest snapshot.

    Exit codes: 0 everything was compared, 1 failed, 2 misuse, 3 some targets were not (standard error says which).

    Example: appstream-frames diff ./snapshots --since 2026-11-16 --table fleets
    """
    with print_notes() as noted:
        before, after = _choose(list_intact(root), since)
        changes = asf.diff(asf.read_snapshot(root, before), asf.read_snapshot(root, after), table)
    if not public:
        changes = changes[~is_public(changes)]
    if as_json:
        show(changes, as_json)
    else:
        merged = merge_changes(changes)
        echo(f"{before} → {after}: {_count(merged)}")
        if len(merged):
            show(_shorten(merged), as_json)
    click.get_current_context().exit(PARTIAL if noted else COMPLETE)


def _choose(listed: pd.DataFrame, since: str | None) -> tuple[str, str]:
    """Return the ids of the snapshots to compare."""
    if len(listed) < 2:
        raise asf.SnapshotNotFoundError(
            f"A comparison needs two snapshots, and there are {len(listed)}. Take another one."
        )
    earlier = listed.iloc[:-1]
    if since is not None:
        day = days.to_days(pd.Series([since], dtype=object))[0]
        if day is None:
            raise asf.RequestError(f"--since {since!r} is no day; expected one such as 2026-11-16.")
        if day > listed["snapshot"].iloc[-1].date():
            note(f"Note: no snapshot is as new as {day}; the newest is compared with the one before.")
        older = earlier[earlier["snapshot"].dt.date <= day]
        if older.empty:
            note(f"Note: no snapshot is as old as {day}; the oldest is compared.")
        earlier = earlier.head(1) if older.empty else older
    return str(earlier["id"].iloc[-1]), str(listed["id"].iloc[-1])


def _count(changes: pd.DataFrame) -> str:
    """Return how many rows of each kind there are; what changed in several columns is one."""
    rows = changes.drop(columns=["column", "before", "after"]).drop_duplicates()
    counts = rows["change"].value_counts()
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in _KINDS if kind in counts) or "nothing changed"


def _shorten(changes: pd.DataFrame) -> pd.DataFrame:
    """Return what a person needs: no ARNs, no target when there is one, and values that fit a line."""
    alike = [name for name in ("account", "region") if changes[name].nunique() <= 1]
    shown = changes.drop(columns=[*alike, *(name for name in ARNS if name in changes)])
    values = {
        name: shown[name].map(lambda value: printable(value, _VALUE), na_action="ignore")
        for name in ("before", "after")
    }
    return shown.assign(**values)
