"""The SQL for Athena and Glue: parsed by a real parser, it is the schema of the files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

import appstream_frames as asf
from appstream_frames.tables import schema
from appstream_frames.tables.dictionary import HIVE, LONGEST, ddl, to_comment

TABLES = tuple(schema.list_tables())
ROOT = "s3://bucket/appstream"
HOSTILE = (
    *(
        "",
        "bucket/appstream",
        "./snapshots",
        "s3a://bucket",
        "https://bucket/appstream",
        "S3://bucket",
        "s3://",
        "s3:///x",
    ),
    *(
        "s3://Bucket/x",
        "s3://b/x",
        "s3://bucket-/x",
        "s3://bucket//x",
        "s3://bucket/../x",
        "s3://bucket/./x",
        "s3://bucket/..",
    ),
    *(
        "s3://bucket/it's",
        's3://bucket/"x"',
        "s3://bucket/`x`",
        "s3://bucket/x\n",
        "s3://bucket/x\ny",
        "s3://bucket/x\r",
    ),
    *("s3://bucket/x;y", "s3://bucket/x\\", "s3://bucket/${x}", "s3://bucket/x*", "s3://bucket/x?y", "s3://bucket/x#y"),
    *(
        "s3://bucket/x%27",
        "s3://bucket/x y",
        "s3://bucket/é",
        "s3://bucket/x\u202ey",
        "s3://bucket/x\0",
        " s3://bucket",
    ),
)


def parsed(table: str, dialect: str = "athena") -> exp.Create:
    made = sqlglot.parse_one(ddl(table, ROOT), dialect=dialect)
    assert isinstance(made, exp.Create)
    return made


def columns(table: str, dialect: str = "athena") -> list[tuple[str, str]]:
    """Return names and types as the parser understood them."""
    found = parsed(table, dialect).find_all(exp.ColumnDef)
    return [(column.name, column.kind.sql("hive").lower().replace(" ", "")) for column in found]


def comments(table: str) -> list[str]:
    return [column.find(exp.CommentColumnConstraint).this.this for column in parsed(table).find_all(exp.ColumnDef)]


def as_arrow(kind: str) -> Any:
    """Return the Arrow type that a Hive type holds."""
    nested = {"array<string>": pa.list_(pa.string()), "map<string,string>": pa.map_(pa.string(), pa.string())}
    flat = {"string": pa.string(), "boolean": pa.bool_(), "bigint": pa.int64(), "timestamp": pa.timestamp("us", "UTC")}
    return {**nested, **flat, "double": pa.float64()}[kind]


@pytest.mark.parametrize("dialect", ["athena", "hive"])
@pytest.mark.parametrize("table", TABLES)
def test_columns_are_those_of_the_files(table: str, dialect: str) -> None:
    """A real SQL parser reads the names and types of the Arrow schema out of the statement, in order."""
    seen = pa.schema([(name, as_arrow(kind)) for name, kind in columns(table, dialect)])
    assert seen == schema.list_tables()[table].schema


def test_every_type_has_a_name_in_hive() -> None:
    """Whatever column a newer boto3 adds, its type is known."""
    assert set(HIVE) == set(schema.ARROW.values())


@pytest.mark.parametrize("table", TABLES)
def test_the_table_is_external_parquet_under_its_name(table: str) -> None:
    """Dropping the table leaves the files, which are read as Parquet."""
    made = parsed(table)
    formats = [made.find(exp.FileFormatProperty).this.name, made.find(exp.ExternalProperty) is not None]
    assert [made.find(exp.Table).name, *formats] == [f"appstream_{table}", "PARQUET", True]


@pytest.mark.parametrize("table", TABLES)
def test_comments_are_the_sentences(table: str) -> None:
    """Comments, unescaped again, are what `columns` says, as far as Glue accepts it."""
    assert comments(table) == [to_comment(sentence) for sentence in asf.columns(table)["sentence"]]


@pytest.mark.parametrize("table", TABLES)
def test_comments_fit_glue(table: str) -> None:
    """At most 255 characters of printable ASCII."""
    assert [
        text for text in comments(table) if not (text.isascii() and text.isprintable() and len(text) <= LONGEST)
    ] == []


def test_a_long_sentence_is_cut_at_a_word() -> None:
    """What does not fit ends in dots, and no word is cut."""
    assert to_comment("word " * 60) == " ".join(["word"] * 50) + " ..."


@pytest.mark.parametrize(
    "text", ["it's", "back\\slash", "\\'", "'); DROP TABLE x --", 'a "b"', "`x`", "line\nbreak\t\x1b[31m"]
)
def test_hostile_sentences_stay_comments(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a sentence holds, the statement is one statement and the comment is that sentence."""
    table = schema.Table("errors", (schema.Column("name", "string", text),), ())
    monkeypatch.setattr("appstream_frames.tables.dictionary.find_table", lambda _: table)
    assert comments("errors") == [to_comment(text), to_comment(schema.UNMODELED.sentence)]


def test_no_semicolon_splits_the_statement() -> None:
    """Clients that split at semicolons, quotes or not, still see one statement."""
    assert not [table for table in TABLES if ";" in ddl(table, ROOT)]


@pytest.mark.parametrize(
    "root", ["s3://bucket", "s3://bucket/", "s3://my.bucket-1/a/b=1/App_Stream/", "s3://bucket/x//"]
)
def test_the_table_s_folder_is_appended_with_one_slash(root: str) -> None:
    """However the root ends, the location is the table's folder and ends in a slash."""
    assert ddl("images", root).endswith(f"\nLOCATION '{root.rstrip('/')}/images/'")


@pytest.mark.parametrize("location", HOSTILE)
def test_a_location_that_cannot_stand_in_sql_is_refused(location: str) -> None:
    """Other schemes, quotes, line breaks, wildcards and empty names are errors that say what is expected."""
    with pytest.raises(asf.RequestError, match="Expected s3://bucket"):
        ddl("images", location)


def test_the_refusal_is_one_line_of_visible_text() -> None:
    """A hostile location cannot write to the terminal."""
    with pytest.raises(asf.RequestError) as caught:
        ddl("images", "s3://bucket/\x1b[31m\n")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("table", ["image", "appstream_images", "", "images`"])
def test_an_unknown_table_is_refused(table: str) -> None:
    """The error names the tables there are."""
    with pytest.raises(asf.RequestError, match=r"The tables are images, applications, .* coverage"):
        ddl(table, ROOT)
