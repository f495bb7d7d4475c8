"""Which findings are new: each is new once, and again only after it had gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.worlds import START, World, frames_of, moment, one

import appstream_frames as asf
from appstream_frames.history.findings import drop_known

KEY = {"snapshot": START, "account": "012345678901", "region": "eu-west-1"}
RULES = {"not_drained": None, "base_behind": None}


def night(*states: str, status: str = "complete") -> World:
    """Return a snapshot of images of some states, read with the given status."""
    arn = "arn:aws:appstream:eu-west-1:012345678901:image/"
    images = [
        one()["images"][0] | {"owner": KEY["account"], "name": f"{number}", "arn": f"{arn}{number}", "state": state}
        for number, state in enumerate(states)
    ]
    coverage = [KEY | {"operation": "DescribeImages", "status": status, "request": "{}"}]
    return one() | {"images": images, "coverage": coverage}


def find_new(root: Path, *nights: World) -> list[list[tuple[str, str]]]:
    """Return the rules and names of the findings that are new in each night."""
    found = []
    for week, world in enumerate(nights):
        asf.write_snapshot(frames_of(world).relabel(moment(week)), root)
        frames = asf.read_snapshot(root)
        new = drop_known(asf.findings(frames, rules=RULES), frames, root)
        found.append(list(zip(new["rule"], new["name"], strict=True)))
    return found


@pytest.mark.slow
def test_a_finding_is_reported_once(root: Path) -> None:
    """What the night before had is known; what it had not is new, its first night and after it had gone."""
    nights = [("FAILED",), ("FAILED", "FAILED"), ("AVAILABLE", "FAILED"), ("FAILED", "FAILED")]
    failed = [("image_failed", name) for name in "01"]
    assert find_new(root, *(night(*states) for states in nights)) == [failed[:1], failed[1:], [], failed[:1]]


@pytest.mark.slow
def test_a_night_on_which_a_target_failed_makes_nothing_new(root: Path) -> None:
    """Its findings had not gone, they could not be seen."""
    found = find_new(root, night("FAILED"), night(status="denied"), night("FAILED", "FAILED"))
    assert found == [[("image_failed", "0")], [("target_not_read", "DescribeImages")], [("image_failed", "1")]]


@pytest.mark.slow
def test_what_came_on_such_a_night_is_reported_once(root: Path) -> None:
    """The night that failed counts too, beside the one before it that was whole."""
    failed = {"coverage": [*night()["coverage"], KEY | {"operation": "DescribeFleets", "status": "denied"}]}
    whole = {"coverage": [*night()["coverage"], KEY | {"operation": "DescribeFleets", "status": "complete"}]}
    found = find_new(root, night() | whole, night("FAILED") | failed, night("FAILED") | whole)
    assert found[1:] == [[("image_failed", "0"), ("operation_not_read", "DescribeFleets")], []]


@pytest.mark.slow
def test_a_share_is_reported_once_though_an_account_was_not_known_for_a_night(root: Path) -> None:
    """Nothing was said of shares then, which does not make them new."""
    coverage = [*night()["coverage"], KEY | {"operation": "DescribeImagePermissions", "status": "complete"}]
    share = KEY | {"image_arn": night("AVAILABLE")["images"][0]["arn"], "shared_account_id": "999999999999"}
    shared = night("AVAILABLE") | {"permissions": [share], "coverage": coverage}
    failed = KEY | {"account": None, "operation": "DescribeImages", "status": "bad_credentials"}
    found = find_new(root, shared, shared | {"coverage": [*coverage, failed]}, shared)
    assert [[rule for rule, _ in new] for new in found] == [["image_shared_outside"], ["target_not_read"], []]


def test_a_target_that_is_new_has_new_findings(root: Path) -> None:
    """What no snapshot before has read is compared with the one before."""
    other: dict[str, Any] = {"account": "111122223333", "owner": "111122223333"}
    both = {name: [*rows, *(row | other for row in rows)] for name, rows in night("FAILED").items()}
    found = find_new(root, night("FAILED"), both)
    assert [len(new) for new in found] == [1, 1]


@pytest.mark.slow
def test_each_week_of_the_sandbox_tells_what_the_week_before_had_not(tmp_path: Path) -> None:
    """Read whole each time, a finding is new exactly when the week before did not have it."""
    with asf.sandbox() as box:
        weeks = box.weeks[-3:]
    before: set[tuple[str, str]] = set()
    for week in weeks:
        with asf.sandbox(at=week) as box:
            asf.write_snapshot(asf.drain(box.client(), include="all").relabel(week), tmp_path)
        frames = asf.read_snapshot(tmp_path)
        found = asf.findings(frames, history=tmp_path)
        new = drop_known(found, frames, tmp_path)
        keys = [set(zip(rows["rule"], rows["arn"].fillna(rows["name"]), strict=True)) for rows in (found, new)]
        assert keys[1] == keys[0] - before, pd.Timestamp(week)
        before = keys[0]


def test_a_history_that_is_not_there_is_an_error(root: Path) -> None:
    """Also for frames without image builders, of which nothing is looked up in it."""
    with pytest.raises(asf.SnapshotNotFoundError, match=f"No snapshot under {root}"):
        asf.findings(frames_of(night("FAILED")), history=root)
