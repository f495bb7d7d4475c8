"""A stranger's words: three hundred hostile texts in every text field, through all that prints, draws or writes HTML.

Nothing executes, nothing crashes, no character that a screen would act on comes out, the layout holds, and each text can still
be recognised by the plain word in it. The charts have a file of their own.
"""

from __future__ import annotations

import json
import re
import shutil
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import chromium as chromium
from browser import page_of
from command import run, run_alone
from faults import ACCOUNT, UNCLOSED, FaultServer, error
from hostile import PAYLOADS, Payload, images
from wcwidth import wcswidth, wcwidth

import appstream_frames as asf
from appstream_frames import cli, failures, model, terminal
from appstream_frames import frames as arrow
from appstream_frames.access.targets import Target
from appstream_frames.flatten import Key, flatten
from appstream_frames.progress import Bar
from appstream_frames.reporting import changes as report_changes
from appstream_frames.text import printable

pytestmark = UNCLOSED
TEXTS = [payload.text for payload in PAYLOADS]
WEEKS = ("2026-11-16", "2026-11-23")
WIDTHS = (1280, 390)
PAGE = 25
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
    columns = [column for column in model.tables()[name].columns if column.kind in ("string", "strings", "map")]
    made = {}
    for place, column in enumerate(columns):
        held = [texts[(row + 7 * place) % len(texts)] for row in range(count)]
        values = {"string": held, "strings": [[text] for text in held], "map": [{text: text} for text in held]}
        made[column.name] = pd.Series(values[column.kind], dtype=object)
    return arrow.empty(name).reindex(range(count)).assign(**made, snapshot=pd.Timestamp(WEEKS[1], tz="UTC"))


def taken(week: str, again: int) -> asf.Frames:
    """Return frames of 300 images as AWS might send them, and of as many targets that failed with strange words."""
    moment = pd.Timestamp(week, tz="UTC").to_pydatetime()
    tables = flatten(list(images(TEXTS, again)), Key(moment, ACCOUNT, "eu-west-1"))
    known = [text.encode("utf-8", "backslashreplace").decode() for text in TEXTS]  # Arrow holds no surrogates
    failed = strange("coverage", known, len(known)).assign(snapshot=moment)
    whole = failed.head(1).assign(account=ACCOUNT, region="eu-west-1", status="complete", request="{}")
    coverage = pd.concat([whole, failed], ignore_index=True)
    return asf.Frames({**{name: arrow.to_pandas(table) for name, table in tables.items()}, "coverage": coverage})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two weeks, in which every text of an image is another one in the second."""
    root = tmp_path_factory.mktemp("strange") / "archive"
    for again, week in enumerate(WEEKS):
        asf.write_snapshot(taken(week, again), root)
    return root


# the texts


def test_there_are_three_hundred() -> None:
    """All different, each with a word of its own."""
    assert (len(set(TEXTS)), len({payload.word for payload in PAYLOADS})) == (300, 300)
    assert [payload.word for payload in PAYLOADS if payload.word not in payload.text] == []


def test_every_text_field_holds_every_text() -> None:
    """Of images, applications and errors; lone surrogates, which no column can hold, are replaced there."""
    tables = taken(WEEKS[0], 0).tables
    held = [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in TEXTS]
    for name in ("images", "applications", "errors"):
        for column in model.tables()[name].modelled:
            if column.kind == "string" and column.name != "arn":
                kept = {text.partition("?")[0] if column.name == "icon_url" else text for text in held}
                assert kept <= set(tables[name][column.name].dropna()), column.name


@pytest.mark.parametrize("width", [5, 40, 120, 300])
def test_printable_text_is_one_line_that_shows_itself(width: int) -> None:
    """Nothing of it acts on a screen, its length is bounded, and the plain words before the cut stay."""
    for text in TEXTS:
        shown = printable(text, width)
        assert (raw(shown), "\n" in shown, len(shown) <= width) == ([], False, True)
        assert wcswidth(shown) == terminal.width(shown)


@pytest.mark.parametrize(
    "text",
    ["Caf\u00e9", "Cafe\u0301", "Tie\u0302\u0301ng Vie\u0323\u0302t", "\u0e40\u0e01\u0e49\u0e32", "\u65e5\u672c\u8a9e",
     "\u0928\u092e\u0938\u094d\u0924\u0947", "\u05e9\u05dc\u05d5\u05dd", "a\u00a0b", "\U0001f680"],
)  # fmt: skip
def test_the_world_s_languages_are_left_alone(text: str) -> None:
    """Accents, Thai, Vietnamese, Hindi, Hebrew, Japanese are shown as they are."""
    assert printable(text) == text


# repr and HTML of frames


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


@pytest.mark.parametrize("first", range(0, 300, 60))
def test_frames_at_one_look(first: int) -> None:
    """Eight texts at a time, as many as a line of the repr shows: inert, in the repr and in its HTML."""
    for place in range(first, first + 60, 8):
        some = PAYLOADS[place : place + 8]
        texts = [payload.text for payload in some]
        frames = asf.Frames({name: strange(name, texts, len(texts)) for name in model.tables()})
        outline = Outline(frames._repr_html_())
        assert (raw(repr(frames)), raw(outline.text)) == ([], [])
        assert (outline.tags, outline.attributes) == ({"div", "b", "table", "tr", "th", "td"}, {"class", "style"})
        assert unknown(repr(frames), 40, some) == unknown(outline.text, 40, some) == []
        assert repr(frames).count("\n") == 7 + len(some)  # one line a fact


def test_dollars_in_frames_are_no_mathematics() -> None:
    """JupyterLab is told not to typeset them."""
    frames = asf.Frames({name: strange(name, TEXTS[:1], 1) for name in model.tables()})
    assert frames._repr_html_().startswith('<div class="tex2jax_ignore mathjax_ignore">')


def notebook(frames: asf.Frames, root: Path) -> Iterator[str]:
    """Yield what a notebook shows of frames and of the answers about them."""
    yield frames._repr_html_()
    before, after = (asf.read_snapshot(root, name) for name in asf.list_snapshots(root)["id"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # targets that are not compared
        shown = [asf.diff(before, after, table) for table in ("images", "applications", "errors")]
    shown += [*frames.tables.values(), asf.agents(frames.images), asf.base_images(frames.images), asf.timeline(root)]
    with pd.option_context("display.max_rows", 320, "display.min_rows", 320, "display.max_columns", None):
        yield from (table.head(310)._repr_html_() for table in shown)


def opened(chromium: Any, path: Path, width: int) -> tuple[list[str], bool, str, list[str]]:
    """Return what a page asked for and said, whether anything in it ran, its text, and what reaches beyond its width."""
    with page_of(chromium, width) as page:
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.on("dialog", lambda shown: asked.append(shown.message))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('*').forEach(e => { e.focus && e.focus(); })")
        ran = page.evaluate(
            "typeof pwned !== 'undefined' || [...document.querySelectorAll('script,iframe')].length > 0"
        )
        script = "[...document.querySelectorAll('body, body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        wide = page.evaluate(f"{script}.map(e => e.outerHTML.slice(0, 200))")
        wide += page.evaluate("document.documentElement.scrollWidth > innerWidth ? ['page'] : []")
        return asked, ran, page.evaluate("document.body.textContent"), wide


def test_a_notebook_s_tables_run_nothing(chromium: Any, archive: Path, tmp_path: Path) -> None:
    """Frames, their tables and every answer, as a notebook shows them, in a browser with scripts on and no policy."""
    path = tmp_path / "notebook.html"
    shown = "".join(notebook(asf.read_snapshot(archive), archive))
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{shown}</body>", "utf-8", "replace")
    asked, ran, text, _ = opened(chromium, path, WIDTHS[0])
    assert (asked, ran, unknown(text, 30)) == ([path.as_uri()], False, [])


# the report


@pytest.fixture(scope="module", params=["unknown", "late"])
def report(request: pytest.FixtureRequest, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report whose tables show every image and every change, its policy taken away; of late images the second."""
    root = archive
    if request.param == "late":
        root = tmp_path_factory.mktemp("late")
        frames = taken(WEEKS[0], 0)
        base = "arn:aws:appstream:eu-west-1::image/AppStream-WinServer2019-06-17-2024"
        late = frames.images.assign(appstream_agent_version="10-31-2024", base_image_arn=base)
        asf.write_snapshot(asf.Frames({**frames.tables, "images": late}), root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_changes, "MOST", 1_000)
        patch.setattr(report_changes, "_VALUES", 100)
        html = asf.report(root)
    assert ("Furthest behind, by" in html) == (request.param == "late")
    path = root.parent / f"{request.param}.html"
    path.write_text(re.sub(r"<meta http-equiv[^>]*>", "", html), "utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_shows_words_and_nothing_else(chromium: Any, report: Path, width: int) -> None:
    """With scripts on, nothing runs, nothing is asked for, nothing reaches beyond the window, every text is recognised."""
    asked, ran, text, wide = opened(chromium, report, width)
    assert (asked, ran, wide, unknown(text, 120)) == ([report.as_uri()], False, [], [])


def test_the_report_s_file_is_inert(report: Path) -> None:
    """Not a character that an editor or a terminal would act on, no element that could do anything."""
    html = report.read_text("utf-8")
    assert raw(html) == []
    assert not Outline(html).tags & {"script", "iframe", "object", "embed", "form", "base", "svg", "a"}
    assert not [name for name in Outline(html).attributes if name.startswith("on")]


# the terminal


def misaligned(lines: list[str], left: set[str]) -> list[str]:
    """Return the lines in which a flush-left column does not begin under its heading."""
    head, *rows = lines
    starts = {name: head.index(f"  {name}") + 2 for name in left if f"  {name}" in head}
    return [ascii(row)[:200] for row in rows if not set(starts.values()) <= _begins(row)]


def _begins(row: str) -> set[int]:
    """Return the columns of the screen before which there are two blanks, to the right of the text too."""
    place, blanks, found = 0, 0, set()
    for char in row + " " * 4_000:
        blanks = blanks + 1 if char == " " else 0
        place += wcwidth(char)
        if blanks >= 2:
            found.add(place)
    return found


@pytest.mark.parametrize("name", ["images", "applications", "errors", "coverage"])
def test_a_table_on_a_terminal_lines_up(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Every column begins under its heading in every row, by another program's idea of how wide characters are."""
    table = strange(name, TEXTS, len(TEXTS)).dropna(axis="columns", how="all")
    terminal.print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), raw("".join(lines)), unknown("\n".join(lines), 60)) == (301, [], [])
    texts = {column.name for column in model.tables()[name].columns if column.kind in ("string", "strings", "map")}
    assert misaligned(lines, texts & set(table)) == []


@pytest.mark.parametrize(
    "words",
    ["ls", "diff", "diff --table applications", "diff --table errors", "verify", "report -o -"],
)
def test_a_command_prints_nothing_that_acts(archive: Path, tmp_path: Path, words: str) -> None:
    """Standard output and standard error are plain lines; what a reader knows an image by is in them."""
    root = archive
    if words == "verify":
        root = Path(shutil.copytree(archive, tmp_path / "copy"))
        next((root / "images").iterdir()).write_bytes(b"damage\x1b[31m")
    command, *more = words.split()
    done = run(command, str(root), *more)
    said = done.stdout + done.stderr
    assert (done.returncode in (0, 1, 3), raw(said), "Traceback" in said) == (True, [], False)
    assert unknown(said, 40) == [] or command != "diff"
    if command == "diff":
        lines = done.stdout.splitlines()
        assert misaligned(lines, {"image_name", "name", "error_code", "change", "column", "before", "after"}) == []


def test_json_for_scripts_is_ascii(archive: Path) -> None:
    """A script's log can be shown on any terminal, and holds the texts whole."""
    done = run("diff", str(archive), "--json")
    assert done.stdout.isascii()
    known = {re.sub("[\ud800-\udfff]", "\ufffd", text) for text in TEXTS}
    assert {row["name"] for row in json.loads(done.stdout)} <= known


def test_a_terminal_without_unicode_stops_no_command(archive: Path) -> None:
    """What an encoding cannot say is escaped."""
    done = run_alone("diff", str(archive), environment={"PYTHONIOENCODING": "cp1252"})
    assert (done.returncode, raw(done.stdout.decode("cp1252")), b"\\u6f22" in done.stdout) == (3, [], True)


def served() -> dict[str | None, dict[str, object]]:
    """Return 300 hostile images in pages by the token that leads to them."""
    every = [json.loads(image) for image in images(TEXTS)]
    tokens = [None, *(f"token-{place}" for place in range(PAGE, len(every), PAGE)), None]
    return {
        token: {
            "Images": every[place * PAGE :][:PAGE],
            **({"NextToken": tokens[place + 1]} if tokens[place + 1] else {}),
        }
        for place, token in enumerate(tokens[:-1])
    }


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_snapshot_of_a_hostile_account(tmp_path: Path, more: list[str], refused: bool) -> None:
    """Read over real HTTP, or refused in strange words: the command says so in plain lines, and file names are ours."""
    with FaultServer(
        served(), fault=error("AccessDenied\x1b[2J", message=TEXTS[20] + TEXTS[24]) if refused else None
    ) as server:
        keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_DEFAULT_REGION": "eu-west-1"}
        done = run("snapshot", str(tmp_path), *more, environment={**keys, "AWS_ENDPOINT_URL": server.url})
    said = done.stdout + done.stderr
    assert (done.returncode, raw(said), "Traceback" in said) == (1 if refused else 0, [], False)
    assert (PAYLOADS[20].word in said, said.count("\n")) == (True, 1) if refused else "300" in said
    names = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    pattern = r"(images|applications|errors|coverage)/\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6}\.parquet"
    assert [name for name in names if not re.fullmatch(pattern, name)] == []
    assert len(names) == (0 if refused else 4)


# errors, warnings, progress


def test_what_aws_says_is_shown_harmless() -> None:
    """Three hundred refusals over real HTTP: the message, its cause and the whole traceback are plain lines."""
    with FaultServer() as server:
        client = server.client()
        for payload in PAYLOADS:
            server.fault = error("AccessDeniedException", message=payload.text)
            with pytest.raises(asf.AccessError) as caught:
                asf.drain(client, account=ACCOUNT, progress=False)
            said = "".join(traceback.format_exception(caught.value))
            assert (raw(said), raw(str(caught.value)), "\n" in str(caught.value)) == ([], [], False)
            assert unknown(str(caught.value), 300, [payload]) == []


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_a_code_of_aws_is_no_danger_to_others(first: int) -> None:
    """Whatever the code of one target's error is, the others' images come back, and the warning is plain."""
    codes = [text for text in TEXTS[first : first + 100] if ":" not in text][::10]  # botocore cuts at a colon
    for code in codes:
        with FaultServer(fault=error(code, message=code)) as bad, FaultServer() as good:
            clients = [bad.client(), good.client(region_name="us-east-1")]
            good._sts = bad._sts
            with pytest.warns(UserWarning, match="1 of 2 targets failed") as noted:
                frames = asf.drain_targets(clients, progress=False)
        assert (len(frames.images), raw(str(noted[0].message)), raw(repr(frames))) == (9, [], [])
        assert raw("".join(frames.coverage[["error_code", "error_message"]].fillna("").to_numpy().ravel())) == []


def test_a_warning_of_failed_targets_is_plain() -> None:
    """Whatever the codes are."""
    for payload in PAYLOADS:
        said = failures.summary([("a/b", asf.DrainError("x", code=payload.text))], 2)
        assert (raw(said), unknown(said, 60, [payload])) == ([], [])


def test_a_warning_of_targets_not_compared_is_plain() -> None:
    """Five at a time, accounts, statuses and questions are told in plain words."""
    frames = taken(WEEKS[0], 0)
    for place in range(0, 300, 5):
        some = frames.coverage.iloc[place : place + 5]
        one, other = (
            asf.Frames({**frames.tables, "coverage": table})
            for table in (some.assign(status="complete"), some.assign(request="{}"))
        )
        with pytest.warns(UserWarning, match="not compared") as noted:
            asf.diff(one, other)
        assert raw(str(noted[0].message)) == []


def test_a_progress_bar_shows_a_name_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """A profile's name may be anything; the bar stays one line."""
    for payload in PAYLOADS:
        with Bar([str(Target(None, "eu-west-1", profile=payload.text))], True) as bar:
            bar.read(25)
        shown = capsys.readouterr().err.replace("\r", "")
        assert (raw(shown), "\n" in shown, unknown(shown, 60, [payload])) == ([], False, [])


# formulas


def test_no_spreadsheet_is_offered() -> None:
    """What could start a formula is not written: there is no CSV or Excel among the public names and the commands."""
    names = [*asf.__all__, *dir(asf.Frames), *dir(asf.charts), *cli.main.commands]
    assert [name for name in names if re.search("csv|excel|xls", name, re.IGNORECASE)] == []
