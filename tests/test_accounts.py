"""Targets and the clients made for them, over real sockets: whose credentials, found how often, and what is said when not."""

from __future__ import annotations

import gc
import logging
import pickle
import random
import re
import subprocess
import sys
import time
import traceback
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from faults import CANARIES, UNCLOSED, Fault, FaultServer, body, identity

import appstream_frames as asf
from appstream_frames.access.accounts import Clients
from appstream_frames.access.clients import in_time
from appstream_frames.access.sources import sts
from appstream_frames.access.targets import Target

pytestmark = UNCLOSED
PROD, DEV, LAB = "012345678901", "111122223333", "444455556666"
HOME = ["eu-west-1"]


def arn(account: str, name: str = "AppStreamReader", partition: str = "aws") -> str:
    """Return a role's ARN."""
    return f"arn:{partition}:iam::{account}:role/{name}"


@pytest.fixture
def configured(box: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a running sandbox whose profiles are this process's configuration."""
    for name, value in box.config(tmp_path / "config").items():
        monkeypatch.setenv(name, value)
    return box


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make a text this process's AWS configuration."""
    (tmp_path / "written").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "written"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def failure(clients: Clients, target: Target, timeout: float = 10) -> asf.DrainError:
    """Return the error of a target that has no place."""
    with pytest.raises(asf.DrainError) as caught:
        in_time(partial(clients.place, target, timeout), str(target), timeout)
    assert (caught.value.target, caught.value.page) == (str(target), 0)
    assert str(caught.value).isprintable()
    return caught.value


def sent(pickled: bytes) -> Any:
    """Return what another process would get."""
    return pickle.loads(pickled)  # noqa: S301  our own


# whose credentials


def test_profiles_are_drained_as_themselves(configured: Any) -> None:
    """Each profile's place is its own account, keys and roles alike, and drains to what that account sees."""
    from appstream_frames.sandbox.catalogue import images_of, week_at

    clients = Clients()
    for account, target in zip(
        configured.accounts,
        asf.targets(profiles=[f"sandbox-{account}" for account in configured.accounts], regions=HOME),
        strict=True,
    ):
        place = clients.place(target, 10)
        assert (place.account, place.region) == (account, "eu-west-1")
        frames = asf.drain(place.client, account=place.account, progress=False)
        assert set(frames.images["arn"]) == {image["Arn"] for image in images_of(account, "eu-west-1", week_at())}


def test_default_credentials_are_those_of_the_environment(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a profile the environment's keys and endpoint are used, for roles too."""
    for name, value in box.environment(DEV).items():
        monkeypatch.setenv(name, value)
    clients = Clients()
    assert clients.place(asf.targets()[0], 10).account == DEV
    assert clients.place(asf.targets(roles=[arn(LAB)])[0], 10).account == LAB
    assert box.asked["AssumeRole"] == 1


def test_roles_are_assumed_from_one_profile(configured: Any) -> None:
    """With roles, the profile is what they are assumed with, and no target itself."""
    found = asf.targets(profiles=[f"sandbox-{DEV}"], roles=[arn(LAB)])
    assert [str(target) for target in found] == [f"{LAB}/eu-west-1"]
    assert Clients().place(found[0], 10).account == LAB


def test_a_session_is_a_base(box: Any) -> None:
    """A session's own credentials, and roles assumed with them, at the session's endpoint; the session stays as it was."""
    session = box.session(DEV)
    before = session.get_credentials()
    clients = Clients()
    assert clients.place(asf.targets(session=session)[0], 10).account == DEV
    place = clients.place(asf.targets(session=session, roles=[arn(LAB)])[0], 10)
    assert (place.account, place.client.meta.endpoint_url) == (LAB, box.url)
    assert session.get_credentials() is before
    assert session.client("sts").get_caller_identity()["Account"] == DEV


def test_cloudtrail_sees_our_name(box: Any) -> None:
    """An assumed role's session is named after this package."""
    place = Clients().place(asf.targets(session=box.session(), roles=[arn(DEV)])[0], 10)
    keys = place.client._request_signer._credentials.get_frozen_credentials()
    again = boto3.client("sts", "eu-west-1", None, True, None, box.url, keys.access_key, keys.secret_key, keys.token)
    assert again.get_caller_identity()["Arn"] == f"arn:aws:sts::{DEV}:assumed-role/AppStreamReader/appstream-frames"


def test_external_id_is_passed(box: Any) -> None:
    """A role that demands an external id is assumed with the right one, and denied without."""
    box.role("Careful", external_id="the-word")
    given = {"session": box.session(), "roles": [arn(DEV, "Careful")]}
    assert Clients().place(asf.targets(**given, external_id="the-word")[0], 10).account == DEV
    for wrong in (None, "another-word"):
        error_ = failure(Clients(), asf.targets(**given, external_id=wrong)[0])
        assert (type(error_), error_.status, error_.code) == (asf.AccessError, "denied", "AccessDenied")
        assert re.search("AssumeRole.*not authorized to perform: sts:AssumeRole.*external_id", str(error_))
        assert "another-word" not in str(error_)


def test_a_role_that_lands_elsewhere_is_an_error(box: Any) -> None:
    """The account that STS names counts, and another one than the role's is never drained."""
    box.role(arn(DEV), lands_in=LAB)
    error_ = failure(Clients(), asf.targets(session=box.session(), roles=[arn(DEV)])[0])
    assert (type(error_), error_.status) == (asf.AccessError, "bad_credentials")
    assert f"of account {LAB}; expected {DEV}" in str(error_)


def test_a_profile_of_another_account_than_it_says(configured: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A single sign-on's account is checked as a role's is."""
    target = Target(LAB, "eu-west-1", f"sandbox-{DEV}")
    assert f"of account {DEV}; expected {LAB}" in str(failure(Clients(), target))


def test_role_credentials_are_renewed_during_a_drain(box: Any) -> None:
    """Keys that expire between two pages are replaced; the drain ends whole."""
    box.expire_after(2.0)
    started = time.monotonic()
    place = Clients().place(asf.targets(session=box.session(), roles=[arn(DEV)])[0], 10)
    box.latency(0.25)
    frames = asf.drain(place.client, account=place.account, page_size=5, progress=False)
    assert frames.coverage["status"].item() == "complete"
    assert time.monotonic() - started > 2.0
    assert box.asked["AssumeRole"] >= 3


def test_the_sandbox_refuses_expired_keys(box: Any) -> None:
    """What the renewal is for: without it the same drain is refused."""
    box.expire_after(1.5)
    keys = box.client(service="sts").assume_role(RoleArn=arn(DEV), RoleSessionName="once")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    client = session.client("appstream", "eu-west-1", endpoint_url=box.url)
    assert asf.drain(client, account=DEV, max_items=1).coverage["images"].item() == 1
    time.sleep(1.6)
    with pytest.raises(asf.AccessError, match="ExpiredToken"):
        asf.drain(client, account=DEV)


# how often


def test_a_source_is_asked_once(box: Any) -> None:
    """140 targets of ten roles, asked for at once: ten roles are assumed, ten accounts asked for, 140 clients made."""
    with asf.sandbox(accounts=10, regions=14) as many:
        many.latency(0.05)
        found = asf.targets(session=many.session(), roles=map(arn, many.accounts), regions=many.regions)
        random.Random(5).shuffle(found)
        clients = Clients()
        with ThreadPoolExecutor(64) as pool:
            places = list(pool.map(lambda target: clients.place(target, 30), found))
        assert [(place.account, place.region) for place in places] == [(each.account, each.region) for each in found]
        assert len({id(place.client) for place in places}) == 140
        assert many.asked == {"AssumeRole": 10, "GetCallerIdentity": 10}
        assert many.calls == 0


def test_a_source_that_fails_is_asked_once(box: Any) -> None:
    """Every target of a role that is denied fails with an error of its own; the role is asked for once."""
    with asf.sandbox(regions=14) as many:
        found = asf.targets(session=many.session(), roles=[arn(DEV, "Nobody")], regions=many.regions)
        clients = Clients()
        seen: list[str] = []
        many._accounts._assume = lambda *asked: seen.append("asked") or original(*asked)  # type: ignore[method-assign]
        original = type(many._accounts)._assume.__get__(many._accounts)
        with ThreadPoolExecutor(20) as pool:
            errors = list(pool.map(lambda target: failure(clients, target), found))
        assert len(seen) == 1
    assert len({id(each) for each in errors}) == 14
    assert [each.target for each in errors] == [str(target) for target in found]
    assert {each.status for each in errors} == {"denied"}


def test_a_base_that_fails_fails_its_roles(configured: Any) -> None:
    """Roles of credentials that are refused are bad credentials each, and say so."""
    found = asf.targets(profiles=["sandbox-stranger"], roles=[arn(DEV), arn(LAB)])
    clients = Clients()
    for target in found:
        error_ = failure(clients, target)
        assert (type(error_), error_.status, error_.code) == (
            asf.AccessError,
            "bad_credentials",
            "InvalidClientTokenId",
        )


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials every target says so."""
    for target in asf.targets(regions=["eu-west-1", "us-east-1"]):
        error_ = failure(Clients(), target)
        assert (type(error_), error_.status) == (asf.AccessError, "bad_credentials")
        assert "NoCredentialsError" in str(error_)


def test_a_profile_that_is_gone(configured: Any, tmp_path: Path) -> None:
    """A profile that another machine does not have is bad credentials, not a crash."""
    target = asf.targets(profiles=[f"sandbox-{DEV}"])[0]
    (tmp_path / "config").write_text("")
    assert failure(Clients(), target).status == "bad_credentials"


def test_a_broken_role_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role profile whose source is not there is bad credentials."""
    configure(tmp_path, monkeypatch, f"[profile a]\nregion = eu-west-1\nrole_arn = {arn(DEV)}\nsource_profile = gone\n")
    assert failure(Clients(), asf.targets(profiles=["a"])[0]).status == "bad_credentials"


def test_nobody_listens(configured: Any) -> None:
    """Where AppStream has no endpoint there is a place, and the drain says what is the matter."""
    place = Clients().place(asf.targets(profiles=["sandbox-nowhere"])[0], 10)
    with pytest.raises(asf.EndpointError):
        asf.drain(place.client, account=place.account, timeout=60, progress=False)


STS_FAULTS: dict[str, tuple[Fault, str, str]] = {
    "throttled": (
        body(b"<E><Error><Code>Throttling</Code></Error></E>", status="400 Bad Request"),
        "throttled",
        "Throttling",
    ),
    "closed port": (lambda connection, _: connection.close(), "failed", "sign-in"),
    "no account": (body(b"<R><GetCallerIdentityResult/></R>", kind="text/xml"), "failed", "account None"),
    "hostile": (body(identity("&#x9b;31m"), kind="text/xml"), "failed", r"\\x9b31m"),
    "html": (body(b"<html><body>Sign in</html>", kind="text/html"), "failed", "sign-in"),
    "never": (lambda *_: time.sleep(3), "failed", r"no answer within 1 s"),
}


@pytest.mark.parametrize("kind", STS_FAULTS)
def test_an_account_that_sts_does_not_say(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever STS answers is one clear error in time, for every region of the source."""
    fault, status, words = STS_FAULTS[kind]
    with FaultServer(sts=fault) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        core = boto3.Session("AKID", "SECRET", region_name="eu-west-1")
        clients = Clients()
        started = time.monotonic()
        for target in asf.targets(session=core, regions=["eu-west-1", "us-east-1"]):
            error_ = failure(clients, target, timeout=1 if kind == "never" else 20)
            assert error_.status == status
            assert re.search(words, str(error_))
        assert time.monotonic() - started < 30
        assert not server.requests


# secrets


def test_no_secret_in_what_travels_or_is_shown(
    box: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickled target, its repr and str, errors, tracebacks and logs hold no key, token or external id."""
    session = boto3.Session(*CANARIES, region_name="eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", box.url)
    found = asf.targets(session=session, roles=[arn(DEV)], external_id="canary-external-id")
    shown = [repr(found), str(found[0]), repr(found[0].source), repr(found[0].session)]
    with caplog.at_level(logging.INFO), pytest.raises(asf.AccessError) as caught:
        Clients().place(found[0], 10)
    shown += [
        "".join(traceback.format_exception(caught.value)),
        caplog.text,
        pickle.dumps(caught.value.args).decode("latin-1"),
    ]
    for canary in (*CANARIES, "canary-external-id"):
        assert not [text for text in shown if canary in text]
    pickled = pickle.dumps(found)
    assert not [canary for canary in CANARIES if canary.encode() in pickled]


def test_a_session_does_not_travel(box: Any) -> None:
    """In another process a session's target says what to pass; in this one it is the same target."""
    found = asf.targets(session=box.session())
    assert sent(pickle.dumps(found)) == found
    assert Clients().place(sent(pickle.dumps(found))[0], 10).account == PROD
    program = (
        "import pickle, sys; from appstream_frames.access.accounts import Clients; "
        "Clients().place(pickle.load(sys.stdin.buffer)[0], 5)"
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
    clients, errors = Clients(), []
    for target in sent(pickled):
        with pytest.raises(asf.RequestError, match="credentials do not travel") as caught:
            clients.place(target, 5)
        errors.append(caught.value)
    assert errors[0] is not errors[1]


def test_a_profile_s_target_travels(configured: Any) -> None:
    """Another process finds the credentials of a profile or role by itself."""
    found = asf.targets(profiles=[f"sandbox-{DEV}"], roles=[arn(LAB)])
    program = (
        "import pickle, sys; from appstream_frames.access.accounts import Clients; "
        "print(Clients().place(pickle.load(sys.stdin.buffer)[0], 20))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(found), capture_output=True, check=True)
    assert done.stdout.decode() == f"{LAB}/eu-west-1\n"


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


def test_sessions_are_let_go_with_their_last_target(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was opened for a profile and its roles stays until each of their targets has its place, and no longer."""
    profile = f"sandbox-{configured.accounts[0]}"
    ours = asf.targets(profiles=[profile], regions=["eu-west-1", "us-east-1"])
    roles = [arn(account) for account in configured.accounts[1:]]
    monkeypatch.setenv("AWS_PROFILE", profile)
    theirs = asf.targets(roles=roles, regions=HOME)
    clients, before, held = Clients([*ours, *theirs]), sessions(), []
    for target in [*ours, *theirs]:
        clients.place(target, 20)
        held.append(sessions() - before)
    assert held == [1, 0, 1, 0]


def sessions() -> int:
    """Return how many botocore sessions there are in this process."""
    gc.collect()
    return sum(isinstance(each, botocore.session.Session) for each in gc.get_objects())


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
    session = boto3.Session("a", "b", region_name=region)
    session._session.set_config_variable("sts_regional_endpoints", kind)
    assert sts(session._session, partition).meta.endpoint_url == f"https://{host}"


# an organization


@pytest.fixture(scope="module")
def company() -> Iterator[Any]:
    """Return a sandbox of an organization with several pages of accounts."""
    with asf.sandbox(accounts=45) as running:
        yield running


def test_an_organization_is_listed_to_its_end(company: Any) -> None:
    """Every active account once, sorted; the suspended one is named in a warning and is no target."""
    with pytest.warns(UserWarning, match=r"Not active, and so no targets: 000300030003 \(SUSPENDED\)") as noted:
        found = asf.targets(
            session=company.session(), organization_role="AppStreamReader", regions=["us-east-1", *HOME]
        )
    assert [(target.account, target.region) for target in found] == [
        (account, region) for account in sorted(company.accounts) for region in ("us-east-1", "eu-west-1")
    ]
    assert company.asked["ListAccounts"] == 3
    assert noted[0].filename == __file__


@pytest.mark.filterwarnings("ignore:Not active")
def test_an_organization_s_accounts_are_assumed(company: Any) -> None:
    """Members through their role, the caller's own account with its own credentials."""
    found = asf.targets(session=company.session(), organization_role="AppStreamReader", regions=HOME)
    before = company.asked.get("AssumeRole", 0)
    clients = Clients()
    with ThreadPoolExecutor(16) as pool:
        accounts = list(pool.map(lambda target: clients.place(target, 30).account, found))
    assert accounts == sorted(company.accounts)
    assert company.asked["AssumeRole"] - before == 44
    assert [target.role for target in found if target.account == PROD] == [None]


def test_an_organization_is_listed_by_those_who_may(company: Any) -> None:
    """A member that may not list the accounts is told who may."""
    with pytest.raises(asf.AccessError, match=r"ListAccounts: .*AccessDeniedException.*management account") as caught:
        asf.targets(session=company.session(DEV), organization_role="AppStreamReader", regions=HOME)
    assert (caught.value.status, caught.value.target) == ("denied", "organization")


LISTED = {"Accounts": [{"Id": PROD, "Status": "ACTIVE"}]}
LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"pages": {None: {}}}, "no accounts"),
    "null": ({"pages": {None: {"Accounts": None}}}, "no accounts"),
    "cut": ({"fault": body(b'{"Accounts": [{"Id": "1111')}, "no accounts"),
    "html": ({"fault": body(b"<html>")}, "no accounts"),
    "second empty": ({"pages": {None: LISTED | {"NextToken": "a"}, "a": {}}}, "no accounts"),
    "round": ({"pages": {None: LISTED | {"NextToken": "a"}, "a": LISTED | {"NextToken": "a"}}}, "had sent before"),
    "of others": ({"pages": {None: {"Accounts": [{"Id": DEV, "Status": "ACTIVE"}]}}}, "is not one of them"),
    "without id": ({"pages": {None: {"Accounts": [{"Status": "ACTIVE"}]}}}, "account None"),
    "odd id": ({"pages": {None: {"Accounts": [{"Id": "1\x1b[31m", "Status": "ACTIVE"}]}}}, r"account 1\\x1b\[31m"),
}


@pytest.mark.parametrize("case", LISTS)
def test_an_organization_that_is_not_whole_is_an_error(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that botocore takes for the end of the list is none: accounts are never lost without a word."""
    replies, words = LISTS[case]
    with FaultServer(**replies) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(asf.DrainError, match=words) as caught:
            asf.targets(session=boto3.Session("a", "b"), organization_role="R", regions=HOME)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("members", "active"),
    [
        ({"State": "ACTIVE"}, True),
        ({"Status": "ACTIVE"}, True),
        ({"State": "SUSPENDED", "Status": "ACTIVE"}, False),
        ({"State": "PENDING_ACTIVATION"}, False),
        ({"State": "CLOSED", "Status": "SUSPENDED"}, False),
        ({}, False),
    ],
)
def test_only_active_accounts_are_targets(
    members: dict[str, str], active: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer member State counts, and where it is not sent, Status."""
    if {"State"} & set(members) and "State" not in boto3.client(
        "organizations", "us-east-1"
    ).meta.service_model.shape_for("Account").members:
        pytest.skip("this botocore does not know the member State")
    pages = {None: {"Accounts": [*LISTED["Accounts"], {"Id": DEV, **members}]}}
    with FaultServer(pages=pages) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        found = asf.targets(session=boto3.Session("a", "b"), organization_role="R", regions=HOME)
    assert [target.account for target in found] == ([PROD, DEV] if active else [PROD])
