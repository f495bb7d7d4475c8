"""Laws of findings over random estates: what fails takes its own findings and no others, and order says nothing."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.failing_estates import OPERATIONS, fail_one, find, grown

from appstream_frames.insights.findings import RULES

RANDOM = st.randoms(use_true_random=False)


@pytest.mark.slow
@given(RANDOM)
def test_a_failure_takes_no_other_target_s_finding(rnd: Random) -> None:
    """Whatever fails in one target, all others have the findings that they had: none fewer, none more."""
    with_failure, without = fail_one(rnd)
    assert with_failure == without


@pytest.mark.slow
@given(RANDOM)
def test_the_order_of_rows_changes_no_finding(rnd: Random) -> None:
    """Shuffled tables give the same findings, in the same order."""
    rows = grown(rnd)
    shuffled = {name: rnd.sample(table, len(table)) for name, table in rows.items()}
    pd.testing.assert_frame_equal(find(shuffled), find(rows))


@pytest.mark.slow
@given(RANDOM, st.sampled_from(list(OPERATIONS)[1:]))
def test_what_was_not_drained_is_no_finding(rnd: Random, operation: str) -> None:
    """Its rules find nothing, and that is said once."""
    table, rules = OPERATIONS[operation]
    rows = {name: each for name, each in grown(rnd).items() if name != table}
    rows["coverage"] = [row for row in rows["coverage"] if row["operation"] != operation]
    found = find(rows)
    assert not set(found["rule"]) & rules
    assert ((found["rule"] == "not_drained") & (found["name"] == operation)).sum() == 1


@pytest.mark.slow
@given(
    RANDOM, st.sampled_from([name for name, rule in RULES.items() if rule.threshold is not None]), st.integers(1, 400)
)
def test_a_threshold_is_a_bound(rnd: Random, rule: str, more: int) -> None:
    """A higher one finds a part of what a lower one finds (more, of a time until something), and moves no other rule."""
    rows, low = grown(rnd), RULES[rule].threshold or 0
    small, large = (find(rows, rules={rule: bound}) for bound in (low, low + more))
    if rule == "support_ending":
        small, large = large, small
    sides = [set(each.loc[each["rule"] == rule, "arn"].fillna("")) for each in (small, large)]
    assert rule == "quota_near" or sides[1] <= sides[0]
    pd.testing.assert_frame_equal(*(each[each["rule"] != rule].reset_index(drop=True) for each in (small, large)))
