"""Cheap sessions and clients: what they send is what boto3 sends."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from appstream_frames.aws import credentials

ROLE = {"RoleArn": "arn:aws:iam::012345678901:role/r", "RoleSessionName": "session"}
VARIES = {"authorization", "x-amz-date", "amz-sdk-invocation-id", "user-agent"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "A"), ("SECRET_ACCESS_KEY", "S"), ("DEFAULT_REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")  # which older versions are not by themselves


def sent(session: Any, service: str, operation: str, **given: Any) -> Any:
    """Return the request that a session's client would send."""
    requests = []

    class Refusal:
        def stream(self) -> list[bytes]:
            return [b"{}" if service != "sts" else b"<E><Error><Code>Odd</Code></Error></E>"]

    def keep(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 400, {}, Refusal())

    client = session.create_client(service)
    client.meta.events.register("before-send", keep)
    with pytest.raises(ClientError):
        getattr(client, xform_name(operation))(**given)
    return requests[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "operation", "given"),
    [
        ("appstream", "DescribeImages", {"Names": ["a", "é"], "MaxResults": 25}),
        ("sts", "GetCallerIdentity", {}),
        ("sts", "AssumeRole", ROLE),
        ("organizations", "ListAccounts", {}),
    ],
)
def test_a_request_is_the_one_that_boto3_sends(service: str, operation: str, given: dict[str, Any]) -> None:
    """The handlers left out change nothing: method, address, body and headers are the same, but for the sender's name."""
    ours, plain = (
        sent(session, service, operation, **given)
        for session in (credentials.open_session(), botocore.session.Session())
    )
    assert (ours.method, ours.url, ours.body) == (plain.method, plain.url, plain.body)
    headers = [{name.lower(): value for name, value in each.headers.items()} for each in (ours, plain)]
    assert headers[0].keys() == headers[1].keys()
    assert {name for name in headers[0] if headers[0][name] != headers[1][name]} <= VARIES
    assert str(headers[0]["user-agent"], "ascii").split()[-1] == "app/appstream-frames"


def test_a_session_of_somebody_else_keeps_its_name() -> None:
    """Only the sessions that are made here call themselves by this package's name."""
    credentials.open_session()
    assert "appstream-frames" not in boto3.Session().client("appstream").meta.config.user_agent


def test_a_name_that_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting sdk_ua_app_id goes before this package's name."""
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "nightly")
    assert credentials.open_session().create_client("appstream").meta.config.user_agent_appid == "nightly"


def test_clients_have_the_operations_that_read() -> None:
    """What only reads is there, with its paginator; what changes something is not."""
    client = credentials.open_session().create_client("appstream")
    assert client.can_paginate("describe_images")
    assert all(hasattr(client, name) for name in ("describe_fleets", "list_associated_fleets"))
    assert not hasattr(client, "delete_image")
