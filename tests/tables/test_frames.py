"""Frames: dtypes that hold whatever they hold, and a first look that tells."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strangers import TEXTS, row

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty, to_arrow, to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.frames import Frames
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import list_tables

KEY = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
HOSTILE = (
    b'{"Name": "a", "State": "<script>alert(1)</script>\\u001b[31m\\u202e", "AppstreamAgentVersion": "<img onerror=x>"}'
)


def parquet(frame: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        frame.to_parquet(f"{folder}/x.parquet")
        pd.read_parquet(f"{folder}/x.parquet")


#: What people call on a table, by name.
CALLS: dict[str, Callable[[pd.DataFrame], object]] = {
    "describe": lambda frame: frame.describe(include="all"),
    "nunique": lambda frame: frame.nunique(),
    "drop_duplicates": lambda frame: frame.drop_duplicates(),
    "duplicated": lambda frame: frame.duplicated(),
    "parquet": parquet,
    "convert_dtypes": lambda frame: frame.convert_dtypes(),
    "value_counts": lambda frame: frame.value_counts(dropna=False),
    "value_counts of each": lambda frame: [frame[name].value_counts(dropna=False) for name in frame],
    "unique": lambda frame: [frame[name].unique() for name in frame],
    "merge": lambda frame: frame.merge(frame),
    "groupby": lambda frame: frame.groupby(["account", "region"]).count(),
    "groupby nunique": lambda frame: frame.groupby("account").nunique(),
    "set_index": lambda frame: [frame.set_index(name).index.is_unique for name in frame],
    "factorize": lambda frame: [frame[name].factorize() for name in frame],
    "isin": lambda frame: [frame[name].isin(frame[name].head(2)) for name in frame],
    "astype": lambda frame: frame.astype(str),
    "sort_values": lambda frame: frame.sort_values(["account", "snapshot"]),
    "explode": lambda frame: [frame.explode(name) for name in frame if frame[name].dtype == object],
    "to_csv": lambda frame: frame.to_csv(),
    "to_html": lambda frame: frame.to_html(),
    "equals": lambda frame: frame.equals(frame.copy()),
    "concat": lambda frame: pd.concat([frame, frame]).drop_duplicates(),
    "fillna": lambda frame: [frame[name].dropna() for name in frame],
}


@cache
def strange(operation: str, seed: int) -> dict[str, pa.Table]:
    """Return the tables of an operation with forty rows of every kind of content."""
    random = Random(seed)
    texts = [json.dumps(row(random, operation)).encode() for _ in range(40)]
    if operation == "ListAssociatedFleets":
        texts = [json.dumps(random.choice(TEXTS)).encode() for _ in range(40)]
    parent = OPERATIONS[operation].parent
    return decode(texts, replace(KEY, parent=dict.fromkeys(parent.keys, "x") if parent else {}), operation)


@cache
def strange_frames(operation: str) -> list[pd.DataFrame]:
    """Return the same tables for pandas, whose own quantiles warn of numbers near 2**63: those are not in them."""
    frames = [to_pandas(table) for table in strange(operation, 7).values()]
    for frame in frames:
        for name in frame.select_dtypes("Int64"):
            frame[name] = frame[name].clip(-(2**31), 2**31)
    return frames


def whole(operation_seed: int = 7) -> Frames:
    """Return frames with every table, full of every kind of content."""
    tables = {name: table for operation in OPERATIONS for name, table in strange(operation, operation_seed).items()}
    return Frames({**{name: to_pandas(table) for name, table in tables.items()}, "coverage": make_empty("coverage")})


def dtypes(name: str, *images: bytes) -> dict[str, str]:
    return to_pandas(decode(images, KEY)[name]).dtypes.astype(str).to_dict()


def looked_at(image: bytes) -> Frames:
    tables = {name: to_pandas(table) for name, table in decode([image], KEY).items()}
    return Frames({**tables, "coverage": make_empty("coverage")})


@pytest.mark.parametrize("name", ["images", "applications", "errors"])
def test_empty_one_row_and_all_null_have_the_same_dtypes(name: str) -> None:
    """Types never depend on content."""
    full = (
        b'{"Name": "a", "CreatedTime": 1617300000.5, "Applications": [{"Metadata": {"A": null}}], "ImageErrors": [{}]}'
    )
    assert dtypes(name) == dtypes(name, full) == dtypes(name, b'{"Applications": [{}], "ImageErrors": [{}]}')


def test_the_dtypes_are_those_of_the_design(frames: asf.Frames) -> None:
    """Each Arrow type has one pandas dtype."""
    expected = {
        "string": "str",
        "bool": "boolean",
        "int64": "Int64",
        "timestamp[us, tz=UTC]": "datetime64[us, UTC]",
        "list<item: string>": "object",
        "map<string, string>": "object",
    }
    for name, table in frames.tables.items():
        assert table.dtypes.astype(str).to_list() == [
            expected[str(column.type)] for column in list_tables()[name].columns
        ]


DTYPES = """
import datetime as dt, appstream_frames as asf
with asf.sandbox() as box:
    frames = asf.drain(box.client(), type="PRIVATE")
print([frames.tables[name].dtypes.astype(str).to_list() for name in frames.tables])
print(frames.images.set_index("arn").created_time.sort_index().astype("int64").sum())
"""


@pytest.mark.slow
def test_the_time_zone_of_the_machine_changes_nothing(tmp_path: Path) -> None:
    """New York and Kolkata, west and east of UTC, give identical dtypes and moments."""
    said = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", DTYPES],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("America/New_York", "Asia/Kolkata")
    }
    assert len(said) == 1


def test_lists_are_tuples_and_maps_tuples_of_pairs() -> None:
    """Nested cells can be hashed, null is None, and equal cells of different rows are equal."""
    sent = [
        {"Name": "a", "SupportedInstanceFamilies": ["X", "Y"], "Applications": [{"Metadata": {"k": None, "l": "v"}}]},
        {"Name": "b", "SupportedInstanceFamilies": [], "Applications": [{"Name": "x"}, {"Metadata": {}}]},
        {"Name": "c"},
    ]
    tables = {name: to_pandas(table) for name, table in decode([json.dumps(one).encode() for one in sent], KEY).items()}
    assert tables["images"]["supported_instance_families"].to_list() == [("X", "Y"), (), None]
    assert tables["applications"]["metadata"].to_list() == [(("k", None), ("l", "v")), None, None]


def test_a_time_can_be_changed() -> None:
    """A frame's times are its own: Arrow's memory could not be written to."""
    frame = to_pandas(decode([b'{"CreatedTime": 0}', b'{"CreatedTime": 1}'], KEY)["images"])
    frame.loc[0, "created_time"] = frame.loc[1, "created_time"]
    assert frame["created_time"].nunique() == 1


@given(st.integers(0, 2**63), st.sampled_from(sorted(OPERATIONS)))
def test_pandas_and_back_is_the_same_table(seed: int, operation: str) -> None:
    """No value of any table is changed on the way to pandas and back, also of a part of a larger table."""
    for name, table in strange(operation, seed).items():
        part = table.slice(1)
        assert to_arrow(to_pandas(part), name).equals(part)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("call", CALLS)
def test_pandas_takes_every_table(call: str, operation: str) -> None:
    """The calls that people make on a frame work on each table, with and without rows."""
    for frame in strange_frames(operation):
        for each in (frame, frame.head(0)):
            CALLS[call](each)


def test_the_snapshot_is_one_moment_on_every_row(frames: asf.Frames) -> None:
    """All tables of a Frames carry the same moment."""
    assert {moment for table in frames.tables.values() for moment in table["snapshot"].unique()} == {frames.snapshot}


def test_applications_join_their_images(frames: asf.Frames) -> None:
    """Every application's key names exactly one image."""
    keys = frames.applications.merge(
        frames.images, left_on=["account", "region", "image_arn"], right_on=["account", "region", "arn"]
    )
    assert len(keys) == len(frames.applications)


def test_the_repr_counts_rows(frames: asf.Frames) -> None:
    """The first line says how much there is."""
    assert f"{len(frames.images)} images, {len(frames.applications)} applications" in repr(frames)


@pytest.mark.parametrize("word", ["AVAILABLE", "WINDOWS_SERVER_2022", "LATEST", "oldest", "1 of 1 targets"])
def test_the_repr_answers_the_first_questions(frames: asf.Frames, word: str) -> None:
    """State, platform, agent, base dates and coverage are there at one look."""
    assert word in repr(frames)
    assert word in frames._repr_html_()


def test_the_repr_names_what_is_not_complete(box: asf.sandbox) -> None:
    """A drain that was cut says so."""
    assert "not complete: 012345678901/eu-west-1 DescribeImages limited" in repr(asf.drain(box.client(), max_items=1))


def test_the_repr_of_nothing_does_not_fail() -> None:
    """Frames without a row can be looked at."""
    nothing = Frames({name: make_empty(name) for name in list_tables()})
    assert "0 images" in repr(nothing) + nothing._repr_html_()


def _to_categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict.fromkeys(frame.select_dtypes("str").columns, "category"))


CONVERSIONS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "convert_dtypes": lambda frame: frame.convert_dtypes(),
    "Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda frame: frame.astype(object),
    "categories": _to_categories,
}


@pytest.fixture(scope="module")
def everything() -> asf.Frames:
    """Return every table of the sandbox's default target."""
    with asf.sandbox() as sandbox:
        return asf.drain(sandbox.client(), include="all")


ASKED = [asf.findings, asf.usage, asf.used_by, asf.application_versions]


@pytest.fixture(scope="module", params=ASKED, ids=lambda ask: ask.__name__)
def asked(
    request: pytest.FixtureRequest, everything: asf.Frames
) -> tuple[Callable[[asf.Frames], pd.DataFrame], pd.DataFrame]:
    """Return a function of frames, and what it returns for the frames as they were drained."""
    return request.param, request.param(everything)


@pytest.mark.slow
@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_the_same_values_in_other_dtypes_have_the_same_answer(
    asked: tuple[Callable[[asf.Frames], pd.DataFrame], pd.DataFrame], conversion: str, everything: asf.Frames
) -> None:
    """A user may convert the tables before asking."""
    ask, answer = asked
    converted = Frames({name: CONVERSIONS[conversion](table) for name, table in everything.tables.items()})
    pd.testing.assert_frame_equal(ask(converted), answer)


def test_accounts_that_became_numbers_are_refused(everything: asf.Frames, tmp_path: Path) -> None:
    """A CSV loses their leading zeros, and no join would find them."""
    everything.images.to_csv(tmp_path / "images.csv", index=False)
    read = Frames({**everything.tables, "images": pd.read_csv(tmp_path / "images.csv")})
    with pytest.raises(asf.RequestError, match=r"'images' holds a value .* got int64. Pass it as a drain"):
        asf.usage(read)


@pytest.mark.parametrize("given", [None, [], pd.DataFrame()], ids=lambda given: type(given).__name__)
def test_merge_takes_frames_only(frames: asf.Frames, given: Any) -> None:
    """And says what it was given."""
    with pytest.raises(asf.RequestError, match=f"is a {type(given).__name__}, expected Frames"):
        frames.merge(given)


def test_frames_without_coverage_say_where_frames_come_from() -> None:
    """Coverage is no table that could be asked for."""
    with pytest.raises(asf.TableNotReadError, match="as a drain or read_snapshot returned them"):
        Frames({"images": pd.DataFrame()}).coverage  # noqa: B018


def test_html_from_aws_is_inert() -> None:
    """Tags in an image's text are shown, not rendered."""
    shown = looked_at(HOSTILE)._repr_html_()
    assert ("<script>" in shown, "<img" in shown, "&lt;script&gt;" in shown) == (False, False, True)


def test_control_characters_from_aws_are_shown_as_escapes() -> None:
    """ESC and bidi marks do not reach the terminal."""
    shown = repr(looked_at(HOSTILE))
    assert ("\x1b" in shown, "\u202e" in shown, "\\x1b" in shown) == (False, False, True)


def test_relabel_moves_every_table(frames: asf.Frames) -> None:
    """A new moment is on every row, with the same dtype."""
    moved = frames.relabel("2026-09-07")
    assert {str(table["snapshot"].dtype) for table in moved.tables.values()} == {"datetime64[us, UTC]"}
    assert moved.snapshot == pd.Timestamp("2026-09-07", tz="UTC")


@pytest.mark.parametrize("moment", [None, pd.NaT, "", "tomorrow at 9", 20261123, 1.5, ["2026-11-23"]], ids=repr)
def test_relabel_refuses_what_is_no_moment(frames: asf.Frames, moment: Any) -> None:
    """A number would file a snapshot under 1970, and no moment at all could not be filed."""
    with pytest.raises(asf.RequestError, match=r"^moment=.* is no moment; pass a datetime, or text in ISO format"):
        frames.relabel(moment)


def test_relabel_leaves_the_original_alone(frames: asf.Frames) -> None:
    """What was handed in is not changed."""
    before = frames.snapshot
    frames.relabel("2026-09-07")
    assert frames.snapshot == before


def test_a_table_that_was_read_is_an_attribute() -> None:
    """Whatever table frames hold has its name, and tab completion shows it."""
    frames = whole()
    assert frames.image_builders is frames.tables["image_builders"]
    assert set(list_tables()) <= set(dir(frames))


@pytest.mark.parametrize("name", ["fleets", "stack_errors", "permissions"])
def test_a_table_that_was_not_read_says_what_reads_it(frames: asf.Frames, name: str) -> None:
    """It is an AttributeError, so that hasattr is false, and one of ours."""
    assert not hasattr(frames, name)
    with pytest.raises(asf.AppStreamFramesError, match=f"include='{name}'"):
        getattr(frames, name)


def test_a_misspelt_table_is_an_attribute_error(frames: asf.Frames) -> None:
    """Python itself then suggests what was meant."""
    with pytest.raises(AttributeError, match="no attribute 'imges'"):
        _ = frames.imges


def test_own_leaves_out_what_aws_provides(frames: asf.Frames) -> None:
    """AWS's public images go, with their applications and errors; what others share stays, and so does everything else."""
    own = frames.own
    assert set(own.images["visibility"]) == {"PRIVATE", "SHARED"}
    assert len(own.images) == (frames.images["visibility"] != "PUBLIC").sum()
    kept = own.images["arn"].to_list()
    assert len(own.applications) == frames.applications["image_arn"].isin(kept).sum()
    pd.testing.assert_frame_equal(own.coverage, frames.coverage)


def test_own_keeps_an_image_without_an_arn() -> None:
    """Nothing says that it is AWS's."""
    assert len(looked_at(b'{"Name": "a"}').own.images) == 1


def test_plain_cells_are_what_a_database_takes() -> None:
    """Every table goes into SQLite, row by row, and lists, maps and times are text and naive times."""
    connection = sqlite3.connect(":memory:")
    plain = whole().plain()
    for name, table in plain.items():
        assert table.to_sql(name, connection, index=False) == len(table)
        assert not [column for column in table if isinstance(table[column].dtype, pd.DatetimeTZDtype)]
    connection.close()


@pytest.mark.parametrize(
    "change", [lambda table: table.astype(object), lambda table: table.convert_dtypes(dtype_backend="pyarrow")]
)
def test_plain_cells_are_the_same_after_other_tools(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """What pandas made of the dtypes meanwhile does not matter."""
    frames = whole()
    # of a copy: `convert_dtypes` of pandas 3.0.0 writes 1970 over the missing times of the frame that it is called on
    changed = Frames({name: change(table.copy()) for name, table in frames.tables.items()})
    for name, table in frames.plain().items():
        same, cells = (each.astype(object).where(each.notna(), None) for each in (changed.plain()[name], table))
        pd.testing.assert_frame_equal(same, cells)


def test_plain_cells_say_the_same() -> None:
    """A list is its elements with commas, a map is JSON, a time is the same in UTC; the frames are as they were."""
    sent = {
        "CreatedTime": 1.5,
        "SupportedInstanceFamilies": ["X", "Y"],
        "Applications": [{"Metadata": {"k": None, "l": "é"}}],
    }
    frames = looked_at(json.dumps(sent).encode())
    plain = frames.plain()
    assert plain["images"]["supported_instance_families"].to_list() == ["X, Y"]
    assert plain["applications"]["metadata"].to_list() == ['{"k": null, "l": "é"}']
    assert plain["images"]["created_time"].to_list() == [pd.Timestamp("1970-01-01 00:00:01.5")]
    assert frames.images["supported_instance_families"].to_list() == [("X", "Y")]


def workbook(frames: Frames, path: Path) -> Any:
    frames.to_excel(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return openpyxl.load_workbook(path)


@pytest.mark.slow
def test_a_workbook_has_a_sheet_a_table(tmp_path: Path) -> None:
    """Every table of every operation is there, with all its rows below a head that stays in sight."""
    frames = whole()
    book = workbook(frames, tmp_path / "images.xlsx")
    assert len(book.sheetnames) == len(set(book.sheetnames)) == len(frames.tables)
    for sheet, (name, table) in zip(book.worksheets, frames.tables.items(), strict=True):
        assert name.startswith(sheet.title[:28])
        assert (sheet.max_row, sheet.freeze_panes) == (len(table) + 1, "A2")
        assert [cell.value for cell in sheet[1]] == list(table.columns)


HOSTILE_CELLS = (
    "=1+1",
    '=HYPERLINK("http://x","y")',
    "+1",
    "-1",
    "@SUM(A1)",
    "#N/A",
    "a\x00\x1bb",
    "n" * 40_000,
    "\t=1",
)


def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    """Text that looks like a formula, an error or a number is text, and what a cell cannot hold is written as escapes."""
    images = [looked_at(json.dumps({"Name": text, "Description": text}).encode()).images for text in HOSTILE_CELLS]
    frames = Frames({"images": pd.concat(images, ignore_index=True), "coverage": make_empty("coverage")})
    sheet = workbook(frames, tmp_path / "images.xlsx")["images"]
    column = [cell.value for cell in sheet[1]].index("description")
    cells = [row[column] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in cells[:6]] == list(HOSTILE_CELLS[:6])
    assert (cells[6].value, len(cells[7].value), cells[0].quotePrefix) == ("a\\x00\\x1bb", 32_767, True)


def test_a_workbook_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """A table that no sheet can hold is refused before anything is written."""
    path = tmp_path / "images.xlsx"
    path.write_text("old")
    many = pd.DataFrame({"name": range(1_048_576)})
    with pytest.raises(asf.RequestError, match="images has 1,048,576 rows"):
        Frames({"images": many, "coverage": make_empty("coverage")}).to_excel(path)
    assert path.read_text() == "old"


@pytest.mark.parametrize("column", ["name", 5, None, ("a", "b")])
def test_a_column_that_no_file_can_name_is_refused(column: object) -> None:
    """One that is there twice, or whose name is no text."""
    frame = make_empty("images")
    frame.insert(0, column, None, allow_duplicates=True)
    with pytest.raises(asf.RequestError, match="rename it"):
        to_arrow(frame, "images")
