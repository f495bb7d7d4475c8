"""SQL over an archive: a DuckDB connection with a view per table, of the committed snapshots only."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from appstream_frames.archive.local import LocalStore
from appstream_frames.archive.manifest import FOLDER, Manifest, find_ids, read_intact
from appstream_frames.archive.parquet import RangeFile
from appstream_frames.archive.reader import complete
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.store import Store
from appstream_frames.errors import RequestError, SnapshotCorruptError
from appstream_frames.tables.schema import all_tables

if TYPE_CHECKING:
    import duckdb


def connect(root: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection to an archive.

    There is a view for each table that was ever read, such as ``images``, over all committed snapshots, with the columns of
    all of them; and ``images_latest``, over the newest snapshot that has the table. Times are in UTC. Snapshots that are
    committed later are not in it. Needs the extra ``sql``. In S3, files are read with boto3's credentials.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``.

    Returns
    -------
    duckdb.DuckDBPyConnection
        In memory; close it, or use it as a context.

    Warns
    -----
    UserWarning
        When a snapshot is left out, because its manifest is damaged or a file of it is not there with all its bytes.

    Raises
    ------
    RequestError
        When DuckDB is not installed.
    SnapshotNotFoundError, SnapshotCorruptError
        When there is no snapshot under the root, or none that is whole.

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
    manifests = _leave_out_broken(store, read_intact(store, find_ids(store)))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    coverage = [complete(one.coverage, FOLDER) for one in manifests]
    for view, chosen in ((FOLDER, coverage), (f"{FOLDER}_latest", coverage[-1:])):
        connection.register(view, pa.concat_tables(chosen, promote_options="permissive"))
    for table in dict.fromkeys(name for one in manifests for name in one.files):
        holders = [one for one in manifests if table in one.files]
        connection.register(table, _dataset(store, table, holders))
        connection.register(f"{table}_latest", _dataset(store, table, holders[-1:]))
    return connection


def _leave_out_broken(store: Store, manifests: list[Manifest]) -> list[Manifest]:
    """Return the snapshots whose files are there with all their bytes; pages are checked when they are read."""
    tables = {table for one in manifests for table in one.files}
    sizes = {file.location: file.bytes for table in tables for file in store.list_files(table)}
    whole = []
    for one in manifests:
        files = {store.locate(table, one.id): file["bytes"] for table, file in one.files.items()}
        if broken := [location for location, size in files.items() if sizes.get(location) != size]:
            warnings.warn(f"One snapshot is left out: {broken[0]} is missing or damaged; see verify.", stacklevel=3)
        else:
            whole.append(one)
    if not whole:
        raise SnapshotCorruptError(f"No snapshot under {store.root} is whole; verify names what is missing or damaged.")
    return whole


def _dataset(store: Store, table: str, manifests: Sequence[Manifest]) -> ds.Dataset:
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    layout = ds.ParquetFileFormat(default_fragment_scan_options=options)
    files = {one.id: _fragment(layout, store, table, one) for one in manifests}
    known = all_tables()[table].schema if table in all_tables() else pa.schema([])
    grown = [files[one.id] for one in manifests if not set(one.files[table]["columns"]) <= set(known.names)]
    schemas = [known, *(file.physical_schema.remove_metadata() for file in grown)]
    return ds.FileSystemDataset(files.values(), pa.unify_schemas(schemas, promote_options="permissive"), layout)


def _fragment(layout: ds.ParquetFileFormat, store: Store, table: str, manifest: Manifest) -> ds.Fragment:
    if isinstance(store, LocalStore):
        return layout.make_fragment(store.locate(table, manifest.id), fs.LocalFileSystem())
    file = RangeFile(partial(store.read, table, manifest.id), manifest.files[table]["bytes"])
    return layout.make_fragment(pa.PythonFile(file, "r"))
