"""Small invented snapshots as plain rows: two targets, few images, with every kind of change; and the way to `Frames`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

import appstream_frames as asf
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.schema import list_tables

Rows = list[dict[str, Any]]
World = dict[str, Rows]  # table -> rows, and one snapshot's moment on each of them

TARGETS = (("012345678901", "eu-west-1"), ("111122223333", "us-east-1"))
ASKED = ("{}", '{"PageSize": 25}', '{"MaxItems": 900}', '{"Type": "PRIVATE"}', None)
START = dt.datetime(2026, 8, 31, tzinfo=dt.UTC)
CREATED = tuple(dt.datetime(2025, 1, day, 9, 30, 0, 125_000 * day, tzinfo=dt.UTC) for day in (1, 2))
TEXTS = st.sampled_from([None, "", "a", "é\n", '{"a": 1}', "null", "true"])
LISTS = st.sampled_from([None, [], ["GENERAL_PURPOSE"], ["COMPUTE", "GENERAL_PURPOSE"], ["GENERAL_PURPOSE", "COMPUTE"]])
MAPS = st.sampled_from([None, {}, {"a": None}, {"a": "1", "b": None}, {"b": None, "a": "1"}, {"a": "2"}])
FAILED = ("denied", "region_disabled", "no_endpoint", "bad_credentials", "throttled", "failed")


@st.composite
def worlds(draw: st.DrawFn, week: int = 0, *, sound: bool = False) -> World:
    """Draw one snapshot; when it is `sound`, every target is complete and was asked everything."""
    world: World = {name: [] for name in ("images", "applications", "errors", "coverage")}
    moment = START + dt.timedelta(weeks=week)
    for account, region in TARGETS:
        key = {"snapshot": moment, "account": account, "region": region}
        if sound or draw(st.integers(0, 9)):
            status = "complete" if sound else draw(st.sampled_from(["complete"] * 8 + ["denied", "limited"]))
            request = "{}" if sound else draw(st.sampled_from(["{}"] * 9 + list(ASKED)))
            world["coverage"].append(key | {"operation": "DescribeImages", "status": status, "request": request})
            for label in "abc":
                if draw(st.integers(0, 3)):
                    _add(draw, world, key, label)
    return {name: draw(st.permutations(rows)) for name, rows in world.items()}


def _add(draw: st.DrawFn, world: World, key: dict[str, Any], label: str) -> None:
    arn = None if label == "c" else f"arn:aws:appstream:{key['region']}:{key['account']}:image/{label}"
    image = {
        "arn": arn,
        "name": label,
        "description": draw(TEXTS),
        "created_time": draw(st.sampled_from([None, *CREATED, CREATED[0]])),
        "image_shared_with_others": draw(st.sampled_from([None, True, False])),
        "supported_instance_families": draw(LISTS),
        "unmodeled": draw(st.sampled_from([None, '{"New":1}'])),
    }
    world["images"].append(key | image)
    above = {"image_arn": arn, "image_name": label}
    for position, name in enumerate(draw(st.lists(st.sampled_from(["x", "y", None]), max_size=3))):
        icon = draw(st.sampled_from(["https://i.example/1.png", "https://i.example/2.png"]))
        row = {"position": position, "name": name, "icon_url": icon, "metadata": draw(MAPS), "platforms": draw(LISTS)}
        world["applications"].append(key | above | row | {"enabled": draw(st.booleans())})
    for position, code in enumerate(draw(st.lists(st.sampled_from(["E", "F", None]), max_size=2))):
        row = {"position": position, "error_code": code, "error_message": draw(st.sampled_from(["m", None]))}
        world["errors"].append(key | above | row | {"error_timestamp": draw(st.sampled_from([None, *CREATED]))})


@st.composite
def series(draw: st.DrawFn) -> list[World]:
    """Draw up to four snapshots, a week apart, each of at least one target."""
    return [draw(worlds(week).filter(lambda world: world["coverage"])) for week in range(draw(st.integers(1, 4)))]


def frames_of(world: World) -> Frames:
    """Return a snapshot's rows as frames, all columns of the model included."""
    tables = {name: list_tables()[name].schema for name in world}
    made = {name: pa.Table.from_pylist([_typed(row) for row in world[name]], schema=tables[name]) for name in tables}
    return Frames({name: to_pandas(table) for name, table in made.items()})


def sorted_world(world: World) -> World:
    """Return a world whose rows come target after target, as a drain returns them, and each target asked something."""
    order = [(row["account"], row["region"]) for row in world["coverage"]]
    asked = [{**row, "request": row["request"] or "{}"} for row in world["coverage"]]
    rows = {
        name: sorted(
            (r for r in table if (r["account"], r["region"]) in order),
            key=lambda r: order.index((r["account"], r["region"])),
        )
        for name, table in world.items()
    }
    return {**rows, "coverage": asked}


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in row.items()}


def one(**members: Any) -> World:
    """Return a snapshot of one complete target with one image."""
    key = {"snapshot": START, "account": TARGETS[0][0], "region": TARGETS[0][1]}
    image = {"arn": "arn:aws:appstream:eu-west-1:012345678901:image/a", "name": "a", "created_time": CREATED[0]}
    coverage = key | {"status": "complete", "request": json.dumps({})}
    return {"images": [key | image | members], "applications": [], "errors": [], "coverage": [coverage]}


def moment(week: int) -> dt.datetime:
    return START + dt.timedelta(weeks=week)


def written(root: Path, *worlds: World) -> Path:
    """Write one snapshot a week."""
    for week, world in enumerate(worlds):
        asf.write_snapshot(frames_of(world).relabel(moment(week)), root)
    return root


def with_status(world: World, status: str = "denied", **members: Any) -> World:
    """Return a snapshot whose target was not read whole, or was asked something else."""
    return world | {"coverage": [row | {"status": status} | members for row in world["coverage"]]}
