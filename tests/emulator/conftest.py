"""Fixtures of the tests of the emulator."""

from __future__ import annotations

import pytest
from mypy_boto3_appstream import AppStreamClient
from support.asking import ONCE

import appstream_frames as asf


@pytest.fixture
def client(box: asf.sandbox) -> AppStreamClient:
    """Return a client of a running sandbox that asks once and never again."""
    return box.client(config=ONCE)
