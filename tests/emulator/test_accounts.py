"""The sandbox's organization: many accounts and regions, roles and their keys, and a configuration that leads to them."""

from __future__ import annotations

import configparser
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from support.asking import ONCE, error_code
from support.catalogue import images_of
from support.faultserver import UNCLOSED
from support.sources_of import DEV, LAB, PROD

import appstream_frames as asf
from appstream_frames.emulator.catalogue import find_week, list_accounts
from appstream_frames.emulator.sandbox import sandbox

pytestmark = UNCLOSED
ROLE = f"arn:aws:iam::{DEV}:role/AppStreamReader"


@pytest.fixture(scope="module")
def many() -> Iterator[Any]:
    """Return a sandbox of twelve accounts in eight regions, one of them GovCloud's."""
    places = ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2", "eu-central-1", "us-gov-west-1", "ca-central-1"]
    with sandbox(accounts=12, regions=[*places, "cn-north-1"]) as running:
        yield running


def drained(client: Any, **request: Any) -> list[dict[str, Any]]:
    """Return every image, by boto3's own paginator."""
    pages = client.get_paginator("describe_images").paginate(**request)
    return [image for page in pages for image in page["Images"]]


def own(account: str, region: str) -> list[dict[str, Any]]:
    """Return the images that an account owns."""
    return [image for image in images_of(account, region, find_week()) if image["Visibility"] == "PRIVATE"]


def as_role(box: Any, service: str = "sts", *, token: str | None = None, role: str = ROLE) -> Any:
    """Return a client that signs with a role's keys."""
    keys = box.client(service="sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], token or keys["SessionToken"])
    return session.client(service, "eu-west-1", endpoint_url=box.url, config=ONCE)


# accounts and regions


def test_accounts_are_the_same_every_time() -> None:
    """The catalogue's three come first; the others are twelve different digits, and always the same."""
    assert list_accounts(60)[:4] == [PROD, DEV, LAB, "000400040004"]
    assert len({account for account in list_accounts(9998) if len(account) == 12 and account.isdigit()}) == 9998
    assert list_accounts(2) == [PROD, DEV]


@pytest.mark.parametrize("count", [0, -1, 9999, 2.5, "3", True])
def test_other_counts_are_error_code(count: Any) -> None:
    """So many accounts cannot be had."""
    with pytest.raises(asf.RequestError, match="from 1 to 9998"):
        sandbox(accounts=count)


@pytest.mark.slow
def test_every_target_serves_its_truth(many: Any) -> None:
    """What is served is what `images_of` tells, in each region, of the catalogue's accounts and of invented ones."""
    for account in many.accounts[:5]:
        for region in many.regions:
            found = drained(many.client(account, region))
            assert [image["Arn"] for image in found] == [
                image["Arn"] for image in images_of(account, region, find_week())
            ]


def test_invented_accounts_own_their_images(many: Any) -> None:
    """ARNs carry the account, the region and the partition; no image of one account is another's."""
    owned = set()
    for account in many.accounts:
        for region in many.regions:
            images = own(account, region)
            partition = {"us-gov-west-1": "aws-us-gov", "cn-north-1": "aws-cn"}.get(region, "aws")
            heads = {tuple(image["Arn"].split(":")[:5]) for image in images}
            assert heads <= {("arn", partition, "appstream", region, account)}
            owned |= {image["Arn"] for image in images}
    assert {arn.split(":")[4] for arn in owned} == set(many.accounts)


def test_about_half_of_the_invented_targets_own_nothing(many: Any) -> None:
    """Empty is not rare among many targets."""
    invented = [(account, region) for account in many.accounts[3:] for region in many.regions]
    empty = [pair for pair in invented if not own(*pair)]
    assert 0.25 < len(empty) / len(invented) < 0.75


def test_regions_by_number_and_by_name() -> None:
    """The usual four come first; a region that is not served answers as one that is not opted in."""
    with sandbox(regions=18) as running:
        assert running.regions[:4] == ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"]
        assert len(set(running.regions)) == 18
        assert (
            error_code(running.client(region="af-south-1", config=ONCE).describe_images)
            == "UnrecognizedClientException"
        )
        assert drained(running.client(region=running.regions[-1]))


@pytest.mark.parametrize("regions", [0, 99, ["nonsense"], ["eu-west-1", "eu-west-1"]])
def test_other_regions_are_error_code(regions: Any) -> None:
    """So many regions there are not, or none of that name."""
    with pytest.raises(asf.RequestError):
        sandbox(regions=regions)


def test_nobody_listens_nowhere(many: Any) -> None:
    """A client of the region `nowhere` finds no AppStream, while STS answers."""
    session = many.session(region=many.nowhere)
    with pytest.raises(EndpointConnectionError):
        session.client("appstream", config=ONCE).describe_images()
    assert session.client("sts").get_caller_identity()["Account"] == PROD


# roles


def test_a_role_s_keys_are_of_its_account(many: Any) -> None:
    """AppStream and STS take them for the role's account."""
    assert as_role(many).get_caller_identity()["Arn"] == f"arn:aws:sts::{DEV}:assumed-role/AppStreamReader/test"
    assert drained(as_role(many, "appstream")) == drained(many.client(DEV))


def test_a_role_can_be_assumed_with_a_role_s_keys(many: Any) -> None:
    """Roles chain, as in AWS."""
    keys = as_role(many).assume_role(RoleArn=ROLE.replace(DEV, LAB), RoleSessionName="chained")
    assert keys["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{LAB}:assumed-role/AppStreamReader/chained"


@pytest.mark.parametrize(
    "asked",
    [
        {"RoleArn": ROLE.replace("Reader", "Writer")},
        {"RoleArn": ROLE.replace(DEV, "000300030003")},
        {"RoleArn": ROLE.replace(DEV, "999999999999")},
        {"RoleArn": "arn:aws:iam::1:user/somebody-else"},
        {"ExternalId": "not-wanted"},
    ],
)
def test_a_role_that_may_not_be_assumed(many: Any, asked: dict[str, Any]) -> None:
    """Unknown roles and accounts are denied, as are wrong ids; the count does not say that they were assumed."""
    sts = many.client(service="sts", config=ONCE)
    assert error_code(sts.assume_role, **{"RoleArn": ROLE, "RoleSessionName": "test"} | asked) == "AccessDenied"


@pytest.mark.slow
@pytest.mark.parametrize("token", ["SANDBOX", "SANDBOXAAAA", "x", "é".encode().decode("latin-1")])
def test_temporary_keys_need_their_token(many: Any, token: str) -> None:
    """A role's keys are nothing without the token that came with them."""
    assert error_code(as_role(many, token=token).get_caller_identity) == "InvalidClientTokenId"
    assert error_code(as_role(many, "appstream", token=token).describe_images) == "UnrecognizedClientException"


@pytest.mark.slow
def test_a_token_is_of_its_keys(many: Any) -> None:
    """Another account's token does not fit."""
    other = many.client(service="sts").assume_role(RoleArn=ROLE.replace(DEV, LAB), RoleSessionName="test")
    assert (
        error_code(as_role(many, token=other["Credentials"]["SessionToken"]).get_caller_identity)
        == "InvalidClientTokenId"
    )


@pytest.mark.slow
def test_keys_expire(box: Any) -> None:
    """After their time both services say so, each in its own words."""
    box.expire_after(0.05)
    clients = [as_role(box), as_role(box, "appstream")]
    time.sleep(0.1)
    assert error_code(clients[0].get_caller_identity) == "ExpiredToken"
    assert error_code(clients[1].describe_images) == "ExpiredTokenException"
    box.expire_after(None)
    assert as_role(box).get_caller_identity()["Account"] == DEV


def test_made_keys_look_like_no_real_ones(many: Any) -> None:
    """No scanner for leaked credentials takes them for AWS's: those are 20 characters long."""
    keys = many.client(service="sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    assert len(keys["AccessKeyId"]) > 20
    assert keys["SecretAccessKey"] == "sandbox"
    assert keys["SessionToken"].startswith("SANDBOX")


# an organization


def test_the_organization_is_paged(many: Any) -> None:
    """boto3's paginator gets every account once, and the suspended one."""
    pages = (
        many.client(service="organizations").get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 5})
    )
    sizes = [[account["Id"] for account in page["Accounts"]] for page in pages]
    assert [len(page) for page in sizes] == [5, 5, 3]
    assert {each for page in sizes for each in page} == {*many.accounts, "000300030003"}


def test_a_member_has_what_aws_says_of_it(box: Any) -> None:
    """Id, ARN, name and address, its state, and how and when it joined."""
    members = box.client(service="organizations").list_accounts()["Accounts"]
    names = ["Arn", "Email", "Id", "JoinedMethod", "JoinedTimestamp", "Name", "State", "Status"]
    assert all(sorted(member) == names for member in members)


def test_what_is_no_account_sees_aws_s_images_only(box: Any) -> None:
    """A name in place of an account's id owns nothing, and nothing is shared with it."""
    assert {image["Visibility"] for image in box.rows(account="stranger")} == {"PUBLIC"}


def test_only_the_first_account_lists_them(many: Any) -> None:
    """Members may not."""
    assert error_code(many.client(DEV, service="organizations").list_accounts) == "AccessDeniedException"
    assert (
        error_code(many.client("999999999999", service="organizations").list_accounts) == "UnrecognizedClientException"
    )


def test_other_operations_of_organizations_are_unknown(many: Any) -> None:
    """Only ListAccounts is answered."""
    assert error_code(many.client(service="organizations").describe_organization) == "UnknownOperationException"


# a configuration file


@pytest.mark.slow
def test_config_leads_to_every_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each profile is its account, some by keys and some by a role; nobody else may read the file."""
    with sandbox(accounts=6) as box:
        for name, value in box.config(tmp_path / "config").items():
            monkeypatch.setenv(name, value)
        for account in box.accounts:
            session = boto3.Session(profile_name=f"sandbox-{account}")
            assert session.client("sts").get_caller_identity()["Account"] == account
    assert os.stat(tmp_path / "config").st_mode & 0o077 == 0
    written = configparser.ConfigParser()
    written.read(tmp_path / "config")
    assert sum("role_arn" in written[name] for name in written.sections()) == 2


def test_asked_counts_the_other_operations(box: Any) -> None:
    """AssumeRole, GetCallerIdentity and ListAccounts are counted by name, and not as drains' calls."""
    as_role(box).get_caller_identity()
    box.client(service="organizations").list_accounts()
    assert box.asked == {"AssumeRole": 1, "GetCallerIdentity": 1, "ListAccounts": 1}
    assert box.calls == 0
