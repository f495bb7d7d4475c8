"""Pages past bad replies, slow servers and throttles: each is asked for again, given up in time, and resumed where it stood.

Drains past bad replies mostly wait, so those of a module run side by side; each test looks at its own.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from support.drains import POSITIONS, drain
from support.faults import BAD, GOOD, SLOW, THROTTLES
from support.faultserver import ACCOUNT, UNCLOSED, Fault, FaultServer, arns, error

import appstream_frames as asf
from appstream_frames.fetch.response import PageError

pytestmark = UNCLOSED
TIMEOUT = 3.0


def _at(faults: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield every fault at one position, and the positions by turns: what a fault is taken for does not depend on its page."""
    return zip(faults, itertools.cycle(POSITIONS), strict=False)


def everywhere(faults: Iterable[str]) -> Any:
    """Parametrize a test with every fault, and with every position."""
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
Drains = dict[tuple[str, ...], Callable[[], SimpleNamespace]]
#: Drains that wait, by name, the longest first.
WAITING: Drains = {
    ("six",): partial(_for_ever, BAD["html"], "middle", 60),
    ("jitter",): partial(_past, BAD["no members"], "first", 4),
    ("throttled",): partial(_for_ever, error("ThrottlingException"), "middle", 3, retries={"total_max_attempts": 1}),
    **{("throttle", code): partial(_past, error(code), "middle", 4) for code in THROTTLES},
    **{("busy", status): partial(_past, error("Odd", status), "last", 4) for status in BUSY},
}
#: Drains past every bad reply, last those that are timed.
BROKEN: Drains = {
    **{("once", kind, position): partial(_past, BAD[kind], position) for kind, position in _at(BAD)},
    **{
        ("ever", kind, position): partial(_for_ever, (BAD | SLOW)[kind], position) for kind, position in _at(BAD | SLOW)
    },
}


@contextmanager
def started(drains: Drains) -> Iterator[Callable[..., SimpleNamespace]]:
    """Start all of some drains; call for the outcome of one."""
    with ThreadPoolExecutor(8) as pool:
        running = {name: pool.submit(run) for name, run in drains.items()}
        yield lambda *name: running[name].result()
    running.clear()
    gc.collect()


@pytest.fixture(scope="module")
def outcome() -> Iterator[Any]:
    """Return a function that returns the outcome of a drain that waits."""
    with started(WAITING) as found:
        yield found


@pytest.fixture(scope="module")
def broken() -> Iterator[Any]:
    """Return a function that returns the outcome of a drain past a bad reply."""
    with started(BROKEN) as found:
        yield found


@pytest.mark.slow
@everywhere(BAD)
def test_a_bad_reply_is_asked_for_again(kind: str, position: str, broken: Any) -> None:
    """One bad reply, wherever it comes, costs a retry and no image."""
    frames = broken("once", kind, position).frames
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.applications["image_arn"].to_list() == arns(range(9))
    assert frames.coverage["status"].item() == "complete"
    assert frames.coverage["retries"].item() == 1


@pytest.mark.slow
@everywhere(BAD | SLOW)
def test_a_page_that_stays_bad_fails_the_drain(kind: str, position: str, broken: Any) -> None:
    """A page that never becomes whole is a DrainError in time, which says where, why, and where to go on."""
    ended, at = broken("ever", kind, position), POSITIONS[position]
    failure = ended.error
    assert type(failure) is asf.DrainError
    assert (failure.target, failure.page) == (f"{ACCOUNT}/eu-west-1", at + 1)
    assert (failure.resume_token is None) == (at == 0)
    assert isinstance(failure.__cause__, BotoCoreError | ClientError | PageError | TimeoutError)
    assert ended.took <= TIMEOUT + 10  # eight at once on a busy machine; alone it is a few hundredths


@pytest.mark.slow
@everywhere(BAD | SLOW)
def test_a_failed_drain_goes_on_where_it_stood(kind: str, position: str, broken: Any) -> None:
    """Given the error's resume token, a new drain reads exactly the images of the pages that were not validated."""
    assert broken("ever", kind, position).rest == arns(range(3 * POSITIONS[position], 9))


@everywhere(GOOD)
def test_an_unusual_reply_that_is_whole_arrives(kind: str, position: str) -> None:
    """What is legal is not refused: no retry, every image."""
    with FaultServer(fault=GOOD[kind], at=POSITIONS[position]) as server:
        frames = drain(server.client())
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() == 0


@pytest.mark.slow
@pytest.mark.parametrize("code", THROTTLES)
def test_throttles_are_waited_out(code: str, outcome: Any) -> None:
    """A few throttles cost retries and no image."""
    frames = outcome("throttle", code).frames
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() >= 1


@pytest.mark.slow
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
    assert all(pause < 0.2 * 2**asked + 2 for asked, pause in enumerate(pauses, start=1))
    assert len({round(pause, 4) for pause in pauses}) == len(pauses)


@pytest.mark.slow
def test_a_bad_page_is_asked_for_six_times(outcome: Any) -> None:
    """A page that is bad again and again is given up before its time is."""
    assert outcome("six").asked == 6
    assert "6 attempts, the last: " in str(outcome("six").error)
