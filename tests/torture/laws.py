"""The laws that hold for any input, such as a diff that leads from one snapshot to the other, tried on many examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.marks import Tally

TESTS = Path(__file__).parents[1]


def laws(scale: float) -> Tally:
    """Run each test of the suite that draws its input, of which the suite itself tries a few, with 400 examples."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "hypothesis", "--timeout=3600"]
    examples = {"EXAMPLES": str(max(1, round(400 * scale)))}
    done = subprocess.run(
        [*command, TESTS], cwd=TESTS.parent, env=os.environ | examples, capture_output=True, text=True
    )
    tally, passed = Tally(), re.search(r"(\d+) passed", done.stdout)
    tally.count("laws", int(passed[1]) if passed else 0)
    tally.hold(done.returncode == 0, f"{done.stdout}{done.stderr}"[-5000:])
    return tally
