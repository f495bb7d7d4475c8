"""A root is what the user meant, or it is refused with what to give instead."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import seaweed
from support.command import run
from support.marks import marked

import appstream_frames as asf
from appstream_frames.archive.writer import RowGroups

POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/nightly"
OUTPOST = "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-0123/accesspoint/nightly"
#: A root, and the folder under the working folder (or the home, after ~) that it means.
FOLDERS = {
    "snapshots": "snapshots",
    "./snapshots": "snapshots",
    "snapshots/": "snapshots",
    "a/b/../c": "a/c",
    "not/there/../c": "not/c",
    "not-there/../c": "c",
    "with space": "with space",
    "50% of größe": "50% of größe",
    "gr%C3%B6ße": "gr%C3%B6ße",
    "~": "~",
    "~/snapshots": "~/snapshots",
    "bucket/prefix": "bucket/prefix",
}
#: A root, and what the refusal has to name.
REFUSED = {
    "s3:/bucket/x": "'s3://bucket/x'",
    Path("s3://bucket/x"): "'s3://bucket/x'",
    "s3:bucket/x": "'s3://bucket/x'",
    "s3a://bucket/x": "'s3://bucket/x'",
    "s3:\\bucket\\x": "'s3://bucket/x'",
    "arn:aws:s3:::bucket/x": "'s3://bucket/x'",
    POINT: f"'s3://{POINT}'",
    "https://bucket.s3.eu-west-1.amazonaws.com/x": "'s3://bucket/x'",
    "https://s3.eu-west-1.amazonaws.com/bucket/x": "'s3://bucket/x'",
    "s3://bucket.s3.amazonaws.com/x": "'s3://bucket/x'",
    "s3://": "names no bucket",
    "s3:///x": "names no bucket",
    "s3://my bucket/x": "names no bucket",
    "s3://AKIDKEY:SECRETKEY@bucket/x": r"s3://\*\*\*@bucket",
    "s3:/AKIDKEY:SECRETKEY@bucket/x": r"pass 's3://\*\*\*@bucket/x'",
    "s3a://AKIDKEY:SECRETKEY@bucket/x": r"pass 's3://\*\*\*@bucket/x'",
    "'s3://AKIDKEY:SECRETKEY@bucket/x'": r"pass s3://\*\*\*@bucket/x",
    "file://me:SECRETKEY@host/x": r"'/\*\*\*@host/x'",
    "s3://bucket//x": "'s3://bucket/x'",
    "s3://bucket/a/../x": "'s3://bucket/a/x'",
    "'s3://bucket/x'": "pass s3://bucket/x",
    '"s3://bucket/x"': "pass s3://bucket/x",
    "'snapshots'": "quotation marks",
    "s3:": "names no bucket",
    "https://s3.eu-west-1.amazonaws.com/": "names no bucket",
    "s3 ://bucket/x": "expected a folder, or s3://bucket/prefix",
    "root=s3://bucket/x": "expected a folder, or s3://bucket/prefix",
    "file:snapshots": "the folder itself, 'snapshots'",
    "file:///C:/My%20data": "the folder itself, 'C:/My data'",
    "file:///data/x": "the folder itself, '/data/x'",
    "file://localhost/data/x": "the folder itself, '/data/x'",
    "gs://bucket/x": "expected a folder, or s3://bucket/prefix",
    "https://example.com/x": "expected a folder, or s3://bucket/prefix",
    "": "names nothing",
    "  ": "names nothing",
    " snapshots": "white space",
    "snapshots\n": "white space",
    "$HOME/snapshots": "expandvars",
    "${HOME}/snapshots": "expandvars",
    "%USERPROFILE%/snapshots": "expandvars",
    "s3://bucket/$STAGE/x": "expandvars",
    "s3://${BUCKET}/x": "expandvars",
    "s3://bucket/%STAGE%/x": "expandvars",
    "~nobody-of-that-name/x": "a user that is not known",
    "\\\\server\\share\\x": "a path of Windows",
    "//server/share/x": "a path of Windows",
    "C:\\snapshots": "a path of Windows",
    "C:/snapshots": "a path of Windows",
    None: "names nothing",
    7: "names nothing",
    b"snapshots": "names nothing",
}
linux = pytest.mark.skipif(os.name == "nt", reason="another system's paths")


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "work" / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(("root", "meant"), FOLDERS.items())
def test_a_folder_is_written_where_it_was_meant(tmp_path: Path, kind: type, root: str, meant: str) -> None:
    """As text or as a path, with the home folder where it says ~."""
    name = asf.write_snapshot(marked("here"), kind(root))
    folder = tmp_path / meant.replace("~", "home", 1) if meant.startswith("~") else tmp_path / "work" / meant
    assert (folder / "images" / f"{name}.parquet").exists()
    assert asf.read_snapshot(kind(root)).images["name"].iloc[0] == "here"


def test_a_folder_may_be_called_like_the_home_folder(tmp_path: Path) -> None:
    """Who writes ./~ means it."""
    asf.write_snapshot(marked("here"), "./~")
    assert (tmp_path / "work" / "~" / "images").is_dir()


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the working folder changes while the snapshot is written."""

    def move(self: RowGroups) -> None:
        monkeypatch.chdir(tmp_path / "home")

    with monkeypatch.context() as patch:
        patch.setattr(RowGroups, "flush", move)
        name = asf.take_snapshot("snapshots", box.client(), max_items=1, progress=False)
    assert list((tmp_path / "home").iterdir()) == []
    assert asf.list_snapshots(tmp_path / "work" / "snapshots")["id"].to_list() == [name]


def test_views_read_a_relative_folder_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files are read when they are queried, perhaps after the working folder changed."""
    pytest.importorskip("duckdb")
    asf.write_snapshot(marked("here"), "snapshots")
    with asf.connect("snapshots") as connection:
        monkeypatch.chdir(tmp_path / "home")
        assert connection.sql("SELECT DISTINCT name FROM images").fetchall() == [("here",)]


@linux
def test_a_removed_working_folder_is_an_error_of_the_root(tmp_path: Path) -> None:
    """A relative folder means nothing there, and the error names it."""
    (tmp_path / "work" / "gone").mkdir()
    os.chdir(tmp_path / "work" / "gone")
    (tmp_path / "work" / "gone").rmdir()
    with pytest.raises(asf.StorageError, match="snapshots"):
        asf.write_snapshot(marked("nowhere"), "snapshots")


@linux
@pytest.mark.parametrize(("root", "hint"), REFUSED.items(), ids=map(repr, REFUSED))
def test_what_cannot_be_meant_is_refused_with_a_hint(tmp_path: Path, root: Any, hint: str) -> None:
    """Reading and writing alike, and nothing is made anywhere."""
    before = sorted(tmp_path.rglob("*"))
    for use in (asf.list_snapshots, asf.verify, lambda root: asf.write_snapshot(marked("nowhere"), root)):
        with pytest.raises(asf.RequestError, match=hint) as caught:
            use(root)
        assert "SECRETKEY" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("spelling", "prefix"),
    [
        ("{}/plain", "plain/"),
        ("{}/plain/", "plain/"),
        ("{}/with space", "with space/"),
        ("{}/100%25 größe+日本", "100%25 größe+日本/"),
        ("{}/a/b/c", "a/b/c/"),
    ],
)
@pytest.mark.slow
@pytest.mark.usefixtures("s3_root")
def test_a_prefix_is_written_where_it_was_meant(s3_server: seaweed.Seaweed, spelling: str, prefix: str) -> None:
    """Whatever characters it has, and with or without a slash at its end."""
    root = spelling.format(f"s3://{seaweed.BUCKET}")
    name = asf.write_snapshot(marked("here"), root)
    assert f"{prefix}images/{name}.parquet" in s3_server.keys(prefix)
    assert asf.read_snapshot(root.replace("s3://", "S3://")).images["name"].iloc[0] == "here"


@pytest.mark.parametrize("point", [POINT, OUTPOST])
def test_an_access_point_is_taken_whole(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """The slash in its ARN does not end the bucket's name."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(asf.StorageError, match=f"listing s3://{point}/team/appstream/coverage/"):
        asf.list_snapshots(f"s3://{point}/team/appstream")


def test_a_file_is_no_root(tmp_path: Path) -> None:
    """Writing and reading raise an error that says so."""
    (tmp_path / "file").write_text("mine")
    for use in (asf.list_snapshots, asf.verify, lambda root: asf.write_snapshot(marked("nowhere"), root)):
        with pytest.raises(asf.RequestError, match="is a file"):
            use(tmp_path / "file")


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says where, what the system said, and what to do."""

    def refused(path: Any, *arguments: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(asf.StorageError, match=r"writing into \S*/archive: Permission denied\. Check who may"):
        asf.write_snapshot(marked("nowhere"), tmp_path / "archive")


USES = {
    "list": asf.list_snapshots,
    "verify": asf.verify,
    "read": asf.read_snapshot,
    "history": asf.read_history,
    "connect": asf.connect,
    "write": lambda root: asf.write_snapshot(marked("nowhere"), root),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_folder_whose_name_is_too_long_is_named(tmp_path: Path, use: Any) -> None:
    """Whoever reads or writes learns which root, what the system said, and what to do."""
    with pytest.raises(asf.StorageError, match=r"ing (into )?\S*/x{300}\S*: File name too long\. Expected a folder"):
        use(tmp_path / ("x" * 300))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_folder_that_may_not_be_seen_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Any) -> None:
    """It is not said to be missing: nobody knows."""
    root, real = tmp_path / "closed" / "archive", os.stat

    def refused(path: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(path, int) and os.fspath(path).startswith(str(root)):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(asf.StorageError, match=rf"ing (into )?{root}\S*: Permission denied\. Check who may"):
        use(root)


def test_a_folder_whose_files_may_not_be_looked_at_is_named(
    frames: asf.Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may list a folder need not be allowed into it."""
    asf.write_snapshot(frames, tmp_path)
    real = os.scandir

    def refused() -> None:
        raise PermissionError(13, "Permission denied")

    def listed(path: Any) -> list[Any]:
        return [SimpleNamespace(name=entry.name, path=entry.path, stat=refused) for entry in real(path)]

    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(asf.StorageError, match=rf"listing {tmp_path}\S*: Permission denied\. Check who may"):
        asf.verify(tmp_path)


def test_a_snapshot_of_a_wrong_root_is_refused_before_signing_in(tmp_path: Path) -> None:
    """Misuse, though no region and no credentials are configured."""
    done = run("snapshot", "s3:/bucket/x", cwd=tmp_path)
    assert (done.returncode, "for a bucket, pass 's3://bucket/x'" in done.stderr) == (2, True)


def test_a_command_names_the_root(tmp_path: Path) -> None:
    """Every command that reads says which root holds no snapshot."""
    for command in ("ls", "diff", "verify", "report"):
        done = run(command, "nowhere", cwd=tmp_path)
        assert (done.returncode, "No snapshot under nowhere: there is no such folder" in done.stderr) == (1, True)
