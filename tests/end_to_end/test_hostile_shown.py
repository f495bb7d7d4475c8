"""A stranger's words where a person meets them: in a notebook and a report, opened in a real browser, and on a terminal.

Nothing executes, nothing crashes, no character that a screen would act on comes out, the layout holds, and each text can still
be recognised by the plain word in it.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.browser import page_of
from support.command import run, run_alone
from support.faultserver import UNCLOSED, FaultServer, error
from support.hostile import PAYLOADS, images
from support.inert import TEXTS, WEEKS, Outline, raw, strange, taken, unknown
from wcwidth import wcwidth

import appstream_frames as asf
from appstream_frames.cli import output
from appstream_frames.tables.schema import list_tables

pytestmark = [pytest.mark.slow, UNCLOSED]
WIDTHS = (1280, 390)
PAGE = 25


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two weeks, in which every text of an image is another one in the second."""
    root = tmp_path_factory.mktemp("strange") / "archive"
    for again, week in enumerate(WEEKS):
        asf.write_snapshot(taken(week, again), root)
    return root


# a notebook


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
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
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
    for char in row.rstrip(" "):
        blanks = blanks + 1 if char == " " else 0
        place += wcwidth(char)
        if blanks >= 2:
            found.add(place)
    return found | set(range(place + 2, place + 4_000))


@pytest.mark.parametrize("name", ["images", "applications", "errors", "coverage"])
def test_a_table_on_a_terminal_lines_up(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Every column begins under its heading in every row, by another program's idea of how wide characters are."""
    table = strange(name, TEXTS, len(TEXTS)).dropna(axis="columns", how="all")
    output.show(table, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), raw("".join(lines)), unknown("\n".join(lines), 60)) == (301, [], [])
    texts = {column.name for column in list_tables()[name].columns if column.kind in ("string", "strings", "map")}
    assert misaligned(lines, texts & set(table)) == []


@pytest.mark.parametrize(
    "words",
    ["ls", "diff", "diff --table applications", "diff --table errors", "verify"],
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
        _, *lines = done.stdout.splitlines()  # the first line counts the changes
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
    pattern = r"README\.txt|(images|applications|errors|coverage)/\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{6}\.parquet"
    assert [name for name in names if not re.fullmatch(pattern, name)] == []
    assert len(names) == (0 if refused else 5)
