"""Many targets side by side: each one whole or said why not, in order, within limits, and nothing left behind."""

from __future__ import annotations

import datetime as dt
import gc
import json
import os
import pty
import random
import re
import sys
import termios
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fleets
import pandas as pd
import pytest
import torture
from faults import CANARIES, UNCLOSED, Fault, FaultServer, body, error, identity, stall
from fleets import Watched, everywhere, quiet, session

import appstream_frames as asf
from appstream_frames.access.clients import Place
from appstream_frames.chain import Chain
from appstream_frames.fanout import side_by_side
from appstream_frames.fleet import Fleet
from appstream_frames.pages import Page
from appstream_frames.request import Request
from appstream_frames.stream import Stream

pytestmark = UNCLOSED
Drain = Callable[..., asf.Frames]


def into_frames(targets: Any, root: Path, **how: Any) -> asf.Frames:
    """Drain into memory."""
    with quiet():
        return asf.drain_targets(targets, progress=False, **how)


def into_snapshot(targets: Any, root: Path, **how: Any) -> asf.Frames:
    """Drain into a snapshot, and read it."""
    return asf.read_snapshot(root, asf.take_snapshot(root, targets, progress=False, **how))


both = pytest.mark.parametrize("drain", [into_frames, into_snapshot])


def statuses(frames: asf.Frames) -> list[str]:
    """Return the status of each target, in order."""
    return frames.coverage["status"].to_list()


@both
def test_results_are_in_the_order_of_targets(box: Any, root: Path, drain: Drain) -> None:
    """Whatever the order in which pages arrive: a row of coverage each, rows of all tables in order, one moment."""
    targets = everywhere(box)
    random.Random(7).shuffle(targets)
    frames = drain(targets, root)
    places = [*zip(frames.coverage["account"], frames.coverage["region"], strict=True)]
    assert [region for _, region in places] == [target.region for target in targets]
    for late, place in enumerate(reversed(places)):
        box.latency(0.03 * late, *place)
    again = drain(targets, root)
    assert [*zip(again.coverage["account"], again.coverage["region"], strict=True)] == places
    each = [fleets.truth(*place) for place in places]
    for name in ("images", "applications", "errors"):
        expected = pd.concat([fleets.timeless(whole.tables[name]) for whole in each], ignore_index=True)
        assert fleets.different(name, fleets.timeless(again.tables[name]), expected) == []
    assert len({moment for table in again.tables.values() for moment in table["snapshot"]}) == 1
    assert again.coverage["ended_at"].is_monotonic_increasing is False


# what each status means


def test_a_region_that_refuses_is_disabled_and_an_account_that_is_refused_has_bad_credentials(box: Any) -> None:
    """STS accepts both; one is refused in one region of four, the other in all of them."""
    box.fault(box.accounts[0], "us-east-1", "disabled")
    box.fault(box.accounts[1], None, "disabled")
    with quiet():
        frames = asf.drain_targets(everywhere(box, box.accounts[:2]), progress=False)
    disabled, bad, good = "region_disabled", "bad_credentials", "complete"
    assert statuses(frames) == [good, disabled, good, good, *[bad] * 4]
    assert "STS accepts these credentials, so it is the region" in frames.coverage["error_message"][1]
    assert set(frames.coverage["error_code"][4:]) == {"UnrecognizedClientException"}


def test_a_single_region_that_refuses_is_disabled(box: Any) -> None:
    """There is no other region to compare with, and STS accepts the credentials."""
    box.fault(box.accounts[0], None, "disabled")
    targets = [everywhere(box, [account])[0] for account in box.accounts]
    with quiet():
        assert statuses(asf.drain_targets(targets, progress=False)) == ["region_disabled", "complete", "complete"]


def test_keys_that_sts_refuses_are_bad_credentials(box: Any) -> None:
    """All regions of such an account are, and the others are read."""
    with quiet():
        frames = asf.drain_targets(everywhere(box, ["999999999999", box.accounts[1]]), progress=False)
    assert statuses(frames) == [*["bad_credentials"] * 4, *["complete"] * 4]
    assert set(frames.coverage["error_code"][:4]) == {"InvalidClientTokenId"}


def test_no_endpoint_in_one_region_is_the_regions_fault_and_in_all_the_networks(box: Any) -> None:
    """When nothing answers anywhere the words speak of the network."""
    lost = [asf.targets(session=session(box, account), regions=["xx-nowhere-1"])[0] for account in box.accounts]
    with quiet():
        some = asf.drain_targets([*lost, everywhere(box)[0]], progress=False).coverage
        none = asf.drain_targets(lost, progress=False).coverage
    assert some["status"].to_list() == [*["no_endpoint"] * 3, "complete"]
    assert none["status"].to_list() == ["failed"] * 3
    assert none["error_message"].str.contains("this machine's network").all()
    assert set(none["error_code"]) == {"EndpointConnectionError"}


def test_a_throttled_target_that_recovers_is_complete(box: Any) -> None:
    """Its retries are counted in coverage, those of botocore included."""
    box.fault(box.accounts[0], box.regions[1], "throttled", times=2)
    frames = asf.drain_targets(everywhere(box, box.accounts[:1]), progress=False)
    assert statuses(frames) == ["complete"] * 4
    assert frames.coverage["retries"].to_list() == [0, 2, 0, 0]


# what is said


def test_one_line_says_which_targets_failed_and_why(box: Any) -> None:
    """The warning names the first five with status and code, counts the others, and says what to do."""
    for account in box.accounts[:2]:
        box.fault(account, None, "denied")
    with pytest.warns(UserWarning, match="targets failed") as caught:
        asf.drain_targets(everywhere(box), progress=False)
    (message,) = [str(each.message) for each in caught]
    first = "8 of 12 targets failed: 012345678901/eu-west-1 denied (AccessDeniedException), "
    last = " and 3 more. See frames.coverage; drain frames.failed_targets again."
    assert (message[: len(first)], message[-len(last) :]) == (first, last)
    assert message.count("(AccessDeniedException)") == 5
    assert "\n" not in message
    assert Path(caught[0].filename) == Path(__file__)


def test_a_failure_can_be_raised_after_everything_else_is_in(box: Any) -> None:
    """The group has an error for each failed target, and all frames."""
    for region in box.regions[:2]:
        box.fault(box.accounts[0], region, "denied")
    with pytest.raises(
        asf.TargetsError, match="2 of 12 targets failed"
    ) as caught:  # and no warning, which would be an error
        asf.drain_targets(everywhere(box), progress=False, raise_on_failure=True)
    group = caught.value
    assert isinstance(group, ExceptionGroup)
    assert [each.target for each in group.exceptions] == [f"012345678901/{region}" for region in box.regions[:2]]
    assert statuses(group.frames) == [*["denied"] * 2, *["complete"] * 10]
    assert len(group.frames.images) == group.frames.coverage["images"].sum() > 0


def test_no_failure_is_raised_when_there_is_none(box: Any) -> None:
    """Neither is there a warning."""
    frames = asf.drain_targets(everywhere(box)[:2], progress=False, raise_on_failure=True)
    assert (statuses(frames), frames.failed_targets) == (["complete"] * 2, [])


def test_nothing_read_is_frames_and_a_warning(box: Any) -> None:
    """All denied: tables with all columns and no rows, and a row of coverage each."""
    box.fault(kind="denied")
    targets = everywhere(box)
    with pytest.warns(UserWarning, match="12 of 12 targets failed"):
        frames = asf.drain_targets(targets, progress=False)
    assert (len(frames.images), statuses(frames), frames.failed_targets) == (0, ["denied"] * 12, targets)
    whole = fleets.truth(box.accounts[0], box.regions[0])
    assert [*frames.images.dtypes] == [*whole.images.dtypes]


def test_nothing_read_is_no_snapshot(box: Any, root: Path) -> None:
    """The first failure is raised, and no file is left."""
    box.fault(kind="denied")
    with pytest.raises(asf.AccessError, match=r"^012345678901/eu-west-1, page 1 of DescribeImages: AWS answered"):
        asf.take_snapshot(root, everywhere(box), progress=False)
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("targets", "says"),
    [("eu-west-1", "pass what targets"), ([], "empty"), (5, "pass what targets"), ([5], "boto3.client")],
)
@both
def test_what_is_no_target_is_refused(targets: Any, says: str, root: Path, drain: Drain) -> None:
    """Before anything is asked or written."""
    with pytest.raises(asf.RequestError, match=says):
        drain(targets, root)
    assert not root.exists()


@both
def test_two_targets_of_one_place_are_refused(box: Any, root: Path, drain: Drain) -> None:
    """Credentials of two names that turn out to be the same account would count its images twice."""
    box.latency(0.2, box.accounts[0], box.regions[0])
    targets = [everywhere(box, box.accounts[:1])[0] for _ in range(2)]
    with pytest.raises(asf.RequestError, match=r"are both 012345678901/eu-west-1, and its images would count twice"):
        drain(targets, root)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_default_credentials_are_a_target(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without targets the environment's account and region are drained."""
    with FaultServer(sts=body(identity("111122223333"), kind="text/xml")) as server:
        for key, value in (("ACCESS_KEY_ID", "A"), ("SECRET_ACCESS_KEY", "S"), ("DEFAULT_REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{key}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        asf.take_snapshot(root, progress=False)
    row = asf.read_snapshot(root).coverage.iloc[0]
    assert (row["account"], row["region"], row["images"]) == ("111122223333", "us-east-1", 9)


# limits


def test_botocore_looks_for_paginators_once(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its search goes through hundreds of folders, and each of many threads that begin at once would do it again."""
    from appstream_frames.sandbox import service

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

    def answer(account: str, region: str, request: bytes) -> dict[str, object]:
        first = int(json.loads(request).get("NextToken", 0))
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


class Nobody:
    """Counts the images that came, and watches nothing else."""

    images = 0

    def read(self, images: int) -> None:
        """Count them."""
        self.images += images

    def ended(self, outcome: object) -> None:
        """Let it be."""


def test_four_thousand_targets_are_counted_at_once(box: Any) -> None:
    """Looking for targets that come twice takes no time that grows with their square."""
    one = session(box, box.accounts[0])
    regions = [f"eu-west-{number}" for number in range(1, 4001)]
    target = asf.targets(session=one, regions=["eu-west-1"])[0]
    targets = [type(target)(None, region, session=target.session) for region in regions]
    began = time.process_time()
    Fleet(targets, Request.of(), 60, pd.Timestamp.now("UTC"))
    assert time.process_time() - began < 2


# nothing left behind


def ours() -> list[str]:
    """Return the threads of drains that are still there, after a while in which those that were given up may end."""
    deadline = time.monotonic() + 10
    while True:
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("appstream_frames")]
        if not names or time.monotonic() > deadline:
            return names
        time.sleep(0.05)


def sockets() -> int:
    """Return how many sockets this process has open."""
    gc.collect()
    links = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the folder itself
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_drains_leave_no_thread_and_no_socket() -> None:
    """Of sixty targets again and again, some of which fail, time out or are cut; `benchmarks/soak.py` is the long version."""
    before = sockets()
    with asf.sandbox(accounts=15) as box:
        for _ in range(2):
            for region, kind in zip(box.regions, ("denied", "cut", "reset", "slow"), strict=True):
                box.fault(box.accounts[0], region, kind, times=1)
            with quiet():
                asf.drain_targets(everywhere(box), progress=False, type="SHARED", timeout=3)
            assert ours() == []
    assert sockets() <= before


def test_a_sign_in_that_is_given_up_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """STS never answers, the drain's time is up, and once the connection ends there is no thread that waits for anything."""
    for key, value in (("ACCESS_KEY_ID", "A"), ("SECRET_ACCESS_KEY", "S")):
        monkeypatch.setenv(f"AWS_{key}", value)
    for _ in range(5):
        with FaultServer(sts=stall) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            with quiet():
                frames = asf.drain_targets(asf.targets(regions=["eu-west-1", "us-east-1"]), timeout=0.3, progress=False)
            clients = [server.client(), server.client()]
            with quiet():
                assert statuses(asf.drain_targets(clients, timeout=0.3, progress=False)) == statuses(frames)
        assert statuses(frames) == ["failed", "failed"]
    assert ours() == []


def test_an_interrupted_drain_leaves_no_thread(box: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while somebody keeps the error, as a notebook does."""

    def interrupted(self: Stream, batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "add", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:
        asf.take_snapshot(root, everywhere(box), progress=False)
    assert ours() == []
    assert kept.value.__traceback__ is not None


def test_a_client_that_was_handed_in_is_as_before(box: Any) -> None:
    """It is open, it parses as boto3 does, and it has no handler of ours."""
    clients = [box.client(account) for account in box.accounts]
    plain = [client.describe_images(MaxResults=5)["Images"] for client in clients]
    handlers = [len(client.meta.events._emitter._handlers.prefix_search("before-parse")) for client in clients]
    frames = asf.drain_targets(clients, progress=False)
    assert statuses(frames) == ["complete"] * 3
    assert [client.describe_images(MaxResults=5)["Images"] for client in clients] == plain
    after = [len(client.meta.events._emitter._handlers.prefix_search("before-parse")) for client in clients]
    assert after == handlers


def test_failed_targets_hold_no_clients(box: Any) -> None:
    """Thousands of denied targets must not keep thousands of clients in the tracebacks of their errors."""
    from botocore.client import BaseClient

    def clients() -> int:
        gc.collect()
        return sum(isinstance(each, BaseClient) for each in gc.get_objects())

    box.fault(kind="denied")
    before = clients()
    fleet = Fleet(everywhere(box), Request.of(), 60, pd.Timestamp.now("UTC"))
    assert [*fleet.batches(Nobody())] == []
    assert clients() - before <= 2 * len(box.accounts)  # those of STS


# secrets


def test_no_secret_is_told(root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and tokens that AWS repeats are in no coverage, warning, log of ours, traceback or file."""
    words = f"key {CANARIES[0]}, X-Amz-Security-Token: {CANARIES[2]}, Signature={CANARIES[1]}"
    caplog.set_level("DEBUG", "appstream_frames")
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), CANARIES, strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    refusing: Fault = error("InvalidSignatureException", "403 Forbidden", words)
    with FaultServer(fault=refusing, at=1) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        targets = asf.targets(regions=["eu-west-1", "us-east-1"])
        with pytest.raises(asf.TargetsError) as caught:
            asf.drain_targets(targets, progress=False, raise_on_failure=True)
        with pytest.warns(UserWarning, match="failed") as warned:
            asf.drain_targets(targets, progress=False)
        with pytest.raises(asf.AccessError) as none:
            asf.take_snapshot(root, targets, progress=False)
    told = [
        *("".join(traceback.format_exception(each.value)) for each in (caught, none)),
        *(str(each.message) for each in warned),
        caught.value.frames.coverage.to_csv(),
        *(record.getMessage() for record in caplog.records if record.name.startswith("appstream_frames")),
        repr(targets),
    ]
    assert [text for text in told for canary in CANARIES if canary in text] == []
    assert "InvalidSignatureException" in told[0]


# progress


def shown(targets: Any, monkeypatch: pytest.MonkeyPatch, progress: bool | None = None) -> str:
    """Return what a terminal shows of a drain."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 120))
    got: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(reader, 65536):
                got.append(part)
        except OSError:
            return  # the other side is closed

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "w") as terminal, quiet(), monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        asf.drain_targets(targets, progress=progress)
    thread.join(10)
    os.close(reader)
    return b"".join(got).decode()


def test_a_terminal_shows_targets_images_and_failures(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it goes on; at the end the line is gone."""
    box.fault(box.accounts[0], box.regions[0], "denied")
    box.latency(0.3, *(box.accounts[1], box.regions[2]))
    text = shown(everywhere(box), monkeypatch)
    assert re.search(r"\d+/12 \[.*targets", text)
    assert re.search(r"images=[1-9]", text)
    assert "failed=1" in text
    assert text.split("\r")[-2].strip() == ""


def test_a_log_shows_nothing(box: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error that is no terminal stays empty, and so does a terminal when that was asked for."""
    asf.drain_targets(everywhere(box)[:3])
    assert capfd.readouterr() == ("", "")
    assert shown(everywhere(box)[:3], monkeypatch, progress=False) == ""


# leaving


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_snapshot_at_once(name: str, seed: int, root: Path) -> None:
    """At a random moment: gone within two seconds, and the archive is as it was."""
    tally = torture.Tally()
    torture.interrupt(root, name, random.Random(seed), tally)
    assert tally.breaches == []
