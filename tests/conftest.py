"""What every test starts from: no credentials or settings of the machine, an empty home, no window.

A test that uses a browser, a bucket or Spark is marked so by the fixture that it asks for; browsers and Spark are slow.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import itertools
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import matplotlib as mpl
import pytest
from hypothesis import settings
from support import browser, buckets
from support.bad_proxy import Proxy
from support.seaweed import BUCKET, Seaweed, seaweed

import appstream_frames as asf

if TYPE_CHECKING:
    from playwright.sync_api import Browser

gc.disable()  # until the tests are collected: what that makes stays
botocore.session.create_loader = cache(botocore.session.create_loader)  # sessions read its models once, not each anew
mpl.use("Agg")
settings.register_profile("tests", max_examples=int(os.environ.get("EXAMPLES", "5")), deadline=None)  # torture: many
settings.load_profile("tests")

MARKERS = {"chromium": ["browser", "slow"], "s3_server": ["s3"], "spark": ["spark", "slow"], "thirteen_weeks": ["slow"]}
#: Tests that share what is expensive to make, by how the names of their files begin: one process runs each of these groups.
GROUPS = {
    "tests/end_to_end/test_lab": "notebooks",
    "tests/end_to_end/test_notebooks": "notebooks",
    "tests/reports/test": "reports",
    "tests/archive/test_s3": "buckets",
    "tests/archive/test_maintenance": "buckets",
    "tests/archive/test_roots": "buckets",
    "tests/archive/test_sql": "buckets",
    "tests/end_to_end/test_readers": "buckets",
}
#: The groups and files that take longest are begun first, so that no process is left alone with one of them at the end.
LONGEST = """
    notebooks tests/fetch/test_trouble.py reports buckets tests/end_to_end/test_hostile_shown.py
    tests/fetch/test_pages.py tests/end_to_end/test_redaction.py
    tests/end_to_end/test_readme.py tests/end_to_end/test_canaries.py tests/archive/test_crash.py
    tests/cli/test_printing.py tests/charts/test_hostile.py tests/cli/test_cli.py tests/fetch/test_executors.py
""".split()
_numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the fixtures it uses, and put those first that take longest."""
    for item in items:
        for name in MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            for marker in MARKERS[name]:
                item.add_marker(marker)
    items.sort(key=lambda item: LONGEST.index(group) if (group := group_of(item.nodeid)) in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what the tests make, seldom, and no more at what was there before."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()
    atexit.register(gc.unfreeze)  # that extension modules find nothing left behind


def group_of(nodeid: str) -> str:
    """Return the group of tests that a test belongs to: its file, unless that shares something with other files."""
    file = nodeid.partition("::")[0]
    return next((group for start, group in GROUPS.items() if file.startswith(start)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Have one process run the tests of a group; the mark ``xdist_group`` of xdist 3.8 has no effect in pytest 9.2."""
    from xdist.scheduler import LoadFileScheduling

    class GroupScheduling(LoadFileScheduling):
        """Gives a process one group after the other."""

        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return GroupScheduling(config, log)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tests' home folders: apart, as a new temporary folder is named after a look at all others."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, homes: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # which the workers of parallel tests have
    home = homes / str(next(_numbers))
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
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
