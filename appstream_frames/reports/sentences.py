"""The report's summary: the number of images, what is outdated, what changed and what was not read, in a few sentences each."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pandas as pd

from appstream_frames.history.identity import normalize_request
from appstream_frames.insights.rows import to_records
from appstream_frames.reports.facts import Facts
from appstream_frames.tables.coverage import count_whole, number_targets
from appstream_frames.text import (
    format_age,
    format_count,
    format_day,
    format_moment,
    format_share,
    join_words,
    printable,
)

_NAME: Final = 60  # characters of a name in a sentence
_NAMED: Final = 3  # names in a sentence
_CHANGES: Final = {"added": "added", "removed": "removed", "rebuilt": "built again", "changed": "changed"}


def describe_scope(known: Facts) -> str:
    """Describe the scope of the page."""
    places = [format_count(known.coverage[key].nunique(dropna=False), key) for key in ("account", "region")]
    images, taken = format_count(len(known.images), "image"), format_moment(known.taken)
    words = f"{images} of yours or shared with you, in {join_words(places)}, as of {taken}."
    public = f" AWS's own {format_count(known.public, 'public image')} are left out: only AWS can make them newer."
    return words[:1].upper() + words[1:] + (public if known.public else "")


def explain_numbers(known: Facts) -> str:
    """Explain how the numbers are counted."""
    return (
        f"Snapshot {known.name}; ages are counted at {format_day(known.today)} (UTC). An image that several accounts see is "
        "counted once. The newest agent and base image are the newest of the snapshot and of the reference tables, so there "
        "may be newer ones. An image is behind by the days between the release that it has and the newest one."
    )


def summarize(known: Facts) -> list[tuple[str, str, bool]]:
    """Return the lines of the summary: heading, sentences, and whether it calls for action."""
    whole, total = count_whole(known.coverage)
    lines = [
        ("Agents", _describe_agents(known), not known.late_agents.empty),
        ("Base images", _describe_bases(known), not known.late_bases.empty),
        ("State", _describe_states(known), not known.failed.empty),
        ("Use", _describe_use(known), False),
        ("Changes", _describe_changes(known), False),
        ("Coverage", _describe_coverage(known), whole < total),
    ]
    return [line for line in lines if line[1]]


def _describe_agents(known: Facts) -> str:
    late, verdicts = known.late_agents, known.agents
    if verdicts.empty:
        return ""
    newest = format_day(verdicts["newest_agent"].max())
    words = f"{format_share(len(late), len(verdicts), 'run')} an agent behind AWS's newest, of {newest}."
    counts = verdicts["verdict"].value_counts()
    if bad := counts.get("known_bad", 0):
        words += f" {bad:,} {'runs' if bad == 1 else 'run'} one that AWS advises against."
    if unknown := counts.get("unknown", 0):
        words += f" For {unknown:,} it is not known."
    for row in to_records(late.sort_values("days_behind", ascending=False, kind="stable").head(1)):
        if row["days_behind"]:
            words += f" Furthest behind, by {format_age(int(row['days_behind']))}, is {printable(row['name'], _NAME)}."
    return words


def _describe_bases(known: Facts) -> str:
    late, verdicts = known.late_bases, known.bases
    if verdicts.empty:
        return ""
    words = f"{format_share(len(late), len(verdicts), 'stand')} on an outdated base image"
    counts = verdicts["verdict"].value_counts()
    if retired := counts.get("retired", 0):
        words += (
            f", {retired:,} of them on one that AWS has retired" if retired < len(late) else ", which AWS has retired"
        )
    words += "."
    if imported := counts.get("not_applicable", 0):
        words += f" {imported:,} {'stands' if imported == 1 else 'stand'} on none of AWS's."
    if unknown := counts.get("unknown", 0):
        words += f" For {unknown:,} it is not known."
    for row in to_records(late.sort_values("age_days", ascending=False, kind="stable").head(1)):
        words += f" The oldest base, of {format_day(row['released'])}, is that of {printable(row['name'], _NAME)}."
    return words


def _describe_states(known: Facts) -> str:
    states, words = known.images["state"], ""
    other = states[states != "AVAILABLE"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if len(other):
        counts = [f"{count:,} {printable(state, 30)}" for state, count in other.head(5).items()]
        words = f"{format_share(int(other.sum()), len(states), 'are')} not available: {join_words(counts)}."
    if unknown := int(states.isna().sum()):
        words = f"{words} The state of {format_count(unknown, 'image')} is not known.".lstrip()
    failed = to_records(known.failed)
    named = [f"{printable(row['name'], _NAME)} ({printable(row['reasons'][0], 160)})" for row in failed]
    return words + (f" Failed: {join_words(named, _NAMED)}." if named else "")


def _describe_use(known: Facts) -> str:
    if known.usage is None or known.usage.empty:
        return ""
    unused, total = known.usage["verdict"].eq("unused"), len(known.usage)
    words = f"{format_share(int(unused.sum()), total, 'are')} used by nobody"
    if deletable := int(known.usage["deletable"].fillna(False).sum()):
        words += f"; {deletable:,} can be deleted"
    unknown = int(known.usage["verdict"].eq("unknown").sum())
    return f"{words}." + (f" For {unknown:,} it is not known." if unknown else "")


def _describe_changes(known: Facts) -> str:
    if known.since is None:
        return "This is the first snapshot of the archive, so there is nothing to compare it with yet."
    counts = Counter(image["change"] for image in known.since.images)
    counted = [(counts[what], kind) for what, kind in _CHANGES.items() if counts[what]]
    words = [f"{format_count(count, 'image')} {'was' if count == 1 else 'were'} {kind}" for count, kind in counted]
    since = f"Since {format_day(known.since.before)}: {join_words(words) or 'none of these images changed'}."
    public = {kind: known.since.public.get(kind, 0) for kind in ("added", "removed")}
    own = [f"{kind} {format_count(count, 'public image')}" for kind, count in public.items() if count]
    since += f" AWS {join_words(own)} of its own." if own else ""
    return since + (" Not everything could be compared." if known.since.notes else "")


def _describe_coverage(known: Facts) -> str:
    whole, total = count_whole(known.coverage)
    targets, missing = format_count(total, "target"), total - whole
    words = "All that was asked for was read to the end" + (f", in {targets}." if total > 1 else ".")
    if missing:
        were = "was" if missing == 1 else "were"
        words = f"{missing:,} of {targets} {were} not read to the end, so the numbers here are too low."
    if disabled := int(known.coverage["status"].eq("region_disabled").sum()):
        are = "is" if disabled == 1 else "are"
        words += f" {format_count(disabled, 'target').capitalize()} {are} in a region that is not enabled."
    requests = [normalize_request(None if pd.isna(request) else request) for request in known.coverage["request"]]
    counts = Counter(request for request, _ in {*zip(requests, number_targets(known.coverage), strict=True)})
    less = [request for request in sorted(counts) if request not in ("{}", "None")]
    named = [f"{printable(request, 80)} in {format_count(counts[request], 'target')}" for request in less[:3]]
    more = f" and {len(less) - 3} other requests" if len(less) > 3 else ""
    return words + (f" Asked only for {join_words(named)}{more}." if named else "")
