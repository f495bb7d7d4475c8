"""From targets to locations: credentials found once for each source, the account from STS, a client for each target.

Clients stay in the process that made them. No request is sent before a location is wanted.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from botocore.client import BaseClient
from botocore.session import Session

from appstream_frames.aws import credentials, failures
from appstream_frames.aws.clients import Location, check_client, read_account
from appstream_frames.aws.connections import own_connections
from appstream_frames.aws.credentials import Source
from appstream_frames.aws.deadlines import Cancelled
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.retries import until_answered
from appstream_frames.aws.targets import Target
from appstream_frames.errors import AccessError, AppStreamFramesError, DrainError, RequestError

if TYPE_CHECKING:
    from mypy_boto3_appstream import AppStreamClient

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
        Those that will be located, each once: a session is then released after its last target.
    """

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._left = Counter(target.source for target in targets)
        self._left_of_base: Counter[Source] = Counter()
        for source, times in self._left.items():
            self._left_of_base[source.base] += times
        self._counting = threading.Lock()
        self._one_by_one = threading.Lock()  # botocore's sessions make no two clients at once
        self._bases: dict[Source, _SharedResult[_Base]] = {}
        self._logins: dict[Source, _SharedResult[_Login]] = {}

    def locate(self, target: Target, timeout: float) -> Location:
        """Return where a target's calls go; the first caller finds its credentials, which may take a while.

        Parameters
        ----------
        target : Target
            One of `targets`.
        timeout : float
            Wall-clock seconds to wait for another thread that finds them already.

        Raises
        ------
        AccessError
            When there are no credentials, AWS refuses them or the role, or they are of another account than expected.
        EndpointError
            When STS cannot be reached.
        DrainError
            When STS does not say the account, or the other thread does not in time.
        RequestError
            When the target was made of a session in another process.
        """
        source = target.source
        try:
            login = self._login(source).get(timeout)
            if target.account not in (None, login.account):
                raise _wrong_account(target, login.account)
            return Location(self._open_client(login.session, target.region), login.account, target.region)
        except RequestError as error:
            raise RequestError(*error.args) from None
        except AppStreamFramesError:
            raise
        except Exception as error:  # whatever a provider of credentials raises
            raise _explain(error, target) from error
        finally:
            self._release(source)

    def _release(self, source: Source) -> None:
        """Count a target as located, and release the sessions that no other one needs: thousands would fill the memory."""
        with self._counting:
            _count_down(self._left, source, self._logins)
            _count_down(self._left_of_base, source.base, self._bases)

    def _login(self, source: Source) -> _SharedResult[_Login]:
        with self._one_by_one:
            return self._logins.setdefault(source, _SharedResult(lambda timeout: self._sign_in(source, timeout)))

    def _base(self, source: Source) -> _SharedResult[_Base]:
        with self._one_by_one:
            return self._bases.setdefault(source, _SharedResult(lambda _: self._open_base(source)))

    def _open_base(self, source: Source) -> _Base:
        session = until_answered(partial(self._open_session, source))
        with redacting(session):
            until_answered(partial(credentials.load_credentials, session))
            with self._one_by_one:
                return _Base(session, credentials.open_sts(session, source.partition))

    def _open_session(self, source: Source) -> Session:
        with self._one_by_one:
            return credentials.open_session(source)

    def _sign_in(self, source: Source, timeout: float) -> _Login:
        base = self._base(source.base).get(timeout)
        session, sts = base.session, base.sts
        if source.role is not None:
            session = credentials.assume_role(base.session, base.sts, source)
            with redacting(base.session, source.external_id):
                until_answered(partial(credentials.load_credentials, session))
                with self._one_by_one:
                    sts = credentials.open_sts(session, source.partition)
        with redacting(session), own_connections(sts):
            return _Login(session, read_account(until_answered(sts.get_caller_identity)))

    def _open_client(self, session: Session, region: str) -> AppStreamClient:
        with self._one_by_one, redacting(session):
            return check_client(session.create_client("appstream", region_name=region))


@dataclass(frozen=True)
class _Base:
    """A session whose credentials are there, and its STS client."""

    session: Session
    sts: BaseClient


@dataclass(frozen=True)
class _Login:
    """A session, and the account that its credentials are of."""

    session: Session
    account: str


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
                self._found.set_exception(_timeout(timeout) if isinstance(error, Cancelled) else error)
        failure = self._failure(timeout)
        if failure is not None:
            raise failure.with_traceback(None)  # many raise it, and each would add to its traceback
        return self._found.result()

    def _failure(self, timeout: float) -> BaseException | None:
        try:
            return self._found.exception(min(timeout, threading.TIMEOUT_MAX))
        except TimeoutError:
            return _timeout(timeout)


def _timeout(timeout: float) -> TimeoutError:
    return TimeoutError(f"no answer within {timeout:g} s")


def _count_down(left: Counter[Source], source: Source, sessions: dict[Source, Any]) -> None:
    left[source] -= 1
    if left[source] == 0:
        sessions.pop(source, None)


def _wrong_account(target: Target, account: str) -> AccessError:
    return AccessError(
        f"{target}: the credentials are of account {account}; expected {target.account}. Correct the role's ARN or the "
        "profile; nothing was read.",
        target=str(target),
        page=0,
        status="bad_credentials",
    )


def _explain(error: BaseException, target: Target) -> DrainError:
    doing = getattr(error, "operation_name", "sign-in")
    advice = _TRUST if doing == "AssumeRole" else _AGAIN
    found = failures.explain(error, failures.Position(str(target), 0, None, doing, advice))
    if isinstance(found, RequestError):
        return DrainError(str(found), target=str(target), page=0, code=failures.get_code(error))
    return found
