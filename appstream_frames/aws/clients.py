"""Clients, and the account and region that each one reads: the location of a drain.

The account comes from STS GetCallerIdentity. For a client that the caller passes, it is called with that client's credentials
and settings and, when its endpoint is not Amazon's (a sandbox, a test server), at the same endpoint. For targets, a `ClientPool`
signs in once for each role or profile; its clients stay in the process that created them.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary, WeakValueDictionary

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError, ProfileNotFound
from botocore.session import Session

from appstream_frames.aws import botocore_private, credentials, failures, regions
from appstream_frames.aws.credentials import Target
from appstream_frames.aws.deadlines import Cancelled, call_within, get_process_lock, make_timeout_error
from appstream_frames.aws.failures import Position
from appstream_frames.aws.redaction import list_secrets, redact, redacting, scrub
from appstream_frames.errors import AccessError, AppStreamFramesError, RequestError
from appstream_frames.text import printable

if TYPE_CHECKING:
    from mypy_boto3_appstream import AppStreamClient

T = TypeVar("T")
_AMAZON: Final = re.compile(
    r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn|ic\.gov)$"
)
_TRUST: Final = (
    "Let the role trust the caller and the caller assume it (sts:AssumeRole in both policies), and pass the external_id= "
    "and the role_session_name= that the role demands."
)
_AGAIN: Final = "STS did not return the account of the credentials. Try again."
_accounts: WeakKeyDictionary[BaseClient, str] = WeakKeyDictionary()
_sessions: WeakKeyDictionary[BaseClient, Session] = WeakKeyDictionary()  # of the clients of `open_client`


@dataclass(frozen=True)
class Location:
    """One account in one region, with a client for it."""

    client: AppStreamClient
    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


# one client


def open_client(profile: str | None, region: str | None, timeout: float) -> AppStreamClient:
    """Return an AppStream client of a profile and region; None means those of your environment.

    Raise RequestError when they are invalid, and DrainError when no credentials are found within `timeout` seconds.
    """
    if region is not None:
        regions.check_region(region)
    session = credentials.open_profile(profile)
    try:
        call_within(timeout, session.get_credentials)
    except Exception as error:  # a credential provider may raise anything
        name = f"profile {profile}" if profile else "default credentials"
        where = Position(name, before="sign-in", advice=failures.SIGN_IN, holder=session)
        raise failures.explain(error, where) from error
    try:
        client: AppStreamClient = session.create_client("appstream", region_name=region)
    except NoRegionError:
        raise RequestError(
            "No region is configured. Pass region='eu-west-1', set AWS_DEFAULT_REGION, or pass a client."
        ) from None
    except (BotoCoreError, ValueError) as error:
        words = printable(redact(str(error), list_secrets(session))).rstrip(".")
        raise RequestError(f"{words}. {failures.SETTINGS}") from None
    _sessions[client] = session
    return client


def open_s3_client() -> Any:
    """Return an S3 client of the default session; raise RequestError when the environment's settings are invalid."""
    try:
        with get_process_lock("clients"):  # boto3's default session is not thread-safe
            return boto3.client("s3")
    except Exception as error:  # a credential provider may raise anything
        session = boto3.DEFAULT_SESSION and botocore_private.get_botocore_session(boto3.DEFAULT_SESSION)
        scrub(error, session)
        raise RequestError(
            f"{failures.describe(error)}. Configure credentials for the bucket, or correct the AWS configuration."
        ) from error


def check_client(client: Any) -> AppStreamClient:
    """Return the client if it is an AppStream client with the JSON protocol; else raise RequestError."""
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


def locate(client: AppStreamClient, account: str | None = None) -> Location:
    """Return the location that a checked client reads; without `account` call STS, and raise DrainError when that fails."""
    if account is None and client not in _accounts:
        try:
            _accounts[client] = credentials.ask_account(open_sts_of(client))
        except Exception as error:  # botocore's XML parser may raise even KeyError
            raise failures.explain(error, Position(f"?/{client.meta.region_name}", holder=client)) from error
    return Location(client, account or _accounts[client], client.meta.region_name)


def open_sts_of(client: AppStreamClient) -> BaseClient:
    """Return an STS client with the credentials and the settings of another client."""
    found = botocore_private.find_credentials(client)
    if found is None:
        raise NoCredentialsError
    session, endpoint = _find_session(client), str(client.meta.endpoint_url)
    configured = _find_configured_endpoint(session.get_scoped_config(), session.full_config)
    settings: dict[str, Any] = {"user_agent": None}
    if endpoint != configured:  # else the session's settings are the client's
        settings |= botocore_private.find_endpoint_variant(client)
        if configured is not None:  # it is of another client
            settings["ignore_configured_endpoint_urls"] = True
    frozen = found.get_frozen_credentials()
    return session.create_client(
        "sts",
        region_name=client.meta.region_name,
        aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key,
        aws_session_token=frozen.token,
        endpoint_url=None if endpoint == configured or _is_amazon(endpoint) else endpoint,
        verify=botocore_private.read_http_settings(client)["verify"],
        config=client.meta.config.merge(credentials.SIGN_IN.merge(Config(**settings))),
    )


def _find_session(client: AppStreamClient) -> Session:
    """Return a session with the configuration that a client was most likely created with.

    A client does not expose its profile: take the one with its access key or its non-Amazon endpoint, else the default.
    """
    if client in _sessions:
        return _sessions[client]
    profiles: dict[str | None, dict[str, Any]] = {}
    try:
        default = credentials.open_session()
        profiles[None] = default.get_scoped_config()
    except ProfileNotFound:  # the caller's client was created without that profile
        default = regions.open_without_profile()
    known = default.full_config
    keys, endpoint = botocore_private.find_credentials(client), str(client.meta.endpoint_url)
    key = keys and botocore_private.read_current_keys(keys)[0]
    for name, profile in (profiles | known["profiles"]).items():
        has_key = key and key in (profile.get("aws_access_key_id"), os.environ.get("AWS_ACCESS_KEY_ID"))
        if has_key or (not _is_amazon(endpoint) and endpoint == _find_configured_endpoint(profile, known)):
            return default if name is None else credentials.open_session(name)
    return default


def _is_amazon(url: str) -> bool:
    return _AMAZON.search(urlsplit(url).hostname or "") is not None


def _find_configured_endpoint(profile: dict[str, Any], known: dict[str, Any]) -> str | None:
    """Return AppStream's endpoint URL in the environment or the configuration files, in botocore's order of precedence."""
    services = known.get("services", {}).get(profile.get("services"), {})
    return (
        os.environ.get("AWS_ENDPOINT_URL_APPSTREAM")
        or os.environ.get("AWS_ENDPOINT_URL")
        or services.get("appstream", {}).get("endpoint_url")
        or profile.get("endpoint_url")
    )


# clients of targets


class ClientPool:
    """Creates a client for each target of one drain; thread-safe.

    The credentials of a profile, role or session are resolved once, and STS is called once, for all regions. A failure is final
    for all targets that share them. With `targets`, each to be located once, a session is released after its last target, as
    thousands would fill the memory; without, every session is kept.
    """

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        wanted = list(targets)
        kept = WeakValueDictionary if wanted else dict
        self._bases: MutableMapping[Target, _SharedResult[tuple[Session, BaseClient]]] = kept()
        self._logins: MutableMapping[Target, _SharedResult[tuple[Session, str]]] = kept()
        self._wanted = {target: self._find_login(target) for target in wanted}

    def locate(self, target: Target, timeout: float) -> Location:
        """Return the location of a target, or raise an error of this package that says why it is unknown.

        The first caller resolves the credentials within its thread's deadline; others wait up to `timeout` seconds for them.
        """
        try:
            session, account = (self._wanted.pop(target, None) or self._find_login(target)).get(timeout)
            if target.account not in (None, account):
                words = (
                    f"{target}: the credentials are of account {account}; expected {target.account}. Correct the role's ARN or "
                    "the profile; nothing was read."
                )
                raise AccessError(words, target=str(target), page=0, status="bad_credentials")
            with redacting(session):
                client = check_client(credentials.create_client(session, "appstream", target.region))
            return Location(client, account, target.region)
        except RequestError as error:
            raise RequestError(*error.args) from None  # a new error for each target
        except AppStreamFramesError:
            raise
        except Exception as error:  # a credential provider may raise anything
            doing = getattr(error, "operation_name", "sign-in")
            advice = _TRUST if doing == "AssumeRole" else _AGAIN
            raise failures.explain(error, Position(str(target), before=doing, advice=advice)) from error

    def _find_login(self, target: Target) -> _SharedResult[tuple[Session, str]]:
        """Return the shared result of signing in: session and account of a target, the same for all regions."""
        home = regions.find_home_region(regions.find_partition(target.region))
        login = replace(target, account=None, region=home)
        base = replace(login, role=None, external_id=None, role_session_name=None)
        found = self._bases.setdefault(base, _SharedResult(lambda _: credentials.open_base(base)))
        return self._logins.setdefault(login, _SharedResult(partial(_sign_in, login, found)))


def _sign_in(target: Target, base: _SharedResult[tuple[Session, BaseClient]], timeout: float) -> tuple[Session, str]:
    session, sts = base.get(timeout)
    if target.role is not None:
        with redacting(session, target.external_id):
            session, sts = credentials.open_role(session, sts, target)
    with redacting(session):
        return session, credentials.ask_account(sts)


class _SharedResult(Generic[T]):
    """A result that the first caller computes while the others wait; its failure is raised for all of them."""

    def __init__(self, find: Callable[[float], T]) -> None:
        self._find = find
        self._claim = threading.Lock()  # acquired once, never released
        self._found: Future[T] = Future()

    def get(self, timeout: float) -> T:
        if self._claim.acquire(blocking=False):
            try:
                self._found.set_result(self._find(timeout))
            except BaseException as error:  # noqa: BLE001  it is raised below, for every caller
                self._found.set_exception(make_timeout_error(timeout) if isinstance(error, Cancelled) else error)
        try:
            failure = self._found.exception(min(timeout, threading.TIMEOUT_MAX))
        except TimeoutError:
            failure = make_timeout_error(timeout)
        if failure is not None:
            raise failure.with_traceback(None)  # each caller that raises it would add to its traceback
        return self._found.result()
