"""Frames joined: a target once, read rather than failed, and never an image that is nobody's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import estates
from support.estates import everywhere, quiet
from support.worlds import FAILED, TARGETS, frames_of, sorted_world, worlds

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.frames import Frames

READ = ("complete", "limited")
KEY = ["account", "region"]
Names = tuple[Any, ...]


@st.composite
def runs(draw: st.DrawFn, week: int = 0, *, asked: str | None = None) -> Frames:
    """Draw the frames of a drain; targets fail in all ways, some after a few images."""
    world = sorted_world(draw(worlds(week).filter(lambda world: world["coverage"])))
    for row in world["coverage"]:
        row["status"] = draw(st.sampled_from([*READ, "complete", *FAILED]))
        row["request"] = asked or row["request"]
    return frames_of(world)


def elsewhere(frames: Frames) -> Frames:
    """Return frames of other accounts."""
    tables = {
        name: table.assign(account=table["account"].str.replace("0", "9", n=1).str.replace("1", "8", n=1))
        for name, table in frames.tables.items()
    }
    return Frames(tables)


def of(frames: Frames, name: str, place: Names) -> pd.DataFrame:
    """Return the rows of one target, without the moment."""
    table = frames.tables[name]
    return (
        table[(table["account"] == place[0]) & (table["region"] == place[1])]
        .drop(columns="snapshot")
        .reset_index(drop=True)
    )


def places(frames: Frames) -> dict[Names, str]:
    """Return the status of each target."""
    return dict(zip(frames.coverage[KEY].itertuples(index=False, name=None), frames.coverage["status"], strict=True))


def equal(seen: Frames, expected: Frames) -> None:
    for name in expected.tables:
        pd.testing.assert_frame_equal(seen.tables[name], expected.tables[name])


@pytest.mark.slow
@given(first=runs(), second=runs(1))
def test_different_targets_are_put_one_after_another(first: Frames, second: Frames) -> None:
    """All rows of both, in order, with the moment of the first."""
    second = elsewhere(second)
    joined = first.merge(second)
    for name in first.tables:
        expected = pd.concat([first.tables[name], second.relabel(first.snapshot).tables[name]], ignore_index=True)
        pd.testing.assert_frame_equal(joined.tables[name], expected)


@pytest.mark.slow
@given(first=runs(asked="{}"), second=runs(1, asked="{}"))
def test_what_was_read_stays(first: Frames, second: Frames) -> None:
    """A target that one of them read is read; it is the later reading, whole, with its own row of coverage."""
    joined, before, after = first.merge(second), places(first), places(second)
    assert [*places(joined)] == [*dict.fromkeys([*before, *after])]
    for place, status in places(joined).items():
        source = second if place in after and (after[place] in READ or before.get(place) not in READ) else first
        assert status == places(source)[place]
        for name in joined.tables:
            pd.testing.assert_frame_equal(of(joined, name, place), of(source, name, place))
    assert {moment for table in joined.tables.values() for moment in table["snapshot"]} == {first.snapshot}


@pytest.mark.slow
@given(first=runs(asked="{}"), second=runs(1, asked="{}"), third=runs(2, asked="{}"))
def test_laws(first: Frames, second: Frames, third: Frames) -> None:
    """Merged with nothing, with itself or twice it is the same; and three are joined in one go or two."""
    equal(first.merge(), first)
    equal(first.merge(first), first)
    equal(first.merge(second, second), first.merge(second))
    equal(first.merge(second).merge(third), first.merge(second, third))


@given(first=runs(), second=runs(1))
def test_a_target_is_not_two_answers_to_two_questions(first: Frames, second: Frames) -> None:
    """What was read twice has to have been asked the same, and nothing else is refused."""
    asked = [
        {row.account + row.region: row.request for row in each.coverage.itertuples() if row.status in READ}
        for each in (first, second)
    ]
    differ = any(asked[1][place] != request for place, request in asked[0].items() if place in asked[1])
    if differ:
        with pytest.raises(asf.RequestError, match="the same request made again"):
            first.merge(second)
    else:
        first.merge(second)


def test_what_was_handed_in_stays_as_it_was(frames: Frames) -> None:
    """Merging changes neither side."""
    before = {name: table.copy() for name, table in frames.tables.items()}
    frames.merge(frames.relabel("2020-01-01"))
    for name, table in before.items():
        pd.testing.assert_frame_equal(frames.tables[name], table)


@pytest.mark.slow
def test_failed_targets_are_drained_alone(box: Any) -> None:
    """Drained again and merged, two runs are what one run without failures gives, moments aside."""
    targets = everywhere(box)
    random.Random(7).shuffle(targets)
    whole = asf.drain_targets(targets, progress=False)
    box.fault(box.accounts[0], box.regions[0], "denied")
    box.fault(box.accounts[0], box.regions[1], "cut", after=1)
    box.fault(box.accounts[1], None, "denied")
    box.fault(box.accounts[2], box.regions[3], "slow")
    with quiet():
        first = asf.drain_targets(targets, timeout=3, progress=False)
    failed = first.failed_targets
    assert len(failed) == 7
    assert [target for target in targets if target in failed] == failed
    for account, region in (
        (box.accounts[0], box.regions[0]),
        (box.accounts[0], box.regions[1]),
        (box.accounts[1], None),
        (box.accounts[2], box.regions[3]),
    ):
        box.fault(account, region, None)
    calls = box.calls
    joined = first.merge(asf.drain_targets(failed, progress=False))
    assert box.calls - calls <= 3 * len(failed)
    assert estates.same(joined, whole) == []
    assert (joined.failed_targets, list(joined.targets)) == ([], targets)


def test_what_cannot_be_mended_is_not_drained_again(box: Any) -> None:
    """A region that is not enabled is a row of coverage, and no target to try again."""
    targets = everywhere(box)[:2]
    box.fault(targets[0].account, targets[0].region, "disabled")
    with quiet():
        frames = asf.drain_targets(targets, progress=False)
    assert frames.coverage["status"].to_list() == ["region_disabled", "complete"]
    assert frames.failed_targets == []


def test_each_operation_of_a_target_is_merged_by_itself(frames: Frames) -> None:
    """Images that were read stay beside fleets that were read later; neither takes the other's place."""
    images, fleets_ = frames.coverage, frames.coverage.assign(operation="DescribeFleets")
    fleet = make_empty("fleets").reindex([0]).assign(account=images["account"], region=images["region"], name="f")
    denied = Frames(
        {
            **frames.tables,
            "fleets": make_empty("fleets"),
            "coverage": pd.concat([images, fleets_.assign(status="denied")], ignore_index=True),
        }
    )
    later = Frames(
        {
            **{name: table.head(0) for name, table in frames.tables.items()},
            "fleets": fleet,
            "coverage": pd.concat([images.assign(status="throttled"), fleets_], ignore_index=True),
        }
    )
    merged = denied.merge(later)
    assert merged.coverage["status"].to_list() == ["complete", "complete"]
    assert (len(merged.images), merged.fleets["name"].to_list()) == (len(frames.images), ["f"])


def test_a_later_failure_does_not_count(box: Any) -> None:
    """Nor does what was read before the later one failed."""
    targets = everywhere(box)[:3]
    whole = asf.drain_targets(targets, progress=False)
    box.fault(kind="denied", after=2)
    with quiet():
        worse = asf.drain_targets(targets, progress=False)
    assert estates.same(whole.merge(worse), whole) == []


@pytest.mark.slow
def test_a_target_that_fails_twice_stays_failed(box: Any) -> None:
    """The later failure is kept, and it can be tried a third time."""
    box.fault(kind="denied")
    targets = everywhere(box)[:2]
    with quiet():
        first = asf.drain_targets(targets, progress=False)
        box.fault(kind="server_error")
        second = asf.drain_targets(first.failed_targets, timeout=1, progress=False)
    joined = first.merge(second)
    assert joined.coverage["error_code"].to_list() == ["InternalFailure"] * 2
    assert joined.failed_targets == targets


def test_an_account_that_was_not_known_is_found_again(box: Any) -> None:
    """A target whose credentials STS refused has no account yet; it is the same target when it has."""
    targets = everywhere(box, box.accounts[:1])
    box.revoke(box.accounts[0])
    with quiet():
        first = asf.drain_targets(targets, progress=False)
    assert (first.coverage["account"].isna().all(), len(first.failed_targets)) == (True, 4)
    box.revoke(box.accounts[0], False)
    joined = first.merge(asf.drain_targets(first.failed_targets, progress=False))
    assert joined.coverage["status"].to_list() == ["complete"] * 4
    assert len(joined.images) == joined.coverage["rows"].sum() > 0


def test_frames_of_different_questions_are_not_merged(box: Any) -> None:
    """What one asked of everything and the other of private images only."""
    target = everywhere(box)[0]
    first = asf.drain_targets([target], progress=False)
    with pytest.raises(asf.RequestError, match=r"012345678901/eu-west-1 was called with \{\} and then"):
        first.merge(asf.drain_targets([target], type="PRIVATE", progress=False))


def test_a_target_under_two_names_is_not_counted_twice(box: Any) -> None:
    """A profile that failed is, when it can be read, an account that a client has read already: one row, one set of images."""
    (target,), client = everywhere(box, box.accounts[:1])[:1], box.client()
    box.revoke(box.accounts[0])
    with quiet():
        failed = asf.drain_targets([target], progress=False)
    box.revoke(box.accounts[0], False)
    read = asf.drain_targets([client], progress=False)
    again = asf.drain_targets([target], progress=False)
    joined = failed.merge(read, again)
    assert len(joined.images) == len(read.images)
    assert len(joined.coverage) == 1


def test_the_targets_of_worlds_are_two() -> None:
    """The renamed accounts of `elsewhere` are others."""
    assert not {account.replace("0", "9", 1).replace("1", "8", 1) for account, _ in TARGETS} & {
        account for account, _ in TARGETS
    }


def test_a_table_that_only_one_side_has_is_kept(frames: asf.Frames) -> None:
    """A newer boto3 may have brought a table, and its rows are not lost."""
    other = asf.Frames({**frames.tables, "extras": frames.errors}).merge()
    elsewhere = {name: table.assign(region="eu-north-1") for name, table in frames.tables.items()}
    for merged in (other.merge(asf.Frames(elsewhere)), asf.Frames(elsewhere).merge(other)):
        assert len(merged.tables["extras"]) == len(frames.errors)


def test_frames_without_coverage_have_no_moment(frames: asf.Frames, root: Path) -> None:
    """It is said, and nothing is written."""
    nothing = asf.Frames({name: table.head(0) for name, table in frames.tables.items()})
    with pytest.raises(asf.RequestError, match="no row of coverage"):
        asf.write_snapshot(nothing, root)
