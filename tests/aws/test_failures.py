"""What went wrong: AWS's codes to error classes, parameters refused before any request, and no secret in any text."""

from __future__ import annotations

import copyreg
import json
import math
import pickle
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.faults import BAD, stall
from support.faultserver import ACCOUNT, CANARIES, UNCLOSED, Connection, Fault, FaultServer, error, self_signed
from support.sources_of import sent

import appstream_frames as asf

pytestmark = UNCLOSED
drain = partial(asf.drain, account=ACCOUNT, progress=False)


@pytest.mark.parametrize(
    ("code", "status", "kind", "verdict", "advice"),
    [
        ("ExpiredTokenException", 400, asf.AccessError, "bad_credentials", "aws sso login"),
        ("UnrecognizedClientException", 400, asf.AccessError, "bad_credentials", "region that is not enabled"),
        ("InvalidSignatureException", 403, asf.AccessError, "bad_credentials", "renew"),
        ("AccessDeniedException", 400, asf.AccessError, "denied", "appstream:DescribeImages"),
        ("SomethingNew", 403, asf.AccessError, "denied", "appstream:DescribeImages"),
        ("OptInRequired", 403, asf.AccessError, "region_disabled", "Enable the region"),
        ("SomethingNew", 400, asf.DrainError, "failed", "try again"),
        ("SomethingNew", 418, asf.DrainError, "failed", "try again"),
    ],
)
def test_a_refusal_is_one_clear_error(code: str, status: int, kind: Any, verdict: str, advice: str) -> None:
    """What AWS refuses for good is asked once, and the error has AWS's code and words and says what to do."""
    with FaultServer(fault=error(code, f"{status} No"), at=1) as server, pytest.raises(asf.DrainError) as caught:
        drain(server.client())
    failure = caught.value
    assert (type(failure), failure.status) == (kind, verdict)
    assert (failure.code, failure.page, failure.target) == (code, 2, f"{ACCOUNT}/eu-west-1")
    assert all(word in str(failure) for word in (code, "said the service", advice, "page 2 of DescribeImages"))
    assert len(server.faulted) == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((code, 400) for code in ("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete")),
        *(
            (code, 400)
            for code in ("LimitExceededException", "EC2ThrottledException", "TransactionInProgressException")
        ),
        *((code, 400) for code in ("ProvisionedThroughputExceededException", "IDPCommunicationError")),
        *(("SomethingNew", status) for status in (408, 429, 500, 502, 503, 504, 520)),
    ],
)
def test_what_botocore_asks_again_about_is_asked_again(code: str, status: int) -> None:
    """Its own repetition is not used, and none of what it would have repeated fails a target."""
    with FaultServer(fault=error(code, f"{status} No"), at=1, times=1) as server:
        frames = drain(server.client())
    assert (len(frames.images), frames.coverage["retries"].item()) == (9, 1)


@pytest.mark.parametrize("mixed_in", [asf.AppStreamFramesError, RuntimeError, PermissionError, OSError])
def test_a_denied_drain_is_a_permission_error(mixed_in: type[Exception]) -> None:
    """Old habits catch it too."""
    with FaultServer(fault=error("AccessDeniedException")) as server, pytest.raises(mixed_in):
        drain(server.client())


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "InvalidParameterCombinationException", "ValidationException"]
)
def test_a_request_that_aws_refuses_is_a_request_error(code: str) -> None:
    """When AWS says that the parameters are wrong, the error is the caller's, and a ValueError."""
    with FaultServer(fault=error(code)) as server, pytest.raises(asf.RequestError, match=code) as caught:
        drain(server.client(), names=["a"])
    assert isinstance(caught.value, ValueError)
    assert "said the service" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", [asf.DrainError, asf.AccessError, asf.EndpointError])
@pytest.mark.parametrize("by_dask", [False, True])
def test_an_error_travels(kind: type[asf.DrainError], by_dask: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its attributes go with it, also as Dask pickles errors: by tblib, which makes them anew without their arguments."""
    from tblib import pickling_support

    if by_dask:
        monkeypatch.setitem(copyreg.dispatch_table, kind, pickling_support.pickle_exception)
    found = sent(pickle.dumps(kind("words", target="t", page=3, status="denied", code="AccessDenied")))
    assert (type(found), str(found), found.args) == (kind, "words", ("words",))
    assert (found.target, found.page, found.status, found.code) == ("t", 3, "denied", "AccessDenied")


def _token(**inside: object) -> str:
    import base64

    return base64.b64encode(json.dumps(inside).encode()).decode()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"type": "private"}, "Did you mean 'PRIVATE'"),
        ({"type": "ALL"}, "PUBLIC, PRIVATE, SHARED"),
        ({"type": ["PUBLIC"]}, "PUBLIC, PRIVATE, SHARED"),
        ({"type": ""}, "None (everything)"),
        ({"page_size": 26}, "from 0 to 25"),
        ({"page_size": -1}, "from 0 to 25"),
        ({"page_size": True}, "whole number"),
        ({"page_size": 2.0}, "whole number"),
        ({"page_size": "10"}, "whole number"),
        ({"max_items": 0}, "at least 1"),
        ({"max_items": -5}, "at least 1"),
        ({"max_items": "5"}, "whole number"),
        ({"names": "x"}, "names=['x']"),
        ({"names": []}, "pass None for all"),
        ({"names": [5]}, "must be a string"),
        ({"names": 5}, "list of strings"),
        ({"names": b"ab"}, "must be a string"),
        ({"arns": "x"}, "arns=['x']"),
        ({"arns": ()}, "pass None for all"),
        ({"starting_token": ""}, "resume token"),
        ({"starting_token": 5}, "resume token"),
        ({"starting_token": b"x"}, "resume token"),
        ({"starting_token": "\ud800"}, "resume token"),
        ({"starting_token": _token(NextToken=5)}, "resume token"),
        ({"starting_token": _token(Names=["x"])}, "resume token"),
        ({"starting_token": _token(NextToken="x", Names=["x"])}, "resume token"),
        ({"starting_token": _token(NextToken="x", boto_truncate_amount=-2)}, "resume token"),
        ({"starting_token": _token(NextToken="x", boto_truncate_amount="2")}, "resume token"),
        ({"starting_token": "MTIz"}, "resume token"),
        ({"starting_token": "bnVsbA=="}, "resume token"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": -1.0}, "above 0"),
        ({"timeout": math.nan}, "above 0"),
        ({"timeout": True}, "above 0"),
        ({"timeout": "60"}, "above 0"),
        ({"timeout": None}, "above 0"),
    ],
    ids=repr,
)
def test_a_wrong_parameter_is_refused_before_any_request(wrong: dict[str, Any], says: str) -> None:
    """A parameter that cannot be right is named with what was given and what is expected; nothing is sent, to STS neither."""
    with FaultServer() as server:
        with pytest.raises(asf.RequestError) as caught:
            asf.drain(server.client(), progress=False, **wrong)
        assert isinstance(caught.value, ValueError)
        assert all(text in str(caught.value) for text in (says, *wrong))
        assert not server.requests
        assert server.sts == 0


def test_hostile_words_of_aws_are_shown_harmless() -> None:
    """An error's text is one line of visible characters, of bounded length, whatever AWS put in it."""
    hostile = "\x1b[31m\u202e\r\n\ud800" + "x" * 100_000
    with FaultServer(fault=error("Odd\x1b[2J", message=hostile)) as server, pytest.raises(asf.DrainError) as caught:
        drain(server.client())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800


def _echo(connection: Connection, _: bytes) -> None:
    """Refuse a signature in AWS's manner, which repeats the signed request."""
    canonical = (
        "The request signature we calculated does not match the signature you provided. The Canonical String for this "
        "request should have been\n'POST\n/\n\ncontent-type:application/x-amz-json-1.1\nx-amz-date:20261123T000000Z\n"
        f"x-amz-security-token:{CANARIES[2]}\n\nAWS4-HMAC-SHA256 Credential={CANARIES[0]}/20261123/eu-west-1/appstream"
        f"/aws4_request, SignedHeaders=host, Signature=0123456789abcdef' and X-Amz-Security-Token={CANARIES[2]}&a=b"
    )
    content = json.dumps({"__type": "InvalidSignatureException", "message": canonical}).encode()
    connection.send(content, status="403 Forbidden")


SECRET_FAULTS: dict[str, Fault] = {
    "echo": _echo,
    "stall": stall,
    **{kind: BAD[kind] for kind in ("empty", "html", "closed", "500", "bad chunk")},
    **{code: error(code) for code in ("ThrottlingException", "AccessDeniedException", "ValidationException")},
}


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["account named", "account asked"])
@pytest.mark.parametrize("kind", SECRET_FAULTS)
def test_no_secret_is_in_any_text(kind: str, named: bool) -> None:
    """Keys and session token are in no message, repr or traceback of an error, its causes and contexts included."""
    fault = SECRET_FAULTS[kind]
    with (
        FaultServer(fault=fault, sts=None if named else fault) as server,
        pytest.raises(asf.AppStreamFramesError) as caught,
    ):
        asf.drain(server.client(keys=CANARIES), account=ACCOUNT if named else None, timeout=0.4, progress=False)
    texts = [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
    cause: BaseException | None = caught.value
    while cause is not None:
        texts += [str(cause), repr(cause)]
        cause = cause.__cause__ or cause.__context__
    assert not [text for text in texts for canary in (*CANARIES, "0123456789abcdef") if canary in text]


def _refuse_with_keys(connection: Connection, _: bytes) -> None:
    keys = "<Credentials><SecretAccessKey>opaque-of-another</SecretAccessKey></Credentials>"
    refusal = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    connection.send(f"<ErrorResponse>{refusal}{keys}</ErrorResponse>".encode(), status="403 Forbidden")


def test_of_a_refusal_only_what_says_why_is_kept() -> None:
    """Nothing else of the reply is in the error that is shown as the cause, as nobody knows whether it is a secret."""
    with FaultServer(sts=_refuse_with_keys) as server, pytest.raises(asf.AccessError) as caught:
        asf.drain(server.client(), timeout=5, progress=False)
    cause: Any = caught.value.__cause__
    assert cause.response["Error"]["Code"] == "AccessDenied"
    assert cause.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "opaque" not in repr(vars(cause))


def test_words_beside_a_secret_stay() -> None:
    """Only the secrets are taken out of what AWS says."""
    with FaultServer(fault=_echo) as server, pytest.raises(asf.AccessError, match="calculated does not match"):
        drain(server.client(keys=CANARIES))


def test_a_certificate_that_is_not_trusted_says_how_to_trust_it(tmp_path: Path) -> None:
    """It is no trouble that passes: one call, and advice that names the setting for the proxy's or server's own CA."""
    with FaultServer(tls=self_signed(tmp_path)) as server:
        client = server.client()
        for account in (None, ACCOUNT):
            started = time.monotonic()
            with pytest.raises(asf.DrainError, match=r"AWS_CA_BUNDLE.*ca_bundle") as caught:
                asf.drain(client, account=account, timeout=60, progress=False)
            assert "certificate" in str(caught.value).lower()
            assert time.monotonic() - started < 30


def test_a_drain_without_a_region_is_one_short_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to pass, and shows no frame of botocore."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(asf.RequestError, match=r"Pass region='eu-west-1', set AWS_DEFAULT_REGION") as caught:
        asf.drain()
    shown = "".join(traceback.format_exception(caught.value))
    assert "botocore" not in shown
    assert shown.count("\n") < 15


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"profile": "nobody"}, "Profiles configured here: none"),
        ({"profile": ["nobody"]}, "expected a string"),
        ({"region": "eu-wst-1"}, "Did you mean 'eu-west-1'"),
        ({"region": ["eu-west-1"]}, "expected a string such as 'eu-west-1'"),
    ],
)
def test_a_profile_or_region_that_cannot_be_right_is_refused(parameters: dict[str, Any], says: str) -> None:
    """Before any request, with a hint; a client has its own of both."""
    with pytest.raises(asf.RequestError, match=says):
        asf.drain(**parameters)
    with FaultServer() as server, pytest.raises(asf.RequestError, match="not both"):
        asf.drain(server.client(), **parameters)
