"""Random estates of images and their users, at length: who uses which image, and what failures change."""

from __future__ import annotations

from random import Random

from support.failing_estates import fail_one
from support.marks import Tally
from support.usage_oracle import differences, estate, read_in_part


def usage(scale: float) -> Tally:
    """Compare 2,000 estates, each read whole and in part, with the oracle."""
    tally = Tally()
    for seed in range(round(2_000 * scale)):
        rnd = Random(seed)
        whole = estate(rnd)
        for rows in (whole, read_in_part(rnd, whole)):
            tally.count("answers")
            tally.breaches += [f"seed {seed}: {each}" for each in differences(rows)]
    return tally


def failures(scale: float) -> Tally:
    """Let operations of a target fail in 1,000 estates: no other target's finding goes or comes."""
    tally = Tally()
    for seed in range(round(1_000 * scale)):
        with_failure, without = fail_one(Random(seed))
        tally.count("findings", len(without))
        tally.breaches += [f"seed {seed}: {each}" for each in {*with_failure} ^ {*without}]
    return tally
