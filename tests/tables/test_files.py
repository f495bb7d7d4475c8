"""Files that a report or a workbook is written into: replaced whole or not at all, through links, with the usual rights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty
from appstream_frames.tables.files import replace_file


def write(text: str, path: Path) -> None:
    with replace_file(path) as file:
        file.write(text.encode())


def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    """When the new one cannot be written whole, the old one is as it was and nothing lies beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")
    code = (
        "import resource, sys; from appstream_frames.tables.files import replace_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))\n"
        "with replace_file(sys.argv[1]) as file: file.write(b'x' * 1000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert ("OSError" in done.stderr, path.read_text(), os.listdir(tmp_path)) == (True, "old", ["report.html"])


def test_a_link_keeps_leading_to_the_report(tmp_path: Path) -> None:
    """The file that a link leads to is replaced, not the link."""
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    write("new", tmp_path / "link.html")
    assert ((tmp_path / "real.html").read_text(), (tmp_path / "link.html").is_symlink()) == ("new", True)


def test_a_report_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    """A web server may read it where the umask lets it."""
    (tmp_path / "plain").write_text("x")
    write("x", tmp_path / "report")
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """Nothing takes the place of a pipe or a device, whoever runs the command."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    asf.Frames({"coverage": make_empty("coverage")}).to_excel(path)
    assert (os.read(reader, 2), path.is_fifo()) == (b"PK", True)
    os.close(reader)


def test_a_workbook_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no shell replaces it, ~ is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    asf.Frames({"coverage": make_empty("coverage")}).to_excel("~/images.xlsx")
    assert (tmp_path / "images.xlsx").read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(("name", "advice"), [("nowhere/images.xlsx", "nowhere; make it first"), (".", "is a folder")])
def test_a_workbook_that_can_be_in_no_folder_is_refused(tmp_path: Path, name: str, advice: str) -> None:
    """The folder is named, not a file that the package would have made in it."""
    with pytest.raises(asf.RequestError, match=advice):
        asf.Frames({"coverage": make_empty("coverage")}).to_excel(tmp_path / name)
