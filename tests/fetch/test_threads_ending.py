"""Many targets side by side, and then nothing is left behind: no thread, socket, client or file, whichever way a drain ends."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.drains import statuses
from support.estates import everywhere, quiet
from support.faults import stall
from support.faultserver import UNCLOSED, FaultServer
from support.marks import Tally
from torture.drains import interrupt

import appstream_frames as asf
from appstream_frames.archive.writer import RowGroups
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.request import Request
from appstream_frames.tables.schema import choose_operations

pytestmark = [pytest.mark.slow, UNCLOSED]


# nothing left behind


def ours() -> list[str]:
    """Return the threads of drains that are still there, after a while in which those that were given up may end."""
    deadline = time.monotonic() + 10
    while True:
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("appstream_frames")]
        if not names or time.monotonic() > deadline:
            return names
        time.sleep(0.05)


def sockets() -> int:
    """Return how many sockets this process has open."""
    gc.collect()
    links = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the folder itself
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith("socket:") for link in links)


def test_a_signal_before_a_thread_was_started_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that strikes as a thread begins is a KeyboardInterrupt, and no error of threads."""

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    with FaultServer() as server, monkeypatch.context() as patch:
        client = server.client()
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asf.drain(client, account="123456789012", progress=False)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_drains_leave_no_thread_and_no_socket() -> None:
    """Of 32 targets again and again, some of which fail, time out or are cut; `benchmarks/soak.py` is the long version."""
    before = sockets()
    with asf.sandbox(accounts=8) as box:
        for _ in range(2):
            for region, kind in zip(box.regions, ("denied", "cut", "reset", "slow"), strict=True):
                box.fault(box.accounts[0], region, kind, times=1)
            with quiet():
                asf.drain_targets(everywhere(box), progress=False, type="SHARED", timeout=3)
            assert ours() == []
    assert sockets() <= before


def test_a_sign_in_that_is_given_up_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """STS never answers, the drain's time is up, and once the connection ends there is no thread that waits for anything."""
    for key, value in (("ACCESS_KEY_ID", "A"), ("SECRET_ACCESS_KEY", "S")):
        monkeypatch.setenv(f"AWS_{key}", value)
    for _ in range(5):
        with FaultServer(sts=stall) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            with quiet():
                frames = asf.drain_targets(asf.targets(regions=["eu-west-1", "us-east-1"]), timeout=0.3, progress=False)
            clients = [server.client(), server.client()]
            with quiet():
                assert statuses(asf.drain_targets(clients, timeout=0.3, progress=False)) == statuses(frames)
        assert statuses(frames) == ["failed", "failed"]
    assert ours() == []


def test_an_interrupted_drain_leaves_no_thread(box: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while somebody keeps the error, as a notebook does."""

    def interrupted(self: RowGroups, batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RowGroups, "add", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:
        asf.take_snapshot(root, everywhere(box), progress=False)
    assert ours() == []
    assert kept.value.__traceback__ is not None


def test_a_client_that_was_handed_in_is_as_before(box: Any) -> None:
    """It is open, it parses as boto3 does, and it has no handler of ours."""
    clients = [box.client(account) for account in box.accounts]
    plain = [client.describe_images(MaxResults=5)["Images"] for client in clients]
    reply = {"status_code": 200, "headers": {}, "body": b'{"Images": []}'}
    event = {"operation_model": None, "response_dict": reply, "customized_response_dict": {}}
    called = [client.meta.events.emit("before-parse.appstream.DescribeImages", **event) for client in clients]
    frames = asf.drain_targets(clients, progress=False)
    assert statuses(frames) == ["complete"] * 3
    assert [client.describe_images(MaxResults=5)["Images"] for client in clients] == plain
    assert [client.meta.events.emit("before-parse.appstream.DescribeImages", **event) for client in clients] == called


def test_failed_targets_hold_no_clients(box: Any) -> None:
    """Thousands of denied targets must not keep thousands of clients in the tracebacks of their errors."""
    from botocore.client import BaseClient

    def clients() -> int:
        gc.collect()
        return sum(isinstance(each, BaseClient) for each in gc.get_objects())

    box.fault(kind="denied")
    before = clients()
    denied = Drain(everywhere(box), Request.of(), choose_operations(), 60)
    assert [*denied.batches(progress=False)] == []
    assert clients() - before <= 2 * len(box.accounts)  # those of STS


# leaving


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_snapshot_at_once(name: str, root: Path) -> None:
    """At a random moment: gone at once, and the archive is as it was; on a machine of its own `torture` holds two seconds."""
    tally = Tally()
    interrupt(root, name, random.Random(), tally, within=5)  # other tests run beside it
    assert tally.breaches == []
