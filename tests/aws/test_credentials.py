"""Sources of credentials, over real sockets: how often each is asked, and what is said when it does not answer."""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from support.faultserver import UNCLOSED, Fault, FaultServer, body, identity
from support.sources_of import DEV, LAB, arn, failure

import appstream_frames as asf
from appstream_frames.aws.clients import ClientPool

pytestmark = UNCLOSED


# how often


@pytest.mark.slow
def test_a_source_is_asked_once(box: Any) -> None:
    """140 targets of ten roles, asked for at once: ten roles are assumed, ten accounts asked for, 140 clients made."""
    with asf.sandbox(accounts=10, regions=14) as many:
        many.latency(0.05)
        found = asf.targets(session=many.session(), roles=map(arn, many.accounts), regions=many.regions)
        random.Random(5).shuffle(found)
        clients = ClientPool()
        with ThreadPoolExecutor(64) as pool:
            places = list(pool.map(lambda target: clients.locate(target, 30), found))
        assert [(place.account, place.region) for place in places] == [(each.account, each.region) for each in found]
        assert len({id(place.client) for place in places}) == 140
        assert many.asked == {"AssumeRole": 10, "GetCallerIdentity": 10}
        assert many.calls == 0


def test_a_source_that_fails_is_asked_once(box: Any) -> None:
    """Every target of a role that is denied fails with an error of its own; the role is asked for once."""
    with asf.sandbox(regions=14) as many:
        found = asf.targets(session=many.session(), roles=[arn(DEV, "Nobody")], regions=many.regions)
        clients = ClientPool()
        with ThreadPoolExecutor(20) as pool:
            errors = list(pool.map(lambda target: failure(clients, target), found))
        assert many.asked["AssumeRole"] == 1
    assert len({id(each) for each in errors}) == 14
    assert [each.target for each in errors] == [str(target) for target in found]
    assert {each.status for each in errors} == {"denied"}


def test_a_base_that_fails_fails_its_roles(configured: Any) -> None:
    """Roles of credentials that are refused are bad credentials each, and say so."""
    found = asf.targets(profiles=["sandbox-stranger"], roles=[arn(DEV), arn(LAB)])
    clients = ClientPool()
    for target in found:
        error_ = failure(clients, target)
        assert (type(error_), error_.status, error_.code) == (
            asf.AccessError,
            "bad_credentials",
            "InvalidClientTokenId",
        )


@pytest.mark.slow
def test_nobody_listens(configured: Any) -> None:
    """Where AppStream has no endpoint there is a place, and the drain says what is the matter."""
    place = ClientPool().locate(asf.targets(profiles=["sandbox-nowhere"])[0], 10)
    with pytest.raises(asf.EndpointError):
        asf.drain(place.client, account=place.account, timeout=4, progress=False)


STS_FAULTS: dict[str, tuple[Fault, str, str]] = {
    "throttled": (
        body(b"<E><Error><Code>Throttling</Code></Error></E>", status="400 Bad Request"),
        "throttled",
        "Throttling",
    ),
    "closed port": (lambda connection, _: connection.close(), "failed", "ConnectionClosedError"),
    "no account": (body(b"<R><GetCallerIdentityResult/></R>", kind="text/xml"), "failed", "account None"),
    "hostile": (body(identity("&#x9b;31m"), kind="text/xml"), "failed", r"\\x9b31m"),
    "html": (body(b"<html><body>Sign in</html>", kind="text/html"), "failed", "sign-in"),
    "never": (lambda *_: time.sleep(5), "failed", r"no answer within 3 s"),
}


#: Seconds for what is asked again until the time is up.
WAITED_OUT = {"throttled": 6, "closed port": 6, "never": 3}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STS_FAULTS)
def test_an_account_that_sts_does_not_say(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever STS answers is one clear error in time, for every region of the source."""
    fault, status, words = STS_FAULTS[kind]
    with FaultServer(sts=fault) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        core = boto3.Session("AKID", "SECRET", region_name="eu-west-1")
        clients = ClientPool()
        started = time.monotonic()
        for target in asf.targets(session=core, regions=["eu-west-1", "us-east-1"]):
            error_ = failure(clients, target, timeout=WAITED_OUT.get(kind, 20))
            assert error_.status == status
            assert re.search(words, str(error_))
        assert time.monotonic() - started < 30
        assert not server.requests
