"""A redacted column is gone from everywhere: tables, `unmodeled`, the request, also when it is read and written again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faultserver import UNCLOSED, FaultServer, image

import appstream_frames as asf
from appstream_frames.archive.redaction import Redaction
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.schema import COVERAGE, list_tables

pytestmark = UNCLOSED
SECRET = "canary-7731"
#: An image that says the secret as a redacted column's value, in each way that may be missed.
WAYS: dict[str, dict[str, Any]] = {
    "in its column": {"Applications": [{"Name": "a", "LaunchParameters": SECRET}]},
    "a number where text belongs": {"Applications": [{"Name": "a", "LaunchParameters": {"text": SECRET}}]},
    "a list of it": {"Applications": [{"Name": "a", "LaunchParameters": [SECRET]}]},
    "no object for the application": {"Applications": [{"Name": "a"}, SECRET]},
    "no list of applications": {"Applications": SECRET},
    "an application by itself": {"Applications": {"Name": "a", "LaunchParameters": SECRET}},
    "a member of the image": {"LaunchParameters": SECRET},
    "another spelling": {"launchParameters": SECRET, "Applications": [{"Name": "a", "launch_parameters": SECRET}]},
    "a key of a map": {"Applications": [{"Name": "a", "Metadata": {"LAUNCH_PARAMETERS": SECRET, "k": "v"}}]},
    "within what is unknown": {"NewThing": {"Deep": [{"LaunchParameters": SECRET}]}},
    "structures that spread": {"StateChangeReason": {"Message": [SECRET]}},
    "no structure at all": {"StateChangeReason": SECRET},
}
COLUMNS = ["launch_parameters", "state_change_reason_message"]


def rows_of(*images: dict[str, Any], request: str = "{}") -> asf.Frames:
    key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    tables = {
        name: to_pandas(table) for name, table in decode([json.dumps(each).encode() for each in images], key).items()
    }
    row = {"snapshot": key.snapshot, "account": key.account, "region": key.region, "operation": "DescribeImages"}
    coverage = pa.Table.from_pylist([{**row, "status": "complete", "request": request}], schema=COVERAGE.schema)
    return asf.Frames({**tables, "coverage": to_pandas(coverage)})


def said(root: Path) -> str:
    """Return all values of all tables that are read back, as text."""
    read = asf.read_snapshot(root)
    return " ".join(str(value) for table in read.tables.values() for value in table.to_numpy().ravel())


@pytest.mark.parametrize("way", WAYS)
def test_a_redacted_value_is_nowhere(root: Path, way: str) -> None:
    """Not where it did not fit, not under a name that the model does not know, and in no file's bytes."""
    frames = rows_of({"Name": "i", "Arn": "arn:i", **WAYS[way]})
    assert SECRET in " ".join(str(value) for table in frames.tables.values() for value in table.to_numpy().ravel())
    asf.write_snapshot(frames, root, redact=COLUMNS)
    assert SECRET not in said(root)
    assert [path for path in root.rglob("*.parquet") if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("table", ["images", "applications"])
def test_no_comparison_shows_what_one_side_redacted(root: Path, table: str) -> None:
    """Neither as changed nor in a row that was added or removed, whichever side still holds it; of images in all ways."""
    whole = rows_of(*({"Name": way, "Arn": f"arn:{way}", **image} for way, image in WAYS.items()))
    asf.write_snapshot(whole, root, redact=COLUMNS)
    redacted = asf.read_snapshot(root)
    none = asf.Frames({**redacted.tables, "images": redacted.images[:0], "applications": redacted.applications[:0]})
    for pair in ((whole, redacted), (redacted, whole), (whole, none), (none, whole)):
        assert [row for row in asf.diff(*pair, table).to_dict("records") if SECRET in repr(row)] == []


@pytest.mark.parametrize("name", ["status", "request", "operation", "rows", "started_at"])
def test_what_says_how_a_drain_ended_is_refused(root: Path, name: str) -> None:
    """Without its coverage a snapshot would be compared as if it had been read otherwise."""
    with pytest.raises(asf.RequestError, match=f"redact='{name}' says in coverage what was read.*Choose other columns"):
        asf.write_snapshot(rows_of({"Name": "i"}), root, redact=[name])
    assert not root.exists()


def test_what_is_not_redacted_stays(root: Path) -> None:
    """Other members of `unmodeled` are kept to the letter."""
    image = {"Name": "i", "Arn": "arn:i", "Color": [1.10, None], "New": {"LaunchParameters": SECRET, "Other": 1e400}}
    text = json.dumps(image).replace("Infinity", "1e400").replace("1.1", "1.10")
    key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    table = Redaction.of(["launch_parameters"]).apply(decode([text.encode()], key)["images"], "images")
    assert table.column("unmodeled").to_pylist() == ['{"Color":[1.10,null],"New":{"Other":1e400}}']


def test_what_nests_too_deep_to_be_searched_is_left_out(root: Path) -> None:
    """Nobody can tell whether it holds the value, and the snapshot is written all the same."""
    deep: dict[str, Any] = {"LaunchParameters": SECRET}
    for _ in range(600):
        deep = {"New": deep}
    frames = rows_of({"Name": "i", "Arn": "arn:i", **deep})
    assert SECRET in frames.images["unmodeled"].item()
    asf.write_snapshot(frames, root, redact=["launch_parameters"])
    assert len(asf.read_snapshot(root).images) == 1
    assert SECRET not in said(root)


NAMES = st.sampled_from(
    ["LaunchParameters", "launchParameters", "Applications", "StateChangeReason", "Message", "Other"]
)
VALUES = st.recursive(
    st.sampled_from([SECRET, "other", None, 7]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def leaks(value: Any) -> bool:
    """Tell whether a member called like a redacted column is anywhere in a JSON value."""
    if isinstance(value, dict):
        return any(name.lower() == "launchparameters" or leaks(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(leaks, value))


@given(value=st.dictionaries(NAMES, VALUES, max_size=4))
def test_no_member_of_that_name_is_left(value: dict[str, Any]) -> None:
    """Whatever is nested in whatever: nothing called so, and all the rest is there."""
    key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
    tables = decode([json.dumps({"Name": "i", "Arn": "arn:i", **value}).encode()], key)
    redaction = Redaction.of(["launch_parameters"])
    for name, table in tables.items():
        for text in redaction.apply(table, name).column("unmodeled").to_pylist():
            assert text is None or not leaks(json.loads(text))


@pytest.mark.parametrize(
    "name", ["name", "arn", "image_name", "image_arn", "position", "account", "error_code", "fleet_name"]
)
def test_a_column_that_identifies_rows_is_refused(root: Path, name: str) -> None:
    """Without it nothing could be compared, and the same value would stand in other tables."""
    with pytest.raises(asf.RequestError, match=f"redact='{name}' identifies the rows of"):
        asf.write_snapshot(rows_of({"Name": "i"}), root, redact=[name])
    assert not root.exists()


@pytest.mark.parametrize("redact", [None, 1, [["name"]]], ids=repr)
def test_what_are_no_columns_is_refused(root: Path, redact: Any) -> None:
    """In words, before anything is written."""
    with pytest.raises(asf.RequestError, match=r"redact=.* must be a column's name, or a list of names"):
        asf.write_snapshot(rows_of({"Name": "i"}), root, redact=redact)
    assert not root.exists()


def test_redaction_is_reported(root: Path) -> None:
    """Coverage and the list of snapshots name what was left out."""
    asf.write_snapshot(rows_of({"Name": "i"}), root, redact=COLUMNS)
    assert list(asf.read_snapshot(root).coverage["redacted"].item()) == COLUMNS
    assert list(asf.list_snapshots(root)["redacted"].item()) == COLUMNS


def test_redaction_outlives_being_read_and_written_again(root: Path, tmp_path: Path) -> None:
    """A copy of a redacted snapshot is as redacted, and says so, together with what is redacted then."""
    asf.write_snapshot(rows_of({"Name": "i", "LaunchParameters": SECRET, "Description": "d"}), root, redact=COLUMNS)
    asf.write_snapshot(asf.read_snapshot(root), tmp_path / "copy", redact=["description"])
    copy = asf.read_snapshot(tmp_path / "copy")
    assert list(copy.coverage["redacted"].item()) == sorted([*COLUMNS, "description"])
    assert copy.images["description"].isna().all()
    assert SECRET not in said(tmp_path / "copy")


def test_a_request_does_not_repeat_it(root: Path) -> None:
    """A parameter that is called like a redacted column is left out of what coverage says of the request."""
    frames = rows_of({"Name": "i"}, request=json.dumps({"Type": "PRIVATE", "Descriptions": [SECRET]}))
    asf.write_snapshot(frames, root, redact=["description"])
    assert asf.read_snapshot(root).coverage["request"].item() == '{"Type":"PRIVATE"}'


def test_a_member_beside_the_rows_is_left_out(root: Path) -> None:
    """Coverage keeps what a reply holds besides its rows, and there it may stand too."""
    with FaultServer({None: {"Images": [image(1)], "LaunchParameters": SECRET}}) as server:
        frames = asf.drain(server.client())
        asf.take_snapshot(root, server.client(), redact=["launch_parameters"])
    assert SECRET in frames.coverage["unmodeled"].item()
    assert SECRET not in said(root)


@pytest.fixture
def repeating() -> Iterator[FaultServer]:
    """Return a server that sends an image twice, with values that fit no column."""
    sent = [image(1, LaunchParameters=SECRET, Description=[SECRET]), image(1, LaunchParameters=SECRET), image(2)]
    with FaultServer({None: {"Images": sent}}) as server:
        yield server


def test_a_drain_straight_into_a_snapshot_is_redacted_too(repeating: FaultServer, root: Path) -> None:
    """And what was sent twice counts as it does without redaction."""
    asf.take_snapshot(root, repeating.client(), redact=["launch_parameters", "description"])
    coverage = asf.read_snapshot(root).coverage
    assert SECRET not in said(root)
    assert (coverage["rows"].item(), coverage["duplicates"].item()) == (2, 1)
    assert list(coverage["redacted"].item()) == ["description", "launch_parameters"]


def test_columns_of_tables_that_were_not_read_may_be_named(root: Path) -> None:
    """One list of columns serves drains of more and of fewer tables."""
    assert "vpc_config_subnet_ids" in list_tables()["fleets"].schema.names
    asf.write_snapshot(rows_of({"Name": "i"}), root, redact=["vpc_config_subnet_ids"])
    assert len(asf.read_snapshot(root).images) == 1
