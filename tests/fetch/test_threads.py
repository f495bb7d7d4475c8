"""Many targets side by side: each one whole or said why not, in order."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import estates
from support.drains import statuses
from support.estates import everywhere, quiet, session
from support.faultserver import UNCLOSED, FaultServer, body, identity

import appstream_frames as asf

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


@pytest.mark.slow
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
    each = [estates.truth(*place) for place in places]
    for name in ("images", "applications", "errors"):
        expected = pd.concat([estates.timeless(whole.tables[name]) for whole in each], ignore_index=True)
        assert estates.different(name, estates.timeless(again.tables[name]), expected) == []
    assert len({moment for table in again.tables.values() for moment in table["snapshot"]}) == 1
    assert again.coverage["ended_at"].is_monotonic_increasing is False


# what each status means


def test_what_sts_accepts_and_a_region_refuses_is_a_disabled_region(box: Any) -> None:
    """However many regions refuse: one of four, or all of them."""
    box.fault(box.accounts[0], "us-east-1", "disabled")
    box.fault(box.accounts[1], None, "disabled")
    with quiet():
        frames = asf.drain_targets(everywhere(box, box.accounts[:2]), progress=False)
    disabled, good = "region_disabled", "complete"
    assert statuses(frames) == [good, disabled, good, good, *[disabled] * 4]
    assert "STS accepts these credentials, so it is the region" in frames.coverage["error_message"][1]
    assert set(frames.coverage["error_code"][4:]) == {"UnrecognizedClientException"}


def test_a_disabled_region_of_all_regions_is_no_failure(box: Any) -> None:
    """With regions="all" it is a row of coverage, and neither a warning nor an error nor a target to read again."""
    box.fault(box.accounts[0], "us-east-1", "disabled")
    where = [replace(target, optional=True) for target in everywhere(box, box.accounts[:1])]
    frames = asf.drain_targets(where, progress=False, raise_on_failure=True)
    assert statuses(frames) == ["complete", "region_disabled", "complete", "complete"]
    assert frames.failed_targets == []
    assert all(target.optional for target in asf.targets(session=box.session(), regions="all"))


@pytest.mark.parametrize(("operation", "after"), [("DescribeImages", 2), ("DescribeFleets", 0)])
def test_keys_withdrawn_amid_a_drain_are_no_disabled_region(operation: str, after: int, box: Any) -> None:
    """A region that has answered is enabled, so what it refuses later was there to be read."""
    box.fault(kind="disabled", operation=operation, after=after)
    where = replace(everywhere(box, box.accounts[:1])[0], optional=True)
    with quiet():
        frames = asf.drain_targets([where], include="fleets", progress=False)
    assert statuses(frames)[-1] == "bad_credentials"
    assert frames.failed_targets == [where]


@pytest.mark.parametrize(("named", "status"), [(False, "region_disabled"), (True, "bad_credentials")])
def test_one_region_that_refuses_what_sts_accepts_is_disabled(named: bool, status: str, box: Any) -> None:
    """Where the account is named STS is not asked, and it may be the credentials."""
    box.fault(box.accounts[0], None, "disabled")
    with pytest.raises(asf.AccessError) as caught:
        asf.drain(box.client(), account=box.accounts[0] if named else None, progress=False)
    assert caught.value.status == status


@pytest.mark.slow
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


@pytest.mark.slow
def test_no_endpoint_in_one_region_is_the_regions_fault_and_in_all_the_networks(box: Any) -> None:
    """When nothing answers anywhere the words speak of the network."""
    lost = [asf.targets(session=session(box, account), regions=["xx-nowhere-1"])[0] for account in box.accounts]
    with quiet():
        some = asf.drain_targets([*lost, everywhere(box)[0]], progress=False, timeout=3).coverage
        none = asf.drain_targets(lost, progress=False, timeout=3).coverage
    assert some["status"].to_list() == [*["no_endpoint"] * 3, "complete"]
    assert none["status"].to_list() == ["failed"] * 3
    assert none["error_message"].str.contains("this machine's network").all()
    assert set(none["error_code"]) == {"EndpointConnectionError"}


@pytest.mark.slow
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
    assert len(group.frames.images) == group.frames.coverage["rows"].sum() > 0


def test_no_failure_is_raised_when_there_is_none(box: Any) -> None:
    """Neither is there a warning."""
    frames = asf.drain_targets(everywhere(box)[:2], progress=False, raise_on_failure=True)
    assert (statuses(frames), frames.failed_targets) == (["complete"] * 2, [])


@pytest.mark.slow
def test_nothing_read_is_frames_and_a_warning(box: Any) -> None:
    """All denied: tables with all columns and no rows, and a row of coverage each."""
    box.fault(kind="denied")
    targets = everywhere(box)
    with pytest.warns(UserWarning, match="12 of 12 targets failed"):
        frames = asf.drain_targets(targets, progress=False)
    assert (len(frames.images), statuses(frames), frames.failed_targets) == (0, ["denied"] * 12, targets)
    whole = estates.truth(box.accounts[0], box.regions[0])
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
def test_two_targets_of_one_account_and_region_are_refused(box: Any, root: Path, drain: Drain) -> None:
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
    assert (row["account"], row["region"], row["rows"]) == ("111122223333", "us-east-1", 9)
