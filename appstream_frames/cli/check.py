"""The command ``appstream-frames check``: what to do today, for a terminal, a mail or a chat, or a script."""

from __future__ import annotations

import re
from typing import Final

import click
import pandas as pd

import appstream_frames as asf
from appstream_frames.cli.output import (
    COMPLETE,
    FOUND,
    as_records,
    echo,
    format_cell,
    print_json,
    print_notes,
    reference_option,
    show,
    speak_of_options,
    today_option,
)
from appstream_frames.cli.snapshot import snapshot
from appstream_frames.history.findings import drop_known
from appstream_frames.insights.findings import SEVERITIES

_COLUMNS: Final = ("severity", "account", "region", "resource", "name", "finding", "remedy")
_PUNCTUATION: Final = re.compile(r"([!-+/:-@\[-`{-~])")


@click.command(short_help="Say what to do today about the newest snapshot under ROOT.")
@click.argument("root")
@click.option("--new", is_flag=True, help="Only findings that the snapshot before did not have.")
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES[:-1], "never"]),
    default="high",
    show_default=True,
    help="Exit with 4 when there is a finding of this severity, or a worse one.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
    help="How findings are printed.",
)
@today_option
@reference_option
def check(root: str, new: bool, fail_on: str, form: str, today: str | None, reference: str | None) -> None:
    """Say what to do today about the newest snapshot under ROOT, worst first.

    Exit codes: 0 nothing as severe as --fail-on, 1 failed, 2 misuse, 4 something is.

    Example: appstream-frames check ./snapshots --new --format markdown
    """
    listed = asf.list_snapshots(root)
    newest, moment = listed[["id", "snapshot"]].iloc[-1]
    earlier = list(listed.loc[listed["problem"].isna() & (listed["snapshot"] < moment), "id"]) if new else []
    with print_notes():
        after = asf.read_snapshot(root, newest)
        found = asf.findings(after, today=today, history=root, reference=reference)
        found = drop_known(found, after, root, reference) if earlier else found
    if form == "json":
        print_json(as_records(found))
    else:
        counts = found["severity"].value_counts()
        words = ", ".join(f"{counts[severity]:,} {severity}" for severity in SEVERITIES if severity in counts)
        since = f", new since {earlier[-1]}" if earlier else ""
        echo(f"{newest}{since}: {words or 'no findings'}")
        if len(found) and form == "markdown":
            echo("\n" + format_markdown(_shorten(found)))
        elif len(found):
            show(_shorten(found), as_json=False)
    worst = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on != "never" else ()
    click.get_current_context().exit(FOUND if found["severity"].isin(worst).any() else COMPLETE)


def _shorten(found: pd.DataFrame) -> pd.DataFrame:
    """Return what a person needs: no account or region where there is one, and remedies in the words of `snapshot`."""
    found = found.assign(remedy=[speak_of_options(remedy, snapshot) for remedy in found["remedy"]])
    return found[[name for name in _COLUMNS if name not in ("account", "region") or found[name].nunique() > 1]]


def format_markdown(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table whose cells are text and nothing else.

    Every mark of punctuation that could mean something is escaped. Addresses and mentions, which many programs make links of
    without any mark, are written as ``https[:]//``, ``example[.]com`` and ``[@]``.

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
    """Return text that Markdown shows as it is, and of which no program makes a link or a mention."""
    apart = re.sub(r"[@#]", r"[\g<0>]", text.replace("://", "[:]//"))
    apart = re.sub(r"(?i)(www|mailto|javascript|data)([.:])", r"\1[\2]", apart)
    apart = re.sub(r"(?<=\w)\.(?=[^\W\d_])", "[.]", apart)  # chats make links of names such as example.com
    return _PUNCTUATION.sub(r"\\\1", apart)
