"""A drain as a whole: its frames and coverage, images that come twice, and leaving it by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import botocore
import pandas as pd
import pytest
from support.faults import BAD, drip_body, stall
from support.faultserver import ACCOUNT, REGION, Fault, FaultServer, arns, image, linked_pages, page

import appstream_frames as asf

drain = partial(asf.drain, account=ACCOUNT, progress=False)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def pages_of(*numbers: list[int], **changed: Any) -> dict[str | None, dict[str, object]]:
    """Return pages with these images; each image knows the number of its page."""
    tokens = [None, *(f"token-{number}" for number in range(1, len(numbers))), None]
    pages = {tokens[at]: page([], tokens[at + 1]) for at in range(len(numbers))}
    for at, (reply, each) in enumerate(zip(pages.values(), numbers, strict=True)):
        reply["Images"] = [
            image(number, Description=f"page {at}", Applications=[{"Name": f"{number} on page {at}"}], **changed)
            for number in each
        ]
    return pages


def test_coverage_says_what_was_read(server: FaultServer) -> None:
    """One row: whose images, how it ended, how many rows each table has, what was asked, by which botocore."""
    before = pd.Timestamp.now("UTC")
    coverage = drain(server.client(), names=["a"], type="PRIVATE", page_size=3, max_items=1000).coverage
    row = coverage.iloc[0].dropna().to_dict()
    assert before.floor("us") <= row.pop("started_at") <= row.pop("ended_at") <= pd.Timestamp.now("UTC")
    assert before.floor("us") <= row.pop("snapshot")
    assert json.loads(row.pop("request")) == {"Names": ["a"], "Type": "PRIVATE", "MaxItems": 1000, "PageSize": 3}
    assert row == {
        "account": ACCOUNT,
        "region": REGION,
        "status": "complete",
        "pages": 3,
        "operation": "DescribeImages",
        "rows": 9,
        "duplicates": 0,
        "retries": 0,
        "botocore_version": botocore.__version__,
    }


def test_every_parameter_reaches_aws_on_every_page(server: FaultServer) -> None:
    """What was asked for is asked for again with each token, and after a retry."""
    server.fault, server.at, server.times = BAD["cut"], "token-1", 1
    drain(server.client(), arns=iter(["x", "y"]), type="SHARED", page_size=0)
    asked = {"Arns": ["x", "y"], "Type": "SHARED", "MaxResults": 0}
    assert server.requests == [asked, *({**asked, "NextToken": f"token-{number}"} for number in (1, 1, 2))]


@pytest.mark.parametrize(
    ("how", "status"),
    [({}, "complete"), ({"max_items": 9}, "complete"), ({"max_items": 8}, "limited"), ({"max_items": 3}, "limited")],
)
def test_a_drain_that_was_cut_is_limited(how: dict[str, Any], status: str, server: FaultServer) -> None:
    """A drain is complete only when it read from the first image to the last."""
    frames = drain(server.client(), **how)
    assert frames.coverage["status"].item() == status
    assert (frames.resume_token is not None) == (status == "limited")
    assert (frames.coverage["resume_token"].item() == frames.resume_token) or frames.resume_token is None


def test_a_number_out_of_a_frame_is_a_whole_number(server: FaultServer) -> None:
    """Such as `rows` of an earlier drain."""
    rows = drain(server.client(), max_items=2).coverage["rows"].sum()
    assert len(drain(server.client(), max_items=rows, page_size=rows).images) == 2


def test_a_drain_that_began_in_the_middle_is_limited(server: FaultServer) -> None:
    """Also when it read to the very end."""
    client = server.client()
    rest = drain(client, starting_token=drain(client, max_items=4).resume_token)
    assert rest.coverage["status"].item() == "limited"
    assert rest.resume_token is None


def test_a_bare_token_of_aws_is_taken(server: FaultServer) -> None:
    """Like boto3's paginator, a drain starts at a NextToken that somebody noted elsewhere."""
    assert drain(server.client(), starting_token="token-2").images["arn"].to_list() == arns(range(6, 9))


@pytest.mark.parametrize("size", [1, 40, 130], ids=lambda size: f"{size} a page")
def test_an_image_that_comes_again_counts_once(size: int) -> None:
    """Across pages, in one batch of the work or several: the first copy stays, with its applications; others are counted."""
    first, second, third = list(range(size)), list(range(size // 2, 2 * size)), [0]
    with FaultServer(pages_of(first, second, third)) as server:
        frames = drain(server.client())
    found = frames.images.set_index("name")["description"].to_dict()
    sent = [(f"image-{number:04}", f"page {at}") for at, each in enumerate((first, second, third)) for number in each]
    oldest = dict(reversed(sent))
    assert found == oldest
    assert len(frames.images) == len(oldest) == len(frames.applications)
    assert set(frames.applications["name"]) == {f"{int(name[-4:])} on {at}" for name, at in oldest.items()}
    row = frames.coverage.iloc[0]
    assert (row["duplicates"], row["rows"]) == (len(sent) - len(oldest), len(oldest))


def test_an_image_twice_in_one_page_counts_once() -> None:
    """The same within a page."""
    with FaultServer(
        {None: {"Images": [image(1, Description="old"), image(2), image(1, Description="new")]}}
    ) as server:
        frames = drain(server.client())
    assert sorted(frames.images["name"]) == ["image-0001", "image-0002"]
    assert frames.images.set_index("name").loc["image-0001", "description"] == "old"
    assert frames.coverage["duplicates"].item() == 1


def test_images_without_an_arn_are_all_kept() -> None:
    """Nothing tells whether two images without an ARN are the same; both stay, beside others that are collapsed."""
    nameless = {"Name": "same", "Applications": [{"Name": "a"}]}
    pages = pages_of([*range(130)], [*range(130)])
    for reply in pages.values():
        reply["Images"] = [nameless, nameless, *reply["Images"]]  # type: ignore[misc]
    with FaultServer(pages) as server:
        frames = drain(server.client())
    assert (frames.images["name"] == "same").sum() == 4
    assert (frames.applications["image_name"] == "same").sum() == 4
    assert len(frames.images) == 134
    assert frames.coverage["duplicates"].item() == 130


def test_other_members_of_a_reply_are_kept() -> None:
    """What AWS may one day say beside the images stays, verbatim, in the coverage."""
    pages = linked_pages(2)
    pages[None] |= {"Warning": "half\u202eway", "Total": 10**30}
    with FaultServer(pages) as server:
        kept = drain(server.client()).coverage["unmodeled"].item()
    assert json.loads(kept) == [{"Warning": "half\u202eway", "Total": 10**30}]


def test_many_pages_are_read_in_order() -> None:
    """Two hundred pages, forty batches of work: every image once, in AWS's order."""
    with FaultServer(linked_pages(200, 25)) as server:
        frames = drain(server.client())
    assert frames.images["arn"].to_list() == arns(range(5000))
    assert frames.applications["image_arn"].to_list() == arns(range(5000))


def test_requests_follow_one_another() -> None:
    """AWS never sees two requests of one drain at once, though the next page is fetched while one is worked on."""
    pages, most, now = linked_pages(10), [0], [0]

    def watch(request: Any) -> dict[str, object]:
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.01)
        now[0] -= 1
        return pages[request.get("NextToken")]

    with FaultServer(answer=watch) as server:
        drain(server.client())
        assert len(server.requests) == 10
    assert most == [1]


def test_a_progress_bar_names_the_target(server: FaultServer, capfd: pytest.CaptureFixture[str]) -> None:
    """The bar goes to standard error, and nothing goes anywhere when it is not wanted."""
    drain(server.client(), progress=True)
    shown = capfd.readouterr()
    assert f"{ACCOUNT}/{REGION}" in shown.err
    assert not shown.out
    drain(server.client(), progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "UTC"])
def test_times_do_not_depend_on_the_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same reply is the same moment in whatever zone the machine stands."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with FaultServer({None: {"Images": [image(1, CreatedTime=1767225599.5)]}}) as server:
            frames = drain(server.client())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert frames.images["created_time"].item() == pd.Timestamp("2025-12-31 23:59:59.5", tz="UTC")


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    import appstream_frames as asf
    from support.faultserver import session
    from botocore.config import Config
    client = session().client("appstream", endpoint_url={url!r}, config=Config(proxies={{}}))
    asf.drain(client, account={account!r})
"""


def interrupt(fault: Fault, wait: Callable[[FaultServer], object]) -> tuple[float, int, str]:
    """Drain in a process of its own, send it Ctrl-C during a fault, and return how long it lived on, its code and its words."""
    with FaultServer(fault=fault, at=1) as server:
        script = textwrap.dedent(SCRIPT.format(tests=str(Path(__file__).parents[1]), url=server.url, account=ACCOUNT))
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ},
        )
        try:
            deadline = time.monotonic() + 60
            while not wait(server) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, words = process.communicate(timeout=30)
            return time.monotonic() - sent, process.returncode, words
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [stall, drip_body, BAD["html"]], ids=["stall", "drip", "pause"])
def test_ctrl_c_ends_a_drain_at_once(fault: Fault) -> None:
    """A process whose drain waits ends within two seconds of Ctrl-C, as an interrupted one, without further noise."""
    took, code, words = interrupt(fault, lambda server: server.faulted)
    assert took < 10, "alone it is well below 2 s; the suite shares its processors"
    assert code in {-signal.SIGINT, 130}
    assert words.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in words
