"""What the report says, as tables and numbers: which images are the reader's, which are worst, what changed.

Only counting and choosing; the verdicts are those of `agents` and `base_images`, the changes those of `diff`. No I/O.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import pandas as pd

from appstream_frames.history.changes import merge_changes
from appstream_frames.history.identity import normalize_request
from appstream_frames.insights import base_names
from appstream_frames.insights.findings import list_reasons
from appstream_frames.insights.rows import keep_distinct_images, to_records
from appstream_frames.insights.usage import judge_usage
from appstream_frames.insights.verdicts import agents, base_images
from appstream_frames.tables.coverage import number_targets
from appstream_frames.tables.frames import Frames

LATE_AGENTS: Final = ("known_bad", "behind")
LATE_BASES: Final = ("retired", "behind")


@dataclass(frozen=True)
class Changed:
    """An image that is not as it was."""

    name: str
    account: str
    region: str
    what: str  # added, removed, rebuilt or changed
    columns: tuple[tuple[str, Any, Any], ...]  # column, before, after


@dataclass(frozen=True)
class Since:
    """What is different from an earlier snapshot: its moment, whether it is a week older, images, the warnings of `diff`.

    `public` is how many images of AWS's own were added, removed and changed.
    """

    before: pd.Timestamp
    week: bool
    images: list[Changed]
    public: dict[str, int]
    notes: list[str]


@dataclass(frozen=True)
class Facts:
    """The newest snapshot of an archive; `images`, `agents` and `bases` have one row for each image that is not AWS's own."""

    name: str
    taken: pd.Timestamp
    today: date
    coverage: pd.DataFrame
    public: int
    images: pd.DataFrame
    errors: pd.DataFrame
    agents: pd.DataFrame
    bases: pd.DataFrame
    usage: pd.DataFrame | None
    findings: pd.DataFrame
    since: Since | None
    trend: pd.DataFrame | None

    @property
    def where(self) -> list[str]:
        """The keys by which places differ: account and region, if there are several."""
        return [key for key in ("account", "region") if self.coverage[key].nunique(dropna=False) > 1]

    @property
    def late_agents(self) -> pd.DataFrame:
        """Images whose agent is behind: those that AWS advises against first, then those furthest behind."""
        return _sort_worst_first(self.agents, LATE_AGENTS, "days_behind")

    @property
    def late_bases(self) -> pd.DataFrame:
        """Images whose base is outdated: retired ones first, the oldest of them on top, then those furthest behind."""
        return _sort_worst_first(self.bases, LATE_BASES, "age_days")

    @property
    def failed(self) -> pd.DataFrame:
        """The images that AWS could not make, with AWS's ``reasons``, a list of texts each."""
        rows = self.images[self.images["state"].eq("FAILED").fillna(False)]
        return rows.assign(reasons=list_reasons(rows, self.errors))


def find_facts(
    newest: pd.Series,
    today: date,
    frames: Frames,
    findings: pd.DataFrame,
    since: Since | None,
    trend: pd.DataFrame | None,
    reference: str | os.PathLike[str] | None = None,
) -> Facts:
    """Return the facts of one snapshot, a row of `list_snapshots`.

    Whole frames are judged, as AWS's public images say what is newest, but only the others are counted, an image that several
    accounts see once: nobody but AWS can make a public image newer.
    """
    images = frames.images.reset_index(drop=True)
    named = images["arn"].map(base_names.is_public, na_action="ignore").eq(True).fillna(False)
    public = (images["visibility"].eq("PUBLIC").fillna(False) | named).astype(bool)
    yours = keep_distinct_images(images[~public])
    whole = replace(frames, tables={**frames.tables, "images": images})  # coverage tells which bases AWS lists no more
    return Facts(
        name=newest["id"],
        taken=newest["snapshot"],
        today=today,
        coverage=frames.coverage,
        public=len(keep_distinct_images(images[public])),
        images=yours,
        errors=frames.errors,
        agents=agents(images, today=today, reference=reference).loc[yours.index],
        bases=base_images(whole, today=today, reference=reference).loc[yours.index],
        usage=keep_distinct_images(judge_usage(frames)) if {"fleets", "image_builders"} <= set(frames.tables) else None,
        findings=findings,
        since=since,
        trend=trend,
    )


def _sort_worst_first(verdicts: pd.DataFrame, late: tuple[str, ...], by: str) -> pd.DataFrame:
    rows = verdicts[verdicts["verdict"].isin(late)]
    other = rows["verdict"] != late[0]
    days = -rows["days_behind"].where(other, rows[by]).fillna(0)
    order = rows.assign(other=other, days=days).sort_values(["other", "days", "name", "account", "region"])
    return rows.loc[order.index]


def count_by_location(known: Facts) -> pd.DataFrame:
    """Return how many images each account (or region, when there is one account) has, and how many are outdated.

    Those with most outdated images come first. There are no rows when there is only one target.
    """
    if not known.where:
        return pd.DataFrame()
    key = known.where[0]
    agent, base = known.agents["verdict"].isin(LATE_AGENTS), known.bases["verdict"].isin(LATE_BASES)
    late = {"images": 1, "outdated": agent | base, "agent": agent, "base": base}
    counts = known.images[[key]].assign(**late).groupby(key, dropna=False).sum().astype(int).reset_index()
    return counts.sort_values(["outdated", "images", key], ascending=[False, False, True])


def list_requests(coverage: pd.DataFrame) -> dict[str, int]:
    """Return the requests for less than everything, and in how many targets each was made."""
    requests = [normalize_request(None if pd.isna(request) else request) for request in coverage["request"]]
    counts = Counter(request for request, _ in {*zip(requests, number_targets(coverage), strict=True)})
    return {request: counts[request] for request in sorted(counts) if request not in ("{}", "None")}


def list_changed(changes: pd.DataFrame) -> list[Changed]:
    """Return the images that the rows of `diff` speak of, those gone first."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in to_records(merge_changes(changes)):
        found.setdefault((row["name"], row["account"], row["region"], row["arn"]), []).append(row)
    images = []
    for (name, account, region, _), rows in found.items():
        columns = tuple((row["column"], row["before"], row["after"]) for row in rows if row["column"] is not None)
        images.append(Changed(name, account, region, rows[0]["change"], columns))
    order = ("removed", "added", "rebuilt", "changed")
    return sorted(images, key=lambda image: order.index(image.what))
