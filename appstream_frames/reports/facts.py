"""The data of the report, as tables and numbers: the reader's images, the worst of them, and changes.

It only reads, counts and selects; verdicts come from `agents` and `base_images`, changes from `diff`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from appstream_frames.archive.reader import list_intact, read_snapshot
from appstream_frames.aws.deadlines import get_process_lock
from appstream_frames.history.changes import is_public, list_changes, merge_changes
from appstream_frames.history.findings import findings
from appstream_frames.history.scan import Root, SnapshotRange
from appstream_frames.history.timelines import count_values
from appstream_frames.insights import days
from appstream_frames.insights.days import Day
from appstream_frames.insights.findings import list_reasons
from appstream_frames.insights.reference import Folder
from appstream_frames.insights.rows import keep_distinct_images, to_records
from appstream_frames.insights.usage import judge_usage
from appstream_frames.insights.verdicts import agents, base_images
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import find_table

LATE_AGENTS: Final = ("known_bad", "behind")
LATE_BASES: Final = ("retired", "behind")
_CHANGES: Final = ("removed", "added", "rebuilt", "changed")
_WEEK: Final = pd.Timedelta(days=6.5)  # a weekly drain may start a little earlier in the day than the previous one
_BY: Final = "appstream_agent_version"


@dataclass(frozen=True)
class Since:
    """The changes since an earlier snapshot: its moment, whether it is a week older, changed images, and warnings of `diff`.

    Each image is a row of `diff` with its ``columns``: (name, before, after). `public` counts AWS's own images by change.
    """

    before: pd.Timestamp
    week: bool
    images: list[dict[str, Any]]
    public: dict[str, int]
    notes: list[str]


class Facts:
    """The newest snapshot of an archive; `images`, `agents` and `bases` have one row for each image that is not AWS's own.

    Verdicts use all images, because AWS's public images show the newest releases, but only the others are counted: only AWS
    can update a public image. An image that several accounts see counts once.
    """

    def __init__(self, root: Root, today: Day, reference: Folder) -> None:
        # an invalid day raises an error before anything is read
        given = None if today is None else days.choose_day(today, make_empty("images"))
        listed = list_intact(root)
        self.name, self.taken = listed.iloc[-1][["id", "snapshot"]]
        self.today = given or self.taken.date()
        frames = read_snapshot(root, self.name)
        self.coverage, self.errors = frames.coverage, frames.errors
        self.images = _keep_own(frames.images)
        self.public = len(keep_distinct_images(frames.images)) - len(self.images)
        yours = self.images.index
        self.agents = agents(frames.images, today=self.today, reference=reference).loc[yours]
        self.bases = base_images(frames, today=self.today, reference=reference).loc[yours]
        used = {"fleets", "image_builders"} <= set(frames.tables)
        self.usage = keep_distinct_images(judge_usage(frames)) if used else None
        self.since = _compare(root, listed, frames)
        # `list_intact` has warned already; all threads share the filters, so one changes them at a time
        with get_process_lock("warnings"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One snapshot is left out", UserWarning)
            self.findings = findings(frames, today=self.today, history=root, reference=reference)
            self.trend = _count_agents(root) if len(listed) > 1 else None

    @property
    def where(self) -> list[str]:
        """The columns in which targets differ: account and region, if there are several."""
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


def _compare(root: Root, listed: pd.DataFrame, after: Frames) -> Since | None:
    earlier = listed.iloc[:-1]
    if earlier.empty:
        return None
    older = earlier[earlier["snapshot"] <= listed["snapshot"].iloc[-1] - _WEEK]
    before = (earlier if older.empty else older).iloc[-1]
    frames = read_snapshot(root, before["id"])
    changes, notes = list_changes(frames, after)
    own = is_public(changes)
    public = changes[own].groupby("change")["arn"].nunique().to_dict()
    return Since(before["snapshot"], not older.empty, _list_changed(changes[~own], frames, after), public, notes)


def _list_changed(changes: pd.DataFrame, before: Frames, after: Frames) -> list[dict[str, Any]]:
    """Return the images in the rows of `diff`, removed ones first, but for those that only other accounts see than before."""
    merged = merge_changes(changes)
    for change, frames in (("added", before), ("removed", after)):
        merged = merged[~(merged["change"].eq(change) & merged["arn"].isin(frames.images["arn"].dropna()))]
    found: dict[Any, dict[str, Any]] = {}
    for row in to_records(merged):
        key = row["arn"] or (row["account"], row["region"], row["name"])
        image = found.setdefault(key, {**row, "columns": []})
        if row["column"] is not None:
            image["columns"].append((row["column"], row["before"], row["after"]))
    return sorted(found.values(), key=lambda image: _CHANGES.index(image["change"]))


def _count_agents(root: Root) -> pd.DataFrame:
    """Return the counts by agent over time without AWS's own images, in the form of `trend`."""
    images = find_table("images")
    return count_values(SnapshotRange.open(root), images, [_BY], keep=_keep_own, needed=["arn", "visibility"])


def _keep_own(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that are not AWS's own, each once however many accounts see it."""
    public = is_public(images) | images["visibility"].eq("PUBLIC").fillna(False).astype(bool)
    return keep_distinct_images(images[~public])


def _sort_worst_first(verdicts: pd.DataFrame, late: tuple[str, ...], by: str) -> pd.DataFrame:
    rows = verdicts[verdicts["verdict"].isin(late)]
    other = rows["verdict"] != late[0]
    behind = -rows["days_behind"].where(other, rows[by]).fillna(0)
    order = rows.assign(other=other, behind=behind).sort_values(["other", "behind", "name", "account", "region"])
    return rows.loc[order.index]
