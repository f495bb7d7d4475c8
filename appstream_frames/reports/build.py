"""One page for people who open no notebook: the state of an archive, the worst images, what changed, what was not covered.

It reads the archive through the public functions and writes nothing. Jinja2 and matplotlib are loaded when a page is made.
"""

from __future__ import annotations

import base64
import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from appstream_frames.archive.reader import list_intact, read_snapshot
from appstream_frames.history.changes import diff, is_public
from appstream_frames.history.findings import findings
from appstream_frames.history.timelines import trend
from appstream_frames.insights import days
from appstream_frames.insights.days import Day
from appstream_frames.reports.facts import Facts, Since, find_facts, list_changed
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.coverage import count_whole
from appstream_frames.tables.frames import Frames
from appstream_frames.text import printable

_WEEK: Final = pd.Timedelta(days=6.5)  # a weekly drain may start a little earlier than the one before
_BY: Final = "appstream_agent_version"
_LONGEST: Final = 2_000  # characters of a paragraph
_CELL: Final = 600  # of a cell


@dataclass(frozen=True)
class Page:
    """A report, its title, and whether its snapshot is whole: every target in it was read to its end."""

    html: str
    title: str
    whole: bool


def report(root: str | os.PathLike[str], *, today: Day = None, reference: str | os.PathLike[str] | None = None) -> str:
    """Return a report on an archive's newest snapshot: one HTML page that needs no script and asks for nothing.

    AWS's own public images are left out of the counts: only AWS can make them newer. Changes are counted since the newest
    snapshot that is a week older, or else since the one before.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    today : str, date or Timestamp, optional
        The day from which ages are counted. Default: the day of the newest snapshot.
    reference : str or path, optional
        A folder with reference tables of your own, see `reference`.

    Returns
    -------
    str
        The page, to be written as UTF-8; the same archive and day give the same page, byte for byte.

    Raises
    ------
    RequestError
        When `today` is no day, and nothing is read then; or `reference` holds no such tables.
    SnapshotNotFoundError
        When there is no snapshot under the root.
    SnapshotCorruptError
        When a file is missing or is not what was written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     name = asf.write_snapshot(asf.drain(sandbox.client()).relabel("2026-11-23"), root)
    ...     page = report(root)
    >>> "<title>AppStream images on 23 November 2026</title>" in page, "<script" in page
    (True, False)
    """
    return build_page(root, today=today, reference=reference).html


def build_page(
    root: str | os.PathLike[str], *, today: Day = None, reference: str | os.PathLike[str] | None = None
) -> Page:
    """Return the report as `report` does, and whether it is of a whole snapshot."""
    given = None if today is None else days.choose_day(today, make_empty("images"))
    listed = list_intact(root)
    newest = listed.iloc[-1]
    frames = read_snapshot(root, newest["id"])
    day = given or newest["snapshot"].date()
    since, counts = _compare(root, listed, frames), _count_agents(root, listed)
    todo = findings(frames, today=day, history=root, reference=reference)
    known = find_facts(newest, day, frames, todo, since, counts, reference)
    whole, total = count_whole(frames.coverage)
    return Page(*_render(known), whole == total)


def _render(known: Facts) -> tuple[str, str]:
    """Return the page as HTML, and its title. Every value is escaped and made printable; templates mark nothing as safe."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    from appstream_frames.reports import sections, sentences

    def finalize(value: object) -> object:
        return value if isinstance(value, Markup) else printable(value, _LONGEST)

    folder = Path(__file__).parent
    stylesheet = (folder / "stylesheet.css").read_text("utf-8")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, finalize=finalize, trim_blocks=True)
    environment.filters["cell"] = lambda value: "–" if value is None else printable(value, _CELL)
    title = sentences.make_title(known)
    html = environment.get_template("template.html").render(
        title=title,
        scope=sentences.describe_scope(known),
        summary=sentences.summarize(known),
        todo=sections.find_todo(known),
        sections=sections.list_sections(known),
        foot=sentences.explain_numbers(known),
        stylesheet=Markup(stylesheet),  # noqa: S704  it is ours
        digest=base64.b64encode(hashlib.sha256(stylesheet.encode()).digest()).decode(),
    )
    return html, title


def _compare(root: str | os.PathLike[str], listed: pd.DataFrame, after: Frames) -> Since | None:
    earlier = listed.iloc[:-1]
    if earlier.empty:
        return None
    older = earlier[earlier["snapshot"] <= listed["snapshot"].iloc[-1] - _WEEK]
    before = (earlier if older.empty else older).iloc[-1]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        changes = diff(read_snapshot(root, before["id"]), after)
    own = is_public(changes)
    public = changes[own].groupby("change")["arn"].nunique().to_dict()
    notes = [str(note.message) for note in noted]
    return Since(before["snapshot"], not older.empty, list_changed(changes[~own]), public, notes)


def _count_agents(root: str | os.PathLike[str], listed: pd.DataFrame) -> pd.DataFrame | None:
    """Return the counts by agent over time without AWS's own images, in the form that `trend` gives; none of one snapshot."""
    if len(listed) < 2:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One snapshot is left out", UserWarning)  # the report has warned of it
        counts = trend(root, by=[_BY, "visibility", "owner"])
    own = counts["visibility"].eq("PUBLIC").fillna(False) | (counts["visibility"].isna() & counts["owner"].isna())
    yours = counts[~own.astype(bool)]
    grouped = yours.groupby(["snapshot", _BY], dropna=False, as_index=False)
    return grouped.agg({"count": lambda values: values.sum(min_count=len(values)), "complete": "all"})
