"""Deadlines: in force for a block, over in time, and cancelled by another thread."""

from __future__ import annotations

import threading
import time

import pytest
from botocore.exceptions import EndpointConnectionError

from appstream_frames.aws.deadlines import Cancelled, Deadline, call_within, get_current_deadline
from appstream_frames.aws.retries import call_until_answered


def test_a_deadline_is_in_force_for_its_block_only() -> None:
    """And an inner one for the inner block."""
    with Deadline(5) as outer:
        with Deadline(1) as inner:
            assert get_current_deadline() is inner
        assert get_current_deadline() is outer
    assert get_current_deadline() is None


def test_a_deadline_that_is_over_is_an_error() -> None:
    """Until it begins again."""
    deadline = Deadline(0.01)
    time.sleep(0.02)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        deadline.left()
    deadline.restart()
    assert deadline.left() > 0
    deadline.pause()
    time.sleep(0.02)
    assert deadline.left() > 1


def test_half_of_the_time_is_left_for_another_connection() -> None:
    """But for the last seconds, in which a reply may well be only slow."""
    assert 29 < Deadline(60).patience() <= 30
    assert Deadline(2).patience() == 5


def test_a_thread_that_sleeps_is_woken() -> None:
    """When another thread cancels its deadline."""
    deadline, began = Deadline(60), time.monotonic()
    threading.Timer(0.1, deadline.cancel).start()
    with pytest.raises(Cancelled):
        deadline.sleep(30)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("seconds", [float("inf"), 1e10, 10**400])
def test_there_is_no_deadline_too_far_away(seconds: float) -> None:
    """Who wants to wait for ever can say so."""
    assert call_within(seconds, lambda: 5) == 5


@pytest.mark.slow
def test_a_call_that_waits_without_a_socket_is_left_in_time() -> None:
    """Its thread has a deadline, which is cancelled then."""
    seen: list[Deadline | None] = []
    over = threading.Event()

    def wait() -> None:
        seen.append(get_current_deadline())
        over.wait(60)

    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        call_within(0.1, wait)
    assert time.monotonic() - began < 10
    over.set()
    assert seen[0] is not None
    assert seen[0].cancelled.is_set()


def test_what_a_call_raises_is_raised() -> None:
    """In the thread that waits for it."""
    with pytest.raises(KeyError):
        call_within(5, lambda: {}["nothing"])


def test_time_that_ends_amid_an_attempt_hides_no_failure() -> None:
    """The error of the attempt before it says what to mend; that the time is up does not."""
    errors = iter([EndpointConnectionError(endpoint_url="https://aws.invalid"), TimeoutError("no answer")])

    def fail() -> None:
        error = next(errors)
        if isinstance(error, TimeoutError):
            deadline.ends = 0.0
        raise error

    with Deadline(5) as deadline, pytest.raises(EndpointConnectionError):
        call_until_answered(fail)
