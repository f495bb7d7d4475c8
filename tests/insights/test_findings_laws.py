"""Laws of findings over random estates: what fails takes its own findings and no others, and order says nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.usage_oracle import Estate, estate
from support.worlds import frames_of

import appstream_frames as asf
from appstream_frames.insights.findings import RULES

TODAY = pd.Timestamp("2026-11-23", tz="UTC")
RANDOM = st.randoms(use_true_random=False)
KEYS = ["severity", "rule", "account", "region", "resource", "name", "arn", "finding", "value"]
#: By operation, the table that it fills and the rules that need it.
OPERATIONS = {
    "DescribeImages": ("images", set()),
    "DescribeFleets": ("fleets", {"fleet_error", "fleet_image_gone", "fleet_image_old", "image_unused"}),
    "DescribeImageBuilders": ("image_builders", {"builder_running", "image_unused"}),
    "DescribeImagePermissions": ("permissions", {"image_shared_outside"}),
}
VERSIONS = [None, "LATEST", "09-18-2024", "10-02-2025", "06-14-2026", "06-29-2026", "10-05-2026"]
BASES = [
    "AppStream-WinServer2016-10-08-2021",
    "AppStream-WinServer2022-05-30-2025",
    "AppStream-AmazonLinux2-05-08-2024",
]


def grown(rnd: Random) -> Estate:
    """Draw an estate in which every rule may find something; what is used in another account is shared with it."""
    rows = estate(rnd) | {"applications": [], "errors": []}
    listed = {(row["account"], row["region"], row["arn"]) for row in rows["images"]}
    for row, column in [
        *((row, "base_image_arn") for row in rows["images"]),
        *((row, "image_arn") for row in (*rows["fleets"], *rows["image_builders"])),
    ]:
        arn = row[column]
        own = arn is None or "::image/" in arn or f":{row['account']}:" in arn
        if not own and (row["account"], row["region"], arn) not in listed:
            row[column] = None
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


def failed(rows: Estate, target: tuple[str, str], operation: str) -> Estate:
    """Return what comes of an estate when one operation fails in one target."""
    gone = {OPERATIONS[operation][0], *(["fleet_errors"] if operation == "DescribeFleets" else [])}

    def of_it(row: dict[str, Any]) -> bool:
        return (row["account"], row["region"]) == target

    left = {name: [row for row in table if name not in gone or not of_it(row)] for name, table in rows.items()}
    coverage = [
        row | {"status": "failed"} if of_it(row) and row["operation"] == operation else row for row in rows["coverage"]
    ]
    return left | {"coverage": coverage}


def find(rows: Estate, **options: Any) -> pd.DataFrame:
    return asf.findings(frames_of(rows), today="2026-11-23", **options)


def of_others(found: pd.DataFrame, target: tuple[str, str]) -> list[tuple[Any, ...]]:
    """Return the findings of every target but one, null as None."""
    others = found[found["account"].notna() & ~((found["account"] == target[0]) & (found["region"] == target[1]))]
    return list(others[KEYS].astype(object).where(others[KEYS].notna(), None).itertuples(index=False, name=None))


@pytest.mark.slow
@given(RANDOM)
def test_a_failure_takes_no_other_target_s_finding(rnd: Random) -> None:
    """Whatever fails in one target, all others have the findings that they had: none fewer, none more."""
    rows = grown(rnd)
    targets = sorted({(row["account"], row["region"]) for row in rows["coverage"]})
    target, operation = rnd.choice(targets or [("", "")]), rnd.choice(list(OPERATIONS))
    assert of_others(find(failed(rows, target, operation)), target) == of_others(find(rows), target)


@pytest.mark.slow
@given(RANDOM)
def test_the_order_of_rows_changes_no_finding(rnd: Random) -> None:
    """Shuffled tables give the same findings, in the same order."""
    rows = grown(rnd)
    shuffled = {name: rnd.sample(table, len(table)) for name, table in rows.items()}
    pd.testing.assert_frame_equal(find(shuffled), find(rows))


@pytest.mark.slow
@given(RANDOM, st.sampled_from(list(OPERATIONS)[1:]))
def test_what_was_not_drained_is_no_finding(rnd: Random, operation: str) -> None:
    """Its rules find nothing, and that is said once."""
    table, rules = OPERATIONS[operation]
    rows = {name: each for name, each in grown(rnd).items() if name != table}
    rows["coverage"] = [row for row in rows["coverage"] if row["operation"] != operation]
    found = find(rows)
    assert not set(found["rule"]) & rules
    assert ((found["rule"] == "not_drained") & (found["name"] == operation)).sum() == 1


@pytest.mark.slow
@given(
    RANDOM, st.sampled_from([name for name, rule in RULES.items() if rule.threshold is not None]), st.integers(1, 400)
)
def test_a_threshold_is_a_bound(rnd: Random, rule: str, more: int) -> None:
    """A higher one finds a part of what a lower one finds (more, of a time until something), and moves no other rule."""
    rows, low = grown(rnd), RULES[rule].threshold or 0
    small, large = (find(rows, rules={rule: bound}) for bound in (low, low + more))
    if rule == "support_ending":
        small, large = large, small
    sides = [set(each.loc[each["rule"] == rule, "arn"].fillna("")) for each in (small, large)]
    assert rule == "quota_near" or sides[1] <= sides[0]
    pd.testing.assert_frame_equal(*(each[each["rule"] != rule].reset_index(drop=True) for each in (small, large)))
