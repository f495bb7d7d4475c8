"""Counts and ages in English, whatever the machine's locale is."""

from __future__ import annotations


def format_share(part: int, whole: int, verb: str) -> str:
    """Return how many of the images do what a verb says.

    Examples
    --------
    >>> format_share(14, 61, "run"), format_share(1, 61, "run"), format_share(0, 61, "run")
    ('14 of 61 images run', '1 of 61 images runs', 'No image runs')
    >>> format_share(2000, 2000, "run"), format_share(1, 1, "run")
    ('All 2,000 images run', 'The only image runs')
    """
    does = "is" if verb == "are" else f"{verb}s"
    if part == whole:
        return f"All {whole:,} images {verb}" if whole > 1 else f"The only image {does}"
    if part == 0:
        return f"No image {does}"
    return f"{part:,} of {whole:,} images {does if part == 1 else verb}"


def format_count(number: int, thing: str = "other") -> str:
    """Return a count and its noun.

    Examples
    --------
    >>> format_count(1), format_count(2000, "image"), format_count(0, "image")
    ('1 other', '2,000 images', 'no images')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}" if number else f"no {thing}s"


def format_age(days: int) -> str:
    """Return an age that a person can take in.

    Examples
    --------
    >>> format_age(0), format_age(1), format_age(30), format_age(275), format_age(767)
    ('today', '1 day', '30 days', '9 months', '2.1 years')
    """
    if days < 45:
        return format_count(days, "day") if days else "today"
    return f"{round(days / 30.44)} months" if days < 365 else f"{days / 365.25:.1f} years"
