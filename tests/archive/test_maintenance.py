"""Verify finds every damage and every leftover, and repair removes leftovers only."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import run
from support.marks import Tally
from support.seaweed import Seaweed
from torture.repairs import repair_in_bucket, repair_one

import appstream_frames as asf
from appstream_frames.archive.maintenance import Inventory, find_problems
from appstream_frames.archive.manifest import read_manifest
from appstream_frames.archive.reader import read_columns, read_table
from appstream_frames.archive.roots import open_store

TABLES = ("applications", "errors", "images", "coverage")
OTHER = "20260101T000000.000000Z-abcdef"  # of no snapshot
Later = Callable[[float], None]


@pytest.fixture
def name(frames: asf.Frames, root: Path) -> str:
    """Return the id of a snapshot under the root."""
    return asf.write_snapshot(frames, root)


def orphan(root: Path, folder: str = "images") -> Path:
    path = root / folder / f"{OTHER}.parquet"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"half")
    return path


def repair(root: Path | str) -> int:
    """Repair without being asked, and return the exit code."""
    return run("verify", str(root), "--repair", "--yes").returncode


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_whole_archive_has_no_problems(name: str, root: Path) -> None:
    """What was written and left alone verifies."""
    assert asf.verify(root).empty


def test_a_file_that_goes_while_verify_looks_is_missing(name: str, root: Path) -> None:
    """A copy that replaces the archive, or a lifecycle rule, may remove what was just listed."""
    inventory = Inventory.of(root)
    (root / "images" / f"{name}.parquet").unlink()
    assert find_problems(inventory)["problem"].to_list() == ["missing"]


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_flipped_bit_is_found(name: str, root: Path, table: str) -> None:
    """Any bit of any file: 50 flips each."""
    path = root / table / f"{name}.parquet"
    good = path.read_bytes()
    seen = random.Random(7)
    for _ in range(50):
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


def test_columns_read_alone_are_validated(name: str, root: Path) -> None:
    """Reading three columns of a damaged file never gives other values: 100 flips."""
    store, columns = open_store(root), ["account", "metadata", "platforms"]
    manifest = read_manifest(store, name)
    truth = read_columns(store, manifest, "applications", columns)
    path, seen = root / "applications" / f"{name}.parquet", random.Random(7)
    good = path.read_bytes()
    for _ in range(100):
        bad = bytearray(good)
        bad[seen.randrange(len(bad))] ^= 1 << seen.randrange(8)
        path.write_bytes(bad)
        try:
            assert read_columns(store, manifest, "applications", columns).equals(truth)
        except asf.SnapshotCorruptError:
            continue


def test_columns_read_alone_are_those_of_the_whole_file(name: str, root: Path) -> None:
    """A part equals the same part of the whole."""
    store = open_store(root)
    manifest = read_manifest(store, name)
    whole = read_table(store, manifest, "images")
    for column in whole.schema.names:
        assert read_columns(store, manifest, "images", [column]).equals(whole.select([column]))


@pytest.mark.parametrize("columns", [["a"], ["a.b"], ["a.b.element"], ["a.b", "a"]])
def test_columns_may_have_dots_in_their_names(frames: asf.Frames, root: Path, columns: list[str]) -> None:
    """A column of the user's is written, and read alone, whatever its name looks like beside the others."""
    added = {"a": "one", "a.b": "two", "a.b.element": "three"}
    mine = asf.Frames({**frames.tables, "images": frames.images.assign(**added)})
    asf.write_snapshot(mine, root)
    read = asf.read_history(root, "images", columns=columns)[columns]
    assert read.drop_duplicates().to_numpy().tolist() == [[added[column] for column in columns]]


def test_an_orphan_is_named(name: str, root: Path) -> None:
    """A file without a manifest is what a crash leaves."""
    path = orphan(root)
    assert asf.verify(root)[["file", "problem"]].to_numpy().tolist() == [[str(path), "orphan"]]


def test_a_file_left_aside_is_an_orphan(name: str, root: Path) -> None:
    """What was being staged at a crash is named too."""
    (root / ".staging").mkdir()
    (root / ".staging" / "0123.images.tmp").write_bytes(b"half")
    assert asf.verify(root)["problem"].to_list() == ["orphan"]


@pytest.mark.parametrize("place", ["images/mine.parquet", "mine.parquet", f"{OTHER}.parquet", "images/MINE.PARQUET"])
def test_a_stranger_s_file_among_ours_is_named(name: str, root: Path, place: str) -> None:
    """Other readers take every Parquet file of the folder, or of all folders, so one that is not ours breaks them."""
    path = root / place
    path.write_bytes(b"mine")
    assert asf.verify(root)[["file", "problem"]].to_numpy().tolist() == [[str(path), "foreign"]]


STRANGE: dict[str, Callable[[Path], object]] = {
    "a moment that is none": lambda folder: (folder / "20261399T000000.000000Z-abcdef.parquet").write_bytes(b"?"),
    "a pipe": lambda folder: os.mkfifo(folder / f"{OTHER}.parquet"),
    "a link to nothing": lambda folder: (folder / f"{OTHER}.parquet").symlink_to("nothing"),
    "a link to itself": lambda folder: (folder / f"{OTHER}.parquet").symlink_to(f"{OTHER}.parquet"),
    "a name that is no text": lambda folder: (folder / os.fsdecode(b"\xff.parquet")).write_bytes(b"?"),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("folder", ["coverage", "images"])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_file_stops_nothing(name: str, root: Path, kind: str, folder: str) -> None:
    """What can be no snapshot's file is named, and everything else is listed, read and checked."""
    STRANGE[kind](root / folder)
    assert asf.list_snapshots(root)["id"].to_list() == [name]
    assert len(asf.read_history(root, "images", columns=["name"])) == len(asf.read_snapshot(root).images)
    assert asf.verify(root)["problem"].to_list() == ([] if "link" in kind else ["foreign"])


def test_repair_removes_old_orphans(name: str, root: Path, later: Later) -> None:
    """Older than an hour: no writer works on it; the snapshot stays."""
    path, before = orphan(root), asf.list_snapshots(root)
    later(1.1)
    assert (repair(root), path.exists(), asf.list_snapshots(root).equals(before)) == (0, False, True)


def test_repair_leaves_young_orphans(name: str, root: Path, later: Later) -> None:
    """A writer may be at work on it."""
    path = orphan(root)
    later(0.9)
    assert (repair(root), path.exists()) == (3, True)


def test_a_copy_that_keeps_times_is_young(name: str, root: Path) -> None:
    """The time of the content says nothing: cp -a, rsync -a and mv keep it while they bring a file."""
    path = orphan(root)
    os.utime(path, (time.time() - 99 * 3600,) * 2)
    assert (repair(root), path.exists()) == (3, True)


def test_repair_says_what_it_would_remove(name: str, root: Path, later: Later) -> None:
    """Where nobody can be asked, it lists the files and leaves them."""
    path = orphan(root)
    later(2)
    done = run("verify", str(root), "--repair")
    assert (done.returncode, path.exists()) == (3, True)
    assert str(path) in done.stderr
    assert "run this again with --yes" in done.stderr


def test_repair_leaves_what_a_long_drain_staged(name: str, root: Path, later: Later) -> None:
    """A file in staging may get no row for hours, and is removed after a day only."""
    (root / ".staging").mkdir()
    path = root / ".staging" / "0123.errors.tmp"
    path.write_bytes(b"PAR1")
    later(23)
    assert (repair(root), path.exists()) == (3, True)
    later(2)
    assert (repair(root), path.exists()) == (0, False)


def test_repair_leaves_the_files_of_a_damaged_snapshot(name: str, root: Path, later: Later) -> None:
    """When only the manifest is damaged, the rest may be worth saving."""
    (root / "coverage" / f"{name}.parquet").write_bytes(b"damage")
    before = everything(root)
    later(99)
    assert (repair(root), everything(root)) == (1, before)


def test_repair_leaves_a_snapshot_whose_manifest_was_lost(frames: asf.Frames, root: Path, later: Later) -> None:
    """All of its tables are there: that is more than a crash leaves, and restoring the manifest brings it back."""
    names = [asf.write_snapshot(frames.relabel(moment), root) for moment in ("2026-11-16", "2026-11-23")]
    (root / "coverage" / f"{names[0]}.parquet").unlink()
    before = everything(root)
    later(99)
    assert (repair(root), everything(root)) == (3, before)
    assert asf.verify(root)["detail"].str.contains(f"restore coverage/{names[0]}.parquet").all()


def test_a_snapshot_of_fewer_tables_may_have_lost_its_manifest_too(
    frames: asf.Frames, root: Path, later: Later
) -> None:
    """Beside others of more tables, as where fleets are read on Sundays only."""
    with asf.sandbox() as box:
        asf.take_snapshot(root, box.client(), include=["fleets"], progress=False)
    lost = asf.write_snapshot(frames, root)
    (root / "coverage" / f"{lost}.parquet").unlink()
    before = everything(root)
    later(99)
    assert (repair(root), everything(root)) == (3, before)


def test_repair_follows_no_link(frames: asf.Frames, root: Path, tmp_path: Path, later: Later) -> None:
    """A table's folder that is a link may be another archive's, whose snapshots have their manifests elsewhere."""
    asf.write_snapshot(frames, root)
    shutil.copytree(root, tmp_path / "other")
    asf.write_snapshot(frames.relabel("2026-11-16"), root)
    shutil.rmtree(tmp_path / "other" / "images")
    (tmp_path / "other" / "images").symlink_to(root / "images")
    before = everything(root)
    later(99)
    assert (repair(tmp_path / "other"), everything(root)) == (3, before)


@pytest.mark.parametrize("lost", ["coverage", "images"])
def test_repair_refuses_an_archive_that_is_not_whole(frames: asf.Frames, root: Path, later: Later, lost: str) -> None:
    """Half a copy, or a folder moved aside, is no crash: nothing at all is removed."""
    asf.write_snapshot(frames, root)
    orphan(root, "applications")
    shutil.move(root / lost, root / "aside")
    before = everything(root)
    later(99)
    assert (repair(root), everything(root)) == (1, before)


def test_repair_refuses_a_root_one_level_too_deep(name: str, root: Path, later: Later) -> None:
    """The folder of a table is no archive, and the error says where it is."""
    before = everything(root)
    later(99)
    done = run("verify", str(root / "images"), "--repair", "--yes")
    assert (done.returncode, everything(root)) == (1, before)
    assert "Pass the folder above it" in done.stderr


def test_repair_refuses_a_folder_that_may_not_be_listed(
    name: str, root: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be seen is not taken for what is not there."""
    before, scandir = everything(root), os.scandir

    def refused(path: os.PathLike[str]) -> object:
        if Path(path).name == "coverage":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    later(99)
    monkeypatch.setattr(os, "scandir", refused)
    done = run("verify", str(root), "--repair", "--yes")
    monkeypatch.undo()
    assert (done.returncode, everything(root)) == (1, before)
    assert f"listing {root / 'coverage'}: Permission denied" in done.stderr


def test_repair_leaves_foreign_files(name: str, root: Path, later: Later) -> None:
    """What no writer of ours named is not ours to remove, wherever it lies."""
    mine = ["notes.txt", "images/mine.parquet", f"exports/{OTHER}.parquet", f"{OTHER}.parquet", f"coverage/{OTHER}.txt"]
    for each in mine:
        (root / each).parent.mkdir(exist_ok=True)
        (root / each).write_text("mine")
    later(99)
    repair(root)
    assert [each for each in mine if not (root / each).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 20, 10))
def test_repair_of_random_archives(first: int) -> None:
    """Half copied, moved, unreadable, damaged, too deep, of any age: nothing committed is removed, and nothing of another's."""
    tally = Tally()
    for seed in range(first, first + 10):
        repair_one(seed, tally)
    assert (tally.breaches, tally.counts["repairs"]) == ([], 10)


@pytest.mark.slow
def test_repair_of_random_archives_in_a_bucket(s3_server: Seaweed) -> None:
    """The same of objects."""
    tally = Tally()
    for seed in range(6):
        repair_in_bucket(seed, s3_server, tally)
    assert (tally.breaches, tally.counts["repairs"]) == ([], 6)


@pytest.mark.parametrize("looks", [asf.verify, asf.list_snapshots, asf.read_snapshot, asf.read_history, asf.timeline])
@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_root_without_snapshots_is_an_error(looks: Callable[[Path], object], root: Path, kind: str) -> None:
    """Every function that reads or checks raises an error that names the root."""
    if kind == "empty":
        root.mkdir()
    if kind == "file":
        root.write_text("a file")
    with pytest.raises((asf.SnapshotNotFoundError, asf.RequestError), match="archive"):
        looks(root)


def test_success_says_what_was_checked(name: str, root: Path) -> None:
    """The number of snapshots and files is in the one line."""
    assert run("verify", str(root)).stdout == "1 snapshot, 4 files, all as written.\n"


def test_a_readme_says_what_the_folder_is(name: str, root: Path) -> None:
    """Who finds the folder years later reads one line."""
    assert "Snapshots of Amazon AppStream" in (root / "README.txt").read_text()


@pytest.mark.slow
def test_a_damaged_manifest_stops_neither_report_nor_diff(frames: asf.Frames, root: Path) -> None:
    """They go on with the other snapshots, and standard error names the damaged one."""
    moments = ("2026-11-09", "2026-11-16", "2026-11-23")
    names = [asf.write_snapshot(frames.relabel(moment), root) for moment in moments]
    (root / "coverage" / f"{names[2]}.parquet").write_bytes(b"damage")
    report, diff = run("report", str(root), "-o", "-"), run("diff", str(root))
    assert "16 November 2026" in report.stdout
    assert diff.stdout.startswith(f"{names[0]} → {names[1]}")
    for done in (report, diff):
        assert done.stderr.count(f"{names[2]}.parquet cannot be read") == 1
