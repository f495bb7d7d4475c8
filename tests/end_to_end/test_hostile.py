"""A stranger's words: three hundred hostile texts in every text field, through frames, errors, warnings and progress.

Nothing executes, nothing crashes, no character that a screen would act on comes out, and each text can still be recognised by
the plain word in it. Charts, and pages and commands, have files of their own.
"""

from __future__ import annotations

import re
import traceback

import pytest
from support.faultserver import ACCOUNT, UNCLOSED, FaultServer, error
from support.hostile import PAYLOADS
from support.inert import TEXTS, WEEKS, Outline, raw, strange, taken, unknown
from wcwidth import wcswidth

import appstream_frames as asf
from appstream_frames.aws import failures
from appstream_frames.aws.credentials import Target
from appstream_frames.fetch.progress import Bar
from appstream_frames.tables.schema import list_tables
from appstream_frames.text import printable

pytestmark = [pytest.mark.slow, UNCLOSED]


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
        for column in list_tables()[name].modelled:
            if column.kind == "string" and column.name != "arn":
                kept = {text.partition("?")[0] if column.name == "icon_url" else text for text in held}
                assert kept <= set(tables[name][column.name].dropna()), column.name


@pytest.mark.parametrize("width", [5, 40, 120, 300])
def test_printable_text_is_one_line_that_shows_itself(width: int) -> None:
    """Nothing of it acts on a screen, its length is bounded, and the plain words before the cut stay."""
    for text in TEXTS:
        shown = printable(text, width)
        assert (raw(shown), "\n" in shown, len(shown) <= width) == ([], False, True)
        assert wcswidth(shown) >= 0, "a character that a terminal acts on has no width"


@pytest.mark.parametrize(
    "text",
    ["Caf\u00e9", "Cafe\u0301", "Tie\u0302\u0301ng Vie\u0323\u0302t", "\u0e40\u0e01\u0e49\u0e32", "\u65e5\u672c\u8a9e",
     "\u0928\u092e\u0938\u094d\u0924\u0947", "\u05e9\u05dc\u05d5\u05dd", "a\u00a0b", "\U0001f680"],
)  # fmt: skip
def test_the_world_s_languages_are_left_alone(text: str) -> None:
    """Accents, Thai, Vietnamese, Hindi, Hebrew, Japanese are shown as they are."""
    assert printable(text) == text


# repr and HTML of frames


@pytest.mark.parametrize("first", range(0, 300, 60))
def test_frames_at_one_look(first: int) -> None:
    """Eight texts at a time, as many as a line of the repr shows: inert, in the repr and in its HTML."""
    for place in range(first, first + 60, 16):
        some = PAYLOADS[place : place + 8]
        texts = [payload.text for payload in some]
        frames = asf.Frames({name: strange(name, texts, len(texts)) for name in list_tables()})
        outline = Outline(frames._repr_html_())
        assert (raw(repr(frames)), raw(outline.text)) == ([], [])
        assert (outline.tags, outline.attributes) == ({"div", "b", "table", "tr", "th", "td"}, {"class", "style"})
        assert unknown(repr(frames), 40, some) == unknown(outline.text, 40, some) == []
        assert repr(frames).count("\n") == 7 + len(some)  # one line a fact


def test_dollars_in_frames_are_no_mathematics() -> None:
    """The HTML asks JupyterLab not to typeset them."""
    frames = asf.Frames({name: strange(name, TEXTS[:1], 1) for name in list_tables()})
    assert frames._repr_html_().startswith('<div class="tex2jax_ignore mathjax_ignore">')


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
    with FaultServer() as bad, FaultServer() as good:
        clients = [bad.client(), good.client(region_name="us-east-1")]
        for code in codes:
            bad.fault = error(code, message=code)
            with pytest.warns(UserWarning, match="1 of 2 targets failed") as noted:
                frames = asf.drain_targets(clients, progress=False)
            assert (len(frames.images), raw(str(noted[0].message)), raw(repr(frames))) == (9, [], [])
            assert raw("".join(frames.coverage[["error_code", "error_message"]].fillna("").to_numpy().ravel())) == []


def test_a_warning_of_failed_targets_is_plain() -> None:
    """Whatever the codes are."""
    for payload in PAYLOADS:
        said = failures.summarize([("a/b", asf.DrainError("x", code=payload.text))], 2)
        assert (raw(said), unknown(said, 60, [payload])) == ([], [])


def test_a_warning_of_targets_not_compared_is_plain() -> None:
    """Five at a time, accounts, statuses and requests are named in plain words."""
    frames = taken(WEEKS[0], 0)
    for place in range(0, 300, 15):
        some = frames.coverage.iloc[place : place + 5].assign(operation="DescribeImages")
        one, other = (
            asf.Frames({"images": frames.images.head(1), "coverage": table})
            for table in (some.assign(status="complete"), some.assign(request="{}"))
        )
        with pytest.warns(UserWarning, match="not compared") as noted:
            asf.diff(one, other)
        assert raw(str(noted[0].message)) == []


def test_a_progress_bar_shows_a_name_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """A profile's name may be anything; the bar stays one line."""
    for payload in PAYLOADS:
        with Bar([str(Target(None, "eu-west-1", profile=payload.text))], True) as bar:
            bar.count_rows(25)
        shown = capsys.readouterr().err.replace("\r", "")
        assert (raw(shown), "\n" in shown, unknown(shown, 60, [payload])) == ([], False, [])


# formulas
