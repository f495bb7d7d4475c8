"""What went wrong, in words that help: botocore's exceptions and AWS's error codes to this package's errors.

The sets of codes are what AWS's services answer in practice; a code in none of them is a failure with AWS's own words.
Nothing here decides when to try again; `retries` does, by asking whether a failure is passing.
"""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any, Final

from botocore.exceptions import (
    ConnectionError,  # noqa: A004  botocore's own
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)

from appstream_frames.errors import AccessError, DrainError, EndpointError, RequestError
from appstream_frames.text import printable

THROTTLES: Final = frozenset(
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException TooManyRequestsException "
    "RequestLimitExceeded RequestLimitExceededException SlowDown BandwidthLimitExceeded PriorRequestNotComplete".split()
)
_CREDENTIALS: Final = frozenset(
    "ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId "
    "InvalidSignatureException SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken AuthFailure "
    "MissingAuthenticationTokenException InvalidToken NotAuthorized".split()
)
_UNRECOGNIZED: Final = frozenset({"UnrecognizedClientException", "InvalidClientTokenId"})
_DENIED: Final = frozenset("AccessDenied AccessDeniedException UnauthorizedOperation UnauthorizedException".split())
_REGION: Final = frozenset("OptInRequired RegionDisabledException".split())
_REQUEST: Final = frozenset(
    "InvalidParameterCombinationException InvalidParameterCombination InvalidParameterValue ValidationException "
    "ValidationError ResourceNotFoundException SerializationException InvalidParameterException".split()
)
# botocore's exception classes, by name: not every supported version has every one
_NO_CREDENTIALS: Final = frozenset(
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError TokenRetrievalError SSOError NoAuthTokenError "
    "ProfileNotFound InvalidConfigError UnknownCredentialError LoginError".split()
)
# what AWS's messages repeat of a request whose signature it refuses
_SECRETS: Final = re.compile(
    r"(?i)(?<=x-amz-security-token)\W+\S+|(?<=signature=)[^\s&,]+|(?<=credential=)[^\s&,]+|\b(?:AKIA|ASIA)\w{8,}"
)
_NAMED: Final = 5
_SHOWN: Final = 2_000  # characters of a cause
_CARRIERS: Final = ("botocore", "urllib3")  # in their frames are requests, and in those a session token
_ACCOUNT: Final = "Try again, or pass the account yourself: account='012345678901'."
_ALLOW = 'Allow "appstream:{}" on Resource "*" in the role\'s policy; a service control policy may deny it too.'
_REFRESH = "Sign in again (`aws sso login`) or renew the credentials. A region that is not enabled answers so too."
_UNREACHABLE_ADVICE = "Check the region's spelling, that it has AppStream, and the network or proxy."
_NETWORK = "No endpoint of any region answered, so it is this machine's network, proxy or name service. Try again."
_NETWORK_FAILED = (
    "The network, the proxy or the name service failed until the time was up. Try again, or raise timeout=."
)
_OUT_OF_FILES = (
    "This process may open no more files and connections (see `ulimit -n`): raise that limit, or drain fewer at once."
)
_DISABLED = "STS accepts these credentials, so it is the region: enable it for the account, or leave it out."
_MIDWAY = "AWS refused in the middle what it had accepted at the start, say a NextToken that expired. Begin again."


@dataclass(frozen=True)
class Where:
    """Where a drain stood when it failed."""

    target: str
    page: int  # 0: before the first, when STS is asked for the account
    resume_token: str | None
    before: str = "GetCallerIdentity"  # what is done before the first page
    advice: str = _ACCOUNT  # when that is denied or fails
    operation: str = "DescribeImages"

    @property
    def step(self) -> str:
        """What was being done, in AWS's words."""
        return f"page {self.page} of {self.operation}" if self.page else self.before


def code_of(error: BaseException) -> str:
    """Return AWS's code of a botocore ClientError, made printable, or the kind of failure."""
    if not _answer(error):
        return type(error).__name__
    return printable(_answer(error).get("Error", {}).get("Code") or f"HTTP {_http_status(error)}")


def is_throttle(error: BaseException) -> bool:
    """Tell whether AWS asked us to slow down."""
    return bool(_answer(error)) and (code_of(error) in THROTTLES or _http_status(error) == 429)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same request may well succeed in a moment: AWS is busy, or the network or this machine is."""
    if is_throttle(error) or _http_status(error) >= 500 or is_out_of_files(error):
        return True
    network = isinstance(error, HTTPClientError | ConnectionError | IncompleteReadError)
    return network and not _is_about_certificates(error)


def is_unreachable(error: BaseException) -> bool:
    """Tell whether the host had no name, or nobody listened there."""
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError) and not is_out_of_files(error)


def is_out_of_files(error: BaseException) -> bool:
    """Tell whether this process could not open one more file or connection."""
    return any(getattr(each, "errno", None) in (errno.EMFILE, errno.ENFILE) for each in _with_causes(error))


def _is_about_certificates(error: BaseException) -> bool:
    return any("certificate" in str(each).lower() for each in _with_causes(error)) and isinstance(error, SSLError)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_refusal(error: BaseException) -> bool:
    """Tell whether the credentials were missing, not accepted, or not enough."""
    refused = code_of(error) in _CREDENTIALS | _DENIED or _http_status(error) == 403
    return refused or _is_a(error, _NO_CREDENTIALS)


def _answer(error: BaseException) -> dict[str, Any]:
    """AWS's answer, as botocore's ClientError carries it; empty when there was none."""
    answer = getattr(error, "response", None)
    return answer if isinstance(answer, dict) else {}


def _http_status(error: BaseException) -> int:
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_a(error: BaseException, names: Collection[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def explain(
    error: BaseException,
    where: Where,
    asked: int = 1,
    late: BaseException | None = None,
    *,
    unreachable: bool = True,
) -> DrainError | RequestError:
    """Return the error of this package that says what was seen, what was expected and what to do.

    As `error` is shown as the cause, secrets that AWS repeats and what a terminal would act on are taken out of its text too,
    and botocore's frames are taken off, because tools that show their variables would show the session token.

    Parameters
    ----------
    error : BaseException
        What botocore or the page reader raised.
    where : Where
        Target, page and resume token.
    asked : int
        How many times the page was asked for.
    late : BaseException, optional
        That the time was up, when it was.
    unreachable : bool
        Whether every attempt before this one found no server either.
    """
    error.args = tuple(printable(_hushed(part), _SHOWN) if isinstance(part, str) else part for part in error.args)
    bare(error)
    kind, status, advice = _verdict(error, where.operation)
    if kind is RequestError and where.page > 1:  # the parameters were right for the pages before
        kind, advice = DrainError, _MIDWAY
    if kind is EndpointError and (where.page > 1 or not unreachable):  # it had been there
        kind, status, advice = DrainError, "failed", _NETWORK_FAILED
    if not where.page and status in {"denied", "failed"}:
        advice = where.advice
    words = seen(error, asked) + (f"; {late}" if late not in (None, error) else "")
    message = f"{where.target}, {where.step}: {words}. {advice}"
    if kind is RequestError:
        return RequestError(message)
    failed: DrainError = kind(
        message,
        target=where.target,
        page=where.page,
        resume_token=where.resume_token,
        status=status,
        code=code_of(error),
    )
    return failed


def bare(error: BaseException | None) -> None:
    """Take the traceback off an error, and off those that led to it, when it goes through botocore."""
    while error is not None:
        if any(frame.f_globals.get("__name__", "").startswith(_CARRIERS) for frame, _ in walk_tb(error.__traceback__)):
            error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _verdict(error: BaseException, operation: str) -> tuple[Any, str, str]:
    code = code_of(error)
    if _is_a(error, _NO_CREDENTIALS):
        return AccessError, "bad_credentials", "No usable credentials: configure a profile, or sign in, and try again."
    if code in _CREDENTIALS:
        return AccessError, "bad_credentials", _REFRESH
    if code in _DENIED:
        return AccessError, "denied", _ALLOW.format(operation)
    if code in _REGION:
        return AccessError, "region_disabled", "Enable the region for the account, or leave it out."
    if code in _REQUEST or _is_a(error, {"ParamValidationError"}):
        return RequestError, "failed", "Correct names, arns, type, page_size or starting_token; nothing was read."
    if is_unreachable(error):
        return EndpointError, "no_endpoint", _UNREACHABLE_ADVICE
    if is_out_of_files(error):
        return DrainError, "failed", _OUT_OF_FILES
    if is_throttle(error):
        return (
            DrainError,
            "throttled",
            "AWS asked to slow down until the time was up: raise timeout=, or drain fewer at once.",
        )
    if _http_status(error) == 403:
        return AccessError, "denied", _ALLOW.format(operation)
    return (
        DrainError,
        "failed",
        "Expected a whole page. Nothing of this target is returned as if it were complete; try again.",
    )


def reconsidered(failures: Sequence[DrainError | None], accounts: Sequence[str | None]) -> list[DrainError | None]:
    """Return the failures of many targets in the light of each other.

    Credentials that STS accepts and one region refuses are those of a region that is not enabled; refused in every one of
    several regions, they are bad. An endpoint that does not answer is the region's fault; when none answers, the network's.
    """
    everywhere = len(failures) > 1 and all(f is not None and f.status == "no_endpoint" for f in failures)
    regions = Counter(accounts)
    refused = Counter(account for failure, account in zip(failures, accounts, strict=True) if _is_refused(failure))
    found: list[DrainError | None] = []
    for failure, account in zip(failures, accounts, strict=True):
        if failure is None:
            found.append(None)
        elif everywhere:
            found.append(_retold(failure, "failed", _UNREACHABLE_ADVICE, _NETWORK))
        elif _is_refused(failure) and (regions[account] == 1 or refused[account] < regions[account]):
            found.append(_retold(failure, "region_disabled", _REFRESH, _DISABLED))
        else:
            found.append(failure)
    return found


def summary(failed: Sequence[tuple[str, DrainError]], targets: int) -> str:
    """Return one line that says which targets failed, and why."""
    named = [
        f"{name} {error.status} ({printable(error.code or type(error).__name__, 60)})"
        for name, error in failed[:_NAMED]
    ]
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return (
        f"{len(failed)} of {targets} targets failed: {', '.join(named)}{more}. "
        "See frames.coverage; drain frames.failed_targets again."
    )


def _is_refused(failure: DrainError | None) -> bool:
    """Tell whether AppStream refused credentials that STS accepted."""
    return failure is not None and failure.page > 0 and failure.code in _UNRECOGNIZED


def _retold(failure: DrainError, status: str, old: str, new: str) -> DrainError:
    told = type(failure)(
        str(failure).removesuffix(old) + new,
        target=failure.target,
        page=failure.page,
        resume_token=failure.resume_token,
        status=status,
        code=failure.code,
    )
    told.__cause__ = failure.__cause__
    return told


def _hushed(text: str) -> str:
    return _SECRETS.sub("***", text)


def seen(error: BaseException, asked: int = 1) -> str:
    """Return what was seen, in AWS's words or the exception's, safe to show."""
    times = f"asked {asked} times, last " if asked > 1 else ""
    if _answer(error):
        words = _hushed(str(_answer(error).get("Error", {}).get("Message", "")))
        return f"{times}AWS answered {code_of(error)} ({printable(words, 300)})"
    return f"{times}{type(error).__name__}: {printable(error, 300)}"
