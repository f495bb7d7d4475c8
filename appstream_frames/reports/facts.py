"""What the report tells, as tables and numbers: which images are the reader's, which are worst, what changed.

Only counting and choosing; the verdicts are those of `agents` and `base_images`, the changes those of `diff`. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from appstream_frames.history import identity
from appstream_frames.insights import base_names
from appstream_frames.insights.verdicts import agents, base_images
from appstream_frames.tables.frames import Frames

LATE_AGENTS: Final = ("known_bad", "behind")
LATE_BASES: Final = ("retired", "behind")


@dataclass(frozen=True)
class Since:
    """What is different from an earlier snapshot: its moment, whether it is a week older, the rows of `diff`, its warnings."""

    before: pd.Timestamp
    week: bool
    changes: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True)
class Facts:
    """The newest snapshot of an archive; `images`, `agents` and `bases` have a row for each image but AWS's own."""

    name: str
    taken: pd.Timestamp
    today: date
    coverage: pd.DataFrame
    public: int
    images: pd.DataFrame
    agents: pd.DataFrame
    bases: pd.DataFrame
    since: Since | None = None
    trend: pd.DataFrame | None = None

    @property
    def incomplete(self) -> pd.DataFrame:
        """The rows of `coverage` that are not ``complete``."""
        return self.coverage[self.coverage["status"] != "complete"]

    @property
    def late_agents(self) -> pd.DataFrame:
        """Images whose agent is behind: those that AWS advises against first, then those furthest behind."""
        return _worst(self.agents, LATE_AGENTS, "days_behind")

    @property
    def late_bases(self) -> pd.DataFrame:
        """Images whose base is outdated: retired ones first, the oldest of them on top, then those furthest behind."""
        return _worst(self.bases, LATE_BASES, "age_days")


def facts(name: str, taken: pd.Timestamp, today: date, frames: Frames) -> Facts:
    """Return the facts of one snapshot, by itself.

    Whole frames are judged, as AWS's public images say what is newest, but only the others are counted: nobody but AWS can
    make a public image newer.
    """
    pairs = zip(frames.images["visibility"], frames.images["arn"], strict=True)
    own = [seen == "PUBLIC" or (isinstance(arn, str) and base_names.is_public(arn)) for seen, arn in pairs]
    yours = ~np.array(own, bool)
    judged = [answer(frames.images, today=today)[yours] for answer in (agents, base_images)]
    return Facts(name, taken, today, frames.coverage, sum(own), frames.images[yours], *judged)


def _worst(answer: pd.DataFrame, late: tuple[str, ...], by: str) -> pd.DataFrame:
    rows = answer[answer["verdict"].isin(late)]
    first = (rows["verdict"] != late[0]).astype(int)
    order = {"first": first, "days": -rows[by].where(first == 0, rows["days_behind"]).fillna(0)}
    keys = ["first", "days", "name", "account", "region"]
    return rows.assign(**order).sort_values(keys, kind="stable").drop(columns=list(order))


def by_place(known: Facts) -> pd.DataFrame:
    """Return, of each account (or region, when there is one account), how many images it has and how many are outdated.

    No rows when there is one target only. Those with most outdated images come first.
    """
    keys = [key for key in ("account", "region") if known.coverage[key].nunique(dropna=False) > 1]
    table = known.images[["account", "region"]].assign(
        agent=known.agents["verdict"].isin(LATE_AGENTS), base=known.bases["verdict"].isin(LATE_BASES)
    )
    table["outdated"] = table["agent"] | table["base"]
    grouped = table.groupby(keys[:1] or ["account"], dropna=False)
    counts = grouped[["agent", "base", "outdated"]].sum().astype(int).assign(images=grouped.size())
    order = counts.reset_index().sort_values(
        [*["outdated", "images"], counts.index.name], ascending=[False, False, True]
    )
    return order if keys else order.head(0)


def questions(coverage: pd.DataFrame) -> dict[str, int]:
    """Return what targets were asked other than for everything, and how many of them."""
    asked = [identity.canonical(None if pd.isna(request) else request) for request in coverage["request"]]
    return {question: asked.count(question) for question in sorted(set(asked)) if question not in ("{}", "None")}


@dataclass(frozen=True)
class Changed:
    """One image that is not as it was."""

    name: str
    account: Any
    region: Any
    what: str  # added, removed, rebuilt or changed
    columns: list[tuple[str, Any, Any]]  # column, before, after


def changed(since: Since) -> tuple[list[Changed], dict[str, int]]:
    """Return the images that changed, those gone first, and how many of AWS's own were added and removed."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    own = {"added": 0, "removed": 0, "changed": 0}
    for row in since.changes.astype(object).where(since.changes.notna(), None).to_dict("records"):
        if row["arn"] is not None and base_names.is_public(row["arn"]):
            own[row["change"]] += 1
        else:
            found.setdefault((row["account"], row["region"], row["arn"] or row["name"]), []).append(row)
    order = ("removed", "added", "rebuilt", "changed")
    return sorted((_changed(rows) for rows in found.values()), key=lambda one: order.index(one.what)), own


def _changed(rows: list[dict[str, Any]]) -> Changed:
    kinds = {row["change"] for row in rows}
    what = "rebuilt" if {"added", "removed"} <= kinds else next(iter(kinds - {"changed"}), "changed")
    columns = [(row["column"], row["before"], row["after"]) for row in rows if row["change"] == "changed"]
    return Changed(rows[0]["name"], rows[0]["account"], rows[0]["region"], what, columns)
