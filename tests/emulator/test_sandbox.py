"""The sandbox over real sockets: it begins and ends, fails on request, and serves many clients."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.session
import pytest
import urllib3
from botocore.exceptions import ClientError, EndpointConnectionError
from support.asking import ONCE, drain, error_code

from appstream_frames.emulator.sandbox import sandbox
from appstream_frames.errors import RequestError

# the sandbox itself


def test_sandbox_runs_without_a_with_statement():
    """A sandbox answers from the moment it is made."""
    running = sandbox()
    try:
        assert len(running.client().describe_images()["Images"]) == 25
    finally:
        running.close()


def test_sandbox_closes_twice():
    """Closing again does no harm."""
    with sandbox() as running:
        running.close()


def test_closed_sandbox_answers_nobody():
    """After close a kept-alive client finds nobody there."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        client.describe_images()
    with pytest.raises(EndpointConnectionError):
        client.describe_images()


def test_closed_sandbox_leaves_no_thread():
    """All threads of a sandbox end with it."""
    before = threading.active_count()
    with sandbox() as running:
        running.client().describe_images()
    assert threading.active_count() <= before


def test_sandbox_listens_on_the_asked_port():
    """The port may be chosen."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sandbox(port=port) as running:
        assert running.url == f"http://127.0.0.1:{port}"


def test_sandbox_listens_on_loopback_only(box):
    """Not even another address of the same machine reaches a sandbox."""
    assert box.url.startswith("http://127.0.0.1:")
    port = int(box.url.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=1):
        pass


@pytest.mark.parametrize("port", [-1, 65_536, 99_999, "80", True])
def test_sandbox_refuses_a_port_that_there_is_not(port):
    """The error says which numbers there are."""
    with pytest.raises(RequestError, match="from 0 to 65535"):
        sandbox(port=port)


def test_sandbox_serves_the_week_asked_for():
    """An earlier date gives an earlier state."""
    with sandbox(at="2026-09-10") as earlier, sandbox() as newest:
        assert earlier.at == "2026-09-07"
        assert drain(earlier.client()) != drain(newest.client())


def test_sandbox_refuses_a_date_before_its_weeks():
    """A date with no state is an error, before anything runs."""
    with pytest.raises(RequestError, match="2026-08-31"):
        sandbox(at="2020-01-01")


# failures on request


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("ThrottlingException", 400),
        ("RequestLimitExceededException", 400),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_fail_next_answers_with_that_error(error, status):
    """The asked error comes once, then images again."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next(code=error, status=status)
        with pytest.raises(ClientError) as caught:
            client.describe_images()
        assert caught.value.response["Error"]["Code"] == error
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert client.describe_images()["Images"]


def test_fail_next_keeps_its_order():
    """Failures come in the order in which they were asked for."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next(code="ThrottlingException")
        running.fail_next(2, code="AccessDeniedException")
        seen = [error_code(client.describe_images) for _ in range(3)]
    assert seen == ["ThrottlingException", "AccessDeniedException", "AccessDeniedException"]


def test_calls_counts_describe_images():
    """Each DescribeImages request counts, failed ones too; STS does not."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next()
        error_code(client.describe_images)
        client.describe_images()
        running.client(service="sts").get_caller_identity()
        assert running.calls == 2


# the server


def test_connections_are_kept_alive(box):
    """Two requests travel on one connection."""
    with urllib3.HTTPConnectionPool("127.0.0.1", int(box.url.rsplit(":", 1)[1]), maxsize=1, retries=False) as pool:
        for _ in range(2):
            assert pool.request("POST", "/", body=b"{}").status == 400
        assert (pool.num_connections, pool.num_requests) == (1, 2)


@pytest.mark.slow
def test_many_clients_at_once(box):
    """Sixty-four requests at a time are all answered in full."""
    clients = [box.client(account, region) for account in box.accounts for region in box.regions]
    with ThreadPoolExecutor(64) as pool:
        counts = list(pool.map(lambda number: len(drain(clients[number % 12], Type="PUBLIC")), range(64)))
    assert min(counts) >= 27


def test_answers_are_not_delayed(box):
    """A small page takes no 40 ms, which is what a delayed acknowledgement costs."""
    client = box.client(region="us-west-2")
    client.describe_images(MaxResults=1)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        client.describe_images(MaxResults=1)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


def test_client_that_goes_away_prints_nothing(capfd):
    """A client that hangs up in the middle leaves no traceback."""
    with sandbox() as running:
        port = int(running.url.rsplit(":", 1)[1])
        for sent in (b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf", b"POST / HT", b""):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(sent)
        running.client().describe_images()
    assert capfd.readouterr() == ("", "")


def test_a_plain_botocore_client_works(box):
    """No boto3 session of ours is needed: any client with the endpoint and the key will do."""
    names = box.environment()
    session = botocore.session.Session()
    client = session.create_client(
        "appstream",
        region_name=names["AWS_REGION"],
        endpoint_url=names["AWS_ENDPOINT_URL"],
        aws_access_key_id=names["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=names["AWS_SECRET_ACCESS_KEY"],
    )
    assert len(client.describe_images()["Images"]) == 25


def test_session_is_boto3s(box):
    """What `session` returns is a boto3 session with the asked region."""
    session = box.session(region="us-west-2")
    assert isinstance(session, boto3.Session)
    assert session.region_name == "us-west-2"


def test_no_resource_is_left_open():
    """A sandbox and its clients leave no socket for the garbage collector to complain about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with sandbox() as running:
            running.client().describe_images()
