"""Snapshots in a folder: whole or not there, equal when read, refused when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.marks import equal

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty, to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import list_tables

TABLES = ("applications", "errors", "images", "coverage")


def record(root: Path, name: str) -> dict[str, Any]:
    metadata = pq.read_metadata(root / "coverage" / f"{name}.parquet").metadata
    return json.loads(metadata[b"appstream_frames"])


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_read_equals_what_was_written(frames: asf.Frames, root: Path) -> None:
    """Values and dtypes come back."""
    asf.write_snapshot(frames, root)
    assert equal(asf.read_snapshot(root), frames)


def test_nothing_is_written_and_read_as_nothing(root: Path) -> None:
    """A complete drain of no images is a snapshot like any other."""
    one = pa.Table.from_pylist(
        [{"operation": "DescribeImages", "status": "complete", "account": "012345678901"}],
        schema=list_tables()["coverage"].schema,
    )
    coverage = to_pandas(one).assign(snapshot=pd.Timestamp("2026-11-23", tz="UTC").as_unit("us"))
    nothing = Frames({**{name: make_empty(name) for name in list_tables()}, "coverage": coverage})
    asf.write_snapshot(nothing, root)
    assert equal(asf.read_snapshot(root), nothing)


def test_the_resume_token_comes_back(box: asf.sandbox, root: Path) -> None:
    """A snapshot of a drain that was cut can be gone on with."""
    frames = asf.drain(box.client(), max_items=2)
    asf.write_snapshot(frames, root)
    assert asf.read_snapshot(root).resume_token == frames.resume_token


def test_the_id_begins_with_the_moment(frames: asf.Frames, root: Path) -> None:
    """Ids sort by time."""
    name = asf.write_snapshot(frames.relabel("2026-11-23T10:15:00.123456"), root)
    assert re.fullmatch(r"20261123T101500\.123456Z-[0-9a-f]{6}", name)


def test_a_moment_of_any_year_is_listed(frames: asf.Frames, root: Path) -> None:
    """A year of three digits is filled up, or nobody would find the snapshot again."""
    name = asf.write_snapshot(frames.relabel("0999-01-01"), root)
    assert asf.list_snapshots(root)["id"].to_list() == [name]


def test_the_layout_is_one_file_a_table(frames: asf.Frames, root: Path) -> None:
    """Nothing lies under the root but the four files, and a README that says what they are."""
    name = asf.write_snapshot(frames, root)
    assert files(root) == sorted(["README.txt", *(f"{table}/{name}.parquet" for table in TABLES)])


def test_the_commit_record_holds_the_hashes_of_the_others(frames: asf.Frames, root: Path) -> None:
    """Rows, bytes and SHA-256 of each file are in the metadata of coverage."""
    name = asf.write_snapshot(frames, root)
    for table, expected in record(root, name)["files"].items():
        content = (root / table / f"{name}.parquet").read_bytes()
        seen = {"rows": len(frames.tables[table]), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert seen.items() <= expected.items()


def test_coverage_is_published_last(frames: asf.Frames, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children come before images, and images before the manifest."""
    order, link = [], os.link
    monkeypatch.setattr(os, "link", lambda source, target: (order.append(target.parent.name), link(source, target)))
    asf.write_snapshot(frames, root)
    assert order == ["applications", "errors", "images", "coverage"]


@pytest.mark.parametrize("fails", TABLES)
def test_a_write_that_fails_leaves_nothing(
    frames: asf.Frames, root: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """An error at any file of the second snapshot leaves the first one alone and no trace of its own."""
    asf.write_snapshot(frames, root)
    before = files(root)
    link = os.link

    def full(source: Path, target: Path) -> None:
        if target.parent.name == fails:
            raise OSError(28, "No space left on device")
        link(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        asf.write_snapshot(frames.relabel("2026-11-23"), root)
    assert files(root) == before


def test_what_cannot_be_cleared_up_hides_no_error(
    frames: asf.Frames, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that goes away while it is written to takes the staged files along; what is said is why the write failed."""

    def replaced(*_: object) -> None:
        root.rename(root.with_name("elsewhere"))
        root.write_text("a file")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "link", replaced)
    with pytest.raises(asf.StorageError, match="Input/output error"):
        asf.write_snapshot(frames, root)


@pytest.mark.parametrize("links", [True, False])
def test_files_are_never_overwritten(
    frames: asf.Frames, root: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A name that is taken is an error, with and without links, and the file that has it stays as it was."""
    link, taken = os.link, []

    def late(source: Path, target: Path) -> None:
        if target.parent.name == "images":
            target.write_text("another's")
            taken.append(target)
        if not links:
            raise PermissionError(1, "Operation not permitted")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(asf.StorageError):
        asf.write_snapshot(frames, root)
    assert [path.read_text() for path in taken] == ["another's"]
    assert files(root) == [str(path.relative_to(root)) for path in taken]


def test_the_newest_is_read_by_default(frames: asf.Frames, root: Path) -> None:
    """Without an id, the newest moment counts and not the last write."""
    asf.write_snapshot(frames.relabel("2026-11-23"), root)
    asf.write_snapshot(frames.relabel("2026-11-16"), root)
    assert asf.read_snapshot(root).snapshot == pd.Timestamp("2026-11-23", tz="UTC")


def test_a_snapshot_is_read_by_its_id(frames: asf.Frames, root: Path) -> None:
    """An id from the list reads that snapshot."""
    name = asf.write_snapshot(frames.relabel("2026-11-16"), root)
    asf.write_snapshot(frames.relabel("2026-11-23"), root)
    assert asf.read_snapshot(root, name).snapshot == pd.Timestamp("2026-11-16", tz="UTC")


def test_the_list_is_oldest_first(frames: asf.Frames, root: Path) -> None:
    """The list sorts by moment and counts rows."""
    for moment in ("2026-11-23", "2026-11-16"):
        asf.write_snapshot(frames.relabel(moment), root)
    listed = asf.list_snapshots(root)
    assert listed["snapshot"].dt.day.to_list() == [16, 23]
    assert listed["images"].to_list() == [len(frames.images)] * 2


def test_an_empty_root_reads_as_not_found(root: Path) -> None:
    """The error says where it looked."""
    with pytest.raises(asf.SnapshotNotFoundError, match="archive"):
        asf.read_snapshot(root)


def test_an_unknown_id_is_not_found(frames: asf.Frames, root: Path) -> None:
    """The error names the ids there are, and is a LookupError."""
    name = asf.write_snapshot(frames, root)
    with pytest.raises(LookupError, match=name):
        asf.read_snapshot(root, "20260101T000000.000000Z-000000")


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "delete", "empty"])
def test_damage_is_refused_by_name(frames: asf.Frames, root: Path, table: str, damage: str) -> None:
    """A changed, cut, grown, missing or empty file is an error that names it, and never data."""
    name = asf.write_snapshot(frames, root)
    path = root / table / f"{name}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    made = {"flip": content, "truncate": content[:-9], "append": path.read_bytes() + b"x", "empty": b""}
    path.unlink() if damage == "delete" else path.write_bytes(made[damage])
    if (table, damage) == ("coverage", "delete"):  # without its manifest the snapshot is not there
        with pytest.raises(asf.SnapshotNotFoundError):
            asf.read_snapshot(root, name)
        return
    with pytest.raises(asf.SnapshotCorruptError, match=re.escape(str(path))):
        asf.read_snapshot(root, name)


def test_files_of_two_snapshots_cannot_be_swapped(frames: asf.Frames, root: Path) -> None:
    """A whole file of another snapshot is not this one's."""
    one, other = (asf.write_snapshot(frames.relabel(moment), root) for moment in ("2026-11-16", "2026-11-23"))
    os.replace(root / "images" / f"{one}.parquet", root / "images" / f"{other}.parquet")
    with pytest.raises(asf.SnapshotCorruptError, match="images"):
        asf.read_snapshot(root, other)


def add_manifest(root: Path, whole: str, metadata: bytes) -> str:
    """Write a manifest beside that of a whole snapshot, with another record, and return its id."""
    made = root / "coverage" / "made.parquet"
    coverage = pq.read_table(root / "coverage" / f"{whole}.parquet")
    pq.write_table(coverage.replace_schema_metadata({b"appstream_frames": metadata}), made)
    name = f"20261123T000000.000000Z-{hashlib.sha256(made.read_bytes()).hexdigest()[:6]}"
    made.rename(made.with_stem(name))
    return name


@pytest.mark.parametrize("metadata", [b"[" * 100_000, b"null", b"{}", b'{"format": 2}', b"\xff"])
def test_a_manifest_with_a_strange_record_is_damaged(frames: asf.Frames, root: Path, metadata: bytes) -> None:
    """Nested deeper than Python follows, or no record at all: refused by name, and the list goes on with the others."""
    whole = asf.write_snapshot(frames, root)
    name = add_manifest(root, whole, metadata)
    with pytest.raises(asf.SnapshotCorruptError, match=f"{name}.parquet cannot be read"):
        asf.read_snapshot(root, name)
    problems = asf.list_snapshots(root).set_index("id")["problem"]
    assert problems[[whole, name]].notna().to_list() == [False, True]


def test_a_snapshot_of_a_newer_version_asks_for_it(frames: asf.Frames, root: Path) -> None:
    """It is no damage: the error says which format it has, and what to do."""
    name = add_manifest(root, asf.write_snapshot(frames, root), b'{"format": 99}')
    with pytest.raises(asf.RequestError, match=f"{name}.parquet has format 99, this version reads up to 2. Upgrade"):
        asf.read_snapshot(root, name)


def test_redacted_columns_are_null_in_the_file(frames: asf.Frames, root: Path) -> None:
    """A redacted column is there, with its type, and holds nothing."""
    name = asf.write_snapshot(frames, root, redact=["launch_parameters"])
    column = pq.read_table(root / "applications" / f"{name}.parquet").column("launch_parameters")
    assert (column.null_count, str(column.type)) == (len(frames.applications), "string")


def test_redaction_is_recorded(frames: asf.Frames, root: Path) -> None:
    """The manifest names the redacted columns."""
    assert record(root, asf.write_snapshot(frames, root, redact=["description"]))["redacted"] == ["description"]


@pytest.mark.parametrize("column", ["launch_params", "account", "image_arn"])
def test_a_wrong_redaction_is_refused_before_any_work(frames: asf.Frames, root: Path, column: str) -> None:
    """A column that is not there, or a key, cannot be redacted, and nothing is written."""
    with pytest.raises(asf.RequestError, match=column):
        asf.write_snapshot(frames, root, redact=[column])
    assert not root.exists()


def test_the_same_frames_are_written_once(frames: asf.Frames, root: Path) -> None:
    """What is there already is not written again, be it as drained or as read; the id is that of before."""
    name = asf.write_snapshot(frames, root)
    assert asf.write_snapshot(frames, root) == name
    assert asf.write_snapshot(asf.read_snapshot(root), root) == name
    assert (len(asf.list_snapshots(root)), len(asf.read_history(root))) == (1, len(frames.images))


@pytest.mark.parametrize("change", ["a value", "redaction", "another moment", "damage"])
def test_other_frames_are_written_beside(frames: asf.Frames, root: Path, change: str) -> None:
    """Frames that differ in a value, in what is redacted or in their moment are another snapshot, and so is what was damaged."""
    name, other, redact = asf.write_snapshot(frames, root), frames, []
    if change == "a value":
        images = frames.images.assign(state=frames.images["state"].where(frames.images.index > 0, "FAILED"))
        other = Frames({**frames.tables, "images": images})
    if change == "redaction":
        redact = ["launch_parameters"]
    if change == "another moment":
        other = frames.relabel("2026-11-23")
    if change == "damage":
        (root / "images" / f"{name}.parquet").write_bytes(b"damage")
    assert asf.write_snapshot(other, root, redact=redact) != name


def test_writing_does_not_change_the_frames(frames: asf.Frames, root: Path) -> None:
    """Redaction is of the files only."""
    before = frames.applications.copy()
    asf.write_snapshot(frames, root, redact=["launch_parameters"])
    pd.testing.assert_frame_equal(frames.applications, before)


def test_a_column_the_file_lacks_is_there_all_null(frames: asf.Frames, root: Path) -> None:
    """A snapshot of an older model reads with the columns of the installed one."""
    older = Frames({**frames.tables, "images": frames.images.drop(columns="description")})
    asf.write_snapshot(older, root)
    assert asf.read_snapshot(root).images["description"].isna().all()


def test_a_column_only_the_file_has_is_kept(frames: asf.Frames, root: Path) -> None:
    """A snapshot of a newer model loses nothing."""
    newer = Frames({**frames.tables, "images": frames.images.assign(colour="red")})
    asf.write_snapshot(newer, root)
    assert set(asf.read_snapshot(root).images["colour"]) == {"red"}


def test_what_is_no_frames_is_refused(root: Path) -> None:
    """A DataFrame in place of Frames is a clear error."""
    with pytest.raises(asf.RequestError, match="DataFrame"):
        asf.write_snapshot(pd.DataFrame(), root)


def test_a_foreign_value_in_a_column_is_refused(frames: asf.Frames, root: Path) -> None:
    """A frame whose column lost its type is not written as something else."""
    broken = Frames({**frames.tables, "images": frames.images.assign(created_time="yesterday")})
    with pytest.raises(asf.RequestError, match="images"):
        asf.write_snapshot(broken, root)


@pytest.mark.parametrize("value", [{}, [{}], {"inner": {}}, pd.DateOffset(months=1), pd.Period("2026-11")], ids=str)
def test_a_column_that_parquet_cannot_hold_is_refused(frames: asf.Frames, root: Path, value: object) -> None:
    """Objects without members, offsets, periods: the error names the frame and the column, and nothing is written."""
    column = pd.Series([value] * len(frames.images))
    odd = Frames({**frames.tables, "images": frames.images.assign(tags=column)})
    with pytest.raises(asf.RequestError, match=r"'images' has the column 'tags' of type .*; make it text"):
        asf.write_snapshot(odd, root)
    assert not root.exists()


@pytest.mark.parametrize("value", [[["a"], None], [{"Key": "k", "Value": ["v"]}]], ids=str)
def test_a_column_of_one_s_own_may_nest(frames: asf.Frames, root: Path, value: list[Any]) -> None:
    """Tags, say: read back as tuples, by the history too; a copy is the same snapshot, and a change is seen."""
    tags = pd.Series([None, *[value] * (len(frames.images) - 1)], dtype=object)
    name = asf.write_snapshot(Frames({**frames.tables, "images": frames.images.assign(tags=tags)}), root)
    read = asf.read_snapshot(root)
    assert [None if row is None else json.loads(json.dumps(row)) for row in read.images["tags"]] == tags.to_list()
    assert asf.read_history(root, columns=["tags"])["tags"].to_list() == read.images["tags"].to_list()
    assert asf.write_snapshot(read, root) == name
    changed = Frames({**read.tables, "images": read.images.assign(tags=[(*(row or ()), value[0]) for row in tags])})
    assert len(asf.diff(read, changed)) == len(tags)
    assert read.plain()["images"]["tags"].notna().sum() == len(tags) - 1


def test_a_number_that_no_file_can_hold_is_refused(frames: asf.Frames, root: Path) -> None:
    """In words, like any value that does not fit."""
    odd = Frames({**frames.tables, "images": frames.images.assign(size=10**30)})
    with pytest.raises(asf.RequestError, match="'images' holds a value that does not fit its column"):
        asf.write_snapshot(odd, root)


def test_frames_without_a_moment_are_refused(frames: asf.Frames, root: Path) -> None:
    """They could not be filed."""
    coverage = frames.coverage.assign(snapshot=pd.NaT)
    with pytest.raises(asf.RequestError, match="no row of coverage with a moment"):
        asf.write_snapshot(Frames({**frames.tables, "coverage": coverage}), root)


def test_duckdb_reads_account_ids_as_text(frames: asf.Frames, root: Path) -> None:
    """A leading zero survives a reader that never heard of us."""
    asf.write_snapshot(frames, root)
    rows = duckdb.sql(f"SELECT DISTINCT account FROM '{root}/images/*.parquet'").fetchall()
    assert rows == [("012345678901",)]
