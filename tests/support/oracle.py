"""What diff, timeline and trend should say, found by loops over plain rows; shares no code with the package."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from typing import Any

Row = dict[str, Any]
World = dict[str, list[Row]]

NOISE = {"snapshot", "icon_url", "position"}
OWN = {"images": [], "applications": ["name"], "errors": ["error_code", "error_message"]}
SHOWN = {
    "images": ["arn", "name"],
    "applications": ["image_arn", "image_name", "name", "position"],
    "errors": ["image_arn", "image_name", "position", "error_code"],
}


def question(request: str | None) -> Any:
    """Return what a request asked for."""
    paging = ("PageSize", "MaxItems", "StartingToken")
    return None if request is None else [pair for pair in json.loads(request).items() if pair[0] not in paging]


def image_of(row: Row) -> str | None:
    """Return what an image is known by."""
    prefix = "image_" if "image_name" in row else ""
    return row[f"{prefix}name"] if row[f"{prefix}arn"] is None else row[f"{prefix}arn"]


def compared(before: World, after: World) -> set[tuple[str, str]]:
    """Return the targets that may be compared."""
    sides = [{(row["account"], row["region"]): row for row in world["coverage"]} for world in (before, after)]
    found = set()
    for target, row in sides[0].items():
        other = sides[1].get(target)
        whole = other and row["status"] == other["status"] == "complete"
        if whole and question(row["request"]) == question(other["request"]):
            found.add(target)
    return found


def keyed(world: World, table: str, targets: set[tuple[str, str]]) -> dict[Any, Row]:
    """Return the rows of some targets by what tells them apart."""
    found: dict[Any, Row] = {}
    for row in sorted(world[table], key=lambda row: row.get("position", 0)):
        if (row["account"], row["region"]) in targets:
            key = (row["account"], row["region"], image_of(row), *(row[name] for name in OWN[table]))
            turn = 0
            while (key, turn) in found:
                turn += 1
            found[key, turn] = row
    return found


def text(value: Any) -> str | None:
    """Return a value as a diff writes it."""
    if value is None or isinstance(value, str):
        return value
    return iso(value) if isinstance(value, dt.datetime) else dumped(value)


def dumped(value: Any) -> str:
    """Return short JSON, keys in order."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=iso)


def iso(moment: dt.datetime) -> str:
    """Return a moment as a diff writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def differences(before: World, after: World, table: str) -> Counter[tuple[Any, ...]]:
    """Return the rows of a diff, in no order; JSON objects with their keys in order."""
    targets = compared(before, after)
    old, new = keyed(before, table, targets), keyed(after, table, targets)
    found: Counter[tuple[Any, ...]] = Counter()
    for key in {**old, **new}:
        left, right = old.get(key), new.get(key)
        if table == "images" and left and right and rebuilt(left, right):
            found.update([listed(left, table, "removed"), listed(right, table, "added")])
        elif left and right:
            found.update(changes(left, right, table))
        else:
            found[listed(left, table, "removed") if left else listed(right or {}, table, "added")] += 1
    return found


def rebuilt(left: Row, right: Row) -> bool:
    """Return whether both moments of creation are known, and differ."""
    return None not in (left["created_time"], right["created_time"]) and left["created_time"] != right["created_time"]


def known_by(row: Row, table: str) -> tuple[Any, ...]:
    """Return what a row is shown with."""
    return tuple(row[name] for name in ["account", "region", *SHOWN[table]])


def listed(row: Row, table: str, change: str) -> tuple[Any, ...]:
    """Return the row of a diff for a thing that came or went."""
    besides = NOISE | {"account", "region"} | set(SHOWN[table])
    content = dumped({name: value for name, value in row.items() if name not in besides and value is not None})
    sides = (content, None) if change == "removed" else (None, content)
    return (*known_by(row, table), change, None, *sides)


def changes(left: Row, right: Row, table: str) -> list[tuple[Any, ...]]:
    """Return a row for each column in which a thing changed."""
    names = [name for name in left if name not in NOISE and left[name] != right[name]]
    return [(*known_by(left, table), "changed", name, text(left[name]), text(right[name])) for name in names]


def applied(before: World, difference: list[Row], table: str, targets: set[tuple[str, str]]) -> Counter[str]:
    """Return the rows after a diff: what was before, with every change made; as text, without what is no change."""
    rows = {known_by(row, table): dict(row) for row in before[table] if (row["account"], row["region"]) in targets}
    made = []
    for change in difference:
        if change["change"] == "added":
            made.append(
                {name: change[name] for name in ["account", "region", *SHOWN[table]]} | json.loads(change["after"])
            )
        elif change["change"] == "removed":
            del rows[known_by(change, table)]
        else:
            rows[known_by(change, table)][change["column"]] = change["after"]
    return Counter(plain(row) for row in [*rows.values(), *made])


def plain(row: Row) -> str:
    """Return a row as text, without what is no change; each value as text, so that a typed one equals its text."""
    return json.dumps({name: text(row[name]) for name in sorted(row) if name not in NOISE and row[name] is not None})


def lifetimes(worlds: list[World]) -> dict[Any, Row]:
    """Return when each image came and went."""
    found: dict[Any, Row] = {}
    for world in worlds:
        for row in world["images"]:
            key = row["account"], row["region"], image_of(row)
            life = found.setdefault(key, {"first_seen": row["snapshot"], "seen": [], "created": set()})
            life["seen"].append(row["snapshot"])
            life["created"] |= {row["created_time"]} - {None}
    for key, life in found.items():
        life["gone_by"] = gone_by(worlds, key[:2], life["seen"][-1])
    return found


def gone_by(worlds: list[World], target: tuple[str, str], last: dt.datetime) -> dt.datetime | None:
    """Return when a thing that was seen last at a moment was first known to be gone."""
    asked = None
    for world in worlds:
        for row in world["coverage"]:
            if (row["account"], row["region"]) != target:
                continue
            if row["snapshot"] == last:
                asked = question(row["request"])
            later = row["snapshot"] > last and row["status"] == "complete"
            if later and question(row["request"]) in ([], asked):
                return row["snapshot"]
    return None


def counts(worlds: list[World], moments: list[dt.datetime], by: list[str]) -> dict[Any, int | None]:
    """Return the number of images by moment and value; None where it is not known."""
    latest: dict[tuple[str, str], Any] = {}
    for world in worlds:
        for row in world["coverage"]:
            if row["status"] == "complete":
                latest[row["account"], row["region"]] = question(row["request"])
    found: dict[Any, int | None] = {}
    for value in {tuple(row[name] for name in by) for world in worlds for row in world["images"]}:
        for world, moment in zip(worlds, moments, strict=True):
            relevant = {target for target in latest if matters(target, dict(zip(by, value, strict=True)))}
            needed = set(relevant)
            for row in world["coverage"]:
                target = row["account"], row["region"]
                if row["status"] == "complete" and question(row["request"]) == latest[target]:
                    needed.discard(target)
            number = sum(tuple(row[name] for name in by) == value for row in world["images"])
            found[moment, value] = None if needed or not relevant else number
    return found


def matters(target: tuple[str, str], value: dict[str, Any]) -> bool:
    """Return whether a target can have rows of a value."""
    return value.get("account", target[0]) == target[0] and value.get("region", target[1]) == target[1]
