"""What every test starts from: no credentials or settings of the machine, an empty home, no window.

A test that uses a browser, a bucket or Spark is marked so by the fixture that it asks for; browsers and Spark are slow.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest
from hypothesis import settings
from support import browser, buckets
from support.bad_proxy import Proxy
from support.seaweed import BUCKET, Seaweed, seaweed

import appstream_frames as asf

if TYPE_CHECKING:
    from playwright.sync_api import Browser

mpl.use("Agg")
settings.register_profile("tests", max_examples=int(os.environ.get("EXAMPLES", "5")), deadline=None)  # torture: many
settings.load_profile("tests")

MARKERS = {"chromium": ["browser", "slow"], "s3_server": ["s3"], "spark": ["spark", "slow"]}  # by the fixture
#: Groups of tests that take longest: they are begun first, so that no process is left alone with one of them at the end.
LONGEST = """
    end_to_end/test_lab fetch/test_trouble reports s3 end_to_end/test_hostile_shown end_to_end/test_notebooks fetch/test_pages
    end_to_end/test_redaction end_to_end/test_readme end_to_end/test_canaries archive/test_crash cli/test_printing
    charts/test_hostile cli/test_cli fetch/test_executors
""".split()
_numbers = itertools.count()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark each test by the fixtures it uses, and the tests that one process runs, as they share what is expensive to make."""
    for item in items:
        for name in MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            for marker in MARKERS[name]:
                item.add_marker(marker)
    buckets = {item.path for item in items if item.get_closest_marker("s3")}
    groups = {item: "s3" if item.path in buckets else _group_of(item.path) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: LONGEST.index(groups[item]) if groups[item] in LONGEST else len(LONGEST))
    yield


def _group_of(path: Path) -> str:
    """Return the room of the tests of reports, which share reports, and of other tests the file."""
    shares_reports = path.parent.name == "reports" and path.name.startswith("test_")
    return "reports" if shares_reports else f"{path.parent.name}/{path.stem}"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # which the workers of parallel tests have
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close all figures after each test."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def frames() -> asf.Frames:
    """Return the frames of the sandbox's default target."""
    with asf.sandbox() as sandbox:
        return asf.drain(sandbox.client())


@pytest.fixture
def box() -> Iterator[asf.sandbox]:
    """Return a running sandbox."""
    with asf.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the path of an archive that is not there yet."""
    return tmp_path / "archive"


@pytest.fixture(scope="session")
def thirteen_weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of the sandbox's thirteen weeks, everything that its default target sees: to read, never to change.

    It is written once, by the first process of the test run that asks for it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = shared / "thirteen-weeks"
    with (shared / "thirteen-weeks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _write_thirteen_weeks(tmp_path_factory.mktemp("weeks")).rename(root)
    return root


def _write_thirteen_weeks(root: Path) -> Path:
    with asf.sandbox() as sandbox:
        weeks = sandbox.weeks
    for week in weeks:
        with asf.sandbox(at=week) as sandbox:
            asf.write_snapshot(asf.drain(sandbox.client()).relabel(week), root)
    return root


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return a running browser."""
    with browser.launched() as running:
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Seaweed]:
    """Return a running S3 server."""
    with seaweed() as running:
        yield running


@pytest.fixture
def s3_root(s3_server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the root of an archive that is not there yet, in the bucket of the environment's S3 server."""
    buckets.environment(monkeypatch, s3_server)
    return f"s3://{BUCKET}/tests/{next(_numbers):04}"


@pytest.fixture
def s3_proxy(s3_server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Return a proxy in front of the S3 server, through which the environment leads."""
    with Proxy(s3_server.url) as running:
        buckets.environment(monkeypatch, s3_server, running.url)
        yield running
