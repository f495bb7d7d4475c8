"""Many snapshots read as one frame: which of them, which columns, and what was added to the model over time."""

from __future__ import annotations

import ast
import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.worlds import World, frames_of, moment, one, written

import appstream_frames as asf
from appstream_frames.history import scan
from appstream_frames.history.timelines import read_history, timeline, trend
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.frames import Frames

TABLES = ("images", "applications", "errors", "coverage")


@pytest.mark.parametrize("table", TABLES)
def test_a_range_without_snapshots_has_all_types(root: Path, table: str) -> None:
    """No snapshot in it is a frame without rows."""
    written(root, one())
    pd.testing.assert_frame_equal(read_history(root, table, until="1999-12-31"), make_empty(table))


def test_a_misspelt_column_is_explained(root: Path) -> None:
    """The message names what is near."""
    written(root, one())
    with pytest.raises(asf.RequestError, match=r"images has no column 'stat'. Did you mean state"):
        read_history(root, columns=["stat"])


def test_a_misspelt_column_reads_no_table(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the commit records alone."""
    written(root, one())
    monkeypatch.setattr(scan, "read_columns", pytest.fail)
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


@pytest.mark.slow
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
    with pytest.warns(UserWarning, match=path.name):
        assert len(read_history(root)) == 1


def test_a_damaged_snapshot_is_left_out_by_name(root: Path) -> None:
    """One manifest that cannot be read does not stop the others, and no snapshot at all is an error."""
    asf.write_snapshot(frames_of(one()).relabel(moment(9)), root)
    written(root, one())
    first, last = sorted((root / "coverage").iterdir())
    last.write_bytes(b"damaged")
    for read in (asf.timeline, asf.read_history, lambda root: asf.trend(root, by="state")):
        with pytest.warns(UserWarning, match=f"One snapshot is left out: .*{last.name}"):
            assert len(read(root)) == 1
    first.write_bytes(b"damaged")
    with pytest.raises(asf.SnapshotCorruptError, match=first.name):
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
    with pytest.raises(asf.RequestError, match=r"(Choose one of:|The tables are) images, applications, errors"):
        call(root)


@pytest.mark.parametrize("room", ["identity", "scan", "changes", "timelines"])
def test_these_rooms_do_no_io(room: str) -> None:
    """They read through `archive`, open nothing themselves, and know nothing of AWS; `os` only names a type."""
    tree = ast.parse((Path(asf.__file__).parent / "history" / f"{room}.py").read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    taken = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"
    }
    assert not names & {"io", "pathlib", "shutil", "socket", "tempfile", "boto3", "botocore", "pyarrow.parquet"}
    assert taken <= {"PathLike"}
    assert "open" not in called
