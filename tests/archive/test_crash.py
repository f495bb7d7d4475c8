"""Crashes, full disks, interruptions and damage: a reader sees the old state or the new one, and never a mixture."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command import run
from support.marks import TABLES, Tally, in_child, leftovers, marked, mixed
from support.powercut import Disk
from torture.disks import damage, fill_disk, small_disk
from torture.writers import inspect

import appstream_frames as asf

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1]


def states(root: Path) -> list[str]:
    """Return the marks of the snapshots that a reader sees, each one read whole."""
    try:
        names = asf.list_snapshots(root)["id"]
    except asf.SnapshotNotFoundError:
        return []
    seen = [asf.read_snapshot(root, name) for name in names]
    assert [mixed(frames) for frames in seen] == [""] * len(seen)
    return [frames.images["name"].iloc[0] for frames in seen]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return an archive whose writers were killed fifteen times, and what they had acknowledged; to read, or to copy."""
    root = tmp_path_factory.mktemp("killed")
    return root, in_child("kill_writers", root, 15)


def test_killed_writers_leave_whole_snapshots(killed: tuple[Path, dict[str, str]]) -> None:
    """Fifteen kills: none torn, mixed or unreadable, none acknowledged and lost, and only orphans are left."""
    tally = Tally()
    inspect(*killed, tally)
    assert tally.breaches == []
    assert tally.counts["acknowledged"] > 1


def test_what_killed_writers_left_is_repaired(
    killed: tuple[Path, dict[str, str]], root: Path, later: Callable[[float], None]
) -> None:
    """Repair removes what crashed writers left behind, and nothing else."""
    shutil.copytree(killed[0], root)
    before = states(root)
    later(25)
    assert run("verify", str(root), "--repair", "--yes").returncode == 0
    assert (leftovers(root), states(root)) == ([], before)


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """At every 4 KiB of a write: a clear OSError, no file half written, the earlier snapshot unharmed."""
    seen = in_child("fill_files", tmp_path, 4096)
    assert (seen["wrong"], seen["errors"]) == ([], ["File too large"])
    assert seen["refused"] > 10


def test_a_disk_that_is_full() -> None:
    """With every 4 KiB of room too few: the same."""
    try:
        with small_disk(2048) as disk:
            seen = fill_disk(disk, 4096)
    except PermissionError as error:
        pytest.skip(str(error))
    assert (seen["wrong"], seen["errors"]) == ([], ["No space left on device"])
    assert seen["refused"] > 10


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Call, after every change to the disk, what is in the list."""
    after: list[object] = []

    def watched(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            result = real(*args, **kwargs)
            for each in after:
                each(name, *args)
            return result

        monkeypatch.setattr(os, name, call)

    for name in ("link", "unlink", "mkdir", "rmdir", "rename", "replace", "fsync"):
        watched(name)
    yield after
    after.clear()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the paths of open files are read from /proc")
@pytest.mark.parametrize("before", [[], ["old"]], ids=["first", "second"])
def test_a_power_cut_at_any_step(tmp_path: Path, steps: list[object], before: list[str]) -> None:
    """Whatever was not flushed may be lost: readers see the old state or the new, and the new one once it is acknowledged."""
    base, chance = tmp_path / "disk", random.Random(7)
    base.mkdir()
    root, trees, known = base / "deep" / "archive", [], {}
    for mark in before:
        asf.write_snapshot(marked(mark), root)
    disk = Disk(base)

    def cut(call: str, *args: object) -> None:
        if call == "fsync":
            disk.flushed(args[0])
        later = steps.copy()
        steps.clear()
        for likely in (0.0, 1.0, 0.5, 0.5):
            tree = disk.crashed(tmp_path / "crashed", chance, likely)
            files = tuple((path, path.is_file() and path.read_bytes()) for path in sorted(tree.rglob("*")))
            if files not in known:  # many cuts leave the same
                known[files] = states(tree / "deep" / "archive")
            trees.append((call, likely, known[files]))
        steps.extend(later)

    frames = marked("new")
    steps.append(cut)
    asf.write_snapshot(frames, root)
    steps.clear()
    assert {tuple(seen) for _, _, seen in trees} == {tuple(before), (*before, "new")}
    assert states(disk.crashed(tmp_path / "crashed", chance, 0.0) / "deep" / "archive") == [*before, "new"]


def test_the_order_of_system_calls(tmp_path: Path) -> None:
    """Each file is flushed, then linked, then its folder flushed; children before images before coverage."""
    if not (strace := shutil.which("strace")):
        pytest.skip("strace is not installed")
    log, root = tmp_path / "calls", tmp_path / "archive"
    program = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); from support import marks; import appstream_frames as asf; "
    )
    program += f"asf.write_snapshot(marks.marked('traced'), {str(root)!r})"
    calls = "trace=fsync,fdatasync,link,linkat,rename,renameat,renameat2,write,pwrite64"
    done = subprocess.run(
        [strace, "-f", "-y", "-o", log, "-e", calls, sys.executable, "-c", program], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"strace may not trace here: {done.stderr[-200:]!r}")
    seen = re.findall(
        rf"(fsync|write|link)\w*\((?:\d+<|AT_FDCWD[^,]*, |)\"?{root}/?([^\">]*)", log.read_text(errors="replace")
    )
    calls_of = [(call, re.sub(r"\.staging/\w+\.(\w+)\.tmp", r"\1.tmp", path).split("/")[0]) for call, path in seen]
    ordered = [(call, path) for call, path in calls_of if call != "write" and path not in ("", "README.txt")]
    staged = {("fsync", f"{table}.tmp") for table in TABLES}
    linked = [step for table in TABLES for step in [("link", f"{table}.tmp"), ("fsync", table)]]
    assert (set(ordered[:4]), ordered[4:]) == (staged, linked)
    for table in TABLES:
        assert calls_of.index(("fsync", f"{table}.tmp")) > max(
            number for number, step in enumerate(calls_of) if step == ("write", f"{table}.tmp")
        )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupted_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, moment: str) -> None:
    """Ctrl-C at either side of any file's link leaves the earlier snapshot and no trace of the new one."""
    asf.write_snapshot(marked("old"), tmp_path)
    link = os.link

    def interrupted(source: Path, target: Path) -> None:
        if target.parent.name == table and moment == "before":
            raise KeyboardInterrupt
        link(source, target)
        if target.parent.name == table:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asf.write_snapshot(marked("new"), tmp_path)
    assert (states(tmp_path), leftovers(tmp_path), asf.verify(tmp_path).empty) == (["old"], [], True)


def test_a_flush_that_fails_after_the_commit_record_was_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is taken back before the files it refers to; when that cannot be made safe they stay."""
    asf.write_snapshot(marked("old"), tmp_path)
    real = os.open

    def fails(path: os.PathLike[str], *arguments: int) -> int:
        if Path(path).name == "coverage":
            raise OSError(5, "Input/output error")
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(OSError, match="Input/output"):
        asf.write_snapshot(marked("new"), tmp_path)
    assert (states(tmp_path), set(asf.verify(tmp_path)["problem"])) == (["old"], {"orphan"})


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Where there are no links, files are renamed, and an interruption is taken back there too; Windows says EINVAL."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    asf.write_snapshot(marked("old"), tmp_path)
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        if target.parent.name == "coverage":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asf.write_snapshot(marked("new"), tmp_path)
    assert (states(tmp_path), leftovers(tmp_path)) == (["old"], [])


def test_eight_writers_of_one_root(tmp_path: Path) -> None:
    """Eight processes × 2 snapshots: all are listed, all verify, and verify finds nothing meanwhile."""
    made = in_child("write_side_by_side", tmp_path, 8, 2)
    assert len(set(made)) == 16
    assert set(made) < set(asf.list_snapshots(tmp_path)["id"])
    assert asf.verify(tmp_path).empty
    assert leftovers(tmp_path) == []


def test_a_staging_folder_that_another_writer_tidies_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making the folder and opening a file in it, another writer may have removed it as empty."""
    mkdir, removed = os.mkdir, []

    def tidied(path: os.PathLike[str], *mode: int) -> None:
        mkdir(path, *mode)
        if Path(path).name == ".staging" and len(removed) < 3:
            removed.append(os.rmdir(path))

    monkeypatch.setattr(os, "mkdir", tidied)
    asf.write_snapshot(marked("new"), tmp_path)
    assert (states(tmp_path), len(removed)) == (["new"], 3)


def test_a_commit_while_verify_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot committed between the two looks of verify is neither missing nor an orphan."""
    asf.write_snapshot(marked("old"), tmp_path)
    scandir, written = os.scandir, []

    def late(folder: Path) -> object:
        if folder.name == "images" and not written:
            written.append(asf.write_snapshot(marked("new"), tmp_path))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", late)
    assert (asf.verify(tmp_path).empty, len(written)) == (True, 1)


@pytest.mark.parametrize("lost", ["applications", "images"])
def test_a_writer_whose_files_are_taken_away_commits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """It looks at its files once more before the manifest, and says which one is gone."""
    asf.write_snapshot(marked("old"), tmp_path)
    link, moved = os.link, []

    def taken(source: Path, target: Path) -> None:
        link(source, target)
        if target.parent.name == "images":
            moved.extend(shutil.move(path, tmp_path / "aside") for path in (tmp_path / lost).glob(target.name))

    monkeypatch.setattr(os, "link", taken)
    with pytest.raises(asf.StorageError, match=rf"{lost}/\S+ was moved, changed or removed .* Nothing was committed"):
        asf.write_snapshot(marked("new"), tmp_path)
    assert (states(tmp_path), len(moved)) == (["old"], 1)


def test_a_system_that_opens_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to open a folder to flush it; snapshots are written there without."""
    real = os.open

    def refused(path: os.PathLike[str], *arguments: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", refused)
    asf.write_snapshot(marked("new"), tmp_path / "deep" / "archive")
    assert states(tmp_path / "deep" / "archive") == ["new"]


def test_damage_is_never_read_nor_overlooked(tmp_path: Path) -> None:
    """Sixty flips, cuts, additions, swaps and deletions over all tables: refused by the reader, named by verify."""
    tally = damage(tmp_path, 60)
    assert (tally.breaches, sum(tally.counts.values())) == ([], 60)
