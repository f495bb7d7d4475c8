"""Fixtures of the tests of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

import appstream_frames as asf


@pytest.fixture
def small(frames: asf.Frames, root: Path) -> Path:
    """Return an archive of one image of AWS's own, whose report has no chart and is soon made."""
    public = frames.images[frames.images["visibility"] == "PUBLIC"]
    tables = {name: table.head(1) for name, table in frames.tables.items()} | {"images": public.head(1)}
    asf.write_snapshot(asf.Frames(tables), root)
    return root
