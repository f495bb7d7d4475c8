"""The page of the report: findings in sentences first, then what they rest on. Every number in it is counted here and now.

It loads matplotlib, so it is loaded only when a report is made. Long lists are cut, and say so.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from appstream_frames import charts
from appstream_frames.charts.layout import age, share
from appstream_frames.reports.changes import changes, changes_found, coverage, coverage_found, cut, where, where_column
from appstream_frames.reports.facts import Facts, by_place
from appstream_frames.reports.figures import picture
from appstream_frames.reports.markup import NOTHING, Html, joined, page, prose, tag, text, whole
from appstream_frames.reports.wording import day, listing, many, moment

_BARS: Final = 10  # images in a chart
_NAME: Final = 60  # characters of a name in a sentence


def written(known: Facts) -> str:
    """Return the report as one HTML page that needs nothing but itself."""
    head = tag("header", tag("h1", title(known)), prose(_scope(known), class_="soft"))
    parts = [
        ("agents", "Agents", _agents(known)),
        ("bases", "Base images", _bases(known)),
        ("places", "Where the images are", _places(known)),
        ("changes", "What changed", joined(_trend(known), changes(known))),
        ("coverage", "Coverage", joined(_covered(known), coverage(known))),
    ]
    sections = [tag("section", tag("h2", heading), body, id=key) for key, heading, body in parts if body]
    return page(title(known), head, tag("main", _findings(known), *sections), _foot(known))


def title(known: Facts) -> str:
    """Return what the page is called."""
    return f"AppStream images on {day(known.taken)}"


def _scope(known: Facts) -> str:
    places = [many(known.coverage[key].nunique(dropna=False), key) for key in ("account", "region")]
    scope = f"{many(len(known.images), 'image')} of yours or shared with you, in {listing(places)}, as of {moment(known.taken)}."
    own = f" AWS's own {many(known.public, 'public image')} are left out: only AWS can make them newer."
    return scope[:1].upper() + scope[1:] + (own if known.public else "")


def _findings(known: Facts) -> Html:
    rows = [
        ("Agents", _agents_found(known), len(known.late_agents)),
        ("Base images", _bases_found(known), len(known.late_bases)),
        ("State", _state_found(known), known.images["state"].eq("FAILED").any()),
        ("Changes", changes_found(known), 0),
        ("Coverage", coverage_found(known), len(known.incomplete)),
    ]
    made = [
        tag("div", tag("dt", name, class_="bad" if bad else "good"), tag("dd", text(said, 2000)))
        for name, said, bad in rows
        if said
    ]
    return tag("dl", *made, class_="findings")


def _agents_found(known: Facts) -> Html | str:
    late, answer = known.late_agents, known.agents
    if answer.empty:
        return ""
    words = (
        f"{share(len(late), len(answer), 'run')} an agent behind AWS's newest, of {day(answer['newest_agent'].max())}."
    )
    counts = answer["verdict"].value_counts()
    if bad := counts.get("known_bad", 0):
        words += f" {bad:,} {'runs' if bad == 1 else 'run'} one that AWS advises against."
    if unknown := counts.get("unknown", 0):
        words += f" Of {unknown:,} it is not known."
    furthest = late.sort_values("days_behind", ascending=False, kind="stable").head(1)
    return joined(text(words, 2000), *(_furthest(row) for row in _rows(furthest) if row["days_behind"]))


def _furthest(row: dict[str, Any]) -> Html:
    return joined(
        " Furthest behind, by ", age(int(row["days_behind"])), ", is ", tag("b", text(row["name"], _NAME)), "."
    )


def _bases_found(known: Facts) -> Html | str:
    late, answer = known.late_bases, known.bases
    if answer.empty:
        return ""
    words = f"{share(len(late), len(answer), 'stand')} on an outdated base image"
    counts = answer["verdict"].value_counts()
    if retired := counts.get("retired", 0):
        words += (
            f", {retired:,} of them on one that AWS has retired" if retired < len(late) else ", which AWS has retired"
        )
    words += "."
    if unknown := counts.get("unknown", 0):
        words += f" Of {unknown:,} it is not known."
    oldest = late.sort_values("age_days", ascending=False, kind="stable").head(1)
    return joined(text(words, 2000), *(_oldest(row) for row in _rows(oldest)))


def _oldest(row: dict[str, Any]) -> Html:
    return joined(
        " The oldest base, of ", day(row["released"]), ", is that of ", tag("b", text(row["name"], _NAME)), "."
    )


def _state_found(known: Facts) -> str:
    states = known.images["state"].fillna("of unknown state")
    other = states[states != "AVAILABLE"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if other.empty:
        return ""
    words = [f"{count:,} {text(state, 30)}" for state, count in other.head(5).items()]
    return f"{share(int(other.sum()), len(states), 'are')} not available: {listing(words)}."


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows


def _agents(known: Facts) -> Html:
    if known.agents.empty:
        return Html("")
    rows = [
        [*_image(row, known), whole(row["appstream_agent_version"]), _days(row["days_behind"]), _verdict(row)]
        for row in _rows(known.late_agents)
    ]
    columns = [*_columns(known), "Agent", "Behind by", "Verdict"]
    return joined(
        picture(lambda ax: charts.agents(known.agents, ax, top=_BARS)),
        cut("Advised against first, then furthest behind", columns, rows, ("Behind by",)) if rows else "",
        tag("h3", "All agents"),
        picture(lambda ax: charts.agent_versions(known.images, ax, today=known.today)),
    )


def _bases(known: Facts) -> Html:
    if known.bases.empty:
        return Html("")
    rows = [
        [*_image(row, known), _base(row), _days(row["days_behind"] or None), _days(row["age_days"]), _verdict(row)]
        for row in _rows(known.late_bases)
    ]
    columns = [*_columns(known), "Base image", "Behind by", "Age", "Verdict"]
    return joined(
        picture(lambda ax: charts.base_images(known.bases, ax)),
        cut("Retired first, then furthest behind", columns, rows, ("Behind by", "Age")) if rows else "",
    )


def _columns(known: Facts) -> list[str]:
    return ["Image", *where_column(known.coverage)]


def _image(row: dict[str, Any], known: Facts) -> list[object]:
    return [row["name"], *where(row, known.coverage)]


def _days(days: int | None) -> str:
    return NOTHING if days is None else many(int(days), "day")


def _base(row: dict[str, Any]) -> Html:
    return joined(row["family"], " ", whole(f"{row['released']:%Y-%m-%d}"))


def _verdict(row: dict[str, Any]) -> Html:
    more = f"; {row['contradiction']}" if row.get("contradiction") else ""
    return joined(tag("b", row["verdict"].replace("_", " ")), ": ", text(f"{row['reason']}{more}", 300))


def _places(known: Facts) -> Html:
    table = by_place(known)
    if table.empty:
        return Html("")
    place, *_ = table.columns
    rows = [[row[place], *(row[name] for name in ("images", "outdated", "agent", "base"))] for row in _rows(table)]
    numbers = ("Images", "Outdated", "Agent behind", "Base outdated")
    return cut(f"Images by {place}, most outdated ones first", [place.capitalize(), *numbers], rows, numbers)


def _trend(known: Facts) -> Html:
    counts = known.trend
    return Html("") if counts is None or counts.empty else picture(lambda ax: charts.trend(counts, ax), height=4.0)


def _covered(known: Facts) -> Html:
    return picture(lambda ax: charts.coverage(known.coverage, ax)) if len(known.coverage) > 1 else Html("")


def _foot(known: Facts) -> Html:
    words = (
        f"Snapshot {known.name}; ages are counted at {day(known.today)} (UTC). The newest agent and base image are the newest "
        "of those in the snapshot and of those that appstream-frames has heard of, so there may be newer ones. An image is "
        "behind by the days between the release that it has and the newest one."
    )
    return tag("footer", prose(words), class_="soft small")
