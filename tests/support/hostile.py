"""Three hundred texts that a stranger might write into an image, each with a plain word in it by which it is recognised.

Families of attacks at three places of a text, alone and two at a time; made by a fixed seed, so a failing test can name one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from appstream_frames.tables.schema import Column, list_tables

FAMILIES: dict[str, tuple[str, ...]] = {
    "script": ("<script>window.pwned=1</script>", "<svg/onload=window.pwned=1>", "</style></title><script>pwned=1</script>"),
    "onerror": ("<img src=x onerror=window.pwned=1>", "<iframe srcdoc='<script>parent.pwned=1</script>'>"),
    "attribute": ('"><img src=x onerror=pwned=1>', "' autofocus onfocus='window.pwned=1", "--><script>pwned=1</script><!--"),
    "cdata": ("]]><script>window.pwned=1</script>", "&lt;b&gt;&#60;script&#62;", "<a href='javascript:pwned=1'>x</a>"),
    "mathtext": ("$\\frac{", "${{{{", "$\\href{javascript:pwned=1}{x}$", "\\", "$$\\def\\x{\\x\\x}\\x$$", "_nolegend_"),
    "terminal": ("\x1b[31mred\x1b[2J", "\x1b]0;title\x07\x1b]8;;http://x.invalid\x07", "\x9b31m\x9d0;t\x9c", "\x08\x08\x7f"),
    "bidi": ("\u202etxt.exe\u202c", "\u2066\u2067a\u2069", "\u200f\u200e\u061c", "\u202a\u202b\u202d"),
    "invisible": ("\u200b\u200c\u200d\u2060\ufeff", "\u3164\u115f\uffa0\u034f", "\ufe0f\U000e0100\U000e0041", "\u00ad\u180e"),
    "marks": ("z\u0300\u0301\u0302\u0489" * 30, "\u0e49" * 50, "e\u0301", "\u20dd\u20e0"),
    "broken": ("a\ud800b", "\udc00\ud83d", "nul\x00nul", "\uffff\ufdd0\U0010ffff", "\ue000\U000f0000"),
    "lines": ("a\r\nb", "a\rb\tc\x0bd\x0ce", "a\u2028b\u2029c\x85d", "\n" * 50),
    "formula": ("=1+1", "+cmd|'/C calc'!A0", "-2+3", '@SUM(A1)"'),
    "long": ("W" * 20_000, "\u6f22" * 20_000, "a " * 10_000, "<" * 5_000),
    "markup": ("[link=https://x.invalid]x[/link]", "{0.__class__}", "%s%n%x", "{{7*7}}", "${7*7}", "`id`;$(id)", "%(x)s"),
    "path": ("../../../etc/passwd", "..\\..\\nul", "/etc/passwd", "C:\\con"),
    "emoji": ("\U0001f468\u200d\U0001f469\u200d\U0001f467\u2764\ufe0f",),
    "scripts": ("\u05e9\u05dc\u05d5\u05dd 12", "\u0645\u0631\u062d\u0628\u0627", "\u65e5\u672c\u8a9e" * 20),
}  # fmt: skip
PLACES = ("{word} {text}", "{text}{word}", "{text} {word} {text}", "{word}{text}\U0001f4a9")


@dataclass(frozen=True)
class Payload:
    """A hostile text, and the plain word in it."""

    word: str
    text: str


def _payloads(count: int = 300) -> list[Payload]:
    """Return so many payloads, always the same: every attack at every place, then two attacks in one text."""
    random, cores = Random(2026), [text for family in FAMILIES.values() for text in family]
    plain = [(place, core) for place in PLACES for core in cores]
    mixed = iter(lambda: (random.choice(PLACES), random.choice(cores) + random.choice(cores)), None)
    pairs = [*plain, *(next(mixed) for _ in range(count - len(plain)))][:count]
    words = [f"word{number:03}" for number in range(count)]
    return [
        Payload(word, place.replace("{word}", word).replace("{text}", core))
        for word, (place, core) in zip(words, pairs, strict=True)
    ]


def images(texts: list[str], again: int = 0) -> Iterator[bytes]:
    """Yield an image a text as AWS's JSON, in every field of which, and of its applications and errors, is some text.

    Over all images every field holds every text. With another `again`, all but names and ARNs hold other texts.
    """
    for number in range(len(texts)):
        made = _row("images", texts, number, again)
        for table in list_tables().values():
            if table.parent == "images":
                made[table.path[-1]] = [_row(table.name, texts, number + 1, again)]
        made |= {"Arn": f"arn:aws:appstream:eu-west-1:012345678901:image/{number}", "Name": texts[number]}
        yield json.dumps(made).encode()


def _row(name: str, texts: list[str], number: int, again: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for place, column in enumerate(list_tables()[name].modelled):
        inner = made
        for step in column.path[:-1]:
            inner = inner.setdefault(step, {})
        text = texts[(number + 7 * place + again) % len(texts)]
        value = _value(column, text)
        if value is not None:
            inner[column.path[-1]] = value
    return made


def _value(column: Column, text: str) -> Any:
    values = {"string": text, "strings": [text], "map": {text: text}, "json": text, "timestamp": 1_617_300_000}
    return values.get(column.kind)


PAYLOADS = _payloads()
