"""Write the golden archive of this version's format, which every later version must read.

Run it in ``tests``: ``python -m golden.make_golden``. What is expected of a reader stands beside the files, taken from the frames
before they were written. An archive that is there is replaced only with ``--force``, which is right only as long as its
format was in no release.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from support import readers_archive, strangers
from support.readers_archive import ACCOUNTS

import appstream_frames as asf
from appstream_frames.archive.manifest import FORMAT
from appstream_frames.tables.conversion import to_arrow, to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.operations import OPERATIONS, Operation
from appstream_frames.tables.schema import COVERAGE

HERE: Final = Path(__file__).parent
REDACTED: Final = ["launch_parameters"]


def main(arguments: list[str], under: Path = HERE) -> None:
    """Write the archive and ``expected.json``."""
    root = under / f"v{FORMAT}"
    if root.exists() and arguments != ["--force"]:
        raise SystemExit(f"{root} is there, and every version must read it. If its format was in no release: --force.")
    shutil.rmtree(root, ignore_errors=True)
    whole = _with_every_table(readers_archive.older(readers_archive.frames("2026-09-07T22:30:00.000001")))
    limited = readers_archive.frames("2026-11-23T04:59:59.999999", limited=ACCOUNTS[1])
    snapshots = [_written(whole, root, []), _written(limited, root, REDACTED)]
    text = json.dumps({"snapshots": snapshots}, ensure_ascii=False, separators=(",", ":"))
    (root / "expected.json").write_text(f"{text}\n", "utf-8")


def _with_every_table(frames: asf.Frames) -> asf.Frames:
    """Return frames of images together with rows of every other operation, of the first account."""
    stamp, chance = frames.snapshot.to_pydatetime(), random.Random(7)
    tables, covered = dict(frames.tables), to_arrow(frames.coverage, "coverage").to_pylist()[0]
    rows = []
    for operation in OPERATIONS.values():
        if operation.table != "images":
            sent = [_sent(operation, chance) for _ in range(3)]
            key = Key(stamp, ACCOUNTS[0], readers_archive.REGION, dict.fromkeys(_parent_keys(operation), "parent"))
            made = decode([json.dumps(row).encode() for row in sent], key, operation.name)
            tables |= {name: to_pandas(table) for name, table in made.items()}
            rows.append({**covered, "operation": operation.name, "rows": made[operation.table].num_rows})
    rows[-1] |= {"status": "denied", "error_code": "AccessDeniedException", "error_message": "not allowed"}
    coverage = to_pandas(pa.Table.from_pylist(rows, schema=COVERAGE.schema))
    return asf.Frames(tables | {"coverage": pd.concat([frames.coverage, coverage], ignore_index=True)})


def _sent(operation: Operation, chance: random.Random) -> object:
    return f"name-{chance.random()}" if operation.element else strangers.row(chance, operation.name)


def _parent_keys(operation: Operation) -> list[str]:
    return list(operation.parent.keys) if operation.parent else []


def _written(frames: asf.Frames, root: Path, redact: list[str]) -> dict[str, Any]:
    name = asf.write_snapshot(frames, root, redact=redact)
    bytes_ = sum((root / table / f"{name}.parquet").stat().st_size for table in frames.tables if table != "coverage")
    tables = {table: _expected(frames.tables[table], redact) for table in frames.tables}
    return {"listed": _listed(name, frames, bytes_), "tables": tables}


def _listed(name: str, frames: asf.Frames, bytes_: int) -> dict[str, Any]:
    return {
        "id": name,
        "snapshot": frames.snapshot.isoformat(timespec="microseconds"),
        "targets": len(ACCOUNTS),
        "complete": int((frames.coverage["status"] == "complete").groupby(frames.coverage["account"]).all().sum()),
        **{table: len(frames.tables[table]) for table in ("images", "applications", "errors")},
        "bytes": bytes_,
    }


def _expected(frame: Any, redact: list[str]) -> dict[str, Any]:
    """Return the columns, and the values that are not null of each row."""
    rows = readers_archive.rows(pa.Table.from_pandas(frame, preserve_index=False))
    kept = [{name: value for name, value in row.items() if value is not None and name not in redact} for row in rows]
    if redact and "redacted" in frame:
        kept = [{**row, "redacted": redact} for row in kept]
    return {"columns": list(frame.columns), "rows": kept}


if __name__ == "__main__":
    main(sys.argv[1:])
