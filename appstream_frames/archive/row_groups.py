"""Batches of tables into staged Parquet files, holding no more than a row group of each in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.store import StagedFile, Store
from appstream_frames.tables.schema import all_tables

_GROUP: Final = 8_192  # rows held before a row group is written


class Stream:
    """Several tables on their way into staged files; use it as a context, and `finish` at its end.

    Attributes
    ----------
    schemas : dict of str to pyarrow.Schema
        The tables, in the order in which their files are finished.
    staged : list of StagedFile
        The caller's list; after `finish` it has a file of each table.
    rows : Counter of str
        Rows of each table so far.
    """

    def __init__(self, store: Store, schemas: dict[str, pa.Schema], staged: list[StagedFile]) -> None:
        self._store, self.schemas, self.staged = store, schemas, staged
        self.rows: Counter[str] = Counter()
        self._groups: dict[str, _Groups] = {}

    def __enter__(self) -> Stream:
        files = [(name, self.schemas[name]) for name in reversed(self.schemas)]  # they are finished last in, first out
        with ExitStack() as stack:
            self._groups = {name: stack.enter_context(_grouped(self._store, name, s, self.staged)) for name, s in files}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def add(self, batch: Mapping[str, pa.Table]) -> None:
        """Write a batch of one target's tables: some of them, or all."""
        for name, table in batch.items():
            self._groups[name].add(table)
            self.rows[name] += table.num_rows

    def finish(self) -> None:
        """Finish the files."""
        self._stack.close()


@contextmanager
def _grouped(store: Store, name: str, schema: pa.Schema, staged: list[StagedFile]) -> Iterator[_Groups]:
    options = parquet.writer_options(schema, [key.name for key in all_tables()[name].keys])
    with store.stage(name, staged) as sink, pq.ParquetWriter(sink, schema, **options) as writer:
        groups = _Groups(writer)
        yield groups
        groups.flush()


class _Groups:
    """Gathers rows until there are enough for a row group."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._held: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        if table.num_rows:  # or a drain of a million images without errors would hold thousands of empty tables
            self._held.append(table)
        self._rows += table.num_rows
        if self._rows >= _GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self._rows)
        self._held, self._rows = [], 0
