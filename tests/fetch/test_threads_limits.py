"""Many targets side by side within limits: of calls at once, of images that wait, and of time."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
import time
from typing import Any

import pandas as pd
import pytest
from support.faultserver import UNCLOSED
from support.fleets import Watched, everywhere, session
from support.outcomes import Nobody, statuses

import appstream_frames as asf
from appstream_frames.aws.clients import Place
from appstream_frames.fetch.outcomes import Chain
from appstream_frames.fetch.pages import Page
from appstream_frames.fetch.request import Request
from appstream_frames.fetch.target_list import Fleet
from appstream_frames.fetch.threads import side_by_side

pytestmark = UNCLOSED


# limits


def test_botocore_looks_for_paginators_once(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its search goes through hundreds of folders, and each of many threads that begin at once would do it again."""
    from appstream_frames.emulator import service

    listed, searched = os.listdir, []
    monkeypatch.setattr(os, "listdir", lambda *path: (searched.append(path), listed(*path))[1])
    counts = []
    for targets in (1, 12):
        service.loader.cache_clear()
        searched.clear()
        asf.drain_targets(everywhere(box)[:targets], progress=False, type="SHARED")
        counts.append(len(searched))
    assert counts[1] <= counts[0] + 100
    assert counts[0] > 100


def test_no_account_is_asked_more_than_it_can_bear() -> None:
    """AWS never sees more than eight calls of one account at once, nor 64 of all; and it sees many."""
    with asf.sandbox(accounts=10, regions=12) as box:
        watched = Watched(box, hold=0.15)
        frames = asf.drain_targets(everywhere(box), progress=False, type="SHARED")
    assert set(statuses(frames)) == {"complete"}
    assert max(watched.most[account] for account in box.accounts) == 8
    assert 16 < watched.most[None] <= 64


def test_what_waits_for_a_slow_target_is_bounded() -> None:
    """Later targets are read no further than a bound while the first is slow; then everything arrives, in order."""
    page, many, bound, released = 25 * 2_000, 30, 10 * 25 * 2_000, threading.Event()

    def answer(account: str, region: str, request: dict[str, str]) -> dict[str, object]:
        first = int(request.get("NextToken", 0))
        if (account, region) == (box.accounts[0], box.regions[0]):
            released.wait(30)
        numbers = range(25 * first, 25 * (first + 1))
        images = [{"Name": f"i-{n}", "Arn": f"{account}/{region}/{n}", "Description": f"{n:02000}"} for n in numbers]
        return {"Images": images} | ({"NextToken": str(first + 1)} if first + 1 < many else {})

    with asf.sandbox() as box:
        watched, seen = Watched(box, answer=answer), []

        def release() -> None:
            while not seen or seen[-1] != len(watched.pages) or not seen[-1]:
                seen.append(len(watched.pages))
                time.sleep(0.7)
            released.set()

        waiting = threading.Thread(target=release)
        waiting.start()
        fleet = Fleet(everywhere(box), Request.of(), 60, pd.Timestamp.now("UTC"))
        got = [(number, batch["images"].num_rows) for number, batch in side_by_side(fleet._chains, Nobody(), bound)]
        waiting.join()
    unflattened = 11 * (125 // 25 + 1)  # pages of the others that wait for a batch, and those under way
    assert 0 < seen[-1] <= 2 * bound // page + unflattened < 11 * many
    assert [number for number, _ in got] == sorted(number for number, _ in got)
    assert sum(rows for _, rows in got) == 12 * many * 25


def test_what_waits_to_be_flattened_is_bounded() -> None:
    """However quickly AWS answers, no more comes in than is soon handed on."""
    chains = [_instant(number) for number in range(2_000)]
    watch, come, handed = Nobody(), 0, 0
    for _, batch in side_by_side(chains, watch):
        come = max(come, watch.images - handed)
        handed += batch["images"].num_rows
    assert handed == 2_000 * 25
    assert 125 <= come <= 10_000  # 4,000 that wait, 1,600 under way, and some whose turn has not come


def _instant(number: int) -> Chain:
    """Return a chain whose only page is there at once."""
    place = Place(None, f"{number:012}", "eu-west-1")
    chain = Chain(str(place), lambda: place, Request.of(), 60, dt.datetime.now(dt.UTC))
    page = Page([json.dumps({"Arn": str(each)}).encode() for each in range(25)], {})
    chain.steps = lambda: (step for step in (place, page))  # a generator, as it is to be closed
    return chain


def test_four_thousand_targets_are_counted_at_once(box: Any) -> None:
    """Looking for targets that come twice takes no time that grows with their square."""
    one = session(box, box.accounts[0])
    regions = [f"eu-west-{number}" for number in range(1, 4001)]
    target = asf.targets(session=one, regions=["eu-west-1"])[0]
    targets = [type(target)(None, region, session=target.session) for region in regions]
    began = time.process_time()
    Fleet(targets, Request.of(), 60, pd.Timestamp.now("UTC"))
    assert time.process_time() - began < 2
