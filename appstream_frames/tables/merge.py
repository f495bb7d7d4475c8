"""Tables of several drains merged into one set, each operation of a target once: pure pandas."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import all_tables
from appstream_frames.text import printable

_READ = ("complete", "limited")
_IMAGES = "DescribeImages"  # what a table without an operation of its own goes with
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Part:
    """One set of tables, and the target of each row of coverage as far as they are known."""

    tables: Tables
    targets: Sequence[Hashable]

    def readings(self) -> list[_Reading]:
        """Return a reading per row of coverage."""
        rows = self.tables["coverage"].reset_index(drop=True)
        targets = self.targets or [None] * len(rows)
        operations = rows["operation"] if "operation" in rows else pd.Series(None, rows.index, dtype=object)
        return [
            _Reading(
                self,
                row.Index,
                target,
                _IMAGES if pd.isna(operation) else operation,
                None if pd.isna(row.account) else row.account,
                row.region,
                row.status,
                row.request,
            )
            for row, target, operation in zip(rows.itertuples(), targets, operations, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Reading:
    """One operation of one target, as one part read it."""

    part: Part
    row: int
    target: Hashable
    operation: str
    account: str | None
    region: str
    status: str
    request: str

    @property
    def location(self) -> str:
        return f"{self.account}/{self.region}"

    @property
    def keys(self) -> list[Hashable]:
        """What tells that two readings are of the same target: the target itself, or its account and region."""
        known_by = (self.target, self.account and self.location)
        return [(self.operation, key) for key in known_by if key is not None]


def merge_parts(parts: Sequence[Part]) -> tuple[dict[str, pd.DataFrame], tuple[Hashable, ...]]:
    """Return the tables of all parts, and the targets when all are known; a later reading replaces the earlier one.

    Raises
    ------
    RequestError
        When a target was read twice with different parameters, so that neither reading stands for both.
    """
    readings = _choose([reading for part in parts for reading in part.readings()])
    moment = parts[0].tables["coverage"]["snapshot"].iloc[0]
    coverage = pd.concat([each.part.tables["coverage"].iloc[[each.row]] for each in readings], ignore_index=True)
    names = dict.fromkeys(name for part in parts for name in part.tables if name != "coverage")
    tables = {name: _merge_table(name, parts, readings) for name in _in_order(names)} | {"coverage": coverage}
    targets = tuple(each.target for each in readings)
    stamped = {name: _stamp(table, moment) for name, table in tables.items()}
    return stamped, () if None in targets else targets


def _in_order(names: Mapping[str, None]) -> list[str]:
    order = {name: number for number, name in enumerate(all_tables())}
    return sorted(names, key=lambda name: order.get(name, len(order)))


def _choose(readings: Sequence[_Reading]) -> list[_Reading]:
    found: dict[int, _Reading] = {}
    by_key: dict[Hashable, int] = {}
    for number, reading in enumerate(readings):
        known = sorted({by_key[key] for key in reading.keys if key in by_key})
        first, *others = known or [number]
        for other in others:  # a target that had failed turns out to be an account and region that another one read
            found[first] = _better(found[first], found.pop(other))
            by_key |= {key: first for key, found_at in by_key.items() if found_at == other}
        found[first] = _better(found[first], reading) if known else reading
        by_key.update(dict.fromkeys(reading.keys, first))
    return list(found.values())


def _better(first: _Reading, later: _Reading) -> _Reading:
    if first.status not in _READ:
        return later
    if later.status not in _READ:
        return first
    if first.request != later.request:
        raise RequestError(
            f"{first.operation} of {printable(later.location)} was called with {printable(first.request, 200)} and then "
            f"with {printable(later.request, 200)}; merge takes different targets, or the same request made again. "
            "Join the tables with pandas.concat."
        )
    return later


def _merge_table(name: str, parts: Sequence[Part], readings: Sequence[_Reading]) -> pd.DataFrame:
    """Return the rows of one table that belong to the readings, in their order."""
    operation = (all_tables()[name].operation if name in all_tables() else None) or _IMAGES
    taken, order = [], []
    for part in (part for part in parts if name in part.tables):  # another part may not have read it
        table = part.tables[name]
        numbers = {
            reading.location: number
            for number, reading in enumerate(readings)
            if reading.part is part and reading.operation == operation
        }
        number = (table["account"].astype(object) + "/" + table["region"].astype(object)).map(numbers)
        taken.append(table[number.notna().to_numpy()])
        order.append(number.dropna().astype("int64"))
    positions = pd.concat(order, ignore_index=True).to_numpy().argsort(kind="stable")
    return pd.concat(taken, ignore_index=True).take(positions).reset_index(drop=True)


def _stamp(table: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    return table.assign(snapshot=pd.Series(moment, table.index, dtype=table["snapshot"].dtype))
