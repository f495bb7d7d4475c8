"""The commands `check` and `diff`: what to do today about the newest snapshot, and what changed since an earlier one."""

from __future__ import annotations

import re
from typing import Final

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.archive.reader import list_intact
from appstream_frames.cli.output import (
    Exit,
    as_json_option,
    count,
    drop_alike,
    echo,
    format_cell,
    note,
    print_notes,
    reference_option,
    show,
    speak_of_options,
    today_option,
)
from appstream_frames.cli.snapshot import snapshot
from appstream_frames.history.changes import ARNS, is_public, merge_changes
from appstream_frames.history.findings import drop_known
from appstream_frames.insights import days
from appstream_frames.insights.findings import SEVERITIES
from appstream_frames.text import printable

_FINDING: Final = ["severity", "account", "region", "resource", "name", "finding", "remedy"]
_LEAST: Final = click.Choice([*SEVERITIES[:-1], "never"])
_KINDS: Final = ("added", "removed", "rebuilt", "changed")
_VALUE: Final = 48  # characters
_PUNCTUATION: Final = re.compile(r"([!-+/:-@\[-`{-~])")


@click.command(short_help="Say what to do today about the newest snapshot under ROOT.")
@click.argument("root")
@click.option("--new", is_flag=True, help="Only findings that the previous snapshot did not have.")
@click.option(
    "--fail-on", type=_LEAST, default="high", help="Exit with 4 on a finding of this severity, or a worse one."
)
@click.option("--format", type=click.Choice(["table", "markdown", "json"]), default="table", help="How to print them.")
@today_option
@reference_option
def check(root: str, new: bool, fail_on: str, format: str, today: str | None, reference: str | None) -> Exit:
    """Say what to do today about the newest snapshot under ROOT, worst first.

    Exit codes: 0 no finding as severe as --fail-on, 1 failed, 2 misuse, 4 at least one.

    Example: appstream-frames check ./snapshots --new --format markdown
    """
    listed = asf.list_snapshots(root)
    newest, moment = listed[["id", "snapshot"]].iloc[-1]
    earlier = list(listed.loc[listed["problem"].isna() & (listed["snapshot"] < moment), "id"]) if new else []
    with print_notes():
        after = asf.read_snapshot(root, newest)
        found = asf.findings(after, today=today, history=root, reference=reference)
        found = drop_known(found, after, root, reference) if earlier else found
    if format == "json":
        show(found, as_json=True)
    else:
        since = f", new since {earlier[-1]}" if earlier else ""
        echo(f"{newest}{since}: {count(found['severity'], SEVERITIES) or 'no findings'}")
        remedies = [speak_of_options(remedy, snapshot) for remedy in found["remedy"]]
        shown = drop_alike(found.assign(remedy=remedies)[_FINDING])
        if len(found) and format == "markdown":
            echo("\n" + format_markdown(shown))
        elif len(found):
            show(shown, as_json=False)
    worst = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on != "never" else ()
    return Exit.FOUND if found["severity"].isin(worst).any() else Exit.COMPLETE


def format_markdown(frame: pd.DataFrame) -> str:
    """Return a DataFrame as a Markdown table whose cells are only text.

    All punctuation that Markdown may interpret is escaped. Addresses and mentions, which many programs turn into links without
    markup, are written as ``https[:]//``, ``example[.]com`` and ``[@]``.

    Examples
    --------
    >>> print(format_markdown(pd.DataFrame({"name": ["![a](https://b)|@c"]})))
    | name |
    | --- |
    | \\!\\[a\\]\\(https\\[\\:\\]\\/\\/b\\)\\|\\[\\@\\]c |
    """
    rows = [frame.columns, *frame.itertuples(index=False)]
    lines = ["| " + " | ".join(escape_markdown(format_cell(cell)) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(frame.columns), *lines[1:]])


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows unchanged and that no program turns into a link or a mention."""
    apart = re.sub(r"[@#]", r"[\g<0>]", text.replace("://", "[:]//"))
    apart = re.sub(r"(?i)(www|mailto|javascript|data)([.:])", r"\1[\2]", apart)
    apart = re.sub(r"(?<=\w)\.(?=[^\W\d_])", "[.]", apart)  # chat programs turn names such as example.com into links
    return _PUNCTUATION.sub(r"\\\1", apart)


@click.command(short_help="Show what changed under ROOT, up to its newest snapshot.")
@click.argument("root")
@click.option("--since", metavar="DATE", help="Compare with the newest snapshot up to this day; default: the previous.")
@click.option("--table", metavar="TABLE", default="images", help="images, applications, fleets …")
@click.option("--public", is_flag=True, help="Show changes of AWS's own public images too.")
@as_json_option
def diff(root: str, since: str | None, table: str, public: bool, as_json: bool) -> Exit:
    """Show what changed under ROOT, up to its newest snapshot.

    Exit codes: 0 everything was compared, 1 failed, 2 misuse, 3 some targets were not compared (see standard error).

    Example: appstream-frames diff ./snapshots --since 2026-11-16 --table fleets
    """
    with print_notes() as noted:
        listed = list_intact(root)
        if len(listed) < 2:
            found = f"A comparison needs two snapshots, and there are {len(listed)}. Take another one."
            raise asf.SnapshotNotFoundError(found)
        before, after = _find_before(listed, since), listed["id"].iloc[-1]
        changes = asf.diff(asf.read_snapshot(root, before), asf.read_snapshot(root, after), table)
    changes = changes if public else changes[~is_public(changes)]
    if as_json:
        show(changes, as_json)
    else:
        merged = merge_changes(changes)
        # a resource that changed in several columns counts once
        kinds = merged.drop(columns=["column", "before", "after"]).drop_duplicates()["change"]
        nothing = "nothing changed in what was compared" if noted else "nothing changed"
        echo(f"{before} → {after}: {count(kinds, _KINDS) or nothing}")
        if len(merged):
            values = merged[["before", "after"]].map(printable, na_action="ignore", width=_VALUE)
            shown = drop_alike(merged.assign(before=values["before"], after=values["after"]))
            show(shown.drop(columns=[*ARNS], errors="ignore"), as_json)
    return Exit.PARTIAL if noted else Exit.COMPLETE


def _find_before(listed: pd.DataFrame, since: str | None) -> str:
    """Return the id of the snapshot to compare the newest with: the previous one, or the newest up to a day."""
    earlier = listed.iloc[:-1]
    if since is not None:
        day = days.to_days(pd.Series([since], dtype=object))[0]
        if day is None:
            raise asf.RequestError(f"--since {printable(since)!r} is no day; expected one such as 2026-11-16.")
        if day > listed["snapshot"].iloc[-1].date():
            note(f"Note: no snapshot is as new as {day}; the newest is compared with the one before it.")
        older = earlier[earlier["snapshot"].dt.date <= day]
        if older.empty:
            note(f"Note: no snapshot is as old as {day}; the oldest is compared.")
        earlier = earlier.head(1) if older.empty else older
    return str(earlier["id"].iloc[-1])
