"""Forked children that drain with a client which their parent has used: each gets the replies to its own requests."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.faultserver import ACCOUNT, FaultServer, image

import appstream_frames as asf

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # that it has threads, when it forks
]
TYPES = ("PUBLIC", "PRIVATE", "SHARED", None)
PAGES, SIZE = 4, 10


def pages(request: dict[str, Any]) -> dict[str, object]:
    """Answer with images that are named after the type which was asked for."""
    number = int(request.get("NextToken", 0))
    time.sleep(0.002)
    images = [image(SIZE * number + each, Description=request.get("Type") or "None") for each in range(SIZE)]
    return {"Images": images, **({"NextToken": str(number + 1)} if number + 1 < PAGES else {})}


def drain(client: Any, kind: str | None, root: Path) -> asf.Frames:
    return asf.drain(client, type=kind, progress=False)


def drain_targets(client: Any, kind: str | None, root: Path) -> asf.Frames:
    return asf.drain_targets([client], type=kind, progress=False)


def take_snapshot(client: Any, kind: str | None, root: Path) -> asf.Frames:
    return asf.read_snapshot(root, asf.take_snapshot(root, [client], type=kind, progress=False))


def in_children(work: Callable[[str | None], bool]) -> list[int]:
    """Fork a child for each type, have it work, and return the exit codes: 0 when it was right, and -9 when it hung."""
    children = []
    for kind in TYPES:
        child = os.fork()
        if child == 0:
            code = 2
            try:
                code = 0 if work(kind) else 1
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [ended(child, time.monotonic() + 60) for child in children]


def ended(child: int, until: float) -> int:
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("how", [drain, drain_targets, take_snapshot])
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_children_read_what_they_asked_for(
    how: Callable[[Any, str | None, Path], asf.Frames], rounds: int, tmp_path: Path
) -> None:
    """Four at once, whose parent used the client before and in between; none hangs, and sign-in is each one's own too."""
    with FaultServer(answer=pages) as server:
        client = server.client()
        for number in range(rounds):
            client.describe_images()

            def work(kind: str | None) -> bool:
                frames = how(client, kind, tmp_path / f"{number}-{kind}")  # noqa: B023  the child runs now
                return (
                    set(frames.images["description"]) == {kind or "None"}
                    and len(frames.images) == PAGES * SIZE
                    and frames.coverage["account"].item() == ACCOUNT
                )

            assert in_children(work) == [0] * len(TYPES)


def test_a_child_may_drain_while_its_parent_does(tmp_path: Path) -> None:
    """Also when a thread of the parent holds what a child has not: locks and open connections."""
    with FaultServer(answer=pages) as server:
        client, stop = server.client(max_pool_connections=20), threading.Event()

        def keep_draining() -> None:
            while not stop.is_set():
                drain(client, "SHARED", tmp_path)

        drain(client, "SHARED", tmp_path)  # no module is amid its import when the children are forked
        threads = [threading.Thread(target=keep_draining) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            codes = in_children(
                lambda kind: set(drain(client, kind, tmp_path).images["description"]) == {kind or "None"}
            )
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert codes == [0] * len(TYPES)
