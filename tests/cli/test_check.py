"""The command that says what to do today: its exit codes, what is new, and a stranger's words in Markdown and JSON."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from support.command import run
from support.hostile import PAYLOADS

import appstream_frames as asf
from appstream_frames.cli.check import escape_markdown, format_markdown


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two weeks of everything in the sandbox's first account."""
    root = tmp_path_factory.mktemp("weeks") / "archive"
    for week in ("2026-11-16", "2026-11-23"):
        with asf.sandbox(at=week) as box:
            asf.write_snapshot(asf.drain(box.client(), include="all").relabel(week), root)
    return root


def printed(root: Path, *words: str) -> list[dict[str, object]]:
    """Return the findings that the command prints as JSON."""
    found: list[dict[str, object]] = json.loads(run("check", str(root), "--format", "json", *words).stdout)
    return found


@pytest.mark.slow
def test_the_findings_are_those_of_the_function(weeks: Path) -> None:
    """Of the newest snapshot, with the archive as history."""
    expected = asf.findings(asf.read_snapshot(weeks), history=weeks)
    assert [(row["rule"], row["arn"]) for row in printed(weeks)] == list(
        zip(expected["rule"], expected["arn"], strict=True)
    )


@pytest.mark.slow
def test_new_findings_are_those_that_the_snapshot_before_had_not(weeks: Path) -> None:
    """By rule and resource, whatever their days are by now."""
    before, after = (
        asf.findings(asf.read_snapshot(weeks, name), history=weeks) for name in asf.list_snapshots(weeks)["id"]
    )
    known = set(zip(before["rule"], before["arn"], strict=True))
    expected = [pair for pair in zip(after["rule"], after["arn"], strict=True) if pair not in known]
    assert [(row["rule"], row["arn"]) for row in printed(weeks, "--new")] == expected
    assert 0 < len(expected) < len(after) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 4),
        (("--fail-on", "never"), 0),
        (("--new",), 0),
        (("--new", "--fail-on", "medium"), 4),
        (("--fail-on", "severe"), 2),
    ],
)
def test_the_exit_code_says_whether_something_severe_was_found(weeks: Path, words: tuple[str, ...], code: int) -> None:
    """4 from the chosen severity on; the new findings of this week are medium at most."""
    assert run("check", str(weeks), *words).returncode == code


@pytest.mark.slow
@pytest.mark.parametrize(("words", "newest"), [(("check",), "11-20-2026"), (("report", "-o", "-"), "20 November 2026")])
def test_a_folder_of_ones_own_is_the_yardstick(
    weeks: Path, tmp_path: Path, words: tuple[str, ...], newest: str
) -> None:
    """The commands that show verdicts take reference tables."""
    (tmp_path / "agent_versions.csv").write_text("agent_version,iso_date\n11-20-2026,2026-11-20\n", "utf-8")
    assert newest in run(*words, str(weeks), "--reference", str(tmp_path)).stdout  # a day that is in no table of ours


def test_no_snapshot_is_a_failure(root: Path) -> None:
    """What is not there is not fine."""
    done = run("check", str(root))
    assert (done.returncode, str(root) in done.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["coverage", "images"])
def test_a_damaged_snapshot_is_never_passed_over(weeks: Path, tmp_path: Path, folder: str) -> None:
    """The newest is refused by name, rather than that an older one passes for it."""
    root = shutil.copytree(weeks, tmp_path / "archive")
    newest = sorted((root / folder).iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    done = run("check", str(root))
    assert (done.returncode, done.stdout, str(newest) in done.stderr) == (1, "", True)


@pytest.mark.slow
def test_an_earlier_manifest_that_is_damaged_is_noted_once(weeks: Path, tmp_path: Path) -> None:
    """In a line; where no other is before the newest, everything is new."""
    root = shutil.copytree(weeks, tmp_path / "archive")
    earlier = sorted((root / "coverage").iterdir())[0]
    earlier.write_bytes(earlier.read_bytes()[:-9])
    done = run("check", str(root), "--new")
    assert done.returncode == 4
    assert re.fullmatch(rf"Note: One snapshot is left out: \S*{earlier.name} .*\n", done.stderr)
    assert "new since" not in done.stdout


@pytest.mark.slow
def test_of_two_snapshots_of_one_moment_neither_is_before_the_other(frames: asf.Frames, root: Path) -> None:
    """What is new is so since the last earlier one, and that is the one which is named."""
    earlier = asf.write_snapshot(frames.relabel("2026-11-16"), root)
    for part in (frames, asf.Frames({**frames.tables, "images": frames.images.iloc[1:]})):
        asf.write_snapshot(part.relabel("2026-11-23"), root)
    assert f", new since {earlier}: " in run("check", str(root), "--new").stdout


def test_the_first_snapshot_is_all_new(frames: asf.Frames, root: Path) -> None:
    """Nothing was known before."""
    asf.write_snapshot(frames, root)
    assert printed(root, "--new") == printed(root)


def test_three_hundred_hostile_texts_are_inert_in_markdown() -> None:
    """Rendered, each is the text of its cell: no element, no link, no mention, and can be recognised."""
    texts = [payload.text for payload in PAYLOADS]
    frame = pd.DataFrame({name: pd.Series(texts, dtype=object) for name in "ab"})  # Arrow would refuse lone surrogates
    html = MarkdownIt("commonmark").enable("table").render(format_markdown(frame))
    assert set(re.findall(r"<(\w+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert (html.count("<tr>"), html.count("<td>")) == (len(texts) + 1, 2 * len(texts))
    assert not re.search(r"@\w|://|\w\.[a-z]", html)
    early = [payload for payload in PAYLOADS if len("\\U0010ffff") * payload.text.index(payload.word) < 150]
    plain = re.sub(r"[\[\]]", "", html)
    assert [payload.word for payload in early if payload.word not in plain] == []


@pytest.mark.parametrize(
    "text", ["![a](https://b)", "a | b", "@channel", "<!here>", "#12", "www.x.de", "see x.de/a", "`a`", "*a*", "a\\|b"]
)
def test_a_mark_of_markdown_is_text(text: str) -> None:
    """Rendered it is what was written, but for what keeps programs from making a link of it."""
    html = MarkdownIt("commonmark").renderInline(escape_markdown(text))
    plain = html.replace("&lt;", "<").replace("&gt;", ">")
    assert plain in (text, text.replace("://", "[:]//"), re.sub(r"([@#.])", r"[\1]", text))


def test_hostile_names_are_ascii_in_json(frames: asf.Frames, root: Path) -> None:
    """A script's log can be shown on any terminal."""
    names = [payload.text.encode("utf-8", "replace").decode() for payload in PAYLOADS][: len(frames.images)]
    asf.write_snapshot(asf.Frames({**frames.tables, "images": frames.images.assign(name=names)}), root)
    for form in ("json", "markdown", "table"):
        done = run("check", str(root), "--format", form)
        assert (done.returncode, "Traceback" in done.stderr, "\x1b" in done.stdout) == (4, False, False)
        assert form != "json" or done.stdout.isascii()
