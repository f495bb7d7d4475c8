"""Who uses which image in a large estate: 200 accounts in 18 regions, 180,000 images, 10,000 fleets."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.usage_oracle import OPERATIONS, Estate, covered, frames_of, image_arn

import appstream_frames as asf


def estate(accounts: int = 200, regions: int = 18, images: int = 50, fleets: int = 10_000) -> Estate:
    """Return an estate whose fleets stand on images of their account, every tenth on one that another account shares."""
    rnd, rows = (
        Random(1),
        {name: [] for name in ("images", "fleets", "image_builders", "associations", "permissions", "coverage")},
    )
    targets = [(f"{account:012}", f"region-{region}") for account in range(accounts) for region in range(regions)]
    for account, region in targets:
        for number in range(images):
            owner, name = account, f"image-{number}"
            if number < 20:
                owner, name = "", f"public-{number}"
            elif number == 20:
                owner, name = f"{(int(account) + 1) % accounts:012}", "image-30"
            rows["images"].append(
                {
                    "account": account,
                    "region": region,
                    "owner": owner or None,
                    "name": name,
                    "arn": image_arn(owner, region, name),
                    "visibility": "PUBLIC" if not owner else "PRIVATE" if owner == account else "SHARED",
                    "base_image_arn": image_arn("", region, f"public-{number}") if number > 20 else None,
                    "image_shared_with_others": name == "image-30",
                }
            )
        rows["coverage"] += [covered(account, region, operation) for operation in OPERATIONS]
    for number in range(fleets):
        account, region = rnd.choice(targets)
        arn = image_arn(
            account if number % 10 else f"{(int(account) + 1) % accounts:012}", region, f"image-{rnd.randint(21, 49)}"
        )
        fleet = {
            "account": account,
            "region": region,
            "name": f"fleet-{number}",
            "arn": f"fleet-{number}",
            "image_arn": arn,
        }
        rows["fleets"].append(fleet)
        edge = {"account": account, "region": region, "stack_name": "stack", "fleet_name": f"fleet-{number}"}
        rows["associations"].append(edge)
    return rows


if __name__ == "__main__":
    frames = frames_of(estate())
    for answer in (asf.used_by, asf.usage):
        started, used = time.perf_counter(), time.process_time()
        table = answer(frames)
        images, fleets = len(frames.images), len(frames.tables["fleets"])
        print(
            f"{answer.__name__}: {images:,} images, {fleets:,} fleets -> {len(table):,} rows in "
            f"{time.perf_counter() - started:.2f} s ({time.process_time() - used:.2f} s CPU)"
        )
