"""What goes wrong in a sandbox where it is asked to: faults and slow answers of one target, and of no other."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from support.asking import ONCE, error_code
from support.faultserver import UNCLOSED
from support.sources_of import DEV, PROD

import appstream_frames as asf
from appstream_frames.emulator.sandbox import sandbox

pytestmark = UNCLOSED


# faults

KINDS = {
    "denied": asf.AccessError,
    "disabled": asf.AccessError,
    "throttled": asf.DrainError,
    "server_error": asf.DrainError,
    "cut": asf.DrainError,
    "slow": asf.DrainError,
    "reset": asf.DrainError,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_of_its_target(kind: str) -> None:
    """One target fails in its way, those beside it are whole, and when it is well again it is whole too."""
    with sandbox() as running:
        running.fault(DEV, "us-east-1", kind)
        with pytest.raises(KINDS[kind]) as caught:
            asf.drain(running.client(DEV, "us-east-1", config=ONCE), account=DEV, timeout=1.5, progress=False)
        if kind in {"denied", "throttled"}:
            assert caught.value.status == kind
        for account, region in ((DEV, "eu-west-1"), (PROD, "us-east-1")):
            assert len(asf.drain(running.client(account, region), account=account, progress=False).images)
        running.fault(DEV, "us-east-1", None)
        assert len(asf.drain(running.client(DEV, "us-east-1"), account=DEV, progress=False).images) == 54


@pytest.mark.parametrize(("kind", "end"), [("reset", ConnectionResetError), ("cut", None)])
def test_how_a_broken_answer_ends(kind: str, end: type[Exception] | None) -> None:
    """A reset is one on the wire; a cut body is followed by a polite end, short of its declared length."""
    with sandbox() as running:
        running.fault(kind=kind)
        scope = f"AWS4-HMAC-SHA256 Credential=ASIASANDBOX0{PROD}/20261123/eu-west-1/appstream/aws4_request, Signature=0"
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: PhotonAdminProxyService.DescribeImages\r\nAuthorization: {scope}"
        with socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1])), 10) as connection:
            connection.sendall(f"{head}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            time.sleep(0.3)
            got = b""
            try:
                while more := connection.recv(65536):
                    got += more
                ended = None
            except ConnectionResetError as error:
                ended = type(error)
        assert ended is end
        if kind == "cut":
            declared = int(got.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            assert 0 < len(got.split(b"\r\n\r\n", 1)[1]) < declared


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["throttled", "cut", "reset", "server_error"])
def test_a_fault_that_passes_is_retried(kind: str) -> None:
    """After so many requests the target is well, and a drain is whole."""
    with sandbox() as running:
        running.fault(region="us-east-1", kind=kind, times=2, after=1)
        frames = asf.drain(running.client(region="us-east-1"), account=PROD, progress=False)
        assert frames.coverage[["status", "retries", "rows"]].to_numpy().tolist() == [["complete", 2, 66]]


def test_the_narrower_fault_counts() -> None:
    """One target can be well while all others fail."""
    with sandbox() as running:
        running.fault(kind="denied")
        running.fault(DEV, "eu-west-1", "throttled", times=0)
        assert error_code(running.client(config=ONCE).describe_images) == "AccessDeniedException"


def test_an_unknown_kind_is_error_code(box: Any) -> None:
    """The error names those there are."""
    with pytest.raises(asf.RequestError, match=r"none of denied, .*reset or None"):
        box.fault(kind="flood")


@pytest.mark.slow
def test_latency_is_of_its_target() -> None:
    """Answers of one target wait, others do not."""
    with sandbox() as running:
        clients = [running.client(PROD), running.client(DEV)]
        running.latency(1.0, account=DEV)
        times = []
        for client in [clients[0]] * 3 + [clients[1]]:
            started = time.monotonic()
            client.describe_images(MaxResults=1)
            times.append(time.monotonic() - started)
        assert min(times[:3]) < 1.0 <= times[3]


def test_a_slow_answer_does_not_keep_a_sandbox_open() -> None:
    """Closing ends answers that drip."""
    with sandbox() as running:
        running.fault(kind="slow")
        with pytest.raises(asf.DrainError):
            asf.drain(running.client(), account=PROD, timeout=0.5, progress=False)
        started = time.monotonic()
    assert time.monotonic() - started < 10
