"""Output of the command: tables as wide as the terminal for people, JSON for scripts. Hostile text is printed inert.

Commands decide what is printed and the exit code. A closed pipe (``| head``) is not an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from numbers import Integral
from typing import Any, Final

import click
import pandas as pd
from tabulate import tabulate
from wcwidth import wcswidth, wrap

from appstream_frames.fetch.progress import is_terminal
from appstream_frames.text import printable


class Exit(IntEnum):
    """The exit codes of the commands."""

    COMPLETE = 0
    FAILED = 1
    MISUSE = 2
    PARTIAL = 3
    FOUND = 4


STDOUT: Final = "-"  # as a file name

_NARROWEST: Final = 6  # minimum width of a table's column, in characters
_LONGEST: Final = 2_000  # characters of a message
_CELL: Final = 240

above_zero = click.FloatRange(0, min_open=True)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
today_option = click.option("--today", metavar="DATE", help="Count ages from this day; default: the newest snapshot's.")
reference_option = click.option(
    "--reference", metavar="FOLDER", help="Your own reference tables; default: the folder APPSTREAM_FRAMES_REFERENCE."
)


class OutputError(Exception):
    """Standard output could not be written, for example because the disk is full."""


def echo(text: str | bytes = "", *, nl: bool = True) -> None:
    """Print a line, or bytes unchanged; raise OutputError when it cannot be written, except to a closed pipe."""
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        _discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"standard output could not be written: {printable(error.strerror or error)}") from None


def note(text: str) -> None:
    """Print a line on standard error; ignore errors, as they cannot be reported anywhere."""
    try:
        click.echo(printable(text, _LONGEST), err=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: Any) -> None:
    """Redirect a stream to the null device, so that flushing it at exit raises no further error."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # the stream may have no file descriptor
        os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def print_notes() -> Iterator[list[warnings.WarningMessage]]:
    """Print each different UserWarning of the block as a line on standard error; yield the list of warnings."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        yield noted
    for message in dict.fromkeys(str(warning.message) for warning in noted):
        note(f"Note: {message}")


def show(frame: pd.DataFrame, as_json: bool, empty: str = "Nothing.") -> None:
    """Print a DataFrame as JSON or as a table; `empty` instead of a table without rows."""
    if as_json:
        echo(json.dumps(as_records(frame), indent=2))
    elif frame.empty:
        echo(empty)
    else:
        wide = is_terminal(sys.stdout) or "COLUMNS" in os.environ  # files have no width
        echo(format_table(frame, shutil.get_terminal_size().columns if wide else None))


def speak_of_options(text: str, *commands: click.Command) -> str:
    """Return a function's message in terms of the command line: options instead of parameters.

    The options are those of `commands`; if several have a parameter, the first one's.

    Examples
    --------
    >>> command = click.Command("snapshot", params=[click.Option(["--region", "regions"])])
    >>> speak_of_options("Name one: regions=['eu-west-1'], or None.", command)
    'Name one: --region eu-west-1.'
    """
    parameters = [each for command in reversed(commands) for each in command.params if isinstance(each, click.Option)]
    options = {str(each.name): each.opts[0] for each in parameters}
    given = re.compile(rf"\b({'|'.join(options)})=(\[[^]]*\]|'[^']*'|\"[^\"]*\"|[\w.-]*\w)?")

    def speak(found: re.Match[str]) -> str:
        value = (found[2] or "").translate(str.maketrans("", "", "[]'\""))
        return f"{options[found[1]]} {value}".rstrip()

    text = re.sub(r"\bcolumns\((?:'(\w+)'|table)\)", lambda found: f"`columns {found[1] or 'TABLE'}`", text)
    return re.sub(r",? or None\b(?: \([^)]*\))?", "", given.sub(speak, text))


def as_records(frame: pd.DataFrame) -> Any:
    """Return the rows as JSON objects: times in ISO format to the microsecond, missing values null."""
    return json.loads(frame.to_json(orient="records", date_format="iso", date_unit="us"))


def count(values: pd.Series, order: Iterable[str]) -> str:
    """Return the number of occurrences of each value as text, in this order."""
    counts = values.value_counts()
    return ", ".join(f"{counts[each]:,} {each}" for each in order if each in counts)


def drop_alike(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a DataFrame without its account or region column if it has only one value."""
    return frame.drop(columns=[name for name in ("account", "region") if frame[name].nunique() <= 1])


def format_table(frame: pd.DataFrame, width: int | None = None) -> str:
    """Return a DataFrame with at least one row as aligned text: numbers to the right, wide characters counted as two.

    With the `width` of a terminal, the cells of the widest columns are wrapped until the table fits.
    """
    rows = [[format_cell(name) for name in frame.columns]]
    rows += [[format_cell(value) for value in row] for row in frame.itertuples(index=False)]
    if width is not None:
        widths = [max(map(wcswidth, column)) for column in zip(*rows, strict=True)]
        limit = max(widths)  # of any column, reduced until all fit
        while limit > _NARROWEST and sum(min(one, limit) for one in widths) + 2 * (len(widths) - 1) > width:
            limit -= 1
        rows = [["\n".join(wrap(cell, limit)) for cell in row] for row in rows]
    align = ["right" if pd.api.types.is_numeric_dtype(dtype) else "left" for dtype in frame.dtypes]
    # the header is an ordinary row, because tabulate makes columns two characters wider than a header
    text = tabulate(rows, tablefmt="plain", colalign=align, disable_numparse=True)
    return "\n".join(line.rstrip() for line in text.splitlines())


def format_cell(value: Any) -> str:
    """Return one value as a line of visible text.

    Examples
    --------
    >>> format_cell(1234567), format_cell(None), format_cell(pd.Timestamp("2026-11-23", tz="UTC"))
    ('1,234,567', '-', '2026-11-23 00:00:00Z')
    """
    if isinstance(value, Iterable) and not isinstance(value, str):
        return printable(", ".join(map(str, value)), 60)
    if pd.isna(value):
        return "-"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return f"{value:,}" if isinstance(value, Integral) and not isinstance(value, bool) else printable(value, _CELL)
