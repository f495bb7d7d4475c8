"""Time of `import appstream_frames`, as a ratio to `import boto3, pandas, pyarrow`: alternating, each in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys

SAMPLES = 15
OURS, THEIRS = "import appstream_frames", "import boto3, pandas, pyarrow"


def took(code: str) -> float:
    """Return the seconds that a fresh interpreter needs for some code, beyond its own start."""
    timed = f"import time; began = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Print the ratio."""
    for code in (OURS, THEIRS):
        took(code)
    samples: dict[str, list[float]] = {"ours": [], "ours again": [], "theirs": []}
    for _ in range(SAMPLES):
        for name in samples:
            samples[name].append(took(THEIRS if name == "theirs" else OURS))
    middle = {name: statistics.median(times) for name, times in samples.items()}
    ratio, apart = middle["ours"] / middle["theirs"], abs(middle["ours"] / middle["ours again"] - 1)
    print(f"{OURS}: {middle['ours']:.3f} s; {THEIRS}: {middle['theirs']:.3f} s")
    print(f"ratio {ratio:.2f}, bound 1.10 {'kept' if ratio <= 1.10 else 'BROKEN'}; A/A control {apart:.1%} apart")
    return 0 if ratio <= 1.10 else 1


if __name__ == "__main__":
    sys.exit(main())
