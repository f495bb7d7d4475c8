"""The sections of the report's page, each made of tables, pictures and paragraphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from appstream_frames import charts
from appstream_frames.insights.findings import RULES
from appstream_frames.insights.rows import to_records
from appstream_frames.reports.facts import LATE_AGENTS, LATE_BASES, Facts
from appstream_frames.reports.figures import Picture, make_picture
from appstream_frames.tables.coverage import count_whole, list_causes
from appstream_frames.text import format_count, format_moment, join_words, printable

_BARS: Final = 10  # images in a chart
_VALUES: Final = 3  # changed columns shown of one image
_NAMED: Final = 5  # resources named of one rule
_LONGEST: Final = 60  # characters of their names
_ADVICE: Final = ". Compare snapshots"  # start of the advice to callers in a warning of `diff`, which a page leaves out
_WHAT: Final = {"removed": "removed", "added": "added", "rebuilt": "built again under its name"}
_LIMITED: Final = "the request limited the number of images"

Cell = str | int | list[str] | None


@dataclass(frozen=True)
class Table:
    """Rows under a caption; the columns named in `numbers` are aligned right."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: Sequence[str] = ()
    kind: str = "table"


@dataclass(frozen=True)
class Words:
    """A paragraph (`kind` is its class) or a heading."""

    words: str
    kind: str


Part = Table | Picture | Words


def find_todo(known: Facts) -> Table | None:
    """Return what to do, a row per rule, worst first; None when there is nothing."""
    rows: list[list[Cell]] = []
    for (rule, severity), found in known.findings.groupby(["rule", "severity"], sort=False):
        names = [printable(row["name"] or row["region"], _LONGEST) for row in to_records(found)]
        which = f"{names[0]}: {found['finding'].iloc[0]}" if len(found) == 1 else join_words(names, _NAMED)
        remedies = " ".join(dict.fromkeys(found["remedy"]))
        about, threshold = RULES[rule].about, RULES[rule].threshold
        about = about.replace(", by more than so many days", "") if threshold == 0 else about
        about = about.replace("so many", f"{threshold or 0:,}")
        rows.append([about[:1].upper() + about[1:], severity, len(found), which, remedies])
    columns = ("What", "Severity", "Count", "Which", "What to do")
    return Table("Worst first", columns, rows, ("Count",)) if rows else None


def list_sections(known: Facts) -> list[tuple[str, str, list[Part]]]:
    """Return the id, heading and parts of the sections that are not empty, in their order."""
    found = [
        ("agents", "Agents", _show_agents(known)),
        ("bases", "Base images", _show_bases(known)),
        ("failed", "Failed images", _show_failed_images(known)),
        ("usage", "Who uses the images", _show_usage(known)),
        ("places", "Where the images are", _show_locations(known)),
        ("changes", "What changed", _show_changes(known)),
        ("coverage", "Coverage", _show_coverage(known)),
    ]
    sections = []
    for name, heading, parts in found:
        if filled := [part for part in parts if not isinstance(part, Table) or part.rows]:
            sections.append((name, heading, filled))
    return sections


def _show_agents(known: Facts) -> list[Part]:
    if known.agents.empty:
        return []
    late = known.late_agents
    pairs = zip(late["reason"], late["contradiction"], strict=True)
    reasons = ["; ".join(words for words in pair if not pd.isna(words)) for pair in pairs]
    verdict, behind = late["verdict"].str.replace("_", " "), _format_in_days(late["days_behind"])
    late = late.assign(verdict=verdict, behind=behind, reason=reasons)
    names = {"appstream_agent_version": "Agent", "behind": "Behind by", "verdict": "Verdict", "reason": "Why"}
    table = _make_table("Advised against first, then furthest behind", late, names, known, ("Behind by",))
    return [
        make_picture(lambda ax: charts.agents(known.agents, ax, top=_BARS)),
        table,
        Words("All agents", "heading"),
        make_picture(lambda ax: charts.agent_versions(known.images, ax, today=known.today)),
    ]


def _show_bases(known: Facts) -> list[Part]:
    if known.bases.empty:
        return []
    late = known.late_bases
    behind = _format_in_days(late["days_behind"].where(late["days_behind"] != 0))
    days = zip(late["released"].dt.strftime("%Y-%m-%d"), _format_in_days(late["age_days"]), strict=True)
    late = late.assign(behind=behind, released=[(day, f"{age} ago") for day, age in days])
    names = {"family": "Base image", "released": "Released", "behind": "Behind by"}
    names |= {"verdict": "Verdict", "reason": "Why"}
    table = _make_table("Retired first, then furthest behind", late, names, known, ("Behind by",))
    return [make_picture(lambda ax: charts.base_images(known.bases, ax)), table]


def _format_in_days(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(days) else format_count(int(days), "day") for days in column]


def _show_failed_images(known: Facts) -> list[Part]:
    failed = known.failed.assign(reasons=[tuple(reasons) for reasons in known.failed["reasons"]])
    return [_make_table("Images that AWS could not make", failed, {"reasons": "AWS's reason"}, known)]


def _show_usage(known: Facts) -> list[Part]:
    used = known.usage
    if used is None or used.empty:
        return []
    unused = used[used["verdict"] == "unused"]
    unused = unused.sort_values(["deletable", "name"], ascending=[False, True], kind="stable")
    unused = unused.assign(deletable=["yes" if one else "no" for one in unused["deletable"].fillna(False)])
    table = _make_table("Images that nobody uses", unused, {"deletable": "Deletable", "reason": "Why"}, known)
    return [make_picture(lambda ax: charts.usage(used, ax)), table]


def _make_table(
    caption: str, images: pd.DataFrame, names: Mapping[str, str], known: Facts, numbers: Sequence[str] = ()
) -> Table:
    """Return a table of images, one row for those with the same name and values."""
    groups = images.groupby(["name", *names], dropna=False, sort=False)
    rows = [
        [key[0], *(_join_locations(group[column], column) for column in known.where), *map(_make_cell, key[1:])]
        for key, group in groups
    ]
    return Table(caption, ["Image", *(column.capitalize() for column in known.where), *names.values()], rows, numbers)


def _join_locations(column: pd.Series, what: str) -> str | None:
    found = column.dropna().unique()
    return format_count(len(found), what) if len(found) > 1 else next(iter(found), None)


def _make_cell(value: Any) -> Cell:
    if isinstance(value, tuple):
        return list(value)
    return None if pd.isna(value) else str(value)


def _show_locations(known: Facts) -> list[Part]:
    """Return the number of images, and of outdated ones, by account (or by region, if there is one account)."""
    if not known.where:
        return []
    what, *_ = known.where
    agent, base = known.agents["verdict"].isin(LATE_AGENTS), known.bases["verdict"].isin(LATE_BASES)
    late = {"images": 1, "outdated": agent | base, "agent": agent, "base": base}
    counts = known.images[[what]].assign(**late).groupby(what, dropna=False).sum().astype(int).reset_index()
    counts = counts.sort_values(["outdated", "images", what], ascending=[False, False, True])
    numbers = ("Images", "Outdated", "Agent behind", "Base outdated")
    rows = [[*row.values()] for row in to_records(counts)]
    return [Table(f"Images by {what}, most outdated ones first", [what.capitalize(), *numbers], rows, numbers)]


def _show_changes(known: Facts) -> list[Part]:
    counts, since = known.trend, known.since
    parts: list[Part] = []
    if counts is not None and not counts.empty:
        parts.append(make_picture(lambda ax: charts.trend(counts, ax), height=4.0))
    if since is None:
        return parts
    between = f"From {format_moment(since.before)} to {format_moment(known.taken)}."
    between += "" if since.week else " No snapshot is a week older, so they are compared with the previous one."
    rows = [[image["name"], *(image[key] for key in known.where), _describe(image)] for image in since.images]
    columns = ["Image", *(key.capitalize() for key in known.where), "Change"]
    notes = [Words(note.partition(_ADVICE)[0] + ".", "small") for note in since.notes]
    table = Table("Images that were removed, added or changed", columns, rows)
    return [*parts, Words(between, "soft"), *notes, table]


def _describe(image: Mapping[str, Any]) -> list[str]:
    words = [_WHAT[image["change"]]] if image["change"] in _WHAT else []
    for column, *values in image["columns"][:_VALUES]:
        before, after = ("nothing" if value is None else printable(value, 40) or "empty" for value in values)
        # the content of `unmodeled` is verbatim and unknown: do not show it
        unknown = column == "unmodeled"
        words.append("values that no column holds" if unknown else f"{column.replace('_', ' ')}: {before} → {after}")
    rest = len(image["columns"]) - _VALUES
    return [*words, *([f"and {rest} more"] if rest > 0 else [])]


def _show_coverage(known: Facts) -> list[Part]:
    names = ("Status", "Targets", "Operation", "First of them", "Why")
    rows: list[list[Cell]] = []
    for cause in to_records(list_causes(known.coverage)):
        words = [cause["error_code"], cause["reason"], _LIMITED if cause["status"] == "limited" else None]
        why = printable(": ".join(str(word) for word in words if word), 600)
        rows.append([cause["status"].replace("_", " "), cause["targets"], cause["operation"], cause["where"], why])
    table = Table("What was not read to the end, and why, worst first", names, rows, ("Targets",))
    if count_whole(known.coverage)[1] == 1:
        return [table]
    return [make_picture(lambda ax: charts.coverage(known.coverage, ax)), table]
