"""CPU of a drain to DataFrames, as a ratio to boto3 alone: 1,000 images × 12 applications over loopback.

One process makes all calls, the variants alternate, the garbage collector is frozen before each sample, and the run is
thrown away when two series of the same variant (A/A) differ by more than 3 %.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pandas as pd
from botocore.config import Config

import appstream_frames as asf

IMAGES = 1_000
SAMPLES = 24
SERVER = Path(__file__).with_name("page_server.py")


def client(port: int) -> object:
    """Return a boto3 client at the page server."""
    return boto3.client(
        "appstream",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",
        config=Config(retries={"max_attempts": 1}),
    )


def variants(made: object) -> dict[str, Callable[[], int]]:
    """Return what is compared; each gives the number of images it saw."""

    def drain() -> int:
        return len(asf.drain(made, account="012345678901", progress=False).images)

    def bare() -> int:
        return sum(len(page["Images"]) for page in made.get_paginator("describe_images").paginate())

    def normalized() -> int:
        images = [image for page in made.get_paginator("describe_images").paginate() for image in page["Images"]]
        pd.json_normalize(images, "Applications", ["Name", "Arn"], record_prefix="app_")
        return len(pd.json_normalize(images))

    return {"drain": drain, "drain again": drain, "paginate": bare, "paginate + json_normalize": normalized}


def cpu(run: Callable[[], int]) -> float:
    """Return the CPU seconds of one run."""
    gc.collect()
    gc.freeze()
    began = time.process_time()
    seen = run()
    took = time.process_time() - began
    gc.unfreeze()
    assert seen == IMAGES, seen
    return took


def main() -> int:
    """Print the ratios."""
    with subprocess.Popen([sys.executable, SERVER, str(IMAGES)], stdin=-1, stdout=-1, text=True) as server:
        compared = variants(client(int(server.stdout.readline())))
        for run in compared.values():
            cpu(run)
        took = {name: [] for name in compared}
        for _ in range(SAMPLES):
            for name, run in compared.items():
                took[name].append(cpu(run))
        server.stdin.close()
    middle = {name: statistics.median(times) for name, times in took.items()}
    pages = -(-IMAGES // 25)
    for name, seconds in middle.items():
        print(
            f"{name:28} {seconds / pages * 1000:6.2f} ms CPU a page   {middle['drain'] / seconds:5.2f} = drain / this"
        )
    apart = abs(middle["drain"] / middle["drain again"] - 1)
    print(f"A/A control: {apart:.1%} apart ({'kept' if apart <= 0.03 else 'DISCARD this run: over 3 %'})")
    return 0 if apart <= 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
