"""Writers that are killed, and writers side by side: every snapshot whole, and none that was acknowledged lost."""

from __future__ import annotations

import os
import random
import select
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from support.marks import Tally, in_child, marked, mixed

import appstream_frames as asf


def inspect(root: str | Path, acknowledged: dict[str, str], tally: Tally) -> None:
    """Hold an archive of marked snapshots against what its writers acknowledged."""
    problems = set(asf.verify(root)["problem"])
    tally.hold(problems <= {"orphan"}, f"verify found {problems}")
    listed = asf.list_snapshots(root)["id"].to_list()
    tally.hold(set(acknowledged) <= set(listed), f"acknowledged and lost: {set(acknowledged) - set(listed)}")
    for name in listed:
        try:
            frames = asf.read_snapshot(root, name)
        except asf.AppStreamFramesError as error:
            tally.breaches.append(f"unreadable: {error}")
            continue
        tally.hold(not mixed(frames), f"{name}: {mixed(frames)}")
        tally.hold(frames.images["name"].iloc[0] == acknowledged.get(name, frames.images["name"].iloc[0]), name)
    tally.count("snapshots", len(listed))
    tally.count("acknowledged", len(acknowledged))


def writer(root: str, out: int) -> None:
    """Write marked snapshots for ever, and tell each one that is committed."""
    for number in range(1_000_000):
        mark = f"{os.getpid()}-{number}"
        name = asf.write_snapshot(marked(mark), root)
        os.write(out, f"{name} {mark}\n".encode())


def kill_writers(root: str | Path, kills: int, seed: int = 7) -> dict[str, str]:
    """Fork a writer and kill it at a random moment, again and again; return the acknowledged ids and their marks."""
    chance, acknowledged = random.Random(seed), {}
    asf.write_snapshot(marked("warm"), root)
    for _ in range(kills):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            try:
                writer(str(root), write)
            finally:
                os._exit(1)
        os.close(write)
        ready = chance.random() < 0.5 and select.select([read], [], [], 5)  # from the first snapshot on, or before it
        time.sleep(chance.uniform(0, 0.05 if ready else 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(read, encoding="ascii") as pipe:
            lines = [line.split() for line in pipe if line.endswith("\n")]
        acknowledged.update(dict(lines))
    return acknowledged


def killed(scale: float) -> Tally:
    """Kill writers: nothing torn, mixed, lost or unreadable."""
    tally = Tally()
    kills, portion = max(1, round(2000 * scale)), 100
    for start in range(0, kills, portion):
        with tempfile.TemporaryDirectory() as root:
            count = min(portion, kills - start)
            inspect(root, in_child("kill_writers", root, count, start), tally)
            tally.count("kills", count)
            tally.count("orphans", len(asf.verify(root)))
    return tally


def write_some(root: str, first: str, count: int) -> list[str]:
    """Write some marked snapshots, and look at the archive between them."""
    names = []
    for number in range(count):
        names.append(asf.write_snapshot(marked(f"{first}-{number}"), root))
        if number % 10 == 0 and first == "0":  # one of them is enough: it reads the whole archive
            problems = set(asf.verify(root)["problem"])
            assert problems <= {"orphan"}, problems
    return names


def write_side_by_side(root: str, writers: int, each: int) -> list[str]:
    """Fork writers that all write at once; return the ids they made."""
    asf.write_snapshot(marked("warm"), root)
    pipes = []
    for number in range(writers):
        read, write = os.pipe()
        if not os.fork():
            try:
                os.write(write, " ".join(write_some(root, str(number), each)).encode())
            finally:
                os._exit(0)
        os.close(write)
        pipes.append(open(read, encoding="ascii"))  # noqa: SIM115
    made = [name for pipe in pipes for name in pipe.read().split()]
    for pipe in pipes:
        pipe.close()
        os.wait()
    return made


def writers(scale: float) -> Tally:
    """Sixteen writers of one root, in a folder and in a bucket."""
    from support.seaweed import BUCKET, seaweed

    tally, each = Tally(), max(1, round(50 * scale))
    with tempfile.TemporaryDirectory() as root:
        made = in_child("write_side_by_side", root, 16, each)
        together(tally, "local", root, made, 16 * each, extra=1)
    with seaweed() as server, patch.dict(os.environ, server.environment()):
        root = f"s3://{BUCKET}/writers"
        with ThreadPoolExecutor(16) as pool:
            made = [name for names in pool.map(lambda n: write_some(root, str(n), each), range(16)) for name in names]
        together(tally, "s3", root, made, 16 * each, extra=0)
    return tally


def together(tally: Tally, where: str, root: str, made: list[str], expected: int, *, extra: int) -> None:
    """Hold an archive against what its writers made."""
    listed = asf.list_snapshots(root)["id"].to_list()
    tally.hold(len(set(made)) == expected, f"{where}: {len(set(made))} ids of {expected}")
    tally.hold(set(made) <= set(listed) and len(listed) == expected + extra, f"{where}: {len(listed)} listed")
    tally.hold(asf.verify(root).empty, f"{where}: {asf.verify(root)}")
    tally.count(f"{where} snapshots", len(listed))
