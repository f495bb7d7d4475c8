"""The private names of botocore in use, each with its reason; `tests/aws/test_botocore_private.py` fails when one changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.httpsession import URLLib3Session
from botocore.regions import EndpointResolverBuiltins
from botocore.session import Session


def read_http_settings(client: Any) -> dict[str, Any]:
    """Return the arguments that make an HTTP session like a client's own.

    Only the client's session knows `verify` and the proxies of the environment: neither is in ``client.meta.config``.
    """
    session, config = client._endpoint.http_session, client.meta.config
    return {
        "verify": session._verify,
        "proxies": session._proxy_config._proxies,
        "proxies_config": session._proxy_config.settings,
        "timeout": (config.connect_timeout, config.read_timeout),
        "max_pool_connections": config.max_pool_connections,
        "socket_options": session._socket_options,
        "client_cert": session._cert_file and (session._cert_file, session._key_file),
    }


def make_http_session(settings: Mapping[str, Any], pools: Mapping[str, type]) -> URLLib3Session:
    """Return an HTTP session with the given classes of connection pools, by URL scheme.

    botocore has no public way to choose these classes; its pool managers share this one dict.
    """
    session = URLLib3Session(**settings)
    session._pool_classes_by_scheme.update(pools)
    return session


def get_botocore_session(session: boto3.Session) -> Session:
    """Return the botocore session of a boto3 session; it creates clients without boto3's lock and loaders."""
    return session._session


def copy_with_credentials(session: Session, credentials: Credentials) -> Session:
    """Return a copy of a session with other credentials; `Session.set_credentials` takes only static ones, without a refresh."""
    copied = copy.copy(session)
    copied._credentials = credentials
    return copied


def find_credentials(holder: object) -> Credentials | None:
    """Return the credentials that a client or session already holds, without resolving any; None for anything else."""
    return getattr(getattr(holder, "_request_signer", holder), "_credentials", None)


def read_current_keys(credentials: Credentials) -> tuple[str | None, ...]:
    """Return access key, secret key and token without a refresh, which reading the public attributes may start."""
    if isinstance(credentials, RefreshableCredentials):
        return credentials._access_key, credentials._secret_key, credentials._token
    return credentials.access_key, credentials.secret_key, credentials.token


def find_endpoint_variant(client: BaseClient) -> dict[str, bool]:
    """Return which of the FIPS and dual-stack endpoints a client uses, as arguments of `Config`.

    ``client.meta.config`` leaves them out when they come from the environment or the configuration file.
    """
    builtins = client._ruleset_resolver._builtins
    return {
        "use_fips_endpoint": builtins[EndpointResolverBuiltins.AWS_USE_FIPS],
        "use_dualstack_endpoint": builtins[EndpointResolverBuiltins.AWS_USE_DUALSTACK],
    }


def close_http_session(session: URLLib3Session) -> None:
    """Close the connections of an HTTP session; its own `close` leaves those open that a traceback still refers to."""
    for manager in (session._manager, *session._proxy_managers.values()):
        for key in list(manager.pools.keys()):
            manager.pools[key].close()
    session.close()
