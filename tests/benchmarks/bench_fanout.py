"""Wall clock of many targets: against plain boto3 in threads, and against the longest chain of pages; then a whole estate.

60 targets of 1 to 7 pages (25 images × 12 applications), 100 ms a call, 12 profiles, clients and identities included on our
side and not on boto3's. Then 3,600 targets (200 accounts × 18 regions), half of them empty, 10 ms a call, straight into a
snapshot in a process of its own, whose peak memory is measured.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import boto3
from estate_server import pages_of

import appstream_frames as asf

SERVER = Path(__file__).with_name("estate_server.py")
REGIONS = (
    "us-east-1 us-east-2 us-west-2 ca-central-1 sa-east-1 eu-west-1 eu-west-2 eu-west-3 eu-central-1 eu-south-1 "
    "ap-south-1 ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 il-central-1 us-west-1"
).split()
PROFILES, SAMPLES, THREADS = 12, 5, 32


@contextmanager
def served(accounts: int, *arguments: int) -> Iterator[list[str]]:
    """Serve accounts, point boto3 at them, and return the profiles."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, SERVER, *map(str, arguments)], stdin=-1, stdout=-1, text=True) as server,
    ):
        names = [f"account-{number}" for number in range(accounts)]
        config = Path(folder, "config")
        config.write_text(
            "\n".join(
                f"[profile {name}]\naws_access_key_id = {number:012}\naws_secret_access_key = benchmark\n"
                for number, name in enumerate(names, 1)
            )
        )
        os.environ |= {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(Path(folder, "none")),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{int(server.stdout.readline())}",
        }
        yield names
        server.stdin.close()


def ours(profiles: list[str], regions: list[str]) -> int:
    """Drain to DataFrames, from nothing."""
    frames = asf.drain_targets(asf.targets(profiles=profiles, regions=regions), progress=False)
    assert not len(frames.incomplete), frames.incomplete
    return len(frames.images)


def plain(clients: list[object]) -> int:
    """Read all pages with plain boto3, in threads, without flattening."""

    def read(client: object) -> int:
        return sum(len(page["Images"]) for page in client.get_paginator("describe_images").paginate())

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(read, clients))


def wall(run: Callable[[], int]) -> tuple[float, int]:
    """Return the seconds of one run, and the images it saw; what lay about before is no burden to it."""
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    seen = run()
    took = time.perf_counter() - began
    gc.unfreeze()
    return took, seen


def side_by_side() -> bool:
    """Print the ratios of 60 targets."""
    regions = REGIONS[:5]
    with served(PROFILES, 100, 7, 0) as profiles:
        took: dict[str, list[float]] = {
            "drain_targets": [],
            "drain_targets again": [],
            "boto3": [],
            "longest chain": [],
        }
        sessions = [boto3.Session(profile_name=name) for name in profiles]
        ours(profiles[:1], regions[:1])
        for _ in range(SAMPLES):
            clients = [session.client("appstream", region_name=region) for session in sessions for region in regions]
            runs = {name: partial(ours, profiles, regions) for name in took} | {"boto3": partial(plain, clients)}
            runs["longest chain"] = partial(ours, *longest(profiles, regions))
            for name, run in runs.items():
                seconds, seen = wall(run)
                took[name].append(seconds)
                print(f"  {name:20} {seconds:6.2f} s, {seen} images")
    middle = {name: statistics.median(times) for name, times in took.items()}
    apart = abs(middle["drain_targets"] / middle["drain_targets again"] - 1)
    to_boto3, to_chain = (middle["drain_targets"] / middle[name] for name in ("boto3", "longest chain"))
    print(f"60 targets, wall: {middle['drain_targets']:.2f} s; A/A control {apart:.1%} apart")
    print(f"  boto3 in {THREADS} threads {middle['boto3']:.2f} s: ratio {to_boto3:.2f}, bound 0.42")
    print(f"  longest target alone {middle['longest chain']:.2f} s: ratio {to_chain:.2f}, bound 2.1")
    return to_boto3 <= 0.42 and to_chain <= 2.1


def longest(profiles: list[str], regions: list[str]) -> tuple[list[str], list[str]]:
    """Return the profile and the region with the most pages."""
    pages = {
        (profile, region): pages_of(f"{number:012}", region, 7, 0)
        for number, profile in enumerate(profiles, 1)
        for region in regions
    }
    profile, region = max(pages, key=pages.get)
    return [profile], [region]


def estate() -> bool:
    """Print time and peak memory of 3,600 targets into a snapshot."""
    with served(200, 10, 7, 2), tempfile.TemporaryDirectory() as root:
        result = subprocess.run([sys.executable, __file__, root], capture_output=True, text=True, check=True)
    print(result.stdout, end="")
    return "kept" in result.stdout


def snapshot(root: str) -> None:
    """Take the snapshot of the estate, and print what it took."""
    where = asf.targets(profiles=[f"account-{number}" for number in range(200)], regions=REGIONS)
    began = time.perf_counter()
    name = asf.take_snapshot(root, where, progress=False)
    seconds = time.perf_counter() - began
    listed = asf.list_snapshots(root).set_index("id").loc[name]
    calls = int(asf.read_history(root, "coverage", columns=["pages"])["pages"].sum()) + 200
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    verdict = "kept" if peak <= 600 and listed["complete"] == listed["targets"] == 3_600 else "BROKEN"
    print(
        f"3,600 targets: {seconds:.0f} s, {calls:,} calls, {listed['images']:,} images, {listed['applications']:,} applications,"
        f" {listed['bytes'] / 1e6:.1f} MB of Parquet; peak {peak:.0f} MB, bound 600: {verdict}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        snapshot(sys.argv[1])
    else:
        sys.exit(0 if all([side_by_side(), estate()]) else 1)
