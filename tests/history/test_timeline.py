"""When each thing came and went: against loops over plain rows, and what is evidence that a thing is gone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from support import oracle
from support.worlds import CREATED, World, moment, one, series, with_status, written

import appstream_frames as asf
from appstream_frames.history.timelines import timeline, trend
from appstream_frames.tables.schema import list_tables

TABLES = ("images", "applications", "errors", "coverage")


def images_of(frame: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """Return the rows of a timeline by what an image is known by, null as None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {(row["account"], row["region"], row["arn"] or row["name"]): row for row in rows}


@pytest.mark.slow
@given(worlds=series())
def test_a_timeline_is_what_loops_find(worlds: list[World]) -> None:
    """Any few snapshots of any coverage."""
    with tempfile.TemporaryDirectory() as root:
        seen = images_of(timeline(written(Path(root), *worlds)))
    expected = oracle.lifetimes(worlds)
    assert seen.keys() == expected.keys()
    for key, life in expected.items():
        row = seen[key]
        assert [row["first_seen"], row["last_seen"], row["gone_by"], row["snapshots"], row["generations"]] == [
            *(life["first_seen"], life["seen"][-1], life["gone_by"], len(life["seen"])),
            max(1, len(life["created"])),
        ]


@pytest.mark.parametrize("table", TABLES[:3])
def test_an_empty_timeline_has_all_types(root: Path, table: str) -> None:
    """Columns and dtypes do not depend on the archive."""
    empty = timeline(written(root / "empty", one() | {"images": []}), table)
    full = timeline(written(root, one()), table)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert str(empty["gone_by"].dtype) == "datetime64[us, UTC]"


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES[:3])
@pytest.mark.parametrize("status", ["limited", "denied", "failed"])
def test_where_nothing_was_read_whole_nothing_is_gone(root: Path, status: str, table: str) -> None:
    """What was read in part is in the answer, and no moment says that it is gone."""
    archive = written(root, with_status(one(), status), with_status(one(), status))
    found = timeline(archive, table)
    assert len(found) == len(asf.read_snapshot(archive).tables[table])
    assert found["gone_by"].isna().all()
    assert str(found["gone_by"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    "ask", [lambda root: asf.read_history(root, "fleets"), lambda root: asf.trend(root, "state", "fleets")]
)
def test_a_history_of_a_table_that_was_never_read_is_no_proof(ask: Callable[[Path], pd.DataFrame], root: Path) -> None:
    """No rows, and a warning that nothing is known."""
    archive = written(root, one())
    with pytest.warns(UserWarning, match="nothing is known of it"):
        assert ask(archive).empty


@pytest.mark.slow
@pytest.mark.parametrize("table", [name for name in list_tables() if name not in TABLES])
def test_a_table_that_was_never_read_has_an_empty_timeline(root: Path, table: str) -> None:
    """An archive of images only holds nothing of fleets; a warning says so."""
    archive = written(root, one())
    with pytest.warns(UserWarning, match=f"^{table} was read in none of 1 snapshots, .* include='{table}'"):
        found = timeline(archive, table)
    assert found.empty
    assert str(found["gone_by"].dtype) == "datetime64[us, UTC]"


def test_a_target_that_could_not_be_signed_in_to_leaves_the_others_as_they_are(root: Path) -> None:
    """Its account is not known, and nothing was read of it."""
    refused = one()["coverage"][0] | {"account": None, "region": "us-east-1", "status": "bad_credentials"}
    nights = [one(), one() | {"images": []}]
    written(root / "whole", *nights)
    written(root / "failed", *(night | {"coverage": [*night["coverage"], refused]} for night in nights))
    for answer in (timeline, lambda archive: trend(archive, "name")):
        pd.testing.assert_frame_equal(answer(root / "failed"), answer(root / "whole"))


def gone_by(root: Path, *worlds: World) -> Any:
    """Return when the image `a` was gone."""
    return timeline(written(root, *worlds)).set_index("name").loc["a", "gone_by"]


def test_an_image_is_gone_by_the_next_look(root: Path) -> None:
    """The first snapshot that could hold it, and does not."""
    assert gone_by(root, one(), one() | {"images": []}, one() | {"images": []}) == moment(1)


def test_an_incomplete_target_is_no_evidence(root: Path) -> None:
    """A denied account has lost nothing."""
    assert pd.isna(gone_by(root, one(), with_status(one() | {"images": []})))


def test_a_narrower_question_is_no_evidence(root: Path) -> None:
    """What was seen among everything may be absent among the private."""
    narrow = with_status(one() | {"images": []}, "complete", request='{"Type": "PRIVATE"}')
    assert pd.isna(gone_by(root, one(), narrow))


def test_the_same_question_is_evidence(root: Path) -> None:
    """And so is one without a filter."""
    narrow = with_status(one(), "complete", request='{"Type": "PRIVATE"}')
    assert gone_by(root, narrow, narrow | {"images": []}) == moment(1)


def test_an_image_that_came_back_is_not_gone(root: Path) -> None:
    """Only what follows its last sighting counts."""
    assert pd.isna(gone_by(root, one(), one() | {"images": []}, one()))


def test_a_rebuilt_image_has_generations(root: Path) -> None:
    """As many as its moments of creation."""
    seen = timeline(written(root, one(), one(created_time=CREATED[1]), one(created_time=None)))
    assert seen[["generations", "snapshots"]].to_numpy().tolist() == [[2, 3]]


def test_an_image_of_unknown_creation_is_one_generation(root: Path) -> None:
    """AWS need not send the moment."""
    assert timeline(written(root, one(created_time=None)))["generations"].to_list() == [1]


def test_a_target_written_twice_counts_once(root: Path) -> None:
    """The same moment filed again is the same look."""
    written(written(root, one()), one())
    assert (timeline(root)["snapshots"].to_list(), trend(root, "name")["count"].to_list()) == ([1], [1])


def test_of_two_looks_at_one_moment_the_whole_one_counts(root: Path) -> None:
    """A drain that was repeated after a failure is filed under the same moment."""
    failed = with_status(one() | {"images": []})
    written(written(written(root, one()), failed), failed)
    assert trend(root, "name")["count"].to_list() == [1]
