"""Fixtures of the tests of the report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.reports import LAST, WEEKS, Report, repeated, taken

import appstream_frames as asf


@pytest.fixture(scope="session")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes frames to an archive."""

    def write(*snapshots: asf.Frames) -> Path:
        root = tmp_path_factory.mktemp("archive")
        for frames in snapshots:
            asf.write_snapshot(frames, root)
        return root

    return write


@pytest.fixture(scope="session")
def reported(archived: Callable[..., Path]) -> Callable[..., Report]:
    """Return a function that writes frames to an archive, and its report to a file."""

    def write(*snapshots: asf.Frames, strip: str = "") -> Report:
        root = archived(*snapshots)
        path = root / "report.html"
        path.write_text(re.sub(strip, "", asf.report(root)) if strip else asf.report(root), "utf-8")
        return Report(path, root)

    return write


@pytest.fixture(scope="session")
def weekly_report(reported: Callable[..., Report]) -> Report:
    """Return the report of three weeks of one account."""
    return reported(*(taken(week) for week in WEEKS))


@pytest.fixture(scope="session")
def whole_report(reported: Callable[..., Report]) -> Report:
    """Return the report of one account of which everything was read."""
    return reported(taken(LAST, include="all"))


@pytest.fixture(scope="session")
def estate_report(reported: Callable[..., Report]) -> Report:
    """Return the report of over 2,000 images in 30 accounts, two of which were not read the last time."""
    return reported(repeated(taken(WEEKS[-2]), 30), repeated(taken(LAST), 30, refused=2))
