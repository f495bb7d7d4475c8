"""Where a drain happens: the client, its account, and what STS says or fails to say."""

from __future__ import annotations

import threading
import time
import traceback
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.faults import BAD, SLOW
from support.faultserver import ACCOUNT, UNCLOSED, Connection, Fault, FaultServer, body, identity, session

import appstream_frames as asf
from appstream_frames.aws.clients import locate

pytestmark = UNCLOSED


def test_the_account_is_asked_of_sts_where_the_client_speaks() -> None:
    """A client of another endpoint than Amazon's has its account asked at that endpoint, once."""
    with FaultServer() as server:
        client = server.client()
        frames = [asf.drain(client, progress=False) for _ in range(2)]
        assert server.sts == 1
    assert [set(each.images["account"]) for each in frames] == [{ACCOUNT}] * 2


@pytest.mark.parametrize("account", ["012345678901", "000000000000"])
def test_leading_zeros_stay(account: str) -> None:
    """An account is text in every table, whether STS named it or the caller."""
    with FaultServer(sts=body(identity(account), kind="text/xml")) as server:
        client = server.client()
        for frames in (asf.drain(client, progress=False), asf.drain(client, account=account, progress=False)):
            assert [frame["account"].iloc[0] for frame in (frames.images, frames.applications, frames.coverage)] == [
                account
            ] * 3


def test_a_named_account_is_not_asked_for() -> None:
    """Who names the account needs no STS."""
    with FaultServer() as server:
        asf.drain(server.client(), account="999999999999", progress=False)
        assert server.sts == 0


def test_a_profile_that_does_not_exist_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was handed in brings its own credentials: a wrong AWS_PROFILE is none of its business."""
    with FaultServer() as server:
        client = server.client()
        monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
        assert locate(client).account == ACCOUNT


@pytest.mark.parametrize(
    ("account", "seen"),
    [
        ("1", "'1'"),
        ("", "''"),
        (12345678901, "12345678901"),
        ("01234567890a", "'01234567890a'"),
        ("٠" * 12, "٠"),
        ("0" * 13, "0"),
    ],
)
def test_an_account_is_twelve_digits(account: Any, seen: str) -> None:
    """Anything else is refused before any request."""
    with FaultServer() as server:
        with pytest.raises(asf.RequestError, match="twelve digits") as caught:
            asf.drain(server.client(), account=account, progress=False)
        assert seen in str(caught.value)
        assert not server.requests
        assert server.sts == 0


@pytest.mark.parametrize("client", [object(), "appstream", 5, asf])
def test_only_a_client_is_a_client(client: Any) -> None:
    """What is no boto3 client is refused, in words that say what to pass."""
    with pytest.raises(asf.RequestError, match=r"pass boto3\.client\('appstream'\)"):
        asf.drain(client, account=ACCOUNT, progress=False)


@pytest.mark.parametrize("service", ["sts", "ec2"])
def test_another_services_client_is_refused(service: str) -> None:
    """A client of another service is named, before any request."""
    with FaultServer() as server:
        with pytest.raises(asf.RequestError, match=f"client is one of {service}"):
            asf.drain(server.client(service), progress=False)
        assert server.sts == 0


def test_a_client_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without credentials there is one clear error, whether or not the account is named."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with FaultServer() as server:
        client = boto3.Session(region_name="eu-west-1").client("appstream", endpoint_url=server.url)
        for account in (None, ACCOUNT):
            with pytest.raises(asf.AccessError, match="credentials") as caught:
                asf.drain(client, account=account, progress=False)
            assert isinstance(caught.value, PermissionError)
            assert caught.value.status == "bad_credentials"
        assert not server.requests
        assert server.sts == 0


STS_FAULTS: dict[str, tuple[Fault, type[Exception], str]] = {
    "denied": (
        body(_fault := b"<E><Error><Code>AccessDenied</Code></Error></E>", status="403 Forbidden"),
        asf.AccessError,
        "AccessDenied.*pass the account yourself",
    ),
    "expired": (
        body(_fault.replace(b"AccessDenied", b"ExpiredToken"), status="403 Forbidden"),
        asf.AccessError,
        "ExpiredToken",
    ),
    "refused": (
        body(_fault.replace(b"AccessDenied", b"ValidationError"), status="400 Bad Request"),
        asf.DrainError,
        "ValidationError.*pass the account yourself",
    ),
    "empty": (body(b"", kind="text/xml"), asf.DrainError, "GetCallerIdentity"),
    "html": (body(b"<html><body>Sign in<br></body></html>", kind="text/html"), asf.DrainError, "GetCallerIdentity"),
    "other xml": (body(b"<a><b>1</b></a>", kind="text/xml"), asf.DrainError, "GetCallerIdentityResult"),
    "cut": (body(lambda good: good[:150], kind="text/xml"), asf.DrainError, "GetCallerIdentity"),
    "no account": (body(b"<R><GetCallerIdentityResult/></R>", kind="text/xml"), asf.DrainError, "account None"),
    "odd account": (body(identity("../../etc"), kind="text/xml"), asf.DrainError, r"account \.\./\.\./etc"),
    "terminal": (body(identity("&#x9b;31m"), kind="text/xml"), asf.DrainError, r"account \\x9b31m"),
    "not utf-8": (body(b"<a>\xff\xfe</a>", kind="text/xml"), asf.DrainError, "GetCallerIdentity"),
    "json": (body(b'{"Account": "012345678901"}'), asf.DrainError, "GetCallerIdentity"),
    "500 odd": (body(b"\xff", status="500 Internal Server Error"), asf.DrainError, "GetCallerIdentity"),
    "closed": (BAD["closed"], asf.DrainError, "GetCallerIdentity"),
    **{name: (fault, asf.DrainError, "no answer within 0.6 s") for name, fault in SLOW.items()},
}


#: What is not asked again; all else is, until the time is up.
FINAL = ("denied", "expired", "refused", "other xml", "no account", "odd account", "terminal")


@pytest.mark.slow
@pytest.mark.parametrize("kind", STS_FAULTS)
def test_an_account_that_sts_does_not_say(kind: str) -> None:
    """Whatever STS answers instead of an account is one clear error in time, and no image is asked for."""
    fault, expected, seen = STS_FAULTS[kind]
    with FaultServer(sts=fault) as server:
        client = server.client()
        started = time.monotonic()
        with pytest.raises(asf.DrainError, match=seen) as caught:
            asf.drain(client, progress=False, timeout=10 if kind in FINAL else 0.6)
        assert time.monotonic() - started < 10 or kind in FINAL
        assert type(caught.value) is expected
        assert (caught.value.page, caught.value.target) == (0, "?/eu-west-1")
        assert str(caught.value).isprintable()
        assert not server.requests


def test_an_account_that_sts_would_not_say_is_asked_for_again() -> None:
    """A failure is not remembered: the next drain asks anew."""
    faults = iter([STS_FAULTS["denied"][0]])

    def once(connection: Connection, good: bytes) -> None:
        next(faults, body(good, kind="text/xml"))(connection, good)

    with FaultServer(sts=once) as server:
        client = server.client()
        with pytest.raises(asf.AccessError):
            asf.drain(client, progress=False)
        assert asf.drain(client, progress=False).coverage["account"].item() == ACCOUNT


@pytest.mark.slow
def test_a_closed_port_is_an_endpoint_error() -> None:
    """Where nobody listens, the error says so, for STS and for AppStream."""
    with FaultServer() as server:
        client = server.client(retries={"total_max_attempts": 1})
    for account in (None, ACCOUNT):
        with pytest.raises(asf.EndpointError, match="Check the region") as caught:
            asf.drain(client, account=account, timeout=1, progress=False)
        assert isinstance(caught.value, ConnectionError)
        assert caught.value.status == "no_endpoint"


def test_a_session_of_many_clients_asks_once_each() -> None:
    """Accounts are remembered by client, never by session: clients of other credentials share nothing."""
    with FaultServer() as server:
        clients = [session().client("appstream", endpoint_url=server.url) for _ in range(3)]
        threads = [threading.Thread(target=locate, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.sts == 3


KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::012345678901:role/Reader", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"}
#: Settings of the environment that lead nowhere, and what a drain says of them.
WRONG: list[tuple[dict[str, str], type[Exception], str]] = [
    ({**KEYS, "AWS_RETRY_MODE": "nope"}, asf.RequestError, '"nope" must be one of.*Correct what the environment'),
    ({**KEYS, "AWS_MAX_ATTEMPTS": "zero"}, asf.RequestError, "'zero'. Correct what the environment"),
    (
        {**KEYS, "HTTPS_PROXY": "http://127.0.0.1:1"},
        asf.DrainError,
        "The network, the proxy or the name service failed",
    ),
    (ROLE, asf.AccessError, "/nowhere/token.*configure a profile, or sign in"),
]


@pytest.mark.parametrize(("environment", "kind", "said"), WRONG)
def test_a_wrong_setting_is_an_error_of_ours(
    environment: dict[str, str], kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to correct, not to pass the account."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    base = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "https://aws.invalid"}
    for name, value in {**base, **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(kind, match=said) as caught:
        asf.drain(progress=False, timeout=2)
    assert "pass the account" not in str(caught.value)


@pytest.mark.parametrize("variable", ["AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS", "AWS_DEFAULTS_MODE"])
def test_a_wrong_setting_is_said_of_targets_too(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage says what to correct, and not to try again."""
    with FaultServer() as server:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": server.url, variable: "0"}.items():
            monkeypatch.setenv(name, value)
        with pytest.warns(UserWarning, match="1 of 1 targets failed"):
            frames = asf.drain_targets(asf.targets(regions=["eu-west-1"]), progress=False)
    assert "Correct what the environment" in frames.coverage["error_message"].item()


def test_a_prompt_that_nobody_can_answer_is_a_failed_sign_in() -> None:
    """A profile asks for an MFA code, and standard input has ended: the advice is to sign in, not to try again."""

    def prompt(**_: object) -> None:
        raise EOFError

    with FaultServer() as server:
        client = server.client()
        client.meta.events.register("before-sign", prompt)
        with pytest.raises(asf.AccessError, match=r"EOFError.*or sign in"):
            asf.drain(client, account=ACCOUNT, progress=False)


def test_what_a_credential_process_printed_is_not_shown_of_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the message nor in what led to it."""
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\ncredential_process = sh -c 'echo hunter2 >&2; exit 1'\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(asf.RequestError, match="Configure credentials for the bucket") as caught:
        asf.list_snapshots("s3://bucket/prefix")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
