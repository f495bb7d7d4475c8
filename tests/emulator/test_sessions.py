"""Sessions and clients of the sandbox: the machine's settings do not lead them astray, and callers are who their keys say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.asking import ONCE, drain, error_code, post
from support.sources_of import DEV, LAB, PROD

# sessions


def test_session_ignores_the_machines_aws_settings(box, monkeypatch, tmp_path):
    """Neither the environment nor the files of the user lead a sandbox's session astray."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-north-1\nuse_fips_endpoint = true\nendpoint_url = http://127.0.0.1:9\n")
    elsewhere = {
        "AWS_PROFILE": "does-not-exist",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_APPSTREAM": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "nonsense",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    session = box.session(DEV, "us-east-1")
    assert session.client("sts").get_caller_identity()["Account"] == DEV
    assert len(session.client("appstream").describe_images()["Images"]) == 25


def test_session_leaves_the_environment_alone(box):
    """Making a session changes no variable."""
    before = dict(os.environ)
    box.session().client("appstream").describe_images()
    assert dict(os.environ) == before


def test_session_goes_nowhere_else(box):
    """Even a client that names another endpoint stays on the loopback."""
    client = box.session().client("appstream", endpoint_url="http://192.0.2.1")
    assert client.meta.endpoint_url == box.url


def test_environment_points_another_program_at_the_sandbox(box, tmp_path):
    """A program that knows nothing of the sandbox drains it through the environment alone."""
    program = "import boto3; print(len(boto3.client('appstream').describe_images(MaxResults=3)['Images']))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, env=clean | nowhere | box.environment(LAB), capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"


def test_client_takes_boto3s_own_options(box):
    """Options of boto3's client pass through."""
    assert box.client(config=Config(user_agent_extra="mine")).meta.config.user_agent_extra == "mine"


# who calls


@pytest.mark.parametrize("region", ["eu-west-1", "us-west-2"])
@pytest.mark.parametrize("account", [PROD, DEV, LAB])
def test_caller_sees_their_own_images(box, account, region):
    """PRIVATE images are of the caller's account and region, SHARED ones of somebody else's."""
    images = drain(box.client(account, region))
    assert {image["Arn"].split(":")[3] for image in images} == {region}
    assert all((image["Arn"].split(":")[4] == account) == (image["Visibility"] == "PRIVATE") for image in images)


def test_sts_knows_who_calls(box):
    """GetCallerIdentity tells the account as text, with its leading zero."""
    identity = box.client(service="sts").get_caller_identity()
    assert identity["Account"] == PROD
    assert identity["Arn"].startswith(f"arn:aws:sts::{PROD}:")
    assert identity["UserId"]


def test_unknown_account_is_refused(box):
    """An access key that nobody has is UnrecognizedClientException in AppStream."""
    assert error_code(box.client("999999999999", config=ONCE).describe_images) == "UnrecognizedClientException"


def test_unknown_account_is_refused_by_sts(box):
    """An access key that nobody has is InvalidClientTokenId in STS, with status 403."""
    with pytest.raises(ClientError) as caught:
        box.client("999999999999", service="sts", config=ONCE).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_region_not_opted_in_is_refused_by_appstream_alone(box):
    """Outside the four regions AppStream refuses the token while STS answers."""
    session = box.session(region="af-south-1")
    assert session.client("sts").get_caller_identity()["Account"] == PROD
    assert error_code(session.client("appstream", config=ONCE).describe_images) == "UnrecognizedClientException"


def test_other_sts_actions_are_errors(box):
    """STS answers GetCallerIdentity and no other action."""
    assert error_code(box.client(service="sts", config=ONCE).get_session_token) == "InvalidAction"


def test_unsigned_request_is_refused(box):
    """The error of a request with no signature says that its token is missing."""
    status, _, reply = post(box, b"{}", Authorization="")
    assert (status, reply["__type"]) == (400, "MissingAuthenticationTokenException")
