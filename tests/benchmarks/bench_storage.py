"""Memory of a streamed snapshot at 10,000 and 1,000,000 images, and size of the files against pandas' own Parquet.

Memory: pages are flattened and streamed into an archive in a fresh process, with no HTTP in between; the pages are the same
bytes over and over under ever-new ARNs, with 2 applications an image (`--applications 12` takes longer accordingly). Size: the
files of a snapshot against ``DataFrame.to_parquet()`` with its defaults, for the sandbox's twelve targets together, and for
1,000 images × 12 applications of the page server.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import page_server
import pandas as pd
import pyarrow as pa

import appstream_frames as asf
from appstream_frames.archive import parquet
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.writer import stage_tables
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import list_tables

BATCH = 125
NUMBER = b"0000000007"
MEMORY, SIZE = 1.2, 0.65


def key() -> Key:
    """Return what the rows have in common."""
    return Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), page_server.ACCOUNT, "eu-west-1")


def template(applications: int) -> bytes:
    """Return an image whose name and ARN hold a number to replace."""
    made = page_server.image(7)
    made["Applications"] = made["Applications"][:applications]
    names = {"Name": f"image-{NUMBER.decode()}", "Arn": f"arn:aws:appstream:eu-west-1:1:image/{NUMBER.decode()}"}
    return json.dumps(made | names).encode()


def streamed(images: int, applications: int) -> dict[str, float]:
    """Stream so many images into an archive; return the process's peak in MB, and the seconds it took."""
    page, began = template(applications), time.monotonic()
    schemas = {name: list_tables()[name].schema for name in ("applications", "errors", "images")}
    with tempfile.TemporaryDirectory() as root:
        store = open_store(root)
        with store.staging() as staged:
            with stage_tables(store, schemas, staged) as files:
                for start in range(0, images, BATCH):
                    numbers = range(start, min(start + BATCH, images))
                    sent = [page.replace(NUMBER, b"%010d" % number) for number in numbers]
                    for name, table in decode(sent, key()).items():
                        files[name].add(table)
            counted = {file.folder: parquet.make_record(file)["rows"] for file in staged}
        assert (counted["images"], counted["applications"]) == (images, images * applications)
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "seconds": time.monotonic() - began}


def memory(small: int, large: int, applications: int) -> bool:
    """Print the peaks; tell whether their ratio is within its bound."""
    seen = {}
    for images in (small, large):
        command = [sys.executable, __file__, "--stream", str(images), "--applications", str(applications)]
        seen[images] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        peak, took = seen[images]["peak"], seen[images]["seconds"]
        print(f"{images:9,} images × {applications} applications: peak {peak:.0f} MB, {took:.0f} s")
    ratio = seen[large]["peak"] / seen[small]["peak"]
    print(f"memory: {ratio:.2f} × that of {small:,} images, bound {MEMORY}: {'kept' if ratio <= MEMORY else 'BROKEN'}")
    return ratio <= MEMORY


def sandbox() -> Frames:
    """Return the frames of all targets of the sandbox together."""
    with asf.sandbox() as box:
        where = [box.client(account, region) for account in box.accounts for region in box.regions]
        drained = [asf.drain(client, progress=False).tables for client in where]
    return Frames({name: pd.concat([each[name] for each in drained], ignore_index=True) for name in drained[0]})


def generated() -> Frames:
    """Return the frames of the page server's images."""
    tables = decode([json.dumps(page_server.image(number)).encode() for number in range(1000)], key())
    coverage = {"snapshot": key().snapshot, "account": key().account, "region": key().region, "status": "complete"}
    tables["coverage"] = pa.Table.from_pylist([coverage], schema=list_tables()["coverage"].schema)
    return Frames({name: to_pandas(table) for name, table in tables.items()})


def size(what: str, frames: Frames) -> bool:
    """Print the bytes of a snapshot against those of pandas; tell whether their ratio is within its bound."""
    with tempfile.TemporaryDirectory() as folder:
        asf.write_snapshot(frames, Path(folder) / "ours")
        (Path(folder) / "theirs").mkdir()
        for name, table in frames.tables.items():
            table.to_parquet(Path(folder) / "theirs" / f"{name}.parquet")
        ours, theirs = (
            sum(path.stat().st_size for path in (Path(folder) / whose).rglob("*.parquet"))
            for whose in ("ours", "theirs")
        )
    verdict = "kept" if ours <= SIZE * theirs else "BROKEN"
    print(f"size, {what}: {ours:,} bytes, pandas {theirs:,}: {ours / theirs:.2f}, bound {SIZE}: {verdict}")
    return ours <= SIZE * theirs


def main() -> int:
    """Measure both; fail when a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=2, help="applications of an image")
    parser.add_argument("--images", type=int, default=1_000_000, help="images of the larger stream")
    parser.add_argument("--stream", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stream:
        print(json.dumps(streamed(given.stream, given.applications)))
        return 0
    kept = [memory(10_000, given.images, given.applications)]  # first: a child's peak begins with its parent's
    kept += [size("sandbox, 12 targets", sandbox()), size("1,000 images × 12 applications", generated())]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
