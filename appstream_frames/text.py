"""Text from AWS made safe to show: any account that shares an image writes some of it.

Not a serializer: data in frames and files stays as AWS sent it. Only what is drawn, printed or put in HTML passes here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

# Cc controls, Cf bidi and other invisibles, Cs surrogates, Co private use, Cn unassigned, Me around a letter, Zl/Zp line breaks
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Me", "Zl", "Zp"})
# letters and marks that nobody sees: fillers, joiners, variation selectors
_FILLERS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)
_UNSEEN = frozenset(map(chr, (*_FILLERS, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_MARKS = 2  # on one letter, as Thai and Vietnamese need; more of them are written as escapes


def printable(value: object, width: int = 120) -> str:
    """Return one line of visible characters for any value, at most `width` long.

    Characters that a terminal or a browser would act on rather than show (controls, bidi marks, lone surrogates), those that
    nobody sees, and marks that pile up on a letter are written as escapes, so the text can still be recognised.

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
    safe = head if head.isascii() and head.isprintable() else "".join(_visible(head))
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def encodable(text: str) -> str:
    """Return a text with its lone surrogates as escapes, which pandas' own strings cannot hold.

    Examples
    --------
    >>> encodable("red \\ud800 alert")
    'red \\\\ud800 alert'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _visible(text: str) -> Iterator[str]:
    marks = _MARKS  # one in front would sit on what is shown before the text
    for char in text:
        kind = unicodedata.category(char)
        marks = marks + 1 if kind == "Mn" else 0
        shown = kind not in _UNSAFE and char not in _UNSEEN and marks <= _MARKS
        yield char if shown else char.encode("unicode_escape", "surrogatepass").decode("ascii")
