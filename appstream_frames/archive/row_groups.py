"""Batches of tables into staged Parquet files, holding no more than a row group of each in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.store import StagedFile, Store
from appstream_frames.tables.schema import all_tables

_GROUP: Final = 8_192  # rows held before a row group is written


class RowGroups:
    """Gathers a table's rows until there are enough for a row group.

    Attributes
    ----------
    rows : int
        Rows added so far.
    """

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._held: list[pa.Table] = []
        self._written = self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows, which are written with later ones."""
        if table.num_rows:  # or a drain of a million images without errors would hold thousands of empty tables
            self._held.append(table)
        self.rows += table.num_rows
        if self.rows - self._written >= _GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self.rows - self._written)
        self._held, self._written = [], self.rows


@contextmanager
def stage_tables(
    store: Store, schemas: Mapping[str, pa.Schema], staged: list[StagedFile]
) -> Iterator[dict[str, RowGroups]]:
    """Stage a file for each of some tables; when the block ends well they are in `staged`, in the order of the tables."""
    with ExitStack() as stack:
        last_first = reversed(list(schemas.items()))  # the file that is begun last is finished first
        yield {name: stack.enter_context(_stage(store, name, schema, staged)) for name, schema in last_first}


@contextmanager
def _stage(store: Store, name: str, schema: pa.Schema, staged: list[StagedFile]) -> Iterator[RowGroups]:
    options = parquet.writer_options(schema, [key.name for key in all_tables()[name].keys])
    with store.stage(name, staged) as sink, pq.ParquetWriter(sink, schema, **options) as writer:
        groups = RowGroups(writer)
        yield groups
        groups.flush()
