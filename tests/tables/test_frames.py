"""Frames: dtypes that hold whatever they hold, and a first look that tells."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import appstream_frames as asf
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.frames import Frames, empty, to_pandas
from appstream_frames.tables.schema import all_tables

KEY = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", "eu-west-1")
HOSTILE = (
    b'{"Name": "a", "State": "<script>alert(1)</script>\\u001b[31m\\u202e", "AppstreamAgentVersion": "<img onerror=x>"}'
)


def dtypes(name: str, *images: bytes) -> dict[str, str]:
    return to_pandas(decode(images, KEY)[name]).dtypes.astype(str).to_dict()


def looked_at(image: bytes) -> Frames:
    tables = {name: to_pandas(table) for name, table in decode([image], KEY).items()}
    return Frames({**tables, "coverage": empty("coverage")})


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
        "list<item: string>": "list<item: string>[pyarrow]",
        "map<string, string>": "map<string, string>[pyarrow]",
    }
    for name, table in frames.tables.items():
        assert table.dtypes.astype(str).to_list() == [
            expected[str(column.type)] for column in all_tables()[name].columns
        ]


DTYPES = """
import datetime as dt, appstream_frames as asf
with asf.sandbox() as box:
    frames = asf.drain(box.client(), type="PRIVATE")
print([frames.tables[name].dtypes.astype(str).to_list() for name in frames.tables])
print(frames.images.set_index("arn").created_time.sort_index().astype("int64").sum())
"""


def test_the_time_zone_of_the_machine_changes_nothing(tmp_path: Path) -> None:
    """UTC, New York and Kolkata give identical dtypes and moments."""
    said = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", DTYPES],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "America/New_York", "Asia/Kolkata")
    }
    assert len(said) == 1


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
    assert "not complete: 012345678901/eu-west-1 limited" in repr(asf.drain(box.client(), max_items=1))


def test_the_repr_of_nothing_does_not_fail() -> None:
    """Frames without a row can be looked at."""
    nothing = Frames({name: empty(name) for name in all_tables()})
    assert "0 images" in repr(nothing) + nothing._repr_html_()


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


def test_relabel_leaves_the_original_alone(frames: asf.Frames) -> None:
    """What was handed in is not changed."""
    before = frames.snapshot
    frames.relabel("2026-09-07")
    assert frames.snapshot == before
