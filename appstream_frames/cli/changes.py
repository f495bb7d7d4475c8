"""The command ``appstream-frames diff``: what changed between two snapshots, in words for a person or rows for a script."""

from __future__ import annotations

from typing import Final

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive.reader import list_intact
from appstream_frames.cli.output import COMPLETE, PARTIAL, as_json_option, echo, note, notes, show
from appstream_frames.insights import base_names, days
from appstream_frames.text import printable

_DIFFERENCE: Final = ("change", "column", "before", "after")
_ARNS: Final = ("arn", "image_arn")
_KINDS: Final = ("added", "removed", "rebuilt", "changed")
_VALUE: Final = 48  # characters


@click.command(short_help="Show what changed under ROOT, up to its newest snapshot.")
@click.argument("root")
@click.option(
    "--since", metavar="DATE", help="Compare with the newest snapshot up to this day; default: the last but one."
)
@click.option("--table", default="images", show_default=True, help="images, applications, errors, fleets …")
@click.option("--public", is_flag=True, help="Show changes of AWS's own public images too.")
@as_json_option
def diff(root: str, since: str | None, table: str, public: bool, as_json: bool) -> None:
    """Show what changed under ROOT, up to its newest snapshot.

    Exit codes: 0 everything was compared, 3 some targets were not (standard error says which).
    """
    with notes() as noted:
        before, after = _choose(list_intact(root), since)
        changes = asf.diff(asf.read_snapshot(root, before), asf.read_snapshot(root, after), table)
    if not public:
        changes = _leave_out_public(changes)
    if as_json:
        show(changes, as_json)
    else:
        readable = _merge_rebuilds(changes)
        echo(f"{before} → {after}: {_count(readable)}")
        if len(readable):
            show(_shorten(readable), as_json)
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


def _leave_out_public(changes: pd.DataFrame) -> pd.DataFrame:
    for name in set(_ARNS) & set(changes):
        public = [isinstance(arn, str) and base_names.is_public(arn) for arn in changes[name]]
        changes = changes[~pd.Series(public, changes.index, dtype=bool)]
    return changes


def _merge_rebuilds(changes: pd.DataFrame) -> pd.DataFrame:
    """Return the changes with one row for what was removed and added under its name, and for what several accounts see."""
    if changes.empty:
        return changes
    keys = [name for name in changes if name not in _DIFFERENCE]
    kinds = changes.groupby(keys, dropna=False, sort=False)["change"]
    both = kinds.transform(lambda kind: {"added", "removed"} <= set(kind)).astype(bool)
    merged = changes.assign(change=changes["change"].mask(both & (changes["change"] != "changed"), "rebuilt"))
    arns = [name for name in _ARNS if name in changes]
    seen = [name for name in merged if name != "account"]
    once = merged.duplicated() | (merged.duplicated(seen) & merged[arns].notna().any(axis=1))
    return merged[~once]


def _count(changes: pd.DataFrame) -> str:
    """Return how many rows of each kind there are; what changed in several columns is one."""
    rows = changes.drop(columns=["column", "before", "after"]).drop_duplicates()
    counts = rows["change"].value_counts()
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in _KINDS if kind in counts) or "nothing changed"


def _shorten(changes: pd.DataFrame) -> pd.DataFrame:
    """Return what a person needs: no ARNs, no target when there is one, values only where a column changed."""
    shown = changes.drop(columns=[name for name in _ARNS if name in changes])
    for key in ("account", "region"):
        shown = shown.drop(columns=key) if shown[key].nunique() <= 1 else shown
    for name in ("before", "after"):
        values = shown[name].where(shown["change"] == "changed")
        shown = shown.assign(**{name: values.map(lambda value: printable(value, _VALUE), na_action="ignore")})
    return shown
