"""A second's trouble of the network, of STS or of this machine loses no target; what lasts is called what it is."""

from __future__ import annotations

import io
import itertools
import os
import random
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.drains import drain, statuses
from support.estates import everywhere, quiet
from support.faults import BAD, stall
from support.faultserver import UNCLOSED, Connection, FaultServer, arns, body, error, linked_pages, page
from support.marks import Tally
from torture.trouble import drain_in_trouble

import appstream_frames as asf
from appstream_frames.aws import retries
from appstream_frames.fetch import response

pytestmark = UNCLOSED


# the network


@pytest.mark.slow
def test_a_network_that_is_down_for_a_while_loses_nothing() -> None:
    """Connections that are broken off and refused in the middle of a drain are tried again until the page's time is up."""
    pages, seen = linked_pages(5), []

    def answer(request: Any) -> dict[str, object]:
        seen.append(request)
        if len(seen) == 3:
            server.refuse(1.5)
        return pages[request.get("NextToken")]

    with FaultServer(answer=answer) as server:
        frames = drain(server.client(), timeout=30)
    assert frames.images["arn"].to_list() == arns(range(15))
    assert frames.coverage["retries"].item() >= 1


@pytest.mark.slow
def test_a_host_that_comes_up_in_time_has_an_endpoint() -> None:
    """Though nobody listened at first."""
    with FaultServer() as server:
        client = server.client()
        server.refuse(1.0)
        assert len(drain(client, timeout=30).images) == 9


@pytest.mark.slow
def test_a_host_where_nobody_listens_all_the_time_has_none() -> None:
    """The first page is tried for as long as it may take."""
    with FaultServer() as server:
        client = server.client()
    began = time.monotonic()
    with pytest.raises(asf.EndpointError, match="spelling") as caught:
        drain(client, timeout=1)
    assert caught.value.status == "no_endpoint"
    assert time.monotonic() - began > 0.8


@pytest.mark.slow
def test_a_network_that_stays_down_is_no_missing_endpoint() -> None:
    """After a page was read the host is known to be there."""
    pages = linked_pages()

    def answer(request: Any) -> dict[str, object]:
        if request.get("NextToken"):
            server.refuse(30)
        return pages[request.get("NextToken")]

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="network") as caught:
        drain(server.client(), timeout=3)
    assert (type(caught.value), caught.value.status, caught.value.page) == (asf.DrainError, "failed", 2)


@pytest.mark.slow
def test_a_reply_that_never_comes_leaves_time_to_ask_again() -> None:
    """A connection that is dead, which no reset tells of, is given up after half of the time."""
    with FaultServer(fault=stall, at=1, times=1) as server:
        began = time.monotonic()
        frames = drain(server.client(), timeout=12)
        assert 5 < time.monotonic() - began < 12
    assert (len(frames.images), frames.coverage["retries"].item()) == (9, 1)


@pytest.mark.slow
def test_a_name_server_that_hangs_does_not_hold_up_a_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no socket whose timeout could be kept: the thread that asks it is left."""
    with FaultServer() as server:
        client = server.client()
        asks, over = socket.getaddrinfo, threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: (over.wait(60), asks(*args, **named))[1])
        began = time.monotonic()
        with pytest.raises(asf.DrainError, match="no answer within"):
            drain(client, timeout=0.5)
        assert time.monotonic() - began < 10
        over.set()


@pytest.mark.slow
def test_a_provider_of_credentials_that_hangs_does_not_hold_up_a_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential_process that never ends is left when the time is up."""
    config = tmp_path / "config"
    config.write_text("[profile slow]\nregion = eu-west-1\ncredential_process = sleep 20\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    began = time.monotonic()
    with pytest.raises(asf.DrainError, match=r"profile slow, sign-in: .*no answer within 0\.5 s"):
        asf.drain(profile="slow", timeout=0.5, progress=False)
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_bad_second_of_sts_fails_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed connections, errors of the server, throttles and cut replies are asked about again, once for all targets."""
    faults = [BAD["closed"], body(b"", status="503 Service Unavailable"), BAD["reset"], _throttled_sts]
    faults += [BAD["short"], body(b"", kind="text/xml")]

    def sts(connection: Connection, good: bytes) -> None:
        (faults.pop(0) if faults else body(good, kind="text/xml"))(connection, good)

    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.3)
    for name, value in (("ACCESS_KEY_ID", "A"), ("SECRET_ACCESS_KEY", "S")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with FaultServer(sts=sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        where = asf.targets(regions=["eu-west-1", "us-east-1", "us-west-2"])
        assert statuses(asf.drain_targets(where, progress=False)) == ["complete"] * 3
        assert server.sts == 7


def _throttled_sts(connection: Connection, _: bytes) -> None:
    words = b"<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    connection.send(b"<ErrorResponse>%b</ErrorResponse>" % words, status="400 Bad Request", kind="text/xml")


@pytest.mark.slow
def test_throttles_are_no_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight throttles and five broken replies are waited out, where six broken ones end a drain."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.3)
    faults = itertools.chain.from_iterable(zip([error("ThrottlingException")] * 5, [BAD["cut"]] * 5, strict=True))

    def ill(connection: Connection, good: bytes) -> None:
        next(faults)(connection, good)

    with FaultServer(fault=ill, at=1, times=8) as server:
        frames = drain(server.client(), timeout=60)
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() == 8


@pytest.mark.slow
def test_no_target_that_has_time_left_is_lost() -> None:
    """Trouble of every kind, of AppStream and STS or of STS alone, for a part of the time; at length in `torture`."""
    tally = Tally()
    for seed in (1, 2, 3, 7):  # throttles, refusals, cut replies and connections that hang
        drain_in_trouble(seed, tally, 0.5, 1.5, 12)
    assert tally.breaches == []


# bodies


@pytest.mark.parametrize(
    "content",
    [
        b'{"Images": [{"Name": "a"}], "Images": []}',
        b'{"Images": [], "Images": [{"Name": "a"}]}',
        b'{"Images":[{"Name":"a"}],"Images":[{"Name":"a"}]}',
        b'{"Images":[{"Name":"a"},{"Name":"b"}],"Images":[{"Name":"a"}]}',
        b'{"Images": [], "NextToken": "a", "NextToken": "b"}',
        b'{"Images": [], "NextToken": "a", "NextToken": null}',
        b'{"Images": [], "nextToken": "a"}',
        b'{"Images": [], "NextToken": "a", "nexttoken": "b"}',
        b'{"Images": [], "next_token": "a"}',
        b'{"Images": [], "images": [{"Name": "a"}]}',
        b'{"Images": [], "NextToken\\u0020": "a"}',
        b'{"Images": [], "Im\\u0061ges": [{"Name": "a"}]}',
        b'{"Images": [], "New": {}, "NextToken": "a", "NextToken": "b"}',
        b'{"Images": [], "New": 1, "New": 2}',
        b'{"Images": [], "Image": [{"Name": "a"}]}',
        b'{"Images": [], "NextTokn": "a"}',
        b'{"Images": [], "NextTokens": ["a"]}',
    ],
)
def test_a_member_twice_or_misspelt_is_no_page(content: bytes) -> None:
    """Parsers see the last of two, and none that is misspelt: rows or the rest of the pages would be lost."""
    with pytest.raises(response.PageError, match="once"):
        response.validate(content)


@pytest.mark.parametrize(
    "content", [b'{"Images": [{"Images": 1, "nextToken": 2}]}', b'{"Images":[{"A":"\\"NextToken\\""}]}']
)
def test_members_of_the_rows_are_not_those_of_the_page(content: bytes) -> None:
    """What stands inside of an image is its own business."""
    assert len(response.validate(content).rows) == 1


def test_a_page_with_a_misspelt_token_is_asked_for_again() -> None:
    """And not taken for the last one."""
    ill = body(lambda good: good.replace(b'"NextToken"', b'"nextToken"'))
    with FaultServer(fault=ill, at=0, times=1) as server:
        assert len(drain(server.client()).images) == 9


def test_shuffled_parts_of_the_same_images_come_to_an_end() -> None:
    """Under ever-new tokens, with another selection on each page."""
    count, chance = itertools.count(), random.Random(7)

    def answer(_: Any) -> dict[str, object]:
        return page(chance.sample(range(40), 20), f"token-{next(count)}")

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="pages came again"):
        drain(server.client())
    assert len(server.requests) < 500


# this machine

LIMITED = """
import resource, sys, threading, warnings
import appstream_frames as asf
where = asf.targets(profiles=sys.argv[2:], regions=["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"])
asf.drain_targets(where[:1], progress=False, type="SHARED")  # what is loaded once is loaded
if sys.argv[1] == "files":
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
else:
    begin = threading.Thread.start
    def start(self):
        if threading.active_count() >= 10:
            raise RuntimeError("can't start new thread")
        begin(self)
    threading.Thread.start = start
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    frames = asf.drain_targets(where, progress=False, type="SHARED", timeout=30)
print(set(frames.coverage["status"]), len(frames.coverage))
print(*{str(each.message) for each in caught})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "says"), [("files", "ulimit -n"), ("threads", "start no more threads")])
def test_a_limit_of_the_process_slows_a_drain_down(limit: str, says: str, tmp_path: Path) -> None:
    """Fewer targets are read at once, every one of them whole, and a warning names the limit."""
    with asf.sandbox(accounts=6) as box:
        machine = os.environ | box.config(tmp_path / "config")
        box.latency(0.5)
        names = [f"sandbox-{account}" for account in box.accounts]
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, limit, *names], env=machine, capture_output=True, text=True, timeout=100
        )
    assert done.stdout.startswith("{'complete'} 24\n"), done.stdout + done.stderr[-2000:]
    assert says in done.stdout


@pytest.mark.parametrize("state", ["none", "closed", "a log"])
def test_a_program_without_standard_error_drains(box: Any, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pythonw, daemons and services do: nobody looks at its progress."""
    stream: Any = {"none": None, "closed": io.StringIO(), "a log": SimpleNamespace(write=print, flush=print)}[state]
    if state == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert len(asf.drain(box.client(), type="SHARED").coverage) == 1


# executors


class Idle(Executor):
    """Takes what it is given, and runs nothing."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:  # type: ignore[override]
        return Future()


@pytest.mark.slow
def test_an_executor_without_workers_is_given_up(box: Any) -> None:
    """After a warning that says what is waited for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = asf.drain_targets(everywhere(box)[:3], executor=Idle(), timeout=0.1, progress=False)
    assert statuses(frames) == ["failed"] * 3
    assert frames.coverage["error_message"].str.contains("finished no target for 1 s").all()
    assert any("The executor Idle" in str(each.message) for each in caught)


@pytest.mark.slow
def test_a_drain_inside_of_its_own_pool_is_given_up(box: Any) -> None:
    """The only worker waits for what only it could do."""
    with ThreadPoolExecutor(1) as pool, quiet():
        inside = pool.submit(
            asf.drain_targets, everywhere(box)[:2], executor=pool, timeout=0.1, progress=False, raise_on_failure=False
        )
        assert statuses(inside.result(timeout=30)) == ["failed"] * 2


def test_futures_that_are_cancelled_are_failed_targets(box: Any) -> None:
    """As `shutdown(cancel_futures=True)` leaves them."""

    class Cancelling(ThreadPoolExecutor):
        def submit(self, *args: Any, **named: Any) -> Future[Any]:  # type: ignore[override]
            future = super().submit(*args, **named)
            if len(args[1].region) > 9:  # us-east-1 and us-west-2 stay
                future = Future()
                future.cancel()
            return future

    with Cancelling(2) as pool, quiet():
        coverage = asf.drain_targets(everywhere(box)[:4], executor=pool, progress=False, type="SHARED").coverage
    failed = coverage["status"] == "failed"
    assert set(coverage["error_code"].dropna()) == {"CancelledError"}
    assert 0 < failed.sum() < 4
    assert coverage["error_message"][failed].str.contains("Drain this target again").all()
