"""Forked children that drain with a client which their parent has used: each gets the replies to its own requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.children import HOW, TYPES, drain, in_children, pages, wrong_children
from support.faultserver import FaultServer

import appstream_frames as asf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # that it has threads, when it forks
]


@pytest.mark.parametrize("how", HOW)
def test_children_read_what_they_asked_for(how: Callable[[Any, str | None, Path], asf.Frames], tmp_path: Path) -> None:
    """Four at once, whose parent used the client before and in between; none hangs, and sign-in is each one's own too."""
    assert wrong_children(how, 2, tmp_path) == []


def test_a_child_may_use_the_session_that_its_parent_used() -> None:
    """Targets of a session are of the process that made them, and the child makes its own."""
    with asf.sandbox() as sandbox:
        session = sandbox.session()

        def read(kind: str | None) -> bool:
            found = asf.targets(session=session, regions=sandbox.regions[:1])
            return asf.drain_targets(found, type=kind, progress=False).coverage["status"].item() == "complete"

        assert read(None)
        assert set(in_children(read)) == {0}


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
