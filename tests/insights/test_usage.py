"""Who stands on which image: equal to a brute-force oracle on random estates, and never wrong where something was not read."""

from __future__ import annotations

from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import usage_oracle
from support.usage_oracle import (
    Estate,
    differences,
    estate,
    expected_usage,
    frames_of,
    image_arn,
    read_in_part,
    seen_usage,
)

import appstream_frames as asf

RANDOM = st.randoms(use_true_random=False)


def of(frames: asf.Frames, name: str) -> pd.DataFrame:
    """Return the users of an image."""
    users = asf.used_by(frames)
    return users[users["image_name"] == name]


@pytest.mark.slow
@given(RANDOM)
def test_answers_equal_the_oracle_s(rnd: Random) -> None:
    """`used_by` and `usage` are what brute force finds, whatever was denied, filtered or not asked for."""
    whole = estate(rnd)
    for rows in (whole, read_in_part(rnd, whole)):
        assert differences(rows) == []


@pytest.mark.slow
@given(RANDOM)
def test_nothing_is_unused_for_want_of_reading(rnd: Random) -> None:
    """What has a user in truth is never called unused or deletable because a part of an account was not read."""
    whole = estate(rnd)
    in_use = {row[:3] for row in expected_usage(whole) if row[7] == "in_use"}
    seen = seen_usage(frames_of(read_in_part(rnd, whole)))
    assert not in_use & {row[:3] for row in seen if row[7] == "unused" or row[8]}


def test_a_withdrawn_share_may_be_in_use_where_fleets_were_not_read() -> None:
    """An image that only another account's fleet stands on is in use, and unknown once that account's fleets are denied."""
    (owner, other, _), region = usage_oracle.ACCOUNTS, "eu-west-1"
    image = {"account": owner, "region": region, "owner": owner, "name": "a", "arn": image_arn(owner, region, "a")}
    image |= {"visibility": "PRIVATE", "image_shared_with_others": False}
    fleet = {"account": other, "region": region, "name": "f", "arn": "fleet", "image_arn": image["arn"]}
    operations = usage_oracle.OPERATIONS
    coverage = [usage_oracle.covered(account, region, each) for account in (owner, other) for each in operations]
    denied = [row | ({"status": "denied"} if row["account"] == other else {}) for row in coverage]
    rows: Estate = {name: [] for name in usage_oracle.COLUMNS} | {"images": [image], "coverage": denied}
    whole = rows | {"coverage": coverage, "fleets": [fleet]}
    verdicts = [asf.usage(frames_of(each)).iloc[0] for each in (whole, rows, rows | {"coverage": coverage})]
    assert [row["verdict"] for row in verdicts] == ["in_use", "unknown", "unused"]
    assert f"DescribeImages in {other}/{region} is denied" in verdicts[1]["reason"]


def test_an_image_that_may_be_shared_is_not_unused() -> None:
    """Where AWS did not say whether it is shared, or the column was redacted, nobody asked for its shares."""
    account, region = usage_oracle.ACCOUNTS[0], "eu-west-1"
    image = {"account": account, "region": region, "owner": account, "name": "a", "visibility": "PRIVATE"}
    coverage = [usage_oracle.covered(account, region, each) for each in usage_oracle.OPERATIONS]
    rows: Estate = {name: [] for name in usage_oracle.COLUMNS} | {"coverage": coverage}
    rows["images"] = [image | {"arn": image_arn(account, region, "a"), "image_shared_with_others": None}]
    judged = asf.usage(frames_of(rows)).iloc[0]
    assert (judged["verdict"], judged["deletable"]) == ("unknown", False)
    assert judged["reason"] == "it is not known whether its owner shares it"


def test_a_base_that_only_the_owner_sees_is_no_withdrawn_share() -> None:
    """Whoever sees an image need not see what its owner built it on."""
    (owner, other, _), region = usage_oracle.ACCOUNTS, "eu-west-1"
    image = {"account": other, "region": region, "owner": owner, "name": "a", "arn": image_arn(owner, region, "a")}
    image |= {"visibility": "SHARED", "base_image_arn": image_arn(owner, region, "base")}
    rows: Estate = {name: [] for name in usage_oracle.COLUMNS} | {"images": [image]}
    rows["coverage"] = [usage_oracle.covered(other, region, each) for each in usage_oracle.OPERATIONS]
    (user,) = asf.used_by(frames_of(rows)).to_dict("records")
    assert (user["kind"], user["user_account"]) == ("image", owner)
    assert user["reason"] == f"not covered: the images of {owner}/{region} were not read"


@pytest.mark.slow
@given(RANDOM)
def test_the_order_of_rows_makes_no_difference(rnd: Random) -> None:
    """Shuffled tables give the same answers."""
    rows = read_in_part(rnd, estate(rnd))
    shuffled: Estate = {name: rnd.sample(table, len(table)) for name, table in rows.items()}
    pd.testing.assert_frame_equal(asf.used_by(frames_of(rows)), asf.used_by(frames_of(shuffled)))
    assert sorted(seen_usage(frames_of(rows)), key=repr) == sorted(seen_usage(frames_of(shuffled)), key=repr)


def test_a_public_image_in_six_targets_multiplies_no_fleet() -> None:
    """Three accounts in two regions see the same ARNs; each fleet and image stands on its own target's, once."""
    rows: Estate = {name: [] for name in usage_oracle.COLUMNS}
    for account in usage_oracle.ACCOUNTS:
        for region in usage_oracle.REGIONS:
            arn = image_arn("", region, "P")
            image = {"account": account, "region": region, "name": "P", "arn": arn, "visibility": "PUBLIC"}
            rows["images"].append(image)
            fleet = {"account": account, "region": region, "name": "f", "arn": f"fleet-of-{account}", "image_arn": arn}
            rows["fleets"].append(fleet)
            rows["coverage"].append(usage_oracle.covered(account, region, "DescribeImages"))
    users = asf.used_by(frames_of(rows))
    assert users[["account", "region", "user_account"]].to_numpy().tolist() == [
        [account, region, account] for account in usage_oracle.ACCOUNTS for region in usage_oracle.REGIONS
    ]


@pytest.mark.parametrize("arn", ["gone", "image/gone", None])
def test_a_text_that_is_no_arn_names_no_owner(arn: str | None) -> None:
    """Nobody has withdrawn or deleted what is not named."""
    (account, *_), (region, *_) = usage_oracle.ACCOUNTS, usage_oracle.REGIONS
    rows: Estate = {name: [] for name in usage_oracle.COLUMNS}
    fleet = {"account": account, "region": region, "name": "f", "arn": "fleet", "image_arn": arn, "image_name": "gone"}
    rows |= {"fleets": [fleet], "coverage": [usage_oracle.covered(account, region, "DescribeImages")]}
    assert asf.used_by(frames_of(rows))["reason"].to_list() == ["AWS sent no ARN of the image"]


# the sandbox's estate


@pytest.fixture(scope="module")
def everything() -> asf.Frames:
    """Drain the three accounts of the sandbox with all operations."""
    with asf.sandbox() as box:
        found = [asf.targets(session=box.session(account), regions=box.regions) for account in box.accounts]
        return asf.drain_targets([each for some in found for each in some], include="all", progress=False)


@pytest.mark.slow
def test_a_shared_image_s_users_are_found_across_accounts(everything: asf.Frames) -> None:
    """The owner's row shows the other account's fleet once, and with whom it is shared."""
    users = of(everything, "medical-imaging-2026Q1")
    seen = users[["account", "kind", "user_account", "user_name"]].astype(object)
    assert seen.where(seen.notna(), None).to_numpy().tolist() == [
        ["444455556666", "account", "111122223333", None],
        ["444455556666", "account", "888899990000", None],
        ["444455556666", "fleet", "111122223333", "imaging-test"],
    ]


@pytest.mark.parametrize(
    ("fleet", "image", "reason"),
    [
        ("kiosk-entrance", None, "retired by AWS"),
        ("cad-trial", None, "share withdrawn, or deleted by its owner 777788889999"),
        ("teaching-golden", "golden-win2022-20260905", "share withdrawn"),
        ("support-desk", "support-desk-v32", None),  # AWS sent its image's name only
        ("finance-prod", "Finance-Desktop-2026-10", None),
    ],
)
def test_a_fleet_whose_image_is_not_listed_says_why(
    everything: asf.Frames, fleet: str, image: str | None, reason: str | None
) -> None:
    """An image that the fleet's account does not list any more has a reason; its name stays where another one lists it."""
    users = asf.used_by(everything)
    (row,) = users[users["user_name"] == fleet].to_dict("records")
    assert (None if pd.isna(row["image_name"]) else row["image_name"]) == image
    assert (reason is None and pd.isna(row["reason"])) or row["reason"].startswith(reason)


def test_a_fleet_has_its_stacks_and_instances(everything: asf.Frames) -> None:
    """Stacks come as a tuple of names, in order."""
    (row,) = (
        of(everything, "Finance-Desktop-2026-10")
        .query("kind == 'fleet' and user_name == 'finance-prod'")
        .to_dict("records")
    )
    assert (row["stacks"], row["running_instances"], row["state"]) == (("finance", "office"), 40, "RUNNING")


def test_images_that_nobody_uses_can_be_deleted(everything: asf.Frames) -> None:
    """A version that its fleet has left is unused and deletable; a shared one is in use."""
    usage = asf.usage(everything).set_index("name")
    assert usage.loc["Procurement-Desktop-2026-08", ["verdict", "deletable"]].to_list() == ["unused", True]
    assert usage.loc["win2019-legacy-erp", "verdict"] == "in_use"
    assert set(usage.loc["golden-win2022-20260905", "verdict"]) == {"in_use"}


@pytest.mark.parametrize("table", ["fleets", "image_builders"])
def test_a_table_that_was_left_out_says_nothing_of_its_rows(everything: asf.Frames, table: str) -> None:
    """Coverage may say that fleets were read: without their table nobody knows what they stand on."""
    left_out = asf.Frames({name: rows for name, rows in everything.tables.items() if name != table})
    usage = asf.usage(left_out)
    assert (set(usage["verdict"]), usage["deletable"].any()) == ({"in_use", "unknown"}, False)


def test_images_alone_leave_everything_unknown() -> None:
    """Without fleets in the coverage nothing is unused; what other images stand on is in use all the same."""
    with asf.sandbox() as box:
        usage = asf.usage(asf.drain(box.client()))
    assert set(usage["verdict"]) == {"in_use", "unknown"}
    assert not usage["deletable"].any()
    assert (
        usage.loc[usage["verdict"] == "unknown", "reason"].str.contains("DescribeFleets was not read|its owner").all()
    )


@pytest.mark.parametrize("answer", [asf.used_by, asf.usage])
def test_what_is_no_frames_is_refused(answer: Any) -> None:
    """The error says what to pass."""
    with pytest.raises(asf.RequestError, match="frames is a DataFrame, expected Frames"):
        answer(pd.DataFrame())


@pytest.mark.parametrize("answer", [asf.used_by, asf.usage])
def test_no_images_have_a_typed_answer(answer: Any, everything: asf.Frames) -> None:
    """Empty tables give no rows, with the dtypes of a full answer."""
    empty = asf.Frames({name: table.iloc[:0] for name, table in everything.tables.items()})
    assert answer(empty).dtypes.equals(answer(everything).dtypes)
    assert len(answer(empty)) == 0
