"""Lossless JSON: numbers as they were written, lone surrogates as escapes, every value of a repeated member.

Only for values that do not fit a typed column; ordinary pages never need it. The only loss is on purpose: the signatures of URLs
are dropped, as a signed URL is as good as a password until it expires.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

#: The member whose query string is dropped.
ICON_URL: Final = "IconURL"
_STRING: Final = re.compile(
    rf'("{ICON_URL}"\s*:\s*)?("(?:[^"\\]|\\.)*")(\s*:)?'
)  # a string, and whether it is an icon's URL, or a name
_QUERY: Final = re.compile(r"\?[^\s\"'<>\\]*")
_SIGNATURE: Final = re.compile(
    r"(?:amp;)?(?:x-(?:amz|goog)-[^=]*|signature|key-pair-id|policy|awsaccesskeyid|sig)(?:=|\Z)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written, so that ``1e400``, ``1.10`` or forty digits are written back unchanged."""

    text: str


class Repeated(list[Any]):
    """The values of a member that is repeated in one object, in order."""


def loads(text: str) -> Any:
    """Parse strict JSON, with every number a `Number` and the values of a repeated member as `Repeated`.

    Raise ValueError when it is not JSON by RFC 8259 (``NaN`` is not), or is nested too deep for Python.

    Examples
    --------
    >>> loads('{"a": [1e400, null], "b": "x", "b": "y"}')
    {'a': [Number(text='1e400'), None], 'b': ['x', 'y']}
    """
    try:
        return json.loads(
            text, object_pairs_hook=_make_members, parse_int=Number, parse_float=Number, parse_constant=_refuse
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deep to be read") from None


def _make_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        for name in members:
            values = [value for other, value in pairs if other == name]
            members[name] = Repeated(values) if len(values) > 1 else values[0]
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def normalize_name(name: str) -> str:
    """Return a name for comparison: ``LaunchParameters``, ``launchParameters`` and ``launch_parameters`` become equal."""
    return re.sub(r"[\W_]", "", name.casefold())


def has_repeated_members(text: bytes) -> bool:
    """Return whether a member is repeated in any object of valid JSON."""
    found = []

    def note(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(text, object_pairs_hook=note, parse_int=str)  # Python refuses to read thousands of digits
    return any(found)


def dumps(value: Any) -> str:
    """Return a value of `loads` as JSON, in ASCII only, so that no character can control a terminal.

    Examples
    --------
    >>> dumps({"a": [Number("1.10"), "\\ud800", None], "b": Repeated([True, False])})
    '{"a":[1.10,"\\\\ud800",null],"b":true,"b":false}'
    """
    if isinstance(value, dict):
        each = ((name, inner if isinstance(inner, Repeated) else [inner]) for name, inner in value.items())
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(one)}" for name, values in each for one in values) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return value.text if isinstance(value, Number) else json.dumps(value)


def clean(value: Any, member: str = "") -> Any:
    """Return a value of `loads` without the query strings of icons and the signatures of other URLs; member names stay.

    Examples
    --------
    >>> clean({"IconURL": "https://i.example/a.png?b=1", "New": "see https://i.example/?X-Amz-Signature=5ec&size=2"})
    {'IconURL': 'https://i.example/a.png', 'New': 'see https://i.example/?size=2'}
    """
    if isinstance(value, dict):
        return {name: clean(inner, ICON_URL if member == ICON_URL else name) for name, inner in value.items()}
    if isinstance(value, list):
        return type(value)(clean(inner, member) for inner in value)
    if not isinstance(value, str):
        return value
    return value.partition("?")[0] if member == ICON_URL else _remove_signatures(value)


def clean_json(text: str) -> str:
    """Return JSON text without the signatures of URLs, however they are written; unchanged when it has none."""
    if "?" not in text and "\\u" not in text:
        return text
    try:
        value = loads(text)
        cleaned = clean(value)
    except (ValueError, RecursionError):
        return clean_text(text)
    return text if cleaned == value else dumps(cleaned)


def clean_text(text: str) -> str:
    """Return JSON text without the signatures of URLs; it is nested too deep to be parsed, so each string is parsed alone."""
    return _STRING.sub(_clean_string, text)


def _clean_string(found: re.Match[str]) -> str:
    icon, string, is_name = found.groups()
    value = json.loads(string)
    cleaned = value if is_name else clean(value, ICON_URL if icon else "")
    return found[0] if cleaned == value else (icon or "") + json.dumps(cleaned)


def _remove_signatures(text: str) -> str:
    try:
        return _QUERY.sub(_drop_parameters, text)
    except RecursionError:  # URLs within URLs, nested too deep for Python
        return text.partition("?")[0]


def _drop_parameters(query: re.Match[str]) -> str:
    kept = [_clean_parameter(each) for each in query[0][1:].split("&") if not _SIGNATURE.match(unquote(each))]
    return f"?{'&'.join(kept)}" if kept else ""


def _clean_parameter(parameter: str) -> str:
    """Return a parameter without signatures in its value, which may be a signed URL itself."""
    name, equals, value = parameter.partition("=")
    inner = unquote(value)
    cleaned = _remove_signatures(inner) if inner != value else inner  # an unquoted value belongs to the outer URL
    return parameter if cleaned == inner else f"{name}{equals}{quote(cleaned, safe='')}"
