"""What a diff makes of failures: never a removal, whether the frames were joined or not."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import estates
from support.estates import drained, everywhere, quiet
from support.worlds import FAILED, World, frames_of, sorted_world, worlds

import appstream_frames as asf

# what a diff makes of failures


@given(data=st.data())
@pytest.mark.slow
def test_a_failure_is_never_a_removal(data: st.DataObject) -> None:
    """Whatever fails in whichever run, wherever it fails: what a diff calls removed was there and is gone."""
    true = [sorted_world(data.draw(worlds(week, sound=True))) for week in range(2)]
    seen = [frames_of(failing(data, world)) for world in true]
    there, after = (
        {(r["account"], r["region"], r["arn"] or r["name"]): r["created_time"] for r in world["images"]}
        for world in true
    )
    with quiet():
        found = asf.diff(*seen)
    for row in found[found["change"] == "removed"].itertuples():
        key = (row.account, row.region, row.name if pd.isna(row.arn) else row.arn)
        assert key in there
        assert key not in after or after[key] != there[key]  # gone, or built again under its name


def failing(data: st.DataObject, world: World) -> World:
    """Return what a run sees of a world when some of its targets fail, perhaps after a few images, or have no row at all."""
    coverage, images = [], []
    for row in world["coverage"]:
        own = [image for image in world["images"] if image["account"] == row["account"]]
        status = data.draw(st.sampled_from(["complete", "complete", *FAILED, None]))
        kept = own if status == "complete" else own[: data.draw(st.integers(0, len(own)))]
        coverage += [] if status is None else [{**row, "status": status}]
        images += [] if status is None else kept
    return {**world, "coverage": coverage, "images": images}


@pytest.mark.slow
def test_runs_that_fail_differently_differ_in_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over real sockets: two runs of a world that stands still have no difference, merged or not."""
    from appstream_frames.aws import retries

    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.5)
    seen = []
    for run in range(2):
        with asf.sandbox(accounts=estates.ACCOUNTS) as box:
            places = [(account, region) for account in box.accounts[:5] for region in box.regions]
            chance = random.Random(run)
            fates = [
                estates.Fate(
                    *place, chance.choice(("good", "good", "denied", "disabled", "cut")), chance.choice((0, 1))
                )
                for place in places
            ]
            for fate in fates:
                if fate.kind != "good":
                    box.fault(fate.account, fate.region, estates.KINDS[fate.kind][0], after=fate.after)
            seen.append(drained(estates.Estate(everywhere(box, box.accounts[:5]), fates), 3))
    assert seen[0].failed_targets
    with quiet():
        assert asf.diff(*seen).empty
        assert asf.diff(seen[0], seen[0].merge(seen[1])).empty
