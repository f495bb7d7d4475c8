"""boto3's default session pointed at a real S3 server, or at a proxy in front of it."""

from __future__ import annotations

import boto3
import botocore.session
import pytest
from support.seaweed import Seaweed

import appstream_frames as asf

_loader = botocore.session.Session().get_component("data_loader")


def environment(monkeypatch: pytest.MonkeyPatch, server: Seaweed, url: str | None = None) -> None:
    core = botocore.session.Session()  # a new default session, that has read no configuration yet and the models before
    core.register_component("data_loader", _loader)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", boto3.Session(botocore_session=core))
    # botocore waits up to seconds between its attempts
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    for name, value in server.environment(url).items():
        monkeypatch.setenv(name, value)


def problems(root: str) -> set[str]:
    """Return the kinds of problem that verify finds; none where there is no snapshot to check."""
    try:
        return set(asf.verify(root)["problem"])
    except asf.SnapshotNotFoundError:
        return set()
