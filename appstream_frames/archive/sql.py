"""SQL over an archive: a DuckDB connection with a view per table, over the committed snapshots only."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds

from appstream_frames.archive.manifest import FOLDER, Manifest, find_ids, read_intact
from appstream_frames.archive.reader import complete, read_range
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import Store
from appstream_frames.errors import RequestError, SnapshotCorruptError
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import printable

if TYPE_CHECKING:
    import duckdb


def connect(root: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection to an archive; needs the extra ``sql``.

    Each table has a view of its name, such as ``images``, over all snapshots committed now, with the union of their columns, and
    one such as ``images_latest``, over the newest snapshot that has the table. Times are in UTC. A snapshot whose manifest is
    damaged, or of which a file is missing or has the wrong size, is left out with a warning, and so is the view of a table
    of which one column has types that no type holds.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``, which is read with boto3's credentials.

    Returns
    -------
    duckdb.DuckDBPyConnection
        In memory; close it, or use it as a context manager. In another thread, query through its ``cursor()``.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox, tempfile.TemporaryDirectory() as root:
    ...     name = asf.write_snapshot(asf.drain(sandbox.client()), root)
    ...     with asf.connect(root) as connection:
    ...         connection.sql("SELECT count(*) FROM images_latest WHERE visibility = 'PRIVATE'").fetchall()
    [(62,)]
    """
    try:
        import duckdb
    except ImportError as error:
        raise RequestError("connect needs DuckDB. Install it: pip install 'appstream-frames[sql]'.") from error
    store = open_store(root)
    manifests = _read_whole(store)
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    for table in dict.fromkeys([FOLDER, *(name for one in manifests for name in one.files)]):
        holders = [one for one in manifests if table in (FOLDER, *one.files)]
        for view, snapshots in ((table, holders), (f"{table}_latest", holders[-1:])):
            try:
                rows = _open_table(store, table, snapshots)
            except pa.ArrowTypeError as error:
                warnings.warn(
                    f"There is no view {view}: the type of a column changed between snapshots ({printable(error)}). "
                    "Read the table with read_history, without that column.",
                    stacklevel=2,
                )
                continue
            # not `register`: its views are not visible to cursors
            connection.from_arrow(rows).create_view(view)
    return connection


def _read_whole(store: Store) -> list[Manifest]:
    """Return the manifests of the snapshots whose files all exist with the recorded size, with a warning for each other."""
    manifests, whole = read_intact(store, find_ids(store)), []
    tables = {table for one in manifests for table in one.files}
    sizes = {file.location: file.bytes for table in tables for file in store.list_files(table)}
    for one in manifests:
        files = {store.locate(table, one.id): file["bytes"] for table, file in one.files.items()}
        if broken := [location for location, size in files.items() if sizes.get(location) != size]:
            warnings.warn(f"One snapshot is left out: {broken[0]} is missing or damaged; see verify.", stacklevel=3)
        else:
            whole.append(one)
    if not whole:
        raise SnapshotCorruptError(f"No snapshot under {store.root} is whole; verify names what is missing or damaged.")
    return whole


def _open_table(store: Store, name: str, manifests: Sequence[Manifest]) -> pa.Table | ds.Dataset:
    """Return a table's rows of some snapshots, with the union of their columns; read on demand; footers and pages are checked."""
    if name == FOLDER:
        return pa.concat_tables([complete(one.coverage, name) for one in manifests], promote_options="permissive")
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    layout = ds.ParquetFileFormat(default_fragment_scan_options=options)
    known = list_tables()[name].schema if name in list_tables() else pa.schema([])
    files, schemas = [], [known]
    for one in manifests:
        file = _RangeFile(partial(read_range, store, one, name), one.files[name]["bytes"])
        files.append(layout.make_fragment(pa.PythonFile(file, "r")))
        if not set(one.files[name]["columns"]) <= set(known.names):
            schemas.append(files[-1].physical_schema.remove_metadata())
    return ds.FileSystemDataset(files, pa.unify_schemas(schemas, promote_options="permissive"), layout)


class _RangeFile(io.RawIOBase):
    """A read-only file that fetches each range when it is read."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._position = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._position
        content = self._fetch(self._position, left if size < 0 else min(size, left))
        self._position += len(content)
        return content
