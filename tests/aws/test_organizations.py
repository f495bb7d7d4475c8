"""Targets of an organization, over real sockets: its accounts are listed to the end, and only the active ones are drained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from support.faults import BAD
from support.faultserver import UNCLOSED, FaultServer, body
from support.sources_of import DEV, HOME, PROD

import appstream_frames as asf
from appstream_frames.aws import retries
from appstream_frames.aws.clients import ClientPool

pytestmark = UNCLOSED


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Not active")
def test_an_organization_s_accounts_are_assumed(company: Any) -> None:
    """Members through their role, the caller's own account with its own credentials."""
    found = asf.targets(session=company.session(), organization_role="AppStreamReader", regions=HOME)
    before = company.asked.get("AssumeRole", 0)
    clients = ClientPool()
    with ThreadPoolExecutor(16) as pool:
        accounts = list(pool.map(lambda target: clients.locate(target, 30).account, found))
    assert accounts == sorted(company.accounts)
    assert company.asked["AssumeRole"] - before == 44
    assert [target.role for target in found if target.account == PROD] == [None]


def test_an_organization_is_listed_by_those_who_may(company: Any) -> None:
    """The error of a member that may not list the accounts names who may."""
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


@pytest.mark.slow
@pytest.mark.parametrize("case", LISTS)
def test_an_organization_that_is_not_whole_is_an_error(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that botocore takes for the end of the list is none: accounts are never lost without a word."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.05)
    replies, words = LISTS[case]
    with FaultServer(**replies) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(asf.DrainError, match=words) as caught:
            asf.targets(session=boto3.Session("a", "b"), organization_role="R", regions=HOME)
    assert str(caught.value).isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["empty", "cut", "short", "closed", "503"])
def test_a_bad_reply_costs_no_organization(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again, as pages are."""
    with FaultServer(pages={None: LISTED}, fault=BAD[kind], times=1) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        found = asf.targets(session=boto3.Session("a", "b"), organization_role="R", regions=HOME)
    assert [target.account for target in found] == [PROD]


@pytest.mark.slow
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
