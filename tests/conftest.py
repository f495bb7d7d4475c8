"""What every test starts from: no credentials or settings of the machine, an empty home, no window."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

import appstream_frames as asf

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def frames() -> asf.Frames:
    """Return the frames of the sandbox's default target."""
    with asf.sandbox() as sandbox:
        return asf.drain(sandbox.client())


@pytest.fixture
def box() -> Iterator[object]:
    """Return a running sandbox."""
    with asf.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the path of an archive that is not there yet."""
    return tmp_path / "archive"
