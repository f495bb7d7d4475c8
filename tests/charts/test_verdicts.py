"""What the charts of answers draw, read back from the Axes: bars, boxes, words, and the room they take."""

from __future__ import annotations

import re
import time

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from support.charted import answer, many
from support.drawn import assert_legible, bars, on, ticks, title, words

import appstream_frames as asf
from appstream_frames import charts
from appstream_frames.charts import layout

CHARTS = [charts.agents, charts.base_images]
ANSWERS: dict[object, pd.DataFrame] = {}
SIZES = [(4, 3), (6.4, 4.8), (14, 5), None]


@pytest.fixture(scope="module")
def many_images(frames: asf.Frames) -> pd.DataFrame:
    """Return 2,000 images, of which each is one of the sandbox's."""
    images = frames.images
    return pd.concat([images] * (2000 // len(images) + 1), ignore_index=True).head(2000)


def answer_of(chart: object, images: pd.DataFrame) -> pd.DataFrame:
    """Return the answer about the first images; it is worked out once."""
    key = (chart, len(images))
    if key not in ANSWERS:
        ANSWERS[key] = (asf.agents if chart is charts.agents else asf.base_images)(images, today="2026-11-23")
    return ANSWERS[key]


def boxes(ax: Axes) -> list[Text]:
    return [text for text in ax.texts if text.get_bbox_patch()]


# --- agents


def test_agents_stand_worst_first():
    """Known bad agents come first, then the ones furthest behind; lengths are days."""
    ax = charts.agents(answer(("a", "behind", 5), ("b", "behind", 900), ("c", "known_bad", 70)))
    assert bars(ax) == [("c", "70 days · known bad", 70), ("b", "900 days", 900), ("a", "5 days", 5)]


def test_agents_colour_is_the_verdict():
    """Each verdict has the colour that the note explains."""
    ax = charts.agents(answer(("a", "known_bad", 9), ("b", "behind", 5), ("c", "latest", None)))
    drawn = [bar.get_facecolor() for bar in ax.containers[0].patches]
    assert drawn == [mpl.colors.to_rgba(c) for c in (layout.OLD, layout.BEHIND, layout.FOLLOWS)]
    assert ax.get_xlabel() == "red: known bad · orange: behind"


def test_agents_not_behind_have_rows_at_zero():
    """Images that follow or are pinned to the newest, and unknown ones, are counted in words at 0."""
    ax = charts.agents(
        answer(("a", "latest", None), ("b", "current", 0), ("c", "latest", None), ("d", "unknown", None))
    )
    assert bars(ax) == [
        ("1 pinned to the newest", "not behind", 0),
        ("2 follow AWS's newest", "not behind", 0),
        ("1 unknown", "days not known", 0),
    ]


def test_the_agent_of_one_image_is_described_in_the_singular():
    """One image follows, several follow."""
    assert bars(charts.agents(answer(("a", "latest", None))))[0][0] == "1 follows AWS's newest"


def test_agents_beyond_top_share_a_bar():
    """One bar stands for all others, as long as the longest of them, and counts them."""
    assert bars(charts.agents(many(60), top=3))[2:] == [
        ("image-57", "58 days", 58),
        ("57 others behind", "up to 57 days", 57),
    ]


def test_agents_known_bad_among_the_others_are_counted():
    """A known bad agent that has no bar of its own is still named."""
    ax = charts.agents(many(3, "known_bad"), top=1)
    assert bars(ax)[-1][0] == "2 others behind, 2 known bad"


@pytest.mark.parametrize("size", SIZES)
def test_agents_add_up(many_images, size):
    """The bars of single images and the counts of the other rows make up all images."""
    labels = [label for label, _, _ in bars(charts.agents(answer_of(charts.agents, many_images), on(size)))]
    counts = [
        re.search(r"([\d,]+) images$|^([\d,]+) (?:others? behind|pinned to|follow|unknown)", label) for label in labels
    ]
    assert sum(int((found[1] or found[2]).replace(",", "")) if found else 1 for found in counts) == 2000


def test_agents_of_one_name_share_a_bar():
    """A name that is in many accounts is one bar, as long as the longest, that says how many images it stands for."""
    rows = answer(("cad", "behind", 5), ("cad", "behind", 900), ("crm", "behind", 30)).assign(account=["1", "2", "3"])
    assert bars(charts.agents(rows)) == [("cad · 2 images", "up to 900 days", 900), ("crm · 3", "30 days", 30)]


@pytest.mark.parametrize("chart", CHARTS)
def test_an_image_that_several_accounts_see_counts_once(chart):
    """A shared image is a row of every account that reads it, and one image in the title."""
    rows = answer(("cad", "behind", 5), ("cad", "behind", 5), ("crm", "behind", 9))
    shared, own = "arn:aws:appstream:eu-west-1:2:image/cad", "arn:aws:appstream:eu-west-1:1:image/crm"
    ax = chart(rows.assign(account=["1", "2", "1"], arn=[shared, shared, own]))
    assert title(ax).startswith("All 2 images")


def test_agents_days_not_known_is_said():
    """An agent that is behind by an unknown number of days is drawn and says so."""
    assert bars(charts.agents(answer(("a", "behind", None)))) == [("a", "days not known", 0)]


def test_agents_of_several_regions_name_them():
    """Where the frame has several regions, a label says which."""
    ax = charts.agents(many(2).assign(region=["eu-west-1", "us-east-1"], account="1"))
    assert [label for label, _, _ in bars(ax)] == ["image-1 · us-east-1", "image-0 · eu-west-1"]


@pytest.mark.parametrize(
    ("verdicts", "finding"),
    [
        (["behind", "known_bad", "latest"], "2 of 3 images are behind AWS's newest agent; 1 known bad"),
        (["behind", "latest", "unknown"], "1 of 3 images is behind AWS's newest agent; 1 unknown"),
        (["latest", "current"], "No image is behind AWS's newest agent"),
        (["behind", "behind"], "All 2 images are behind AWS's newest agent"),
        (["unknown", "a stranger's"], "No agent is known"),
    ],
)
def test_agents_title_is_the_finding(verdicts, finding):
    """The title counts who is behind, who is on a bad agent, and what is not known."""
    assert title(charts.agents(answer(*(("a", verdict, 9) for verdict in verdicts)))) == finding


# --- base images


def test_bases_have_a_box_per_release():
    """Each release of a family is a box with its count, older ones to the left."""
    ax = charts.base_images(answer(*[("F", "behind", 500)] * 3, ("F", "current", 0), ("F", "retired", 900), age=50))
    assert [box.get_text() for box in boxes(ax)] == ["1", "3", "1"]
    assert [box.get_position()[0] for box in boxes(ax)] == [950, 550, 50]


def test_bases_stand_at_their_age():
    """Each box stands at its age in days, the oldest at the left."""
    ax = charts.base_images(answer(("F", "retired", 800), ("F", "behind", 400), ("F", "current", 0)))
    assert [box.get_position()[0] for box in boxes(ax)] == [800, 400, 0]
    assert ax.xaxis_inverted()


def test_bases_newest_is_outlined():
    """The box that holds AWS's newest release has a black edge, and no other has."""
    ax = charts.base_images(answer(("F", "behind", 400), ("F", "current", 0), age=84))
    edges = [box.get_bbox_patch().get_edgecolor() == mpl.colors.to_rgba("black") for box in boxes(ax)]
    assert edges == [False, True]


def test_bases_newest_is_marked_without_images():
    """AWS's newest release that no image stands on is a black line at its age."""
    ax = charts.base_images(answer(("F", "behind", 400), ("F", "behind", 300), age=100))
    line = next(line for line in ax.lines if line.get_color() == "black")
    assert [*line.get_xdata()] == [100, 100]


def test_bases_close_releases_share_a_box():
    """Releases of one verdict too close to be drawn apart are one box with all of their images, where the oldest stands."""
    ax = charts.base_images(answer(("F", "behind", 3000), ("F", "behind", 2), ("F", "behind", 1), age=9))
    assert [box.get_text() for box in boxes(ax)] == ["1", "2"]


def test_bases_of_different_verdicts_never_share_a_box():
    """A verdict's colour holds for every image in a box, however close its release is to one of another verdict."""
    ax = charts.base_images(
        answer(("F", "retired", 3000), ("F", "retired", 1), *[("F", "behind", 1)] * 2, ("F", "current", 0))
    )
    drawn = [(box.get_text(), box.get_bbox_patch().get_facecolor()) for box in boxes(ax)]
    colours = [layout.OLD, layout.OLD, layout.BEHIND, layout.NEWEST]
    assert drawn == [(text, mpl.colors.to_rgba(c)) for text, c in zip("1121", colours, strict=True)]


def test_bases_many_releases_have_room():
    """However many releases a family has, the boxes stand within the Axes, none over another."""
    rows = [("F", ("retired", "behind", "current")[n % 3], 3000 - 9 * n) for n in range(300)]
    ax = charts.base_images(answer(*rows), on((4, 3)))
    assert_legible(ax)
    assert sum(int(box.get_text()) for box in boxes(ax)) == 300


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (3, ["today", "1 day", "2 days", "3 days"]),
        (65, ["today", "1 month", "2 months"]),
        (2400, ["today", "1 year", "2 years", "3 years", "4 years", "5 years", "6 years"]),
    ],
)
def test_bases_axis_has_round_ages(days, expected):
    """The axis counts whole days, months or years."""
    ax = charts.base_images(answer(("F", "behind", days)), on((14, 5)))
    assert ticks(ax) == expected


def test_bases_families_stand_by_number_of_images():
    """The family with most images is on top, images without a family have a row, the rest share one."""
    rows = [("A", "behind", 9)] * 2 + [(None, "unknown", None)] * 3 + [("B", "current", 0), ("C", "current", 0)]
    assert words(charts.base_images(answer(*rows), top=2))[:3] == ["base unknown · 3", "A · 2", "2 others · 2"]


@pytest.mark.parametrize("size", SIZES)
def test_bases_add_up(many_images, size):
    """Rows count all images, boxes all whose base has an age."""
    table = answer_of(charts.base_images, many_images)
    ax = charts.base_images(table, on(size))
    labels = [text for text in words(ax) if " · " in text]
    assert sum(int(label.rsplit(" · ")[-1].replace(",", "")) for label in labels) == 2000
    assert sum(int(box.get_text().replace(",", "")) for box in boxes(ax)) == table["age_days"].notna().sum()


@pytest.mark.parametrize(
    ("verdicts", "finding"),
    [
        (["behind", "retired", "current"], "2 of 3 images stand on an outdated base; 1 on one that AWS retired"),
        (["current", "unknown"], "No image stands on an outdated base; 1 unknown"),
        (["current", "not_applicable"], "No image stands on an outdated base; 1 on none of AWS's"),
        (["unknown"], "No base is known"),
    ],
)
def test_bases_title_is_the_finding(verdicts, finding):
    """The title counts outdated bases, retired ones and what is not known."""
    assert title(charts.base_images(answer(*(("F", verdict, 9) for verdict in verdicts)))) == finding


# --- both


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(("count", "size"), [*((60, size) for size in SIZES), (1, SIZES[0]), (2000, SIZES[0])])
def test_nothing_overlaps(chart, size, count, many_images):
    """All text lies within the figure, and none over another or over a bar."""
    ax = chart(answer_of(chart, many_images.head(count)), on(size))
    assert_legible(ax)


@pytest.mark.parametrize("chart", CHARTS)
def test_nothing_to_draw_is_said(chart, frames):
    """An empty answer is a chart that says so."""
    assert words(chart(answer_of(chart, frames.images.head(0)))) == ["Nothing to draw"]


@pytest.mark.parametrize("chart", CHARTS)
def test_two_thousand_images_are_quick(chart, many_images):
    """A chart of 2,000 images takes at most three seconds of the processor."""
    table, start = answer_of(chart, many_images), time.process_time()
    chart(table)
    assert time.process_time() - start < 3
