"""Frames with a hostile text in every text field, and whether what is shown of them is inert and can be recognised."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

import pandas as pd
from support.faultserver import ACCOUNT
from support.hostile import PAYLOADS, Payload, images

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty, to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.schema import list_tables

TEXTS = [payload.text for payload in PAYLOADS]
WEEKS = ("2026-11-16", "2026-11-23")
#: Categories of what a screen acts on, shows nothing of, or cannot show.
RAW = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def raw(text: str) -> list[str]:
    """Return what a screen would act on: controls but the end of a line, bidi marks, surrogates, piles of marks."""
    found = {ascii(char) for char in set(text) - {"\n"} if unicodedata.category(char) in RAW}
    return sorted(found | {ascii(pile) for pile in re.findall(r"[\u0300-\u0489\u0e49]{3,}", text)})


def unknown(shown: str, width: int, among: list[Payload] = PAYLOADS) -> list[str]:
    """Return the texts that cannot be recognised, of those whose word comes before the cut, were all before it escaped."""
    longest = len("\\U0010ffff")
    early = [one for one in among if longest * one.text.index(one.word) + len(one.word) < width]
    return [one.text[:80] for one in early if one.word not in shown]


def strange(name: str, texts: list[str], count: int) -> pd.DataFrame:
    """Return so many rows of a table, in every text field of which is a text; as objects, so that surrogates stay."""
    columns = [column for column in list_tables()[name].columns if column.kind in ("string", "strings", "map")]
    made = {}
    for place, column in enumerate(columns):
        held = [texts[(row + 7 * place) % len(texts)] for row in range(count)]
        values = {"string": held, "strings": [[text] for text in held], "map": [{text: text} for text in held]}
        made[column.name] = pd.Series(values[column.kind], dtype=object)
    return make_empty(name).reindex(range(count)).assign(**made, snapshot=pd.Timestamp(WEEKS[1], tz="UTC"))


def taken(week: str, again: int) -> asf.Frames:
    """Return frames of 300 images as AWS might send them, and of as many targets that failed with strange words."""
    moment = pd.Timestamp(week, tz="UTC").to_pydatetime()
    tables = decode(list(images(TEXTS, again)), Key(moment, ACCOUNT, "eu-west-1"))
    known = [text.encode("utf-8", "backslashreplace").decode() for text in TEXTS]  # Arrow holds no surrogates
    failed = strange("coverage", known, len(known)).assign(snapshot=moment, operation="DescribeImages")
    whole = failed.head(1).assign(account=ACCOUNT, region="eu-west-1", status="complete", request="{}")
    coverage = pd.concat([whole, failed], ignore_index=True)
    return asf.Frames({**{name: to_pandas(table) for name, table in tables.items()}, "coverage": coverage})


class Outline(HTMLParser):
    """The elements of HTML, their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data
