"""The charts of agents and base images are whole and can be read: at any size, with any number of images and any text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from support.drawn import HOSTILE, ODD, assert_legible, in_forms, on, saved, title
from support.releases import CHARTS, SIZES, agents, bases, labels, many_images, rows

from appstream_frames import charts

COUNTS = [1, 60, 2000]


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]])
def test_counts_add_up_to_all_images(chart, count, size):
    """The numbers drawn are the bars' widths, and their sum is the number of rows."""
    drawn = rows(chart(many_images(count), on(size)))
    assert [row.count for row in drawn] == [row.width for row in drawn]
    assert sum(row.count for row in drawn) == count


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(("count", "size", "layout"), in_forms(60, 1, 2000))
def test_no_text_is_clipped_or_covered(chart, count, size, layout):
    """Every text lies inside the figure, whole, and on no other text and no bar."""
    ax = chart(many_images(count), on(size, layout=layout))
    assert_legible(ax)
    assert "…" not in "".join(labels(ax))


@pytest.mark.parametrize("size", [None, *SIZES])
def test_longest_label_is_not_cut(size):
    """The newest release of the family with the longest name, at the longest age, keeps all its words."""
    ax = charts.base_image_releases(bases("2022-06-20", platform="AMAZON_LINUX2"), on(size), today="2036-11-23")
    assert labels(ax)[0] == "2024-05-08 · Amazon Linux · AWS's newest · 12.5 years"


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_hostile_version_stays_in_its_place(text):
    """However long or odd a text, it leaves the rest legible, where there is least room."""
    assert_legible(charts.agent_versions(agents("LATEST", "06-29-2026", text, None), on(SIZES[0]), today="2026-11-23"))


@pytest.mark.parametrize("chart", CHARTS)
def test_no_images_is_said(chart):
    """An empty frame is a chart that says so."""
    ax = chart(many_images(0))
    assert [text.get_text() for text in ax.texts] == ["No images"]
    assert saved(ax, "png")


@pytest.mark.parametrize("chart", CHARTS)
def test_all_null_columns(chart):
    """Columns of nothing but nulls are a finding, not an error."""
    frame = many_images(3).assign(appstream_agent_version=None, public_base_image_released_date=None, platform=None)
    assert title(chart(frame)).startswith("No image names a known")


@pytest.mark.parametrize("fonttype", ["path", "none"])
def test_svg_has_no_active_content(fonttype):
    """Markup in a version is text in the SVG, not an element."""
    with mpl.rc_context({"svg.fonttype": fonttype}):
        ax = charts.agent_versions(agents(*["<script>alert(1)</script>"] * 2, *HOSTILE), today="2026-11-23")
        root = ElementTree.fromstring(saved(ax, "svg"))  # noqa: S314 - our own
    tags = {re.sub(r"{.*}", "", element.tag) for element in root.iter()}
    assert tags.isdisjoint({"script", "foreignObject", "a", "image", "iframe"})


@pytest.mark.parametrize("rc", [{"text.usetex": True}, {"text.parse_math": True}])
def test_hostile_text_under_the_users_settings(rc):
    """No setting of the user's makes a stranger's words be read as TeX."""
    with mpl.rc_context(rc):
        ax = charts.agent_versions(agents(r"$\input{/etc/passwd}", "LATEST"), on((6, 4)))
        assert saved(ax, "png")


def test_shared_axis_does_not_spread_hostile_text():
    """Axes that share an axis with the chart do not repeat its labels."""
    figure = Figure()
    first, _ = figure.subplots(2, sharex=True, sharey=True)
    charts.agent_versions(agents(r"$\frac{", "LATEST"), first)
    assert saved(first, "svg")
