"""Fixtures of the tests of accounts, regions and credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

import appstream_frames as asf


@pytest.fixture
def configured(box: asf.sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> asf.sandbox:
    """Return a running sandbox whose profiles are this process's configuration."""
    for name, value in box.config(tmp_path / "config").items():
        monkeypatch.setenv(name, value)
    return box
