"""Many targets side by side within limits: of calls at once, of images that wait, and of time."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest
from support.drains import statuses
from support.estates import Watched, everywhere, session
from support.faultserver import ACCOUNT, UNCLOSED, FaultServer, linked_pages

import appstream_frames as asf
from appstream_frames.fetch import threads
from appstream_frames.fetch.drains import Drain
from appstream_frames.fetch.request import Request
from appstream_frames.tables.schema import choose_operations

pytestmark = UNCLOSED


# limits


@pytest.mark.slow
def test_botocore_looks_for_paginators_once(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its search goes through hundreds of folders, and each of many threads that begin at once would do it again."""
    from appstream_frames.emulator.sandbox import make_loader

    listed, searched = os.listdir, []
    monkeypatch.setattr(os, "listdir", lambda *path: (searched.append(path), listed(*path))[1])
    counts = []
    for targets in (1, 12):
        make_loader.cache_clear()
        searched.clear()
        asf.drain_targets(everywhere(box)[:targets], progress=False, type="SHARED")
        counts.append(len(searched))
    assert counts[1] <= counts[0] + 100
    assert counts[0] > 100


@pytest.mark.slow
def test_no_account_is_asked_more_than_it_can_bear() -> None:
    """AWS never sees more than eight calls of one account at once, nor 64 of all; and it sees those of several accounts."""
    with asf.sandbox(accounts=9, regions=9) as box:
        watched = Watched(box, hold=0.3)
        frames = asf.drain_targets(everywhere(box), progress=False, type="SHARED")
    assert set(statuses(frames)) == {"complete"}
    assert max(watched.most[account] for account in box.accounts) <= 8
    assert 8 < watched.most[None] <= 64


@pytest.mark.slow
def test_what_waits_for_a_slow_target_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
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
        monkeypatch.setattr(threads, "MOST_WAITING", bound)
        frames = asf.drain_targets(everywhere(box), progress=False)
        waiting.join()
    under_way = 11  # a page of each of the others
    assert 0 < seen[-1] <= 2 * bound // page + under_way < 11 * many
    places = frames.images[["account", "region"]].drop_duplicates()
    assert places.to_numpy().tolist() == frames.coverage[["account", "region"]].to_numpy().tolist()
    assert len(frames.images) == 12 * many * 25


def test_a_slow_consumer_holds_a_target_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one that is handed on is read no further than a bound and a batch before its rows are taken; all arrive."""
    monkeypatch.setattr(threads, "MOST_WAITING", 1_000)
    with FaultServer(linked_pages(pages=60, size=25)) as server:
        drained = Drain(server.client(), Request(), choose_operations(), 60, account=ACCOUNT)
        batches = drained.batches(progress=False)
        rows = next(batches)["images"].num_rows
        time.sleep(0.5)
        assert len(server.requests) <= 15
        rows += sum(tables["images"].num_rows for tables in batches)
    assert rows == 60 * 25


def test_four_thousand_targets_are_counted_at_once(box: Any) -> None:
    """Looking for targets that come twice takes no time that grows with their square."""
    one = session(box, box.accounts[0])
    regions = [f"eu-west-{number}" for number in range(1, 4001)]
    target = asf.targets(session=one, regions=["eu-west-1"])[0]
    targets = [type(target)(None, region, session=target.session) for region in regions]
    began = time.process_time()
    Drain(targets, Request.of(), choose_operations(), 60)
    assert time.process_time() - began < 2
