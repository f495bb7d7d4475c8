"""Replies and drains that are given up before their end: no thread and no connection is left of them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from support.drains import drain
from support.faults import SLOW
from support.faultserver import ACCOUNT, UNCLOSED, FaultServer, linked_pages, self_signed

import appstream_frames as asf
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.request import Request
from appstream_frames.tables.schema import choose_operations

pytestmark = UNCLOSED


@pytest.mark.parametrize("kind", [kind for kind in SLOW if kind != "stall"])
def test_an_abandoned_drip_leaves_no_thread_and_no_socket(kind: str) -> None:
    """A reply that is given up is broken off: its thread ends and its connection closes within three seconds."""
    with FaultServer(fault=SLOW[kind], at=1) as server:
        _give_up(server)
        assert not _callers()
        assert server.broken_off is not None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SLOW if kind != "stall"])
def test_an_encrypted_drip_is_broken_off_too(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS, as AWS speaks it, a reply that is given up leaves no thread and no connection either."""
    tls = self_signed(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert"))
    with FaultServer(fault=SLOW[kind], at=1, tls=tls) as server:
        _give_up(server)
        assert not _callers()
        assert server.broken_off is not None


def _give_up(server: FaultServer) -> None:
    """Drain until the time is up, and wait up to three seconds for the server to see that."""
    with pytest.raises(asf.DrainError, match="page 2"):
        drain(server.client(), timeout=0.5)
    deadline = time.monotonic() + 3
    while (_callers() or server.broken_off is None) and time.monotonic() < deadline:
        time.sleep(0.02)


def _callers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("appstream_frames")]


@pytest.mark.slow
def test_a_drain_that_is_left_leaves_no_thread() -> None:
    """Leaving a drain early, while the next page is ready or on its way, ends its thread without a sound."""
    with FaultServer(linked_pages(pages=4, size=130)) as server:
        client = server.client()
        for pause in (0, 0.001, 0.01, 0.05) * 10:
            left = Drain(client, Request(), choose_operations(), 5.0, account=ACCOUNT)
            batches = left.batches(progress=False)
            next(batches)
            time.sleep(pause)
            batches.close()
        deadline = time.monotonic() + 3
        while _callers() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _callers()
