"""Repeated drains of sixty targets in one process: `python tests/benchmarks/soak.py [MINUTES]`, ten by default.

Some targets are denied, throttled, cut, reset or too slow each time; the server is a process of its own. After a warm-up it
prints how memory and Python's objects grow, and how many threads and sockets are there; it ends with 1 when they grow. What was
given up in a drain is let end before it looks.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

import appstream_frames as asf

WARM = 0.25  # of the time
#: A sandbox whose targets go wrong in ways that change every second.
SERVER = """
import random, sys, threading
import appstream_frames as asf
box = asf.sandbox(accounts=15)
box.config(sys.argv[1])
print(*box.accounts, flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
chance = random.Random(7)
while not ended.wait(1.0):
    for account in box.accounts:
        kind = chance.choice([None, None, None, "denied", "throttled", "cut", "reset", "server_error", "slow"])
        box.fault(account, chance.choice(box.regions), kind, times=chance.choice([1, 2, 5]), after=chance.choice([0, 1]))
box.close()
"""


def state() -> tuple[float, int, int, int]:
    """Return this process's memory in MB, its threads, its sockets and its objects."""
    deadline = time.monotonic() + 5
    while _given_up() and time.monotonic() < deadline:
        time.sleep(0.1)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    links = (
        os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{name}")
    )
    return (
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        threading.active_count(),
        sum(link.startswith("socket:") for link in links),
        len(gc.get_objects()),
    )


def _given_up() -> bool:
    return any(thread.name.startswith("appstream_frames") for thread in threading.enumerate())


def soak(minutes: float) -> bool:
    """Drain until the time is up; print what grew."""
    regions, seen = ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"], []
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, "-c", SERVER, f"{folder}/config"], stdin=-1, stdout=-1, text=True) as server,
    ):
        accounts = server.stdout.readline().split()
        nothing = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
        os.environ |= {"AWS_CONFIG_FILE": f"{folder}/config", **nothing}
        targets = asf.targets(profiles=[f"sandbox-{account}" for account in accounts], regions=regions)
        began, statuses, chance = time.monotonic(), {}, random.Random(7)
        for number in itertools.count():
            chance.shuffle(targets)
            if number % 5 == 4:
                name = asf.take_snapshot(folder, targets, timeout=2, progress=False)
                coverage = asf.read_snapshot(folder, name).coverage
                for path in Path(folder).rglob("*.parquet"):
                    path.unlink()
            else:
                coverage = asf.drain_targets(targets, timeout=2, progress=False).coverage
            for status, times in coverage["status"].value_counts().items():
                statuses[status] = statuses.get(status, 0) + int(times)
            passed = (time.monotonic() - began) / 60
            seen.append((passed, *state()))
            if passed >= minutes:
                break
        server.stdin.close()
    return verdict(np.array([each for each in seen if each[0] >= WARM * minutes]), len(seen), statuses)


def verdict(seen: np.ndarray, drains: int, statuses: dict[str, int]) -> bool:
    """Print the slopes, and tell whether nothing grew."""
    slope, more = (float(np.polyfit(seen[:, 0], seen[:, column], 1)[0]) for column in (1, 4))
    middle = len(seen) // 2
    growth = float(np.median(seen[middle:, 1]) - np.median(seen[:middle, 1]))
    print(
        f"{drains} drains of 60 targets: {', '.join(f'{times:,} {status}' for status, times in sorted(statuses.items()))}"
    )
    print(
        f"  memory {seen[0, 1]:.0f} to {seen[-1, 1]:.0f} MB, slope {slope:+.2f} MB a minute; second half {growth:+.1f} MB"
    )
    print(f"  threads {seen[0, 2]:.0f} to {seen[-1, 2]:.0f}, most {seen[:, 2].max():.0f}")
    print(f"  sockets {seen[0, 3]:.0f} to {seen[-1, 3]:.0f}, most {seen[:, 3].max():.0f}")
    print(f"  objects {seen[0, 4]:,.0f} to {seen[-1, 4]:,.0f}, slope {more:+.0f} a minute")
    early, late = seen[:middle, 2:].max(axis=0), seen[middle:, 2:].max(axis=0)
    return growth <= 0.05 * seen[0, 1] and bool((late <= early + np.array([5, 5, 500])).all())


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)  # of the targets that failed
    sys.exit(0 if soak(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0) else 1)
