"""Tables of several drains merged into one set, each operation of a target once: pure pandas."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.tables.coverage import FIRST_OPERATION, name_operations
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import printable

_READ = ("complete", "limited")
Tables = Mapping[str, pd.DataFrame]


def merge_tables(
    parts: Sequence[Tables], targets: Sequence[Hashable]
) -> tuple[dict[str, pd.DataFrame], tuple[Hashable, ...]]:
    """Return the tables of all parts, and the targets when all are known; a later reading replaces the earlier one.

    `targets` has one, or None, for each row of coverage of all parts. RequestError says that a target was read twice with
    different parameters, so that neither reading stands for both.
    """
    coverage = pd.concat([tables["coverage"] for tables in parts], ignore_index=True)
    readings = pd.DataFrame({"operation": name_operations(coverage), "location": _locate(coverage)}, dtype=object)
    readings["part"] = np.repeat(range(len(parts)), [len(tables["coverage"]) for tables in parts])
    chosen = _choose(coverage, readings, targets)
    names = dict.fromkeys([*list_tables(), *(name for tables in parts for name in tables)])
    merged = {
        name: _merge_table(name, parts, readings.iloc[chosen])
        for name in names
        if name != "coverage" and any(name in tables for tables in parts)
    }
    known = tuple(targets[row] for row in chosen)
    return {**merged, "coverage": coverage.iloc[chosen].reset_index(drop=True)}, () if None in known else known


def _locate(table: pd.DataFrame) -> pd.Series:
    return table["account"].astype(object) + "/" + table["region"].astype(object)


def _choose(coverage: pd.DataFrame, readings: pd.DataFrame, targets: Sequence[Hashable]) -> list[int]:
    """Return the row of coverage that counts for each target and operation, in the order in which they first came."""
    locations = [None if pd.isna(location) else location for location in readings["location"]]
    # a target whose account was not known yet is the one whose account was found later
    found = {
        target: location for target, location in zip(targets, locations, strict=True) if None not in (target, location)
    }
    rows = list(coverage[["account", "region", "status", "request"]].itertuples(index=False))
    chosen: dict[Hashable, int] = {}
    for row, (operation, location, target) in enumerate(zip(readings["operation"], locations, targets, strict=True)):
        known_by = location or found.get(target, target)
        key = (operation, row if known_by is None else known_by)
        if key not in chosen or _replaces(rows[row], rows[chosen[key]], operation):
            chosen[key] = row
    return list(chosen.values())


def _replaces(later: Any, first: Any, operation: str) -> bool:
    if first.status not in _READ or later.status not in _READ:
        return first.status not in _READ
    if first.request != later.request:
        raise RequestError(
            f"{operation} of {printable(f'{later.account}/{later.region}')} was called with "
            f"{printable(first.request, 200)} and then with {printable(later.request, 200)}; merge takes different targets, "
            "or the same request made again. Join the tables with pandas.concat."
        )
    return True


def _merge_table(name: str, parts: Sequence[Tables], readings: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one table that belong to the readings, in their order."""
    operation = (list_tables()[name].operation if name in list_tables() else None) or FIRST_OPERATION
    readings = readings.assign(order=range(len(readings)))[readings["operation"] == operation]
    kept, orders = [], []
    for number, tables in enumerate(parts):
        if name in tables:  # another part may not have read it
            order = readings[readings["part"] == number].dropna().set_index("location")["order"]
            position = _locate(tables[name]).map(order)
            kept.append(tables[name][position.notna().to_numpy()])
            orders.append(position.dropna().to_numpy(int))
    return pd.concat(kept, ignore_index=True).take(np.concatenate(orders).argsort(kind="stable")).reset_index(drop=True)
