"""The private names of botocore that are used: each is there, and means what it meant."""

from __future__ import annotations

import pytest
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
    found = botocore_private.http_settings(client)
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

    session = botocore_private.http_session({"proxies": {"http": "http://proxy.example"}}, {"http": Pool})
    assert type(session._manager.connection_from_url("http://a.example")) is Pool
    assert type(session._get_proxy_manager("http://proxy.example").connection_from_url("http://a.example")) is Pool
