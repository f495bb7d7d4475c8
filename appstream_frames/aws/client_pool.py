"""From targets to locations: credentials found once for each source, the account from STS, a client for each target.

Clients stay in the process that made them. No request is sent before a location is wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import Future
from functools import partial
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

from botocore.client import BaseClient
from botocore.session import Session

from appstream_frames.aws import credentials, failures, sessions
from appstream_frames.aws.clients import Location, check_client
from appstream_frames.aws.credentials import Source
from appstream_frames.aws.deadlines import Cancelled, make_timeout_error
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.targets import Target
from appstream_frames.errors import AccessError, AppStreamFramesError, RequestError

T = TypeVar("T")
_TRUST: Final = (
    "Let the role trust the caller and the caller assume it (sts:AssumeRole in both policies), and pass the external_id= "
    "and the role_session_name= that the role demands."
)
_AGAIN: Final = "STS did not say whose the credentials are. Try again."


class ClientPool:
    """Makes a client for each target of one drain; may be used by many threads at once.

    The credentials of a profile, role or session are found once, and STS is called once, however many regions there are.
    What fails fails for all its targets, and is not tried again.

    Parameters
    ----------
    targets : iterable of Target
        Those that will be located, each once: a session is then released after its last target, as thousands would fill the
        memory. Without them every session is kept.
    """

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        wanted = list(targets)
        kept = WeakValueDictionary if wanted else dict
        self._bases: MutableMapping[Source, _SharedResult[tuple[Session, BaseClient]]] = kept()
        self._logins: MutableMapping[Source, _SharedResult[tuple[Session, str]]] = kept()
        self._wanted = {target: self._find_login(target.source) for target in wanted}

    def locate(self, target: Target, timeout: float) -> Location:
        """Return where a target's calls go, or raise the error of this package that says why it is not known.

        The first caller finds the credentials within its thread's deadline; another one waits `timeout` seconds for that.
        """
        try:
            session, account = (self._wanted.pop(target, None) or self._find_login(target.source)).get(timeout)
            _check_account(target, account)
            with redacting(session):
                client = check_client(sessions.create_client(session, "appstream", target.region))
            return Location(client, account, target.region)
        except RequestError as error:
            raise RequestError(*error.args) from None  # each target has an error of its own
        except AppStreamFramesError:
            raise
        except Exception as error:  # whatever a provider of credentials raises
            doing = getattr(error, "operation_name", "sign-in")
            advice = _TRUST if doing == "AssumeRole" else _AGAIN
            raise failures.explain(error, failures.Position(str(target), 0, None, doing, advice)) from error

    def _find_login(self, source: Source) -> _SharedResult[tuple[Session, str]]:
        """Return what becomes the session of a source and the account that its credentials are of."""
        known = self._logins.get(source)
        if known is not None:
            return known
        base = self._bases.setdefault(source.base, _SharedResult(lambda _: credentials.open_base(source.base)))
        return self._logins.setdefault(source, _SharedResult(partial(_sign_in, source, base)))


def _sign_in(source: Source, base: _SharedResult[tuple[Session, BaseClient]], timeout: float) -> tuple[Session, str]:
    session, sts = base.get(timeout)
    if source.role is not None:
        with redacting(session, source.external_id):
            session, sts = credentials.open_role(session, sts, source)
    with redacting(session):
        return session, credentials.ask_account(sts)


class _SharedResult(Generic[T]):
    """A result that the first caller computes while the others wait; its failure is raised for all of them."""

    def __init__(self, find: Callable[[float], T]) -> None:
        self._find = find
        self._claim = threading.Lock()  # taken once, never given back
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
            raise failure.with_traceback(None)  # many raise it, and each would add to its traceback
        return self._found.result()


def _check_account(target: Target, account: str) -> None:
    if target.account not in (None, account):
        words = (
            f"{target}: the credentials are of account {account}; expected {target.account}. Correct the role's ARN or the "
            "profile; nothing was read."
        )
        raise AccessError(words, target=str(target), page=0, status="bad_credentials")
