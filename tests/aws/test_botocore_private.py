"""The private names of botocore that are used: each is there, and means what it meant."""

from __future__ import annotations

import datetime as dt

import boto3
import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.session import Session
from support.faultserver import FaultServer

from appstream_frames.aws import botocore_private


def test_the_http_settings_of_a_client_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the client's HTTP session knows, and what its configuration says."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/bundle")
    with FaultServer() as server:
        client = server.client(
            proxies={"https": "http://proxy.example:8080"},
            proxies_config={"proxy_use_forwarding_for_https": True},
            client_cert=("/cert", "/key"),
            connect_timeout=3,
            read_timeout=4,
            max_pool_connections=7,
        )
    found = botocore_private.read_http_settings(client)
    assert found is not None
    assert found["proxies"] == {"https": "http://proxy.example:8080"}
    assert found["proxies_config"] == {"proxy_use_forwarding_for_https": True}
    assert found["client_cert"] == ("/cert", "/key")
    assert (found["timeout"], found["max_pool_connections"], found["verify"]) == ((3, 4), 7, "/bundle")


def test_other_connection_pools_are_taken() -> None:
    """By the managers for direct connections and for those over a proxy."""
    from botocore.awsrequest import AWSHTTPConnectionPool

    class Pool(AWSHTTPConnectionPool):  # type: ignore[misc]
        pass

    session = botocore_private.make_http_session({"proxies": {"http": "http://proxy.example"}}, {"http": Pool})
    assert type(session._manager.connection_from_url("http://a.example")) is Pool
    assert type(session._get_proxy_manager("http://proxy.example").connection_from_url("http://a.example")) is Pool


def test_the_botocore_session_inside_a_boto3_session_is_found() -> None:
    """It is the one that the boto3 session was made of."""
    core = Session()
    assert botocore_private.get_botocore_session(boto3.Session(botocore_session=core)) is core


def test_a_session_gets_other_credentials_and_the_first_keeps_its_own() -> None:
    """A client of the copy signs with the other credentials, and the settings are the same."""
    base = Session()
    base.set_credentials("FIRST", "secret")
    base.set_config_variable("region", "eu-north-1")
    other = botocore_private.copy_with_credentials(base, Credentials("SECOND", "secret"))
    client = other.create_client("sts")
    assert botocore_private.find_credentials(client).access_key == "SECOND"
    assert client.meta.region_name == "eu-north-1"
    assert base.get_credentials().access_key == "FIRST"


def test_credentials_are_seen_without_being_looked_for() -> None:
    """A session that was not asked for credentials has none, and is not made to look for them."""
    session = Session()
    assert botocore_private.find_credentials(session) is None
    session.set_credentials("KEY", "secret")
    assert botocore_private.find_credentials(session).access_key == "KEY"


def test_expired_keys_are_seen_without_being_renewed() -> None:
    """The public attributes of credentials that can be renewed would ask for new ones."""
    past = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    expired = RefreshableCredentials("KEY", "secret", "token", past, lambda: pytest.fail("renewed"), "test")
    assert botocore_private.read_current_keys(expired) == ("KEY", "secret", "token")
    assert botocore_private.read_current_keys(Credentials("KEY", "secret")) == ("KEY", "secret", None)


def test_the_endpoint_variant_of_a_client_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it comes from the environment."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    client = boto3.Session("KEY", "secret").client("appstream", "us-west-2")
    assert botocore_private.find_endpoint_variant(client) == {
        "use_fips_endpoint": True,
        "use_dualstack_endpoint": False,
    }


def test_closed_connections_are_closed_though_an_error_holds_them() -> None:
    """Botocore's own way leaves them to the garbage collector."""
    with FaultServer() as server:
        session = botocore_private.make_http_session({}, {})
        pool = session._manager.connection_from_url(server.url)
        pool.urlopen("POST", "/", body=b"{}", preload_content=True)
        connection = pool.pool.get()
        pool.pool.put(connection)
        botocore_private.close_http_session(session)
        assert connection.sock is None
