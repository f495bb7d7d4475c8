"""Snapshots in S3 through every fault an upload can have: what error the writer gets and what the archive then shows agree."""

from __future__ import annotations

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import bad_proxy, seaweed
from support.buckets import problems
from support.marks import marked, mixed

import appstream_frames as asf
from appstream_frames.archive import s3
from appstream_frames.archive.manifest import read_manifest
from appstream_frames.archive.roots import open_store
from appstream_frames.aws import clients
from appstream_frames.errors import UnknownOutcomeError

pytestmark = pytest.mark.slow

#: A file of rows, and the manifest, which commits them all.
TABLES = ("images", "coverage")
FAULTS = [bad_proxy.error_after, bad_proxy.error_before, bad_proxy.lost_reply, bad_proxy.reset, bad_proxy.slow]


def outcome(frames: asf.Frames, root: str) -> str:
    """Write, and return the id, ``refused`` or ``unknown``."""
    try:
        return asf.write_snapshot(frames, root)
    except UnknownOutcomeError:
        return "unknown"
    except asf.StorageError:
        return "refused"


def committed(root: str) -> list[str]:
    """Return the ids of the snapshots; of a root without any, none."""
    try:
        return asf.list_snapshots(root)["id"].to_list()
    except asf.SnapshotNotFoundError:
        return []


def check(root: str, name: str) -> None:
    """Hold what a healed archive shows against the error that the writer got."""
    assert problems(root) <= {"orphan"}
    listed = committed(root)
    allowed = {"refused": [[]], "unknown": [[], listed[:1]]}.get(name, [[name]])
    assert listed in allowed
    for each in listed:
        assert mixed(asf.read_snapshot(root, each)) == ""


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_that_goes_wrong_once_is_made_good(
    s3_root: str, s3_proxy: bad_proxy.Proxy, table: str, fault: bad_proxy.Fault
) -> None:
    """One fault is got over, and the snapshot is committed once."""
    s3_proxy.fault, s3_proxy.to, s3_proxy.times = fault, f"/{table}/", 1
    name = outcome(marked("once"), s3_root)
    s3_proxy.heal()
    assert name not in {"refused", "unknown"}
    check(s3_root, name)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_that_goes_wrong_for_ever_is_reported_as_it_is(
    s3_root: str, s3_proxy: bad_proxy.Proxy, table: str, fault: bad_proxy.Fault
) -> None:
    """Committed, refused or unknown: what the archive shows afterwards agrees, and nothing live was deleted."""
    s3_proxy.fault, s3_proxy.to = fault, f"/{table}/"
    name = outcome(marked("ever"), s3_root)
    s3_proxy.heal()
    stored = fault in {bad_proxy.error_after, bad_proxy.lost_reply, bad_proxy.slow}
    expected = {True: "committed", False: "unknown" if table == "coverage" else "refused"}[stored]
    assert (name if name in {"refused", "unknown"} else "committed") == expected
    check(s3_root, name)


@pytest.mark.parametrize("fault", [bad_proxy.error_after, bad_proxy.lost_reply, bad_proxy.reset])
def test_a_commit_that_cannot_be_looked_at_is_unknown(
    s3_root: str, s3_proxy: bad_proxy.Proxy, fault: bad_proxy.Fault
) -> None:
    """When the question whether it is there gets no answer either, the error says so and nothing is deleted."""
    s3_proxy.fault, s3_proxy.to, s3_proxy.verbs = fault, "/coverage/", ("PUT", "HEAD")
    with pytest.raises(UnknownOutcomeError, match=r"not known whether .* Nothing was deleted; list_snapshots"):
        asf.write_snapshot(marked("dark"), s3_root)
    s3_proxy.heal()
    check(s3_root, "unknown")


@pytest.mark.parametrize("table", TABLES)
def test_an_upload_that_arrives_after_the_writer_gave_up(
    s3_root: str, s3_proxy: bad_proxy.Proxy, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that is stored late makes a whole snapshot, and the writer's error said that it may; others orphans."""
    impatient = seaweed.client(s3_proxy.url, read_timeout=0.25, retries={"total_max_attempts": 2})
    monkeypatch.setattr(clients, "open_s3_client", lambda: impatient)
    gave_up = threading.Event()
    s3_proxy.fault, s3_proxy.to = bad_proxy.late(gave_up), f"/{table}/"
    name = outcome(marked("late"), s3_root)
    gave_up.set()
    s3_proxy.heal()
    assert name == ("unknown" if table == "coverage" else "refused")
    check(s3_root, name)
    assert len(committed(s3_root)) == (table == "coverage")


def test_a_refusal_after_a_lost_reply_is_unknown_or_there(s3_root: str, s3_proxy: bad_proxy.Proxy) -> None:
    """A commit that was stored unnoticed is found, though the second attempt was refused outright."""

    def first_lost_then_refused(exchange: bad_proxy.Exchange) -> None:
        if len(s3_proxy.failed) == 1:
            bad_proxy.lost_reply(exchange)
        body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        exchange.near.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    s3_proxy.fault, s3_proxy.to = first_lost_then_refused, "/coverage/"
    name = outcome(marked("stored"), s3_root)
    s3_proxy.heal()
    assert name not in {"refused", "unknown"}
    check(s3_root, name)


def test_an_archived_object_is_no_question_of_credentials(s3_root: str, s3_proxy: bad_proxy.Proxy) -> None:
    """What a lifecycle rule moved to Glacier is refused with 403; the advice is to restore it."""

    def archived(exchange: bad_proxy.Exchange) -> None:
        body = b"<Error><Code>InvalidObjectState</Code><Message>Not valid for its storage class</Message></Error>"
        exchange.near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    asf.write_snapshot(marked("cold"), s3_root)
    s3_proxy.fault, s3_proxy.to, s3_proxy.verbs = archived, "/images/", ("GET",)
    with pytest.raises(asf.StorageError, match="restore the object"):
        asf.read_snapshot(s3_root)


def test_an_outage_while_reading_is_no_damage(s3_root: str, s3_proxy: bad_proxy.Proxy) -> None:
    """A reader that gets no answer says so, and does not call the snapshot corrupt."""
    asf.write_snapshot(marked("whole"), s3_root)
    store = open_store(s3_root)
    name = asf.list_snapshots(s3_root)["id"].item()
    s3_proxy.stop()
    with pytest.raises(asf.StorageError, match="coverage"):
        read_manifest(store, name)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_a_reply_that_drips_is_left_in_time(
    s3_root: str, s3_proxy: bad_proxy.Proxy, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A byte now and then keeps every timeout of boto3, and not the wall clock that each call has."""
    calls = {"GET": asf.read_snapshot, "HEAD": lambda root: asf.write_snapshot(marked("new"), root)}
    asf.write_snapshot(marked("whole"), s3_root)
    monkeypatch.setattr(s3, "TIMEOUT", 1.0)
    s3_proxy.fault, s3_proxy.to, s3_proxy.verbs = bad_proxy.drip, "/images/", (verb,)
    began = time.monotonic()
    with pytest.raises(asf.StorageError, match=r"images/\S+: .*no answer within 1 s"):
        calls[verb](s3_root)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("status", "done"), [("403 Forbidden", True), ("404 Not Found", False)])
def test_a_writer_looks_at_its_objects_once_more(
    s3_root: str, s3_proxy: bad_proxy.Proxy, status: str, done: bool
) -> None:
    """One that is gone stops the commit; who may write and not look goes on."""

    def reply(exchange: bad_proxy.Exchange) -> None:
        exchange.near.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    s3_proxy.fault, s3_proxy.to, s3_proxy.verbs = reply, "/images/", ("HEAD",)
    assert (outcome(marked("looked"), s3_root) != "refused") == done
    s3_proxy.heal()
    assert len(committed(s3_root)) == done


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_secrets_are_in_no_message(s3_root: str, s3_proxy: bad_proxy.Proxy, frames: asf.Frames) -> None:
    """Neither the error nor its cause repeats keys, even when the server does."""

    def refuse(exchange: bad_proxy.Exchange) -> None:
        said = f"Credential={seaweed.KEY}/20261123/us-east-1/s3, Signature=0123456789abcdef; key {seaweed.KEY}"
        body = f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
        exchange.near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    s3_proxy.fault = refuse
    with pytest.raises(asf.StorageError, match="AccessDenied") as caught:
        asf.write_snapshot(frames, s3_root)
    shown = text_of(caught.value)
    assert [secret for secret in (seaweed.KEY, seaweed.SECRET, "0123456789abcdef") if secret in shown] == []


def test_the_secret_is_in_no_message(s3_root: str, frames: asf.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused signature tells neither the key nor the secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-canary-0123456789")
    with pytest.raises(asf.StorageError) as caught:
        asf.write_snapshot(frames, s3_root)
    shown = text_of(caught.value)
    assert [secret for secret in (seaweed.KEY, "wrong-canary-0123456789") if secret in shown] == []


def test_eight_writers_of_one_root(s3_root: str) -> None:
    """Every snapshot of every writer is listed, and every file verifies."""

    def write(writer: int) -> list[str]:
        return [asf.write_snapshot(marked(f"{writer}-{number}"), s3_root) for number in range(2)]

    with ThreadPoolExecutor(8) as pool:
        names = {name for made in pool.map(write, range(8)) for name in made}
    assert set(asf.list_snapshots(s3_root)["id"]) == names
    assert len(names) == 16
    assert asf.verify(s3_root).empty


def test_no_thread_is_left() -> None:
    """The proxies of these tests have ended all their threads."""
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("proxy")] == []
