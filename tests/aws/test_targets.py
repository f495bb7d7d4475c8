"""Which targets there are: from profiles, roles and regions to a list; nothing is asked of AWS."""

from __future__ import annotations

import itertools
import pickle
from enum import Enum
from pathlib import Path
from typing import Any

import boto3
import botocore.configloader
import pytest
from support.sources_of import DEV, HOME, LAB, PROD, arn, configure, sent

import appstream_frames as asf
from appstream_frames.aws import regions
from appstream_frames.aws.credentials import Target


def test_without_arguments_the_default_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default credentials in the default region are one target."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert asf.targets() == [Target(None, "eu-west-1")]
    assert str(asf.targets()[0]) == "default credentials/eu-west-1"


def test_targets_come_in_the_order_given(configured: Any) -> None:
    """Each profile in all regions, in the order of the arguments."""
    found = asf.targets(profiles=[f"sandbox-{DEV}", f"sandbox-{PROD}"], regions=["us-west-2", "eu-west-1"])
    assert [str(target) for target in found] == [
        f"profile sandbox-{account}/{region}" for account in (DEV, PROD) for region in ("us-west-2", "eu-west-1")
    ]


def test_a_profile_has_its_own_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without regions each profile is drained where it is configured, whatever the environment's default is."""
    configure(tmp_path, monkeypatch, "[profile a]\nregion = eu-west-1\n[profile b]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert [target.region for target in asf.targets(profiles=["a", "b"])] == ["eu-west-1", "us-west-2"]


def test_files_of_profiles_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not once for each profile in them, which would take time that grows with the square of their number."""
    reads, parse = [], botocore.configloader.raw_config_parse
    monkeypatch.setattr(botocore.configloader, "raw_config_parse", lambda *path: reads.append(path) or parse(*path))
    names = [f"p{number}" for number in range(300)]
    configure(tmp_path, monkeypatch, "".join(f"[profile {name}]\nregion = eu-west-1\n" for name in names))
    assert len(asf.targets(profiles=names)) == 300
    assert len(reads) == len(set(reads)) > 0


def test_the_account_of_a_profile_is_known_where_the_files_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role's ARN and a single sign-on's account are what is expected; keys say nothing."""
    text = (
        "[profile keys]\naws_access_key_id = a\naws_secret_access_key = b\n"
        f"[profile role]\nrole_arn = {arn(DEV)}\nsource_profile = keys\n"
        f"[profile sso]\nsso_session = s\nsso_account_id = {LAB}\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start\n"
    )
    configure(tmp_path, monkeypatch, text)
    found = asf.targets(profiles=["keys", "role", "sso"], regions=HOME)
    assert [target.account for target in found] == [None, DEV, LAB]


def test_a_profile_that_asks_for_a_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile, or one that it leads to, whose role wants an MFA code would stop a drain at a prompt."""
    text = (
        f"[profile mfa]\nrole_arn = {arn(DEV)}\nsource_profile = keys\nmfa_serial = arn:aws:iam::{PROD}:mfa/u\n"
        f"[profile far]\nrole_arn = {arn(LAB)}\nsource_profile = mfa\n[profile keys]\naws_access_key_id = a\n"
        f"[profile round]\nrole_arn = {arn(LAB)}\nsource_profile = round\n"
    )
    configure(tmp_path, monkeypatch, text)
    for name in ("mfa", "far"):
        with pytest.raises(asf.RequestError, match=f"{name} asks for an MFA code"):
            asf.targets(profiles=[name], regions=HOME)
    assert asf.targets(profiles=["round"], regions=HOME)


def test_keys_of_the_environment_come_before_a_profile_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore heeds no profile then, so its MFA code is not asked for; without keys the profile is named that asks."""
    text = f"[profile mfa]\nrole_arn = {arn(DEV)}\nsource_profile = keys\nmfa_serial = m\n[profile keys]\nregion = x\n"
    configure(tmp_path, monkeypatch, text)
    monkeypatch.setenv("AWS_PROFILE", "mfa")
    with pytest.raises(asf.RequestError, match="Profile mfa asks for an MFA code"):
        asf.targets(regions=HOME)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert asf.targets(regions=HOME) == [Target(None, "eu-west-1")]


@pytest.mark.parametrize("end", ["web_identity_token_file = f", "aws_access_key_id = a\naws_secret_access_key = b"])
def test_a_code_that_botocore_does_not_come_to_is_not_asked_for(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source profile with a web identity or with keys ends the way, whatever else it says."""
    text = (
        f"[profile a]\nrole_arn = {arn(DEV)}\nsource_profile = b\n"
        f"[profile b]\nrole_arn = {arn(LAB)}\nsource_profile = c\nmfa_serial = m\n{end}\n[profile c]\nregion = x\n"
    )
    configure(tmp_path, monkeypatch, text)
    assert [target.account for target in asf.targets(profiles=["a"], regions=HOME)] == [DEV]


def test_roles_know_their_account() -> None:
    """A role's target prints its account before anything is asked."""
    found = asf.targets(roles=[arn(DEV), arn(PROD, "path/to/Reader")], regions=HOME)
    assert [str(target) for target in found] == [f"{DEV}/eu-west-1", f"{PROD}/eu-west-1"]


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_all_regions_are_those_of_the_partition(partition: str) -> None:
    """Each role gets the regions of its own partition in which AppStream is."""
    found = asf.targets(roles=[arn(DEV, partition=partition)], regions="all")
    expected = boto3.Session().get_available_regions("appstream", partition)
    assert sorted(target.region for target in found) == sorted(expected)


def test_all_regions_of_partitions_side_by_side() -> None:
    """Roles of two partitions in one call each get their own regions."""
    found = asf.targets(roles=[arn(DEV), arn(LAB, partition="aws-us-gov")], regions="all")
    assert {target.region.startswith("us-gov-") for target in found if target.account == LAB} == {True}
    assert {target.region.startswith("us-gov-") for target in found if target.account == DEV} == {False}


def test_a_partition_without_appstream_is_said() -> None:
    """Where botocore knows of no region, the error says so, and that botocore may be old."""
    known = boto3.Session().get_available_regions("appstream", "aws-cn")
    if known:
        pytest.skip("this botocore knows AppStream in China")
    with pytest.raises(asf.RequestError, match=r"botocore .* knows no region of partition aws-cn"):
        asf.targets(roles=[arn(DEV, partition="aws-cn")], regions="all")
    assert asf.targets(roles=[arn(DEV, partition="aws-cn")], regions=["cn-north-1"])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"regions": ["eu-wset-1"]}, "Did you mean 'eu-west-1'"),
    "capitals": ({"regions": ["EU-WEST-1"]}, "Did you mean 'eu-west-1'"),
    "zone": ({"regions": ["eu-west-1a"]}, "Did you mean 'eu-west-1'"),
    "url": ({"regions": ["evil.com/x-1"]}, "is no region"),
    "bytes": ({"regions": [b"eu-west-1"]}, "every element must be a string"),
    "empty": ({"regions": []}, "regions is empty"),
    "one string": ({"regions": "eu-west-1"}, "is one string"),
    "region twice": ({"regions": ["eu-west-1", "eu-west-1"]}, "'eu-west-1' twice"),
    "no list": ({"regions": 5}, "must be a list"),
    "one profile": ({"profiles": "prod"}, "is one string"),
    "profile twice": ({"profiles": ["a", "a"]}, "'a' twice"),
    "no profile": ({"profiles": ["sandbox-11112222333"]}, "Did you mean 'sandbox-111122223333'"),
    "role and organization": ({"roles": [arn(DEV)], "organization_role": "R"}, "not both"),
    "role with profiles": ({"roles": [arn(DEV)], "profiles": ["a", "b"]}, "holds 2, and roles are assumed with one"),
    "external id": ({"external_id": "x-1"}, "external_id= is for roles"),
    "bad external id": ({"roles": [arn(DEV)], "external_id": "SECRET WORD"}, "external_id= cannot be right"),
    "session name": ({"role_session_name": "night"}, "role_session_name= is for roles"),
    "bad session name": ({"roles": [arn(DEV)], "role_session_name": "a b"}, "2 to 64 letters"),
    "user": ({"roles": [f"arn:aws:iam::{DEV}:user/u"]}, "expected a role's ARN"),
    "eleven digits": ({"roles": ["arn:aws:iam::11112222333:role/R"]}, "expected a role's ARN"),
    "other digits": ({"roles": [f"arn:aws:iam::{'٠' * 12}:role/R"]}, "expected a role's ARN"),
    "role name": ({"organization_role": arn(DEV)}, "the role's name"),
    "foreign region": ({"roles": [arn(DEV)], "regions": ["us-gov-west-1"]}, "not in aws, the partition of the role"),
    "session": ({"session": "prod"}, r"pass a boto3\.Session"),
    "session and profile": ({"session": boto3.Session("a", "b"), "profiles": ["a"]}, "not both"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused(case: str, configured: Any) -> None:
    """Before anything is asked, in words that say what to do."""
    arguments, words = REFUSED[case]
    with pytest.raises(asf.RequestError, match=words) as caught:
        asf.targets(**{"regions": HOME} | arguments)
    assert "SECRET WORD" not in str(caught.value)
    assert not configured.asked


def test_a_missing_profile_is_named_whatever_else_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the environment has every setting for which the files would be read."""
    configure(tmp_path, monkeypatch, "[profile bare]\n")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "nightly")
    with pytest.raises(asf.RequestError, match=r"\(gone\) could not be found. Profiles configured here: bare"):
        asf.targets(profiles=["gone"], regions=HOME)


def test_no_region_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says whose region is missing."""
    configure(tmp_path, monkeypatch, "[profile bare]\noutput = json\n")
    with pytest.raises(asf.RequestError, match="No region is configured for profile 'bare'"):
        asf.targets(profiles=["bare"])
    with pytest.raises(asf.RequestError, match="for this environment"):
        asf.targets()
    with pytest.raises(asf.RequestError, match="for the session"):
        asf.targets(session=boto3.Session("a", "b"))


@pytest.mark.parametrize("region", ["eu-west-9", "ap-southeast-12", "xx-moon-1", "us-gov-east-2"])
def test_a_region_that_botocore_does_not_know_is_possible(region: str) -> None:
    """A name of the right form, with a new number or for a new place, is taken as it is."""
    assert asf.targets(regions=[region])[0].region == region


def test_every_region_that_botocore_knows_is_right() -> None:
    """The spelling check never stands in the way of a real region."""
    session = boto3.Session()
    known = [
        region for name in session.get_available_partitions() for region in session.get_available_regions("ec2", name)
    ]
    assert [regions.check_region(region) for region in known] == known


def test_a_region_may_be_a_member_of_an_enumeration() -> None:
    """It is a string like any other."""
    region = Enum("Region", {"IRELAND": "eu-west-1"}, type=str).IRELAND
    assert asf.targets(roles=[arn(DEV)], regions=[region])[0].region == "eu-west-1"


def test_targets_sort_and_hash() -> None:
    """By account and region; without an account first; equal ones are one."""
    found = [Target(DEV, "b-1"), Target(None, "z-1", "p"), Target(DEV, "a-1", role="r"), Target(DEV, "a-1")]
    for mixed in itertools.permutations(found):
        assert sorted(mixed) == [found[1], found[3], found[2], found[0]]
    assert len({*found, *sent(pickle.dumps(found))}) == 4
    with pytest.raises(AttributeError):
        found[0].region = "x"  # type: ignore[misc]
