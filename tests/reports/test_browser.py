"""The report as a reader gets it: a file opened in a real browser with scripts off, at a desk's and at a phone's width."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import page_of
from support.reports import LAST, Outline, Report, repeated, taken

import appstream_frames
import appstream_frames as asf

pytestmark = pytest.mark.slow

WIDTHS = (1280, 390)


@pytest.fixture(params=["weekly_report", "estate_report"])
def either(request: pytest.FixtureRequest) -> Report:
    """Return one account's report, and then that of many."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=WIDTHS)
def opened(request: pytest.FixtureRequest, chromium: Any, either: Report) -> Iterator[tuple[Any, list[str]]]:
    """Return the page in a browser without scripts, and the addresses it asked for."""
    with page_of(chromium, request.param, java_script_enabled=False) as page:
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.on("console", lambda said: asked.append(said.text))
        page.goto(either.path.as_uri())
        yield page, asked


def beyond(page: Any) -> list[str]:
    """Return what reaches beyond the right edge of the window."""
    script = """() => [document.documentElement.scrollWidth > innerWidth ? 'page' : '',
        ...[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().right > innerWidth + 1 ? e.outerHTML : '')]
        .filter(x => x).map(x => x.slice(0, 200))"""
    found: list[str] = page.evaluate(script)
    return found


def test_it_asks_for_nothing_but_itself(opened: tuple[Any, list[str]]) -> None:
    """One request, the document; and no complaint of the browser about its policy."""
    page, asked = opened
    assert asked == [page.url]


def test_nothing_reaches_beyond_the_window(opened: tuple[Any, list[str]]) -> None:
    """The page does not scroll sideways, in print neither."""
    page, _ = opened
    assert beyond(page) == []
    page.emulate_media(media="print")
    assert beyond(page) == []


def test_tables_have_room_at_any_width(chromium: Any, reported: Callable[..., Report]) -> None:
    """Of several accounts and regions: the widest table stays on the page, and each of its columns can be read."""
    frames = repeated(taken(LAST), 2)
    apart = frames.coverage["account"].iloc[0]
    tables = {
        name: table.assign(region=table["region"].where(table["account"] == apart, "us-east-1"))
        for name, table in frames.tables.items()
    }
    with page_of(chromium, java_script_enabled=False) as page:
        page.goto(reported(asf.Frames(tables)).path.as_uri())
        for media, width in (("screen", 1000), ("screen", 800), ("print", 718)):  # of A4
            page.emulate_media(media=media)
            page.set_viewport_size({"width": width, "height": 900})
            cells = page.locator("#bases tbody tr").first.locator("th, td")
            widths = [cells.nth(place).bounding_box()["width"] for place in range(cells.count())]
            assert (beyond(page), len(widths), min(widths) > 48) == ([], 8, True), (media, width)


def test_every_section_is_on_the_page(opened: tuple[Any, list[str]], either: Report) -> None:
    """What to do first, then agents, base images, changes and coverage, each with a heading that can be seen."""
    page, _ = opened
    heads = page.locator("h1, dl, h2")
    assert all(heads.nth(place).is_visible() for place in range(heads.count()))
    names = page.locator("h2").all_inner_texts()
    assert [name for name in names if name != "Where the images are"] == [
        "What to do",
        "Agents",
        "Base images",
        "Failed images",
        "What changed",
        "Coverage",
    ][: len(names)]


def test_every_chart_is_drawn_for_the_width(opened: tuple[Any, list[str]]) -> None:
    """Pictures have loaded, and a phone shows narrower ones than a desk."""
    page, _ = opened
    sizes = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.complete])")
    assert len(sizes) >= 4
    expected = 4.0 * 96 if page.viewport_size["width"] == 390 else 8.2 * 96
    assert [size for size in sizes if abs(size[0] - expected) > 2 or not size[1]] == []


def test_it_is_dark_where_the_reader_wants_dark(chromium: Any, weekly_report: Report) -> None:
    """The page takes the reader's colours; a print is always on white."""
    seen = []
    with page_of(chromium, java_script_enabled=False, color_scheme="dark") as page:
        page.goto(weekly_report.path.as_uri())
        for media in ("screen", "print"):
            page.emulate_media(media=media)
            seen.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert seen == ["rgb(20, 23, 26)", "rgb(255, 255, 255)"]


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["text", "soft", "bad", "good"])
@pytest.mark.parametrize("ground", ["page", "box"])
def test_text_can_be_read_on_its_ground(scheme: int, text: str, ground: str) -> None:
    """Every colour of text has the contrast that WCAG AA asks for."""
    stylesheet = Path(appstream_frames.__file__).with_name("reports") / "stylesheet.css"
    colours = [re.findall(rf"--{name}: (#\w+)", stylesheet.read_text("utf-8"))[scheme] for name in (text, ground)]
    bright, dim = sorted(map(luminance, colours), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5


def test_it_can_be_heard(either: Report) -> None:
    """One first heading, a scope on every table header, a caption on every table, words for every picture, a language."""
    found = Outline(either.html).found
    tags = [tag for tag, _ in found]
    assert (tags.count("h1"), tags.count("table"), dict(found)["html"]["lang"]) == (1, tags.count("caption"), "en")
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in found if tag == "th")
    assert all((attributes.get("alt") or "").startswith("Chart: ") for tag, attributes in found if tag == "img")


def test_it_has_no_script_and_a_policy(either: Report) -> None:
    """Nothing in it could run, and its policy forbids it."""
    tags = {tag for tag, _ in Outline(either.html).found}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "svg", "a"}
    assert """content="default-src 'none'; style-src 'sha256-""" in either.html
