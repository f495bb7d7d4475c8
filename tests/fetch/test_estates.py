"""Two dozen targets at a time that fail in every way: what was read is the truth, and what was not is said."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import estates
from support.estates import drained, estate, snapped
from support.faultserver import UNCLOSED

import appstream_frames as asf
from appstream_frames.aws import retries

pytestmark = [UNCLOSED, pytest.mark.slow]


@pytest.mark.parametrize("seed", range(2))
def test_every_target_is_whole_or_said_to_be_not(seed: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 targets that fail in every way, at any page, for a while or for ever: status, code, rows and counts of each."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.3)
    lasting = seed == 0
    with asf.sandbox(accounts=estates.ACCOUNTS) as box:
        given = estate(box, random.Random(seed), lasting=lasting, size=24)
        timeout = 6.0 if lasting else 60.0
        frames = drained(given, timeout) if seed % 2 else snapped(given, timeout, root)
    assert given.breaches(frames) == []
