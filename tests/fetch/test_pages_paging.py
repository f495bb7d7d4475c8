"""Pages to a validated end: parity with boto3's own paginator, resuming, and how long a page may take."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.drains import drain
from support.faults import BAD
from support.faultserver import UNCLOSED, FaultServer, arns, linked_pages, page

pytestmark = UNCLOSED


def _paged(request: dict[str, Any]) -> dict[str, object]:
    start, size = int(request.get("NextToken", "0")), request.get("MaxResults", 15)
    end = start + size
    return page(range(start, min(end, 60)), str(end) if end < 60 else None)


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [None, 1, 10, 25])
@pytest.mark.parametrize("max_items", [None, 1, 24, 25, 26, 50, 1000])
def test_paging_is_boto3s(max_items: int | None, page_size: int | None) -> None:
    """For every MaxItems and PageSize the images are the plain paginator's; its end is ours; resuming reads each once."""
    with FaultServer(answer=_paged) as server:
        client = server.client()
        config = {"MaxItems": max_items, "PageSize": page_size}
        plain = client.get_paginator("describe_images").paginate(PaginationConfig=config)
        expected = [image["Arn"] for reply in plain for image in reply["Images"]]
        requests, server.requests = server.requests, []
        frames = drain(client, max_items=max_items, page_size=page_size)
        assert frames.images["arn"].to_list() == expected
        assert frames.resume_token == plain.resume_token
        assert server.requests == requests


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [None, 10, 25])
@pytest.mark.parametrize("max_items", [7, 24, 25, 26, 50])
def test_resuming_to_the_end_reads_each_image_once(max_items: int, page_size: int | None) -> None:
    """Drain by drain, each from the last one's resume token, every image comes exactly once."""
    found: list[str] = []
    token = None
    with FaultServer(answer=_paged) as server:
        client = server.client()
        while True:
            frames = drain(client, max_items=max_items, page_size=page_size, starting_token=token)
            found += frames.images["arn"].to_list()
            assert frames.coverage["status"].item() == "limited"
            if (token := frames.resume_token) is None:
                break
    assert found == arns(range(60))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "closed"])
@pytest.mark.parametrize("max_items", [1, 4, 7])
def test_a_bad_reply_does_not_upset_the_count(max_items: int, kind: str) -> None:
    """A retry in a drain that MaxItems cuts, or that started inside a page, neither skips nor repeats an image."""
    found: list[str] = []
    token = None
    while not found or token:
        with FaultServer(fault=BAD[kind], at=1, times=1) as server:
            frames = drain(server.client(), max_items=max_items, starting_token=token)
        found += frames.images["arn"].to_list()
        token = frames.resume_token
    assert found == arns(range(9))


def test_plain_boto3_resumes_where_a_drain_stopped() -> None:
    """The resume token of a drain is one of boto3's own."""
    with FaultServer() as server:
        client = server.client()
        token = drain(client, max_items=4).resume_token
        plain = client.get_paginator("describe_images").paginate(PaginationConfig={"StartingToken": token})
        assert [image["Arn"] for reply in plain for image in reply["Images"]] == arns(range(4, 9))


def test_no_image_at_all_is_a_complete_drain() -> None:
    """Empty is not failed."""
    with FaultServer({None: page([])}) as server:
        coverage = drain(server.client()).coverage
    assert coverage[["status", "rows", "pages"]].to_numpy().tolist() == [["complete", 0, 1]]


@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 10**400])
def test_there_is_no_timeout_too_long(timeout: float) -> None:
    """Who wants to wait for ever can say so."""
    with FaultServer() as server:
        assert len(drain(server.client(), account=None, timeout=timeout).images) == 9


@pytest.mark.slow
def test_a_slow_page_is_not_a_late_one() -> None:
    """The timeout is a page's, not a drain's: pages that take half of it each add up to more."""
    pages = linked_pages()

    def slow(request: Any) -> dict[str, object]:
        time.sleep(0.4)
        return pages[request.get("NextToken")]

    with FaultServer(answer=slow) as server:
        assert len(drain(server.client(), timeout=0.8).images) == 9
