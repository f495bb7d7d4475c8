"""Archives that earlier versions wrote: this one reads every one of them, to the last value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from golden import make_golden
from support import readers_archive

import appstream_frames as asf
from appstream_frames.archive.manifest import FORMAT
from appstream_frames.history import timelines
from appstream_frames.tables.conversion import make_empty

GOLDEN = Path(__file__).parents[1] / "golden"
ROOTS = sorted(GOLDEN.glob("v*"))
EXPECTED = {root.name: json.loads((root / "expected.json").read_text("utf-8"))["snapshots"] for root in ROOTS}
SNAPSHOTS = [(root, one["listed"]["id"]) for root in ROOTS for one in EXPECTED[root.name]]
DERIVED = ("operation", "rows", "redacted")  # of coverage, from what it had when only images were read
LARGEST = 250_000  # bytes of one golden archive

each_root = pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
each_snapshot = pytest.mark.parametrize(("root", "name"), SNAPSHOTS)


def expected(root: Path, name: str) -> dict[str, Any]:
    return next(one["tables"] for one in EXPECTED[root.name] if one["listed"]["id"] == name)


def newest(root: Path) -> str:
    return EXPECTED[root.name][-1]["listed"]["id"]


def rows(frame: Any) -> list[dict[str, Any]]:
    return readers_archive.rows(pa.Table.from_pandas(frame, preserve_index=False))


@each_snapshot
def test_every_value_is_read(root: Path, name: str) -> None:
    """Each table of each snapshot has the rows that were written, in order, with every value of every column."""
    read = asf.read_snapshot(root, name)
    for table, wanted in expected(root, name).items():
        full = [{column: row.get(column) for column in wanted["columns"]} for row in wanted["rows"]]
        assert rows(read.tables[table][wanted["columns"]]) == full


@each_snapshot
def test_columns_learnt_since_are_null(root: Path, name: str) -> None:
    """A column that the snapshot does not hold is there, with nothing in it."""
    read = asf.read_snapshot(root, name)
    for table, wanted in expected(root, name).items():
        learnt = read.tables[table].drop(columns=wanted["columns"])
        assert learnt.drop(columns=list(DERIVED), errors="ignore").isna().all(axis=None)


@pytest.mark.parametrize(("root", "name"), [each for each in SNAPSHOTS if each[0].name == "v1"])
def test_coverage_of_one_operation_is_that_of_images(root: Path, name: str) -> None:
    """What was written when only images were read says so, and counts them."""
    coverage = asf.read_snapshot(root, name).coverage
    assert set(coverage["operation"]) == {"DescribeImages"}
    assert coverage["rows"].sum() == len(asf.read_snapshot(root, name).images)


@each_snapshot
def test_types_are_those_of_today(root: Path, name: str) -> None:
    """What was written long ago has the dtypes that a drain of today has."""
    read = asf.read_snapshot(root, name)
    for table, frame in read.tables.items():
        assert frame.dtypes[make_empty(table).columns].equals(make_empty(table).dtypes)


@each_root
def test_the_newest_is_read_by_default(root: Path) -> None:
    """Ids still sort by time."""
    assert rows(asf.read_snapshot(root).coverage) == rows(asf.read_snapshot(root, newest(root)).coverage)


@each_root
def test_the_list_is_the_same(root: Path) -> None:
    """Ids, moments and counts are those of the day of writing."""
    wanted = [one["listed"] for one in EXPECTED[root.name]]
    assert rows(asf.list_snapshots(root)[list(wanted[0])]) == wanted


@each_root
def test_every_file_is_whole(root: Path) -> None:
    """Nobody touched the golden files, and their hashes are still understood."""
    assert asf.verify(root).empty


@each_root
def test_the_history_is_read(root: Path) -> None:
    """Reading columns alone works on it too, and both snapshots are in it."""
    read = timelines.read_history(root, "applications", columns=["metadata"])
    wanted = [row.get("metadata") for one in EXPECTED[root.name] for row in one["tables"]["applications"]["rows"]]
    assert [row["metadata"] for row in rows(read)] == wanted


def test_the_golden_archive_has_what_is_easily_lost() -> None:
    """Two targets, a limited one, a map with a null value, `unmodeled`, a column of nulls, one redacted, and an older model."""
    older, newer = EXPECTED["v1"]
    assert (newer["listed"]["targets"], newer["listed"]["complete"]) == (2, 1)
    values = newer["tables"]["applications"]["rows"]
    assert [["WORKING_DIRECTORY", None]] in [row.get("metadata") for row in values]
    assert [row["unmodeled"] for row in newer["tables"]["images"]["rows"] if "unmodeled" in row]
    assert not any("description" in row for row in newer["tables"]["images"]["rows"])
    assert "launch_parameters" in older["tables"]["applications"]["rows"][0]
    assert not any("launch_parameters" in row for row in values)
    assert "image_type" not in older["tables"]["images"]["columns"]


def test_a_redacted_value_is_in_no_file() -> None:
    """The redacted snapshot's file holds nothing in that column, and the other one's does."""
    files = sorted((GOLDEN / "v1" / "applications").iterdir())
    columns = [pq.read_table(path)["launch_parameters"] for path in files]
    assert [column.null_count for column in columns] == [0, len(columns[1])]


@each_root
def test_the_golden_archive_is_small(root: Path) -> None:
    """It stays in the repository for ever."""
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= LARGEST


def test_every_format_has_a_golden_archive() -> None:
    """Whoever changes the format makes a new one, and the old ones stay."""
    assert [root.name for root in ROOTS] == [f"v{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.newest  # the script wants the newest model
def test_a_golden_archive_is_not_overwritten(tmp_path: Path) -> None:
    """Making it again takes a deliberate word."""
    make_golden.main([], tmp_path)
    with pytest.raises(SystemExit, match="--force"):
        make_golden.main([], tmp_path)


@pytest.mark.newest
def test_what_the_script_writes_is_read(tmp_path: Path) -> None:
    """Written anew by this version, an archive has the rows that the script says."""
    make_golden.main([], tmp_path)
    root = tmp_path / f"v{FORMAT}"
    made = json.loads((root / "expected.json").read_text("utf-8"))["snapshots"]
    for one in made:
        read = asf.read_snapshot(root, one["listed"]["id"])
        for table, wanted in one["tables"].items():
            full = [{column: row.get(column) for column in wanted["columns"]} for row in wanted["rows"]]
            assert rows(read.tables[table][wanted["columns"]]) == full
