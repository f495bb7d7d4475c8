"""Operations are declarations: whatever is declared is read, decoded, written, read back, compared and described."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from support import rebuild
from support.rebuild import canonical
from support.strangers import row

import appstream_frames as asf
from appstream_frames.tables.conversion import to_arrow
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.operations import OPERATIONS, Child, Operation
from appstream_frames.tables.schema import find_table, list_tables

#: Everything that has to be written for one more operation.
SUBSCRIPTIONS = Operation(
    "DescribeUsageReportSubscriptions",
    "usage_report_subscriptions",
    children=(Child("SubscriptionErrors", ("error_code", "error_message")),),
    resource=("s3_bucket_name",),
)
SENT = [
    {"S3BucketName": "reports", "Schedule": "DAILY", "LastGeneratedReportDate": 1_750_000_000.5},
    {"S3BucketName": "old", "SubscriptionErrors": [{"ErrorCode": "ACCESS_DENIED", "ErrorMessage": "no"}], "New": 1},
]


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch, box: asf.sandbox) -> asf.sandbox:
    """Return a sandbox that serves an operation which nothing but its declaration knows."""
    monkeypatch.setitem(OPERATIONS, SUBSCRIPTIONS.name, SUBSCRIPTIONS)
    box.set_rows(SUBSCRIPTIONS.name, SENT)
    box.page_size(1)
    return box


def test_a_declared_operation_is_drained(declared: asf.sandbox) -> None:
    """Its rows, its child rows, what the model does not know, and its row of coverage are there."""
    frames = asf.drain(declared.client(), include="usage_report_subscriptions", max_items=2)
    assert frames.usage_report_subscriptions["s3_bucket_name"].to_list() == ["reports", "old"]
    assert frames.usage_report_subscriptions["unmodeled"].to_list()[1] == '{"New":1}'
    errors = frames.usage_report_subscription_subscription_errors
    assert errors["usage_report_subscription_s3_bucket_name"].to_list() == ["old"]
    assert errors["error_code"].to_list() == ["ACCESS_DENIED"]
    assert frames.coverage.set_index("operation").loc[SUBSCRIPTIONS.name, "pages"] == 2


@pytest.mark.slow
def test_a_declared_operation_is_written_and_read(declared: asf.sandbox, tmp_path: Path) -> None:
    """Snapshots from memory and drained straight to Parquet hold its tables, and history reads them."""
    frames = asf.drain(declared.client(), include="usage_report_subscriptions")
    asf.write_snapshot(frames, tmp_path / "written")
    asf.take_snapshot(tmp_path / "taken", declared.client(), include="usage_report_subscriptions", progress=False)
    for root in ("written", "taken"):
        read = asf.read_snapshot(tmp_path / root).usage_report_subscriptions
        expected = frames.usage_report_subscriptions
        pd.testing.assert_frame_equal(read.drop(columns="snapshot"), expected.drop(columns="snapshot"))
        assert len(asf.read_history(tmp_path / root, "usage_report_subscriptions")) == 2
    assert asf.verify(tmp_path / "written").empty


@pytest.mark.slow
def test_a_declared_operation_is_compared(declared: asf.sandbox) -> None:
    """A diff knows its rows by what the declaration says."""
    before = asf.drain(declared.client(), include="usage_report_subscriptions")
    declared.set_rows(SUBSCRIPTIONS.name, [{**SENT[0], "Schedule": "WEEKLY"}, {"S3BucketName": "new"}])
    after = asf.drain(declared.client(), include="usage_report_subscriptions")
    found = asf.diff(before, after, "usage_report_subscriptions")
    assert sorted(zip(found["s3_bucket_name"], found["change"], strict=True)) == [
        ("new", "added"),
        ("old", "removed"),
        ("reports", "changed"),
    ]
    assert found.set_index("change").loc["changed", ["column", "before", "after"]].to_list() == [
        "schedule",
        "DAILY",
        "WEEKLY",
    ]


def test_a_declared_operation_is_described(declared: asf.sandbox) -> None:
    """The data dictionary has its columns, in AWS's words."""
    columns = asf.columns("usage_report_subscriptions").set_index("column")
    assert columns.loc["s3_bucket_name", "api_path"] == "UsageReportSubscriptions[].S3BucketName"


@pytest.mark.slow
@pytest.mark.parametrize("operation", [name for name, each in OPERATIONS.items() if each.parent is None])
def test_every_row_comes_through_a_drain_whole(box: asf.sandbox, operation: str) -> None:
    """Over real sockets and several pages, columns, child tables and `unmodeled` hold what was sent, for every operation."""
    random = Random(operation)
    arn = "arn:aws:appstream:eu-west-1:012345678901:x/{}"
    strange = [{**row(random, operation), "Arn": arn.format(number), "Name": str(number)} for number in range(30)]
    sent = json.loads(json.dumps(strange, ensure_ascii=False).encode("utf-8", "replace"))  # without lone surrogates
    box.set_rows(operation, sent)
    box.page_size(7)
    frames = asf.drain(box.client(), include=OPERATIONS[operation].table, timeout=5)
    made = {name: frames.tables[name] for name, table in list_tables().items() if table.operation == operation}
    assert [canonical(one, operation) for one in rebuilt(made)] == [canonical(one, operation) for one in sent]


def rebuilt(made: dict[str, pd.DataFrame]) -> list[Any]:
    """Return what AWS sent, from an operation's tables in pandas."""
    own, *children = made
    arrow = {name: to_arrow(table, name) for name, table in made.items()}
    arns = made[own]["arn"].to_list()
    return [
        rebuild.rebuilt(
            {
                own: arrow[own].slice(number, 1),
                **{
                    name: arrow[name].filter(made[name][find_table(name).resource[0]].eq(arn).to_numpy())
                    for name in children
                },
            }
        )
        for number, arn in enumerate(arns)
    ]


def test_rows_that_are_strings_come_through() -> None:
    """They are a column of text; what is none is kept in `unmodeled`."""
    key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1", {"stack_name": "s"})
    table = decode([json.dumps(text).encode() for text in ("a", "é", "a", 5)], key, "ListAssociatedFleets")[
        "associations"
    ]
    assert table.select(["stack_name", "fleet_name", "unmodeled"]).to_pylist() == [
        {"stack_name": "s", "fleet_name": "a", "unmodeled": None},
        {"stack_name": "s", "fleet_name": "é", "unmodeled": None},
        {"stack_name": "s", "fleet_name": None, "unmodeled": '{"Names":5}'},
    ]


def test_what_was_read_can_be_written_to(frames: asf.Frames, root: Path) -> None:
    """Columns of times too, whose memory pandas could share with Arrow, which is read-only."""
    asf.write_snapshot(frames, root)
    images = asf.read_snapshot(root).images
    for name in ("snapshot", "created_time"):
        images.loc[0, name] = pd.Timestamp("1999-12-31", tz="UTC")
    assert images.loc[0, ["snapshot", "created_time"]].dt.year.to_list() == [1999, 1999]
