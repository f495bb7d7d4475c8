"""What tells the rows of a table apart, so that one image, fleet or application is the same in every snapshot."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import Table, find_table, list_tables
from appstream_frames.text import printable

#: The column that `identify` makes of a row's ARN, or else its name; no column of AWS's has such a name.
RESOURCE: Final = "*"


def find_resource_table(name: str) -> Table:
    """Return a table whose rows describe resources: each but ``coverage``."""
    table = find_table(name)
    if table.operation:
        return table
    names = [known for known, each in list_tables().items() if each.operation]
    raise RequestError(
        f"There is no table {name!r} here: its rows are no resources. Choose one of: {', '.join(names)}."
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """Return what a misspelt name may have meant, as the end of a message."""
    known = list(known)
    found = difflib.get_close_matches(str(name), known, n=3) or known
    return f"Did you mean {', '.join(found)}?" if len(found) <= 3 else f"Choose from: {', '.join(found)}."


def list_columns(parameter: str, given: str | Iterable[str]) -> list[str]:
    """Return the columns that a parameter names, each once."""
    try:
        return list(dict.fromkeys([given] if isinstance(given, str) else given))
    except TypeError:
        raise RequestError(
            f"{parameter}={printable(repr(given))} must be a column's name, or a list of names."
        ) from None


def label_columns(table: Table) -> list[str]:
    """Return the columns by which a reader knows a row: its target, its resource, and what tells it apart in there."""
    own = [name for name in table.identity if name not in ("position", "error_message")]  # a code says enough
    position = ["position"] if "position" in table.schema.names else []
    within = [*own, *position] if own == ["name"] else [*position, *own]
    return ["account", "region", *table.resource, *within]


def identify(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the columns that tell a row from all others: account, region, its ARN or else its name, and its own."""
    known = [rows[name] for name in table.resource if name in rows.columns]
    if not known:
        raise RequestError(f"{table.name} has neither {' nor '.join(table.resource)}, which name its rows.")
    own = [name for name in table.identity if name in rows.columns]
    return rows[["account", "region", *own]].assign(**{RESOURCE: known[0].fillna(known[-1])})
