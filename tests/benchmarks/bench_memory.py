"""Peak memory of a drain against the size of the tables it returns, at 10,000 and 100,000 images × 12 applications.

Each drain runs in a fresh process, whose peak resident size before the drain (interpreter and imports) is printed beside it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).with_name("page_server.py")
MEGABYTE = 1e6


def peak() -> float:
    """Return the process's peak resident size in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def measure(port: int) -> dict[str, float]:
    """Drain everything, in this process."""
    from bench_drain import client

    import appstream_frames as asf

    made, before = client(port), peak()
    frames = asf.drain(made, account="012345678901", progress=False)
    size = sum(table.memory_usage(deep=True).sum() for table in frames.tables.values()) / MEGABYTE
    return {"before": before, "peak": peak(), "tables": float(size), "images": len(frames.images)}


def main() -> int:
    """Print peak and size of each drain; fail when one is over the bound."""
    failed = 0
    for images in (10_000, 100_000):
        with subprocess.Popen([sys.executable, SERVER, str(images)], stdin=-1, stdout=-1, text=True) as server:
            port = server.stdout.readline().strip()
            answer = subprocess.run([sys.executable, __file__, port], stdout=-1, text=True, check=True).stdout
            server.stdin.close()
        seen = json.loads(answer)
        bound = 1.3 * seen["tables"] + 150
        failed += seen["peak"] > bound
        print(
            f"{images:7,} images: peak {seen['peak']:.0f} MB, of which {seen['before']:.0f} MB before the drain; "
            f"tables {seen['tables']:.0f} MB; bound 1.3 × tables + 150 MB = {bound:.0f} MB, "
            f"{'kept' if seen['peak'] <= bound else 'BROKEN'}"
        )
    return int(failed > 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        sys.exit(main())
