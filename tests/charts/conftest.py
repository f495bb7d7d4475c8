"""Fixtures of the tests of charts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    """Close all figures after each test."""
    yield
    plt.close("all")
