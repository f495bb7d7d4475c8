"""What changed between two snapshots, against loops over plain rows; what is no change, and what is not compared."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.worlds import CREATED, START, TARGETS, World, frames_of, one, worlds

import appstream_frames as asf
from appstream_frames.history.changes import diff
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.frames import Frames

TABLES = ("images", "applications", "errors")


@contextmanager
def quiet() -> Any:
    """Let diff warn of what it leaves out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def listed(difference: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dicts, null as None."""
    frame = difference.astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def changes_between(before: World, after: World, table: str) -> list[dict[str, Any]]:
    with quiet():
        return listed(diff(frames_of(before), frames_of(after), table))


def as_counted(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Return rows in no order, JSON objects with their keys in order."""
    for row in rows:
        for side in ("before", "after"):
            if row["column"] is None and row[side] is not None:
                row[side] = oracle.dumped(json.loads(row[side]))
    return Counter(tuple(row.values()) for row in rows)


@pytest.mark.slow
@given(data=st.data())
def test_a_diff_is_what_loops_find(data: st.DataObject) -> None:
    """Any two snapshots, of any coverage, in any order of rows."""
    before, after = data.draw(worlds()), data.draw(worlds(1))
    for table in TABLES:
        assert as_counted(changes_between(before, after, table)) == oracle.differences(before, after, table)


@pytest.mark.slow
@given(data=st.data())
def test_applying_a_diff_gives_the_other_side(data: st.DataObject) -> None:
    """The rows before and the rows of the diff are enough to rebuild the rows after, noise aside."""
    before, after = data.draw(worlds()), data.draw(worlds(1))
    targets = oracle.compared(before, after)
    for table in TABLES:
        rebuilt = oracle.applied(before, changes_between(before, after, table), table, targets)
        wanted = [row for row in after[table] if (row["account"], row["region"]) in targets]
        assert rebuilt == Counter(oracle.plain(row) for row in wanted)


@pytest.mark.slow
@given(data=st.data())
def test_nothing_differs_from_itself(data: st.DataObject) -> None:
    """A snapshot beside itself, its rows in another order, has no changes."""
    world = data.draw(worlds())
    other = {name: data.draw(st.permutations(rows)) for name, rows in world.items()}
    assert [changes_between(world, other, table) for table in TABLES] == [[], [], []]


@given(data=st.data())
@pytest.mark.slow
def test_an_incomplete_target_removes_nothing(data: st.DataObject) -> None:
    """Whatever rows a target lacks that was not read whole, none of them is called removed."""
    before, after = data.draw(worlds(sound=True)), data.draw(worlds(1, sound=True))
    after["coverage"] = [row | {"status": "failed"} for row in after["coverage"]]
    assert [changes_between(before, after, table) for table in TABLES] == [[], [], []]


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_diff_has_all_types(table: str) -> None:
    """Columns and dtypes do not depend on what changed."""
    world = one()
    names = [*("account", "region"), *oracle.SHOWN[table], "change", "column", "before", "after"]
    made = diff(frames_of(world), frames_of(world), table)
    strings = {str(made[name].dtype) for name in names if name != "position"}
    assert (list(made.columns), len(made), strings) == (names, 0, {"str"})


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
def test_a_diff_is_in_order(table: str, data: st.DataObject) -> None:
    """By account, region, image, change and column."""
    rows = changes_between(data.draw(worlds(sound=True)), data.draw(worlds(1, sound=True)), table)
    shown = [[row[name] for name in [*oracle.SHOWN[table], "change", "column"]] for row in rows]
    keys = [
        [row["account"], row["region"], *((cell is None, cell or 0) for cell in cells)]
        for row, cells in zip(rows, shown, strict=True)
    ]
    assert keys == sorted(keys)


def test_a_rebuilt_image_is_removed_and_added() -> None:
    """The same ARN with another moment of creation is another image."""
    rows = changes_between(one(), one(created_time=CREATED[1], description="new"), "images")
    assert [(row["change"], json.loads(row["after"] or row["before"])["created_time"]) for row in rows] == [
        ("added", "2025-01-02T09:30:00.250000Z"),
        ("removed", "2025-01-01T09:30:00.125000Z"),
    ]


def test_a_moment_of_creation_that_got_known_is_no_rebuild() -> None:
    """From null to a value is a change of a column."""
    rows = changes_between(one(created_time=None), one(), "images")
    assert [(row["change"], row["column"], row["after"]) for row in rows] == [
        ("changed", "created_time", "2025-01-01T09:30:00.125000Z")
    ]


@pytest.mark.parametrize("noise", [{"icon_url": "https://i.example/2.png"}, {"position": 3}])
def test_noise_is_no_change(noise: dict[str, Any]) -> None:
    """An icon's URL is made anew, and a place in a list says nothing of the application."""
    key = {name: one()["images"][0][name] for name in ("snapshot", "account", "region")}
    app = key | {"image_arn": "a", "image_name": "a", "position": 0, "name": "x", "icon_url": "https://i.example/1.png"}
    assert changes_between(*(one() | {"applications": [row]} for row in (app, app | noise)), "applications") == []


def test_the_order_of_a_map_is_no_change() -> None:
    """A JSON object says the same in any order of its members."""
    key = {name: one()["images"][0][name] for name in ("snapshot", "account", "region")}
    app = key | {"image_arn": "a", "image_name": "a", "position": 0, "name": "x"}
    orders = {"a": "1", "b": None}, {"b": None, "a": "1"}
    assert (
        changes_between(*(one() | {"applications": [app | {"metadata": order}]} for order in orders), "applications")
        == []
    )


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [([["a"]], (("a",),), 0), ((("k", "a"), ("k", "b")), (("k", "b"),), 1), ((("a",),), (("b",),), 1)],
    ids=["a list and a tuple", "pairs that are no map", "tuples of one"],
)
def test_a_nested_column_of_one_s_own_is_compared_by_its_elements(before: Any, after: Any, changes: int) -> None:
    """What a snapshot gives back as tuples is the same, and a key that comes twice is not lost."""
    sides = [
        Frames({**frames.tables, "images": frames.images.assign(tags=pd.Series([value], dtype=object))})
        for frames, value in ((frames_of(one()), before), (frames_of(one()), after))
    ]
    assert len(diff(*sides)) == changes


def test_a_column_of_one_side_is_no_change() -> None:
    """When AWS adds a member, not every image has changed."""
    before, after = frames_of(one()), frames_of(one(description="text"))
    older = Frames({**before.tables, "images": before.images.drop(columns=["description", "created_time"])})
    assert len(diff(older, after)) + len(diff(after, older)) == 0


def test_a_column_that_no_model_knows_is_compared() -> None:
    """Both snapshots may have been taken with a newer boto3."""
    before, after = (frames_of(one()) for _ in range(2))
    newer = [
        Frames({**frames.tables, "images": frames.images.assign(newer=value)})
        for frames, value in ((before, 1), (after, 2))
    ]
    assert listed(diff(*newer))[0]["after"] == "2"


def test_the_page_size_is_no_other_question() -> None:
    """Targets are compared that were asked the same in other portions."""
    before, after = one(), one(description="text")
    after["coverage"][0]["request"] = '{"PageSize": 5}'
    assert len(diff(frames_of(before), frames_of(after))) == 1


def warned(before: World, after: World) -> str:
    with pytest.warns(UserWarning, match="not compared") as seen:
        assert len(diff(frames_of(before), frames_of(after))) == 0
    return str(seen[0].message)


def test_another_question_is_named() -> None:
    """What was asked otherwise is not compared, and the warning says so."""
    after = one(description="text")
    after["coverage"][0]["request"] = '{"Type": "PRIVATE"}'
    assert '012345678901/eu-west-1 (asked {} before and {"Type":"PRIVATE"} after)' in warned(one(), after).replace(
        ": ", ":"
    )


def test_an_incomplete_target_is_named() -> None:
    """With the status, and the side it has it on."""
    after = one()
    after["coverage"][0] |= {"status": "denied"}
    assert "012345678901/eu-west-1 (denied in after)" in warned(one(), after)


def test_a_missing_target_is_named() -> None:
    """A target that one side does not cover is not compared."""
    after = one()
    after["images"], after["coverage"] = [], [after["coverage"][0] | {"region": "us-east-1"}]
    assert "eu-west-1 (not in after), 012345678901/us-east-1 (not in before)" in warned(one(), after)


def test_the_warning_is_short() -> None:
    """Five targets are named, the others counted."""
    after = one()
    row = after["coverage"][0]
    after["coverage"] = [row, *(row | {"region": f"region-{number}"} for number in range(8))]
    with pytest.warns(UserWarning, match="8 of 9 targets.*, and 3 more"):
        diff(frames_of(one()), frames_of(after))


def test_the_warning_is_inert() -> None:
    """A region's name cannot act on a terminal."""
    after = one()
    after["coverage"][0]["region"] = "\x1b[31m"
    assert "\x1b" not in warned(one(), after)


def test_frames_stay_as_they_were() -> None:
    """Comparing changes neither side."""
    sides = [frames_of(one()), frames_of(one(description="text", created_time=CREATED[1]))]
    copies = [{name: table.copy(deep=True) for name, table in frames.tables.items()} for frames in sides]
    diff(*sides)
    assert all(
        frames.tables[name].equals(copy[name]) for frames, copy in zip(sides, copies, strict=True) for name in copy
    )


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((None, frames_of(one())), "before is a NoneType, expected Frames; pass Frames"),
        ((frames_of(one()), frames_of(one()).images), "after is a DataFrame, expected Frames; pass Frames"),
        ((Frames({}), frames_of(one())), "before holds no coverage; .* coverage included"),
        ((frames_of(one()), frames_of(one()), "coverage"), "Choose one of: images, applications, errors"),
        ((frames_of(one()), frames_of(one()), "image"), "no table 'image'"),
    ],
)
def test_a_mistake_is_explained(arguments: tuple[Any, ...], hint: str) -> None:
    """The message says what to pass."""
    with pytest.raises(asf.RequestError, match=hint):
        diff(*arguments)


def test_frames_without_an_arn_are_known_by_their_names() -> None:
    """Without either, nothing tells the rows apart, and the message says what is missing."""

    def leave_out(*columns: str) -> Frames:
        frames = frames_of(one())
        return Frames({**frames.tables, "images": frames.images.drop(columns=[*columns])})

    assert diff(leave_out("arn"), leave_out("arn")).empty
    with pytest.raises(asf.RequestError, match="images has neither arn nor name"):
        diff(leave_out("arn", "name"), leave_out("arn", "name"))


def test_many_rows_are_compared_in_any_order() -> None:
    """Long stretches and single rows are found alike: each thousandth image of ten thousand changed."""
    key = {"snapshot": START, "account": TARGETS[0][0], "region": TARGETS[0][1]}
    images = [
        key | {"arn": f"arn-{n:05}", "name": f"n{n}", "supported_instance_families": ["A"]} for n in range(10_000)
    ]
    before = frames_of(one() | {"images": images})
    changed = [
        row | {"supported_instance_families": ["A", "B"]} if n % 1000 == 500 else row for n, row in enumerate(images)
    ]
    after = frames_of(one() | {"images": [*changed[:200], *changed[300:]]})
    shuffled = Frames({**after.tables, "images": after.images.sample(frac=1, random_state=1)})
    assert diff(before, after).equals(diff(before, shuffled)), "the order matters"
    assert diff(before, after)["change"].value_counts().to_dict() == {"removed": 100, "changed": 10}


def test_nothing_in_memory_is_not_compared_with_nothing() -> None:
    """Two snapshots without a target have no changes, and nothing to warn of."""
    nothing = Frames({name: make_empty(name) for name in ("images", "applications", "errors", "coverage")})
    assert len(diff(nothing, nothing)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("redacted", [(), ("description",)])
def test_a_redacted_column_is_not_compared(root: Path, redacted: tuple[str, ...]) -> None:
    """Left out on either side, it is no change, and no added or removed row shows it."""
    asf.write_snapshot(frames_of(one(description="secret")).relabel("2026-01-01"), root, redact=redacted)
    asf.write_snapshot(frames_of(one(description="other") | {"images": []}).relabel("2026-01-02"), root)
    asf.write_snapshot(frames_of(one(description="other")).relabel("2026-01-03"), root, redact=redacted)
    sides = [asf.read_snapshot(root, name) for name in asf.list_snapshots(root)["id"]]
    shown = repr([listed(diff(one_, other)) for one_ in sides for other in sides])
    assert [text in shown for text in ("secret", "other")] == [not redacted] * 2


@pytest.mark.parametrize(("with_fleets", "sides"), [((), "before and after"), ((0,), "after"), ((1,), "before")])
def test_a_table_that_was_not_read_is_not_unchanged(with_fleets: tuple[int, ...], sides: str) -> None:
    """Nothing is listed, and a warning says which side lacks it, and what brings it."""
    without = frames_of(one())
    fleets = Frames({**without.tables, "fleets": make_empty("fleets")})
    with pytest.warns(UserWarning, match=f"fleets was not read in {sides}, so .* Drain with include='fleets'"):
        assert diff(*(fleets if side in with_fleets else without for side in (0, 1)), "fleets").empty


def test_a_fleet_that_moves_to_another_image_changes() -> None:
    """Tables of other operations are compared by what their own operation read."""
    key = {name: one()["images"][0][name] for name in ("snapshot", "account", "region")}
    coverage = [key | {"operation": "DescribeFleets", "status": "complete", "request": "{}"}]
    sides = [
        one() | {"fleets": [key | {"arn": "fleet/f", "name": "f", "image_arn": image}], "coverage": coverage}
        for image in ("image/a", "image/b")
    ]
    assert [(row["column"], row["before"], row["after"]) for row in changes_between(*sides, "fleets")] == [
        ("image_arn", "image/a", "image/b")
    ]


def test_a_denied_operation_removes_nothing() -> None:
    """Fleets that could not be read are not gone, though the images were read whole."""
    key = {name: one()["images"][0][name] for name in ("snapshot", "account", "region")}
    whole = {"operation": "DescribeFleets", "status": "complete", "request": "{}"}
    before = one() | {"fleets": [key | {"arn": "fleet/f", "name": "f"}], "coverage": [key | whole]}
    after = one() | {"fleets": [], "coverage": [key | whole | {"status": "denied"}]}
    with pytest.warns(UserWarning, match="denied in after"):
        assert len(diff(frames_of(before), frames_of(after), "fleets")) == 0
