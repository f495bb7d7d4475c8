"""Counts over time: against loops over plain rows, what is zero and what is a gap."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.worlds import World, moment, one, series, with_status, written

import appstream_frames as asf
from appstream_frames.history.timelines import trend

few = settings(max_examples=25, deadline=None)


def named(name: str, **members: Any) -> dict[str, Any]:
    """Return the row of an image of the one target."""
    arn = f"arn:aws:appstream:eu-west-1:012345678901:image/{name}"
    return one()["images"][0] | {"name": name, "arn": arn} | members


@few
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
