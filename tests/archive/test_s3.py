"""Snapshots in S3, against a real server: the same promises as in a folder, and what is said of wrong credentials."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import seaweed
from support.buckets import problems
from support.command import run
from support.marks import TABLES, equal

import appstream_frames as asf
from appstream_frames.archive.roots import open_store


def keys(server: seaweed.Seaweed, root: str) -> list[str]:
    prefix = root.removeprefix(f"s3://{seaweed.BUCKET}/") + "/"
    return [key.removeprefix(prefix) for key in server.keys(prefix)]


def test_what_is_read_equals_what_was_written(s3_root: str, frames: asf.Frames) -> None:
    """Values and dtypes come back from a bucket."""
    asf.write_snapshot(frames, s3_root)
    assert equal(asf.read_snapshot(s3_root), frames)


@pytest.mark.usefixtures("s3_root")
def test_a_bucket_alone_is_a_root(s3_server: seaweed.Seaweed, frames: asf.Frames) -> None:
    """A prefix is not needed."""
    name = asf.write_snapshot(frames, f"s3://{seaweed.BUCKET}")
    assert f"images/{name}.parquet" in s3_server.keys("images/")


def test_the_list_is_oldest_first(s3_root: str, frames: asf.Frames) -> None:
    """The list sorts by moment and counts rows."""
    names = [asf.write_snapshot(frames.relabel(moment), s3_root) for moment in ("2026-11-23", "2026-11-16")]
    assert asf.list_snapshots(s3_root)["id"].to_list() == names[::-1]


def test_a_drain_goes_straight_to_the_bucket(s3_root: str, box: asf.sandbox) -> None:
    """take_snapshot writes what drain reads."""
    asf.take_snapshot(s3_root, [box.client()])
    assert (
        asf.read_snapshot(s3_root)
        .images.drop(columns="snapshot")
        .equals(asf.drain(box.client()).images.drop(columns="snapshot"))
    )


def test_just_the_four_objects_and_a_readme_are_left(
    s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames
) -> None:
    """No markers of directories, nothing staged in the bucket; a README says what they are."""
    name = asf.write_snapshot(frames, s3_root)
    assert keys(s3_server, s3_root) == ["README.txt", *(f"{table}/{name}.parquet" for table in sorted(TABLES))]


def test_nothing_staged_is_left_on_the_machine(
    s3_root: str, frames: asf.Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder in which files were written aside is gone when the call returns."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asf.write_snapshot(frames, s3_root)
    assert list(tmp_path.iterdir()) == []


def test_nothing_staged_is_left_after_a_failure(
    s3_root: str, frames: asf.Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused upload leaves no file on the machine either."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError):
        asf.write_snapshot(frames, s3_root)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_archive_has_no_problems(s3_root: str, frames: asf.Frames) -> None:
    """What was written and left alone verifies."""
    asf.write_snapshot(frames, s3_root)
    assert asf.verify(s3_root).empty


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_a_changed_object_is_damage(s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames, table: str) -> None:
    """An object that somebody replaced is refused by the reader and named by verify."""
    name = asf.write_snapshot(frames, s3_root)
    key = f"{s3_root.removeprefix(f's3://{seaweed.BUCKET}/')}/{table}/{name}.parquet"
    s3_server.client().put_object(Bucket=seaweed.BUCKET, Key=key, Body=b"damage")
    with pytest.raises(asf.SnapshotCorruptError, match=key):
        asf.read_snapshot(s3_root)
    assert problems(s3_root) == {"damaged"}


@pytest.mark.parametrize("content", [b"", b"cut"])
def test_an_object_cut_short_is_damage_to_a_history(
    s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames, content: bytes
) -> None:
    """A range that is not there any more is no trouble of the storage, and nothing to try again."""
    name = asf.write_snapshot(frames, s3_root)
    key = f"{s3_root.removeprefix(f's3://{seaweed.BUCKET}/')}/images/{name}.parquet"
    s3_server.client().put_object(Bucket=seaweed.BUCKET, Key=key, Body=content)
    with pytest.raises(asf.SnapshotCorruptError, match=key):
        asf.read_history(s3_root, "images", columns=["name"])


def test_a_deleted_object_is_missing(s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames) -> None:
    """A committed object that is gone is a problem of its own kind."""
    name = asf.write_snapshot(frames, s3_root)
    key = f"{s3_root.removeprefix(f's3://{seaweed.BUCKET}/')}/images/{name}.parquet"
    s3_server.client().delete_object(Bucket=seaweed.BUCKET, Key=key)
    assert problems(s3_root) == {"missing"}


@pytest.mark.slow
def test_repair_removes_old_orphans_only(
    s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames, later: Callable[[float], None]
) -> None:
    """An object of ours without a manifest goes when it is old; a stranger's stays."""
    name, other = asf.write_snapshot(frames, s3_root), "20260101T000000.000000Z-abcdef"
    prefix = s3_root.removeprefix(f"s3://{seaweed.BUCKET}/")
    for key in (f"images/{other}.parquet", "images/mine.parquet", "exports/2026.parquet"):
        s3_server.client().put_object(Bucket=seaweed.BUCKET, Key=f"{prefix}/{key}", Body=b"half")
    repair(s3_server, s3_root)
    assert f"images/{other}.parquet" in keys(s3_server, s3_root)
    later(2)
    repair(s3_server, s3_root)
    assert f"images/{other}.parquet" not in keys(s3_server, s3_root)
    assert {"images/mine.parquet", "exports/2026.parquet", f"coverage/{name}.parquet"} < set(keys(s3_server, s3_root))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no manifests", "one level too deep", "an object missing"])
def test_repair_refuses_what_is_no_crash(
    s3_server: seaweed.Seaweed, s3_root: str, frames: asf.Frames, later: Callable[[float], None], case: str
) -> None:
    """Objects whose manifests are gone, half a copy and a wrong root lose nothing, however old they are."""
    asf.write_snapshot(frames, s3_root)
    prefix = s3_root.removeprefix(f"s3://{seaweed.BUCKET}/")
    gone = {"no manifests": "coverage/", "an object missing": "images/"}.get(case, "nothing")
    for key in s3_server.keys(f"{prefix}/{gone}"):
        s3_server.client().delete_object(Bucket=seaweed.BUCKET, Key=key)
    before = keys(s3_server, s3_root)
    later(99)
    code = repair(s3_server, f"{s3_root}/images" if case == "one level too deep" else s3_root)
    assert (code, keys(s3_server, s3_root)) == (1, before)


def repair(server: seaweed.Seaweed, root: str) -> int:
    return run("verify", root, "--repair", "--yes", environment=server.environment()).returncode


def test_a_few_columns_are_read_alone(s3_root: str, frames: asf.Frames) -> None:
    """Ranges of an object are enough to read and validate some columns."""
    asf.write_snapshot(frames, s3_root)
    read = asf.read_history(s3_root, "images", columns=["name"])
    assert read["name"].to_list() == frames.images["name"].to_list()


def test_an_object_is_never_overwritten(s3_root: str) -> None:
    """The upload is conditional: an object that is there stays as it is, and the writer gets an error."""
    store = open_store(s3_root)
    for content in (b"first", b"second"):
        with store.staging() as staged:
            with store.stage("images", staged) as sink:
                sink.write(content)
            if content == b"first":
                store.publish("name", staged)
            else:
                with pytest.raises(asf.StorageError, match="Precondition"):
                    store.publish("name", staged)
    assert store.read("images", "name") == b"first"


def test_a_wrong_secret_says_what_to_do(s3_root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the object, what S3 said and the credentials to check."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError, match=r"SignatureDoesNotMatch.*Check the credentials.*AWS_PROFILE"):
        asf.write_snapshot(frames, s3_root)


@pytest.mark.parametrize("call", [asf.list_snapshots, asf.read_snapshot, asf.verify])
def test_a_wrong_secret_fails_readers_too(s3_root: str, monkeypatch: pytest.MonkeyPatch, call: object) -> None:
    """A refused list is an error, never an empty archive."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError, match="Check the credentials"):
        call(s3_root)


def test_no_credentials_say_what_to_do(s3_root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials the same advice is given."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(asf.StorageError, match="Check the credentials"):
        asf.write_snapshot(frames, s3_root)


@pytest.mark.usefixtures("s3_root")
def test_a_missing_bucket_is_named() -> None:
    """The error says which bucket there is not."""
    with pytest.raises(asf.StorageError, match="There is no bucket 'nobody-made-it'"):
        asf.list_snapshots("s3://nobody-made-it/prefix")


def test_credentials_are_refreshed_when_they_expire(
    s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile whose keys live for seconds is asked for new ones in the middle of a job."""
    program, asked = tmp_path / "keys.py", tmp_path / "asked"
    answer = {"Version": 1, "AccessKeyId": seaweed.KEY, "SecretAccessKey": seaweed.SECRET}
    program.write_text(
        "import datetime as dt, json\n"
        f"open({str(asked)!r}, 'a').write('.')\n"
        "until = (dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=5)).isoformat()\n"
        f"print(json.dumps({answer!r} | {{'Expiration': until}}))\n"
    )
    (tmp_path / "config").write_text(f"[profile short]\ncredential_process = {sys.executable} -S {program}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "short")
    store = open_store(s3_root)
    counts = []
    for content in (b"first", b"second"):
        with store.staging() as staged:
            with store.stage("images", staged) as sink:
                sink.write(content)
            store.publish(content.decode(), staged)
        counts.append(len(asked.read_text()))
    assert counts[1] > counts[0]
    assert [file.name for file in store.list_files("images")] == ["first", "second"]
