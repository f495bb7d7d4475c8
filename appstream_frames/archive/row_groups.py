"""Batches of tables into staged Parquet files, holding no more than a row group of each in memory.

An image that AWS sends again in a later batch replaces the earlier row, which may be on disk by then. Eight bytes an image are
kept to notice that; when it happened (it hardly ever does), the staged files are written once more without the replaced rows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from appstream_frames.archive import parquet
from appstream_frames.archive.staging import Staged, Store
from appstream_frames.tables.schema import all_tables

_GROUP: Final = 8_192  # rows held before a row group is written
_IDENTITY: Final = ["account", "region", "arn"]


class Stream:
    """Several tables on their way into staged files; use it as a context, and `finish` at its end.

    Attributes
    ----------
    schemas : dict of str to pyarrow.Schema
        The tables, in the order in which their files are finished.
    staged : list of Staged
        The caller's list; after `finish` it has a file of each table.
    batches : int
        Batches added so far.
    """

    def __init__(self, store: Store, schemas: dict[str, pa.Schema], staged: list[Staged]) -> None:
        self._store, self.schemas, self.staged = store, schemas, staged
        self.batches = 0
        self._counts: dict[str, list[int]] = {name: [] for name in schemas}  # rows of each batch
        self._groups: dict[str, _Groups] = {}
        self._hashes = array("Q")  # of the identity of every image; 0 without an ARN; two may clash

    def __enter__(self) -> Stream:
        files = [(name, self.schemas[name]) for name in reversed(self.schemas)]  # they are finished last in, first out
        with ExitStack() as stack:
            self._groups = {name: stack.enter_context(_grouped(self._store, name, s, self.staged)) for name, s in files}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def add(self, batch: Mapping[str, pa.Table]) -> None:
        """Write a batch of one target's tables."""
        for name in self.schemas:
            self._groups[name].add(batch[name])
            self._counts[name].append(batch[name].num_rows)
        keys = batch["images"].select(_IDENTITY).to_pandas()
        hashes = pd.util.hash_pandas_object(keys, index=False).to_numpy(np.uint64)
        self._hashes.frombytes(np.where(keys["arn"].isna(), np.uint64(0), np.maximum(hashes, 1)).tobytes())
        self.batches += 1

    def rows(self, table: str, first: int = 0, last: int | None = None) -> int:
        """Return the rows of a table in the batches from `first` to before `last`; after `finish`, without those replaced."""
        return sum(self._counts[table][first:last])

    def finish(self) -> None:
        """Finish the files."""
        self._stack.close()
        if replaced := self._replaced():
            for file in list(self.staged):
                self._write_again(file, replaced)
                self.staged.remove(file)
                file.path.unlink()

    def _replaced(self) -> dict[int, list[str]]:
        """Return, by batch, the ARNs of images that came again in a later one."""
        hashes = np.asarray(self._hashes)
        again = _repeated(hashes)
        suspects = np.flatnonzero(np.isin(hashes, again[again != 0])) if again.any() else again
        last: dict[tuple[str, ...], int] = {}
        replaced: dict[int, list[str]] = {}
        ends = np.cumsum(self._counts["images"]).tolist()
        for row, identity in zip(suspects.tolist(), self._identities(suspects), strict=True):
            if identity in last:
                replaced.setdefault(bisect_right(ends, last[identity]), []).append(identity[-1])
            last[identity] = row
        return replaced

    def _identities(self, rows: Any) -> Iterator[tuple[str, ...]]:
        if not len(rows):
            return
        images = next(file for file in self.staged if file.folder == "images")
        start = 0
        for group in pq.ParquetFile(images.path).iter_batches(_GROUP, columns=_IDENTITY):
            wanted = rows[(rows >= start) & (rows < start + group.num_rows)] - start
            yield from (tuple(row.values()) for row in group.take(pa.array(wanted)).to_pylist())
            start += group.num_rows

    def _write_again(self, file: Staged, replaced: Mapping[int, list[str]]) -> None:
        name = file.folder
        source = _Rows(pq.ParquetFile(file.path))
        with _grouped(self._store, name, self.schemas[name], self.staged) as groups:
            for batch, count in enumerate(self._counts[name]):
                kept = _without(source.take(count), replaced.get(batch, []))
                groups.add(kept)
                self._counts[name][batch] = kept.num_rows


def _repeated(hashes: Any) -> Any:
    """Return the values that come more than once; sorted a sixteenth at a time, to need little memory beside."""
    low = hashes.view(np.uint8)[:: hashes.itemsize] % 16
    parts = (np.sort(hashes[low == part]) for part in range(16))
    return np.concatenate([np.unique(part[1:][part[1:] == part[:-1]]) for part in parts])


@contextmanager
def _grouped(store: Store, name: str, schema: pa.Schema, staged: list[Staged]) -> Iterator[_Groups]:
    options = parquet.writing(schema, [key.name for key in all_tables()[name].keys])
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


class _Rows:
    """Reads a file's rows in portions of any size."""

    def __init__(self, file: Any) -> None:
        self._batches, self._table = file.iter_batches(_GROUP), file.schema_arrow.empty_table()

    def take(self, rows: int) -> pa.Table:
        while self._table.num_rows < rows:
            self._table = pa.concat_tables([self._table, pa.Table.from_batches([next(self._batches)])])
        taken, self._table = self._table.slice(0, rows), self._table.slice(rows)
        return taken


def _without(table: pa.Table, arns: list[str]) -> pa.Table:
    """Return a batch's rows that do not belong to these images."""
    if not arns:
        return table
    column = table.column("image_arn" if "image_arn" in table.schema.names else "arn")
    return table.filter(pc.invert(pc.is_in(column, pa.array(arns, pa.string()))))
