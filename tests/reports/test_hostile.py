"""A stranger's words in the report: text in its place, never markup, and no secret among them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from markupsafe import escape
from support.reports import LAST, Outline, Report, taken

import appstream_frames as asf
from appstream_frames.text import printable

pytestmark = pytest.mark.slow

PAYLOADS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "' onmouseover='window.hit=1",
    "</style></title><iframe src=https://example.invalid>",
    "--><!--<b>",
    "]]>&lt;script&gt;",
    "javascript:window.hit=1",
    "$\\frac{",
    "${{{{",
    "{0.__class__}",
    "=1+1",
    "[link=https://example.invalid]x",
    "\x1b[31mred",
    "\u202etxet",
    "nul\x00nul",
    "line\u2028break\r\n",
    "e\u0301" + "\u0489" * 40,
    "日本語 \U0001f4a9",
    "W" * 20_000,
)


def variants() -> list[str]:
    """Return three hundred hostile texts: each as it is, within others, cut in odd places, and with a lone surrogate."""
    wraps = (
        "{}",
        "a{}",
        "{}b",
        '"{}"',
        "'{}'",
        "<{}>",
        "&{};",
        "{}" * 2,
        " {} ",
        "\ud800{}",
        "{}\udfff",
        "\x00{}",
        "--{}-->",
    )
    made = [wrap.replace("{}", payload) for payload in PAYLOADS for wrap in wraps]
    return [*made, *(payload[::-1] for payload in PAYLOADS), *(payload.upper() for payload in PAYLOADS)]


def test_three_hundred_hostile_texts_are_cells_of_a_table(reported: Callable[..., Report]) -> None:
    """As names and reasons of failed images: each is text in its cell, no element or attribute, and can be recognised."""
    texts = [text.encode("utf-8", "replace").decode() for text in variants()]
    assert len(texts) >= 300
    now = taken(LAST, type="PRIVATE")
    images = now.images.iloc[[0] * len(texts)].reset_index(drop=True)
    arns = [f"{images['arn'][0]}-{number}" for number in range(len(texts))]
    images = images.assign(name=texts, arn=arns, state="FAILED", state_change_reason_message=texts)
    html = reported(asf.Frames({**now.tables, "images": images})).html
    section = html[html.index('id="failed"') :].partition("</section>")[0]
    found = Outline(section).found
    assert {tag for tag, _ in found} <= set(
        "section h2 table caption thead tbody tr th td span ul li details summary div".split()
    )
    assert {name for _, attributes in found for name in attributes} <= {"id", "role", "scope", "data-label", "class"}
    assert [text for text in texts if str(escape(printable(text, 120)[:20])) not in section] == []


def test_a_secret_in_what_no_column_holds_stays_out(reported: Callable[..., Report]) -> None:
    """Fields that nobody has described are not quoted, and neither is a token to resume at."""
    canary = "https://x.invalid/?X-Amz-Signature=CANARY"
    now = taken(LAST, type="PRIVATE")
    tables = {
        **now.tables,
        "images": now.images.assign(unmodeled=f'{{"Url":"{canary}"}}'),
        "coverage": now.coverage.assign(status="failed", resume_token=canary),
    }
    before = taken(LAST, type="PRIVATE").relabel("2026-11-16")
    whole = asf.Frames({**tables, "coverage": now.coverage})
    assert "CANARY" not in reported(before, whole).html
    assert "CANARY" not in reported(before, asf.Frames(tables)).html
