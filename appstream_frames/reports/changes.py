"""The parts of the report's page on what changed since an earlier snapshot, and on what was not covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from appstream_frames.reports.facts import Changed, Facts, changed, questions
from appstream_frames.reports.markup import Html, joined, prose, table, tag, whole
from appstream_frames.reports.wording import day, listing, many, moment, sentence
from appstream_frames.text import printable

MOST: Final = 10  # rows of a table
_ADVICE: Final = ". Compare snapshots"  # what a warning of `diff` ends with, for those who call it
_VALUES: Final = 3  # changed columns of one image
_WHAT: Final = {"removed": "removed", "added": "added", "rebuilt": "built again under its name"}
_LIMITED: Final = "the reading was told to stop after so many images"


def cut(caption: str, columns: list[str], rows: list[list[object]], numbers: tuple[str, ...] = ()) -> Html:
    """Return a table of the first rows, with the number of those left out below it."""
    rest = len(rows) - MOST
    below = tag("p", f"and {rest:,} more", class_="soft small") if rest > 0 else Html("")
    return joined(table(caption, columns, rows[:MOST], numbers), below)


def where_column(coverage: pd.DataFrame) -> list[str]:
    """Return the name of the column that says where an image is; none when there is one target only."""
    return ["Where"] if len(_several(coverage)) else []


def where(row: Mapping[str, Any], coverage: pd.DataFrame) -> list[Html]:
    """Return the cell for that column: account and region, or what there are several of."""
    parts = [whole(row[key]) for key in _several(coverage)]
    return [joined(*(part if part is parts[0] else joined(" ", part) for part in parts))] if parts else []


def _several(coverage: pd.DataFrame) -> list[str]:
    return [key for key in ("account", "region") if coverage[key].nunique(dropna=False) > 1]


def changes_found(known: Facts) -> str:
    """Return in sentences what changed."""
    if known.since is None:
        return "This is the first snapshot of the archive, so there is nothing to compare it with yet."
    images, own = changed(known.since)
    counts = Counter(image.what for image in images)
    words = [
        f"{many(counts[what], 'image')} {_were(counts[what])} {kind}" for what, kind in _KINDS.items() if counts[what]
    ]
    since = f"Since {day(known.since.before)}: {listing(words) or 'none of these images changed'}."
    public = [f"{kind} {many(own[kind], 'public image')}" for kind in ("added", "removed") if own[kind]]
    return since + (f" AWS {listing(public)} of its own." if public else "") + _not_compared(known)


_KINDS: Final = {"added": "added", "removed": "removed", "rebuilt": "built again", "changed": "changed"}


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _not_compared(known: Facts) -> str:
    return " Not everything could be compared." if known.since and known.since.notes else ""


def changes(known: Facts) -> Html:
    """Return the part of the page on changes."""
    if known.since is None:
        return Html("")
    images, _ = changed(known.since)
    between = f"From {moment(known.since.before)} to {moment(known.taken)}."
    if not known.since.week:
        between += " No snapshot is a week older, so this is the one before."
    rows: list[list[object]] = [[one.name, *where(vars(one), known.coverage), _what(one)] for one in images]
    columns = ["Image", *where_column(known.coverage), "Change"]
    notes = [prose(note.partition(_ADVICE)[0] + ".", class_="small") for note in known.since.notes]
    body = cut("Images that were removed, added or changed", columns, rows) if rows else Html("")
    return joined(prose(between, class_="soft"), *notes, body)


def _what(image: Changed) -> Html:
    words = [_WHAT[image.what]] if image.what in _WHAT else []
    words += [_difference(*one) for one in image.columns[:_VALUES]]
    rest = len(image.columns) - _VALUES
    words += [f"and {rest} more"] if rest > 0 else []
    return tag("ul", *(tag("li", word) for word in words))


def _difference(column: str, before: Any, after: Any) -> str:
    name = column.replace("_", " ")
    if column == "unmodeled":  # verbatim, and nobody has said what it may hold
        return "values that no column holds"
    return f"{name}: {_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    return "nothing" if value is None else printable(value, 40) or "empty"


def coverage_found(known: Facts) -> str:
    """Return in a sentence what was not read."""
    missing, total = len(known.incomplete), len(known.coverage)
    if missing:
        read = f"{missing:,} of {many(total, 'target')} {_were(missing)} not read to the end, so the numbers here are too low."
    else:
        read = "All that was asked for was read to the end" + (f", in {many(total, 'target')}." if total > 1 else ".")
    asked = [
        f"{printable(question, 80)} in {many(count, 'target')}" for question, count in questions(known.coverage).items()
    ]
    more = f" and {len(asked) - 3} other questions" if len(asked) > 3 else ""
    return read + (sentence(f" Asked only for {listing(asked[:3])}{more}") if asked else "")


def coverage(known: Facts) -> Html:
    """Return the part of the page on targets that were not read whole."""
    rows = [
        [whole(row["account"]), whole(row["region"]), whole(row["status"]), row["images"], _why(row)]
        for row in known.incomplete.astype(object).where(known.incomplete.notna(), None).to_dict("records")
    ]
    columns = ["Account", "Region", "Status", "Images read", "Why"]
    body = cut("Targets (an account in a region) that were not read to the end", columns, rows, ("Images read",))
    return body if rows else Html("")


def _why(row: dict[str, Any]) -> str:
    words = [row["error_code"], row["error_message"], _LIMITED if row["status"] == "limited" else None]
    return printable(": ".join(str(word) for word in words if word), 240)
