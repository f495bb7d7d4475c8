"""The promises of storage and of the fan-out, at length: `python tests/torture/run.py [--scale 0.05]`.

One line per part; exit code 1 when one is broken.

The shorter versions in `make test` use the same functions. Writers are forked from a warm process and killed for good, disks
fill up, bits flip. Everything happens in temporary folders and on loopback.
"""

# ruff: noqa: T201  a script that prints what it found
from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.marks import Tally

from torture.disks import damaged, fill_files, full
from torture.drains import drain_estates, drain_in_children, estates, forks, signals
from torture.laws import laws
from torture.repairs import repairs
from torture.trouble import trouble
from torture.usage import failures, usage
from torture.writers import kill_writers, killed, write_side_by_side, writers

PARTS: dict[str, Callable[[float], Tally]] = {
    "killed writers": killed,
    "full disks": full,
    "writers side by side": writers,
    "damage": damaged,
    "repairs": repairs,
    "estates": estates,
    "signals": signals,
    "forks": forks,
    "trouble": trouble,
    "usage": usage,
    "findings": failures,
    "laws": laws,
}


#: What `in_child` calls, each in a process of its own.
CALLED = {
    each.__name__: each for each in (drain_estates, drain_in_children, fill_files, kill_writers, write_side_by_side)
}


def main() -> int:
    """Run every part, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the full length, say 0.05")
    parser.add_argument("--part", choices=PARTS, help="only this one")
    parser.add_argument("--call", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        print(json.dumps(CALLED[given.call[0]](*json.loads(given.call[1]))))
        return 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
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
