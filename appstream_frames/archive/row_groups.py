"""Batches of tables into staged Parquet files, holding no more than a row group of each in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.store import StagedFile, Store

GROUP: Final = 8_192  # rows held before a row group is written


class RowGroups:
    """Gathers a table's rows until there are enough for a row group."""

    def __init__(self, writer: pq.ParquetWriter, group: int) -> None:
        self._writer, self._group = writer, group
        self._held: list[pa.Table] = []
        self._written = self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows, which are written with later ones."""
        if table.num_rows:  # or a drain of a million images without errors would hold thousands of empty tables
            self._held.append(table)
        self.rows += table.num_rows
        if self.rows - self._written >= self._group:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self.rows - self._written)
        self._held, self._written = [], self.rows


@contextmanager
def stage_tables(
    store: Store, schemas: Mapping[str, pa.Schema], staged: list[StagedFile], group: int = GROUP
) -> Iterator[dict[str, RowGroups]]:
    """Stage a file for each of some tables; when the block ends well they are in `staged`, in the order of the tables.

    A row group of a file is written as soon as `group` rows are there.
    """
    with ExitStack() as stack:
        files = {}
        for name, schema in reversed(list(schemas.items())):  # the file that is begun last is finished first
            sink = stack.enter_context(store.stage(name, staged))
            writer = pq.ParquetWriter(sink, schema, **parquet.writer_options(name, schema))
            files[name] = RowGroups(stack.enter_context(writer), group)
        yield files
        for each in files.values():
            each.flush()
