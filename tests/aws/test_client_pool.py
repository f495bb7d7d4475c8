"""Targets and the clients made for them, over real sockets: whose credentials they have, and what of those travels or shows."""

from __future__ import annotations

import gc
import logging
import pickle
import re
import subprocess
import sys
import time
import traceback
import weakref
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from support.catalogue import images_of
from support.faultserver import CANARIES, UNCLOSED
from support.sources_of import DEV, HOME, LAB, PROD, arn, configure, failure, sent

import appstream_frames as asf
from appstream_frames.aws.clients import ClientPool, open_sts_of
from appstream_frames.aws.credentials import Target, open_sts
from appstream_frames.emulator.catalogue import find_week

pytestmark = UNCLOSED


# whose credentials


def test_profiles_are_drained_as_themselves(configured: Any) -> None:
    """Each profile's place is its own account, keys and roles alike, and drains to what that account sees."""
    clients = ClientPool()
    for account, target in zip(
        configured.accounts,
        asf.targets(profiles=[f"sandbox-{account}" for account in configured.accounts], regions=HOME),
        strict=True,
    ):
        place = clients.locate(target, 10)
        assert (place.account, place.region) == (account, "eu-west-1")
        frames = asf.drain(place.client, account=place.account, progress=False)
        assert set(frames.images["arn"]) == {image["Arn"] for image in images_of(account, "eu-west-1", find_week())}


def test_default_credentials_are_those_of_the_environment(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a profile the environment's keys and endpoint are used, for roles too."""
    for name, value in box.environment(DEV).items():
        monkeypatch.setenv(name, value)
    clients = ClientPool()
    assert clients.locate(asf.targets()[0], 10).account == DEV
    assert clients.locate(asf.targets(roles=[arn(LAB)])[0], 10).account == LAB
    assert box.asked["AssumeRole"] == 1


def test_roles_are_assumed_from_one_profile(configured: Any) -> None:
    """With roles, the profile is what they are assumed with, and no target itself."""
    found = asf.targets(profiles=[f"sandbox-{DEV}"], roles=[arn(LAB)])
    assert [str(target) for target in found] == [f"{LAB}/eu-west-1"]
    assert ClientPool().locate(found[0], 10).account == LAB


def test_a_session_is_a_base(box: Any) -> None:
    """A session's own credentials, and roles assumed with them, at the session's endpoint; the session stays as it was."""
    session = box.session(DEV)
    before = session.get_credentials()
    clients = ClientPool()
    assert clients.locate(asf.targets(session=session)[0], 10).account == DEV
    place = clients.locate(asf.targets(session=session, roles=[arn(LAB)])[0], 10)
    assert (place.account, place.client.meta.endpoint_url) == (LAB, box.url)
    assert session.get_credentials() is before
    assert session.client("sts").get_caller_identity()["Account"] == DEV


def test_cloudtrail_sees_our_name(box: Any) -> None:
    """An assumed role's session is named after this package."""
    place = ClientPool().locate(asf.targets(session=box.session(), roles=[arn(DEV)])[0], 10)
    assert (
        open_sts_of(place.client).get_caller_identity()["Arn"]
        == f"arn:aws:sts::{DEV}:assumed-role/AppStreamReader/appstream-frames"
    )


def test_external_id_is_passed(box: Any) -> None:
    """A role that demands an external id is assumed with the right one, and denied without."""
    box.role("Careful", external_id="the-word")
    given = {"session": box.session(), "roles": [arn(DEV, "Careful")]}
    assert ClientPool().locate(asf.targets(**given, external_id="the-word")[0], 10).account == DEV
    for wrong in (None, "another-word"):
        error_ = failure(ClientPool(), asf.targets(**given, external_id=wrong)[0])
        assert (type(error_), error_.status, error_.code) == (asf.AccessError, "denied", "AccessDenied")
        assert re.search("AssumeRole.*not authorized to perform: sts:AssumeRole.*external_id", str(error_))
        assert "another-word" not in str(error_)


def test_a_role_that_lands_elsewhere_is_an_error(box: Any) -> None:
    """The account that STS names counts, and another one than the role's is never drained."""
    box.role(arn(DEV), lands_in=LAB)
    error_ = failure(ClientPool(), asf.targets(session=box.session(), roles=[arn(DEV)])[0])
    assert (type(error_), error_.status) == (asf.AccessError, "bad_credentials")
    assert f"of account {LAB}; expected {DEV}" in str(error_)


def test_a_profile_of_another_account_than_it_says(configured: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A single sign-on's account is checked as a role's is."""
    target = Target(LAB, "eu-west-1", f"sandbox-{DEV}")
    assert f"of account {DEV}; expected {LAB}" in str(failure(ClientPool(), target))


@pytest.mark.slow
def test_role_credentials_are_renewed_during_a_drain(box: Any) -> None:
    """Keys that expire between two pages are replaced; the drain ends whole."""
    box.expire_after(2.0)
    started = time.monotonic()
    place = ClientPool().locate(asf.targets(session=box.session(), roles=[arn(DEV)])[0], 10)
    box.latency(0.25)
    frames = asf.drain(place.client, account=place.account, page_size=5, progress=False)
    assert frames.coverage["status"].item() == "complete"
    assert time.monotonic() - started > 2.0
    assert box.asked["AssumeRole"] >= 3


@pytest.mark.slow
def test_the_sandbox_refuses_expired_keys(box: Any) -> None:
    """What the renewal is for: without it the same drain is refused."""

    def drain(life: float) -> asf.Frames:
        box.expire_after(life)
        keys = box.client(service="sts").assume_role(RoleArn=arn(DEV), RoleSessionName="once")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        client = session.client("appstream", "eu-west-1", endpoint_url=box.url)
        return asf.drain(client, account=DEV, max_items=1, progress=False)

    assert drain(600.0).coverage["rows"].item() == 1
    with pytest.raises(asf.AccessError, match="ExpiredToken"):
        drain(0.0)


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials every target says so."""
    for target in asf.targets(regions=["eu-west-1", "us-east-1"]):
        error_ = failure(ClientPool(), target)
        assert (type(error_), error_.status) == (asf.AccessError, "bad_credentials")
        assert "NoCredentialsError" in str(error_)


def test_a_profile_that_is_gone(configured: Any, tmp_path: Path) -> None:
    """A profile that another machine does not have is bad credentials, not a crash."""
    target = asf.targets(profiles=[f"sandbox-{DEV}"])[0]
    (tmp_path / "config").write_text("")
    assert failure(ClientPool(), target).status == "bad_credentials"


def test_a_broken_role_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role profile whose source is not there is bad credentials."""
    configure(tmp_path, monkeypatch, f"[profile a]\nregion = eu-west-1\nrole_arn = {arn(DEV)}\nsource_profile = gone\n")
    assert failure(ClientPool(), asf.targets(profiles=["a"])[0]).status == "bad_credentials"


# secrets


def test_no_secret_in_what_travels_or_is_shown(
    box: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickled target, its repr and str, errors, tracebacks and logs hold no key, token or external id."""
    session = boto3.Session(*CANARIES, region_name="eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", box.url)
    found = asf.targets(session=session, roles=[arn(DEV)], external_id="canary-external-id")
    shown = [repr(found), str(found[0]), repr(found[0].session)]
    with caplog.at_level(logging.INFO), pytest.raises(asf.AccessError) as caught:
        ClientPool().locate(found[0], 10)
    shown += [
        "".join(traceback.format_exception(caught.value)),
        caplog.text,
        pickle.dumps(caught.value.args).decode("latin-1"),
    ]
    for canary in (*CANARIES, "canary-external-id"):
        assert not [text for text in shown if canary in text]
    pickled = pickle.dumps(found)
    assert not [canary for canary in CANARIES if canary.encode() in pickled]


@pytest.mark.slow
def test_a_session_does_not_travel(box: Any) -> None:
    """In another process a session's target says what to pass; in this one it is the same target."""
    found = asf.targets(session=box.session())
    assert sent(pickle.dumps(found)) == found
    assert ClientPool().locate(sent(pickle.dumps(found))[0], 10).account == PROD
    program = (
        "import pickle, sys; from appstream_frames.aws.clients import ClientPool; "
        "ClientPool().locate(pickle.load(sys.stdin.buffer)[0], 5)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(found), capture_output=True)
    assert b"RequestError" in done.stderr
    assert b"Pass profiles= or roles=" in done.stderr


def test_each_target_of_a_lost_session_has_its_own_error(box: Any) -> None:
    """What is raised for one target is not the object that is raised for another."""
    found = asf.targets(session=box.session(), regions=["eu-west-1", "us-east-1"])
    pickled = pickle.dumps(found)
    del found
    gc.collect()
    clients, errors = ClientPool(), []
    for target in sent(pickled):
        with pytest.raises(asf.RequestError, match="credentials do not travel") as caught:
            clients.locate(target, 5)
        errors.append(caught.value)
    assert errors[0] is not errors[1]


@pytest.mark.slow
def test_a_profile_s_target_travels(configured: Any) -> None:
    """Another process finds the credentials of a profile or role by itself."""
    found = asf.targets(profiles=[f"sandbox-{DEV}"], roles=[arn(LAB)])
    program = (
        "import pickle, sys; from appstream_frames.aws.clients import ClientPool; "
        "print(ClientPool().locate(pickle.load(sys.stdin.buffer)[0], 20))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(found), capture_output=True, check=True)
    assert done.stdout.decode() == f"{LAB}/eu-west-1\n"


@pytest.mark.slow
def test_sessions_are_not_kept_alive(box: Any) -> None:
    """When the last target of a session is gone, nothing of ours holds it."""
    session = box.session()
    gone = weakref.ref(session)
    found = asf.targets(session=session)
    del session
    gc.collect()
    assert gone() is not None
    del found
    gc.collect()
    assert gone() is None


@pytest.mark.slow
def test_sessions_are_let_go_with_their_last_target(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was opened for a profile and its roles stays until each of their targets has its place, and no longer."""
    profile = f"sandbox-{configured.accounts[0]}"
    ours = asf.targets(profiles=[profile], regions=["eu-west-1", "us-east-1"])
    roles = [arn(account) for account in configured.accounts[1:]]
    monkeypatch.setenv("AWS_PROFILE", profile)
    theirs = asf.targets(roles=roles, regions=HOME)
    clients, before, held = ClientPool([*ours, *theirs]), sessions(), []
    for target in [*ours, *theirs]:
        clients.locate(target, 20)
        held.append(sessions() - before)
    assert held == [1, 0, 1, 0]


def sessions() -> int:
    """Return how many botocore sessions there are in this process."""
    gc.collect()
    return sum(isinstance(each, botocore.session.Session) for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("eu-west-1", "aws", "sts.eu-west-1.amazonaws.com"),
        ("us-east-1", "aws", "sts.us-east-1.amazonaws.com"),
        (None, "aws", "sts.us-east-1.amazonaws.com"),
        (None, "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
        (None, "aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        ("eu-west-1", "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
    ],
)
@pytest.mark.parametrize("kind", ["legacy", "regional"])
def test_sts_is_regional(region: str | None, partition: str, host: str, kind: str) -> None:
    """The global endpoint, whose tokens opted-in regions refuse, is never used; nor that of another partition."""
    session = botocore.session.Session()
    session.set_credentials("a", "b")
    session.set_config_variable("region", region)
    session.set_config_variable("sts_regional_endpoints", kind)
    assert open_sts(session, partition).meta.endpoint_url == f"https://{host}"
