"""Who uses the images: the tables that `include` names, read with the guarantees of images, and coverage for each operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from support.drains import statuses
from support.estates import everywhere, quiet

import appstream_frames as asf


def by_operation(frames: asf.Frames, column: str = "status") -> dict[str, Any]:
    """Return a column of coverage by operation."""
    return dict(zip(frames.coverage["operation"], frames.coverage[column], strict=True))


def test_images_alone_are_read_by_default(box: Any) -> None:
    """So that the least policy stays what it is."""
    frames = asf.drain(box.client())
    assert by_operation(frames) == {"DescribeImages": "complete"}


def test_everything_is_read(box: Any) -> None:
    """A row of coverage for each operation, and as many rows in its table as it says."""
    frames = asf.drain(box.client(), include="all")
    assert set(statuses(frames)) == {"complete"}
    tables = {each.name: each.table for each in operations()}
    assert by_operation(frames, "rows") == {name: len(frames.tables[table]) for name, table in tables.items()}
    assert len(frames.tables["fleets"]) > 0
    assert len(frames.tables["associations"]) > 0


def operations() -> list[Any]:
    from appstream_frames.tables.operations import OPERATIONS

    return list(OPERATIONS.values())


@pytest.mark.parametrize(
    ("include", "read"),
    [
        ("fleets", ["DescribeImages", "DescribeFleets"]),
        (["fleet_errors"], ["DescribeImages", "DescribeFleets"]),
        ("associations", ["DescribeImages", "DescribeStacks", "ListAssociatedFleets"]),
        (["permissions"], ["DescribeImages", "DescribeImagePermissions"]),
    ],
)
def test_a_table_brings_what_it_is_asked_about(box: Any, include: Any, read: list[str]) -> None:
    """Whatever has to be read first is read, and no more."""
    assert list(by_operation(asf.drain(box.client(), include=include))) == read


@pytest.mark.parametrize(
    ("include", "words"),
    [("fleet", "Did you mean 'fleets'"), ("ALL", "Did you mean 'all'"), (42, "the name of a table")],
)
def test_a_table_that_is_none_is_refused(box: Any, include: Any, words: str) -> None:
    """Before anything is sent."""
    with pytest.raises(asf.RequestError, match=words):
        asf.drain(box.client(), include=include)
    assert box.calls == 0


def test_shares_are_asked_for_each_own_shared_image(box: Any) -> None:
    """And for no other."""
    owner = box.accounts[1]
    frames = asf.drain(box.client(owner), include="permissions")
    shared = frames.images[
        frames.images["image_shared_with_others"].fillna(value=False) & (frames.images["owner"] == owner)
    ]
    assert by_operation(frames, "pages")["DescribeImagePermissions"] == len(shared) > 0
    assert set(frames.tables["permissions"]["image_arn"]) == set(shared["arn"])


def test_a_denied_operation_leaves_the_others(box: Any) -> None:
    """The images are whole, and coverage and a warning say what was denied."""
    box.fault(kind="denied", operation="DescribeFleets")
    with pytest.warns(UserWarning, match=r"DescribeFleets denied \(AccessDeniedException\)"):
        frames = asf.drain(box.client(), include=["fleets", "image_builders"])
    assert by_operation(frames) == {
        "DescribeImages": "complete",
        "DescribeFleets": "denied",
        "DescribeImageBuilders": "complete",
    }
    assert '"appstream:DescribeFleets"' in by_operation(frames, "error_message")["DescribeFleets"]
    assert len(frames.tables["fleets"]) == 0
    assert len(frames.tables["image_builders"]) > 0


def test_what_is_asked_by_rows_that_were_not_read_is_not_read(box: Any) -> None:
    """Without stacks their fleets are unknown, and not none."""
    box.fault(kind="denied", operation="DescribeStacks")
    with quiet():
        frames = asf.drain(box.client(), include="associations")
    assert by_operation(frames)["ListAssociatedFleets"] == "denied"


def test_a_row_without_a_name_is_not_passed_over(box: Any) -> None:
    """What cannot be asked is refused before it is sent, and coverage says so."""
    box.set_rows("DescribeStacks", [{"Arn": "arn:aws:appstream:eu-west-1:111122223333:stack/s"}])
    with quiet():
        frames = asf.drain(box.client(), include="associations")
    assert by_operation(frames)["ListAssociatedFleets"] == "failed"
    assert "has no name" in by_operation(frames, "error_message")["ListAssociatedFleets"]


def test_a_row_without_a_name_asks_for_nothing_else(box: Any) -> None:
    """FleetName is optional in AWS's model: without it, associations of any fleet would be taken for this one's."""
    box.set_rows(
        "DescribeFleets", [{"Arn": "arn:aws:appstream:eu-west-1:111122223333:fleet/f", "FleetType": "ELASTIC"}]
    )
    with quiet():
        frames = asf.drain(box.client(), include="application_fleet_associations")
    assert by_operation(frames)["DescribeApplicationFleetAssociations"] == "failed"
    assert "DescribeApplicationFleetAssociations" not in box.requests


def test_a_row_that_is_gone_is_no_mistake_of_the_caller_s(box: Any) -> None:
    """An image that is deleted before its shares are read fails these alone, and no parameter is to be corrected."""
    image = {"Name": "gone", "Arn": f"arn:aws:appstream:eu-west-1:{box.accounts[0]}:image/gone"}
    reply = {"Images": [image | {"ImageSharedWithOthers": "TRUE"}]}
    box.respond_with(lambda operation, *_: reply if operation == "DescribeImages" else None)
    with quiet():
        frames = asf.drain(box.client(), include="permissions")
    assert by_operation(frames) == {"DescribeImages": "complete", "DescribeImagePermissions": "failed"}
    assert "a row that was asked about is gone" in frames.coverage["error_message"].iloc[1]


@pytest.mark.slow
def test_an_endpoint_that_answered_is_not_a_wrong_region(box: Any) -> None:
    """Where the network goes down after the images, the other operations failed for it."""
    client = box.client(config=Config(retries={"total_max_attempts": 1}))
    client.meta.events.register("before-call.appstream.DescribeFleets", lambda **_: box.close())
    with quiet():
        frames = asf.drain(client, account=box.accounts[0], include="fleets", timeout=1)
    assert by_operation(frames) == {"DescribeImages": "complete", "DescribeFleets": "failed"}


def test_what_is_asked_about_filtered_rows_is_filtered(box: Any) -> None:
    """Shares of images that nobody asked for are not removed."""
    client = box.client(box.accounts[1])
    whole = asf.drain(client, include="permissions")
    some = asf.drain(client, include="permissions", type="PUBLIC")
    assert by_operation(some, "request")["DescribeImagePermissions"] == '{"Type": "PUBLIC"}'
    with pytest.warns(UserWarning, match="1 of 1 targets are not compared"):
        assert asf.diff(whole, some, "permissions").empty


def test_denied_images_fail_a_drain(box: Any) -> None:
    """Also when everything else could be read."""
    box.fault(kind="denied", operation="DescribeImages")
    with pytest.raises(asf.AccessError, match="DescribeImages"):
        asf.drain(box.client(), include="fleets")


@pytest.mark.slow
def test_targets_and_snapshots_have_the_same_tables(box: Any, root: Path) -> None:
    """By threads into frames and into a snapshot, in the order of targets and operations."""
    where = everywhere(box)[:3]
    frames = asf.drain_targets(where, include="all", progress=False)
    assert frames.coverage["operation"].to_list() == [each.name for each in operations()] * 3
    read = asf.read_snapshot(root, asf.take_snapshot(root, where, include="all", progress=False))
    assert {name: len(table) for name, table in read.tables.items()} == {
        name: len(table) for name, table in frames.tables.items()
    }


def test_a_target_of_which_something_failed_is_drained_again(box: Any) -> None:
    """Once, however many operations failed."""
    where = everywhere(box)[:3]
    for operation in ("DescribeFleets", "DescribeStacks"):
        box.fault(*where_of(box, 1), kind="denied", operation=operation)
    with quiet():
        frames = asf.drain_targets(where, include=["fleets", "stacks"], progress=False)
    assert frames.failed_targets == [where[1]]


def where_of(box: Any, number: int) -> tuple[str, str]:
    return box.accounts[0], box.regions[number]


def test_few_calls_are_made(box: Any) -> None:
    """One for each page, each stack, each shared image and each Elastic fleet."""
    before = box.calls
    frames = asf.drain(box.client(), account=box.accounts[0], include="all")
    assert box.calls - before == frames.coverage["pages"].sum()
    elastic = (frames.tables["fleets"]["fleet_type"] == "ELASTIC").sum()
    assert frames.coverage["pages"].sum() <= 12 + len(frames.tables["stacks"]) + elastic + len(
        frames.tables["permissions"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "reset", "server_error", "throttled"])
def test_a_bad_reply_to_any_operation_is_asked_for_again(box: Any, kind: str) -> None:
    """The pages of every operation are validated as those of images are."""
    whole = asf.drain(box.client(), include="all")
    for each in operations():
        box.fault(kind=kind, operation=each.name, times=1)
    frames = asf.drain(box.client(), include="all")
    assert set(statuses(frames)) == {"complete"}
    was_asked = frames.coverage["pages"] > 0
    assert (frames.coverage["retries"][was_asked] == 1).all()
    assert by_operation(frames, "rows") == by_operation(whole, "rows")


def test_an_operation_that_is_not_offered_is_said_to_be(box: Any) -> None:
    """It has a status of its own, and leaves the others."""
    box.fault(kind="not_offered", operation="DescribeAppBlocks")
    with quiet():
        frames = asf.drain(box.client(), include=["fleets", "app_blocks"])
    assert by_operation(frames) == {
        "DescribeImages": "complete",
        "DescribeFleets": "complete",
        "DescribeAppBlocks": "not_offered",
    }


def test_an_operation_that_is_refused_amid_its_pages_was_offered(box: Any) -> None:
    """So rows are missing, and it does not pass for one that has none."""
    box.fault(kind="not_offered", operation="ListAssociatedFleets", after=1)
    with quiet():
        frames = asf.drain(box.client(), include="associations")
    assert by_operation(frames)["ListAssociatedFleets"] == "failed"
    assert frames.incomplete["operation"].to_list() == ["ListAssociatedFleets"]


def test_a_drain_of_one_client_does_not_advise_what_it_has_not(box: Any) -> None:
    """Its frames know no targets that could be drained again."""
    box.fault(kind="denied", operation="DescribeFleets")
    with pytest.warns(
        UserWarning, match=r"DescribeFleets denied \(AccessDeniedException\)\. See frames\.coverage, and drain again\.$"
    ):
        frames = asf.drain(box.client(), include="fleets")
    assert frames.failed_targets == []
