"""Drains that are broken off by a signal, and estates whose targets fail in every way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.children import HOW, wrong_children
from support.estates import ACCOUNTS, drained, estate, snapped
from support.marks import Tally, in_child, leftovers

import appstream_frames as asf

#: A drain of a sandbox in another process, that says when it begins and what it made.
SNAPSHOT = """
import sys
import appstream_frames as asf
root, *names = sys.argv[1:]
where = asf.targets(profiles=names, regions=["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"])
print("begun", flush=True)
print(asf.take_snapshot(root, where, timeout=20, progress=False), flush=True)
"""


def interrupt(root: str | Path, name: str, chance: random.Random, tally: Tally, within: float = 2.0) -> None:
    """Send a signal to a process that takes a snapshot, at a random moment, and look at what it leaves."""
    with asf.sandbox(accounts=6) as box, tempfile.TemporaryDirectory() as folder:
        before = asf.write_snapshot(asf.drain(box.client(), type="PRIVATE", progress=False), root)
        machine = os.environ | box.config(Path(folder, "config")) | {"PYTHONWARNINGS": "ignore"}
        for account in box.accounts:
            box.latency(chance.choice((0.0, 0.1, 0.3)), account)
        box.fault(box.accounts[1], box.regions[1], chance.choice(("slow", "throttled", "cut")), times=2)
        command = [sys.executable, "-c", SNAPSHOT, str(root), *(f"sandbox-{account}" for account in box.accounts)]
        with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=machine) as process:
            assert process.stdout is not None
            tally.hold(process.stdout.readline() == "begun\n", "the process did not begin")
            time.sleep(chance.uniform(0, 2.0))
            sent = time.monotonic()
            process.send_signal(getattr(signal, name))
            try:
                printed, words = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                printed, words = process.communicate()
                tally.breaches.append(f"{name}: it hung")
            took = time.monotonic() - sent
    tally.count(name)
    tally.count("had ended", process.returncode == 0)
    tally.hold(took < within, f"{name}: it took {took:.1f} s")
    tally.hold(process.returncode in (0, -getattr(signal, name), 130), f"{name}: code {process.returncode}, {words}")
    tally.hold("Exception ignored" not in words, f"{name}: {words}")
    after_signal(root, before, printed.split(), name, tally)


def after_signal(root: str | Path, before: str, printed: list[str], name: str, tally: Tally) -> None:
    """Hold an archive against what it was before a signal: nothing torn, and after Ctrl-C nothing left."""
    listed = asf.list_snapshots(root)["id"].to_list()
    problems = set(asf.verify(root)["problem"])
    tally.hold(problems <= ({"orphan"} if name == "SIGTERM" else set()), f"{name}: verify found {problems}")
    tally.hold({before, *printed} <= set(listed), f"{name}: {before} and {printed} were there, {listed} is")
    for each in listed:
        frames = asf.read_snapshot(root, each)
        tally.hold(len(frames.images) == frames.coverage["rows"].sum(), f"{name}: {each} is torn")
    if name == "SIGINT":
        tally.hold(not leftovers(root), f"{name}: left {leftovers(root)}")


def signals(scale: float) -> Tally:
    """Send Ctrl-C and SIGTERM at random moments, two processes at a time."""
    tally, each = Tally(), max(1, round(100 * scale))

    def one(number: int) -> None:
        with tempfile.TemporaryDirectory() as root:
            interrupt(root, ("SIGINT", "SIGTERM")[number % 2], random.Random(number), tally)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2 * each)))
    return tally


def drain_estates(first: int, count: int) -> dict[str, Any]:
    """Drain estates of 40 targets that fail in every way, every other one into a snapshot; return what is wrong."""
    from appstream_frames.aws import retries

    retries.LONGEST_PAUSE = 0.2
    wrong, counts = [], {}
    for seed in range(first, first + count):
        chance = random.Random(seed)
        with asf.sandbox(accounts=ACCOUNTS) as box, tempfile.TemporaryDirectory() as root:
            given = estate(box, chance, lasting=seed % 3 == 0)
            timeout = 8.0 if seed % 3 == 0 else 60.0
            frames = drained(given, timeout) if seed % 2 else snapped(given, timeout, root)
        wrong += [f"seed {seed}: {breach}" for breach in given.breaches(frames)]
        for status, times in frames.coverage["status"].value_counts().items():
            counts[status] = counts.get(status, 0) + int(times)
    return {"wrong": wrong, "counts": counts}


def estates(scale: float) -> Tally:
    """Drain 1,000 estates of 40 targets, in four processes."""
    tally, portion = Tally(), 25
    runs = max(1, round(1000 * scale))
    portions = [(first, min(portion, runs - first)) for first in range(0, runs, portion)]
    with ThreadPoolExecutor(4) as pool:
        for seen in pool.map(lambda each: in_child("drain_estates", *each), portions):
            tally.breaches += seen["wrong"]
            for status, times in seen["counts"].items():
                tally.count(status, times)
    tally.count("runs", runs)
    return tally


def drain_in_children(rounds: int) -> list[str]:
    """Fork children that drain with their parent's client; return what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        wrong = {how.__name__: wrong_children(how, rounds, Path(folder, how.__name__)) for how in HOW}
    return [f"{name}: exit codes {codes}" for name, each in wrong.items() for codes in each]


def forks(scale: float) -> Tally:
    """Fork four children a hundred times for each way to drain."""
    tally, rounds = Tally(), max(1, round(100 * scale))
    tally.breaches += in_child("drain_in_children", rounds)
    tally.count("children", 4 * rounds * len(HOW))
    return tally
