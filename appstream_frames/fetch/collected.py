"""Batches of targets gathered into whole tables."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import tables_of

Batch = dict[str, pa.Table]


class Collected:
    """Batches of one target's tables."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []

    def add(self, batch: Batch) -> None:
        """Take a batch."""
        self._batches.append(batch)

    def batches(self) -> list[Batch]:
        """Return the batches; they are given up."""
        batches, self._batches = self._batches, []
        return batches


def whole(batches: Iterable[Batch]) -> Batch:
    """Return the tables that batches make together, with all their columns also when there is none."""
    empty = {name: table.schema.empty_table() for name, table in tables_of(OPERATIONS["DescribeImages"]).items()}
    parts = [empty, *batches]
    return {name: pa.concat_tables([part.pop(name) for part in parts]) for name in list(empty)}


def counts(batches: Iterable[Batch]) -> dict[str, int]:
    """Return how many rows batches have of each table."""
    found = dict.fromkeys(tables_of(OPERATIONS["DescribeImages"]), 0)
    for batch in batches:
        for name, table in batch.items():
            found[name] += table.num_rows
    return found
