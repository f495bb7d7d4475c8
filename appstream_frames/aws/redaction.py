"""Remove secrets from texts and errors before they are shown.

Known secrets, which are the credentials of this process and the user names and passwords in its URLs, are removed literally, in
every encoding that a reply may contain, whole or in part. Other tokens, keys and signatures are recognized by their form, or by
the name in front of them.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final
from urllib.parse import quote, unquote

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, MetadataRetrievalError
from botocore.session import Session

from appstream_frames.aws import botocore_private
from appstream_frames.errors import AppStreamFramesError
from appstream_frames.text import printable

MASK: Final = "***"
_HIDDEN: Final = "\ue000"  # replaces a removed character
_SHOWN: Final = 2_000  # characters of a cause
_SHORTEST: Final = 8  # characters; masking shorter literals would mask ordinary words
_PIECE: Final = 12  # characters of a secret in a row that do not match by chance
_NOT_SHOWN: Final = "what the credential provider gave is not shown, as it may hold secrets"
#: Modules whose stack frames hold the session token or the reply in local variables.
_CARRIERS: Final = ("botocore", "urllib3", "http.client", "json", "appstream_frames.fetch.response")
#: Providers whose messages quote the output of the user's program or server, which may be the credentials themselves.
_VERBATIM: Final = ("custom-process", "container-role")
#: The dictionaries that an error keeps: botocore's, without the headers and the other members of a reply.
_KEPT: Final = ("kwargs", "response", "Error", "ResponseMetadata")
_SECRET_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN "
    "AWS_CONTAINER_AUTHORIZATION_TOKEN".split()
)
_TOKEN_FILES: Final = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
_SECRET_SETTINGS: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "external_id")

_NAMES: Final = (
    r"token|secret|cookie|passw(?:or)?d|pwd|signature(?:[-_]?provided)?|credentials?|authorization|assertion|api[-_]?key|"
    r"private[-_ ]?key|access[-_ ]?key(?:[-_ ]?id)?|secret[-_ ]?key|key-pair-id"
)
_QUOTE: Final = r"""(?:["'`\\]|&quot;|&\#34;|&\#39;|%22)*"""
#: Patterns of secrets, and their replacements.
_FORMS: Final = {
    # a user name and a password in a URL
    r"(?i)(?<=://)[^\s/?#\"'<>]*@": f"{MASK}@",
    # a value after its name: "SessionToken": "…", X-Amz-Signature=…, <SecretAccessKey>…, Authorization: Bearer …
    rf"(?i)({_NAMES})({_QUOTE}\s*(?:[:=>]|%3D|%3A|\\u003d)+\s*{_QUOTE})"
    r"(?:(?:bearer|basic|negotiate|aws4-hmac-sha256)\s+)?[^\s\"'`&,;<>)\\]{6,}": rf"\1\2{MASK}",
    # a value after its name in a sentence: it has a digit, unlike a word
    r"(?i)\b(token|secret|signature|password|key(?: id)?|bearer)((?:\s+(?:is|was|of))?[\s:\"'(\[<`]+)"
    r"(?=[\w+/=%.~-]{16})(?=[\w+/=%.~-]*\d)[\w+/=%.~-]+": rf"\1\2{MASK}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)": MASK,
    r"(?i)\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}": MASK,  # key ids
    r"\beyJ[\w-]{8,}(?:\.[\w-]+){0,4}": MASK,  # JSON web tokens
    r"\b(?:IQoJ|FwoG|FQoG)[\w+/=%-]{16,}": MASK,  # session tokens
    r"(?i)\b[0-9a-f]{64}\b": MASK,  # signatures of version 4
    r"(?<![\w+/])(?:[A-Za-z0-9+/]{27}|[A-Za-z0-9+/]{43})=(?!=)": MASK,  # signatures of version 2
}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with secrets masked: the given ones, and all that have the form of one.

    Examples
    --------
    >>> redact("https://ann:pass@proxy:8080 refused X-Amz-Signature=0123abcd&x=1")
    'https://***@proxy:8080 refused X-Amz-Signature=***&x=1'
    >>> redact("the user hunter2hunter2 is not known", ["hunter2hunter2"])
    'the user *** is not known'
    """
    text = _mask_literals(text, secrets)
    for form, instead in _FORMS.items():
        text = re.sub(form, instead, text)
    return text


def _mask_literals(text: str, secrets: Iterable[str]) -> str:
    """Mask each part of a secret that is too long to match by chance."""
    pieces: dict[int, set[str]] = {}
    for known in {form.lower() for secret in secrets for form in _list_encodings(secret)}:
        size = min(_PIECE, len(known))
        pieces.setdefault(size, set()).update(known[start : start + size] for start in range(len(known) - size + 1))
    chars, lower = list(text), [char.lower()[:1] for char in text]  # str.lower may change the length
    for size, sought in pieces.items():
        for start in range(len(lower) - size + 1):
            if "".join(lower[start : start + size]) in sought:
                chars[start : start + size] = [_HIDDEN] * size
    return re.sub(f"{_HIDDEN}+", MASK, "".join(chars))


def _list_encodings(secret: str) -> Iterator[str]:
    """Yield a secret in each encoding that a reply may contain; nothing when it is as short as a word."""
    if len(secret) < _SHORTEST:
        return
    plain = secret.strip()
    content, quoted = plain.encode("utf-8", "replace"), quote(plain, safe="")
    yield from (plain, quote(plain), quoted, quote(quoted, safe=""), html.escape(plain))
    yield from (json.dumps(plain)[1:-1], plain.replace("/", "\\/"))
    yield from (base64.b64encode(content).decode().rstrip("="), content.hex())


def list_secrets(holder: object = None) -> list[str]:
    """Return the secrets of the environment, the AWS files, and a botocore client or session, without a refresh of the latter."""
    found: list[str | None] = [os.environ.get(name) for name in _SECRET_VARIABLES]
    found += map(_read_file, map(os.environ.get, _TOKEN_FILES))
    urls = list(urllib.request.getproxies().values())
    urls += [value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL")]
    credentials = botocore_private.find_credentials(holder)
    if credentials is not None:
        found += botocore_private.read_current_keys(credentials)
    if isinstance(holder, BaseClient):
        urls += [str(holder.meta.endpoint_url), *map(str, (holder.meta.config.proxies or {}).values())]
    elif isinstance(holder, Session):
        with suppress(BotoCoreError):
            for profile in _list_profiles(holder):
                found += [*map(profile.get, _SECRET_SETTINGS), _read_file(profile.get("web_identity_token_file"))]
                services = holder.full_config.get("services", {}).get(profile.get("services"), {})
                urls += [each["endpoint_url"] for each in (profile, *services.values()) if "endpoint_url" in each]
    return [secret for secret in [*found, *(each for url in urls for each in _find_user_info(url))] if secret]


def _list_profiles(session: Session) -> Iterator[dict[str, Any]]:
    """Yield the settings of a session's profile, and of its source profiles."""
    profiles, name, passed = session.full_config["profiles"], session.profile or "default", set[str]()
    while name in profiles and name not in passed:
        passed.add(name)
        yield profiles[name]
        name = profiles[name].get("source_profile", "")


def _read_file(path: str | None) -> str | None:
    """Return the content of a token file; None when it cannot be read."""
    with suppress(OSError, ValueError):
        return Path(path).read_text("utf-8", "replace") if path else None
    return None


def _find_user_info(url: str) -> Iterator[str]:
    """Yield the user information in a URL and its password, each as written and unquoted; either may contain a slash."""
    if found := re.search("://(.*)@", url):
        yield from (found[1], unquote(found[1]))
        password = found[1].partition(":")[2]
        yield from (password, unquote(password))


@contextmanager
def redacting(holder: object, *secrets: str | None) -> Iterator[None]:
    """Remove the given secrets, and those of a client or session, from any error that the block raises."""
    try:
        yield
    except Exception as error:
        scrub(error, holder, *secrets)
        raise


def scrub(error: BaseException, holder: object = None, *more: str | None) -> None:
    """Remove the given secrets, and those of a client or session, from an error and all its causes.

    This covers texts, attributes and tracebacks. An AWS error keeps its code, its message and its HTTP status; errors of this
    package are not changed.
    """
    secrets = [*list_secrets(holder), *filter(None, more)]
    for each in walk_causes(error):
        if not isinstance(each, AppStreamFramesError):
            _scrub_one(each, secrets)
        if any(frame.f_globals.get("__name__", "").startswith(_CARRIERS) for frame, _ in walk_tb(each.__traceback__)):
            each.__traceback__ = None


def walk_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts, suppressed contexts too."""
    left, seen = [error], set[int]()
    while left:
        error = left.pop(0)
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            left += [error.__cause__, error.__context__]


def is_verbatim(error: BaseException) -> bool:
    """Return whether an error's text quotes the input of a credential provider, so that any of it may be secret."""
    if isinstance(error, CredentialRetrievalError):
        return error.kwargs.get("provider") in _VERBATIM
    reads = type(error).__module__.startswith(("dateutil", "json"))  # botocore parses replies of providers with these
    return reads or isinstance(error, MetadataRetrievalError | UnicodeError)


def _scrub_one(error: BaseException, secrets: list[str]) -> None:
    hidden = is_verbatim(error)

    def clean(value: object, name: str = "") -> Any:
        if isinstance(value, dict) and name in _KEPT:
            return {inner: clean(each, inner) for inner, each in value.items()}
        if isinstance(value, str | bytes):
            text = value if value in _VERBATIM else ""  # the provider's name stays
            return text if hidden else printable(redact(str(value)[: 2 * _SHOWN], secrets), _SHOWN)
        return value if isinstance(value, int | float) else None

    attributes = {name: clean(each, name) for name, each in vars(error).items()}
    if isinstance(error, OSError) and error.strerror is not None:
        error.strerror = clean(error.strerror)
    if isinstance(error, UnicodeDecodeError):
        error.object = b""
    args = [part if isinstance(part, str | bytes | int | float | None) else str(part) for part in error.args]
    error.args = (_NOT_SHOWN,) if hidden else tuple(map(clean, args))
    vars(error).update(attributes)
