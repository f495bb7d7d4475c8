"""One target's batches gathered into whole tables, each image once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames import model


class Collected:
    """Batches of one target's tables; an image that AWS sent again counts once, as it was sent last."""

    def __init__(self) -> None:
        self._batches: list[dict[str, pa.Table]] = []
        self._batch_of: dict[str, int] = {}
        self._again: dict[int, list[str]] = {}

    def add(self, batch: dict[str, pa.Table]) -> None:
        """Take a batch, and note which rows of earlier ones it replaces."""
        number = len(self._batches)
        for arn in batch["images"].column("arn").to_pylist():
            if arn is None:
                continue
            if arn in self._batch_of:
                self._again.setdefault(self._batch_of[arn], []).append(arn)
            self._batch_of[arn] = number
        self._batches.append(batch)

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables without the replaced rows; the batches are given up."""
        for number, arns in self._again.items():
            self._batches[number] = {name: _without(table, arns) for name, table in self._batches[number].items()}
        batches, self._batches = self._batches, []
        schemas = {name: table.schema for name, table in model.tables().items() if name != "coverage"}
        return {
            name: pa.concat_tables([schema.empty_table(), *(batch[name] for batch in batches)])
            for name, schema in schemas.items()
        }


def _without(table: pa.Table, arns: list[str]) -> pa.Table:
    column = table.column("image_arn" if "image_arn" in table.schema.names else "arn")
    gone = pc.is_in(column, pa.array(arns, pa.string()))
    return table.filter(pc.invert(gone))
