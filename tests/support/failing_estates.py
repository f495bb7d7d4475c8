"""Random estates in which every rule may find something, and what comes of them when operations of a target fail."""

from __future__ import annotations

from random import Random
from typing import Any

import pandas as pd
from support.usage_oracle import Estate, estate
from support.worlds import frames_of

import appstream_frames as asf

TODAY = pd.Timestamp("2026-11-23", tz="UTC")
#: By operation, the table that it fills and the rules that need it.
OPERATIONS = {
    "DescribeImages": ("images", set()),
    "DescribeFleets": ("fleets", {"fleet_error", "fleet_image_gone", "fleet_image_old", "image_unused"}),
    "DescribeImageBuilders": ("image_builders", {"builder_running", "image_unused"}),
    "DescribeImagePermissions": ("permissions", {"image_shared_outside"}),
}
KEYS = ["severity", "rule", "account", "region", "resource", "name", "arn", "finding", "value"]
VERSIONS = [None, "LATEST", "09-18-2024", "10-02-2025", "06-14-2026", "06-29-2026", "11-02-2026"]
BASES = [
    "AppStream-WinServer2016-10-08-2021",
    "AppStream-WinServer2022-05-30-2025",
    "AppStream-AmazonLinux2-05-08-2024",
]


def grown(rnd: Random) -> Estate:
    """Draw an estate in which every rule may find something."""
    rows = estate(rnd) | {"applications": [], "errors": []}
    facts: dict[str, dict[str, Any]] = {}  # every account sees the same of one image
    for image in rows["images"]:
        image |= facts.setdefault(image["arn"], describe(rnd, image))
    for builder in rows["image_builders"]:
        builder |= {"state": rnd.choice(["RUNNING", "STOPPED"]), "created_time": days_ago(rnd.choice([1, 7, 8, 90]))}
    rows["fleet_errors"] = [
        {name: fleet[name] for name in ("account", "region")}
        | {"fleet_arn": fleet["arn"], "fleet_name": fleet["name"], "position": 0, "error_code": "E"}
        for fleet in rows["fleets"]
        if rnd.random() < 0.2
    ]
    return {name: [{"snapshot": TODAY} | row for row in table] for name, table in rows.items()}


def describe(rnd: Random, image: dict[str, Any]) -> dict[str, Any]:
    """Draw what AWS says of an image."""
    base = f"arn:aws:appstream:{image['region']}::image/{rnd.choice(BASES)}"
    return {
        "created_time": days_ago(rnd.choice([1, 29, 30, 31, 400])),
        "appstream_agent_version": rnd.choice(VERSIONS),
        "state": rnd.choice(["AVAILABLE", "AVAILABLE", "FAILED"]),
        "base_image_arn": base if image["owner"] and rnd.random() < 0.5 else image["base_image_arn"],
    }


def days_ago(days: int) -> pd.Timestamp:
    return TODAY - pd.Timedelta(days=days)


def failed(rows: Estate, target: tuple[str, str], *operations: str) -> Estate:
    """Return what comes of an estate when operations fail in one target."""
    gone = {OPERATIONS[operation][0] for operation in operations}
    gone |= {"fleet_errors"} if "DescribeFleets" in operations else set()

    def of_it(row: dict[str, Any]) -> bool:
        return (row["account"], row["region"]) == target

    left = {name: [row for row in table if name not in gone or not of_it(row)] for name, table in rows.items()}
    coverage = [
        row | {"status": "failed"} if of_it(row) and row["operation"] in operations else row for row in rows["coverage"]
    ]
    return left | {"coverage": coverage}


def find(rows: Estate, **options: Any) -> pd.DataFrame:
    return asf.findings(frames_of(rows), today="2026-11-23", **options)


def of_others(found: pd.DataFrame, target: tuple[str, str]) -> list[tuple[Any, ...]]:
    """Return the findings of every target but one, null as None."""
    others = found[found["account"].notna() & ~((found["account"] == target[0]) & (found["region"] == target[1]))]
    return list(others[KEYS].astype(object).where(others[KEYS].notna(), None).itertuples(index=False, name=None))


def fail_one(rnd: Random) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Draw an estate, and let operations of one target fail; return the findings of all others, with it and without."""
    rows = grown(rnd)
    targets = sorted({(row["account"], row["region"]) for row in rows["coverage"]})
    target = rnd.choice(targets or [("", "")])
    operations = rnd.sample(list(OPERATIONS), rnd.choice([1, 1, len(OPERATIONS)]))
    return of_others(find(failed(rows, target, *operations)), target), of_others(find(rows), target)
