"""The archive of the sandbox's thirteen weeks: as one frame, what came and went in it, and counts over time."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from support import oracle

import appstream_frames as asf
from appstream_frames.history.timelines import read_history, timeline, trend
from appstream_frames.tables.conversion import to_arrow
from appstream_frames.tables.schema import list_tables

TABLES = ("images", "applications", "errors", "coverage")
KEYS = ["snapshot", "account", "region"]


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_all_of_an_archive_is_what_its_snapshots_hold(thirteen_weeks: Path, table: str) -> None:
    """Every row of every snapshot, oldest first, all columns."""
    names = asf.list_snapshots(thirteen_weeks)["id"]
    whole = pd.concat([asf.read_snapshot(thirteen_weeks, name).tables[table] for name in names])
    pd.testing.assert_frame_equal(read_history(thirteen_weeks, table), whole.reset_index(drop=True))


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_the_same(thirteen_weeks: Path, table: str) -> None:
    """DuckDB's `union_by_name` over the same files gives the same rows."""
    paths = [str(thirteen_weeks / table / f"{name}.parquet") for name in asf.list_snapshots(thirteen_weeks)["id"]]
    columns = [column for column in list_tables()[table].schema.names if column != "metadata"]
    reader = duckdb.connect().execute("SET TimeZone = 'UTC'").read_parquet(paths, union_by_name=True)
    seen = reader.project(", ".join(columns)).to_arrow_table()
    assert seen.to_pylist() == to_arrow(read_history(thirteen_weeks, table)[columns], table).to_pylist()


def test_keys_come_first(thirteen_weeks: Path) -> None:
    """Whatever columns are asked for, a row says where it is from."""
    assert list(read_history(thirteen_weeks, columns=["state", "region"])) == [*KEYS, "state"]


def test_types_are_those_of_the_whole_table(thirteen_weeks: Path) -> None:
    """Selecting a column does not change its dtype."""
    some = read_history(thirteen_weeks, columns=["created_time", "supported_instance_families"])
    assert some.dtypes.to_dict() == read_history(thirteen_weeks).dtypes[some.columns].to_dict()


def test_the_weeks_tell_of_a_rebuild(thirteen_weeks: Path) -> None:
    """callcenter-training was there all the thirteen weeks, in two generations."""
    seen = timeline(thirteen_weeks).set_index("name").loc["callcenter-training"]
    assert (seen["generations"], seen["snapshots"], pd.isna(seen["gone_by"])) == (2, 13, True)


def test_the_weeks_tell_of_retired_images(thirteen_weeks: Path) -> None:
    """The nine public images of 30 May 2025 were gone by 12 October 2026, last seen the Monday before."""
    seen = timeline(thirteen_weeks)
    retired = seen[seen["name"].str.match("AppStream-.*-05-30-2025")]
    assert (len(retired), set(retired["last_seen"]), set(retired["gone_by"])) == (
        9,
        {pd.Timestamp("2026-10-05", tz="UTC")},
        {pd.Timestamp("2026-10-12", tz="UTC")},
    )


def test_the_weeks_tell_of_an_end(thirteen_weeks: Path) -> None:
    """travel-expense-2023 was DELETING on 9 November and gone by 16 November 2026."""
    seen = timeline(thirteen_weeks).set_index("name").loc["travel-expense-2023"]
    assert seen["gone_by"] == pd.Timestamp("2026-11-16", tz="UTC")


@pytest.mark.parametrize("table", ["applications", "errors"])
def test_children_have_timelines(thirteen_weeks: Path, table: str) -> None:
    """One row per thing, seen at most thirteen times."""
    seen = timeline(thirteen_weeks, table)
    names = [*oracle.OWN[table], "image_arn"]
    assert len(seen) == len(read_history(thirteen_weeks, table)[["account", "region", *names]].drop_duplicates())
    assert seen["snapshots"].between(1, 13).all()


def test_lists_can_be_counted_by(thirteen_weeks: Path) -> None:
    """A column of lists keeps its dtype."""
    made = trend(thirteen_weeks, "supported_instance_families")
    assert (
        made["supported_instance_families"].dtype == read_history(thirteen_weeks)["supported_instance_families"].dtype
    )
    assert (
        made.groupby("snapshot")["count"].sum().to_list()
        == read_history(thirteen_weeks).groupby("snapshot").size().to_list()
    )


def test_the_weeks_have_no_gap(thirteen_weeks: Path) -> None:
    """Thirteen complete drains: every image is counted."""
    made = trend(thirteen_weeks, ["state", "visibility"])
    sizes = read_history(thirteen_weeks).groupby("snapshot").size()
    assert made["complete"].all()
    assert made.groupby("snapshot")["count"].sum().to_list() == sizes.to_list()
