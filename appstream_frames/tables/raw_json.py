"""JSON that is kept to the letter: numbers stay as they were written, lone surrogates stay escapes.

Only for what does not fit a typed column. Pages that hold nothing strange never pass through here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written, so that ``1e400``, ``1.10`` or forty digits come out as they went in."""

    text: str
    whole: bool


def loads(text: str, hook: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> Any:
    """Parse strict JSON, with every number a `Number`.

    Raises
    ------
    ValueError
        When the text is not JSON by RFC 8259 (``NaN`` is not), or nests deeper than Python can follow.

    Examples
    --------
    >>> loads('{"a": [1e400, null]}')
    {'a': [Number(text='1e400', whole=False), None]}
    """
    try:
        return json.loads(
            text,
            object_hook=hook,
            parse_int=lambda digits: Number(digits, whole=True),
            parse_float=lambda digits: Number(digits, whole=False),
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deep to be read") from None


def dumps(value: Any) -> str:
    """Write what `loads` gave as JSON again, in ASCII only, so that no character of it can act on a screen.

    Examples
    --------
    >>> dumps({"a": [Number("1.10", False), "\\ud800", None]})
    '{"a":[1.10,"\\\\ud800",null]}'
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return value.text if isinstance(value, Number) else json.dumps(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
