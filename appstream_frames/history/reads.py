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


def find_gone(reads: pd.DataFrame, last_seen: pd.DataFrame) -> pd.Series:
    """Return the first later moment at which a row was known to be gone, or null.

    Parameters
    ----------
    reads : pandas.DataFrame
        What was asked of each target at each moment, see `SnapshotRange.find_reads`.
    last_seen : pandas.DataFrame
        ``account``, ``region`` and ``last_seen`` of each row.

    Returns
    -------
    pandas.Series
        For each row, the moment after `last_seen` at which its target was next read whole, without a filter or with that of
        the last sighting.
    """
    keys = [*TARGET, "last_seen"]
    seen = last_seen[keys].drop_duplicates().merge(reads.rename(columns={"snapshot": "last_seen"}), on=keys)
    seen = seen[[*keys, "request"]].sort_values("last_seen")
    whole = reads[reads["status"] == "complete"].assign(gone_by=lambda rows: rows["snapshot"])
    found = [
        _find_next(seen, whole[whole["request"] == UNFILTERED], TARGET),
        _find_next(seen, whole, [*TARGET, "request"]),
    ]
    seen["gone_by"] = pd.concat(found, axis=1).min(axis=1).set_axis(seen.index)
    return last_seen[keys].merge(seen[[*keys, "gone_by"]], on=keys, how="left")["gone_by"]


def _find_next(seen: pd.DataFrame, whole: pd.DataFrame, by: list[str]) -> pd.Series:
    return pd.merge_asof(
        seen,
        whole[[*by, "snapshot", "gone_by"]],
        left_on="last_seen",
        right_on="snapshot",
        by=by,
        direction="forward",
        allow_exact_matches=False,
    )["gone_by"]


def find_complete(reads: pd.DataFrame, moments: pd.DatetimeIndex) -> pd.DataFrame:
    """Return at which moments each target was read whole, and asked what it was asked the last time that it was.

    Returns
    -------
    pandas.DataFrame
        A row per moment, a column per target that was ever read whole (account, region); bool.
    """
    whole = reads[reads["status"] == "complete"]
    last = whole.drop_duplicates(TARGET, keep="last")[[*TARGET, "request"]]
    same = whole.merge(last, on=[*TARGET, "request"]).assign(whole=True)
    return same.pivot(index="snapshot", columns=TARGET, values="whole").reindex(moments).notna()


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
