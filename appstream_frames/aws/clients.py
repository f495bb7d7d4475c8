"""A client, the account its credentials belong to, and its region: the location of a drain.

The account comes from STS GetCallerIdentity, called with the client's own credentials and settings and, when the client was given
an endpoint that is not Amazon's (a sandbox, a test server), at that same endpoint.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError, ProfileNotFound
from botocore.session import Session

from appstream_frames.aws import botocore_private, failures, profiles, regions, sessions
from appstream_frames.aws.credentials import ask_account, is_account
from appstream_frames.aws.deadlines import call_within
from appstream_frames.aws.locks import get_process_lock
from appstream_frames.aws.redaction import list_secrets, redact, scrub
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

if TYPE_CHECKING:
    from mypy_boto3_appstream import AppStreamClient

_AMAZON: Final = re.compile(
    r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn|ic\.gov)$"
)
_accounts: WeakKeyDictionary[BaseClient, str] = WeakKeyDictionary()
_sessions: WeakKeyDictionary[BaseClient, Session] = WeakKeyDictionary()  # of the clients that are made here


@dataclass(frozen=True)
class Location:
    """One account in one region, with a client that speaks to it."""

    client: AppStreamClient
    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


def locate(client: AppStreamClient, account: object = None) -> Location:
    """Return where the calls of a checked client go.

    Without `account` STS is asked, which may take a while; raise DrainError when it does not say whose the credentials are.
    """
    if account is not None and not is_account(account):
        raise RequestError(f"account={account!r} is not a string of twelve digits, such as '012345678901'.")
    if account is None and client not in _accounts:
        try:
            _accounts[client] = ask_account(open_sts_of(client))
        except Exception as error:  # botocore's XML parser lets even a KeyError out
            where = failures.Position(f"?/{client.meta.region_name}", 0, None, holder=client)
            raise failures.explain(error, where) from error
    return Location(client, str(account or _accounts[client]), client.meta.region_name)


def open_client(profile: str | None, region: str | None, timeout: float) -> AppStreamClient:
    """Return an AppStream client of a profile and region; None: those of your environment.

    Raise RequestError when they cannot be right, and DrainError when no credentials are found within `timeout` seconds.
    """
    if region is not None:
        regions.check_regions([region])
    session = profiles.open_profile(profile)
    try:
        call_within(timeout, session.get_credentials)
    except Exception as error:  # whatever a provider of credentials raises
        name = f"profile {profile}" if profile else "default credentials"
        where = failures.Position(name, 0, None, "sign-in", failures.SIGN_IN, holder=session)
        raise failures.explain(error, where) from error
    try:
        client: AppStreamClient = session.create_client("appstream", region_name=region)
    except NoRegionError:
        raise RequestError(
            "No region is configured. Pass region='eu-west-1', set AWS_DEFAULT_REGION, or pass a client."
        ) from None
    except (BotoCoreError, ValueError) as error:
        words = printable(redact(str(error), list_secrets(session))).rstrip(".")
        raise RequestError(f"{words}. Correct what the environment or the AWS configuration says.") from None
    _sessions[client] = session
    return client


def check_client(client: Any) -> AppStreamClient:
    """Return the client when it is one of AppStream that speaks JSON; else raise RequestError."""
    service = getattr(getattr(client, "meta", None), "service_model", None)
    if service is None:
        raise RequestError(f"client is {printable(repr(client))}; pass boto3.client('appstream'), or nothing.")
    if service.service_name != "appstream":
        raise RequestError(f"client is one of {service.service_name}; pass boto3.client('appstream').")
    if service.resolved_protocol != "json":
        raise RequestError(
            f"This botocore speaks {service.resolved_protocol} to AppStream, and this package reads JSON only. "
            "Upgrade appstream-frames, or install an older boto3."
        )
    return client  # type: ignore[no-any-return]


def open_sts_of(client: AppStreamClient) -> BaseClient:
    """Return an STS client with the credentials and the settings of another client."""
    credentials = botocore_private.find_credentials(client)
    if credentials is None:
        raise NoCredentialsError
    session, endpoint = _find_session(client), str(client.meta.endpoint_url)
    configured = _find_configured_endpoint(session.get_scoped_config(), session.full_config)
    by_configuration = endpoint == configured or _is_amazon(endpoint)
    variant = botocore_private.find_endpoint_variant(client) if by_configuration else {}
    settings = botocore_private.read_http_settings(client)
    frozen = credentials.get_frozen_credentials()
    return session.create_client(
        "sts",
        region_name=client.meta.region_name,
        aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key,
        aws_session_token=frozen.token,
        endpoint_url=None if by_configuration else endpoint,
        verify=settings and settings["verify"],
        config=client.meta.config.merge(sessions.SIGN_IN.merge(Config(user_agent=None, **variant))),
    )


def _find_session(client: AppStreamClient) -> Session:
    """Return a session with the configuration that a client was made with, as far as can be known.

    A client does not tell its profile. It is the one that has the client's key, or names its endpoint; or else the default.
    """
    if client in _sessions:
        return _sessions[client]
    known = sessions.open_without_profile().full_config
    try:
        default = sessions.open_session()
        settings = {None: default.get_scoped_config(), **known["profiles"]}
    except ProfileNotFound:  # the caller's client did without that profile, and so can we
        default, settings = sessions.open_without_profile(), known["profiles"]
    found = next((name for name, profile in settings.items() if _is_made_by(client, profile, known)), None)
    return default if found is None else sessions.open_session(found)


def _is_made_by(client: AppStreamClient, profile: dict[str, Any], known: dict[str, Any]) -> bool:
    """Tell whether a profile has the client's key, or names its endpoint, which is not Amazon's."""
    credentials = botocore_private.find_credentials(client)
    key = credentials and botocore_private.read_current_keys(credentials)[0]
    endpoint = str(client.meta.endpoint_url)
    if key and key in (profile.get("aws_access_key_id"), os.environ.get("AWS_ACCESS_KEY_ID")):
        return True
    return not _is_amazon(endpoint) and endpoint == _find_configured_endpoint(profile, known)


def _is_amazon(url: str) -> bool:
    return _AMAZON.search(urlsplit(url).hostname or "") is not None


def _find_configured_endpoint(profile: dict[str, Any], known: dict[str, Any]) -> str | None:
    """Return the URL that the environment or the configuration files name for AppStream, in botocore's order."""
    services = known.get("services", {}).get(profile.get("services"), {})
    return (
        os.environ.get("AWS_ENDPOINT_URL_APPSTREAM")
        or os.environ.get("AWS_ENDPOINT_URL")
        or services.get("appstream", {}).get("endpoint_url")
        or profile.get("endpoint_url")
    )


def open_s3_client() -> Any:
    """Return an S3 client of the default session; raise RequestError when the environment's settings allow none."""
    try:
        with get_process_lock("clients"):  # boto3's default session makes no two at once
            return boto3.client("s3")
    except Exception as error:  # whatever a provider of credentials raises
        session = boto3.DEFAULT_SESSION and botocore_private.get_botocore_session(boto3.DEFAULT_SESSION)
        scrub(error, list_secrets(session))
        raise RequestError(
            f"{failures.describe(error)}. Configure credentials for the bucket, or correct the AWS configuration."
        ) from error
