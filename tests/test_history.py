"""Many snapshots: read as one frame, when each thing came and went, and counts over time."""

from __future__ import annotations

import ast
import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import CREATED, START, World, frames_of, one, series

import appstream_frames as asf
from appstream_frames import archive, model
from appstream_frames import frames as arrow
from appstream_frames.frames import Frames
from appstream_frames.history import read_history, timeline, trend

TABLES = ("images", "applications", "errors", "coverage")
KEYS = ["snapshot", "account", "region"]
few = settings(max_examples=25, deadline=None)


def moment(week: int) -> dt.datetime:
    return START + dt.timedelta(weeks=week)


def at(week: int, world: World) -> World:
    """Return a snapshot's rows as of another week."""
    return {name: [row | {"snapshot": moment(week)} for row in rows] for name, rows in world.items()}


def written(root: Path, *worlds: World) -> Path:
    """Write one snapshot a week."""
    for week, world in enumerate(worlds):
        asf.write_snapshot(frames_of(world).relabel(moment(week)), root)
    return root


def named(name: str, **members: Any) -> dict[str, Any]:
    """Return the row of an image of the one target."""
    arn = f"arn:aws:appstream:eu-west-1:012345678901:image/{name}"
    return one()["images"][0] | {"name": name, "arn": arn} | members


def with_status(world: World, status: str = "denied", **members: Any) -> World:
    """Return a snapshot whose target was not read whole, or was asked something else."""
    return world | {"coverage": [row | {"status": status} | members for row in world["coverage"]]}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of the sandbox's thirteen weeks, everything that its first target sees."""
    root = tmp_path_factory.mktemp("weeks")
    with asf.sandbox() as box:
        dates = box.weeks
    for week in dates:
        with asf.sandbox(at=week) as box:
            asf.write_snapshot(asf.drain(box.client()).relabel(week), root)
    return root


@pytest.mark.parametrize("table", TABLES)
def test_all_of_an_archive_is_what_its_snapshots_hold(weeks: Path, table: str) -> None:
    """Every row of every snapshot, oldest first, all columns."""
    whole = pd.concat([asf.read_snapshot(weeks, name).tables[table] for name in asf.list_snapshots(weeks)["id"]])
    pd.testing.assert_frame_equal(read_history(weeks, table), whole.reset_index(drop=True))


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_the_same(weeks: Path, table: str) -> None:
    """DuckDB's `union_by_name` over the same files gives the same rows."""
    paths = [str(weeks / table / f"{name}.parquet") for name in asf.list_snapshots(weeks)["id"]]
    columns = [column for column in model.tables()[table].schema.names if column != "metadata"]
    reader = duckdb.connect().execute("SET TimeZone = 'UTC'").read_parquet(paths, union_by_name=True)
    seen = reader.project(", ".join(columns)).to_arrow_table()
    assert seen.to_pylist() == arrow.to_arrow(read_history(weeks, table)[columns], table).to_pylist()


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_archive_has_all_types(root: Path, table: str) -> None:
    """No snapshot is a frame without rows."""
    pd.testing.assert_frame_equal(read_history(root, table), arrow.empty(table))


def test_keys_come_first(weeks: Path) -> None:
    """Whatever columns are asked for, a row says where it is from."""
    assert list(read_history(weeks, columns=["state", "region"])) == [*KEYS, "state"]


def test_types_are_those_of_the_whole_table(weeks: Path) -> None:
    """Selecting a column does not change its dtype."""
    some = read_history(weeks, columns=["created_time", "supported_instance_families"])
    assert some.dtypes.to_dict() == read_history(weeks).dtypes[some.columns].to_dict()


@pytest.mark.parametrize("empty", [True, False])
def test_a_misspelt_column_is_explained(root: Path, empty: bool) -> None:
    """The message names what is near."""
    if not empty:
        written(root, one())
    with pytest.raises(asf.RequestError, match=r"images has no column 'stat'. Did you mean state"):
        read_history(root, columns=["stat"])


def test_a_misspelt_column_reads_no_table(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the commit records alone."""
    written(root, one())
    monkeypatch.setattr(archive, "proven_columns", pytest.fail)
    with pytest.raises(asf.RequestError):
        read_history(root, columns=["stat"])


def test_only_the_columns_asked_for_are_read(root: Path) -> None:
    """Damage in another column does no harm."""
    name = asf.write_snapshot(frames_of(one(description="a text of its own")).relabel(moment(0)), root)
    path = root / "images" / f"{name}.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(b"a text of its own")] ^= 1
    path.write_bytes(content)
    assert len(read_history(root, columns=["name"])) == 1
    with pytest.raises(asf.SnapshotCorruptError, match=path.name):
        read_history(root, columns=["description"])


@pytest.mark.parametrize(
    ("since", "until", "weeks_read"),
    [
        (None, None, [0, 1, 2]),
        ("2026-09-07", None, [1, 2]),
        (None, "2026-09-07", [0, 1]),
        ("2026-09-07T00:00:00.000001", None, [2]),
        (None, "2026-09-06T23:59:59", [0]),
        (dt.date(2026, 9, 7), dt.date(2026, 9, 7), [1]),
        (dt.datetime(2026, 9, 7), dt.datetime(2026, 9, 14), [1, 2]),
        (pd.Timestamp("2026-09-07T02:00", tz="Europe/Paris"), pd.Timestamp("2026-09-14"), [1, 2]),
        ("2026-09-07T02:00:01+02:00", "2026-09-14T00:00:00Z", [2]),
        ("2027-01-01", None, []),
    ],
)
def test_moments_choose_snapshots(root: Path, since: Any, until: Any, weeks_read: list[int]) -> None:
    """Both ends are included, without a zone they are UTC."""
    written(root, *[one()] * 3)
    assert read_history(root, since=since, until=until)["snapshot"].to_list() == [moment(week) for week in weeks_read]


def test_a_date_is_all_of_its_day(root: Path) -> None:
    """The last microsecond of it too."""
    asf.write_snapshot(frames_of(one()).relabel("2026-09-07T23:59:59.999999"), root)
    assert len(read_history(root, until="2026-09-07")) == 1


@pytest.mark.parametrize("value", ["September", "2026-09", 7, pd.NaT, "", float("nan")])
def test_no_moment_is_explained(root: Path, value: Any) -> None:
    """Only a date or a datetime will do."""
    with pytest.raises(asf.RequestError, match=r"since=.* is no moment; pass a date or a datetime"):
        read_history(root, since=value)


def test_swapped_moments_are_explained(root: Path) -> None:
    """An empty answer would look like an empty archive."""
    with pytest.raises(asf.RequestError, match="is after until"):
        read_history(root, since="2026-09-08", until="2026-09-07")


def test_snapshots_out_of_range_are_not_read(root: Path) -> None:
    """A damaged commit record of another month does no harm."""
    asf.write_snapshot(frames_of(one()).relabel(moment(9)), root)
    written(root, one())
    path = sorted((root / "coverage").iterdir())[-1]
    path.write_bytes(b"damaged")
    assert len(read_history(root, until=moment(1))) == 1
    with pytest.raises(asf.SnapshotCorruptError):
        read_history(root)


def without(world: World, column: str) -> Frames:
    """Return frames as an older boto3 made them."""
    frames = frames_of(world)
    return Frames({**frames.tables, "images": frames.images.drop(columns=[column])})


def test_a_column_that_came_later_is_null_before(root: Path) -> None:
    """Snapshots of two models are one frame, of the newer one's types."""
    asf.write_snapshot(without(one(), "image_shared_with_others").relabel(moment(0)), root)
    asf.write_snapshot(frames_of(one(image_shared_with_others=True)).relabel(moment(1)), root)
    for columns in (None, ["image_shared_with_others"]):
        seen = read_history(root, columns=columns)["image_shared_with_others"]
        assert (str(seen.dtype), seen.to_list()) == ("boolean", [pd.NA, True])


def test_a_column_that_no_model_knows_is_read(root: Path) -> None:
    """A snapshot may have been taken with a newer boto3; its column stands before `unmodeled`."""
    newer = frames_of(one())
    newer = Frames({**newer.tables, "images": newer.images.assign(newer=pd.Series([5], dtype="Int64"))})
    asf.write_snapshot(newer.relabel(moment(1)), written(root, one()))
    whole = read_history(root)
    assert (list(whole)[-2:], whole["newer"].to_list()) == (["newer", "unmodeled"], [pd.NA, 5])
    assert read_history(root, columns=["newer"])["newer"].equals(whole["newer"])


def test_a_column_of_two_types_is_explained(root: Path) -> None:
    """What no type can hold is left to the user to leave out."""
    for week, value in enumerate((5, "five")):
        newer = frames_of(one())
        newer = Frames({**newer.tables, "images": newer.images.assign(newer=[value])})
        asf.write_snapshot(newer.relabel(moment(week)), root)
    with pytest.raises(asf.RequestError, match=r"type changed between snapshots.*Leave it out with columns="):
        read_history(root)
    assert len(read_history(root, columns=["name"])) == 2


def test_a_newer_column_of_a_snapshot_without_rows_is_read(root: Path) -> None:
    """A column is known even when it has no value."""
    newer = frames_of(one() | {"images": []})
    newer = Frames({**newer.tables, "images": newer.images.assign(newer=pd.Series([], dtype="Int64"))})
    asf.write_snapshot(newer.relabel(moment(1)), written(root, one()))
    assert str(read_history(root, columns=["newer"])["newer"].dtype) == "Int64"


def images_of(frame: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """Return the rows of a timeline by what an image is known by, null as None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {(row["account"], row["region"], row["arn"] or row["name"]): row for row in rows}


@few
@given(worlds=series())
def test_a_timeline_is_what_loops_find(worlds: list[World]) -> None:
    """Any few snapshots of any coverage."""
    with tempfile.TemporaryDirectory() as root:
        seen = images_of(timeline(written(Path(root), *worlds)))
    expected = oracle.lives(worlds)
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
    empty, full = timeline(root, table), timeline(written(root, one()), table)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert str(empty["gone_by"].dtype) == "datetime64[us, UTC]"


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


def test_the_weeks_tell_of_a_rebuild(weeks: Path) -> None:
    """callcenter-training was there all the thirteen weeks, in two generations."""
    seen = timeline(weeks).set_index("name").loc["callcenter-training"]
    assert (seen["generations"], seen["snapshots"], pd.isna(seen["gone_by"])) == (2, 13, True)


def test_the_weeks_tell_of_retired_images(weeks: Path) -> None:
    """The nine public images of 30 May 2025 were gone by 12 October 2026, last seen the Monday before."""
    seen = timeline(weeks)
    retired = seen[seen["name"].str.match("AppStream-.*-05-30-2025")]
    assert (len(retired), set(retired["last_seen"]), set(retired["gone_by"])) == (
        9,
        {pd.Timestamp("2026-10-05", tz="UTC")},
        {pd.Timestamp("2026-10-12", tz="UTC")},
    )


def test_the_weeks_tell_of_an_end(weeks: Path) -> None:
    """travel-expense-2023 was DELETING on 9 November and gone by 16 November 2026."""
    seen = timeline(weeks).set_index("name").loc["travel-expense-2023"]
    assert seen["gone_by"] == pd.Timestamp("2026-11-16", tz="UTC")


@pytest.mark.parametrize("table", ["applications", "errors"])
def test_children_have_timelines(weeks: Path, table: str) -> None:
    """One row per thing, seen at most thirteen times."""
    seen = timeline(weeks, table)
    names = [*oracle.OWN[table], "image_arn"]
    assert len(seen) == len(read_history(weeks, table)[["account", "region", *names]].drop_duplicates())
    assert seen["snapshots"].between(1, 13).all()


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
    empty, full = trend(root, "state"), trend(written(root, one()), "state")
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


def test_lists_can_be_counted_by(weeks: Path) -> None:
    """A column of lists keeps its dtype."""
    made = trend(weeks, "supported_instance_families")
    assert made["supported_instance_families"].dtype == read_history(weeks)["supported_instance_families"].dtype
    assert made.groupby("snapshot")["count"].sum().to_list() == read_history(weeks).groupby("snapshot").size().to_list()


def test_the_weeks_have_no_gap(weeks: Path) -> None:
    """Thirteen complete drains: every image is counted."""
    made = trend(weeks, ["state", "visibility"])
    sizes = read_history(weeks).groupby("snapshot").size()
    assert made["complete"].all()
    assert made.groupby("snapshot")["count"].sum().to_list() == sizes.to_list()


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
        trend(root, by)


@pytest.mark.parametrize(
    "call",
    [
        lambda root: timeline(root, "coverage"),
        lambda root: trend(root, "name", "image"),
        lambda root: read_history(root, "x"),
    ],
)
def test_no_table_is_explained(root: Path, call: Any) -> None:
    """The message says which there are."""
    with pytest.raises(asf.RequestError, match="Choose one of: images, applications, errors"):
        call(root)


@pytest.mark.parametrize("room", ["things", "span", "changes", "history"])
def test_these_rooms_do_no_io(room: str) -> None:
    """They read through `archive`, open nothing themselves, and know nothing of AWS; `os` only names a type."""
    tree = ast.parse((Path(asf.__file__).parent / f"{room}.py").read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    taken = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"
    }
    assert not names & {"io", "pathlib", "shutil", "socket", "tempfile", "boto3", "botocore", "pyarrow.parquet"}
    assert taken <= {"PathLike"}
    assert "open" not in called
