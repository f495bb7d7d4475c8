"""Frames that carry a mark in every row, and a tally of what is wrong with them, for the long tests of storage and fan-out."""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

import appstream_frames as asf
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import list_tables

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
    tables = decode([json.dumps(image).encode() for image in made], key)
    row = {"snapshot": key.snapshot, "account": ACCOUNT, "region": REGION, "status": "complete", "request": mark}
    tables["coverage"] = pa.Table.from_pylist([row], schema=list_tables()["coverage"].schema)
    return Frames({name: to_pandas(table) for name, table in tables.items()})


def mixed(frames: Frames) -> str:
    """Return what is wrong with frames that `marked` made: rows missing, or of another mark; nothing when whole."""
    marks = {mark for table, column in MARKS.items() for mark in frames.tables[table][column].unique()}
    counts = [len(frames.tables[table]) for table in MARKS]
    if len(marks) != 1 or counts[1] != 3 * counts[0] or counts[2] != counts[0] or counts[3] != 1 or not counts[0]:
        return f"marks {sorted(marks)}, rows {counts}"
    return ""


def equal(left: Frames, right: Frames) -> bool:
    same = [left.tables[name].equals(right.tables[name]) for name in left.tables]
    return all(same) and list(left.tables) == list(right.tables)


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


def in_child(function: str, *arguments: object) -> Any:
    """Call a function that `torture` lists in a fresh process, made for `fork` and limits; return what it returns."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        Path(__file__).parents[1] / "torture" / "run.py",
        "--call",
        function,
        json.dumps(arguments, default=str),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout)


def leftovers(root: str | Path) -> list[str]:
    """Return the files under a root that belong to no listed snapshot."""
    names = set(asf.list_snapshots(root)["id"])
    files = [path for path in Path(root).rglob("*") if path.is_file() and path.name != "README.txt"]
    return sorted(str(path.relative_to(root)) for path in files if path.stem not in names)
