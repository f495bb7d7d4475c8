"""JSON that is kept to the letter: numbers stay as they were written, lone surrogates stay escapes, repeated members all stay.

Only for what does not fit a typed column. Pages that hold nothing strange never pass through here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written, so that ``1e400``, ``1.10`` or forty digits come out as they went in."""

    text: str
    whole: bool


class Repeated(list[Any]):
    """The values of a member that stands more than once in one object, in order."""


def loads(text: str) -> Any:
    """Parse strict JSON, with every number a `Number` and the values of a member that stands twice as `Repeated`.

    ValueError says that it is not JSON by RFC 8259 (``NaN`` is not), or nests deeper than Python can follow.

    Examples
    --------
    >>> loads('{"a": [1e400, null], "b": "x", "b": "y"}')
    {'a': [Number(text='1e400', whole=False), None], 'b': ['x', 'y']}
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_make_members,
            parse_int=lambda digits: Number(digits, whole=True),
            parse_float=lambda digits: Number(digits, whole=False),
            parse_constant=_refuse,
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


def has_repeated_members(text: bytes) -> bool:
    """Return whether a member stands twice in any object of valid JSON.

    Examples
    --------
    >>> has_repeated_members(b'[{"a": 1, "b": {"a": 2}}]'), has_repeated_members(b'[{"a": 1, "a": 1}]')
    (False, True)
    """
    found = []

    def note(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(text, object_pairs_hook=note, parse_int=str)  # Python refuses to read thousands of digits
    return any(found)


def dumps(value: Any) -> str:
    """Write what `loads` gave as JSON again, in ASCII only, so that no character of it can act on a screen.

    Examples
    --------
    >>> dumps({"a": [Number("1.10", False), "\\ud800", None], "b": Repeated([True, False])})
    '{"a":[1.10,"\\\\ud800",null],"b":true,"b":false}'
    """
    if isinstance(value, dict):
        each = ((name, inner if isinstance(inner, Repeated) else [inner]) for name, inner in value.items())
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(one)}" for name, values in each for one in values) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return value.text if isinstance(value, Number) else json.dumps(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
