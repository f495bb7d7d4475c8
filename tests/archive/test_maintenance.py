"""Verify finds every damage and every leftover, and repair removes leftovers only."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

import appstream_frames as asf
from appstream_frames.archive import maintenance, reader
from appstream_frames.archive.store import open_store

TABLES = ("applications", "errors", "images", "coverage")


@pytest.fixture
def name(frames: asf.Frames, root: Path) -> str:
    """Return the id of a snapshot under the root."""
    return asf.write_snapshot(frames, root)


def aged(path: Path, hours: float) -> Path:
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))
    return path


def orphan(root: Path, hours: float, folder: str = "images") -> Path:
    path = root / folder / "20260101T000000.000000Z-abcdef.parquet"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"half")
    return aged(path, hours)


def test_a_whole_archive_has_no_problems(name: str, root: Path) -> None:
    """What was written and left alone verifies."""
    assert asf.verify(root).empty


@pytest.mark.parametrize("table", TABLES)
def test_every_flipped_bit_is_found(name: str, root: Path, table: str) -> None:
    """Any bit of any file: 400 flips each."""
    path = root / table / f"{name}.parquet"
    good = path.read_bytes()
    seen = random.Random(7)
    for _ in range(400):
        bad = bytearray(good)
        bad[seen.randrange(len(bad))] ^= 1 << seen.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(asf.SnapshotCorruptError):
            asf.read_snapshot(root, name)


@pytest.mark.parametrize("table", TABLES)
def test_damage_is_named(name: str, root: Path, table: str) -> None:
    """The row says which file of which snapshot."""
    path = root / table / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert asf.verify(root)[["id", "file", "problem"]].to_numpy().tolist() == [[name, str(path), "damaged"]]


def test_a_missing_file_is_named(name: str, root: Path) -> None:
    """A committed file that is gone is a problem of its own kind."""
    (root / "errors" / f"{name}.parquet").unlink()
    assert asf.verify(root)["problem"].to_list() == ["missing"]


def test_columns_read_alone_are_proven(name: str, root: Path) -> None:
    """Reading three columns of a damaged file never gives other values: 400 flips."""
    store, columns = open_store(root), ["account", "metadata", "platforms"]
    expected = reader.commit_record(store, name)[1]["files"]["applications"]
    truth = reader.proven_columns(store, "applications", name, expected, columns)
    path, seen = root / "applications" / f"{name}.parquet", random.Random(7)
    good = path.read_bytes()
    for _ in range(400):
        bad = bytearray(good)
        bad[seen.randrange(len(bad))] ^= 1 << seen.randrange(8)
        path.write_bytes(bad)
        try:
            assert reader.proven_columns(store, "applications", name, expected, columns).equals(truth)
        except asf.SnapshotCorruptError:
            continue


def test_columns_read_alone_are_those_of_the_whole_file(name: str, root: Path) -> None:
    """A part equals the same part of the whole."""
    store = open_store(root)
    expected = reader.commit_record(store, name)[1]["files"]["images"]
    whole = reader.proven(store, "images", name, expected)
    for column in whole.schema.names:
        assert reader.proven_columns(store, "images", name, expected, [column]).equals(whole.select([column]))


def test_an_orphan_is_named(name: str, root: Path) -> None:
    """A file without a commit record is what a crash leaves."""
    path = orphan(root, hours=2)
    assert asf.verify(root)[["file", "problem"]].to_numpy().tolist() == [[str(path), "orphan"]]


def test_a_file_left_aside_is_an_orphan(name: str, root: Path) -> None:
    """What was being staged at a crash is named too."""
    (root / ".staging").mkdir()
    (root / ".staging" / "0123.images.tmp").write_bytes(b"half")
    assert asf.verify(root)["problem"].to_list() == ["orphan"]


def test_repair_removes_old_orphans(name: str, root: Path) -> None:
    """Older than an hour: no writer works on it."""
    path = orphan(root, hours=1.1)
    assert (maintenance.repair(root), path.exists()) == ([str(path)], False)


def test_repair_leaves_young_orphans(name: str, root: Path) -> None:
    """A writer may be at work on it."""
    path = orphan(root, hours=0.9)
    assert (maintenance.repair(root), path.exists()) == ([], True)


def test_repair_leaves_the_files_of_a_damaged_snapshot(name: str, root: Path) -> None:
    """When only the commit record is damaged, the rest may be worth saving."""
    record = root / "coverage" / f"{name}.parquet"
    record.write_bytes(b"damage")
    for table in TABLES:
        aged(root / table / f"{name}.parquet", hours=99)
    assert maintenance.repair(root) == []


def test_repair_leaves_foreign_files(name: str, root: Path) -> None:
    """What is no file of ours is none of our business."""
    (root / "notes.txt").write_text("mine")
    aged(root / "notes.txt", hours=99)
    maintenance.repair(root)
    assert (root / "notes.txt").exists()
