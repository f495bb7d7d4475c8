"""Where credentials come from: the default credentials, a profile, a role to assume, or a session that was handed in.

A source is named by text, so that it can be pickled; credentials cannot. A session is kept in this process, and pickled as a
number that means nothing elsewhere. Sessions of roles have the endpoints and settings of the session that assumes them.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import boto3
from botocore.client import BaseClient
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from appstream_frames.aws import botocore_private, regions, sessions
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.retries import BrokenReplyError, call_until_answered, require_whole_replies
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_references: WeakValueDictionary[str, SessionReference] = WeakValueDictionary()


@dataclass(frozen=True)
class SessionReference:
    """Stands for a session that was handed in: it is pickled as a number, whose session only this process knows."""

    number: str
    _session: boto3.Session | None = field(default=None, repr=False, compare=False)
    _process: int = field(default_factory=os.getpid, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.number,)

    @property
    def session(self) -> boto3.Session:
        """The session; RequestError in another process than that which it was handed to."""
        if self._session is None or self._process != os.getpid():
            raise RequestError(
                "The target was made of session=, in another process, and credentials do not travel. "
                "Pass profiles= or roles= to targets(), and every process finds its own."
            )
        return self._session


def _restore(number: str) -> SessionReference:
    return _references.get(number) or SessionReference(number)


def refer_to(session: object) -> SessionReference:
    """Return what stands for a boto3 session, the same for the same session; raise RequestError for anything else."""
    if not isinstance(session, boto3.Session):
        raise RequestError(f"session is {printable(type(session).__name__)}; pass a boto3.Session, or nothing.")
    for known in list(_references.values()):
        if known._session is session:
            return known
    new = SessionReference(secrets.token_hex(8), session)
    _references[new.number] = new
    return new


@dataclass(frozen=True)
class Source:
    """What to sign with: without `role`, the profile's, the session's or the default credentials."""

    partition: str
    profile: str | None = None
    role: str | None = None
    external_id: str | None = field(default=None, repr=False)
    role_session_name: str | None = None
    reference: SessionReference | None = None

    @property
    def base(self) -> Source:
        """What the role is assumed with."""
        return Source(self.partition, self.profile, reference=self.reference)


@dataclass(frozen=True)
class Login:
    """A source, and what is known of it before anybody signs in."""

    source: Source
    region: str | None  # that is configured
    account: str | None  # whose credentials they will be, where a role's ARN or a single sign-on's profile tells it


def open_base(source: Source) -> tuple[Session, BaseClient]:
    """Return the session of a source without a role, with its credentials, and a client of STS; this may take a while."""
    session = call_until_answered(partial(_open_with_credentials, source))
    with redacting(session):
        return session, open_sts(session, source.partition)


def _open_with_credentials(source: Source) -> Session:
    if source.reference is not None:
        session = botocore_private.get_botocore_session(source.reference.session)
    else:
        session = sessions.open_session(source.profile)
    with redacting(session), sessions.check_profile_files():
        _load_credentials(session)
    return session


def _load_credentials(session: Session) -> None:
    """Have a session find its credentials; this may ask AWS, or whoever else gives them."""
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    credentials.get_frozen_credentials()


def open_sts(session: Session, partition: str) -> BaseClient:
    """Return a client of the STS of the session's own region, or of one that every account of the partition has.

    Tokens of the global endpoint are worth nothing in regions that are opted in to, so it is not used.
    """
    region = session.get_config_variable("region")
    if region is None or regions.find_partition(region) != partition:
        region = regions.find_home_region(partition)
    client = sessions.create_client(session, "sts", region, config=sessions.SIGN_IN)
    if urlsplit(client.meta.endpoint_url).hostname == "sts.amazonaws.com":
        url = f"https://sts.{region}.amazonaws.com"
        client = sessions.create_client(session, "sts", region, config=sessions.SIGN_IN, endpoint_url=url)
    return client


def ask_account(sts: BaseClient) -> str:
    """Return the account of the credentials that a client of STS has."""

    def ask() -> object:
        account: object = sts.get_caller_identity().get("Account")
        if account is None:
            raise BrokenReplyError("AWS named the account None")
        return account

    with require_whole_replies(sts):
        return check_account(call_until_answered(ask))


def check_account(account: object) -> str:
    """Return an account that AWS named; raise ValueError when it is not twelve digits."""
    if not is_account(account):
        raise ValueError(f"AWS named the account {printable(account)}")
    return str(account)


def is_account(value: object) -> bool:
    """Tell whether a value is twelve digits."""
    return isinstance(value, str) and _ACCOUNT.fullmatch(value) is not None


def open_role(base: Session, sts: BaseClient, source: Source) -> tuple[Session, BaseClient]:
    """Return what `open_base` does, of a source with a role: it is assumed by `sts`, a client of the session `base`.

    The session has the settings of `base`, and assumes the role again before its credentials expire.
    """
    parameters = {"RoleArn": source.role, "RoleSessionName": source.role_session_name or sessions.APP_ID}
    if source.external_id is not None:
        parameters["ExternalId"] = source.external_id

    def refresh() -> dict[str, str]:
        with require_whole_replies(sts):
            try:
                keys: dict[str, str] = create_assume_role_refresher(sts, parameters)()
            except KeyError as error:
                raise BrokenReplyError(f"the reply of STS has no {error}") from None
        return keys

    session = botocore_private.copy_with_credentials(base, DeferredRefreshableCredentials(refresh, "assume-role"))
    call_until_answered(partial(_load_credentials, session))
    return session, open_sts(session, source.partition)
