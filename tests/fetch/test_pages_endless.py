"""Chains of pages that lead round or never end are errors, and tokens of any text are followed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support.drains import POSITIONS, drain
from support.faults import BAD
from support.faultserver import UNCLOSED, FaultServer, arns, linked_pages, page

import appstream_frames as asf

pytestmark = UNCLOSED


def _tokens(*tokens: str) -> FaultServer:
    """Serve for ever a page with an image of its own and the next of these tokens."""
    count = itertools.count()
    return FaultServer(answer=lambda _: page([number := next(count)], tokens[number % len(tokens)]))


@pytest.mark.parametrize("tokens", ["A", "AB", "ABC"])
def test_tokens_that_cycle_are_an_error(tokens: str) -> None:
    """A token that comes again would lead round for ever; it does not."""
    with _tokens(*tokens) as server, pytest.raises(asf.DrainError, match="NextToken that it had sent before"):
        drain(server.client())
    assert len(server.requests) == len(tokens) + 1


def test_a_page_that_points_at_itself_is_an_error() -> None:
    """The same, when the cycle is one page in the middle of others."""
    pages = linked_pages()
    pages["token-1"]["NextToken"] = "token-1"
    with FaultServer(pages) as server, pytest.raises(asf.DrainError, match="NextToken"):
        drain(server.client())


def test_empty_pages_for_ever_are_an_error() -> None:
    """A hundred pages in a row without an image, each with a new token, are given up."""
    count = itertools.count()
    with FaultServer(answer=lambda _: page([], f"token-{next(count)}")) as server:
        with pytest.raises(asf.DrainError, match="100 pages in a row"):
            drain(server.client())
        assert len(server.requests) == 100


@pytest.mark.slow
@pytest.mark.parametrize("missing", [(), ("Arn",), ("Arn", "Name")], ids=["arn", "name only", "neither"])
@pytest.mark.parametrize("size", [1, 25])
def test_the_same_page_for_ever_is_an_error(size: int, missing: tuple[str, ...]) -> None:
    """Pages that repeat themselves under ever-new tokens are given up, whatever their images are distinguished by."""
    count = itertools.count()

    def answer(_: Any) -> dict[str, Any]:
        again: dict[str, Any] = page(range(size), f"token-{next(count)}")
        again["Images"] = [
            {name: value for name, value in each.items() if name not in missing} for each in again["Images"]
        ]
        return again

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="pages came again"):
        drain(server.client())
    assert len(server.requests) < 500


def test_the_same_images_in_ever_new_orders_are_an_error() -> None:
    """Nor does the order of its images make a page a new one."""
    count = itertools.count()

    def answer(_: Any) -> dict[str, object]:
        number = next(count)
        return page(sorted(range(25), key=lambda each: hash((each, number))), f"token-{number}")

    with FaultServer(answer=answer) as server, pytest.raises(asf.DrainError, match="pages came again"):
        drain(server.client())


def test_empty_pages_in_between_are_no_end() -> None:
    """Fifty pages without an image, then one with: it is read."""
    tokens = [None, *(f"token-{number}" for number in range(51)), None]
    pages = {
        token: page([number] if number in (0, 51) else [], after)
        for number, (token, after) in enumerate(itertools.pairwise(tokens))
    }
    with FaultServer(pages) as server:
        assert drain(server.client()).images["arn"].to_list() == arns([0, 51])


@pytest.mark.slow
@pytest.mark.parametrize("position", POSITIONS)
def test_the_token_none_is_a_token(position: str) -> None:
    """The literal token "None", which botocore takes for the start, leads on: after a bad reply and on resuming too."""
    pages = {None: page([0, 1], "None"), "None": page([2, 3], "next"), "next": page([4, 5])}
    with FaultServer(pages, fault=BAD["cut"], at=POSITIONS[position], times=1) as server:
        client = server.client()
        assert drain(client).images["arn"].to_list() == arns(range(6))
        for size in range(1, 6):
            start = drain(client, max_items=size)
            rest = drain(client, starting_token=start.resume_token)
            assert [*start.images["arn"], *rest.images["arn"]] == arns(range(6))


@pytest.mark.slow
@pytest.mark.parametrize(
    "token", ["a___5", "null", "\x00\x1f", "𝔘𝔫𝔦", "W10=", "x" * 100_000, "eyJOZXh0VG9rZW4iOiAieCJ9"]
)
def test_any_text_is_a_token(token: str) -> None:
    """Whatever a token looks like, base64 and boto3's old token form too, it goes back to AWS as it came."""
    pages = {None: page([0, 1], token), token: page([2, 3])}
    with FaultServer(pages, fault=BAD["empty"], at=1, times=1) as server:
        client = server.client()
        assert drain(client).images["arn"].to_list() == arns(range(4))
        assert drain(client, starting_token=drain(client, max_items=2).resume_token).images["arn"].to_list() == arns(
            [2, 3]
        )
