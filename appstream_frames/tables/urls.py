"""What of a URL is not kept: the query string of an icon's URL, and the signature in any URL that no column is made for.

A signed URL is as good as a password until it expires.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, unquote

from appstream_frames.tables import raw_json

#: The member whose query string is dropped, wherever it stands.
ICON_URL: Final = "IconURL"
_ICON_QUERY: Final = re.compile(rf'("{ICON_URL}"\s*:\s*"(?:[^"\\?]|\\(?!u003[fF]).)*)(?:\?|\\u003[fF])(?:[^"\\]|\\.)*"')
_QUERY: Final = re.compile(r"\?[^\s\"'<>\\]*")
_SIGNATURE: Final = re.compile(r"(?:x-(?:amz|goog)-.*|signature|key-pair-id|policy|awsaccesskeyid|sig)", re.IGNORECASE)


def clean(value: Any, member: str = "") -> Any:
    """Return what `raw_json.loads` gave without what is not kept: query strings of icons, signatures of other URLs."""
    if isinstance(value, dict):
        return {name: clean(inner, ICON_URL if member == ICON_URL else name) for name, inner in value.items()}
    if isinstance(value, list):
        return type(value)(clean(inner, member) for inner in value)
    if not isinstance(value, str):
        return value
    return value.partition("?")[0] if member == ICON_URL else remove_signatures(value)


def clean_json(text: str) -> str:
    """Return JSON text without what is not kept; as it was, to the letter, when there is nothing of the kind."""
    if "?" not in text and "\\u" not in text:
        return text
    try:
        value = raw_json.loads(text)
        cleaned = clean(value)
        return text if cleaned == value else raw_json.dumps(cleaned)
    except (ValueError, RecursionError):
        return clean_text(text)


def clean_text(text: str) -> str:
    """Return JSON text that nests too deep to be parsed without what is not kept."""
    return remove_signatures(_ICON_QUERY.sub(r'\1"', text))


def remove_signatures(text: str) -> str:
    """Drop the parameters that sign a URL, in each URL of a text; everything else stays.

    Examples
    --------
    >>> remove_signatures("see https://i.example/a.png?X-Amz-Signature=5ec&size=2")
    'see https://i.example/a.png?size=2'
    """
    return _QUERY.sub(lambda query: _drop_signatures(query[0]), text) if "?" in text else text


def _drop_signatures(query: str) -> str:
    parameters = query[1:].split("&")
    kept = [_clean_parameter(parameter) for parameter in parameters if not _signs(parameter)]
    if kept == parameters:
        return query
    return f"?{'&'.join(kept)}" if kept else ""


def _signs(parameter: str) -> bool:
    name = unquote(parameter.partition("=")[0]).removeprefix("amp;")
    return bool(_SIGNATURE.fullmatch(name))


def _clean_parameter(parameter: str) -> str:
    """Return a parameter whose value may be a URL with a signature of its own."""
    name, equals, value = parameter.partition("=")
    inner = unquote(value)
    cleaned = remove_signatures(inner) if inner != value else value
    return parameter if cleaned in (inner, value) else f"{name}{equals}{quote(cleaned, safe='')}"
