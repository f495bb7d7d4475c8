"""What holds for both charts of many moments: on the sandbox's thirteen weeks, at any size, and with any table."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from support.charted import bars, counted, example, lived
from support.drawn import ODD, assert_legible, in_forms, on, saved, title, words

import appstream_frames as asf
from appstream_frames import charts
from appstream_frames.errors import RequestError

mpl.use("Agg")

SIZES = [(4, 3), (6.4, 4.8), (14, 5), None]
CHARTS = [charts.trend, charts.timeline]


# --- the sandbox's weeks


@pytest.mark.slow
def test_trend_of_the_sandbox(thirteen_weeks):
    """Of thirteen weekly snapshots the last counts drawn are those of the newest snapshot."""
    counts = asf.trend(thirteen_weeks, by=["platform", "visibility"])
    ax = charts.trend(counts, on((14, 5)))
    named = [text for text in words(ax) if " · " in text]
    newest = counts[counts["snapshot"] == counts["snapshot"].max()]["count"].sum()
    assert sum(int(text.rsplit(" · ")[-1].replace(",", "")) for text in named) == newest


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_timeline_adds_up(size, thirteen_weeks):
    """Rows and the words for others count every image once."""
    lifetimes = asf.timeline(thirteen_weeks)
    ax = charts.timeline(lifetimes, on(size))
    rest = next(text for text in words(ax) if " others: " in text)
    assert len(bars(ax)) + int(rest.split()[0]) == len(lifetimes)
    assert sum(int(number) for number in re.findall(r"(\d+) [a-z]", rest.split(": ")[1])) == int(rest.split()[0])


def test_timeline_title_agrees_with_the_sandbox(thirteen_weeks):
    """The count in the title is that of the frame."""
    lifetimes = asf.timeline(thirteen_weeks)
    gone = lifetimes["gone_by"].notna().sum()
    assert title(charts.timeline(lifetimes)).startswith(
        f"{gone} of {len(lifetimes)} images are gone between 2026-08-31 and "
    )


# --- both


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(("count", "size", "layout"), in_forms(60, 1, 2000))
def test_nothing_overlaps(chart, size, count, layout):
    """All text lies within the figure, and none over another or over a bar."""
    assert_legible(chart(example(chart, count), on(size, layout=layout)))


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_hostile_text_stays_in_its_place(text):
    """However long or odd a text, as value or name, it leaves the rest legible and can be saved as SVG."""
    table = lived((text, 0, 3, 4), (text, 2, 12, None), ("b", 0, 12, None), generations=2)
    tables = {charts.trend: counted((text, [3, None, 5]), ("b", [2, 2, 2])), charts.timeline: table}
    for chart, rows in tables.items():
        regions = pd.Series([text, *["b"] * (len(rows) - 1)], dtype=object)
        ax = chart(rows.assign(region=regions), on((4, 3)))
        assert_legible(ax)
        ElementTree.fromstring(saved(ax, "svg"))  # noqa: S314 - our own


@pytest.mark.parametrize("chart", CHARTS)
def test_nothing_to_draw_is_said(chart):
    """An empty frame is a chart that says so."""
    assert words(chart(example(chart).head(0))) == ["Nothing to draw"]


@pytest.mark.parametrize(
    ("chart", "column"),
    [
        *((charts.trend, column) for column in ("snapshot", "count")),
        *((charts.timeline, c) for c in ("name", "first_seen", "last_seen", "gone_by", "generations")),
    ],
)
def test_missing_column_is_named(chart, column):
    """The error names the column and the function whose result to pass."""
    with pytest.raises(RequestError, match=rf"'{column}'.*pass what asf\.{chart.__name__}\(root"):
        chart(example(chart).drop(columns=column))


@pytest.mark.parametrize(
    ("chart", "column", "value"),
    [
        (charts.trend, "snapshot", "soon\x1b"),
        (charts.trend, "snapshot", None),
        (charts.timeline, "first_seen", "soon"),
        (charts.timeline, "last_seen", None),
        (charts.timeline, "gone_by", "$\\frac{"),
    ],
)
def test_what_is_no_moment_is_refused(chart, column, value):
    """A value that is no moment is shown, made safe, and an example with it."""
    table = example(chart)
    table[column] = pd.Series([value, *table[column].astype(object)[1:]], dtype=object)
    with pytest.raises(RequestError, match=rf"'{column}' holds .* expected a moment such as '2026-11-23'") as caught:
        chart(table)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("chart", CHARTS)
def test_other_than_a_frame_is_refused(chart):
    """A list is not a frame."""
    with pytest.raises(RequestError, match="got a list"):
        chart([])


@pytest.mark.parametrize("chart", CHARTS)
def test_order_of_rows_does_not_matter(chart):
    """The same rows in another order are the same picture."""
    table = example(chart, 200)
    turned = table.iloc[np.random.default_rng(1).permutation(len(table))]
    assert words(chart(table)) == words(chart(turned))


@pytest.mark.parametrize("chart", CHARTS)
def test_two_thousand_rows_are_quick(chart):
    """A chart of 2,000 images takes at most three seconds of the processor."""
    table, start = example(chart, 2000), time.process_time()
    chart(table)
    assert time.process_time() - start < 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 14])
@pytest.mark.parametrize("unit", ["us", "s", "min", "h", "D", "W"])
def test_any_stretch_of_time_has_dates(unit, width):
    """There are two dates at least, and matplotlib warns of nothing, however far apart the first and last snapshot are."""
    for apart in [1, 1.9, 2.9, 3.9, 5.9, 7.9, 55]:
        first = pd.Timestamp("2026-11-23 10:15", tz="UTC")
        last = first + pd.Timedelta(round(apart * pd.Timedelta(1, unit).value / 1000), "us")
        ax = Figure(figsize=(width, 3)).subplots()
        charts.trend(pd.DataFrame({"snapshot": [first, last], "platform": "RHEL8", "count": [12, 14]}), ax)
        dates = [text.get_text() for text in ax.get_xticklabels()]
        assert (len(dates) >= 2, all(dates)) == (True, True), (apart, unit)
