"""Text for people: AWS's text made safe to display, and counts, ages, dates and lists in English, in every locale.

Text from AWS is not trusted: any account that shares an image writes some of it. Frames and files keep it as sent; all that is
drawn, printed or put in HTML passes through this module.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, datetime

# Cc controls, Cf bidi and other invisibles, Cs surrogates, Co private use, Cn unassigned, Me around a letter, Zl/Zp line breaks
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Me", "Zl", "Zp"})
# invisible letters and marks: fillers, joiners, variation selectors
_FILLERS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)
_UNSEEN = frozenset(map(chr, (*_FILLERS, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_MONTHS = "January February March April May June July August September October November December".split()
_MARKS = 2  # combining marks per letter, as Thai and Vietnamese need; further ones are written as escapes


def printable(value: object, width: int = 120) -> str:
    """Return one line of visible characters for any value, at most `width` long.

    Control characters, bidi marks, lone surrogates, invisible characters and stacks of combining marks are written as escapes.
    A longer text ends in ``…``.

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
    """Return a text with lone surrogates, which pandas' strings cannot hold, written as escapes.

    Examples
    --------
    >>> encodable("red \\ud800 alert")
    'red \\\\ud800 alert'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _visible(text: str) -> Iterator[str]:
    marks = _MARKS  # a mark at the start would combine with the text displayed before it
    for char in text:
        kind = unicodedata.category(char)
        marks = marks + 1 if kind == "Mn" else 0
        shown = kind not in _UNSAFE and char not in _UNSEEN and marks <= _MARKS
        yield char if shown else char.encode("unicode_escape", "surrogatepass").decode("ascii")


def format_count(number: int, thing: str = "other") -> str:
    """Return a count and its noun.

    Examples
    --------
    >>> format_count(1), format_count(2000, "image"), format_count(0, "image")
    ('1 other', '2,000 images', 'no images')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}" if number else f"no {thing}s"


def format_share(part: int, whole: int, verb: str) -> str:
    """Return how many images a verb applies to, as the start of a sentence.

    Examples
    --------
    >>> format_share(14, 61, "run"), format_share(1, 61, "are"), format_share(0, 61, "run")
    ('14 of 61 images run', '1 of 61 images is', 'No image runs')
    >>> format_share(2000, 2000, "run"), format_share(1, 1, "run")
    ('All 2,000 images run', 'The only image runs')
    """
    does = "is" if verb == "are" else f"{verb}s"
    if part == whole:
        return f"All {whole:,} images {verb}" if whole > 1 else f"The only image {does}"
    return f"{part:,} of {whole:,} images {does if part == 1 else verb}" if part else f"No image {does}"


def format_age(days: int) -> str:
    """Return an age in days, months or years.

    Examples
    --------
    >>> format_age(0), format_age(1), format_age(30), format_age(275), format_age(767)
    ('today', '1 day', '30 days', '9 months', '2.1 years')
    """
    if days < 45:
        return format_count(days, "day") if days else "today"
    return f"{round(days / 30.44)} months" if days < 365 else f"{days / 365.25:.1f} years"


def format_day(when: date) -> str:
    """Return a date in words, such as 3 November 2026."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def format_moment(when: datetime) -> str:
    """Return a moment in UTC to the minute, such as 3 November 2026, 09:05 UTC."""
    return f"{format_day(when)}, {when:%H:%M} UTC"


def join_words(words: Sequence[str], most: int | None = None) -> str:
    """Return words as an English list; words beyond the first `most` are counted.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b", "c"]), join_words(["a", "b", "c"], 1)
    ('a', 'a, b and c', 'a and 2 others')
    """
    rest = len(words) - len(words[:most])
    words = [*words[:most], *([format_count(rest)] if rest else [])]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
