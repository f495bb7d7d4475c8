"""What went wrong, in words that help: botocore's exceptions and AWS's error codes to this package's errors.

The sets of codes are what AWS's services answer in practice; a code in none of them is a failure with AWS's own words. Whether a
failure is passing is said here; when a call is made again is decided in `retries`.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from botocore import exceptions
from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    InvalidConfigError,
    NoAuthTokenError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)

from appstream_frames.aws.redaction import is_verbatim, known_secrets, redact, scrub
from appstream_frames.errors import AccessError, DrainError, EndpointError, RequestError
from appstream_frames.text import printable

THROTTLES: Final = frozenset(
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException TooManyRequestsException "
    "RequestLimitExceeded RequestLimitExceededException SlowDown BandwidthLimitExceeded PriorRequestNotComplete".split()
)
_CREDENTIALS: Final = frozenset(
    "ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId "
    "InvalidSignatureException SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken AuthFailure "
    "MissingAuthenticationTokenException InvalidToken NotAuthorized InvalidIdentityToken IDPRejectedClaim".split()
)
_UNRECOGNIZED: Final = frozenset({"UnrecognizedClientException", "InvalidClientTokenId"})
_DENIED: Final = frozenset("AccessDenied AccessDeniedException UnauthorizedOperation UnauthorizedException".split())
_REGION: Final = frozenset("OptInRequired RegionDisabledException".split())
_NOT_OFFERED: Final = frozenset({"OperationNotPermittedException"})
_REQUEST: Final = frozenset(
    "InvalidParameterCombinationException InvalidParameterCombination InvalidParameterValue ValidationException "
    "ValidationError ResourceNotFoundException SerializationException InvalidParameterException".split()
)
_LOGIN_ERROR: Final = getattr(exceptions, "LoginError", NoCredentialsError)  # botocore has it since 1.40
_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
    NoAuthTokenError,
    ProfileNotFound,
    InvalidConfigError,
    UnknownCredentialError,
    _LOGIN_ERROR,
)
_NAMED: Final = 5
_ACCOUNT: Final = "Try again, or pass the account yourself: account='012345678901'."
_ALLOW: Final = (
    'Allow "appstream:OPERATION" on Resource "*" in the role\'s policy; a service control policy may deny it too.'
)
_SIGN_IN: Final = "No usable credentials: configure a profile, or sign in, and try again."
_NOT_OFFERED_ADVICE: Final = "AWS does not offer OPERATION to this account in this region; leave it out."
_CORRECT: Final = "Correct names, arns, type, page_size or starting_token; nothing was read."
_SLOW_DOWN: Final = "AWS asked to slow down until the time was up: raise timeout=, or drain fewer at once."
_FAILED: Final = "Expected a whole page. Nothing of this target is returned as if it were complete; try again."
_REFRESH: Final = (
    "Sign in again (`aws sso login`) or renew the credentials. A region that is not enabled answers so too."
)
_UNREACHABLE_ADVICE: Final = "Check the region's spelling, that it has AppStream, and the network or proxy."
_NETWORK: Final = (
    "No endpoint of any region answered, so it is this machine's network, proxy or name service. Try again."
)
_NETWORK_FAILED: Final = (
    "The network, the proxy or the name service failed until the time was up. Try again, or raise timeout=."
)
#: Limits of this process that a drain of many targets may meet.
OUT_OF_FILES: Final = "This process may open no more files and connections (see `ulimit -n`)."
OUT_OF_THREADS: Final = (
    "This process may start no more threads (see `ulimit -u`, or the container's limit of processes)."
)
_DISABLED: Final = "STS accepts these credentials, so it is the region: enable it for the account, or leave it out."
_MIDWAY: Final = (
    "AWS refused in the middle what it had accepted at the start, say a NextToken that expired. Begin again."
)
_CERTIFICATE: Final = (
    "The server's certificate is not trusted here; a proxy that inspects traffic has a certificate of its own. Name the file of "
    "its CA certificates in the environment variable AWS_CA_BUNDLE, or as ca_bundle in the AWS configuration file."
)
_PROVIDER: Final = (
    "Run the profile's credential_process in a terminal, or look at the credential server, to see what it gives."
)


@dataclass(frozen=True)
class Position:
    """Where a drain stood when it failed.

    Attributes
    ----------
    target : str
        ``account/region``.
    page : int
        Number of the page; 0 is before the first, during sign-in.
    resume_token : str or None
        Where to go on.
    before : str
        What is done before the first page.
    advice : str
        What to do when that is denied or fails.
    operation : str
        The operation of the pages.
    holder : botocore client or session, optional
        Whose credentials are taken out of the error's text.
    """

    target: str
    page: int
    resume_token: str | None
    before: str = "GetCallerIdentity"
    advice: str = _ACCOUNT
    operation: str = "DescribeImages"
    holder: object = field(default=None, repr=False)

    @property
    def step(self) -> str:
        """What was being done, in AWS's words."""
        return f"page {self.page} of {self.operation}" if self.page else self.before


def get_code(error: BaseException) -> str:
    """Return AWS's code of a botocore ClientError, made printable, or the kind of failure."""
    if not _get_reply(error):
        return type(error).__name__
    code = str(_get_reply(error).get("Error", {}).get("Code") or f"HTTP {_http_status(error)}")
    return printable(redact(code[:1000]))


def is_throttle(error: BaseException) -> bool:
    """Tell whether AWS asked us to slow down."""
    return bool(_get_reply(error)) and (get_code(error) in THROTTLES or _http_status(error) == 429)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same request may well succeed in a moment: AWS is busy, or the network or this machine is."""
    if is_throttle(error) or _http_status(error) >= 500 or is_out_of_files(error):
        return True
    network = isinstance(error, HTTPClientError | ConnectionError | IncompleteReadError)
    return network and not _is_untrusted(error)


def is_unreachable(error: BaseException) -> bool:
    """Tell whether the host had no name, or nobody listened there."""
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError) and not is_out_of_files(error)


def is_out_of_files(error: BaseException) -> bool:
    """Tell whether this process could not open one more file or connection."""
    return any(getattr(each, "errno", None) in (errno.EMFILE, errno.ENFILE) for each in _with_causes(error))


def is_refusal(error: BaseException) -> bool:
    """Tell whether the credentials were missing, not accepted, or not enough."""
    refused = get_code(error) in _CREDENTIALS | _DENIED or _http_status(error) == 403
    return refused or isinstance(error, _NO_CREDENTIALS)


def _get_reply(error: BaseException) -> dict[str, Any]:
    """Return AWS's answer; empty when there was none."""
    return error.response if isinstance(error, ClientError) and isinstance(error.response, dict) else {}


def _http_status(error: BaseException) -> int:
    return int(_get_reply(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_untrusted(error: BaseException) -> bool:
    """Tell whether a certificate was not accepted, or none could be read to check it with."""
    return any(
        isinstance(each, SSLError | ssl.SSLError) and "certificate" in str(each).lower() for each in _with_causes(error)
    )


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def explain(
    error: BaseException,
    position: Position,
    attempts: int = 1,
    late: BaseException | None = None,
    *,
    unreachable: bool = True,
) -> DrainError | RequestError:
    """Return the error of this package that says what was seen, what was expected and what to do.

    As `error` is shown as the cause, secrets are taken out of it and of what led to it.

    Parameters
    ----------
    error : BaseException
        What botocore or the page reader raised.
    position : Position
        Target, page and resume token.
    attempts : int
        How many times the page was requested.
    late : BaseException, optional
        That the time was up, when it was.
    unreachable : bool
        Whether every attempt before this one found no server either.
    """
    kind, status, advice = _classify(error, position.operation)
    if kind is RequestError and position.page > 1:  # the parameters were right for the pages before
        kind, advice = DrainError, _MIDWAY
    if kind is EndpointError and (position.page > 1 or not unreachable):  # it had been there
        kind, status, advice = DrainError, "failed", _NETWORK_FAILED
    if not position.page and status in {"denied", "failed"} and advice not in (_CERTIFICATE, _PROVIDER):
        advice = position.advice
    scrub(error, known_secrets(position.holder))
    words = describe(error, attempts) + (f"; {late}" if late not in (None, error) else "")
    message = f"{position.target}, {position.step}: {words}. {advice}"
    if not issubclass(kind, DrainError):
        return RequestError(message)
    return kind(
        message,
        target=position.target,
        page=position.page,
        resume_token=position.resume_token,
        status=status,
        code=get_code(error),
    )


_Verdict = tuple[type[DrainError | RequestError], str, str]  # this package's error, the status in coverage, what to do


def _classify(error: BaseException, operation: str) -> _Verdict:
    for applies, kind, status, advice in _VERDICTS:
        if applies(error):
            return kind, status, advice.replace("OPERATION", operation)
    return DrainError, "failed", _FAILED


def _has_code(*codes: frozenset[str]) -> Callable[[BaseException], bool]:
    return lambda error: any(get_code(error) in each for each in codes)


def _is_one_of(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, kinds)


#: The first that applies is the verdict.
_VERDICTS: Final[tuple[tuple[Callable[[BaseException], bool], type[DrainError | RequestError], str, str], ...]] = (
    (is_verbatim, AccessError, "bad_credentials", _PROVIDER),
    (_is_one_of(*_NO_CREDENTIALS), AccessError, "bad_credentials", _SIGN_IN),
    (_has_code(_CREDENTIALS), AccessError, "bad_credentials", _REFRESH),
    (_has_code(_DENIED), AccessError, "denied", _ALLOW),
    (_has_code(_REGION), AccessError, "region_disabled", "Enable the region for the account, or leave it out."),
    (_has_code(_NOT_OFFERED), DrainError, "not_offered", _NOT_OFFERED_ADVICE),
    (_has_code(_REQUEST), RequestError, "failed", _CORRECT),
    (_is_one_of(ParamValidationError), RequestError, "failed", _CORRECT),
    (_is_untrusted, DrainError, "failed", _CERTIFICATE),
    (is_unreachable, EndpointError, "no_endpoint", _UNREACHABLE_ADVICE),
    (is_out_of_files, DrainError, "failed", f"{OUT_OF_FILES} Raise that limit, or drain fewer at once."),
    (is_throttle, DrainError, "throttled", _SLOW_DOWN),
    (lambda error: _http_status(error) == 403, AccessError, "denied", _ALLOW),
)


def reconsider(failures: Sequence[DrainError | None]) -> list[DrainError | None]:
    """Return the failures of many targets in the light of each other.

    Credentials that STS accepts and AppStream does not know are those of a region that is not enabled. An endpoint that does
    not answer is the region's fault; when none answers, the network's.
    """
    everywhere = len(failures) > 1 and all(f is not None and f.status == "no_endpoint" for f in failures)
    found: list[DrainError | None] = []
    for failure in failures:
        if failure is not None and everywhere:
            found.append(_restate(failure, "failed", _UNREACHABLE_ADVICE, _NETWORK))
        elif failure is not None and failure.page > 0 and failure.code in _UNRECOGNIZED:
            found.append(_restate(failure, "region_disabled", _REFRESH, _DISABLED))
        else:
            found.append(failure)
    return found


def summarize(failed: Sequence[tuple[str, DrainError]], targets: int) -> str:
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


def _restate(failure: DrainError, status: str, old: str, new: str) -> DrainError:
    restated = type(failure)(
        str(failure).removesuffix(old) + new,
        target=failure.target,
        page=failure.page,
        resume_token=failure.resume_token,
        status=status,
        code=failure.code,
    )
    restated.__cause__ = failure.__cause__
    return restated


def describe(error: BaseException, attempts: int = 1) -> str:
    """Return what was seen, in AWS's words or the exception's, safe to show."""
    times = f"{attempts} attempts, the last: " if attempts > 1 else ""
    if _get_reply(error):
        words = str(_get_reply(error).get("Error", {}).get("Message", ""))
        return f"{times}AWS answered {get_code(error)} ({_make_printable(words)})"
    return f"{times}{type(error).__name__}: {_make_printable(str(error))}"


def _make_printable(words: str) -> str:
    return printable(redact(words[:1000]), 300)
