"""Snapshots in S3, against a real server: the same promises as in a folder, and what is said of wrong credentials."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from support import seaweed as sea
from support.buckets import problems
from support.buckets import root as root
from support.buckets import server as server
from support.marks import TABLES, equal

import appstream_frames as asf
from appstream_frames.archive import maintenance
from appstream_frames.archive.store import open_store


def keys(server: sea.Seaweed, root: str) -> list[str]:
    prefix = root.removeprefix(f"s3://{sea.BUCKET}/") + "/"
    return [key.removeprefix(prefix) for key in server.keys(prefix)]


def test_what_is_read_equals_what_was_written(root: str, frames: asf.Frames) -> None:
    """Values and dtypes come back from a bucket."""
    asf.write_snapshot(frames, root)
    assert equal(asf.read_snapshot(root), frames)


@pytest.mark.usefixtures("root")
def test_a_bucket_alone_is_a_root(server: sea.Seaweed, frames: asf.Frames) -> None:
    """A prefix is not needed."""
    name = asf.write_snapshot(frames, f"s3://{sea.BUCKET}")
    assert f"images/{name}.parquet" in server.keys("images/")


def test_the_list_is_oldest_first(root: str, frames: asf.Frames) -> None:
    """The list sorts by moment and counts rows."""
    names = [asf.write_snapshot(frames.relabel(moment), root) for moment in ("2026-11-23", "2026-11-16")]
    assert asf.list_snapshots(root)["id"].to_list() == names[::-1]


def test_a_drain_goes_straight_to_the_bucket(root: str, box: asf.sandbox) -> None:
    """take_snapshot writes what drain reads."""
    asf.take_snapshot(root, [box.client()])
    assert (
        asf.read_snapshot(root)
        .images.drop(columns="snapshot")
        .equals(asf.drain(box.client()).images.drop(columns="snapshot"))
    )


def test_just_the_four_objects_are_left(server: sea.Seaweed, root: str, frames: asf.Frames) -> None:
    """No markers of directories, nothing staged in the bucket."""
    name = asf.write_snapshot(frames, root)
    assert keys(server, root) == [f"{table}/{name}.parquet" for table in sorted(TABLES)]


def test_nothing_staged_is_left_on_the_machine(
    root: str, frames: asf.Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder in which files were written aside is gone when the call returns."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asf.write_snapshot(frames, root)
    assert list(tmp_path.iterdir()) == []


def test_nothing_staged_is_left_after_a_failure(
    root: str, frames: asf.Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused upload leaves no file on the machine either."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError):
        asf.write_snapshot(frames, root)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_archive_has_no_problems(root: str, frames: asf.Frames) -> None:
    """What was written and left alone verifies."""
    asf.write_snapshot(frames, root)
    assert asf.verify(root).empty


@pytest.mark.parametrize("table", TABLES)
def test_a_changed_object_is_damage(server: sea.Seaweed, root: str, frames: asf.Frames, table: str) -> None:
    """An object that somebody replaced is refused by the reader and named by verify."""
    name = asf.write_snapshot(frames, root)
    key = f"{root.removeprefix(f's3://{sea.BUCKET}/')}/{table}/{name}.parquet"
    server.client().put_object(Bucket=sea.BUCKET, Key=key, Body=b"damage")
    with pytest.raises(asf.SnapshotCorruptError, match=key):
        asf.read_snapshot(root)
    assert problems(root) == {"damaged"}


def test_a_deleted_object_is_missing(server: sea.Seaweed, root: str, frames: asf.Frames) -> None:
    """A committed object that is gone is a problem of its own kind."""
    name = asf.write_snapshot(frames, root)
    key = f"{root.removeprefix(f's3://{sea.BUCKET}/')}/images/{name}.parquet"
    server.client().delete_object(Bucket=sea.BUCKET, Key=key)
    assert problems(root) == {"missing"}


def test_repair_removes_old_orphans_only(
    server: sea.Seaweed, root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object of ours without a commit record goes when it is old; a stranger's stays."""
    name, other = asf.write_snapshot(frames, root), "20260101T000000.000000Z-abcdef"
    prefix = root.removeprefix(f"s3://{sea.BUCKET}/")
    for key in (f"images/{other}.parquet", "images/mine.parquet", "exports/2026.parquet"):
        server.client().put_object(Bucket=sea.BUCKET, Key=f"{prefix}/{key}", Body=b"half")
    assert maintenance.repair(root) == []
    monkeypatch.setattr(maintenance, "_AT_WORK", -60.0)
    assert maintenance.repair(root) == [f"{root}/images/{other}.parquet"]
    assert {"images/mine.parquet", "exports/2026.parquet", f"coverage/{name}.parquet"} < set(keys(server, root))


def test_a_few_columns_are_read_alone(root: str, frames: asf.Frames) -> None:
    """Ranges of an object are enough to read and prove some columns."""
    from appstream_frames.archive import reader

    name, store = asf.write_snapshot(frames, root), open_store(root)
    expected = reader.commit_record(store, name)[1]["files"]["images"]
    table = reader.proven_columns(store, "images", name, expected, ["name", "account"])
    assert table.to_pandas()["name"].to_list() == frames.images["name"].to_list()


def test_an_object_is_never_overwritten(root: str) -> None:
    """The upload is conditional: an object that is there stays as it is, and the writer is told."""
    store = open_store(root)
    for content in (b"first", b"second"):
        staged = []
        with store.stage("images", staged) as sink:
            sink.write(content)
        if content == b"first":
            store.publish("name", staged)
        else:
            with pytest.raises(asf.StorageError, match="Precondition"):
                store.publish("name", staged)
            store.discard(staged)
    assert store.read("images", "name") == b"first"


def test_a_wrong_secret_says_what_to_do(root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the object, what S3 said and the credentials to check."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError, match=r"SignatureDoesNotMatch.*Check the credentials.*AWS_PROFILE"):
        asf.write_snapshot(frames, root)


@pytest.mark.parametrize("call", [asf.list_snapshots, asf.read_snapshot, asf.verify])
def test_a_wrong_secret_fails_readers_too(root: str, monkeypatch: pytest.MonkeyPatch, call: object) -> None:
    """A refused list is an error, never an empty archive."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(asf.StorageError, match="Check the credentials"):
        call(root)


def test_no_credentials_say_what_to_do(root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials the same advice is given."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(asf.StorageError, match="Check the credentials"):
        asf.write_snapshot(frames, root)


@pytest.mark.usefixtures("root")
def test_a_missing_bucket_is_named() -> None:
    """The error says which bucket there is not."""
    with pytest.raises(asf.StorageError, match="There is no bucket 'nobody-made-it'"):
        asf.list_snapshots("s3://nobody-made-it/prefix")


def test_credentials_are_refreshed_when_they_expire(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile whose keys live for seconds is asked for new ones in the middle of a job."""
    program, asked = tmp_path / "keys.py", tmp_path / "asked"
    answer = {"Version": 1, "AccessKeyId": sea.KEY, "SecretAccessKey": sea.SECRET}
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
    store = open_store(root)
    counts = []
    for content in (b"first", b"second"):
        staged = []
        with store.stage("images", staged) as sink:
            sink.write(content)
        store.publish(content.decode(), staged)
        counts.append(len(asked.read_text()))
    assert counts[1] > counts[0]
    assert store.names("images") == ["first", "second"]
