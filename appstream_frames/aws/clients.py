"""A client, the account its credentials belong to, and its region: the place where a drain happens.

The account is what STS answers to GetCallerIdentity, asked with the client's own credentials and, when the client speaks to
an endpoint that is not Amazon's (a sandbox, a test server), at that same endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, InvalidRegionError, NoRegionError, ProfileNotFound

from appstream_frames.aws import deadlines, failures
from appstream_frames.errors import AccessError, DrainError, RequestError
from appstream_frames.text import printable

_AMAZON: Final = re.compile(
    r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn|ic\.gov)$"
)
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


@dataclass(frozen=True)
class Place:
    """One account in one region, with a client that speaks to it."""

    client: Any
    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


def place(client: Any, account: object = None) -> Place:
    """Return where a client's calls go; this may ask STS, and so take a while.

    Parameters
    ----------
    client : boto3 AppStream client
        A `checked` one.
    account : str, optional
        Twelve digits; asked of STS when not given.

    Raises
    ------
    RequestError
        When the account is not twelve digits.
    AccessError
        When the client has no credentials, or STS does not accept them.
    DrainError
        When STS does not say the account.
    """
    if account is not None and not (isinstance(account, str) and _ACCOUNT.fullmatch(account)):
        raise RequestError(f"account={account!r} is not a string of twelve digits, such as '012345678901'.")
    return Place(client, str(account or _account(client)), client.meta.region_name)


def in_time(find: Callable[[], Place], target: str, timeout: float) -> Place:
    """Return the place that `find` returns.

    Raises
    ------
    DrainError
        When it takes more than `timeout` seconds.
    """
    try:
        return deadlines.in_time(find, timeout)
    except TimeoutError as late:
        raise failures.explain(late, failures.Where(target, 0, None)) from late


def client_of(profile: str | None = None, region: str | None = None) -> Any:
    """Return an AppStream client of a profile and region; default: those of your environment.

    Raises
    ------
    RequestError
        When there is no such profile, or no region is configured.
    """
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        return session.client("appstream")
    except ProfileNotFound as error:
        known = ", ".join(map(printable, botocore.session.Session().available_profiles)) or "none"
        raise RequestError(f"{printable(error)}. Profiles configured here: {known}.") from error
    except NoRegionError as error:
        raise RequestError("No region is configured. Name one, set AWS_DEFAULT_REGION, or pass a client.") from error
    except (InvalidRegionError, ValueError) as error:
        raise RequestError(f"{printable(error)}. Expected a region such as eu-west-1.") from error


def checked(client: Any) -> Any:
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
    return client


def _account(client: Any) -> str:
    if client not in _known:
        where = failures.Where(f"?/{client.meta.region_name}", 0, None)
        try:
            answer = _sts(client).get_caller_identity()
        except DrainError:
            raise
        except Exception as error:  # botocore's XML parser lets even a KeyError out
            raise failures.explain(error, where) from error
        try:
            _known[client] = account_in(answer)
        except ValueError as error:
            raise _unknown_account(client, str(error), DrainError) from None
    return _known[client]


def account_in(identity: dict[str, Any]) -> str:
    """Return the account of an answer to GetCallerIdentity.

    Raises
    ------
    ValueError
        When it names none.

    Examples
    --------
    >>> account_in({"Account": "012345678901"})
    '012345678901'
    """
    account = identity.get("Account")
    if not (isinstance(account, str) and _ACCOUNT.fullmatch(account)):
        raise ValueError(f"AWS named the account {printable(account)}")
    return account


def _sts(client: Any) -> Any:
    """Return an STS client with the credentials of another client."""
    # botocore gives no public way from a client to its credentials; without them the caller has to name the account
    credentials = _inside(client, "_request_signer", "_credentials")
    if credentials is None:
        raise _unknown_account(client, "the client has no credentials to ask STS with", AccessError)
    frozen = credentials.get_frozen_credentials()
    sts = _session().create_client(
        "sts",
        region_name=client.meta.region_name,
        aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key,
        aws_session_token=frozen.token,
        endpoint_url=_other_endpoint(client),
        verify=_inside(client, "_endpoint", "http_session", "_verify"),
        config=Config(connect_timeout=10, read_timeout=20, proxies=client.meta.config.proxies),
    )
    sts.meta.events.register("before-send", deadlines.go_on)
    return sts


def _unknown_account(client: Any, seen: str, kind: type[DrainError]) -> DrainError:
    target, status = f"?/{client.meta.region_name}", "bad_credentials" if kind is AccessError else "failed"
    advice = "Sign in or configure a profile; or pass the account yourself: account='012345678901'."
    return kind(f"{target}: {seen}. {advice}", target=target, page=0, status=status)


def _inside(thing: Any, *names: str) -> Any:
    for name in names:
        thing = getattr(thing, name, None)
    return thing


def _other_endpoint(client: Any) -> str | None:
    url = str(client.meta.endpoint_url)
    return None if _AMAZON.search(urlsplit(url).hostname or "") else url


@cache
def _session() -> Any:
    """Return a session for STS; it keeps botocore's data files, so that later clients are cheap."""
    session = botocore.session.Session()
    try:
        session.get_scoped_config()
    except ProfileNotFound:  # the caller's client did without that profile, and so can we
        return botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return session


def s3_client() -> Any:
    """Return an S3 client of the default session; its credentials are refreshed when they expire.

    Raises
    ------
    RequestError
        When the environment names a profile that is not there, or an endpoint that is none.
    """
    try:
        return boto3.client("s3")
    except (BotoCoreError, ValueError) as error:
        raise RequestError(
            f"{printable(error)}. Configure credentials for the bucket, or correct the profile."
        ) from error
