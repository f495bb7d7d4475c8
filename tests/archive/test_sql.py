"""SQL over an archive: the committed snapshots only, with the same rows as `read_history`."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import readers_archive
from support.marks import marked

import appstream_frames as asf
from appstream_frames.tables.conversion import to_arrow

TABLES = ("images", "applications", "errors", "coverage")


def sorted_rows(table: pa.Table) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in readers_archive.rows(table))


def same_rows(root: Path | str, table: str) -> bool:
    """Tell whether SQL and `read_history` give the same rows, of the same columns."""
    expected = to_arrow(asf.read_history(root, table), table)
    with asf.connect(root) as connection:
        seen = connection.sql(f"FROM {table}").to_arrow_table()
    assert set(seen.schema.names) == set(expected.schema.names)
    return sorted_rows(seen) == sorted_rows(expected)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of an archive whose schema grew, with a crash between the last table and the manifest; to copy."""
    root = tmp_path_factory.mktemp("grown") / "archive"
    readers_archive.write(root)
    crashed = asf.write_snapshot(marked("crashed"), root)
    (root / "coverage" / f"{crashed}.parquet").unlink()
    return root


@pytest.fixture
def grown(written: Path, root: Path) -> Path:
    """Return a copy of that archive."""
    return Path(shutil.copytree(written, root))


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_the_rows_are_those_of_the_history(grown: Path, table: str) -> None:
    """Of every table, with the columns that came later, and without what was not committed."""
    assert same_rows(grown, table)


@pytest.mark.slow
def test_a_bucket_gives_the_same_rows(s3_root: str) -> None:
    """Of every table, read with boto3's credentials, by ranges."""
    readers_archive.write(s3_root)
    assert [table for table in TABLES if not same_rows(s3_root, table)] == []


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_latest_is_the_newest_snapshot(grown: Path, table: str) -> None:
    """A view beside each table has its newest rows only."""
    with asf.connect(grown) as connection:
        seen = connection.sql(f"FROM {table}_latest").to_arrow_table()
    newest = to_arrow(asf.read_snapshot(grown).tables[table], table)
    assert sorted_rows(seen.select(newest.schema.names)) == sorted_rows(newest)


def test_latest_of_a_table_that_is_read_now_and_then(root: Path) -> None:
    """It is that of the newest snapshot which has the table."""
    frames = marked("whole")
    fewer = {name: table for name, table in frames.tables.items() if name != "errors"}
    asf.write_snapshot(asf.Frames(frames.tables).relabel("2026-11-16"), root)
    asf.write_snapshot(asf.Frames(fewer).relabel("2026-11-23"), root)
    with asf.connect(root) as connection:
        days = "SELECT DISTINCT strftime(snapshot, '%d') FROM "
        assert [connection.sql(f"{days}{table}_latest").fetchall() for table in ("errors", "images")] == [
            [("16",)],
            [("23",)],
        ]


@pytest.mark.parametrize("table", ["images", "coverage"])
def test_a_column_that_changed_its_type_takes_one_view_away(root: Path, table: str) -> None:
    """A warning names it, and the view of the newest snapshot and all other tables are there."""
    frames = marked("here")
    for day, value in (("2026-11-16", 1), ("2026-11-23", "one")):
        changed = frames.tables[table].assign(own=value)
        asf.write_snapshot(asf.Frames({**frames.tables, table: changed}).relabel(day), root)
    with pytest.warns(UserWarning, match=f"There is no view {table}: .* own "):
        connection = asf.connect(root)
    with connection:
        assert set(connection.sql(f"SELECT own FROM {table}_latest").fetchall()) == {("one",)}
        assert connection.sql("FROM applications").fetchall()
        assert not connection.sql(f"SELECT 1 FROM duckdb_views() WHERE view_name = '{table}'").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "short", "manifest"])
def test_a_damaged_snapshot_is_left_out_by_name(grown: Path, damage: str) -> None:
    """The others are there, and a warning names the file."""
    folder = "coverage" if damage == "manifest" else "images"
    path = sorted((grown / folder).iterdir())[0]
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(UserWarning, match=f"One snapshot is left out: .*{path.name}"), asf.connect(grown) as connection:
        ((count,),) = connection.sql("SELECT count(DISTINCT snapshot) FROM images").fetchall()
    assert count == 2


def test_a_changed_page_is_an_error_and_never_data(grown: Path) -> None:
    """Every page that a query reads is checked."""
    path = sorted((grown / "images").iterdir())[0]
    content = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(0)
    (name,) = [
        group.column(number) for number in range(group.num_columns) if group.column(number).path_in_schema == "name"
    ]
    content[(name.dictionary_page_offset or name.data_page_offset) + name.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    with asf.connect(grown) as connection, pytest.raises(Exception, match=r"(?i)crc|checksum"):
        connection.sql("SELECT name FROM images").fetchall()


@pytest.mark.parametrize("width", [4, 70_000], ids=["read at once", "read in two parts"])
@pytest.mark.parametrize("damage", ["flipped", "another snapshot's"])
def test_a_changed_footer_is_an_error_and_never_data(root: Path, damage: str, width: int) -> None:
    """No checksum of Parquet covers it, and it says where each column's values lie."""
    one = marked("here")
    frames = asf.Frames({**one.tables, "images": one.images.assign(**{"x" * width: 1})})
    days = ("2026-11-16", "2026-11-23")
    paths = [root / "images" / f"{asf.write_snapshot(frames.relabel(day), root)}.parquet" for day in days]
    content = bytearray(paths[0 if damage == "flipped" else 1].read_bytes())
    content[-60] ^= damage == "flipped"
    paths[0].write_bytes(content)
    named = f"{paths[0]}: the footer is not the one that was written"
    with pytest.raises(Exception, match=named), asf.connect(root) as connection:
        connection.sql("SELECT name FROM images").fetchall()


def test_times_are_in_utc(grown: Path) -> None:
    """Whatever the machine's zone is."""
    with asf.connect(grown) as connection:
        ((moment,),) = connection.sql("SELECT CAST(max(snapshot) AS VARCHAR) FROM images").fetchall()
        assert moment == "2026-11-23 04:59:59.999999+00"
        assert (
            str(connection.sql("SELECT max(snapshot) FROM images").fetchall()[0][0])
            == "2026-11-23 04:59:59.999999+00:00"
        )


def test_another_thread_queries_a_cursor(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the same views, and times in UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    query = "SELECT count(*), CAST(max(snapshot) AS VARCHAR) FROM images"
    with asf.connect(grown) as connection, ThreadPoolExecutor(2) as pool:
        cursors = [connection.cursor() for _ in range(2)]
        seen = list(pool.map(lambda each: each.execute(query).fetchall(), cursors))
        assert seen == 2 * [connection.sql(query).fetchall()]


def test_without_any_whole_snapshot(root: Path) -> None:
    """It is an error, and no empty view."""
    name = asf.write_snapshot(marked("only"), root)
    (root / "images" / f"{name}.parquet").unlink()
    with pytest.warns(UserWarning, match="left out"), pytest.raises(asf.SnapshotCorruptError, match="is whole"):
        asf.connect(root)
    shutil.rmtree(root)
    with pytest.raises(asf.SnapshotNotFoundError):
        asf.connect(root)


def test_without_duckdb_the_error_says_what_to_install(grown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(asf.RequestError, match=r"pip install 'appstream-frames\[sql\]'"):
        asf.connect(grown)
