"""Days, moments and lists in English, whatever the machine's locale is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

_MONTHS: Final = "January February March April May June July August September October November December".split()


def format_day(when: date) -> str:
    """Return a day as it is written in a letter.

    Examples
    --------
    >>> format_day(date(2026, 11, 3))
    '3 November 2026'
    """
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def format_moment(when: datetime) -> str:
    """Return a moment in UTC to the minute.

    Examples
    --------
    >>> format_moment(datetime(2026, 11, 3, 9, 5))
    '3 November 2026, 09:05 UTC'
    """
    return f"{format_day(when)}, {when:%H:%M} UTC"


def join_words(words: Sequence[str]) -> str:
    """Return words one after another.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
