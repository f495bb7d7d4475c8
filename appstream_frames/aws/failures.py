"""Map botocore's exceptions and AWS's error codes to this package's errors, with advice.

The codes are those that AWS's services return in practice; any other code is a failure with AWS's own message. Whether a failure
is transient is decided here; when a call is repeated, in `retries`.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from botocore import exceptions
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from appstream_frames.aws.redaction import is_verbatim, redact, scrub, walk_causes
from appstream_frames.errors import AccessError, DrainError, EndpointError, RequestError
from appstream_frames.text import printable

_Kind = type[DrainError | RequestError]
_NAMED: Final = 5  # targets in a summary
_FIRST_OPERATION: Final = "DescribeImages"  # the only one that takes the caller's parameters

# AWS's codes, and exception types by name, as not every version of botocore has all of them
_THROTTLES: Final = (
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException TooManyRequestsException "
    "RequestLimitExceeded RequestLimitExceededException SlowDown BandwidthLimitExceeded PriorRequestNotComplete "
    "LimitExceededException EC2ThrottledException ProvisionedThroughputExceededException TransactionInProgressException"
)
_TRANSIENT: Final = "RequestTimeout RequestTimeoutException IDPCommunicationError"
_NO_CREDENTIALS: Final = (
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError TokenRetrievalError SSOError NoAuthTokenError "
    "ProfileNotFound InvalidConfigError UnknownCredentialError LoginError "
    "FileNotFoundError PermissionError "  # of a web identity token file, or of a credential_process
    "EOFError"  # of a prompt for an MFA code, where nobody can type it
)
_WRONG_SETTING: Final = (
    "InvalidRetryModeError InvalidMaxRetryAttemptsError InvalidDefaultsMode InvalidSTSRegionalEndpointsConfigError"
)
_UNRECOGNIZED: Final = "UnrecognizedClientException InvalidClientTokenId"
_BAD_CREDENTIALS: Final = (
    f"{_UNRECOGNIZED} ExpiredToken ExpiredTokenException RequestExpired InvalidAccessKeyId InvalidSignatureException "
    "SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken MissingAuthenticationTokenException AuthFailure "
    "InvalidToken NotAuthorized InvalidIdentityToken IDPRejectedClaim"
)
_BAD_REQUEST: Final = (
    "InvalidParameterCombinationException InvalidParameterCombination InvalidParameterValue InvalidParameterException "
    "ValidationException ValidationError ResourceNotFoundException SerializationException ParamValidationError"
)

# what to do
SIGN_IN: Final = "No usable credentials: configure a profile, or sign in, and try again."
_ACCOUNT: Final = "Try again, or pass the account yourself: account='012345678901'."
_ALLOW: Final = (
    'Allow "appstream:OPERATION" on Resource "*" in the role\'s policy; a service control policy may deny it too.'
)
_CORRECT: Final = "Correct names=, arns=, type= or page_size=, or begin without a token; nothing was read."
_MIDWAY: Final = (
    "AWS refused what it had sent itself: a NextToken has expired, or a row that was asked about is gone or has no name. "
    "Begin again."
)
_REFRESH: Final = (
    "Sign in again (`aws sso login`) or renew the credentials. A region that is not enabled answers so too."
)
_ENABLE: Final = "Enable the region for the account, or leave it out."
_NOT_OFFERED: Final = "AWS does not offer OPERATION to this account in this region; leave it out."
_SLOW_DOWN: Final = "AWS asked to slow down until the time was up: raise timeout=, or drain fewer at once."
_FAILED: Final = "Expected a whole page. Nothing of this target is returned as if it were complete; try again."
_DISABLED: Final = "STS accepts these credentials, so it is the region: enable it for the account, or leave it out."
_UNREACHABLE: Final = "Check the region's spelling, that it has AppStream, and the network or proxy."
_NETWORK: Final = (
    "No endpoint of any region answered, so it is this machine's network, proxy or name service. Try again."
)
_NETWORK_FAILED: Final = (
    "The network, the proxy or the name service failed until the time was up. Try again, or raise timeout=."
)
_CERTIFICATE: Final = (
    "The server's certificate is not trusted here; a proxy that inspects traffic has a certificate of its own. Name the file of "
    "its CA certificates in the environment variable AWS_CA_BUNDLE, or as ca_bundle in the AWS configuration file."
)
_PROVIDER: Final = (
    "Run the profile's credential_process in a terminal, or look at the credential server, to see what it gives."
)
SETTINGS: Final = "Correct what the environment or the AWS configuration says."
#: Limits of this process that a drain of many targets may meet.
OUT_OF_FILES: Final = "This process may open no more files and connections (see `ulimit -n`)."
OUT_OF_THREADS: Final = (
    "This process may start no more threads (see `ulimit -u`, or the container's limit of processes)."
)


@dataclass(frozen=True)
class Position:
    """The position of a drain when it failed."""

    target: str  # account/region
    page: int = 0  # 0: before the first, during sign-in
    resume_token: str | None = None  # where to continue
    before: str = "GetCallerIdentity"  # the step before the first page
    advice: str = _ACCOUNT  # what to do when that is denied or fails
    operation: str = _FIRST_OPERATION  # of the pages
    #: The client or session whose secrets are removed from the error's text.
    holder: object = field(default=None, repr=False)


def get_code(error: BaseException) -> str:
    """Return AWS's code of a ClientError, made printable, or the type of any other exception."""
    if not _get_reply(error):
        return type(error).__name__
    code = str(_get_reply(error).get("Error", {}).get("Code") or f"HTTP {_get_http_status(error)}")
    return printable(redact(code[:1000]))


def _get_reply(error: BaseException) -> dict[str, Any]:
    """Return AWS's error reply; an empty dict when there was none."""
    return error.response if isinstance(error, ClientError) else {}


def _get_http_status(error: BaseException) -> int:
    return int(_get_reply(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_transient(error: BaseException) -> bool:
    """Return whether a failure is transient: AWS is busy, or the network or this machine is."""
    code, status = get_code(error), _get_http_status(error)
    busy = status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if busy or code in _TRANSIENT.split() or _is_throttle(error) or is_out_of_files(error):
        return True
    network = HTTPClientError | exceptions.ConnectionError | exceptions.IncompleteReadError
    return isinstance(error, network) and not _is_untrusted(error)


def _is_throttle(error: BaseException) -> bool:
    return get_code(error) in _THROTTLES.split() or _get_http_status(error) == HTTPStatus.TOO_MANY_REQUESTS


def is_unreachable(error: BaseException) -> bool:
    """Return whether the host name was not resolved, or no server listened there."""
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError) and not is_out_of_files(error)


def is_out_of_files(error: BaseException) -> bool:
    """Return whether this process could not open another file or connection."""
    return any(getattr(each, "errno", None) in (errno.EMFILE, errno.ENFILE) for each in walk_causes(error))


def is_refusal(error: BaseException) -> bool:
    """Return whether the credentials were missing, not accepted, or lacked a permission."""
    return _classify(error)[0] is AccessError


def _is_untrusted(error: BaseException) -> bool:
    """Return whether a server's certificate was not trusted, or the CA certificates could not be read."""
    kinds = exceptions.SSLError | ssl.SSLError
    return any(isinstance(each, kinds) and "certificate" in str(each).lower() for each in walk_causes(error))


#: The first entry whose test (a predicate or names) applies decides: error class, status in coverage, advice.
_VERDICTS: Final[tuple[tuple[Callable[[BaseException], bool] | str, _Kind, str, str], ...]] = (
    (is_verbatim, AccessError, "bad_credentials", _PROVIDER),
    (_NO_CREDENTIALS, AccessError, "bad_credentials", SIGN_IN),
    (_BAD_CREDENTIALS, AccessError, "bad_credentials", _REFRESH),
    (_WRONG_SETTING, DrainError, "failed", SETTINGS),
    ("AccessDenied AccessDeniedException UnauthorizedOperation UnauthorizedException", AccessError, "denied", _ALLOW),
    ("OptInRequired RegionDisabledException", AccessError, "region_disabled", _ENABLE),
    ("OperationNotPermittedException", DrainError, "not_offered", _NOT_OFFERED),
    (_BAD_REQUEST, RequestError, "failed", _CORRECT),
    (_is_untrusted, DrainError, "failed", _CERTIFICATE),
    (is_unreachable, EndpointError, "no_endpoint", _UNREACHABLE),
    ("ProxyConnectionError", DrainError, "failed", _NETWORK_FAILED),
    (is_out_of_files, DrainError, "failed", f"{OUT_OF_FILES} Raise that limit, or drain fewer at once."),
    (_is_throttle, DrainError, "throttled", _SLOW_DOWN),
    (lambda error: _get_http_status(error) == HTTPStatus.FORBIDDEN, AccessError, "denied", _ALLOW),
)


def _classify(error: BaseException, operation: str = "") -> tuple[_Kind, str, str]:
    """Return the error class, status and advice for an error of an operation."""
    names = {get_code(error), *(kind.__name__ for kind in type(error).__mro__)}
    for test, kind, status, advice in _VERDICTS:
        applies = not names.isdisjoint(test.split()) if isinstance(test, str) else test(error)
        if applies:
            return kind, status, advice.replace("OPERATION", operation)
    return DrainError, "failed", _FAILED


def explain(
    error: BaseException,
    position: Position,
    attempts: int = 1,
    late: BaseException | None = None,
    *,
    unreachable: bool = True,
) -> DrainError | RequestError:
    """Return the error of this package that says what was seen, what was expected and what to do.

    Secrets are removed from `error` and its causes, as tracebacks show them.

    `attempts` is the number of requests made; `late` the timeout error, if the time was up; `unreachable` whether every attempt
    found no server. RequestError is returned for the first page of the first operation only: the caller's parameters apply to no
    other operation, and are valid once a page was read with them.
    """
    kind, status, advice = _classify(error, position.operation)
    began = position.page > 1 or position.operation != _FIRST_OPERATION
    if kind is RequestError and (began or not position.page):
        kind, advice = DrainError, _MIDWAY
    if kind is EndpointError and (began or not unreachable):  # the endpoint had answered before
        kind, status, advice = DrainError, "failed", _NETWORK_FAILED
    if status == "not_offered" and position.page > 1:  # earlier pages were offered
        status, advice = "failed", _FAILED
    said = advice in (_CERTIFICATE, _PROVIDER, _NETWORK_FAILED, SETTINGS)
    if not position.page and status in {"denied", "failed"} and not said:
        advice = position.advice
    scrub(error, position.holder)
    step = f"page {position.page} of {position.operation}" if position.page else position.before
    words = describe(error, attempts) + (f"; {late}" if late not in (None, error) else "")
    message = f"{position.target}, {step}: {words}. {advice}"
    if not issubclass(kind, DrainError):
        return RequestError(message)
    where: dict[str, Any] = {name: getattr(position, name) for name in ("target", "page", "resume_token")}
    return kind(message, **where, status=status, code=get_code(error))


def describe(error: BaseException, attempts: int = 1) -> str:
    """Return what was seen, in AWS's words or the exception's, safe to show."""
    times = f"{attempts} attempts, the last: " if attempts > 1 else ""
    reply = _get_reply(error)
    words = str(reply.get("Error", {}).get("Message", "") if reply else error)
    shown = printable(redact(words[:1000]), 300).rstrip(".")
    return f"{times}AWS answered {get_code(error)} ({shown})" if reply else f"{times}{type(error).__name__}: {shown}"


def reconsider(failures: Sequence[DrainError | None]) -> list[DrainError | None]:
    """Return the failures of many targets, corrected by comparing them.

    When STS accepts credentials that AppStream does not know, the region is not enabled. When one endpoint does not answer, the
    region is the cause; when none answers, the network.
    """
    everywhere = len(failures) > 1 and all(f is not None and f.status == "no_endpoint" for f in failures)
    return [failure and _reconsider_one(failure, everywhere) for failure in failures]


def _reconsider_one(failure: DrainError, everywhere: bool) -> DrainError:
    if everywhere:
        status, old, new = "failed", _UNREACHABLE, _NETWORK
    elif failure.page > 0 and failure.code in _UNRECOGNIZED.split():
        status, old, new = "region_disabled", _REFRESH, _DISABLED
    else:
        return failure
    found = type(failure)(str(failure).removesuffix(old) + new, **{**vars(failure), "status": status})
    found.__cause__ = failure.__cause__
    return found


def summarize(failed: Sequence[tuple[str, DrainError]], targets: int) -> str:
    """Return one line that says which targets failed, and why; the caller adds what to do."""
    named = [
        f"{name} {error.status} ({printable(error.code or type(error).__name__, 60)})"
        for name, error in failed[:_NAMED]
    ]
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"{len(failed)} of {targets} targets failed: {', '.join(named)}{more}. See frames.coverage"
