"""botocore sessions and their credentials: the default ones, a profile, a role, or a session that the caller passes.

A target names its credentials as text, so it can be pickled; credentials cannot. Sessions are botocore's own with its own
handlers, so every credential provider works. They share one loader of botocore's data files, which keeps only the read operations
of AppStream, as botocore builds a method for each operation of each client.
"""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial, total_ordering
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import BotoCoreError, NoCredentialsError, ProfileNotFound
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from appstream_frames.aws import botocore_private, regions
from appstream_frames.aws.deadlines import get_process_lock
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.retries import BrokenReplyError, call_until_answered, require_whole_replies
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

#: CloudTrail shows it as the session name of a role, and in the User-Agent: app/appstream-frames.
APP_ID: Final = "appstream-frames"
#: The configuration of STS and Organizations clients; the module `retries` repeats calls. botocore would write a missing mode
#: into this dict, from one session's settings for all.
SIGN_IN: Final = Config(
    connect_timeout=10,
    read_timeout=20,
    max_pool_connections=50,
    retries={"mode": "standard", "total_max_attempts": 1},
)
_SPARE_FILES: Final = 8  # if the process cannot open so many more, that may be why botocore found no profile or keys


# sessions


def open_session(profile: str | None = None) -> Session:
    """Return a new botocore session of a profile, or of the default credentials.

    Raise ProfileNotFound when the profile, or the one that the environment names, does not exist; OSError as
    `_check_profile_files` does.
    """
    session = Session(profile=profile)
    with _check_profile_files():
        session.get_scoped_config()
    session.register_component("data_loader", _share_loader(session.get_config_variable("data_path")))
    session.set_config_variable("sts_regional_endpoints", "regional")
    if session.get_config_variable("user_agent_appid") is None:
        session.set_default_client_config(Config(user_agent_appid=APP_ID))
    return session


def open_profile(name: str | None) -> Session:
    """Return a session as `open_session` does; raise RequestError when the profile or the AWS configuration is invalid."""
    if not isinstance(name, str | None):
        raise RequestError(f"profile={printable(repr(name))} is no name; expected a string.")
    try:
        return open_session(name)
    except ProfileNotFound as error:
        known = regions.open_without_profile().available_profiles
        similar = difflib.get_close_matches(name or "", known, n=1)
        did = f"Did you mean {similar[0]!r}? " if similar else ""
        configured = ", ".join(map(printable, known)) or "none"
        raise RequestError(f"{printable(error)}. {did}Profiles configured here: {configured}.") from None
    except BotoCoreError as error:
        raise RequestError(f"{printable(error)}. Correct the AWS configuration of this machine.") from None


@contextmanager
def _check_profile_files() -> Iterator[None]:
    """Raise OSError instead of botocore's error when the AWS files cannot be opened, or the process runs out of files.

    `configparser` skips a file that it cannot open: the profiles in it are then missing, or have no keys.
    """
    try:
        yield
    except BotoCoreError:
        session = regions.open_without_profile()
        files = [Path(session.get_config_variable(name)).expanduser() for name in ("config_file", "credentials_file")]
        with ExitStack() as opened:
            for path in [*filter(Path.is_file, files), *[Path(os.devnull)] * _SPARE_FILES]:
                opened.enter_context(path.open("rb"))
        raise


@cache
def _share_loader(data_path: str | None) -> Loader:
    """Return the loader shared by all sessions with this ``data_path``; it keeps only AppStream's read operations."""
    loader = create_loader(data_path)
    load_whole = loader.load_service_model

    def load(service_name: str, type_name: str, api_version: str | None = None) -> dict[str, Any]:
        model: dict[str, Any] = load_whole(service_name, type_name, api_version)
        if (service_name, type_name) != ("appstream", "service-2"):
            return model
        reads = {name: each for name, each in model["operations"].items() if name.startswith(("Describe", "List"))}
        return {**model, "operations": reads}

    loader.load_service_model = load
    return loader


def create_client(session: Session, service: str, region: str, **options: Any) -> BaseClient:
    """Return a client of a session; one at a time, as sessions are not thread-safe."""
    with get_process_lock("clients"):
        return session.create_client(service, region_name=region, **options)


# what can be pickled

_handed_in: WeakValueDictionary[str, boto3.Session] = WeakValueDictionary()  # by number


@dataclass(frozen=True)
class SessionReference:
    """Refers to a session that the caller passed; pickled as a number, which only the process that assigned it can resolve."""

    number: str
    _session: boto3.Session | None = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.number,)

    @property
    def session(self) -> boto3.Session:
        """The session; raises RequestError in any process other than the one that received it."""
        if self._session is None or not self.number.startswith(f"{os.getpid()}-"):
            raise RequestError(
                "The target was made of session=, in another process, and credentials do not travel. "
                "Pass profiles= or roles= to targets(), and every process finds its own."
            )
        return self._session


def _restore(number: str) -> SessionReference:
    return SessionReference(number, _handed_in.get(number))


def refer_to(session: object) -> SessionReference:
    """Return the reference to a boto3 session, equal for the same session; raise RequestError for anything else."""
    if not isinstance(session, boto3.Session):
        raise RequestError(f"session is {printable(type(session).__name__)}; pass a boto3.Session, or nothing.")
    own = f"{os.getpid()}-"  # a forked child inherits the numbers of its parent
    known = [number for number, each in list(_handed_in.items()) if each is session and number.startswith(own)]
    number = known[0] if known else own + secrets.token_hex(8)
    _handed_in[number] = session
    return SessionReference(number, session)


@total_ordering
@dataclass(frozen=True)
class Target:
    """One account in one region, and where its credentials come from; made by `targets`.

    It holds no credentials, can be pickled, and sorts by account and region.

    Attributes
    ----------
    account : str or None
        The expected account, if it is known before any request.
    region : str
        The region.
    profile : str or None
        The profile whose credentials are used, or assume the role; None means the default credentials.
    role, external_id, role_session_name : str or None
        The role to assume and its parameters, as in `targets`; the external id is not shown.
    session : SessionReference or None
        Reference to a session that the caller passed; valid in this process only.
    optional : bool
        Whether the region comes from ``regions="all"``: it is then not a failure if the account has not enabled it.
    """

    account: str | None
    region: str
    profile: str | None = None
    role: str | None = None
    external_id: str | None = field(default=None, repr=False)
    session: SessionReference | None = field(default=None, repr=False)
    role_session_name: str | None = None
    optional: bool = field(default=False, repr=False, compare=False)

    def __lt__(self, other: object) -> bool:
        return self._make_key() < other._make_key() if isinstance(other, Target) else NotImplemented

    def __str__(self) -> str:
        owner = "default credentials" if self.session is None else "session"
        if self.profile is not None:
            owner = f"profile {printable(self.profile, 60)}"
        return f"{self.account or owner}/{self.region}"

    def _make_key(self) -> tuple[str, ...]:
        where = (self.account, self.region, self.profile, self.role, self.external_id, self.role_session_name)
        return tuple(value or "" for value in (*where, self.session and self.session.number))


# signing in


def open_base(target: Target) -> tuple[Session, BaseClient]:
    """Return the session of a target before any role is assumed, and an STS client; this may take a while."""

    def open_with_credentials() -> tuple[Session, BaseClient]:
        if target.session is not None:
            session = botocore_private.get_botocore_session(target.session.session)
        else:
            session = open_session(target.profile)
        with redacting(session), _check_profile_files():
            _load_credentials(session)
            return session, open_sts(session, regions.find_partition(target.region))

    return call_until_answered(open_with_credentials)


def _load_credentials(session: Session) -> None:
    """Resolve the credentials of a session; this may call AWS or another source of credentials."""
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    credentials.get_frozen_credentials()


def open_role(base: Session, sts: BaseClient, target: Target) -> tuple[Session, BaseClient]:
    """Assume a target's role with `sts`, a client of the session `base`; return the role's session and an STS client.

    The session has the endpoints and settings of `base`, and assumes the role again before its credentials expire.
    """
    parameters = {"RoleArn": target.role, "RoleSessionName": target.role_session_name or APP_ID}
    if target.external_id is not None:
        parameters["ExternalId"] = target.external_id

    def refresh() -> dict[str, str]:
        with require_whole_replies(sts):
            try:
                keys: dict[str, str] = create_assume_role_refresher(sts, parameters)()
            except KeyError as error:
                raise BrokenReplyError(f"the reply of STS has no {error}") from None
        return keys

    session = botocore_private.copy_with_credentials(base, DeferredRefreshableCredentials(refresh, "assume-role"))
    call_until_answered(partial(_load_credentials, session))
    return session, open_sts(session, regions.find_partition(target.region))


def open_sts(session: Session, partition: str) -> BaseClient:
    """Return an STS client in the session's own region, or in one that every account of the partition can use.

    The global endpoint is not used: its tokens are not valid in opt-in regions.
    """
    region = session.get_config_variable("region")
    if region is None or regions.find_partition(region) != partition:
        region = regions.find_home_region(partition)
    client = create_client(session, "sts", region, config=SIGN_IN)
    if urlsplit(client.meta.endpoint_url).hostname == "sts.amazonaws.com":
        url = f"https://sts.{region}.amazonaws.com"
        client = create_client(session, "sts", region, config=SIGN_IN, endpoint_url=url)
    return client


def ask_account(sts: BaseClient) -> str:
    """Return the account of an STS client's credentials."""
    with require_whole_replies(sts):
        return call_until_answered(lambda: check_account(sts.get_caller_identity().get("Account")))


def check_account(account: object) -> str:
    """Return an account id from a reply; raise BrokenReplyError when it is not twelve digits."""
    if not is_account(account):
        raise BrokenReplyError(f"AWS named the account {printable(account)}")
    return str(account)


def is_account(value: object) -> bool:
    """Return whether a value is a string of twelve digits."""
    return isinstance(value, str) and re.fullmatch("[0-9]{12}", value) is not None
