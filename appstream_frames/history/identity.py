"""What is the same in several snapshots: the request to a target, a resource, a value.

Only reads that are complete and made the same request are compared, or show that a resource is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import msgspec
import pandas as pd
import pyarrow as pa

from appstream_frames.errors import RequestError
from appstream_frames.tables.coverage import FIRST_OPERATION
from appstream_frames.tables.schema import Table, find_table, list_tables

TARGET: Final = ["account", "region"]
#: The column in which `identify` puts a row's ARN, or else its name; no column of AWS has this name.
RESOURCE: Final = "*"
#: The result of `normalize_request` for a request without a filter.
UNFILTERED: Final = "{}"
_PAGING: Final = {"MaxItems", "PageSize", "StartingToken"}


def select_reads(coverage: pd.DataFrame, operation: str | None, keys: Sequence[str] = TARGET) -> pd.DataFrame:
    """Return how an operation's reads ended, a row per target: `keys`, which identify it, ``status`` and normalized ``request``.

    For a target that was drained several times in one snapshot, requests are joined; it is ``complete`` only if all reads are.
    """
    coverage = coverage[coverage["operation"].fillna(FIRST_OPERATION) == operation]
    reads = coverage[[*keys, "status"]].assign(request=coverage["request"].map(normalize_request).astype("str"))
    repeated = reads.duplicated(keys, keep=False)
    if not repeated.any():
        return reads.reset_index(drop=True)
    joined = reads[repeated].groupby(list(keys), dropna=False, as_index=False)
    joined = joined.agg(
        status=("status", lambda statuses: max(statuses, key=lambda status: (status != "complete", status))),
        request=("request", lambda requests: " and ".join(sorted(set(requests)))),
    )
    return pd.concat([reads[~repeated], joined], ignore_index=True)


@lru_cache(maxsize=1024)
def normalize_request(request: object) -> str:
    """Return a request as text without its paging: equal text for equivalent requests.

    Examples
    --------
    >>> normalize_request('{"Type": "PRIVATE", "PageSize": 25}')
    '{"Type": "PRIVATE"}'
    """
    try:
        members = {name: value for name, value in json.loads(str(request)).items() if name not in _PAGING}
    except (ValueError, AttributeError):
        return str(request)
    kept = {name: sorted(value) if isinstance(value, list) else value for name, value in members.items()}
    return json.dumps(kept, sort_keys=True)


def find_resource_table(name: str) -> Table:
    """Return a table whose rows describe resources; RequestError for ``coverage``."""
    table = find_table(name)
    if table.operation:
        return table
    names = [known for known, each in list_tables().items() if each.operation]
    raise RequestError(
        f"There is no table {name!r} here: its rows are no resources. Choose one of: {', '.join(names)}."
    )


def label_columns(table: Table) -> list[str]:
    """Return the columns that show a reader which row it is: its target, its resource, and its identity within that."""
    own = [name for name in table.identity if name not in ("position", "error_message")]  # the error code is enough
    position = ["position"] if "position" in table.schema.names else []
    within = [*own, *position] if own == ["name"] else [*position, *own]
    return [*TARGET, *table.resource, *within]


def identify(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the columns that identify a row: account, region, its ARN or else its name, and the table's own identity."""
    known = [rows[name] for name in table.resource if name in rows.columns]
    if not known:
        expected = " nor ".join(table.resource)
        raise RequestError(f"{table.name} has neither {expected}, which name its rows; pass it as it was drained.")
    own = [name for name in table.identity if name in rows.columns]
    return rows[[*TARGET, *own]].assign(**{RESOURCE: known[0].fillna(known[-1])})


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as text: strings unchanged, times in ISO format, all others as JSON; null stays null."""
    if pa.types.is_string(column.type):
        return column
    values = to_values(column)
    rows = [value if value is None or isinstance(value, str) else to_json(value).strip('"') for value in values]
    return pa.chunked_array([pa.array(rows, pa.string())])


def to_values(column: pa.ChunkedArray) -> list[Any]:
    """Return values that `to_json` accepts, with the keys of a map sorted, because their order has no meaning."""
    rows: list[Any] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [None if row is None else dict(sorted(row, key=itemgetter(0))) for row in rows]
    return rows


def to_json(value: object) -> str:
    """Return JSON, with times in ISO format.

    Examples
    --------
    >>> import datetime as dt
    >>> to_json([dt.datetime(2026, 9, 7, tzinfo=dt.UTC), "é", None])
    '["2026-09-07T00:00:00Z","é",null]'
    """
    return str(msgspec.json.encode(value, enc_hook=str), "utf-8")
