"""Snapshots in S3, against a real server: the same promises as in a folder, through every fault an upload can have."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import botocore.session
import pytest
import seaweed as sea
from test_snapshots import equal
from torture import marked, mixed

import appstream_frames as asf
from appstream_frames import upkeep
from appstream_frames.access import clients
from appstream_frames.errors import UnknownOutcomeError
from appstream_frames.storage.store import open_store

TABLES = ("applications", "errors", "images", "coverage")
_numbers = itertools.count()
_loader = botocore.session.Session().get_component("data_loader")


@pytest.fixture(scope="session")
def server() -> Iterator[sea.Seaweed]:
    """Return a running S3 server."""
    with sea.seaweed() as running:
        yield running


@pytest.fixture
def root(server: sea.Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the root of an archive that is not there yet, in the environment's bucket."""
    environment(monkeypatch, server)
    return f"s3://{sea.BUCKET}/tests/{next(_numbers):04}"


@pytest.fixture
def proxy(server: sea.Seaweed, monkeypatch: pytest.MonkeyPatch) -> Iterator[sea.Proxy]:
    """Return a proxy in front of the server, through which the environment leads."""
    with sea.Proxy(server.url) as running:
        environment(monkeypatch, server, running.url)
        yield running


def environment(monkeypatch: pytest.MonkeyPatch, server: sea.Seaweed, url: str | None = None) -> None:
    core = botocore.session.Session()  # a new default session, that has read the service's model before
    core.register_component("data_loader", _loader)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", boto3.Session(botocore_session=core))
    # botocore waits up to seconds between its attempts
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    for name, value in server.environment(url).items():
        monkeypatch.setenv(name, value)


def keys(server: sea.Seaweed, root: str) -> list[str]:
    prefix = root.removeprefix(f"s3://{sea.BUCKET}/") + "/"
    return [key.removeprefix(prefix) for key in server.keys(prefix)]


def problems(root: str) -> set[str]:
    return set(asf.verify(root)["problem"])


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


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
    assert upkeep.repair(root) == []
    monkeypatch.setattr(upkeep, "_AT_WORK", -60.0)
    assert upkeep.repair(root) == [f"{root}/images/{other}.parquet"]
    assert {"images/mine.parquet", "exports/2026.parquet", f"coverage/{name}.parquet"} < set(keys(server, root))


def test_a_few_columns_are_read_alone(root: str, frames: asf.Frames) -> None:
    """Ranges of an object are enough to read and prove some columns."""
    from appstream_frames import archive

    name, store = asf.write_snapshot(frames, root), open_store(root)
    expected = archive.commit_record(store, name)[1]["files"]["images"]
    table = archive.proven_columns(store, "images", name, expected, ["name", "account"])
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


def test_secrets_are_in_no_message(root: str, proxy: sea.Proxy, frames: asf.Frames) -> None:
    """Neither the error nor its cause repeats keys, even when the server does."""

    def refuse(exchange: sea.Exchange) -> None:
        said = f"Credential={sea.KEY}/20261123/us-east-1/s3, Signature=0123456789abcdef; key {sea.KEY}"
        body = f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
        exchange.near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    proxy.fault = refuse
    with pytest.raises(asf.StorageError, match="AccessDenied") as caught:
        asf.write_snapshot(frames, root)
    shown = text_of(caught.value)
    assert [secret for secret in (sea.KEY, sea.SECRET, "0123456789abcdef") if secret in shown] == []


def test_the_secret_is_in_no_message(root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused signature tells neither the key nor the secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-canary-0123456789")
    with pytest.raises(asf.StorageError) as caught:
        asf.write_snapshot(frames, root)
    shown = text_of(caught.value)
    assert [secret for secret in (sea.KEY, "wrong-canary-0123456789") if secret in shown] == []


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


FAULTS = [sea.error_after, sea.error_before, sea.lost_reply, sea.reset, sea.slow]


def outcome(frames: asf.Frames, root: str) -> str:
    """Write, and return the id, ``refused`` or ``unknown``."""
    try:
        return asf.write_snapshot(frames, root)
    except UnknownOutcomeError:
        return "unknown"
    except asf.StorageError:
        return "refused"


def check(root: str, name: str) -> None:
    """Hold what a healed archive shows against what the writer was told."""
    assert problems(root) <= {"orphan"}
    listed = asf.list_snapshots(root)["id"].to_list()
    allowed = {"refused": [[]], "unknown": [[], listed[:1]]}.get(name, [[name]])
    assert listed in allowed
    for each in listed:
        assert mixed(asf.read_snapshot(root, each)) == ""


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_that_goes_wrong_once_is_made_good(root: str, proxy: sea.Proxy, table: str, fault: sea.Fault) -> None:
    """One fault is got over, and the snapshot is committed once."""
    proxy.fault, proxy.to, proxy.times = fault, f"/{table}/", 1
    name = outcome(marked("once"), root)
    proxy.heal()
    assert name not in {"refused", "unknown"}
    check(root, name)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_that_goes_wrong_for_ever_is_told_as_it_is(
    root: str, proxy: sea.Proxy, table: str, fault: sea.Fault
) -> None:
    """Committed, refused or unknown: what the archive shows afterwards agrees, and nothing live was deleted."""
    proxy.fault, proxy.to = fault, f"/{table}/"
    name = outcome(marked("ever"), root)
    proxy.heal()
    stored = fault in {sea.error_after, sea.lost_reply, sea.slow}
    expected = {True: "committed", False: "unknown" if table == "coverage" else "refused"}[stored]
    assert (name if name in {"refused", "unknown"} else "committed") == expected
    check(root, name)


@pytest.mark.parametrize("fault", [sea.error_after, sea.lost_reply, sea.reset])
def test_a_commit_that_cannot_be_looked_at_is_unknown(root: str, proxy: sea.Proxy, fault: sea.Fault) -> None:
    """When the question whether it is there gets no answer either, the error says so and nothing is deleted."""
    proxy.fault, proxy.to, proxy.also_heads = fault, "/coverage/", True
    with pytest.raises(UnknownOutcomeError, match=r"not known whether .* Nothing was deleted; list_snapshots"):
        asf.write_snapshot(marked("dark"), root)
    proxy.heal()
    check(root, "unknown")


@pytest.mark.parametrize("table", TABLES)
def test_an_upload_that_arrives_after_the_writer_gave_up(
    root: str, proxy: sea.Proxy, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit record that is stored late makes a whole snapshot, and the writer was told that it may; others orphans."""
    impatient = sea.client(proxy.url, read_timeout=0.25, retries={"total_max_attempts": 2})
    monkeypatch.setattr(clients, "s3_client", lambda: impatient)
    proxy.fault, proxy.to = sea.late, f"/{table}/"
    name = outcome(marked("late"), root)
    proxy.heal()
    assert name == ("unknown" if table == "coverage" else "refused")
    check(root, name)
    assert len(asf.list_snapshots(root)) == (table == "coverage")


def test_a_refusal_after_a_lost_reply_is_unknown_or_there(root: str, proxy: sea.Proxy) -> None:
    """A commit that was stored unnoticed is found, though the second attempt was refused outright."""

    def first_lost_then_refused(exchange: sea.Exchange) -> None:
        if len(proxy.failed) == 1:
            sea.lost_reply(exchange)
        body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        exchange.near.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    proxy.fault, proxy.to = first_lost_then_refused, "/coverage/"
    name = outcome(marked("stored"), root)
    proxy.heal()
    assert name not in {"refused", "unknown"}
    check(root, name)


def test_an_outage_while_reading_is_no_damage(root: str, proxy: sea.Proxy) -> None:
    """A reader that gets no answer says so, and does not call the snapshot corrupt."""
    asf.write_snapshot(marked("whole"), root)
    store = open_store(root)
    name = asf.list_snapshots(root)["id"].item()
    proxy.stop()
    from appstream_frames import archive

    with pytest.raises(asf.StorageError, match="coverage"):
        archive.commit_record(store, name)


def test_sixteen_writers_of_one_root(root: str) -> None:
    """Every snapshot of every writer is listed, and every file verifies."""

    def write(writer: int) -> list[str]:
        return [asf.write_snapshot(marked(f"{writer}-{number}"), root) for number in range(3)]

    with ThreadPoolExecutor(16) as pool:
        names = {name for made in pool.map(write, range(16)) for name in made}
    assert set(asf.list_snapshots(root)["id"]) == names
    assert len(names) == 48
    assert asf.verify(root).empty


def test_no_thread_is_left() -> None:
    """The proxies of these tests have ended all their threads."""
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("proxy")] == []
