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
    """Return how an operation's reads ended: `keys`, which tell targets apart, ``status`` and ``request`` (normalized).

    Of a target that was drained several times in one snapshot: the requests joined, and ``complete`` only when all of them are.
    """
    coverage = coverage[coverage["operation"].fillna(FIRST_OPERATION) == operation]
    reads = coverage[[*keys, "status"]].assign(request=coverage["request"].map(normalize_request).astype("str"))
    repeated = reads.duplicated(keys, keep=False)
    if not repeated.any():
        return reads.reset_index(drop=True)
    joined = (
        reads[repeated]
        .groupby(list(keys), dropna=False, as_index=False)
        .agg(
            status=("status", lambda statuses: max(statuses, key=lambda status: (status != "complete", status))),
            request=("request", lambda requests: " and ".join(sorted(set(requests)))),
        )
    )
    return pd.concat([reads[~repeated], joined], ignore_index=True)


def find_gone(reads: pd.DataFrame, last_seen: pd.DataFrame) -> pd.Series:
    """Return for each row of `last_seen` the moment at which it was known to be gone, or null.

    That is when its target was next read whole, without a filter or with that of the last sighting, by the `reads` that
    `SnapshotRange.find_reads` returns.
    """
    keys = [*TARGET, "last_seen"]
    if last_seen.empty:  # merge_asof cannot join text of which there is none on either side
        return last_seen["last_seen"]
    seen = last_seen[keys].drop_duplicates().merge(reads.rename(columns={"snapshot": "last_seen"}), on=keys)
    seen = seen[[*keys, "request"]].sort_values("last_seen")
    whole = reads[reads["status"] == "complete"]
    whole = whole.assign(gone_by=whole["snapshot"])  # of no rows none: assigning `reads` would add its rows
    later = {"left_on": "last_seen", "right_on": "snapshot", "direction": "forward", "allow_exact_matches": False}
    unfiltered = whole.loc[whole["request"] == UNFILTERED, [*TARGET, "snapshot", "gone_by"]]
    found = [
        pd.merge_asof(seen, unfiltered, by=TARGET, **later)["gone_by"],
        pd.merge_asof(seen, whole, by=[*TARGET, "request"], **later)["gone_by"],
    ]
    seen["gone_by"] = pd.concat(found, axis=1).min(axis=1).set_axis(seen.index)
    return last_seen[keys].merge(seen[[*keys, "gone_by"]], on=keys, how="left")["gone_by"]


def find_complete(reads: pd.DataFrame, moments: pd.DatetimeIndex) -> pd.DataFrame:
    """Return at which moments each target was read whole, and asked what it was asked the last time that it was.

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
