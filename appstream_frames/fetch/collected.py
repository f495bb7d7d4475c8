"""Batches of targets gathered into whole tables, each image of a target once."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.tables.schema import all_tables

Batch = dict[str, pa.Table]


class Collected:
    """Batches of one target's tables; an image that AWS sent again counts once, as it was sent last."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._batch_of: dict[str, int] = {}
        self._again: dict[int, list[str]] = {}

    def add(self, batch: Batch) -> None:
        """Take a batch, and note which rows of earlier ones it replaces."""
        number = len(self._batches)
        for arn in batch["images"].column("arn").to_pylist():
            if arn is None:
                continue
            if arn in self._batch_of:
                self._again.setdefault(self._batch_of[arn], []).append(arn)
            self._batch_of[arn] = number
        self._batches.append(batch)

    def batches(self) -> list[Batch]:
        """Return the batches without the replaced rows; they are given up."""
        for number, arns in self._again.items():
            self._batches[number] = {name: _without(table, arns) for name, table in self._batches[number].items()}
        batches, self._batches = self._batches, []
        return batches


def whole(batches: Iterable[Batch]) -> Batch:
    """Return the tables that batches make together, with all their columns also when there is none."""
    empty = {name: table.schema.empty_table() for name, table in all_tables().items() if name != "coverage"}
    parts = [empty, *batches]
    return {name: pa.concat_tables([part.pop(name) for part in parts]) for name in list(empty)}


def counts(batches: Iterable[Batch]) -> dict[str, int]:
    """Return how many rows batches have of each table."""
    found = {name: 0 for name in all_tables() if name != "coverage"}
    for batch in batches:
        for name, table in batch.items():
            found[name] += table.num_rows
    return found


def _without(table: pa.Table, arns: list[str]) -> pa.Table:
    column = table.column("image_arn" if "image_arn" in table.schema.names else "arn")
    gone = pc.is_in(column, pa.array(arns, pa.string()))
    return table.filter(pc.invert(gone))
