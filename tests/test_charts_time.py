"""What the charts of many moments draw, read back from the Axes: areas, gaps, bars, words, and the room they take."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawn import HOSTILE, assert_legible, on, saved, title, words
from matplotlib.axes import Axes

import appstream_frames as asf
from appstream_frames import charts
from appstream_frames.charts import style as charts_style
from appstream_frames.errors import RequestError

mpl.use("Agg")
import matplotlib.pyplot as plt

SIZES = [(4, 3), (6.4, 4.8), (14, 5), None]
WEEKS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2026-08-31", periods=13, freq="7D")]
CHARTS = [charts.trend, charts.timeline]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of the sandbox's thirteen weeks."""
    root = tmp_path_factory.mktemp("history")
    for week in WEEKS:
        with asf.sandbox(at=week) as sandbox:
            asf.write_snapshot(asf.drain(sandbox.client()).relabel(week), root)
    return root


def counted(*values: tuple[str | None, list[int | None]]) -> pd.DataFrame:
    """Return what `asf.trend` gives for values with one count a week."""
    rows = [(week, value, count) for value, counts in values for week, count in zip(WEEKS, counts, strict=False)]
    table = pd.DataFrame(rows, columns=["snapshot", "platform", "count"], dtype=object).astype({"count": "Int64"})
    return table.assign(snapshot=pd.to_datetime(table["snapshot"], utc=True), complete=table["count"].notna())


def lived(*lives: tuple[str, int, int, int | None], generations: int = 1) -> pd.DataFrame:
    """Return what `asf.timeline` gives for names with the weeks of first and last sighting, and of absence."""
    name, *moments = zip(*lives, strict=True)
    made = {"name": pd.Series(name, dtype=object)}
    for column, weeks in zip(("first_seen", "last_seen", "gone_by"), moments, strict=True):
        days = [None if week is None else WEEKS[week] for week in weeks]
        made[column] = pd.to_datetime(pd.Series(days, dtype=object), utc=True).dt.as_unit("us")
    return pd.DataFrame(made).assign(generations=generations)


def example(chart: object, count: int = 60) -> pd.DataFrame:
    """Return so many rows for a chart, some of them gaps, gone or rebuilt."""
    if chart is charts.trend:
        values = [(f"value-{n}", [(n * 7 + week) % 23 for week in range(13)]) for n in range(-(-count // 13))]
        return counted(*values).head(count)
    rows = [(f"image-{n}", n % 5, 6 + n % 7, 7 + n % 7 if n % 7 < 6 and n % 3 else None) for n in range(count)]
    return lived(*rows, generations=1).assign(generations=[1 + n % 4 for n in range(count)])


def heights(ax: Axes) -> list[list[float]]:
    """Read the height of each area in counts, bottom to top, at each snapshot."""
    scale = {float(text.get_text()): text.get_position()[1] for text in ax.texts if text.get_text().isdigit()}
    (one, low), (two, high) = min(scale.items()), max(scale.items())
    unit = (low - high) / (two - one)
    return [[(below - above) / unit for below, above in _edges(area)] for area in ax.collections]


def _edges(area: mpl.collections.Collection) -> list[tuple[float, float]]:
    points = area.get_paths()[0].vertices
    across = [(min(a, b), max(a, b), y) for (a, y), (b, z) in pairwise(points) if y == z and a != b]
    starts = sorted({float(x) for x in points[:, 0]})[:-1]
    found = [[y for a, b, y in across if a <= x < b] for x in starts]
    return [(max(here), min(here)) for here in found]


def hatched(ax: Axes) -> list[tuple[float, float]]:
    """Read from where to where there are gaps."""
    bars = [bar for container in ax.containers for bar in container.patches]
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars if bar.get_hatch()]


def bars(ax: Axes) -> list[tuple[float, float, tuple[float, ...]]]:
    """Read from where to where each life lasts, and its colour, top to bottom."""
    patches = [bar for container in ax.containers for bar in container.patches]
    return [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_facecolor()) for bar in patches]


def colour(name: str) -> tuple[float, ...]:
    return mpl.colors.to_rgba(name)


# --- trend


def test_trend_areas_are_as_high_as_counts():
    """The value with the highest count lies at the bottom, and each area is as high as its count in each week."""
    ax = charts.trend(counted(("small", [10, 20, 30]), ("large", [40, 40, 50])))
    assert heights(ax) == [pytest.approx([40, 40, 50]), pytest.approx([10, 20, 30])]


def test_trend_names_stand_at_the_right_end():
    """Each area is named beside its last block, with its last count and its colour; bottom to top as the areas."""
    ax = charts.trend(counted(("small", [10, 30]), ("large", [40, 50])))
    named = [text for text in ax.texts if " · " in text.get_text()]
    assert [text.get_text() for text in named] == ["large · 50", "small · 30"]
    assert named[0].get_position()[1] > named[1].get_position()[1]
    squares = [line.get_color() for line in ax.lines if line.get_marker() == "s"]
    assert squares == [*charts_style.SERIES[:2]]


def test_trend_gap_is_hatched_to_the_next_snapshot():
    """A week that was not read is hatched, from its snapshot to the next, and has no area."""
    ax = charts.trend(
        counted(
            ("a", [10, 10, None, 10]),
        )
    )
    [(left, right)] = hatched(ax)
    first = ax.collections[0].get_paths()[0].vertices[:, 0].min()
    assert (left - first) / (right - left) == pytest.approx(2)
    assert heights(ax)[0][1] == pytest.approx(10)
    assert "hatched: not read whole" in ax.get_xlabel()


def test_trend_without_gaps_has_no_hatching():
    """What was read whole is not hatched, 0 counts among it."""
    ax = charts.trend(counted(("a", [10, 0, 10])))
    assert hatched(ax) == []
    assert "hatched" not in ax.get_xlabel()


def test_trend_part_of_a_count_is_no_count():
    """Where rows of one value are added up and one of them is not known, the sum is not known."""
    table = pd.concat([counted(("a", [5, None])), counted(("a", [5, 5]))])
    assert title(charts.trend(table)) == "10 on 2026-08-31; 1 of 2 snapshots not read whole"


def test_trend_known_parts_are_drawn_below_hatching():
    """Where one value is known and another is not, the known one keeps its height."""
    ax = charts.trend(counted(("a", [30, 30, 30]), ("b", [10, None, 10])))
    assert heights(ax)[0] == pytest.approx([30, 30, 30])
    assert len(hatched(ax)) == 1


def test_trend_last_count_not_known_is_said():
    """A value whose last count is missing is named with a question mark."""
    assert "a · ?" in words(charts.trend(counted(("a", [10, None]))))


def test_trend_other_values_share_an_area():
    """Beyond `top` values one grey area is as high as all others together."""
    ax = charts.trend(counted(*((f"v{n}", [100 - n, 100 - n]) for n in range(10))), top=3)
    assert words(ax)[-4:] == ["v0 · 100", "v1 · 99", "v2 · 98", f"7 others · {sum(range(91, 98))}"]
    assert heights(ax)[-1] == pytest.approx([sum(range(91, 98))] * 2)


def test_trend_value_called_others_is_a_value():
    """A stranger's value that reads like our own words takes nothing away."""
    ax = charts.trend(counted(("2 others", [9, 9]), ("a", [8, 8]), ("b", [7, 7])), top=1)
    assert words(ax)[-2:] == ["2 others · 9", "2 others · 15"]


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ([("a", [10, 12])], "10 on 2026-08-31, 12 on 2026-09-07: a +2"),
        ([("a", [10, 10])], "10 on 2026-08-31, 10 on 2026-09-07"),
        ([("a", [10, 2]), ("b", [1, 5]), ("c", [1, 2])], "12 on 2026-08-31, 9 on 2026-09-07: a −8, b +4"),
        ([("a", [1200])], "1,200 on 2026-08-31"),
        ([("a", [None, None])], "No count is whole: 2 of 2 snapshots not read whole"),
        (
            [("a", [None, 3, 4])],
            "3 on 2026-09-07, 4 on 2026-09-14: a +1; 1 of 3 snapshots not read whole",
        ),
    ],
)
def test_trend_title_is_the_finding(values, finding):
    """The title says what there was and is, what moved most, and what is missing."""
    assert title(charts.trend(counted(*values))) == finding


def test_trend_days_of_one_day_have_times():
    """Two snapshots of one day are told apart by the time."""
    table = counted(("a", [1, 2])).assign(snapshot=["2026-11-23T06:00Z", "2026-11-23T18:30Z"])
    assert title(charts.trend(table)) == "1 on 2026-11-23 06:00, 2 on 2026-11-23 18:30: a +1"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, "(none)"),
        (True, "platform: yes"),
        (pd.Timestamp("2026-04-16", tz="UTC"), "2026-04-16"),
        (["A", "B"], "A, B"),
        ([], "(empty)"),
        (7, "7"),
    ],
)
def test_trend_values_of_any_type_have_words(value, label):
    """Nulls, booleans, days and lists are named so that a person can read them."""
    table = counted(("x", [3])).assign(platform=pd.Series([value], dtype=object))
    assert f"{label} · 3" in words(charts.trend(table))


def test_trend_of_the_sandbox(history):
    """Of thirteen weekly snapshots the last counts drawn are those of the newest snapshot."""
    counts = asf.trend(history, by=["platform", "visibility"])
    ax = charts.trend(counts, on((14, 5)))
    named = [text for text in words(ax) if " · " in text]
    newest = counts[counts["snapshot"] == counts["snapshot"].max()]["count"].sum()
    assert sum(int(text.rsplit(" · ")[-1].replace(",", "")) for text in named) == newest


# --- timeline


def test_timeline_bars_last_from_first_to_last_sighting():
    """A life of half the time has a bar of half the length; one that is there ends at the right edge."""
    ax = charts.timeline(lived(("a", 0, 12, None), ("gone", 0, 6, 7)))
    gone, there = bars(ax)
    assert there[0] == gone[0]
    cross = next(line for line in ax.lines if line.get_marker() == "x").get_xdata()[0]
    assert (gone[1] - gone[0]) / (cross - gone[0]) == pytest.approx(6 / 7)
    assert there[1] > gone[0] + (cross - gone[0]) / 7 * 12
    assert (gone[2], there[2]) == (colour(charts_style.RECENT), colour(charts_style.FOLLOWS))


def test_timeline_unseen_is_dotted_and_not_gone():
    """What was not seen lately, although nothing tells that it is gone, leads on in dots."""
    ax = charts.timeline(lived(("a", 0, 12, None), ("lost", 0, 5, None)))
    assert [line.get_linestyle() for line in ax.lines if line.get_linestyle() == ":"] == [":"]
    assert [line for line in ax.lines if line.get_marker() == "x"] == []
    assert title(ax) == "No image is gone since 2026-08-31; 1 not seen lately"


def test_timeline_of_targets_read_at_different_hours_is_not_unseen():
    """Targets whose last snapshots are hours apart were all seen lately."""
    table = lived(("a", 0, 12, None), ("b", 0, 12, None))
    table.loc[1, "last_seen"] += pd.Timedelta(hours=9)
    assert "not seen" not in title(charts.timeline(table))


def test_timeline_of_a_target_added_later_did_not_come():
    """The first images of a target are no newcomers, though the archive is older."""
    table = lived(("a", 0, 12, None), ("b", 5, 12, None)).assign(account="1", region=["r", "s"])
    assert title(charts.timeline(table)) == "No image is gone since 2026-08-31"


def test_timeline_says_since_when_and_by_when():
    """Beside a bar stands when the image came, or by when it was gone."""
    ax = charts.timeline(lived(("old", 0, 12, None), ("new", 8, 12, None), ("gone", 0, 3, 4)))
    assert {"since 2026-10-26", "gone by 2026-09-28"} <= set(words(ax))


def test_timeline_rebuilt_is_said():
    """The label of an image with several generations says how often it was rebuilt, however long its name is."""
    ax = charts.timeline(lived(("W" * 900, 0, 12, None), generations=3))
    assert words(ax)[0].endswith("… · rebuilt 2×")


def test_timeline_latest_of_each_kind_have_rows():
    """Of those that came, went or were rebuilt the latest have rows, before any that stayed."""
    lives = [("stayed", 0, 12, None), ("gone-1", 0, 3, 4), ("gone-2", 0, 5, 6), ("came-1", 3, 12, None)]
    table = pd.concat([lived(*lives, ("came-2", 9, 12, None)), lived(("anew", 0, 12, None), generations=2)])
    ax = charts.timeline(table, top=3)
    assert set(words(ax)[:3]) == {"gone-2", "came-2", "anew · rebuilt 1×"}
    assert "3 others: 1 gone, 1 came, 1 stayed" in words(ax)


def test_timeline_rows_stand_by_first_sighting():
    """Rows are ordered by when the image was first seen, then by its end."""
    ax = charts.timeline(lived(("c", 5, 12, None), ("b", 0, 9, 10), ("a", 0, 3, 4)))
    assert [left for left, _, _ in bars(ax)] == sorted(left for left, _, _ in bars(ax))
    assert words(ax)[:3] == ["a", "b", "c"]


def test_timeline_of_one_moment():
    """With a single snapshot every image lives all the time."""
    ax = charts.timeline(lived(("a", 3, 3, None), ("b", 3, 3, None)))
    assert all(right - left > 100 for left, right, _ in bars(ax))


@pytest.mark.parametrize("size", SIZES)
def test_timeline_adds_up(size, history):
    """Rows and the words for others count every image once."""
    lives = asf.timeline(history)
    ax = charts.timeline(lives, on(size))
    rest = next(text for text in words(ax) if " others: " in text)
    assert len(bars(ax)) + int(rest.split()[0]) == len(lives)
    assert sum(int(number) for number in re.findall(r"(\d+) [a-z]", rest.split(": ")[1])) == int(rest.split()[0])


@pytest.mark.parametrize(
    ("lives", "finding"),
    [
        ([("a", 0, 3, 4), ("b", 0, 9, None)], "1 of 2 images is gone since 2026-08-31"),
        ([("a", 0, 3, 4), ("b", 2, 3, 4)], "All 2 images are gone since 2026-08-31; 1 came"),
        ([("a", 0, 9, None), ("b", 4, 9, None)], "No image is gone since 2026-08-31; 1 came"),
    ],
)
def test_timeline_title_is_the_finding(lives, finding):
    """The title counts who is gone and who came."""
    assert title(charts.timeline(lived(*lives))) == finding


def test_timeline_title_agrees_with_the_sandbox(history):
    """The count in the title is that of the frame."""
    lives = asf.timeline(history)
    gone = lives["gone_by"].notna().sum()
    assert title(charts.timeline(lives)).startswith(f"{gone} of {len(lives)} images are gone since 2026-08-31")


# --- both


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 60, 2000])
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_nothing_overlaps(chart, size, count, layout):
    """All text lies within the figure, and none over another or over a bar."""
    if not (size is None and layout):
        assert_legible(chart(example(chart, count), on(size, layout=layout)))


@pytest.mark.parametrize("size", [(4, 3)])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_in_its_place(size, text):
    """However long or odd a text, as value or name, it leaves the rest legible and can be saved as PNG and SVG."""
    table = lived((text, 0, 3, 4), (text, 2, 12, None), ("b", 0, 12, None), generations=2)
    tables = {charts.trend: counted((text, [3, None, 5]), ("b", [2, 2, 2])), charts.timeline: table}
    for chart, rows in tables.items():
        regions = pd.Series([text, *["b"] * (len(rows) - 1)], dtype=object)
        ax = chart(rows.assign(region=regions), on(size))
        assert_legible(ax)
        assert saved(ax, "png")
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
@pytest.mark.parametrize("top", [0, -1, 2.5, "5", None, True])
def test_top_is_a_positive_number(chart, top):
    """A top that is no whole number from 1 on is refused."""
    with pytest.raises(RequestError, match="expected a whole number"):
        chart(example(chart), top=top)


@pytest.mark.parametrize("chart", CHARTS)
def test_frame_is_not_mutated(chart):
    """The frame is the same after as before, its index of duplicates too."""
    table = example(chart).set_index(pd.Index([7] * 60))
    before = table.copy(deep=True)
    chart(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("chart", CHARTS)
def test_draws_into_the_given_axes_only(chart):
    """With ax=, that Axes is returned and no figure is made."""
    ax = on((6, 4))
    assert chart(example(chart), ax) is ax
    assert plt.get_fignums() == []


@pytest.mark.parametrize("chart", CHARTS)
def test_order_of_rows_does_not_matter(chart):
    """The same rows in another order are the same picture."""
    table = example(chart, 200)
    turned = table.iloc[np.random.default_rng(1).permutation(len(table))]
    assert words(chart(table)) == words(chart(turned))


@pytest.mark.parametrize("chart", CHARTS)
def test_two_thousand_rows_are_quick(chart):
    """A chart of 2,000 images takes at most three seconds."""
    table, start = example(chart, 2000), time.perf_counter()
    chart(table)
    assert time.perf_counter() - start < 3
