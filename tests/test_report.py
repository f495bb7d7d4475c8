"""The report as a reader gets it: a file opened in a real browser with scripts off, at a desk's and at a phone's width."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from browser import chromium as chromium
from browser import page_of

import appstream_frames as asf
from appstream_frames.reporting import file as report_file
from appstream_frames.reporting import made
from appstream_frames.reporting import markup as report_html
from appstream_frames.text import printable

WEEKS = ("2026-11-09", "2026-11-16", "2026-11-23")
LAST = WEEKS[-1]
WIDTHS = (1280, 390)
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


def taken(week: str, **wanted: Any) -> asf.Frames:
    with asf.sandbox(at=week) as box:
        return asf.drain(box.client(), **wanted).relabel(week)


def repeated(frames: asf.Frames, targets: int, refused: int = 0) -> asf.Frames:
    """Return the frames as if so many accounts had them, some of which refused to be read."""
    pieces: dict[str, list[pd.DataFrame]] = {name: [] for name in frames.tables}
    for number in range(targets):
        account = f"{100_000_000_000 + number}"
        for name, table in frames.tables.items():
            copy = table.assign(account=account)
            for column in {"arn", "image_arn"} & set(copy):
                copy[column] = copy[column].str.replace("012345678901", account)
            if number < refused:
                denied = {"status": "denied", "error_code": "AccessDenied", "error_message": "not today", "images": 0}
                copy = copy.assign(**denied) if name == "coverage" else copy.head(0)
            pieces[name].append(copy)
    return asf.Frames({name: pd.concat(tables, ignore_index=True) for name, tables in pieces.items()})


@dataclass(frozen=True)
class Report:
    """A report in a file."""

    path: Path
    root: Path

    @property
    def html(self) -> str:
        return self.path.read_text("utf-8")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """Return a function that writes frames to an archive, and its report to a file."""

    def write(*snapshots: asf.Frames, strip: str = "") -> Report:
        root = tmp_path_factory.mktemp("archive")
        for frames in snapshots:
            asf.write_snapshot(frames, root)
        path = root / "report.html"
        path.write_text(re.sub(strip, "", asf.report(root)) if strip else asf.report(root), "utf-8")
        return Report(path, root)

    return write


@pytest.fixture(scope="module")
def weekly(reported: Callable[..., Report]) -> Report:
    """Return the report of three weeks of one account."""
    return reported(*(taken(week) for week in WEEKS))


@pytest.fixture(scope="module")
def fleet(reported: Callable[..., Report]) -> Report:
    """Return the report of over 2,000 images in 30 accounts, two of which were not read the last time."""
    return reported(repeated(taken(WEEKS[-2]), 30), repeated(taken(LAST), 30, refused=2))


def told(report: Report) -> str:
    """Return the text of the page, in one line."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", report.html, flags=re.DOTALL).split())


def section(report: Report, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', report.html, re.DOTALL)
    assert found
    return found.group()


# what a browser makes of it


@pytest.fixture(params=["weekly", "fleet"])
def either(request: pytest.FixtureRequest) -> Report:
    """Return one account's report, and then the fleet's."""
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


def test_every_section_is_on_the_page(opened: tuple[Any, list[str]], either: Report) -> None:
    """Findings first, then agents, base images, changes and coverage, each with a heading that can be seen."""
    page, _ = opened
    heads = page.locator("h1, dl, h2")
    assert all(heads.nth(place).is_visible() for place in range(heads.count()))
    names = [heads.nth(place).inner_text() for place in range(2, heads.count())]
    assert [name for name in names if name != "Where the images are"] == [
        "Agents",
        "Base images",
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


def test_it_is_dark_where_the_reader_wants_dark(chromium: Any, weekly: Report) -> None:
    """The page takes the reader's colours; a print is always on white."""
    seen = []
    with page_of(chromium, java_script_enabled=False, color_scheme="dark") as page:
        page.goto(weekly.path.as_uri())
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
    colours = [re.findall(rf"--{name}: (#\w+)", report_html.STYLE)[scheme] for name in (text, ground)]
    bright, dim = sorted(map(luminance, colours), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5


class Outline(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_it_can_be_heard(either: Report) -> None:
    """One first heading, a scope on every table header, a caption on every table, words for every picture, a language."""
    found = Outline(either.html).found
    tags = [tag for tag, _ in found]
    assert (tags.count("h1"), tags.count("table"), dict(found)["html"]["lang"]) == (1, tags.count("caption"), "en")
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in found if tag == "th")
    assert all((attributes.get("alt") or "").startswith("Chart: ") for tag, attributes in found if tag == "img")


def test_it_has_no_script_and_a_policy(either: Report) -> None:
    """Nothing in it could run, and the browser is told so."""
    tags = {tag for tag, _ in Outline(either.html).found}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "svg", "a"}
    assert """content="default-src 'none'; style-src 'sha256-""" in either.html


# what it says


def test_the_findings_are_those_of_the_functions(weekly: Report) -> None:
    """The numbers are what agents and base_images give for all images but AWS's own."""
    images = asf.read_snapshot(weekly.root).images
    yours = (images["visibility"] != "PUBLIC").to_numpy()
    late = [
        int(answer(images, today=LAST)[yours]["verdict"].isin(["behind", verdict]).sum())
        for answer, verdict in ((asf.agents, "known_bad"), (asf.base_images, "retired"))
    ]
    said = told(weekly)
    assert f"{late[0]} of {yours.sum()} images run an agent behind" in said
    assert f"{late[1]} of {yours.sum()} images stand on an outdated base image" in said
    assert f"AWS's own {len(images) - yours.sum()} public images are left out" in said.replace("&#x27;", "'")


def test_the_worst_come_first(weekly: Report) -> None:
    """The agent that AWS advises against, then the one furthest behind; the oldest retired base."""
    names = {
        key: re.findall(r'<th scope="row" role="rowheader">(.*?)</th>', section(weekly, key))
        for key in ("agents", "bases")
    }
    assert (names["agents"][:2], names["bases"][0]) == (
        ["Payroll-FR-paie", "win2012r2-archive-viewer"],
        "win2012r2-archive-viewer",
    )


def test_what_is_cut_is_counted(weekly: Report) -> None:
    """Ten rows are shown, and the others are counted below them."""
    shown, more = (
        section(weekly, "agents").count('role="rowheader"'),
        re.findall(r"and (\d+) more", section(weekly, "agents")),
    )
    behind = re.search(r"(\d+) of \d+ images run an agent behind", told(weekly))
    assert behind
    assert (shown, int(more[0])) == (10, int(behind.group(1)) - 10)


def test_changes_are_those_of_a_week(weekly: Report) -> None:
    """The snapshot of the week before is compared, not the oldest; both moments are named."""
    assert "From 16 November 2026, 00:00 UTC to 23 November 2026, 00:00 UTC." in told(weekly)


def test_changes_are_those_of_diff(weekly: Report) -> None:
    """As many images were added and removed as diff says, AWS's own aside."""
    before, after = (asf.read_snapshot(weekly.root, name) for name in asf.list_snapshots(weekly.root)["id"].iloc[-2:])
    changes = asf.diff(before, after)
    yours = changes[~changes["arn"].str.contains("::image/")]
    sets = [set(yours.loc[yours["change"] == change, "arn"]) for change in ("added", "removed")]
    added, rebuilt = len(sets[0] - sets[1]), len(sets[0] & sets[1])
    assert f"{added} images were added" in told(weekly)
    assert f"{rebuilt} image was built again" in told(weekly)


def test_daily_snapshots_are_compared_a_week_apart(reported: Callable[..., Report]) -> None:
    """Of many, the newest that is a week older is chosen, though it was taken some minutes later in its day."""
    frames = taken(LAST, type="SHARED")
    days = ("2026-11-15T00:00", "2026-11-16T00:07", "2026-11-17T00:00", "2026-11-22T00:00", "2026-11-23T00:00")
    assert "From 16 November 2026, 00:07 UTC" in told(reported(*(frames.relabel(day) for day in days)))


def test_without_a_week_the_last_but_one_is_compared(reported: Callable[..., Report]) -> None:
    """It says that it is not a week."""
    frames = taken(LAST, type="SHARED")
    said = told(reported(*(frames.relabel(day) for day in ("2026-11-21", "2026-11-22", "2026-11-23"))))
    assert "From 22 November 2026, 00:00 UTC to 23 November 2026, 00:00 UTC. No snapshot is a week older" in said


def test_one_snapshot_is_enough(reported: Callable[..., Report]) -> None:
    """Without history there is a report all the same."""
    report = reported(taken(LAST))
    assert "This is the first snapshot" in told(report)
    assert 'id="changes"' not in report.html


@pytest.mark.parametrize("kept", ["nothing", "public"])
def test_no_image_of_yours_is_no_error(reported: Callable[..., Report], kept: str) -> None:
    """An account with none of its own, or with nothing at all, has a report that says so."""
    frames = taken(LAST, type="PUBLIC")
    tables = (
        frames.tables
        if kept == "public"
        else {n: t if n == "coverage" else t.head(0) for n, t in frames.tables.items()}
    )
    assert "No images of yours" in told(reported(asf.Frames(tables)))


def test_what_was_not_read_is_said(fleet: Report) -> None:
    """The refused accounts are named with the reason, and what is not compared is said."""
    said = told(fleet)
    assert "2 of 30 targets were not read to the end, so the numbers here are too low." in said
    assert section(fleet, "coverage").count("AccessDenied: not today") == 2
    assert "2 of 30 targets are not compared" in said


def test_a_question_for_less_is_said(reported: Callable[..., Report]) -> None:
    """A drain of private images only is complete, and says that it is of those only."""
    assert "Asked only for {&quot;Type&quot;: &quot;PRIVATE&quot;}" in told(reported(taken(LAST, type="PRIVATE")))


def test_accounts_are_counted_when_there_are_several(fleet: Report, weekly: Report) -> None:
    """A fleet has a table of accounts; one account has none."""
    assert "Images by account" in section(fleet, "places")
    assert 'id="places"' not in weekly.html


# how it is made


def test_the_same_archive_gives_the_same_bytes(weekly: Report, tmp_path: Path) -> None:
    """In another process, with another hash seed, time zone and matplotlib settings."""
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: red\nsvg.fonttype: none\n")
    code = "import sys, appstream_frames as asf; sys.stdout.buffer.write(asf.report(sys.argv[1]).encode())"
    environment = {
        "PYTHONHASHSEED": "7",
        "TZ": "America/New_York",
        "MATPLOTLIBRC": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(weekly.root)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
    )
    assert (done.stdout == weekly.path.read_bytes(), done.stderr) == (True, b"")


def test_matplotlib_is_left_as_it_was(weekly: Report) -> None:
    """No setting is changed and no figure is kept."""
    with mpl.rc_context({"font.size": 17.0}):
        before = dict(mpl.rcParams)
        asf.report(weekly.root)
        assert (dict(mpl.rcParams) == before, mpl.pyplot.get_fignums()) == (True, [])


def test_today_moves_the_ages(weekly: Report) -> None:
    """Another day gives other ages, and is named."""
    later = asf.report(weekly.root, today="2027-11-23")
    assert "ages are counted at 23 November 2027" in later
    assert "2,771 days" in later  # the oldest base, of 22 April 2020


def test_the_functions_are_light_until_called() -> None:
    """Importing the module loads no matplotlib."""
    code = "import sys, appstream_frames.reporting; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_sixty_images_make_a_small_page(reported: Callable[..., Report]) -> None:
    """60 images and 13 weeks of history are less than 1 MB."""
    snapshots = []
    with asf.sandbox() as box:
        weeks = box.weeks
    for week in weeks:
        frames = taken(week, type="PRIVATE")
        snapshots.append(asf.Frames({**frames.tables, "images": frames.images.head(60)}).relabel(week))
    assert reported(*snapshots).path.stat().st_size < 1_000_000


def test_two_thousand_images_make_no_large_page(fleet: Report) -> None:
    """Over 2,000 images are less than 5 MB and are told within a minute."""
    assert len(asf.read_snapshot(fleet.root).images) > 2_000
    started = time.monotonic()
    page = asf.report(fleet.root)
    assert (len(page.encode()) < 5_000_000, time.monotonic() - started < 60) == (True, True)


# what is refused


def test_no_snapshot_is_said(root: Path) -> None:
    """An archive without a snapshot has no report."""
    with pytest.raises(asf.SnapshotNotFoundError, match="No snapshot under"):
        asf.report(root)


@pytest.mark.parametrize("table", ["images", "coverage"])
def test_damage_is_never_reported_as_data(weekly: Report, tmp_path: Path, table: str) -> None:
    """A damaged file is named and there is no report, though older snapshots are whole."""
    root = Path(shutil.copytree(weekly.root, tmp_path / "copy"))
    path = sorted((root / table).iterdir())[-1]
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(asf.SnapshotCorruptError, match=re.escape(path.name)):
        asf.report(root)


def test_a_day_that_is_none_is_refused_first(root: Path) -> None:
    """Before the archive is looked at."""
    with pytest.raises(asf.RequestError, match="today"):
        asf.report(root, today="soon")


def test_wholeness_is_that_of_the_newest_snapshot(reported: Callable[..., Report]) -> None:
    """The command's exit code rests on it, and an older snapshot does not matter."""
    whole, partial = taken(WEEKS[-2], type="SHARED"), taken(LAST, type="SHARED", max_items=1)
    assert not made(reported(whole, partial).root).whole
    assert made(reported(partial.relabel(WEEKS[0]), whole).root).whole


# the file


def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    """When the new one cannot be written whole, the old one is as it was and nothing lies beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")
    code = (
        "import resource, sys; from appstream_frames.reporting import file; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999)); file.save('x' * 1000, sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert ("OSError" in done.stderr, path.read_text(), os.listdir(tmp_path)) == (True, "old", ["report.html"])


def test_a_link_keeps_leading_to_the_report(tmp_path: Path) -> None:
    """The file that a link leads to is replaced, not the link."""
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    report_file.save("new", str(tmp_path / "link.html"))
    assert ((tmp_path / "real.html").read_text(), (tmp_path / "link.html").is_symlink()) == ("new", True)


def test_a_report_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    """A web server may read it where the umask lets it."""
    (tmp_path / "plain").write_text("x")
    report_file.save("x", str(tmp_path / "report"))
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "plain").stat().st_mode


# a stranger's words


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


def test_three_hundred_hostile_texts_are_cells_of_a_table() -> None:
    """Each is text in its cell, its caption and its label: no element, no attribute of its own, and can be recognised."""
    assert len(variants()) >= 300
    known = {"table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
    for text in variants():
        html = report_html.table(text, ["a", text], [[text, text]])
        found = Outline(html).found
        assert {tag for tag, _ in found} <= known
        assert {name for _, attributes in found for name in attributes} <= {"role", "scope", "data-label"}
        assert html.count(str(report_html.text(printable(text, 120)[:20]))) >= 4


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
