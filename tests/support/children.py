"""Forked children that drain with a client of their parent's, each of which asks for another type of image."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.faultserver import ACCOUNT, FaultServer, image

import appstream_frames as asf

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
            faulthandler.dump_traceback_later(50, file=sys.__stderr__)  # of a child that hangs
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


HOW = (drain, drain_targets, take_snapshot)


def wrong_children(how: Callable[[Any, str | None, Path], asf.Frames], rounds: int, folder: Path) -> list[list[int]]:
    """Drain in four children at once, again and again; return the exit codes of each round that was not all right."""
    wrong = []
    with FaultServer(answer=pages) as server:
        client = server.client()
        how(client, None, folder / "warm")  # what the children use is imported before they are forked
        for number in range(rounds):
            client.describe_images()

            def work(kind: str | None) -> bool:
                frames = how(client, kind, folder / f"{number}-{kind}")  # noqa: B023  the child runs now
                return (
                    set(frames.images["description"]) == {kind or "None"}
                    and len(frames.images) == PAGES * SIZE
                    and frames.coverage["account"].item() == ACCOUNT
                )

            codes = in_children(work)
            wrong += [codes] if any(codes) else []
    return wrong
