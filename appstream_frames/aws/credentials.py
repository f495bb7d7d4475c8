"""Where credentials come from: the default credentials, a profile, a role to assume, or a session that was handed in.

A source is named by text, so that it can travel; credentials cannot. A session is kept in this process, and only a number
that means nothing elsewhere is pickled. Sessions for roles speak wherever the session that they are assumed from speaks.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import boto3
from botocore.client import BaseClient
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from appstream_frames.aws import botocore_private, regions, sessions
from appstream_frames.aws.connections import own_connections
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

SESSION_NAME: Final = "appstream-frames"  # of an assumed role, when none is given; CloudTrail shows it

_references: WeakValueDictionary[str, SessionReference] = WeakValueDictionary()


class SessionReference:
    """A session that was handed in: pickled, it is a number, and only this process knows the session behind it."""

    def __init__(self, session: boto3.Session | None, number: str | None = None) -> None:
        self._session, self._process = session, os.getpid()
        self.number = number or secrets.token_hex(8)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.number,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionReference) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"<session {self.number}>"

    @property
    def session(self) -> boto3.Session:
        """The session.

        Raises
        ------
        RequestError
            In another process than that which it was handed to.
        """
        if self._session is None or self._process != os.getpid():
            raise RequestError(
                "The target was made of session=, in another process, and credentials do not travel. "
                "Pass profiles= or roles= to targets(), and every process finds its own."
            )
        return self._session

    def is_of(self, session: object) -> bool:
        """Tell whether this is the session."""
        return self._session is session


def _restore(number: str) -> SessionReference:
    return _references.get(number) or SessionReference(None, number)


def refer_to(session: object) -> SessionReference:
    """Return what stands for a session, the same for the same session.

    Raises
    ------
    RequestError
        When it is no boto3 session.
    """
    if not isinstance(session, boto3.Session):
        raise RequestError(f"session is {printable(type(session).__name__)}; pass a boto3.Session, or nothing.")
    for known in list(_references.values()):
        if known.is_of(session):
            return known
    new = SessionReference(session)
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


def open_session(source: Source) -> Session:
    """Return a botocore session of a source without a role; no request is sent.

    Raises
    ------
    RequestError
        When the source is a session of another process.
    """
    if source.reference is not None:
        return botocore_private.botocore_session(source.reference.session)
    return sessions.open_session(source.profile)


def load_credentials(session: Session) -> Session:
    """Return the session once its credentials are there; this may ask AWS, or whoever else gives them.

    Raises
    ------
    NoCredentialsError
        When it has none.
    """
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    credentials.get_frozen_credentials()
    return session


def get_region(session: Session) -> str | None:
    """Return the region that is configured for a session."""
    region = session.get_config_variable("region")
    return None if region is None else str(region)


def open_sts(session: Session, partition: str) -> BaseClient:
    """Return a client of the STS of the session's own region, or of one that every account of the partition has.

    Tokens of the global endpoint are worth nothing in regions that are opted in to, so it is not used.
    """
    region = get_region(session)
    if region is None or regions.find_partition(region) != partition:
        region = regions.find_home_region(partition)
    client = session.create_client("sts", region_name=region, config=sessions.SIGN_IN)
    if urlsplit(client.meta.endpoint_url).hostname == "sts.amazonaws.com":
        url = f"https://sts.{region}.amazonaws.com"
        client = session.create_client("sts", region_name=region, config=sessions.SIGN_IN, endpoint_url=url)
    return client


def assume_role(base: Session, client: BaseClient, source: Source) -> Session:
    """Return a session like another one that signs as a role; the role is assumed when it first signs, and again in time.

    Parameters
    ----------
    base : botocore session
        Its settings and its endpoints are kept, and it is not changed.
    client : STS client
        Of `base`.
    source : Source
        With a role.
    """
    parameters = {"RoleArn": source.role, "RoleSessionName": source.role_session_name or SESSION_NAME}
    if source.external_id is not None:
        parameters["ExternalId"] = source.external_id

    def refresh() -> dict[str, str]:
        with own_connections(client):
            keys: dict[str, str] = create_assume_role_refresher(client, parameters)()
        return keys

    return botocore_private.with_credentials(base, DeferredRefreshableCredentials(refresh, "assume-role"))
