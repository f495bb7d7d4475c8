"""DataFrames on a terminal: aligned columns for people, JSON for scripts. Hostile text is printed inert.

It only prints: what is shown, and with which exit code, the commands decide.
"""

from __future__ import annotations

import json
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, Final

import click
import pandas as pd

from appstream_frames.text import printable

COMPLETE: Final = 0
FAILED: Final = 1
MISUSE: Final = 2
PARTIAL: Final = 3

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@contextmanager
def notes() -> Iterator[list[warnings.WarningMessage]]:
    """Say on standard error, a line each, what the block warns its user of; the list tells afterwards whether it did."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        yield noted
    for note in noted:
        click.echo(f"Note: {printable(note.message, 2000)}", err=True)


def show(frame: pd.DataFrame, as_json: bool, empty: str = "Nothing.") -> None:
    """Print a frame as JSON or as a table; of a table without rows, the words for that.

    Examples
    --------
    >>> show(pd.DataFrame({"image": ["cad", "crm"], "days": [1470, 9]}), as_json=False)
    image   days
    cad    1,470
    crm        9
    """
    if as_json:
        print_json(records(frame))
    elif frame.empty:
        click.echo(empty)
    else:
        print_table(frame)


def records(frame: pd.DataFrame) -> Any:
    """Return the rows as JSON objects: times in ISO format to the microsecond, missing values null."""
    return json.loads(frame.to_json(orient="records", date_format="iso", date_unit="us"))


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2))


def print_table(frame: pd.DataFrame) -> None:
    """Print a frame in columns that line up: numbers to the right, wide characters counted as two."""
    rows = [list(frame.columns), *([cell(value) for value in row] for row in frame.itertuples(index=False))]
    widths = [max(width(row[place]) for row in rows) for place in range(len(frame.columns))]
    right = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    for row in rows:
        cells = (padded(*one) for one in zip(row, widths, right, strict=True))
        click.echo("  ".join(cells).rstrip())


def cell(value: Any) -> str:
    """Return one value as a line of visible text.

    Examples
    --------
    >>> cell(1234567), cell(None), cell(pd.Timestamp("2026-11-23", tz="UTC"))
    ('1,234,567', '-', '2026-11-23 00:00:00Z')
    """
    if isinstance(value, Iterable) and not isinstance(value, str):
        return printable(", ".join(map(str, value)), 60)
    if pd.isna(value):
        return "-"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return f"{value:,}" if isinstance(value, Integral) else printable(value, 240)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Examples
    --------
    >>> width("abc"), width("日本")
    (3, 4)
    """
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) == "Mn" or "\u1160" <= char <= "\u11ff":  # on the letter, in the syllable before it
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def padded(text: str, columns: int, right: bool) -> str:
    """Return the text filled up with spaces to so many columns."""
    space = " " * (columns - width(text))
    return space + text if right else text + space
