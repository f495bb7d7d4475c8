"""What coverage says of targets: whether an operation read one whole, and what was asked of it.

Only what was read whole, and asked the same way, is compared or taken for a sign that something is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import pandas as pd

from appstream_frames.tables.coverage import FIRST_OPERATION

TARGET: Final = ["account", "region"]
#: What `normalize_request` makes of a request without a filter.
UNFILTERED: Final = "{}"
_PAGING: Final = {"MaxItems", "PageSize", "StartingToken"}


def select_reads(coverage: pd.DataFrame, operation: str | None, keys: Sequence[str] = TARGET) -> pd.DataFrame:
    """Return how an operation's reads ended, a row per target.

    Parameters
    ----------
    coverage : pandas.DataFrame
        Rows of coverage; `keys`, ``status``, ``request`` and, unless it is old, ``operation``.
    operation : str or None
        The API's name.
    keys : sequence of str
        The columns that tell targets apart.

    Returns
    -------
    pandas.DataFrame
        `keys`, ``status`` and ``request`` (normalized). Of a target that was drained several times in one snapshot: the
        requests joined, and ``complete`` only when all of them are.
    """
    if "operation" in coverage.columns:
        coverage = coverage[coverage["operation"].fillna(FIRST_OPERATION) == operation]
    elif operation != FIRST_OPERATION:
        coverage = coverage.iloc[:0]
    reads = coverage[[*keys, "status"]].assign(request=coverage["request"].map(normalize_request).astype("str"))
    repeated = reads.duplicated(keys, keep=False)
    if not repeated.any():
        return reads.reset_index(drop=True)
    joined = reads[repeated].groupby(list(keys), dropna=False, as_index=False).agg({"status": _worst, "request": _join})
    return pd.concat([reads[~repeated], joined], ignore_index=True)


def _worst(statuses: pd.Series) -> str:
    return str(max(statuses, key=lambda status: (status != "complete", status)))


def _join(requests: pd.Series) -> str:
    return " and ".join(sorted(set(requests)))


@lru_cache(maxsize=1024)
def normalize_request(request: object) -> str:
    """Return what a request asked for, without its paging: equal text for equal questions.

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
