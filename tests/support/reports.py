"""Frames to report on, of one account and of many, reports in files, and what their markup consists of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

import appstream_frames as asf

WEEKS = ("2026-11-09", "2026-11-16", "2026-11-23")
LAST = WEEKS[-1]


@cache
def taken(week: str, **wanted: Any) -> asf.Frames:
    """Return what the sandbox's default target had in a week, which is drained once."""
    with asf.sandbox(at=week) as box:
        return asf.drain(box.client(), **wanted).relabel(week)


def repeated(frames: asf.Frames, targets: int, refused: int = 0) -> asf.Frames:
    """Return the frames as if so many accounts had them, some of which refused to be read."""
    pieces: dict[str, list[pd.DataFrame]] = {name: [] for name in frames.tables}
    for number in range(targets):
        account = f"{100_000_000_000 + number}"
        for name, table in frames.tables.items():
            copy = table.assign(account=account)
            for column in {"arn", "image_arn"} & set(copy):
                copy[column] = copy[column].str.replace("012345678901", account)
            if number < refused:
                denied = {"status": "denied", "error_code": "AccessDenied", "error_message": "not today", "rows": 0}
                copy = copy.assign(**denied) if name == "coverage" else copy.head(0)
            pieces[name].append(copy)
    return asf.Frames({name: pd.concat(tables, ignore_index=True) for name, tables in pieces.items()})


@dataclass(frozen=True)
class Report:
    """A report in a file."""

    path: Path
    root: Path

    @property
    def html(self) -> str:
        return self.path.read_text("utf-8")


class Outline(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
