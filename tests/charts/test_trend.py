"""What the chart of counts over time draws, read back from the Axes: areas, gaps, names and the finding."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from support.charted import counted
from support.drawn import colour, title, words

from appstream_frames import charts
from appstream_frames.charts import layout


def heights(ax: Axes) -> list[list[float]]:
    """Read the height of each area in counts, bottom to top, at each snapshot."""
    return [[above - below for below, above in _edges(area)] for area in ax.collections]


def _edges(area: mpl.collections.Collection) -> list[tuple[float, float]]:
    points = area.get_paths()[0].vertices
    across = [(min(a, b), max(a, b), y) for (a, y), (b, z) in pairwise(points) if y == z and a != b]
    starts = sorted({float(x) for x in points[:, 0]})[:-1]
    found = [[y for a, b, y in across if a <= x < b] for x in starts]
    return [(min(here), max(here)) for here in found]


def hatched(ax: Axes) -> list[tuple[float, float]]:
    """Read from where to where there are gaps."""
    bars = [bar for container in ax.containers for bar in container.patches]
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars if bar.get_hatch()]


def test_trend_areas_are_as_high_as_counts():
    """The value with the highest count lies at the bottom, and each area is as high as its count in each week."""
    ax = charts.trend(counted(("small", [10, 20, 30]), ("large", [40, 40, 50])))
    assert heights(ax) == [pytest.approx([40, 40, 50]), pytest.approx([10, 20, 30])]


def test_trend_legend_is_in_the_order_of_the_areas():
    """Each area is named with its last count and its colour, top to bottom as the areas."""
    ax = charts.trend(counted(("small", [10, 30]), ("large", [40, 50])))
    squares = [colour(square.get_facecolor()) for square in ax.get_legend().legend_handles]
    assert words(ax) == ["small · 30", "large · 50"]
    assert squares == [colour(name) for name in layout.SERIES[1::-1]]
    assert [colour(area.get_facecolor()[0]) for area in ax.collections] == squares[::-1]


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
    assert title(charts.trend(table)) == "10 images on 2026-08-31; 1 of 2 snapshots not read whole"


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
    assert words(ax) == [f"7 others · {sum(range(91, 98))}", "v2 · 98", "v1 · 99", "v0 · 100"]
    assert heights(ax)[-1] == pytest.approx([sum(range(91, 98))] * 2)


def test_trend_value_called_others_is_a_value():
    """A stranger's value that reads like our own words takes nothing away."""
    ax = charts.trend(counted(("2 others", [9, 9]), ("a", [8, 8]), ("b", [7, 7])), top=1)
    assert words(ax) == ["2 others · 15", "2 others · 9"]


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ([("a", [10, 12])], "10 images on 2026-08-31, 12 on 2026-09-07: a +2"),
        ([("a", [10, 10])], "10 images on 2026-08-31, 10 on 2026-09-07"),
        ([("a", [10, 2]), ("b", [1, 5]), ("c", [1, 2])], "12 images on 2026-08-31, 9 on 2026-09-07: a −8, b +4"),
        ([("a", [1200])], "1,200 images on 2026-08-31"),
        ([("a", [None, None])], "No count is whole: 2 of 2 snapshots not read whole"),
        (
            [("a", [None, 3, 4])],
            "3 images on 2026-09-07, 4 on 2026-09-14: a +1; 1 of 3 snapshots not read whole",
        ),
    ],
)
def test_trend_title_is_the_finding(values, finding):
    """The title says what there was and is, what moved most, and what is missing."""
    assert title(charts.trend(counted(*values))) == finding


def test_trend_days_of_one_day_have_times():
    """Two snapshots of one day are distinguished by the time."""
    table = counted(("a", [1, 2])).assign(snapshot=["2026-11-23T06:00Z", "2026-11-23T18:30Z"])
    assert title(charts.trend(table)) == "1 images on 2026-11-23 06:00, 2 on 2026-11-23 18:30: a +1"


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
