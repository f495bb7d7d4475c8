"""Calls that are given up: what is done about their threads, and to nobody else's."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from appstream_frames.aws import deadlines
from appstream_frames.aws.deadlines import Answer, Calls, GivenUp, go_on, in_time

#: Looks at the threads again and again while others begin, and garbage is collected whose finalizers take a while.
LOOK = """
import gc, threading, time, weakref
from appstream_frames import calls

class Knot:
    def __init__(self):
        self.me = self

def turn():
    time.sleep(0.001)

def spin():
    while not ended.is_set():
        turn()

def begin():
    while not ended.is_set():
        threading.Thread(target=turn).start()
        turn()

gc.collect()
gc.freeze()
gc.set_threshold(30)
ended = threading.Event()
for task in [spin] * 30 + [begin]:
    threading.Thread(target=task, daemon=True).start()
for number in [*range(10, 30)] * 5:
    gc.collect()
    knots = [Knot() for _ in range(number)]
    seen = [weakref.ref(knot, lambda _: time.sleep(0.01)) for knot in knots[:1]]
    del knots
    calls._frames()
ended.set()
print(gc.isenabled())
"""


def test_a_look_at_the_threads_stops_nobody() -> None:
    """Garbage that is collected meanwhile does not bring all threads to a halt, and is collected afterwards as before."""
    seen = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=30)
    assert (seen.stdout, seen.stderr) == ("True\n", "")


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_a_given_up_call_reads_ends(line: tuple[socket.socket, socket.socket]) -> None:
    """A call that waits for a byte learns within a second that there is none."""
    read: SimpleQueue[bytes] = SimpleQueue()
    with line[0].makefile("rb") as stream, pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        in_time(lambda: read.put(stream.read(1)), 0.1)
    assert read.get(timeout=1) == b""


def test_what_others_read_stays(line: tuple[socket.socket, socket.socket]) -> None:
    """What another thread reads from is not shut."""
    read: SimpleQueue[bytes] = SimpleQueue()
    with line[0].makefile("rb") as stream:
        neighbour = threading.Thread(target=lambda: read.put(stream.read(1)))
        neighbour.start()
        with pytest.raises(TimeoutError):
            in_time(lambda: threading.Event().wait(0.5), 0.1)
        line[1].sendall(b"x")
        neighbour.join(5)
    assert read.get(timeout=1) == b"x"


def test_a_given_up_call_goes_no_further() -> None:
    """`go_on` raises in a call that was given up, and nowhere else."""
    answers: SimpleQueue[Answer[None]] = SimpleQueue()
    may_go, went = threading.Event(), threading.Event()

    def step() -> None:
        may_go.wait()
        go_on()
        went.set()

    given_up = Calls((step() for _ in range(1)), answers)
    given_up.ask()
    given_up.abandon()
    may_go.set()
    assert isinstance(answers.get(timeout=5).error, GivenUp)
    assert not went.is_set()
    go_on()
    assert not deadlines.given_up()
