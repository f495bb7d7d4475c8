"""Write the golden archive of this version's format, which every later version must read.

Run it in ``tests``: ``python -m golden.make_golden``. What is expected of a reader stands beside the files, taken from the frames
before they were written. An archive that is there is replaced only with ``--force``, which is right only as long as its
format was in no release.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from support import readers_archive
from support.readers_archive import ACCOUNTS, TABLES

import appstream_frames as asf
from appstream_frames.archive.manifest import FORMAT

HERE: Final = Path(__file__).parent
REDACTED: Final = ["launch_parameters"]


def main(arguments: list[str], under: Path = HERE) -> None:
    """Write the archive and ``expected.json``."""
    root = under / f"v{FORMAT}"
    if root.exists() and arguments != ["--force"]:
        raise SystemExit(f"{root} is there, and every version must read it. If its format was in no release: --force.")
    shutil.rmtree(root, ignore_errors=True)
    whole = readers_archive.older(readers_archive.frames("2026-09-07T22:30:00.000001"))
    limited = readers_archive.frames("2026-11-23T04:59:59.999999", limited=ACCOUNTS[1])
    snapshots = [_written(whole, root, []), _written(limited, root, REDACTED)]
    text = json.dumps({"snapshots": snapshots}, indent=1, ensure_ascii=False)
    (root / "expected.json").write_text(f"{text}\n", "utf-8")


def _written(frames: asf.Frames, root: Path, redact: list[str]) -> dict[str, Any]:
    name = asf.write_snapshot(frames, root, redact=redact)
    bytes_ = sum((root / table / f"{name}.parquet").stat().st_size for table in TABLES if table != "coverage")
    tables = {table: _expected(frames.tables[table], redact) for table in TABLES}
    return {"listed": _listed(name, frames, bytes_), "tables": tables}


def _listed(name: str, frames: asf.Frames, bytes_: int) -> dict[str, Any]:
    return {
        "id": name,
        "snapshot": frames.snapshot.isoformat(timespec="microseconds"),
        "targets": len(frames.coverage),
        "complete": int((frames.coverage["status"] == "complete").sum()),
        **{table: len(frames.tables[table]) for table in ("images", "applications", "errors")},
        "bytes": bytes_,
    }


def _expected(frame: Any, redact: list[str]) -> dict[str, Any]:
    """Return the columns, and the values that are not null of each row."""
    rows = readers_archive.rows(pa.Table.from_pandas(frame, preserve_index=False))
    kept = [{name: value for name, value in row.items() if value is not None and name not in redact} for row in rows]
    return {"columns": list(frame.columns), "rows": kept}


if __name__ == "__main__":
    main(sys.argv[1:])
