"""The private names of botocore that this package cannot do without, each with its reason.

`tests/aws/test_botocore_private.py` fails when botocore changes one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.httpsession import URLLib3Session


def http_settings(client: Any) -> dict[str, Any] | None:
    """Return the arguments that make an HTTP session like a client's own; None when that is not botocore's.

    Only the client's session knows `verify` and the proxies of the environment: neither is in ``client.meta.config``.
    """
    session, config = client._endpoint.http_session, client.meta.config
    if not isinstance(session, URLLib3Session):
        return None
    return {
        "verify": session._verify,
        "proxies": session._proxy_config._proxies,
        "proxies_config": session._proxy_config.settings,
        "timeout": (config.connect_timeout, config.read_timeout),
        "max_pool_connections": config.max_pool_connections,
        "socket_options": session._socket_options,
        "client_cert": session._cert_file and (session._cert_file, session._key_file),
    }


def http_session(settings: Mapping[str, Any], pools: Mapping[str, type]) -> URLLib3Session:
    """Return an HTTP session with other connection pools than botocore's, by URL scheme.

    botocore has no public way to choose the class of its connections; its pool managers share this one dict.
    """
    session = URLLib3Session(**settings)
    session._pool_classes_by_scheme.update(pools)
    return session
