"""A timeline over many nights: its time grows with the nights, not with their square.

Each target has an image that stays and one that is built anew every night, so that every night is the last sighting of something.
The archive is written first; only `timeline` is measured, the best of three runs.
"""

from __future__ import annotations

import sys
import tempfile
import time

import pandas as pd
import pyarrow as pa

import appstream_frames as asf
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.schema import list_tables

#: Targets, nights, and the seconds that a timeline of them may take.
SIZES = ((200, 50, 0.5), (200, 100, 0.8), (200, 200, 1.2), (200, 400, 2.0))
LARGE = (3_600, 365, 60.0)
FIRST = pd.Timestamp("2025-01-01T03:00", tz="UTC")


def night(targets: int, number: int) -> asf.Frames:
    """Return the frames of one night."""
    moment = FIRST + pd.Timedelta(days=number)
    where = [
        {"snapshot": moment, "account": f"{100_000_000_000 + n // 18}", "region": f"region-{n % 18}"}
        for n in range(targets)
    ]
    names = ("golden", f"build-{number}")
    rows = {
        "images": [
            key | {"name": name, "arn": f"arn:aws:appstream:{key['region']}:{key['account']}:image/{name}"}
            for key in where
            for name in names
        ],
        "coverage": [
            key | {"operation": "DescribeImages", "status": "complete", "request": "{}", "rows": 2} for key in where
        ],
    }
    tables = list_tables()
    return asf.Frames(
        {name: to_pandas(pa.Table.from_pylist(table, schema=tables[name].schema)) for name, table in rows.items()}
    )


def measure(targets: int, nights: int, bound: float) -> bool:
    """Print how long a timeline takes, and return whether it keeps its bound."""
    with tempfile.TemporaryDirectory() as root:
        for number in range(nights):
            asf.write_snapshot(night(targets, number), root)
        took = []
        for _ in range(3 if nights * targets < 100_000 else 1):
            began = time.perf_counter()
            rows = len(asf.timeline(root))
            took.append(time.perf_counter() - began)
    assert rows == targets * (nights + 1), rows
    kept = min(took) <= bound
    print(
        f"{targets} targets × {nights} nights: {min(took):.2f} s, bound {bound} {'kept' if kept else 'BROKEN'}",
        flush=True,
    )
    return kept


def main() -> int:
    """Measure the sizes; with ``large``, a year of 3,600 targets too."""
    sizes = [*SIZES, *([LARGE] if "large" in sys.argv[1:] else [])]
    kept = [measure(*size) for size in sizes]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
