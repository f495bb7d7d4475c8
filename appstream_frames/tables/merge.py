"""Tables of several drains joined into one set, a target once: pure pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_READ = ("complete", "limited")
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Part:
    """One set of tables, and the targets of its rows of coverage as far as they are known."""

    tables: Tables
    targets: Sequence[Any]

    def slots(self) -> list[_Slot]:
        """Return a slot per row of coverage."""
        rows = self.tables["coverage"].reset_index(drop=True)
        targets = self.targets or [None] * len(rows)
        return [
            _Slot(
                self,
                row.Index,
                target,
                None if pd.isna(row.account) else row.account,
                row.region,
                row.status,
                row.request,
            )
            for row, target in zip(rows.itertuples(), targets, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Slot:
    """A target's place in the result, and the part that fills it."""

    part: Part
    row: int
    target: Any
    account: str | None
    region: str
    status: str
    request: str

    @property
    def place(self) -> str:
        return f"{self.account}/{self.region}"


def merged(parts: Sequence[Part]) -> tuple[dict[str, pd.DataFrame], tuple[Any, ...]]:
    """Return the tables of all parts, and the targets when all are known; a later part's target takes the earlier one's place.

    Raises
    ------
    RequestError
        When a target was asked different things, so that neither answer stands for both.
    """
    slots = _filled([slot for part in parts for slot in part.slots()])
    moment = parts[0].tables["coverage"]["snapshot"].iloc[0]
    coverage = pd.concat([slot.part.tables["coverage"].iloc[[slot.row]] for slot in slots], ignore_index=True)
    names = dict.fromkeys(name for part in parts for name in part.tables if name != "coverage")
    tables = {name: _joined(name, parts, slots) for name in names} | {"coverage": coverage}
    targets = tuple(slot.target for slot in slots)
    stamped = {name: _stamped(table, moment) for name, table in tables.items()}
    return stamped, () if None in targets else targets


def _filled(slots: Sequence[_Slot]) -> list[_Slot]:
    found: dict[int, _Slot] = {}
    by_key: dict[Any, int] = {}
    for number, slot in enumerate(slots):
        keys = [key for key in (slot.target, slot.account and slot.place) if key is not None]
        known = sorted({by_key[key] for key in keys if key in by_key})
        first, *others = known or [number]
        for other in others:  # a target that had failed turns out to be a place that another one read
            found[first] = _chosen(found[first], found.pop(other))
            by_key |= {key: first for key, place in by_key.items() if place == other}
        found[first] = _chosen(found[first], slot) if known else slot
        by_key.update(dict.fromkeys(keys, first))
    return list(found.values())


def _chosen(first: _Slot, later: _Slot) -> _Slot:
    if first.status not in _READ:
        return later
    if later.status not in _READ:
        return first
    if first.request != later.request:
        raise RequestError(
            f"{printable(later.place)} was asked {printable(first.request, 200)} and then {printable(later.request, 200)}; "
            "merge joins different targets, or the same question asked again. Join the tables with pandas.concat."
        )
    return later


def _joined(name: str, parts: Sequence[Part], slots: Sequence[_Slot]) -> pd.DataFrame:
    """Return the rows of one table that fill the slots, in their order."""
    taken, order = [], []
    for part in (part for part in parts if name in part.tables):  # a newer boto3 may have brought a table
        table = part.tables[name]
        numbers = {slot.place: number for number, slot in enumerate(slots) if slot.part is part}
        number = (table["account"].astype(object) + "/" + table["region"].astype(object)).map(numbers)
        taken.append(table[number.notna().to_numpy()])
        order.append(number.dropna().astype("int64"))
    places = pd.concat(order, ignore_index=True).to_numpy().argsort(kind="stable")
    return pd.concat(taken, ignore_index=True).take(places).reset_index(drop=True)


def _stamped(table: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    return table.assign(snapshot=pd.Series(moment, table.index, dtype=table["snapshot"].dtype))
