"""Draining straight into a snapshot, batch by batch: what is staged is right, in bounded memory, and gone if it is given up."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faultserver import UNCLOSED, FaultServer, linked_pages

import appstream_frames as asf
from appstream_frames.archive import parquet, store, writer
from appstream_frames.archive.roots import open_store
from appstream_frames.archive.writer import RowGroups, stage_tables
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.schema import list_tables

pytestmark = UNCLOSED
ORDER = ("applications", "errors", "images")
#: In a batch: (target, [(image or None for no ARN, applications, errors)]).
BATCHES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(0, 3), st.integers(0, 1)), max_size=6),
    ),
    max_size=8,
)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_interrupted_drain_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ctrl-C at any batch removes what was staged."""
    add, calls = RowGroups.add, []

    def interrupted(self: RowGroups, batch: pa.Table) -> None:
        calls.append(batch)
        if len(calls) > at:
            raise KeyboardInterrupt
        add(self, batch)

    monkeypatch.setattr(RowGroups, "add", interrupted)
    with FaultServer(linked_pages(3, 130)) as server, pytest.raises(KeyboardInterrupt):
        asf.take_snapshot(root, server.client())
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_signal_right_after_a_file_was_opened_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C strikes before anybody has the staged file in hand, and it is removed all the same."""

    class Interrupted(store.StagedFile):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.close()
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "StagedFile", Interrupted)
    with FaultServer(linked_pages(3, 130)) as server, pytest.raises(KeyboardInterrupt):
        asf.take_snapshot(root, server.client())
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_file_that_cannot_be_begun_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the third staged file cannot be opened, the two before it are removed at once."""
    real, begun = store.StagedFile, []

    def refused(*arguments: Any) -> Any:
        begun.append(arguments)
        if len(begun) == 3:
            raise OSError(24, "Too many open files")
        return real(*arguments)

    monkeypatch.setattr(store, "StagedFile", refused)
    schemas, opened = {name: list_tables()[name].schema for name in ORDER}, open_store(root)
    with pytest.raises(OSError, match="Too many"), opened.staging() as staged, stage_tables(opened, schemas, staged):
        pass
    assert len(begun) == 3
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_tables_without_rows_take_no_memory(root: Path) -> None:
    """A million images without an error make thousands of empty tables of errors; none of them is held."""
    schemas, opened = {"errors": list_tables()["errors"].schema}, open_store(root)
    with opened.staging() as staged, stage_tables(opened, schemas, staged) as files:
        table = make_tables(0, 0, [(0, 1, 0)])["errors"]
        held = weakref.ref(table)
        files["errors"].add(table)
        del table
        assert held() is None


def make_tables(batch: int, target: int, images: list[tuple[int | None, int, int]]) -> dict[str, pa.Table]:
    """Return the tables of a batch; names tell apart what was sent when."""
    made = [
        {
            "Name": f"{batch}.{number}",
            **({} if arn is None else {"Arn": f"arn-{arn}"}),
            "Applications": [{"Name": f"{batch}.{number}.{inner}"} for inner in range(applications)],
            "ImageErrors": [{"ErrorCode": f"{batch}.{number}.{inner}"} for inner in range(errors)],
        }
        for number, (arn, applications, errors) in enumerate(images)
    ]
    key = Key(dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "012345678901", f"region-{target}")
    return decode([json.dumps(each).encode() for each in made], key)


@given(batches=BATCHES, group=st.integers(1, 9))
def test_any_batches_are_written_whole_and_counted(batches: list[Any], group: int) -> None:
    """Whatever comes in whichever batch of whichever target, in row groups of any size."""
    made = [make_tables(number, target, images) for number, (target, images) in enumerate(batches)]
    expected = {name: [batch[name].to_pylist() for batch in made] for name in ORDER}
    schemas = {name: list_tables()[name].schema for name in ORDER}
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(writer, "GROUP", group)
        opened = open_store(root)
        with opened.staging() as staged:
            with stage_tables(opened, schemas, staged) as files:
                for batch in made:
                    for name, table in batch.items():
                        files[name].add(table)
            seen = {file.folder: pq.read_table(file.path).to_pylist() for file in staged}
            assert seen == {name: [row for rows in each for row in rows] for name, each in expected.items()}
            assert list(seen) == list(ORDER)
            counted = {file.folder: parquet.make_record(file)["rows"] for file in staged}
            assert counted == {name: len(rows) for name, rows in seen.items()}
            assert sorted(file.path for file in staged) == sorted(Path(root).rglob("*.tmp"))
        assert sorted(Path(root).rglob("*.tmp")) == []


def test_an_error_of_the_drain_is_no_error_of_storage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What interrupts a drain comes out as it is, though the files are open meanwhile, and nothing is left."""

    def broken(self: RowGroups, table: pa.Table) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(RowGroups, "add", broken)
    with FaultServer() as server, pytest.raises(BrokenPipeError):
        asf.take_snapshot(root, server.client())
    assert not root.exists()
