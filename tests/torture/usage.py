"""Random estates of images and their users, at length: who uses which image, against brute force."""

from __future__ import annotations

from random import Random

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
