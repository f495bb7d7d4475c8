"""One reply: what is validated, what is refused, and that nobody but the drain itself notices."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.faults import BAD, zipped
from support.faultserver import ACCOUNT, UNCLOSED, FaultServer, arns, body, linked_pages, page

import appstream_frames as asf
from appstream_frames.fetch import response

pytestmark = UNCLOSED
GOOD = json.dumps(page(range(3), "next")).encode()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def handlers(client: Any) -> list[object]:
    """Return what botocore calls before it parses a reply to DescribeImages, and before and after it sends the request."""
    empty = ("params", "parsed", "context", "response_dict", "customized_response_dict")
    given: dict[str, Any] = {name: {} for name in empty} | {"http_response": None, "request": None}
    given["model"] = given["operation_model"] = client.meta.service_model.operation_model("DescribeImages")
    events = ("before-parse", "provide-client-params", "before-send", "after-call")
    called = [client.meta.events.emit(f"{event}.appstream.DescribeImages", **given) for event in events]
    return [[handler for handler, _ in each] for each in called]


def plain(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply without what differs from call to call."""
    return {name: value for name, value in reply.items() if name != "ResponseMetadata"}


def test_a_page_is_split_into_images_token_and_the_rest() -> None:
    """Images stay the bytes AWS sent, the token is text, other members stay JSON."""
    found = response.validate(b'{"Images": [{"Name" : "a", "X":1.0}], "NextToken": "t\\n", "New": [1.10, null]}')
    assert (found.rows, found.token, found.unmodeled) == (
        [b'{"Name" : "a", "X":1.0}'],
        "t\n",
        '{"New":[1.10,null]}',
    )


@pytest.mark.parametrize("other", ['[{"Name":"a"}]', '{"Images":[{"Name":"a"}]}', '"{}"'])
def test_what_looks_like_the_images_before_them_is_not_lost(other: str) -> None:
    """Another member whose value is the text of the images, in front of them, arrives whole."""
    rows = "{}" if other == '"{}"' else '{"Name":"a"}'
    found = response.validate(b'{"New":%s,"Images":[%s]}' % (other.encode(), rows.encode()))
    assert (found.rows, found.unmodeled) == ([rows.encode()], f'{{"New":{other}}}')


def test_a_signature_beside_the_rows_is_dropped() -> None:
    """What coverage keeps of a reply's other members signs no URL."""
    found = response.validate(b'{"Images": [], "More": ["https://i.example/?X-Amz-Signature=CANARY&b=1"]}')
    assert found.unmodeled == '{"More":["https://i.example/?b=1"]}'


@pytest.mark.parametrize("token", ["null", '""'])
def test_an_empty_token_is_the_end(token: str) -> None:
    """AWS ends with no token, null, or an empty text."""
    assert response.validate(b'{"Images": [], "NextToken": %s}' % token.encode()).token is None


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "it is empty"),
        (b"{}", "Images is null or absent"),
        (b"[]", "got a list"),
        (b'{"Images": null}', "Images is null or absent"),
        (b'{"Images": "[]"}', "Images is a string"),
        (b'{"Images": 1}', "Images is a number"),
        (b'{"Images": true}', "Images is a boolean"),
        (b'{"Images": [{}, null]}', "element 1 of Images is null"),
        (b'{"Images": [[]]}', "element 0 of Images is a list"),
        (b'{"Images": [], "NextToken": 1}', "NextToken to be a string, got a number"),
        (b'{"Images": [], "NextToken": ["a"]}', "NextToken to be a string, got a list"),
        (b'{"Images": []', "delimiter"),
        (b'{"Images": []} {}', "Extra data"),
        (b'{"Images": [{"A": 01}]}', "delimiter"),
        (b"{'Images': []}", "double quotes"),
        (b'{"Images": [], "X": NaN}', "NaN is not JSON"),
        (b'{"Images": [{"X": [{"Y": -Infinity}]}]}', "-Infinity is not JSON"),
        (b'{"Images": [{"X": "a\nb"}]}', "control character"),
        (b'{"Images": [{"X": "\\x41"}]}', "escape"),
        (b'\xef\xbb\xbf{"Images": []}', "BOM"),
        (b'{"Images": [{"X": "\xed\xa0\x80"}]}', "utf-8"),
        (b'{"Images": [{"X": "\xc0\xaf"}]}', "utf-8"),
        (b"<html>\x1b[31m</html>", "\\\\x1b[31m"),
        (b"[" * 20_000, "too deep"),
        (b'{"Images": [{"X": ' + b"[" * 20_000 + b"]" * 20_000 + b"}]}", "too deep"),
        (b'{"S": "\\ud800", "Images": [{"X": ' + b"[" * 700 + b"]" * 700 + b"}]}", "recursion"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_page_is_refused(content: bytes, seen: str) -> None:
    """Whatever is not strict JSON with a list of objects is refused, in words that say what was seen."""
    with pytest.raises(response.PageError) as caught:
        response.validate(content)
    assert seen.lower() in str(caught.value).lower()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_no_cut_of_a_page_is_a_page() -> None:
    """A page cut anywhere is refused, also when its length is declared as it is."""
    for size in range(len(GOOD)):
        with pytest.raises(response.PageError):
            response.validate(GOOD[:size])


def test_lone_surrogates_arrive_to_the_letter() -> None:
    """Text that no UTF-8 can hold stays the escapes that AWS sent; numbers beside it stay as written."""
    found = response.validate(b'{"Images": [{"Name": "\\ud800", "X": 1.10}], "NextToken": "\\udfff"}')
    assert (found.rows, found.token) == ([b'{"Name":"\\ud800","X":1.10}'], "\udfff")


def test_metadata_in_the_body_does_not_pass_for_botocores(server: FaultServer) -> None:
    """A reply cannot overwrite what botocore says of it, and nothing that it holds is lost."""
    server.fault = body(b'{"Images": [], "ResponseMetadata": {"RetryAttempts": 99, "HTTPStatusCode": 500}}')
    coverage = asf.drain(server.client(), account=ACCOUNT, progress=False).coverage
    assert coverage["retries"].item() == 0
    assert json.loads(coverage["unmodeled"].item())[0]["ResponseMetadata"]["RetryAttempts"] == 99


def test_a_compressed_reply_arrives_at_once(server: FaultServer) -> None:
    """A reply in gzip is unpacked, which botocore leaves undone; it is not asked for again."""
    server.fault = zipped
    frames = asf.drain(server.client(), account=ACCOUNT, progress=False)
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() == 0


@pytest.mark.parametrize("cut", [2, 9, 30, -8, -1])
def test_a_cut_compressed_reply_is_refused(cut: int, server: FaultServer) -> None:
    """Whatever part of a compressed reply is missing, it is no page, though its length is declared as it is."""
    server.fault, server.times = body(lambda good: gzip.compress(good)[:cut]), 1
    assert asf.drain(server.client(), account=ACCOUNT, progress=False).coverage["retries"].item() == 1


def test_the_handlers_are_gone_after_a_drain(server: FaultServer) -> None:
    """What botocore calls for the client after a drain is what it called before."""
    client = server.client()
    before = handlers(client)
    asf.drain(client, account=ACCOUNT, progress=False)
    assert handlers(client) == before


def test_the_handlers_are_gone_after_a_failure(server: FaultServer) -> None:
    """A failed drain cleans up too, also while its error and traceback are still held."""
    client = server.client()
    before = handlers(client)
    server.fault = BAD["no members"]
    with pytest.raises(asf.DrainError) as held:
        asf.drain(client, account=ACCOUNT, timeout=0.5, progress=False)
    assert handlers(client) == before
    assert held.value.page == 1


def test_the_handlers_are_gone_while_endless_pages_are_reported() -> None:
    """The same, when the drain itself gives up in the middle of good pages."""
    count = iter(range(10_000))
    with FaultServer(answer=lambda _: page([1, 2], f"token-{next(count)}")) as server:
        client = server.client()
        before = handlers(client)
        with pytest.raises(asf.DrainError) as held:
            asf.drain(client, account=ACCOUNT, progress=False)
        assert handlers(client) == before
        assert "pages came again" in str(held.value)


def test_others_on_the_same_client_get_what_plain_boto3_gives() -> None:
    """During drains, another thread's calls and paginator give the very dicts they gave before, and give after."""
    with FaultServer(linked_pages(20)) as server:
        client = server.client(max_pool_connections=20)

        def own() -> list[dict[str, Any]]:
            paginator = client.get_paginator("describe_images")
            return [plain(client.describe_images(NextToken="token-7")), *map(plain, paginator.paginate())]

        before = own()
        stop, seen = threading.Event(), []

        def keep_asking() -> None:
            while not stop.is_set():
                seen.append(own())

        other = threading.Thread(target=keep_asking)
        other.start()
        try:
            drained = [asf.drain(client, account=ACCOUNT, progress=False) for _ in range(3)]
        finally:
            stop.set()
            other.join()
        assert len(seen) >= 2
        assert all(got == before for got in [*seen, own()])
        assert [frames.images["arn"].to_list() for frames in drained] == [arns(range(60))] * 3


def test_others_get_the_same_bad_replies_too(server: FaultServer) -> None:
    """A call of the caller's own is not made strict: it takes an empty object for an empty page, as ever."""
    client = server.client()
    server.fault = BAD["no members"]
    with response.attach_strict_reader(client):
        assert "Images" not in client.describe_images()


def test_concurrent_drains_share_a_client() -> None:
    """Eight drains on one client are each whole, and leave nothing behind."""
    with FaultServer(linked_pages(10)) as server:
        client = server.client(max_pool_connections=20)
        before, found = handlers(client), []

        def one() -> None:
            found.append(asf.drain(client, account=ACCOUNT, progress=False).images["arn"].to_list())

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [arns(range(30))] * 8
        assert handlers(client) == before


def test_a_hidden_reader_is_found_again(server: FaultServer) -> None:
    """When botocore keeps a look-up of handlers from before ours was there, the page is asked for again and read strictly."""
    client = server.client()
    client.describe_images()
    emitter = client.meta.events._emitter

    def hide(connection: Any, good: bytes) -> None:
        emitter._lookup_cache["before-parse.appstream.DescribeImages"] = []
        connection.send(good)

    server.fault, server.times = hide, 1
    frames = asf.drain(client, account=ACCOUNT, progress=False)
    assert frames.images["arn"].to_list() == arns(range(9))
    assert frames.coverage["retries"].item() == 1


@pytest.mark.parametrize(
    "content", [b"[]", b'"oh"', b'{"__type": 5}', b"\xff", b"[" * 20_000, gzip.compress(b"{}", mtime=0)]
)
def test_an_odd_refusal_is_still_a_refusal(content: bytes, server: FaultServer) -> None:
    """An error reply that would make botocore's parser stumble is one clear error with its HTTP status."""
    server.fault = body(content, status="418 I'm a teapot")
    with pytest.raises(asf.DrainError, match="AWS answered 418") as caught:
        asf.drain(server.client(), account=ACCOUNT, progress=False)
    assert isinstance(caught.value.__cause__, ClientError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["300 Multiple Choices", "302 Found", "304 Not Modified", "307 Temporary Redirect"])
def test_a_redirect_is_no_page(status: str, server: FaultServer) -> None:
    """A good body that comes with another status than success is not taken, nor is a redirect followed."""
    server.fault = body(b'{"Images": []}', status=status, Location=server.url)
    with pytest.raises(asf.DrainError, match=status[:3]):
        asf.drain(server.client(), account=ACCOUNT, progress=False)
