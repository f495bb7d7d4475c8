"""Archives in every state that is no crash, and repairs of them: never a committed file removed, never a file of another's."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from support.command import run
from support.marks import TABLES, Tally, marked
from support.seaweed import BUCKET, Seaweed, seaweed

import appstream_frames as asf

FOREIGN = ("notes.txt", "images/mine.parquet", "exports/20260101T000000.000000Z-abcdef.parquet", "coverage/old.parquet")
HOURS = (0.0, 0.5, 2.0, 30.0, 99.0)


def build(root: Path, chance: random.Random) -> set[str]:
    """Write some snapshots, what crashed writers leave, and files of others; return what a crash left."""
    for number in range(chance.randint(1, 3)):
        asf.write_snapshot(marked(f"{chance.random()}-{number}", images=1), root)
    for name in chance.sample(FOREIGN, chance.randint(0, len(FOREIGN))):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"mine")
    left = []
    for _ in range(chance.randint(0, 2)):
        crashed = f"2026010{chance.randint(1, 9)}T000000.000000Z-{chance.randrange(16**6):06x}"
        tables = chance.sample(TABLES[:-1], chance.randint(1, 2))
        left += [f"{table}/{crashed}.parquet" for table in tables]
    for name in [*left, *([".staging/0123.images.tmp"] if chance.random() < 0.3 else [])]:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"half")
    return set(left)


def paths(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def delete_some(root: Path, chance: random.Random) -> Path:
    """Remove manifests, or data, at random; what has lost both a manifest and a table looks like a crash, and may go."""
    manifests = chance.random() < 0.5
    files = [path for path in sorted(root.glob("*/*Z-*.parquet")) if (path.parent.name == "coverage") == manifests]
    for path in chance.sample(files, chance.randint(1, min(2, len(files)))):
        path.unlink()
    return root


def move_a_folder(root: Path, chance: random.Random) -> Path:
    """Move a table's folder aside."""
    name = chance.choice(TABLES)
    shutil.move(root / name, root / f"{name}-aside")
    return root


def copy_half(root: Path, chance: random.Random) -> Path:
    """Copy part of the archive, with the times of its files, as a copy does that is under way."""
    copy, files = root.parent / "copy", sorted(path for path in root.rglob("*") if path.is_file())
    if chance.random() < 0.5:
        chance.shuffle(files)
    for path in files[: chance.randint(1, len(files))]:
        target = copy / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return copy


def go_too_deep(root: Path, chance: random.Random) -> Path:
    """Take the folder of a table for the root."""
    return root / chance.choice(TABLES)


def damage_a_manifest(root: Path, chance: random.Random) -> Path:
    """Change a manifest."""
    chance.choice(sorted((root / "coverage").glob("*Z-*"))).write_bytes(b"damage")
    return root


def leave(root: Path, chance: random.Random) -> Path:
    """Do nothing: a crash is all there was."""
    return root


STATES: tuple[Callable[[Path, random.Random], Path], ...] = (
    *(delete_some, move_a_folder, copy_half, go_too_deep, damage_a_manifest, leave),
)


@contextmanager
def unreadable(folder: str | None) -> Iterator[None]:
    """Have the system refuse to list folders of a name."""
    scandir = os.scandir

    def refused(path: os.PathLike[str]) -> object:
        if folder is not None and Path(path).name == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with patch("os.scandir", refused):
        yield


def repair(root: str | Path, hours: float, environment: dict[str, str] | None = None) -> int:
    """Repair without being asked, so many hours later; return the exit code."""
    real = time.time
    with patch("time.time", lambda: real() + 3600 * hours):
        return run("verify", str(root), "--repair", "--yes", environment=environment).returncode


def repair_one(seed: int, tally: Tally) -> None:
    """Repair one archive in a folder, and look at what is gone."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        left = build(Path(folder, "archive"), chance)
        state = chance.choice(STATES)
        root = state(Path(folder, "archive"), chance)
        hidden = chance.choice(TABLES) if chance.random() < 0.15 else None
        hours = 0.0 if state is copy_half else chance.choice(HOURS)
        before = paths(Path(folder))
        with unreadable(hidden):
            code = repair(root, hours)
        judge(f"seed {seed}, {state.__name__}", before, set(paths(Path(folder))), left, tally)
        if state is leave and hidden is None and hours > 24:
            gone = not any(name in paths(root) for name in [*left, ".staging/0123.images.tmp"])
            tally.hold(gone and code in (0, 3), f"seed {seed}: leftovers stayed, code {code}")


def judge(what: str, before: dict[str, bytes], after: set[str], left: set[str], tally: Tally) -> None:
    """Hold what a repair removed against what a crash had left."""
    gone = {name for name in before if name not in after}
    wrong = {name for name in gone if not any(name.endswith(each) for each in left) and ".staging/" not in name}
    tally.hold(not wrong, f"{what}: removed {sorted(wrong)}")
    tally.count("repairs")
    tally.count("removed", len(gone))


def repair_in_bucket(seed: int, server: Seaweed, tally: Tally) -> None:
    """Repair one archive in a bucket, after objects were deleted or the root was misspelt."""
    chance, client = random.Random(seed), server.client()
    with tempfile.TemporaryDirectory() as folder:
        left = build(Path(folder), chance)
        state = chance.choice([delete_some, move_a_folder, go_too_deep, damage_a_manifest, leave])
        root = state(Path(folder), chance)
        for name, content in paths(Path(folder)).items():
            client.put_object(Bucket=BUCKET, Key=f"{seed}/{name}", Body=content)
        before = dict.fromkeys(server.keys(f"{seed}/"), b"")
        where = f"s3://{BUCKET}/{seed}/{root.relative_to(folder)}".removesuffix("/.")
        repair(where, chance.choice(HOURS), server.environment())
        judge(f"seed {seed} in S3, {state.__name__}", before, set(server.keys(f"{seed}/")), left, tally)


def repairs(scale: float) -> Tally:
    """Repair a thousand random archives, a fifth of them in a bucket."""
    tally = Tally()
    for seed in range(max(1, round(800 * scale))):
        repair_one(seed, tally)
    with seaweed() as server:
        for seed in range(max(1, round(200 * scale))):
            repair_in_bucket(seed, server, tally)
    return tally
