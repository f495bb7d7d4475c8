"""The promises of storage and of the fan-out, at length: `python tests/torture.py [--scale 0.05]`.

One line per part; exit code 1 when one is broken.

The shorter versions in `make test` use the same functions. Writers are forked from a warm process and killed for good, disks
fill up, bits flip. Everything happens in temporary folders and on loopback.
"""

# ruff: noqa: T201  a script that prints what it found
from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

import appstream_frames as asf
from appstream_frames import frames as arrow
from appstream_frames import model
from appstream_frames.flatten import Key, flatten
from appstream_frames.frames import Frames

TABLES = ("applications", "errors", "images", "coverage")
#: The column of each table in which `marked` puts its mark.
MARKS = {"images": "name", "applications": "image_name", "errors": "image_name", "coverage": "request"}
ACCOUNT, REGION = "012345678901", "eu-west-1"


def marked(mark: str, images: int = 6, padding: int = 0) -> Frames:
    """Return frames of which every row of every table carries a mark; `padding` makes their files larger."""
    random_text = random.Random(mark)
    key = Key(dt.datetime.now(dt.UTC), ACCOUNT, REGION)
    errors = [{"ErrorCode": "INTERNAL_ERROR", "ErrorMessage": mark, "ErrorTimestamp": 1_750_000_000}]
    made = [
        {
            "Name": mark,
            "Arn": f"arn:aws:appstream:{REGION}:{ACCOUNT}:image/{mark}-{number}",
            "Description": random_text.randbytes(padding).hex(),
            "Applications": [{"Name": f"app-{place}", "Metadata": {"WORKING_DIRECTORY": None}} for place in range(3)],
            "ImageErrors": errors,
        }
        for number in range(images)
    ]
    tables = flatten([json.dumps(image).encode() for image in made], key)
    row = {"snapshot": key.snapshot, "account": ACCOUNT, "region": REGION, "status": "complete", "request": mark}
    tables["coverage"] = pa.Table.from_pylist([row], schema=model.tables()["coverage"].schema)
    return Frames({name: arrow.to_pandas(table) for name, table in tables.items()})


def mixed(frames: Frames) -> str:
    """Return what is wrong with frames that `marked` made: rows missing, or of another mark; nothing when whole."""
    marks = {mark for table, column in MARKS.items() for mark in frames.tables[table][column].unique()}
    counts = [len(frames.tables[table]) for table in MARKS]
    if len(marks) != 1 or counts[1] != 3 * counts[0] or counts[2] != counts[0] or counts[3] != 1 or not counts[0]:
        return f"marks {sorted(marks)}, rows {counts}"
    return ""


@dataclass
class Tally:
    """What a part of the torture found: counts, and every breach in words."""

    counts: dict[str, int] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)

    def count(self, what: str, by: int = 1) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + by

    def hold(self, promise: object, breach: str) -> None:
        """Note a breach unless the promise is kept."""
        if not promise:
            self.breaches.append(breach)


def inspect(root: str | Path, acknowledged: dict[str, str], tally: Tally) -> None:
    """Hold an archive of marked snapshots against what its writers were told."""
    problems = set(asf.verify(root)["problem"])
    tally.hold(problems <= {"orphan"}, f"verify found {problems}")
    listed = asf.list_snapshots(root)["id"].to_list()
    tally.hold(set(acknowledged) <= set(listed), f"acknowledged and lost: {set(acknowledged) - set(listed)}")
    for name in listed:
        try:
            frames = asf.read_snapshot(root, name)
        except asf.AppStreamFramesError as error:
            tally.breaches.append(f"unreadable: {error}")
            continue
        tally.hold(not mixed(frames), f"{name}: {mixed(frames)}")
        tally.hold(frames.images["name"].iloc[0] == acknowledged.get(name, frames.images["name"].iloc[0]), name)
    tally.count("snapshots", len(listed))
    tally.count("acknowledged", len(acknowledged))


def writer(root: str, out: int) -> None:
    """Write marked snapshots for ever, and tell each one that is committed."""
    for number in range(1_000_000):
        mark = f"{os.getpid()}-{number}"
        name = asf.write_snapshot(marked(mark), root)
        os.write(out, f"{name} {mark}\n".encode())


def kill_writers(root: str | Path, kills: int, seed: int = 7) -> dict[str, str]:
    """Fork a writer and kill it at a random moment, again and again; return the acknowledged ids and their marks."""
    chance, acknowledged = random.Random(seed), {}
    asf.write_snapshot(marked("warm"), root)
    for _ in range(kills):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            try:
                writer(str(root), write)
            finally:
                os._exit(1)
        os.close(write)
        ready = chance.random() < 0.5 and select.select([read], [], [], 5)  # from the first snapshot on, or before it
        time.sleep(chance.uniform(0, 0.05 if ready else 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(read, encoding="ascii") as told:
            lines = [line.split() for line in told if line.endswith("\n")]
        acknowledged.update(dict(lines))
    return acknowledged


def killed(scale: float) -> Tally:
    """Kill writers: nothing torn, mixed, lost or unreadable."""
    tally = Tally()
    kills, portion = max(1, round(2000 * scale)), 100
    for start in range(0, kills, portion):
        with tempfile.TemporaryDirectory() as root:
            count = min(portion, kills - start)
            inspect(root, in_child("kill_writers", root, count, start), tally)
            tally.count("kills", count)
            tally.count("orphans", len(asf.verify(root)))
    return tally


def in_child(function: str, *arguments: object) -> Any:
    """Call a function of this module in a fresh process, that of `fork` and limits; return what it returns."""
    command = [sys.executable, "-W", "ignore", __file__, "--call", function, json.dumps(arguments, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout)


def leftovers(root: str | Path) -> list[str]:
    """Return the files under a root that belong to no listed snapshot."""
    names = set(asf.list_snapshots(root)["id"])
    return sorted(
        str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file() and path.stem not in names
    )


def after_full(root: str | Path, before: int, error: OSError | None) -> list[str]:
    """Return what is wrong with an archive after a write that met a full disk, or did not."""
    made = asf.list_snapshots(root)["id"].to_list()
    wrong = [] if len(made) == before + (error is None) else [f"{len(made)} snapshots, {before} before, {error!r}"]
    wrong += [] if asf.verify(root).empty else [asf.verify(root).to_string()]
    return wrong + leftovers(root) + [breach for name in made if (breach := mixed(asf.read_snapshot(root, name)))]


def fill_files(root: str, step: int, how: str) -> dict[str, Any]:
    """Write with a limit on the size of a file, raised by `step` until the write succeeds."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    asf.write_snapshot(marked("before"), root)
    frames, wrong, refused = marked("large", images=40, padding=1500), [], []
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in range(0, 10_000_000, step):
        error = None
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            HOW[how](frames, root)
        except OSError as caught:
            error = caught
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        wrong += after_full(root, 1, error)
        if error is None:
            break
        refused.append(os.strerror(error.errno or 0) if error.errno else repr(error))
    return {"refused": len(refused), "errors": sorted(set(refused)), "wrong": wrong}


def stream(frames: Frames, root: str | Path) -> str:
    """Write frames the way `take_snapshot` does, in several batches."""
    from appstream_frames import snapshots
    from appstream_frames.storage.store import open_store
    from appstream_frames.stream import Stream

    tables = {name: arrow.to_arrow(table, name) for name, table in frames.tables.items()}
    schemas = {name: model.tables()[name].schema for name in ("applications", "errors", "images")}
    store = open_store(root)
    with snapshots._committed(store) as staged:
        with Stream(store, schemas, staged) as made:
            for _ in range(3):  # the same images again and again: the files are written twice
                made.add({name: tables[name] for name in schemas})
            made.finish()
        files = {file.folder: snapshots._recorded(file, made.rows(file.folder)) for file in staged}
        return snapshots._commit(store, frames.snapshot, tables["coverage"], files, [], staged)


HOW: dict[str, Callable[[Frames, str], str]] = {"write": asf.write_snapshot, "stream": stream}


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


def fill_disk(disk: Path, step: int, how: str) -> dict[str, Any]:
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
            HOW[how](frames, root)
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
    for how in HOW:
        with tempfile.TemporaryDirectory() as root:
            report(tally, f"limits ({how})", in_child("fill_files", root, step, how))
        try:
            with small_disk(4096) as disk:
                report(tally, f"disks ({how})", fill_disk(disk, max(step, 4096), how))
        except PermissionError:
            tally.count("disks skipped")
    return tally


def report(tally: Tally, what: str, seen: dict[str, Any]) -> None:
    """Add what `fill_files` or `fill_disk` found."""
    tally.count(what, seen["refused"])
    tally.breaches += [breach for breach in seen["wrong"] if breach]
    tally.hold(set(seen["errors"]) <= {"File too large", "No space left on device"}, f"{seen['errors']}")


def write_some(root: str, first: str, count: int) -> list[str]:
    """Write some marked snapshots, and look at the archive between them."""
    names = []
    for number in range(count):
        names.append(asf.write_snapshot(marked(f"{first}-{number}"), root))
        if number % 10 == 0 and first == "0":  # one of them is enough: it reads the whole archive
            problems = set(asf.verify(root)["problem"])
            assert problems <= {"orphan"}, problems
    return names


def write_side_by_side(root: str, writers: int, each: int) -> list[str]:
    """Fork writers that all write at once; return the ids they made."""
    asf.write_snapshot(marked("warm"), root)
    pipes = []
    for number in range(writers):
        read, write = os.pipe()
        if not os.fork():
            try:
                os.write(write, " ".join(write_some(root, str(number), each)).encode())
            finally:
                os._exit(0)
        os.close(write)
        pipes.append(open(read, encoding="ascii"))  # noqa: SIM115
    made = [name for pipe in pipes for name in pipe.read().split()]
    for pipe in pipes:
        pipe.close()
        os.wait()
    return made


def writers(scale: float) -> Tally:
    """Sixteen writers of one root, in a folder and in a bucket."""
    from seaweed import BUCKET, seaweed

    tally, each = Tally(), max(1, round(50 * scale))
    with tempfile.TemporaryDirectory() as root:
        made = in_child("write_side_by_side", root, 16, each)
        together(tally, "local", root, made, 16 * each, extra=1)
    with seaweed() as server:
        os.environ.update(server.environment())
        root = f"s3://{BUCKET}/writers"
        with ThreadPoolExecutor(16) as pool:
            made = [name for names in pool.map(lambda n: write_some(root, str(n), each), range(16)) for name in names]
        together(tally, "s3", root, made, 16 * each, extra=0)
    return tally


def together(tally: Tally, where: str, root: str, made: list[str], expected: int, *, extra: int) -> None:
    """Hold an archive against what its writers made."""
    listed = asf.list_snapshots(root)["id"].to_list()
    tally.hold(len(set(made)) == expected, f"{where}: {len(set(made))} ids of {expected}")
    tally.hold(set(made) <= set(listed) and len(listed) == expected + extra, f"{where}: {len(listed)} listed")
    tally.hold(asf.verify(root).empty, f"{where}: {asf.verify(root)}")
    tally.count(f"{where} snapshots", len(listed))


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


#: A drain of a sandbox in another process, that says when it begins and what it made.
SNAPSHOT = """
import sys
import appstream_frames as asf
root, *names = sys.argv[1:]
where = asf.targets(profiles=names, regions=["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"])
print("begun", flush=True)
print(asf.take_snapshot(root, where, timeout=20, progress=False), flush=True)
"""


def interrupt(root: str | Path, name: str, chance: random.Random, tally: Tally) -> None:
    """Send a signal to a process that takes a snapshot, at a random moment, and look at what it leaves."""
    with asf.sandbox(accounts=6) as box, tempfile.TemporaryDirectory() as folder:
        before = asf.write_snapshot(asf.drain(box.client(), type="PRIVATE", progress=False), root)
        machine = os.environ | box.config(Path(folder, "config")) | {"PYTHONWARNINGS": "ignore"}
        for account in box.accounts:
            box.latency(chance.choice((0.0, 0.1, 0.3)), account)
        box.fault(box.accounts[1], box.regions[1], chance.choice(("slow", "throttled", "cut")), times=2)
        command = [sys.executable, "-c", SNAPSHOT, str(root), *(f"sandbox-{account}" for account in box.accounts)]
        with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=machine) as process:
            assert process.stdout is not None
            tally.hold(process.stdout.readline() == "begun\n", "the process did not begin")
            time.sleep(chance.uniform(0, 2.0))
            sent = time.monotonic()
            process.send_signal(getattr(signal, name))
            try:
                told, words = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                told, words = process.communicate()
                tally.breaches.append(f"{name}: it hung")
            took = time.monotonic() - sent
    tally.count(name)
    tally.count("had ended", process.returncode == 0)
    tally.hold(took < 2, f"{name}: it took {took:.1f} s")
    tally.hold(process.returncode in (0, -getattr(signal, name), 130), f"{name}: code {process.returncode}, {words}")
    tally.hold("Exception ignored" not in words, f"{name}: {words}")
    after_signal(root, before, told.split(), name, tally)


def after_signal(root: str | Path, before: str, told: list[str], name: str, tally: Tally) -> None:
    """Hold an archive against what it was before a signal: nothing torn, and after Ctrl-C nothing left."""
    listed = asf.list_snapshots(root)["id"].to_list()
    problems = set(asf.verify(root)["problem"])
    tally.hold(problems <= ({"orphan"} if name == "SIGTERM" else set()), f"{name}: verify found {problems}")
    tally.hold({before, *told} <= set(listed), f"{name}: {before} and {told} were there, {listed} is")
    for each in listed:
        frames = asf.read_snapshot(root, each)
        tally.hold(len(frames.images) == frames.coverage["images"].sum(), f"{name}: {each} is torn")
    if name == "SIGINT":
        tally.hold(not leftovers(root), f"{name}: left {leftovers(root)}")


def signals(scale: float) -> Tally:
    """Send Ctrl-C and SIGTERM at random moments, two processes at a time."""
    tally, each = Tally(), max(1, round(100 * scale))

    def one(number: int) -> None:
        with tempfile.TemporaryDirectory() as root:
            interrupt(root, ("SIGINT", "SIGTERM")[number % 2], random.Random(number), tally)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2 * each)))
    return tally


def drain_estates(first: int, count: int) -> dict[str, Any]:
    """Drain estates of 40 targets that fail in every way, every other one into a snapshot; return what is wrong."""
    import fleets

    from appstream_frames import pages

    pages._LONGEST_PAUSE = 0.2
    wrong, counts = [], {}
    for seed in range(first, first + count):
        chance = random.Random(seed)
        with asf.sandbox(accounts=fleets.ACCOUNTS) as box, tempfile.TemporaryDirectory() as root:
            given = fleets.estate(box, chance, lasting=seed % 3 == 0)
            timeout = 8.0 if seed % 3 == 0 else 60.0
            frames = fleets.drained(given, timeout) if seed % 2 else fleets.snapped(given, timeout, root)
        wrong += [f"seed {seed}: {breach}" for breach in given.breaches(frames)]
        for status, times in frames.coverage["status"].value_counts().items():
            counts[status] = counts.get(status, 0) + int(times)
    return {"wrong": wrong, "counts": counts}


def fleet(scale: float) -> Tally:
    """Drain 1,000 estates of 40 targets, in four processes."""
    tally, portion = Tally(), 25
    runs = max(1, round(1000 * scale))
    portions = [(first, min(portion, runs - first)) for first in range(0, runs, portion)]
    with ThreadPoolExecutor(4) as pool:
        for seen in pool.map(lambda each: in_child("drain_estates", *each), portions):
            tally.breaches += seen["wrong"]
            for status, times in seen["counts"].items():
                tally.count(status, times)
    tally.count("runs", runs)
    return tally


PARTS: dict[str, Callable[[float], Tally]] = {
    "killed writers": killed,
    "full disks": full,
    "writers side by side": writers,
    "damage": damaged,
    "fleet": fleet,
    "signals": signals,
}


def main() -> int:
    """Run every part, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the full length, say 0.05")
    parser.add_argument("--part", choices=PARTS, help="only this one")
    parser.add_argument("--call", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        print(json.dumps(globals()[given.call[0]](*json.loads(given.call[1]))))
        return 0
    broken = 0
    for name in [given.part] if given.part else PARTS:
        began = time.monotonic()
        tally = PARTS[name](given.scale)
        counts = ", ".join(f"{count:,} {what}" for what, count in tally.counts.items())
        print(f"{name}: {len(tally.breaches)} breaches; {counts}; {time.monotonic() - began:.0f} s", flush=True)
        for breach in tally.breaches[:20]:
            print(f"    {breach}")
        broken += bool(tally.breaches)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
