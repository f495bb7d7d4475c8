"""Draining straight into a snapshot: what is read back is what a drain in memory gives."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.faultserver import UNCLOSED, Fault, FaultServer, body, error, identity, image, linked_pages
from support.marks import TABLES

import appstream_frames as asf

pytestmark = UNCLOSED
MOMENTS = ["snapshot", "started_at", "ended_at"]


def timeless(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=MOMENTS, errors="ignore").reset_index(drop=True)


def same(taken: asf.Frames, drained: list[asf.Frames]) -> None:
    """Hold what was read back against the drains of the same targets."""
    for name in taken.tables:
        expected = pd.concat([timeless(frames.tables[name]) for frames in drained], ignore_index=True)
        pd.testing.assert_frame_equal(
            timeless(taken.tables[name]), expected.astype(timeless(taken.tables[name]).dtypes)
        )


def named(account: str) -> Fault:
    """Return what STS answers for an account."""
    return body(identity(account), kind="text/xml")


def repeated() -> dict[str | None, dict[str, Any]]:
    """Return two pages of which the second sends some images of the first again, with other applications."""
    again = [image(number, Applications=[{"Name": "newer"}], Description="newer") for number in (3, 7, 7)]
    return {
        None: {"Images": [image(number) for number in range(130)], "NextToken": "second"},
        "second": {"Images": [*again, image(200)]},
    }


def test_one_target_reads_back_as_its_drain(box: asf.sandbox, root: Path) -> None:
    """Every value and dtype of every table is what drain gives, moments aside."""
    asf.take_snapshot(root, box.client())
    same(asf.read_snapshot(root), [asf.drain(box.client())])


@pytest.mark.slow
def test_several_targets_read_back_as_their_drains(box: asf.sandbox, root: Path) -> None:
    """Accounts × regions come one after another."""
    where = [box.client(account, region) for account in box.accounts for region in box.regions]
    asf.take_snapshot(root, where)
    same(asf.read_snapshot(root), [asf.drain(client) for client in where])


def test_one_moment_is_on_every_row(box: asf.sandbox, root: Path) -> None:
    """Rows of all targets carry the snapshot's moment, which is that of its id."""
    name = asf.take_snapshot(root, [box.client(region=region) for region in box.regions])
    moments = {moment for frame in asf.read_snapshot(root).tables.values() for moment in frame["snapshot"].unique()}
    assert {f"{moment:%Y%m%dT%H%M%S.%f}Z" for moment in moments} == {name.partition("-")[0]}


def test_the_choice_of_images_is_passed_on(box: asf.sandbox, root: Path) -> None:
    """`type` chooses as it does for drain."""
    asf.take_snapshot(root, box.client(), type="PRIVATE")
    same(asf.read_snapshot(root), [asf.drain(box.client(), type="PRIVATE")])


def test_max_items_are_of_each_target(box: asf.sandbox, root: Path) -> None:
    """Each is limited as a drain of it is, in pages of the size that was given."""
    clients, limits = [box.client(region=region) for region in box.regions[:2]], {"max_items": 3, "page_size": 2}
    asf.take_snapshot(root, clients, **limits)
    taken = asf.read_snapshot(root)
    same(taken, [asf.drain(client, **limits) for client in clients])
    assert taken.coverage[["status", "pages"]].values.tolist() == [["limited", 2]] * 2


def test_redacted_columns_are_null(box: asf.sandbox, root: Path) -> None:
    """A redacted column holds nothing, whichever batch a row came in."""
    asf.take_snapshot(root, [box.client(region=region) for region in box.regions], redact=["launch_parameters"])
    assert asf.read_snapshot(root).applications["launch_parameters"].isna().all()


def test_no_image_at_all_is_a_snapshot(root: Path) -> None:
    """A complete drain of nothing is whole, with all columns."""
    with FaultServer({None: {"Images": []}}) as server:
        asf.take_snapshot(root, server.client())
    assert asf.read_snapshot(root).coverage["status"].to_list() == ["complete"]
    assert asf.verify(root).empty


def test_an_image_sent_again_counts_as_it_was_sent_first(root: Path) -> None:
    """The first row stays, with its children, as in a drain in memory."""
    with FaultServer(repeated()) as server:
        asf.take_snapshot(root, server.client())
        same(asf.read_snapshot(root), [asf.drain(server.client())])
    applications = asf.read_snapshot(root).applications
    assert not (applications["name"] == "newer").any()


def test_images_sent_again_are_counted(root: Path) -> None:
    """Coverage says how many duplicates there were, and how many rows are left."""
    with FaultServer(repeated()) as server:
        asf.take_snapshot(root, server.client())
    row = asf.read_snapshot(root).coverage.iloc[0]
    assert row["rows"] == 131
    assert row["duplicates"] == asf.read_snapshot(root).coverage["duplicates"].item() > 0


def test_nothing_staged_is_left(root: Path) -> None:
    """Only the files of the four tables are there."""
    with FaultServer(repeated()) as server:
        name = asf.take_snapshot(root, server.client())
    seen = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "README.txt")
    assert seen == sorted([*TABLES, *(f"{table}/{name}.parquet" for table in TABLES)])


def test_the_same_image_in_two_targets_stays_in_both(root: Path) -> None:
    """An ARN identifies an image within its account and region only."""
    with FaultServer() as server, FaultServer(sts=named("999999999999")) as other:
        asf.take_snapshot(root, [server.client(), other.client()])
    assert asf.read_snapshot(root).images.groupby("account").size().to_list() == [9, 9]


def test_a_failing_target_is_a_row_and_the_others_are_whole(root: Path) -> None:
    """Its coverage says status, code and message; the others are complete."""
    with ExitStack() as servers:
        faults = (None, error("AccessDeniedException"), None)
        made = [FaultServer(fault=fault, at=1, sts=named(f"{n:012}")) for n, fault in enumerate(faults)]
        asf.take_snapshot(root, [servers.enter_context(server).client() for server in made], timeout=5)
    coverage = asf.read_snapshot(root).coverage
    assert coverage["status"].to_list() == ["complete", "denied", "complete"]
    assert coverage["error_code"].fillna("").to_list() == ["", "AccessDeniedException", ""]
    assert "said the service" in coverage["error_message"].iloc[1]
    assert coverage["rows"].to_list()[::2] == [9, 9]


def test_coverage_counts_the_rows_that_are_there(root: Path) -> None:
    """Also of a target that failed after some batches: no row is uncounted, none is promised."""
    pages = linked_pages(4, 130)
    bad = FaultServer(pages, fault=error("AccessDeniedException"), at=3)
    with bad, FaultServer(sts=named("999999999999")) as good:
        asf.take_snapshot(root, [bad.client(), good.client()], timeout=5)
    frames = asf.read_snapshot(root)
    assert frames.coverage["rows"].sum() == len(frames.images)


def test_a_target_that_fails_midway_keeps_its_validated_pages(root: Path) -> None:
    """What the resume token has passed is in the tables, so that going on from it gives each image once."""
    bad = FaultServer(linked_pages(4, 3), fault=error("AccessDeniedException"), at=3)
    with bad, FaultServer(sts=named("999999999999")) as good:
        asf.take_snapshot(root, [bad.client(), good.client()], timeout=5)
        bad.fault = None
        (row,) = asf.read_snapshot(root).incomplete.to_dict("records")
        rest = asf.drain(bad.client(), starting_token=row["resume_token"], progress=False).images
    assert (row["rows"] + len(rest), row["rows"] > 0) == (12, True)


def test_nothing_is_written_when_every_target_fails(root: Path) -> None:
    """The first failure is raised, and no file or folder is left."""
    made = [FaultServer(fault=error("AccessDeniedException"), sts=named(f"{n:012}")) for n in range(2)]
    with made[0], made[1], pytest.raises(asf.AccessError, match="said the service"):
        asf.take_snapshot(root, [server.client() for server in made], timeout=5)
    assert not root.exists()


def test_a_target_given_twice_is_refused(box: asf.sandbox, root: Path) -> None:
    """Two clients of one account and region would take each other's images."""
    with pytest.raises(asf.RequestError, match=r"are both 012345678901/\S+, and its images would count twice"):
        asf.take_snapshot(root, [box.client(), box.client()])
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_no_target_is_refused(root: Path) -> None:
    """An empty list is no wish for a snapshot of nothing."""
    with pytest.raises(asf.RequestError, match="targets is empty"):
        asf.take_snapshot(root, [])
    assert not root.exists()
