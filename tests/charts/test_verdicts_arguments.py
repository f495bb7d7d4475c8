"""What the charts of answers and of many moments take, refuse and leave alone: tables, Axes and how many rows to draw."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
import pytest
from support.charted import example, many
from support.drawn import on

from appstream_frames import charts
from appstream_frames.errors import RequestError

mpl.use("Agg")
import matplotlib.pyplot as plt

CHARTS = [charts.agents, charts.base_images]
ALL = [*CHARTS, charts.trend, charts.timeline]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("column", ["verdict", "days_behind"])
def test_missing_column_is_named(chart, column):
    """The error names the column and the function whose result to pass."""
    with pytest.raises(RequestError, match=rf"'{column}'.*pass what asf\.{chart.__name__}\(images\) gives"):
        chart(many(3).drop(columns=column))


@pytest.mark.parametrize("chart", CHARTS)
def test_other_than_a_frame_is_refused(chart):
    """A list is not a frame."""
    with pytest.raises(RequestError, match="got a list"):
        chart([])


@pytest.mark.parametrize("chart", ALL)
@pytest.mark.parametrize("top", [0, -1, 2.5, "5", None, True])
def test_top_is_a_positive_number(chart, top):
    """A top that is no whole number from 1 on is refused."""
    with pytest.raises(RequestError, match="expected a whole number"):
        chart(example(chart), top=top)


@pytest.mark.parametrize("chart", ALL)
def test_frame_is_not_mutated(chart):
    """The frame is the same after as before, its index of duplicates too."""
    table = example(chart).set_index(pd.Index([7] * 60))
    before = table.copy(deep=True)
    chart(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("chart", ALL)
def test_draws_into_the_given_axes_only(chart):
    """With ax=, that Axes is returned and no figure is made."""
    ax = on((6, 4))
    assert chart(example(chart), ax) is ax
    assert plt.get_fignums() == []
