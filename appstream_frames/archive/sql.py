"""SQL over an archive: a DuckDB connection with a view per table, of the committed snapshots only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from appstream_frames.archive.manifest import FOLDER
from appstream_frames.archive.reader import open_table, read_whole
from appstream_frames.archive.roots import open_store
from appstream_frames.errors import RequestError

if TYPE_CHECKING:
    import duckdb


def connect(root: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection to an archive; needs the extra ``sql``.

    There is a view for each table, such as ``images``, over all snapshots that are committed now, with the columns of all of
    them; and ``images_latest``, over the newest snapshot that has the table. Times are in UTC. A snapshot whose manifest is
    damaged, or of which a file is not there with all its bytes, is left out with a warning.

    Parameters
    ----------
    root : str or path
        The archive: a folder, or ``s3://bucket/prefix``, which is read with boto3's credentials.

    Returns
    -------
    duckdb.DuckDBPyConnection
        In memory; close it, or use it as a context. In another thread, query a ``cursor()`` of it.

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
    manifests = read_whole(store)
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    for table in dict.fromkeys([FOLDER, *(name for one in manifests for name in one.files)]):
        holders = [one for one in manifests if table in (FOLDER, *one.files)]
        for view, snapshots in ((table, holders), (f"{table}_latest", holders[-1:])):
            # `register` would make a view that cursors do not see
            connection.from_arrow(open_table(store, table, snapshots)).create_view(view)
    return connection
