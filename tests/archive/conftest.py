"""What tests of archives start from: a clock that can be put forward."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets so many hours pass."""
    real, passed = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * passed[0])

    def wait(hours: float) -> None:
        passed[0] += hours

    return wait
