"""Disks that fill up, and files that are damaged: earlier snapshots unharmed, and damage never read as data."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.marks import TABLES, Tally, in_child, leftovers, marked, mixed

import appstream_frames as asf


def after_full(root: str | Path, before: int, error: OSError | None) -> list[str]:
    """Return what is wrong with an archive after a write that met a full disk, or did not."""
    made = asf.list_snapshots(root)["id"].to_list()
    wrong = [] if len(made) == before + (error is None) else [f"{len(made)} snapshots, {before} before, {error!r}"]
    wrong += [] if asf.verify(root).empty else [asf.verify(root).to_string()]
    return wrong + leftovers(root) + [breach for name in made if (breach := mixed(asf.read_snapshot(root, name)))]


def fill_files(root: str, step: int) -> dict[str, Any]:
    """Write with a limit on the size of a file, raised by `step` until the write succeeds."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asf.write_snapshot(marked("before"), root)
    frames, wrong, refused = marked("large", images=26, padding=1500), [], []
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in range(0, 10_000_000, step):
        error = None
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            asf.write_snapshot(frames, root)
        except OSError as caught:
            error = caught
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        wrong += after_full(root, 1, error)
        if error is None:
            break
        wrong += [] if isinstance(error, asf.StorageError) else [repr(error)]
        refused.append(os.strerror(error.errno or 0) if error.errno else repr(error))
    return {"refused": len(refused), "errors": sorted(set(refused)), "wrong": wrong}


@contextmanager
def small_disk(kilobytes: int) -> Iterator[Path]:
    """Mount a small file system in memory; PermissionError where that is not allowed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
        try:
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PermissionError("mounting a small file system is not allowed here") from error
        try:
            yield Path(folder)
        finally:
            subprocess.run([shutil.which("umount"), folder], check=True)


def fill_disk(disk: Path, step: int) -> dict[str, Any]:
    """Write on a disk with less room than needed, `step` more each time until the write succeeds."""
    root, filler, page = disk / "archive", disk / "filler", 4096
    asf.write_snapshot(marked("before"), root)
    frames, wrong, refused = marked("large", images=20, padding=1500), [], []
    for room in range(0, 10_000_000, step):
        filler.unlink(missing_ok=True)
        status = os.statvfs(disk)
        filler.write_bytes(b"\0" * max(0, (status.f_bavail * status.f_frsize - room) // page * page))
        error = None
        try:
            asf.write_snapshot(frames, root)
        except OSError as caught:
            error = caught
        wrong += after_full(root, 1, error)
        if error is None:
            break
        refused.append(os.strerror(error.errno or 0) if error.errno else repr(error))
    return {"refused": len(refused), "errors": sorted(set(refused)), "wrong": wrong}


def full(scale: float) -> Tally:
    """Fill the disk, by limits on a file's size and by a small disk."""
    tally = Tally()
    step = max(512, int(4096 * min(1, 0.25 / scale)) // 512 * 512) if scale else 4096
    with tempfile.TemporaryDirectory() as root:
        report(tally, "limits", in_child("fill_files", root, step))
    try:
        with small_disk(4096) as disk:
            report(tally, "disks", fill_disk(disk, max(step, 4096)))
    except PermissionError:
        tally.count("disks skipped")
    return tally


def report(tally: Tally, what: str, seen: dict[str, Any]) -> None:
    """Add what `fill_files` or `fill_disk` found."""
    tally.count(what, seen["refused"])
    tally.breaches += [breach for breach in seen["wrong"] if breach]
    tally.hold(set(seen["errors"]) <= {"File too large", "No space left on device"}, f"{seen['errors']}")


def damage(root: Path, cases: int, seed: int = 7) -> Tally:
    """Damage one file at a time, and see whether readers and verify notice."""
    chance, tally = random.Random(seed), Tally()
    names = [asf.write_snapshot(marked(f"whole-{number}", images=3 + number), root) for number in range(3)]
    for _ in range(cases):
        name, other = chance.sample(names, 2)
        table, kind = chance.choice(TABLES), chance.choice(list(KINDS))
        path, source = (root / table / f"{each}.parquet" for each in (name, other))
        good = path.read_bytes()
        KINDS[kind](path, source.read_bytes(), chance)
        tally.count(kind)
        try:
            asf.read_snapshot(root, name)
            tally.breaches.append(f"{kind} of {table}: read silently")
        except (asf.SnapshotCorruptError, asf.SnapshotNotFoundError):
            pass
        tally.hold(not asf.verify(root).empty, f"{kind} of {table}: unnoticed by verify")
        path.write_bytes(good)
    tally.hold(asf.verify(root).empty, "not whole after all")
    return tally


def _flip(path: Path, _: bytes, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _truncate(path: Path, _: bytes, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def _append(path: Path, _: bytes, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 50)))


KINDS: dict[str, Callable[[Path, bytes, random.Random], object]] = {
    "flip": _flip,
    "truncate": _truncate,
    "append": _append,
    "swap": lambda path, other, _: path.write_bytes(other),
    "delete": lambda path, *_: path.unlink(),
}


def damaged(scale: float) -> Tally:
    """Damage files."""
    with tempfile.TemporaryDirectory() as root:
        return damage(Path(root), max(1, round(5000 * scale)))
