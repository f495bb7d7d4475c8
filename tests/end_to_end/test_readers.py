"""The README's lines for other engines: each one, as it stands there, gives every row and every type of an archive that grew."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support import readers_archive
from support.readers_archive import ACCOUNTS, EMPTY, GROWN, MOMENTS, NEWER, TABLES
from support.seaweed import BUCKET, Seaweed

import appstream_frames as asf
from appstream_frames.cli import main
from appstream_frames.tables.dictionary import ddl
from appstream_frames.tables.schema import list_tables

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
SECTION = README.partition("\n## Load it elsewhere\n")[2].partition("\n## ")[0]
BLOCKS = dict(re.findall(r"```(?:python|sh) (\w+)\n(.*?)```", SECTION, re.DOTALL))
#: Each engine's block, and the way from what its line gives to Arrow.
ENGINES: dict[str, Callable[[Any], pa.Table]] = {
    "pandas": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "polars": lambda frame: frame.collect().to_arrow(),
    "sql": lambda relation: relation.to_arrow_table(),
    "duckdb": lambda relation: relation.to_arrow_table(),
    "pyspark": lambda frame: frame.toArrow(),
    "dask": lambda frame: pa.Table.from_pandas(frame.compute(), preserve_index=False),
}
ZONE = "America/New_York"  # where the machine of these tests stands: no line may depend on it
# the JVM starts slowly on a busy machine; the archive has members that older models lack
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.newest]

Archive = tuple[Path, dict[str, pa.Table]]
Bucket = tuple[str, dict[str, str], dict[str, pa.Table]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return the archive's root, and the rows of each of its tables."""
    root = tmp_path_factory.mktemp("readers") / "snapshots"
    return root, readers_archive.write(root)


@pytest.fixture(scope="module")
def s3(s3_server: Seaweed) -> Bucket:
    """Return the root of an archive in a bucket, the environment in which to read it, and its rows."""
    root = f"s3://{BUCKET}/archive"
    environment = {**s3_server.environment(), "AWS_ALLOW_HTTP": "true", "NO_PROXY": "127.0.0.1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return root, environment, readers_archive.write(root)


@pytest.fixture
def _elsewhere() -> Iterator[None]:
    """Put the machine in a time zone that is not UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", ZONE)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.spark) if name == "pyspark" else name for name in ENGINES])
def load(request: pytest.FixtureRequest, archive: Archive, _elsewhere: None) -> Callable[[str], pa.Table]:
    """Return what reads a table with an engine's line of the README."""
    engine = request.param
    names = {"spark": request.getfixturevalue("spark")} if engine == "pyspark" else {}
    return lambda table: ENGINES[engine](_run(engine, table, str(archive[0]), names))


def _run(engine: str, table: str, root: str, names: dict[str, Any]) -> Any:
    """Run a block of the README with another root and another table, and return what it calls by the table's name."""
    code = (BLOCKS["schema"] if "schema" in BLOCKS[engine] else "") + BLOCKS[engine]
    assert "./snapshots" in code
    assert "images" in code
    exec(code.replace("./snapshots", root).replace("images", table), names)  # noqa: S102 - our own README
    return names[table]


def canonical(table: pa.Table) -> list[str]:
    """Return a table's rows as JSON texts, in order."""
    return sorted(json.dumps(row, sort_keys=True) for row in readers_archive.rows(table))


def kind(of: pa.DataType) -> str:
    """Return what a column's type means, whatever an engine calls it in Arrow."""
    if pa.types.is_map(of):
        return "map"
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        return "map" if pa.types.is_struct(of.value_type) else f"list of {kind(of.value_type)}"
    if pa.types.is_timestamp(of):
        return f"instant in {of.unit}" if of.tz else "local time"
    return "string" if pa.types.is_large_string(of) or pa.types.is_string_view(of) else str(of)


@pytest.mark.parametrize("table", TABLES)
def test_every_line_gives_every_row(load: Callable[[str], pa.Table], archive: Archive, table: str) -> None:
    """The same rows and values from every engine: ids as text, null map values, grown columns null, times as instants."""
    assert canonical(load(table)) == canonical(archive[1][table])


@pytest.mark.parametrize("table", ["images", "applications"])
def test_every_line_gives_every_type(load: Callable[[str], pa.Table], archive: Archive, table: str) -> None:
    """Columns of nulls only, maps and times have the types that were written."""
    expected = {field.name: kind(field.type) for field in archive[1][table].schema}
    assert {field.name: kind(field.type) for field in load(table).schema} == expected


@pytest.mark.parametrize("engine", ["pandas", "polars", "dask"])
def test_a_root_in_s3_reads_the_same(s3: Bucket, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """The lines of these engines give every row of a bucket too, with nothing but another root in them."""
    for name, value in s3[1].items():
        monkeypatch.setenv(name, value)
    table = ENGINES[engine](_run(engine, "applications", s3[0], {}))
    assert canonical(table) == canonical(s3[2]["applications"])


@pytest.mark.parametrize("engine", ["pandas", "dask"])
def test_a_prefix_of_any_letters_reads_the_same_when_quoted(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The README says how to write a prefix with a space, a percent sign and letters beyond ASCII."""
    for name, value in s3[1].items():
        monkeypatch.setenv(name, value)
    root = f"s3://{BUCKET}/100%25 größe/{engine}"
    rows = readers_archive.write(root)["errors"]
    assert canonical(ENGINES[engine](_run(engine, "errors", quote(root, safe=":/"), {}))) == canonical(rows)


def test_the_readme_has_a_line_for_every_engine() -> None:
    """Nothing is tested that is not there, and nothing is there that is not tested."""
    assert set(BLOCKS) == {*ENGINES, "schema", "athena", "committed"}


def test_the_semi_join_leaves_out_what_was_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a file without a manifest and of targets that were not read whole are left out, all others are there."""
    root = tmp_path / "snapshots"
    with asf.sandbox() as sandbox:
        whole, part = asf.drain(sandbox.client()), asf.drain(sandbox.client("111122223333"), max_items=3)
        asf.write_snapshot(whole.merge(part), root)
        lost = asf.write_snapshot(asf.drain(sandbox.client("444455556666")), root)
    (root / "coverage" / f"{lost}.parquet").unlink()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(BLOCKS["committed"], names)  # noqa: S102 - our own README
    assert sorted(names["whole"].to_arrow_table()["name"].to_pylist()) == sorted(whole.images["name"])


def test_the_line_for_athena_is_our_command() -> None:
    """It prints the statement of the table at the location."""
    command, *words = shlex.split(BLOCKS["athena"])
    done = CliRunner().invoke(main.main, words)
    assert (command, done.output.strip()) == ("appstream-frames", ddl("images", "s3://bucket/appstream"))


@pytest.mark.parametrize("table", TABLES)
def test_the_statement_for_athena_reads_the_files(spark: Any, archive: Archive, table: str) -> None:
    """Spark, given the statement's columns and no schema of the files, reads every row of them: the types are right."""
    root, expected = archive
    statement = ddl(table, "s3://bucket/appstream").replace("CREATE EXTERNAL", "CREATE").replace("STORED AS", "USING")
    spark.sql(statement.replace("s3://bucket/appstream", root.as_uri()))
    known = expected[table].select(list_tables()[table].schema.names)
    assert canonical(spark.table(f"appstream_{table}").toArrow()) == canonical(known)


def test_the_archive_has_ids_that_begin_with_zero(archive: Archive) -> None:
    """An engine that makes numbers of them is found out."""
    assert set(archive[1]["images"]["account"].to_pylist()) == set(ACCOUNTS)
    assert all(account.startswith("0") for account in ACCOUNTS)


def test_the_archive_has_maps_with_null_values(archive: Archive) -> None:
    """An engine that drops them is found out."""
    assert [("WORKING_DIRECTORY", None)] in archive[1]["applications"]["metadata"].to_pylist()


@pytest.mark.parametrize("table", EMPTY)
def test_the_archive_has_columns_of_nulls(archive: Archive, table: str) -> None:
    """An engine that guesses types by content is found out."""
    column = archive[1][table][EMPTY[table]]
    assert (column.null_count, column.type) == (len(column), pa.string())


@pytest.mark.parametrize("table", GROWN)
def test_the_archive_s_files_grew(archive: Archive, table: str) -> None:
    """The oldest file lacks columns, and the newest has one more than the others: the first file's schema is not enough."""
    schemas = [pq.read_schema(path).names for path in sorted((archive[0] / table).iterdir())]
    assert [set(GROWN[table]) <= set(names) for names in schemas] == [False, True, True]
    assert [NEWER in names for names in schemas] == [False, False, True]


def test_the_archive_has_microseconds(archive: Archive) -> None:
    """An engine that keeps milliseconds only is found out."""
    micros = {moment.microsecond for moment in archive[1]["images"]["snapshot"].to_pylist()}
    assert micros == {int(moment[-6:]) for moment in MOMENTS}
