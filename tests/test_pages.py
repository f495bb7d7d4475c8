"""Pages to a proven end: bad replies, endless chains, slow servers, resuming, and parity with boto3's own paginator.

Drains past bad replies mostly wait, so those of a module run side by side; each test looks at its own.
"""

from __future__ import annotations

import datetime as dt
import gc
import itertools
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from faults import ACCOUNT, BAD, GOOD, SLOW, THROTTLES, UNCLOSED, Fault, FaultServer, arns, chain, error, page

import appstream_frames as asf
from appstream_frames.access.clients import Place
from appstream_frames.chain import Chain
from appstream_frames.fanout import side_by_side
from appstream_frames.progress import Bar
from appstream_frames.request import Request
from appstream_frames.wire import PageError

pytestmark = UNCLOSED
POSITIONS = {"first": 0, "middle": 1, "last": 2}
TIMEOUT = 2.0
drain = partial(asf.drain, account=ACCOUNT, progress=False)


def _at(faults: Iterable[str]) -> Iterable[tuple[str, str]]:
    return itertools.product(faults, POSITIONS)


def everywhere(faults: Iterable[str]) -> Any:
    """Parametrize a test with every fault at every position."""
    return pytest.mark.parametrize(("kind", "position"), [pytest.param(*at, id=" ".join(at)) for at in _at(faults)])


def _past(fault: Fault, position: str, times: int = 1) -> SimpleNamespace:
    """Drain from a server that is ill a few times."""
    with FaultServer(fault=fault, at=POSITIONS[position], times=times) as server:
        return SimpleNamespace(frames=drain(server.client(), timeout=30), moments=server.moments)


def _for_ever(fault: Fault, position: str, timeout: float = TIMEOUT, **retries: Any) -> SimpleNamespace:
    """Drain from a server that is ill for ever, and go on when it is healed."""
    with FaultServer(fault=fault, at=POSITIONS[position]) as server:
        client = server.client(**retries)
        with pytest.raises(asf.AppStreamFramesError) as caught:
            drain(client, timeout=timeout)
        took, asked = time.monotonic() - server.faulted[0], len(server.faulted)
        server.heal()
        rest = drain(client, timeout=30, starting_token=caught.value.resume_token)
        return SimpleNamespace(error=caught.value, took=took, asked=asked, rest=rest.images["arn"].to_list())


BUSY = ("429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable")
#: Drains that wait, by name: the longest first, and last those that are timed.
WAITING: dict[tuple[str, ...], Callable[[], SimpleNamespace]] = {
    ("six",): partial(_for_ever, BAD["html"], "middle", 60),
    ("jitter",): partial(_past, BAD["no members"], "first", 4),
    ("throttled",): partial(_for_ever, error("ThrottlingException"), "middle", 3, retries={"total_max_attempts": 1}),
    **{("throttle", code): partial(_past, error(code), "middle", 4) for code in THROTTLES},
    **{("busy", status): partial(_past, error("Odd", status), "last", 4) for status in BUSY},
    **{("once", kind, position): partial(_past, BAD[kind], position) for kind, position in _at(BAD)},
    **{("ever", kind, position): partial(_for_ever, BAD[kind], position) for kind, position in _at(BAD)},
    **{("ever", kind, position): partial(_for_ever, SLOW[kind], position) for kind, position in _at(SLOW)},
}


@pytest.fixture(scope="module")
def outcome() -> Iterator[Any]:
    """Start all that waits; call for the outcome of one."""
    with ThreadPoolExecutor(16) as pool:
        running = {name: pool.submit(run) for name, run in WAITING.items()}
        yield lambda *name: running[name].result()
    running.clear()
    gc.collect()


@everywhere(BAD)
def test_a_bad_reply_is_asked_for_again(kind: str, position: str, outcome: Any) -> None:
    """One bad reply, wherever it comes, costs a retry and no image."""
    frames = outcome("once", kind, position).frames
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.applications["image_arn"].to_list() == arns(range(9))
    assert frames.coverage["status"].item() == "complete"
    assert frames.coverage["retries"].item() == 1


@everywhere(BAD | SLOW)
def test_a_page_that_stays_bad_fails_the_drain(kind: str, position: str, outcome: Any) -> None:
    """A page that never becomes whole is a DrainError in time, which says where, why, and where to go on."""
    ended, at = outcome("ever", kind, position), POSITIONS[position]
    failure = ended.error
    assert type(failure) is asf.DrainError
    assert (failure.target, failure.page) == (f"{ACCOUNT}/eu-west-1", at + 1)
    assert (failure.resume_token is None) == (at == 0)
    assert isinstance(failure.__cause__, BotoCoreError | ClientError | PageError | TimeoutError)
    assert ended.took <= TIMEOUT + 4  # sixteen at once on a busy machine; alone it is a few hundredths


@everywhere(BAD | SLOW)
def test_a_failed_drain_goes_on_where_it_stood(kind: str, position: str, outcome: Any) -> None:
    """Given the error's resume token, a new drain reads exactly the images of the pages that were not proven."""
    assert outcome("ever", kind, position).rest == arns(range(3 * POSITIONS[position], 9))


@everywhere(GOOD)
def test_an_unusual_reply_that_is_whole_arrives(kind: str, position: str) -> None:
    """What is legal is not refused: no retry, every image."""
    with FaultServer(fault=GOOD[kind], at=POSITIONS[position]) as server:
        frames = drain(server.client())
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() == 0


@pytest.mark.parametrize("kind", [kind for kind in SLOW if kind != "stall"])
def test_an_abandoned_drip_leaves_no_thread_and_no_socket(kind: str) -> None:
    """A reply that is given up is broken off: its thread ends and its connection closes within three seconds."""
    with FaultServer(fault=SLOW[kind], at=1) as server:
        _give_up(server)
        assert not _callers()
        assert server.broken_off is not None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("kind", [kind for kind in SLOW if kind != "stall"])
def test_an_encrypted_drip_is_broken_off_too(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS, as AWS speaks it, a reply that is given up leaves no thread and no connection either."""
    made = (
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=test",
        "-keyout",
        "key",
        "-out",
        "cert",
    )
    command = ["openssl", "req", *made, "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert"))
    with FaultServer(fault=SLOW[kind], at=1, tls=tls) as server:
        _give_up(server)
        assert not _callers()
        assert server.broken_off is not None


def _give_up(server: FaultServer) -> None:
    """Drain until the time is up, and wait up to three seconds for the server to see that."""
    with pytest.raises(asf.DrainError, match="page 2"):
        drain(server.client(), timeout=0.5)
    deadline = time.monotonic() + 3
    while (_callers() or server.broken_off is None) and time.monotonic() < deadline:
        time.sleep(0.02)


def _callers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("appstream_frames")]


def test_a_drain_that_is_left_leaves_no_thread() -> None:
    """Leaving a drain early, while the next page is ready or on its way, ends its thread without a sound."""
    with FaultServer(chain(pages=4, size=130)) as server:
        place = Place(server.client(), ACCOUNT, "eu-west-1")
        for pause in (0, 0.001, 0.01, 0.05) * 10:
            left = Chain("?", lambda: place, Request(), 5.0, dt.datetime.now(dt.UTC))
            batches = side_by_side([left], Bar(["?"], progress=False))
            next(batches)
            time.sleep(pause)
            batches.close()
        deadline = time.monotonic() + 3
        while _callers() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _callers()


@pytest.mark.parametrize("code", THROTTLES)
def test_throttles_are_waited_out(code: str, outcome: Any) -> None:
    """A few throttles cost retries and no image."""
    frames = outcome("throttle", code).frames
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() >= 1


@pytest.mark.parametrize("status", BUSY)
def test_a_busy_service_is_waited_for(status: str, outcome: Any) -> None:
    """The same for servers that are busy, whatever code they give."""
    assert outcome("busy", status).frames.images["arn"].to_list() == arns(range(9))


def test_throttles_that_do_not_end_are_called_so(outcome: Any) -> None:
    """When AWS asks to slow down until the time is up, the error's status says so, and where to go on."""
    ended = outcome("throttled")
    assert (ended.error.status, ended.error.code) == ("throttled", "ThrottlingException")
    assert ended.rest == arns(range(3, 9))


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_every_retry_mode_of_botocore_will_do(mode: str) -> None:
    """However the caller's client retries, the drain gets past a code that botocore does not retry."""
    with FaultServer(fault=error("RequestLimitExceededException"), at=0, times=2) as server:
        frames = drain(server.client(retries={"mode": mode, "max_attempts": 2}))
    assert frames.coverage["retries"].item() == 2


def test_retries_come_with_jitter(outcome: Any) -> None:
    """The pauses grow within their bounds and are never the same twice, so that many drains do not knock together."""
    pauses = [after - before for before, after in itertools.pairwise(outcome("jitter").moments[:5])]
    assert all(pause < 0.2 * 2**asked + 0.5 for asked, pause in enumerate(pauses, start=1))
    assert len({round(pause, 4) for pause in pauses}) == len(pauses)


def test_a_bad_page_is_asked_for_six_times(outcome: Any) -> None:
    """A page that is bad again and again is given up before its time is."""
    assert outcome("six").asked == 6
    assert "asked 6 times" in str(outcome("six").error)


def _tokens(*tokens: str) -> FaultServer:
    """Serve for ever a page with an image of its own and the next of these tokens."""
    count = itertools.count()
    return FaultServer(answer=lambda _: page([number := next(count)], tokens[number % len(tokens)]))


@pytest.mark.parametrize("tokens", ["A", "AB", "ABC"])
def test_tokens_that_cycle_are_an_error(tokens: str) -> None:
    """A token that comes again would lead round for ever; it does not."""
    with _tokens(*tokens) as server, pytest.raises(asf.DrainError, match="NextToken that it had sent before"):
        drain(server.client())
    assert len(server.requests) == len(tokens) + 1


def test_a_page_that_points_at_itself_is_an_error() -> None:
    """The same, when the cycle is one page in the middle of a chain."""
    pages = chain()
    pages["token-1"]["NextToken"] = "token-1"
    with FaultServer(pages) as server, pytest.raises(asf.DrainError, match="NextToken"):
        drain(server.client())


def test_empty_pages_for_ever_are_an_error() -> None:
    """A hundred pages in a row without an image, each with a new token, are given up."""
    count = itertools.count()
    with FaultServer(answer=lambda _: page([], f"token-{next(count)}")) as server:
        with pytest.raises(asf.DrainError, match="100 pages in a row"):
            drain(server.client())
        assert len(server.requests) == 100


@pytest.mark.parametrize("missing", [(), ("Arn",), ("Arn", "Name")], ids=["arn", "name only", "neither"])
@pytest.mark.parametrize("size", [1, 25])
def test_the_same_page_for_ever_is_an_error(size: int, missing: tuple[str, ...]) -> None:
    """Pages that repeat themselves under ever-new tokens are given up, whatever their images are told apart by."""
    count = itertools.count()

    def answer(_: Any) -> dict[str, Any]:
        again: dict[str, Any] = page(range(size), f"token-{next(count)}")
        again["Images"] = [
            {name: value for name, value in each.items() if name not in missing} for each in again["Images"]
        ]
        return again

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="pages came again"):
        drain(server.client())
    assert len(server.requests) < 500


def test_the_same_images_in_ever_new_orders_are_an_error() -> None:
    """Nor does the order of its images make a page a new one."""
    count = itertools.count()

    def answer(_: Any) -> dict[str, object]:
        number = next(count)
        return page(sorted(range(25), key=lambda each: hash((each, number))), f"token-{number}")

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="pages came again"):
        drain(server.client())


def test_empty_pages_in_between_are_no_end() -> None:
    """Fifty pages without an image, then one with: it is read."""
    tokens = [None, *(f"token-{number}" for number in range(51)), None]
    pages = {
        token: page([number] if number in (0, 51) else [], after)
        for number, (token, after) in enumerate(itertools.pairwise(tokens))
    }
    with FaultServer(pages) as server:
        assert drain(server.client()).images["arn"].to_list() == arns([0, 51])


@pytest.mark.parametrize("position", POSITIONS)
def test_the_token_none_is_a_token(position: str) -> None:
    """The literal token "None", which botocore takes for the start, leads on: after a bad reply and on resuming too."""
    pages = {None: page([0, 1], "None"), "None": page([2, 3], "next"), "next": page([4, 5])}
    with FaultServer(pages, fault=BAD["cut"], at=POSITIONS[position], times=1) as server:
        client = server.client()
        assert drain(client).images["arn"].to_list() == arns(range(6))
        for size in range(1, 6):
            start = drain(client, max_items=size)
            rest = drain(client, starting_token=start.resume_token)
            assert [*start.images["arn"], *rest.images["arn"]] == arns(range(6))


@pytest.mark.parametrize(
    "token", ["a___5", "null", "\x00\x1f", "𝔘𝔫𝔦", "W10=", "x" * 100_000, "eyJOZXh0VG9rZW4iOiAieCJ9"]
)
def test_any_text_is_a_token(token: str) -> None:
    """Whatever a token looks like, base64 and boto3's old token form too, it goes back to AWS as it came."""
    pages = {None: page([0, 1], token), token: page([2, 3])}
    with FaultServer(pages, fault=BAD["empty"], at=1, times=1) as server:
        client = server.client()
        assert drain(client).images["arn"].to_list() == arns(range(4))
        assert drain(client, starting_token=drain(client, max_items=2).resume_token).images["arn"].to_list() == arns(
            [2, 3]
        )


def _paged(request: dict[str, Any]) -> dict[str, object]:
    start, size = int(request.get("NextToken", "0")), request.get("MaxResults", 15)
    end = start + size
    return page(range(start, min(end, 60)), str(end) if end < 60 else None)


@pytest.mark.parametrize("page_size", [None, 1, 10, 25])
@pytest.mark.parametrize("max_items", [None, 1, 24, 25, 26, 50, 1000])
def test_paging_is_boto3s(max_items: int | None, page_size: int | None) -> None:
    """For every MaxItems and PageSize the images are the plain paginator's; its end is ours; resuming reads each once."""
    with FaultServer(answer=_paged) as server:
        client = server.client()
        config = {"MaxItems": max_items, "PageSize": page_size}
        plain = client.get_paginator("describe_images").paginate(PaginationConfig=config)
        expected = [image["Arn"] for reply in plain for image in reply["Images"]]
        requests, server.requests = server.requests, []
        frames = drain(client, max_items=max_items, page_size=page_size)
        assert frames.images["arn"].to_list() == expected
        assert frames.resume_token == plain.resume_token
        assert server.requests == requests


@pytest.mark.parametrize("page_size", [None, 10, 25])
@pytest.mark.parametrize("max_items", [7, 24, 25, 26, 50])
def test_resuming_to_the_end_reads_each_image_once(max_items: int, page_size: int | None) -> None:
    """Drain by drain, each from the last one's resume token, every image comes exactly once."""
    found: list[str] = []
    token = None
    with FaultServer(answer=_paged) as server:
        client = server.client()
        while True:
            frames = drain(client, max_items=max_items, page_size=page_size, starting_token=token)
            found += frames.images["arn"].to_list()
            assert frames.coverage["status"].item() == "limited"
            if (token := frames.resume_token) is None:
                break
    assert found == arns(range(60))


@pytest.mark.parametrize("kind", ["cut", "closed"])
@pytest.mark.parametrize("max_items", [1, 4, 7])
def test_a_bad_reply_does_not_upset_the_count(max_items: int, kind: str) -> None:
    """A retry in a drain that MaxItems cuts, or that started inside a page, neither skips nor repeats an image."""
    found: list[str] = []
    token = None
    while not found or token:
        with FaultServer(fault=BAD[kind], at=1, times=1) as server:
            frames = drain(server.client(), max_items=max_items, starting_token=token)
        found += frames.images["arn"].to_list()
        token = frames.resume_token
    assert found == arns(range(9))


def test_plain_boto3_resumes_where_a_drain_stopped() -> None:
    """The resume token of a drain is one of boto3's own."""
    with FaultServer() as server:
        client = server.client()
        token = drain(client, max_items=4).resume_token
        plain = client.get_paginator("describe_images").paginate(PaginationConfig={"StartingToken": token})
        assert [image["Arn"] for reply in plain for image in reply["Images"]] == arns(range(4, 9))


def test_no_image_at_all_is_a_complete_drain() -> None:
    """Empty is not failed."""
    with FaultServer({None: page([])}) as server:
        coverage = drain(server.client()).coverage
    assert coverage[["status", "images", "pages"]].to_numpy().tolist() == [["complete", 0, 1]]


@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 10**400])
def test_there_is_no_timeout_too_long(timeout: float) -> None:
    """Who wants to wait for ever can say so."""
    with FaultServer() as server:
        assert len(drain(server.client(), account=None, timeout=timeout).images) == 9


def test_a_slow_page_is_not_a_late_one() -> None:
    """The timeout is a page's, not a drain's: pages that take half of it each add up to more."""
    pages = chain()

    def slow(request: Any) -> dict[str, object]:
        time.sleep(0.4)
        return pages[request.get("NextToken")]

    with FaultServer(answer=slow) as server:
        assert len(drain(server.client(), timeout=0.8).images) == 9
