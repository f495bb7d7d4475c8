"""Archives against what reading them costs: a history of 52 snapshots beside DuckDB, and a diff beside reading both sides.

One process makes all calls, the variants alternate, the garbage collector is frozen before each sample, wall-clock medians
are compared, and two series of the same variant (A/A) tell how far the machine can be trusted.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from page_server import ACCOUNT, image

import appstream_frames as asf
from appstream_frames.history.changes import diff
from appstream_frames.history.timelines import read_history
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.schema import list_tables

SNAPSHOTS, IMAGES = 52, 10_000
COLUMNS = ["name", "state", "appstream_agent_version"]
LARGE = 100_000
MADE = 1_000  # images that are really flattened; the others are these under other names
BOUNDS = {"history / duckdb": 1.0, "diff / reading twice": 1.0}


def tables(images: int) -> dict[str, pa.Table]:
    """Return the tables of so many images × 12 applications, by tiling a thousand under other names."""
    key = Key(pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime(), ACCOUNT, "eu-west-1")
    made = decode([json.dumps(image(number)).encode() for number in range(MADE)], key)
    return {name: tiled(table, images // MADE) for name, table in made.items()}


def tiled(table: pa.Table, times: int) -> pa.Table:
    """Return a table so many times, each time of other images."""
    return pa.concat_tables([renamed(table, tile) for tile in range(times)]).combine_chunks()


def renamed(table: pa.Table, tile: int) -> pa.Table:
    """Return a table of other images: its number is appended to their names and ARNs."""
    keys = [("arn", "name")] if "image_arn" not in table.schema.names else [("image_arn", "image_name")]
    for name in keys[0]:
        other = pc.binary_join_element_wise(table.column(name), f"-{tile}", "")
        table = table.set_column(table.schema.get_field_index(name), name, other)
    return table


def taken(made: dict[str, pa.Table], moment: str) -> asf.Frames:
    """Return frames of the tables, covered by one complete target."""
    row = {"account": ACCOUNT, "region": "eu-west-1", "status": "complete", "request": "{}"}
    row |= {"snapshot": pd.Timestamp(moment, tz="UTC")}
    coverage = pa.Table.from_pylist([row], schema=list_tables()["coverage"].schema)
    found = {name: to_pandas(table) for name, table in (made | {"coverage": coverage}).items()}
    return asf.Frames(found).relabel(moment)


def changed(made: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Return the tables a week later: each image in a hundred gone or new, in twenty another agent, text or list."""
    images, applications = made["images"], made["applications"]
    number = np.arange(images.num_rows)
    agent = pc.if_else(pa.array(number % 20 == 7), "LATEST", images.column("appstream_agent_version"))
    images = images.set_column(
        images.schema.get_field_index("appstream_agent_version"), "appstream_agent_version", agent
    )
    row = np.arange(applications.num_rows)
    text = pc.if_else(pa.array(row % 400 == 11), "another text", applications.column("description"))
    applications = applications.set_column(applications.schema.get_field_index("description"), "description", text)
    return {
        "images": pa.concat_tables([images.filter(pa.array(number % 100 != 3)), renamed(images.slice(0, 1_000), -1)]),
        "applications": pa.concat_tables(
            [applications.filter(pa.array(row // 12 % 100 != 3)), renamed(applications.slice(0, 12_000), -1)]
        ),
        "errors": made["errors"],
    }


def seconds(run: Callable[[], int], expected: int) -> float:
    """Return how long one run takes."""
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    seen = run()
    took = time.perf_counter() - began
    gc.unfreeze()
    assert seen == expected, (seen, expected)
    return took


def compare(title: str, compared: dict[str, Callable[[], int]], samples: int) -> float:
    """Print the medians of three runs (ours, ours again, theirs), and return the ratio of ours to theirs."""
    counts = {name: run() for name, run in compared.items()}
    took: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(samples):
        for name, run in compared.items():
            took[name].append(seconds(run, counts[name]))
    ours, again, theirs = (statistics.median(times) for times in took.values())
    for name, times in took.items():
        print(f"  {name:24} {statistics.median(times):7.3f} s  (from {min(times):.3f} to {max(times):.3f})")
    bound = BOUNDS[title]
    print(f"{title}: {ours / theirs:.2f}, bound {bound} {'kept' if ours / theirs <= bound else 'BROKEN'}; ", end="")
    print(f"A/A control {abs(ours / again - 1):.1%} apart")
    return ours / theirs


def history(root: Path) -> float:
    """Compare three columns of 52 snapshots with DuckDB's reading of the same files."""
    made = tables(IMAGES)
    for week in range(SNAPSHOTS):
        asf.write_snapshot(taken(made, str(pd.Timestamp("2026-01-05") + pd.Timedelta(weeks=week))), root)
    columns = ", ".join(["snapshot", "account", "region", *COLUMNS])
    query = f"SELECT {columns} FROM read_parquet('{root}/images/*.parquet', union_by_name=true)"

    def ours() -> int:
        return len(read_history(root, columns=COLUMNS))

    def theirs() -> int:
        return len(duckdb.sql(query).df())

    compared = {"read_history": ours, "read_history again": ours, "duckdb": theirs}
    return compare("history / duckdb", compared, samples=15)


def difference(root: Path) -> float:
    """Compare a diff of images and applications with reading both snapshots."""
    made = tables(LARGE)
    names = [
        asf.write_snapshot(taken(made, "2026-01-05"), root),
        asf.write_snapshot(taken(changed(made), "2026-01-12"), root),
    ]
    before, after = (asf.read_snapshot(root, name) for name in names)

    def ours() -> int:
        return sum(len(diff(before, after, table)) for table in ("images", "applications"))

    def theirs() -> int:
        return sum(len(asf.read_snapshot(root, name).images) for name in names)

    return compare("diff / reading twice", {"diff": ours, "diff again": ours, "read_snapshot × 2": theirs}, samples=5)


def main() -> int:
    """Print the ratios; fail when one is over its bound."""
    chosen = [run for run in (history, difference) if len(sys.argv) < 2 or run.__name__ in sys.argv[1:]]
    ratios = []
    for run in chosen:
        with tempfile.TemporaryDirectory() as root:
            ratios.append(run(Path(root)))
    bounds = [bound for run, bound in zip((history, difference), BOUNDS.values(), strict=True) if run in chosen]
    return int(any(ratio > bound for ratio, bound in zip(ratios, bounds, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
