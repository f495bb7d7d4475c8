"""Text from AWS made safe to show: any account that shares an image writes some of it.

Not a serializer: data in frames and files stays as AWS sent it. Only what is drawn, printed or put in HTML passes here.
"""

from __future__ import annotations

import unicodedata

# Cc controls, Cf bidi and other invisibles, Cs surrogates, Co private use, Zl/Zp line breaks
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def printable(value: object, width: int = 120) -> str:
    """Return one line of visible characters for any value, at most `width` long.

    Characters that a terminal or a browser would act on rather than show (controls, bidi marks, lone surrogates) are
    written as escapes, so the text can still be recognised.

    Parameters
    ----------
    value : object
        Anything; it is passed through `str`.
    width : int
        Longest result, in characters; a longer text ends in ``…``.

    Examples
    --------
    >>> printable("red \\x1b[31malert\\u202e")
    'red \\\\x1b[31malert\\\\u202e'
    >>> printable("x" * 99, width=5)
    'xxxx…'
    """
    text = str(value)
    head = text[: width + 1]
    safe = head if head.isascii() and head.isprintable() else "".join(map(_visible, head))
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
