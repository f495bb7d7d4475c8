"""When an image last had a user, over the snapshots of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.worlds import CREATED, START, World, frames_of, moment, one

import appstream_frames as asf

KEY = {"snapshot": START, "account": "012345678901", "region": "eu-west-1"}
ARN = one()["images"][0]["arn"]
FLEET = {"name": "f", "arn": "arn:aws:appstream:eu-west-1:012345678901:fleet/f", "image_arn": ARN}


def night(*fleets: dict[str, Any], status: str = "complete", **members: Any) -> World:
    """Return a snapshot of one image that its owner shares with nobody, and some fleets, read with the given status."""
    members = {"owner": KEY["account"], "image_shared_with_others": False, "visibility": "PRIVATE"} | members
    read = [("DescribeImages", "complete"), ("DescribeFleets", status), ("DescribeImageBuilders", "complete")]
    coverage = [KEY | {"operation": name, "status": ended, "request": "{}"} for name, ended in read]
    rows = {"fleets": [KEY | fleet for fleet in fleets], "image_builders": [], "coverage": coverage}
    return one(**members) | rows


def judge(root: Path, *nights: World) -> pd.Series:
    """Write all nights but the last, and return what is said of its image."""
    for week, world in enumerate(nights[:-1]):
        asf.write_snapshot(frames_of(world).relabel(moment(week)), root)
    frames = frames_of(nights[-1]).relabel(moment(len(nights) - 1))
    return asf.usage(frames, history=root).iloc[0]


def test_an_image_in_use_was_used_now(root: Path) -> None:
    """What has a user has it at the moment of the frames."""
    assert judge(root, night(), night(FLEET))["last_used"] == moment(1)


def test_the_last_snapshot_with_a_user_counts(root: Path) -> None:
    """An image that fell out of use says when it last had a user, not when it first had one."""
    judged = judge(root, night(FLEET), night(FLEET), night(), night())
    assert (judged["verdict"], judged["last_used"]) == ("unused", moment(1))


def test_an_image_that_never_had_a_user_was_never_used(root: Path) -> None:
    """Null, whatever was read."""
    assert pd.isna(judge(root, night(), night())["last_used"])


def test_a_user_of_an_earlier_build_does_not_count(root: Path) -> None:
    """The same ARN built anew has not been used since."""
    judged = judge(root, night(FLEET), night(created_time=moment(0) + pd.Timedelta(days=1)))
    assert pd.isna(judged["last_used"])


def test_an_unread_night_says_nothing(root: Path) -> None:
    """A night on which fleets were denied neither hides nor invents a user."""
    assert judge(root, night(FLEET), night(status="denied"), night())["last_used"] == moment(0)


def test_a_redacted_base_leaves_an_unused_image_unknown(root: Path) -> None:
    """What was built on it may be among the images whose base was left out."""
    asf.write_snapshot(frames_of(night()), root, redact=["base_image_arn"])
    judged = asf.usage(asf.read_snapshot(root)).iloc[0]
    assert (judged["verdict"], judged["deletable"]) == ("unknown", False)
    assert "is redacted" in judged["reason"]


def test_later_snapshots_do_not_count(root: Path) -> None:
    """The history of an old snapshot ends with it."""
    asf.write_snapshot(frames_of(night(FLEET)).relabel(moment(1)), root)
    asf.write_snapshot(frames_of(night()).relabel(moment(0)), root)
    assert pd.isna(asf.usage(asf.read_snapshot(root, asf.list_snapshots(root)["id"][0]), history=root)["last_used"][0])


def test_without_a_history_there_is_no_such_column() -> None:
    """Nothing is claimed that was not looked at."""
    assert "last_used" not in asf.usage(frames_of(night(created_time=CREATED[0])))


def test_a_history_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """An empty folder would read as never used."""
    with pytest.raises(asf.SnapshotNotFoundError):
        asf.usage(frames_of(night()), history=tmp_path)


def test_rows_may_have_any_index(root: Path) -> None:
    """Such as that of frames which the user put together by `pandas.concat`: the answer has it too."""
    frames = frames_of(night(FLEET))
    asf.write_snapshot(frames, root)
    twice = asf.Frames(
        {**frames.tables, "images": pd.concat([frames.images, frames.images.assign(arn=ARN[:-1] + "b")])}
    )
    judged = asf.usage(twice, history=root)
    assert list(judged.index) == [0, 0]
    assert judged["last_used"].notna().to_list() == [True, False]


def test_of_images_of_aws_alone_nothing_is_said(root: Path) -> None:
    """An account that owns none, and sees none that is shared, gives no row."""
    frames = frames_of(night(FLEET, owner=None, visibility="PUBLIC", arn="arn:aws:appstream:eu-west-1::image/a"))
    asf.write_snapshot(frames, root)
    assert list(asf.usage(frames, history=root)["last_used"]) == []
