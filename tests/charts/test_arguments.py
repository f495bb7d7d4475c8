"""What the charts of agents and base images take, what they refuse and what they leave alone: Axes, frames and days."""

from __future__ import annotations

import time

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure
from support.releases import CHARTS, TODAY, agents, many_images, rows

from appstream_frames import charts
from appstream_frames.errors import RequestError

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.mark.parametrize("chart", CHARTS)
def test_draws_into_the_given_axes_only(chart):
    """With ax=, that Axes is returned, its neighbour is untouched, and no figure is made."""
    figure = Figure()
    mine, other = figure.subplots(1, 2)
    before = (other.get_xlim(), other.get_ylim(), len(other.get_children()), figure.get_size_inches().tolist())
    assert chart(many_images(12), mine) is mine
    assert (other.get_xlim(), other.get_ylim(), len(other.get_children()), figure.get_size_inches().tolist()) == before
    assert plt.get_fignums() == []


@pytest.mark.parametrize("chart", CHARTS)
def test_settings_are_left_alone(chart):
    """No rcParam changes."""
    before = mpl.rcParams.copy()
    chart(many_images(12))
    assert mpl.rcParams == before


@pytest.mark.parametrize("chart", CHARTS)
def test_frame_is_not_mutated(chart):
    """The frame is the same after as before, its index of duplicates too."""
    frame = many_images(12).set_index(pd.Index([7] * 12))
    before = frame.copy(deep=True)
    chart(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("chart", CHARTS)
def test_filtered_frame(chart):
    """A part of a frame, whatever its index, is counted as it is."""
    frame = pd.concat([many_images(30), many_images(30, seed=2)])
    part = frame[frame["platform"] == "WINDOWS_SERVER_2022"]
    assert sum(row.count for row in rows(chart(part))) == len(part)


@pytest.mark.parametrize(
    ("chart", "column"),
    [
        (charts.agent_versions, "appstream_agent_version"),
        (charts.base_image_releases, "public_base_image_released_date"),
        (charts.base_image_releases, "platform"),
    ],
)
def test_missing_column_is_named(chart, column):
    """The error names the column and says what to pass."""
    with pytest.raises(RequestError, match=rf"'{column}'.*pass frames\.images"):
        chart(many_images(3).drop(columns=column))


@pytest.mark.parametrize("chart", CHARTS)
def test_other_than_a_frame_is_refused(chart):
    """A list of images is not a frame."""
    with pytest.raises(RequestError, match=r"is a list, expected a DataFrame"):
        chart([{"Name": "x"}])


@pytest.mark.parametrize("today", ["soon", "", "23/11/2026", pd.NaT, 5, r"$\frac{" + "\x1b"])
def test_today_that_is_no_day_is_refused(today):
    """The error shows what was given, made safe, and an example."""
    with pytest.raises(RequestError, match=r"expected a day such as '2026-11-23'") as caught:
        charts.agent_versions(agents("LATEST"), today=today)
    assert str(caught.value).startswith(f"today={today!r} is no date")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "today",
    ["2026-11-23", TODAY, TODAY.tz_convert("Asia/Tokyo"), TODAY.tz_localize(None), TODAY.date(), TODAY.to_pydatetime()],
)
def test_today_in_all_its_forms(today):
    """Text, date and moments with or without a zone mean the same UTC day."""
    assert "Ages at 2026-11-23" in charts.agent_versions(agents("LATEST"), today=today).get_xlabel()


def test_today_is_the_newest_snapshot():
    """Without today=, ages are counted from the newest snapshot in the frame."""
    frame = agents("LATEST", "LATEST").assign(snapshot=pd.to_datetime(["2026-01-01", "2026-03-05"], utc=True))
    assert "Ages at 2026-03-05" in charts.agent_versions(frame).get_xlabel()


@pytest.mark.parametrize("frame", [agents("LATEST"), agents("LATEST").assign(snapshot=pd.NaT)])
def test_today_is_now_without_a_snapshot(frame):
    """With no snapshot in the frame, ages are counted from now."""
    now = pd.Timestamp.now(tz="UTC")
    drawn = charts.agent_versions(frame).get_xlabel()
    assert any(f"Ages at {day:%Y-%m-%d}" in drawn for day in (now, pd.Timestamp.now(tz="UTC")))


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "UTC"])
@pytest.mark.parametrize("chart", CHARTS)
def test_machines_zone_does_not_matter(chart, zone, monkeypatch):
    """Days are UTC days on every machine."""
    expected = rows(chart(many_images(60)))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert rows(chart(many_images(60))) == expected
    finally:
        monkeypatch.undo()
        time.tzset()
