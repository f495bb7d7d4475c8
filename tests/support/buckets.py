"""A real S3 server, an archive's root in its bucket, and a proxy in front of it.

A test file takes the fixtures by importing them, such as `from buckets import root as root`; each needs `server` too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import boto3
import botocore.session
import pytest
from support import bad_proxy
from support import seaweed as sea

import appstream_frames as asf

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
def proxy(server: sea.Seaweed, monkeypatch: pytest.MonkeyPatch) -> Iterator[bad_proxy.Proxy]:
    """Return a proxy in front of the server, through which the environment leads."""
    with bad_proxy.Proxy(server.url) as running:
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


def problems(root: str) -> set[str]:
    return set(asf.verify(root)["problem"])
