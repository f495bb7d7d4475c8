"""Counts over time: against loops over plain rows, what is zero and what is a gap."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.worlds import World, frames_of, moment, one, series, with_status, written

import appstream_frames as asf
from appstream_frames.history.timelines import trend


def named(name: str, **members: Any) -> dict[str, Any]:
    """Return the row of an image of the one target."""
    arn = f"arn:aws:appstream:eu-west-1:012345678901:image/{name}"
    return one()["images"][0] | {"name": name, "arn": arn} | members


@pytest.mark.slow
@given(
    worlds=series(),
    by=st.sampled_from([["description"], ["region"], ["account", "name"], ["image_shared_with_others"]]),
)
def test_a_trend_is_what_loops_find(worlds: list[World], by: list[str]) -> None:
    """Any few snapshots of any coverage."""
    with tempfile.TemporaryDirectory() as root:
        made = trend(written(Path(root), *worlds), by)
    plain = made.astype(object).where(made.notna(), None)
    seen = {(row[0], row[1:-2]): row[-2] for row in plain.itertuples(index=False, name=None)}
    assert seen == oracle.counts(worlds, [moment(week) for week in range(len(worlds))], by)
    assert made["complete"].equals(made["count"].notna().astype("boolean"))


def test_a_trend_of_nothing_has_all_types(root: Path) -> None:
    """Columns and dtypes do not depend on the archive."""
    empty = trend(written(root / "empty", one() | {"images": []}), "state")
    full = trend(written(root, one()), "state")
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert list(empty.dtypes.astype(str)) == ["datetime64[us, UTC]", "str", "Int64", "boolean"]


def test_an_incomplete_snapshot_is_a_gap(root: Path) -> None:
    """Null rather than a number that is too low."""
    made = trend(written(root, one(), with_status(one() | {"images": []}), one()), "name")
    assert made["count"].to_list() == [1, pd.NA, 1]


def test_absence_is_zero(root: Path) -> None:
    """Every value ever seen has a count in every snapshot."""
    made = trend(written(root, one(), one() | {"images": []}), "name")
    assert made["count"].to_list() == [1, 0]


def test_null_is_a_value(root: Path) -> None:
    """What has no value is counted too, last."""
    made = trend(written(root, one() | {"images": [named("a", state="AVAILABLE"), named("b")]}), ["state"])
    assert (made["state"].isna().to_list(), made["count"].to_list()) == ([False, True], [1, 1])


def test_a_new_target_leaves_gaps_only_where_it_matters(root: Path) -> None:
    """By account, the history of the others stays whole."""
    key = {"account": "111122223333"}
    more = one()
    both = more | {name: [*more[name], *(row | key for row in more[name])] for name in ("images", "coverage")}
    written(root, one(), both)
    assert trend(root, "name")["count"].to_list() == [pd.NA, 2]
    assert trend(root, "account")["count"].to_list() == [1, pd.NA, 1, 1]


def test_a_target_that_was_never_read_is_not_waited_for(root: Path) -> None:
    """A region that is not opted in is no gap for ever."""
    world = one()
    disabled = world["coverage"][0] | {"region": "eu-south-1", "status": "denied"}
    written(root, world | {"coverage": [*world["coverage"], disabled]})
    assert trend(root, "name")["count"].to_list() == [1]


def test_another_question_is_a_gap(root: Path) -> None:
    """Private images alone are not comparable with everything."""
    narrow = with_status(one(), "complete", request='{"Type": "PRIVATE"}')
    assert trend(written(root, narrow, one()), "name")["count"].to_list() == [pd.NA, 1]


@pytest.mark.parametrize(
    ("by", "hint"),
    [
        ("stat", "images has no column 'stat'. Did you mean state"),
        (["state", "x"], "no column 'x'. Choose from: snapshot"),
        (5, "by=5 must be a column's name, or a list of names"),
        ([], "name at least one column"),
        ("snapshot", "other than snapshot"),
    ],
)
def test_counting_by_no_column_is_explained(root: Path, by: Any, hint: str) -> None:
    """The message says what can be counted by."""
    with pytest.raises(asf.RequestError, match=hint):
        trend(written(root, one()), by)


def test_a_column_that_a_snapshot_lacks_is_a_gap(root: Path) -> None:
    """An older boto3 did not know it: null values would be invented."""
    frames = frames_of(one())
    older = asf.Frames({**frames.tables, "images": frames.images.drop(columns=["platform"])})
    asf.write_snapshot(older.relabel(moment(0)), root)
    asf.write_snapshot(frames_of(one(platform="WINDOWS")).relabel(moment(1)), root)
    made = trend(root, "platform")
    assert made[["platform", "count", "complete"]].values.tolist() == [["WINDOWS", pd.NA, False], ["WINDOWS", 1, True]]


def test_a_redacted_column_is_a_gap(root: Path) -> None:
    """What was left out on purpose is not null."""
    asf.write_snapshot(frames_of(one(description="secret")).relabel(moment(0)), root, redact=["description"])
    asf.write_snapshot(frames_of(one(description="text")).relabel(moment(1)), root)
    made = trend(root, "description")
    assert made[["description", "count"]].values.tolist() == [["text", pd.NA], ["text", 1]]


def test_counting_over_complete_targets_leaves_no_gap(root: Path) -> None:
    """Targets that failed once are left out of every snapshot, so that the others can be compared."""
    other = {"account": "111122223333"}
    both = {name: [*rows, *(row | other for row in rows)] for name, rows in one().items()}
    failed = both | {"coverage": [both["coverage"][0], both["coverage"][1] | {"status": "denied"}]}
    written(root, both, failed | {"images": both["images"][:1]}, both)
    assert trend(root, "name")["count"].to_list() == [2, pd.NA, 2]
    assert trend(root, "name", over="complete")["count"].to_list() == [1, 1, 1]


def test_another_way_of_counting_is_explained(root: Path) -> None:
    """The message names both."""
    with pytest.raises(asf.RequestError, match="'all', or 'complete'"):
        trend(written(root, one()), "name", over="some")
