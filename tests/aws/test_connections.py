"""Requests under a deadline: over connections of this process, ended in time by the thread that waits."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest
from support.faults import GOOD, SLOW, stall
from support.faultserver import FaultServer, linked_pages

from appstream_frames.aws.deadlines import Cancelled, Deadline, use_own_connections


@pytest.mark.parametrize("kind", SLOW)
def test_a_reply_that_never_ends_is_left_in_time(kind: str) -> None:
    """A stall or a drip, of headers, body or chunk sizes, ends with the deadline, and is not asked for again."""
    with FaultServer(fault=SLOW[kind]) as server, use_own_connections(client := server.client()):
        began = time.monotonic()
        with Deadline(0.5), pytest.raises(TimeoutError, match=r"no answer within 0\.5 s"):
            client.describe_images()
        assert time.monotonic() - began < 10
        assert len(server.requests) == 1


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind != "gzip"])  # which botocore leaves packed
def test_a_whole_reply_arrives(kind: str) -> None:
    """However unusually it is sent."""
    with FaultServer(fault=GOOD[kind]) as server, use_own_connections(client := server.client()), Deadline(5):
        assert len(client.describe_images()["Images"]) == 3


def test_another_thread_cancels_a_deadline() -> None:
    """The thread that waits for a reply stops at once, by an error that botocore does not retry."""
    with FaultServer(fault=stall) as server, use_own_connections(client := server.client()):
        deadline, began = Deadline(60), time.monotonic()
        threading.Timer(0.1, deadline.cancel).start()
        with deadline, pytest.raises(Cancelled):
            client.describe_images()
        assert time.monotonic() - began < 10


def test_the_clients_own_read_timeout_holds() -> None:
    """Where it is shorter than the deadline."""
    from botocore.exceptions import ReadTimeoutError

    with FaultServer(fault=stall) as server:
        client = server.client(read_timeout=0.3)
        with use_own_connections(client), Deadline(10), pytest.raises(ReadTimeoutError):
            client.describe_images()


def test_threads_without_a_deadline_are_not_concerned() -> None:
    """Their requests go over the client's own connections, as before."""
    with FaultServer() as server:
        client = server.client()
        client.describe_images()
        with use_own_connections(client):
            client.describe_images()
            assert server.connections == 1
            with Deadline(5):
                client.describe_images()
                client.describe_images()
        assert server.connections == 2
        client.describe_images()
        assert server.connections == 2


def test_a_forked_child_opens_connections_of_its_own() -> None:
    """Though the parent is amid a block in which it used its own."""
    with FaultServer(linked_pages()) as server, use_own_connections(client := server.client()), Deadline(5):
        client.describe_images()
        child = os.fork()
        if child == 0:
            os._exit(len(client.describe_images(NextToken="token-1")["Images"]))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert server.connections == 2


def test_the_settings_of_a_client_hold() -> None:
    """Its proxy is used for these connections too."""
    with FaultServer() as proxy, FaultServer() as server:
        client: Any = server.client(proxies={"http": proxy.url})
        with use_own_connections(client), Deadline(5):
            assert len(client.describe_images()["Images"]) == 3
        assert (len(proxy.requests), len(server.requests)) == (1, 0)
