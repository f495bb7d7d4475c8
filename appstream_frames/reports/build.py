"""The report page for readers who do not use notebooks: state of an archive, worst images, changes, and gaps in the coverage.

It writes no file. Jinja2 and matplotlib are imported when a page is made.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appstream_frames.history.scan import Root
from appstream_frames.insights.days import Day
from appstream_frames.insights.reference import Folder
from appstream_frames.reports.facts import Facts
from appstream_frames.tables.coverage import count_whole
from appstream_frames.text import format_day, printable

_LONGEST: Final = 2_000  # characters in a paragraph
_CELL: Final = 600  # characters in a table cell


@dataclass(frozen=True)
class Page:
    """A report, its title, and whether its snapshot is whole: every target was read to its end."""

    html: str
    title: str
    whole: bool


def report(root: Root, *, today: Day = None, reference: Folder = None) -> str:
    """Return a report on an archive's newest snapshot: one HTML page without scripts, which loads nothing else.

    AWS's own public images are not counted, because only AWS can update them. Changes are counted since the newest snapshot
    that is at least a week older, or else since the previous one.

    Parameters
    ----------
    root : str or path
        The archive: a folder or ``s3://bucket/prefix``.
    today : str, date or Timestamp, optional
        The day from which ages are counted. Default: the day of the newest snapshot.
    reference : str or path, optional
        A folder with your own reference tables, see `reference`.

    Returns
    -------
    str
        The page, to be encoded as UTF-8; the same archive and day give the same page, byte for byte.

    Raises
    ------
    RequestError
        When `today` is not a day (before anything is read), or `reference` holds no such tables.
    SnapshotNotFoundError
        When there is no snapshot under the root.
    SnapshotCorruptError
        When a file is missing or is not what was written; the message names the file.

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


def build_page(root: Root, *, today: Day = None, reference: Folder = None) -> Page:
    """Return the page of `report`, with its title and whether its snapshot is whole.

    Every value is escaped and made printable; the template marks nothing as safe.
    """
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    from appstream_frames.reports import sections, sentences

    def finalize(value: object) -> object:
        return value if isinstance(value, Markup) else printable(value, _LONGEST)

    known = Facts(root, today, reference)
    folder = Path(__file__).parent
    stylesheet = (folder / "stylesheet.css").read_text("utf-8")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, finalize=finalize, trim_blocks=True)
    environment.filters["cell"] = lambda value: "–" if value is None else printable(value, _CELL)
    title = f"AppStream images on {format_day(known.taken)}"
    html = environment.get_template("template.html").render(
        title=title,
        scope=sentences.describe_scope(known),
        summary=sentences.summarize(known),
        todo=sections.find_todo(known),
        sections=sections.list_sections(known),
        foot=sentences.explain_numbers(known),
        stylesheet=Markup(stylesheet),  # noqa: S704  a file of this package
        digest=base64.b64encode(hashlib.sha256(stylesheet.encode()).digest()).decode(),
    )
    whole, total = count_whole(known.coverage)
    return Page(html, title, whole == total)
