"""What the chart of lifetimes draws, read back from the Axes: bars, ends, words and the finding."""

from __future__ import annotations

import pandas as pd
import pytest
from support.charted import bars, lived
from support.drawn import colour, title, words

from appstream_frames import charts
from appstream_frames.charts import layout


def test_timeline_bars_last_from_first_to_last_sighting():
    """A life of half the time has a bar of half the length; one that is there ends at the right edge."""
    ax = charts.timeline(lived(("a", 0, 12, None), ("gone", 0, 6, 7)))
    gone, there = bars(ax)
    assert there[0] == gone[0]
    cross = next(line for line in ax.lines if line.get_marker() == "x").get_xdata()[0]
    assert (gone[1] - gone[0]) / (cross - gone[0]) == pytest.approx(6 / 7)
    assert there[1] > gone[0] + (cross - gone[0]) / 7 * 12
    assert (gone[2], there[2]) == (colour(layout.RECENT), colour(layout.FOLLOWS))


def test_timeline_unseen_is_dotted_and_not_gone():
    """What was not seen lately, although nothing tells that it is gone, leads on in dots."""
    ax = charts.timeline(lived(("a", 0, 12, None), ("lost", 0, 5, None)))
    assert [line.get_linestyle() for line in ax.lines if line.get_linestyle() == ":"] == [":"]
    assert [line for line in ax.lines if line.get_marker() == "x"] == []
    assert title(ax) == "No image is gone from 2026-08-31 to 2026-11-23; 1 not seen lately"


def test_timeline_of_targets_read_at_different_hours_is_not_unseen():
    """Targets whose last snapshots are hours apart were all seen lately."""
    table = lived(("a", 0, 12, None), ("b", 0, 12, None))
    table.loc[1, "last_seen"] += pd.Timedelta(hours=9)
    assert "not seen" not in title(charts.timeline(table))


def test_timeline_of_a_target_added_later_did_not_come():
    """The first images of a target are no newcomers, though the archive is older."""
    table = lived(("a", 0, 12, None), ("b", 5, 12, None)).assign(account="1", region=["r", "s"])
    assert title(charts.timeline(table)) == "No image is gone from 2026-08-31 to 2026-11-23"


def test_timeline_of_an_image_that_several_accounts_see_is_one_lifetime():
    """Its owner's, else that of the account that saw it last: a share that is withdrawn is no image that is gone."""
    cad, crm = (f"arn:aws:appstream:eu-west-1:{owner}:image/{name}" for owner, name in (("2", "cad"), ("3", "crm")))
    rows = lived(("cad", 0, 5, 6), ("cad", 0, 12, None), ("crm", 0, 5, 6), ("crm", 0, 12, None), ("own", 0, 12, None))
    ax = charts.timeline(rows.assign(account=["1", "2", "1", "2", "1"], arn=[cad, cad, crm, crm, None]))
    assert title(ax) == "No image is gone from 2026-08-31 to 2026-11-23"
    assert len(bars(ax)) == 3


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
    lifetimes = [("stayed", 0, 12, None), ("gone-1", 0, 3, 4), ("gone-2", 0, 5, 6), ("came-1", 3, 12, None)]
    table = pd.concat([lived(*lifetimes, ("came-2", 9, 12, None)), lived(("anew", 0, 12, None), generations=2)])
    ax = charts.timeline(table, top=3)
    assert set(words(ax)[:3]) == {"gone-2", "came-2", "anew · rebuilt 1×"}
    assert "3 others: 1 gone, 1 came, 1 stayed" in words(ax)


def test_timeline_rows_stand_by_first_sighting():
    """Rows are ordered by when the image was first seen, then by its end."""
    ax = charts.timeline(lived(("c", 5, 12, None), ("b", 0, 9, 10), ("a", 0, 3, 4)))
    assert [left for left, _, _ in bars(ax)] == sorted(left for left, _, _ in bars(ax))
    assert words(ax)[:3] == ["a", "b", "c"]


def test_timeline_of_one_moment():
    """With a single snapshot every image exists all the time."""
    ax = charts.timeline(lived(("a", 3, 3, None), ("b", 3, 3, None)))
    left, right = ax.get_xlim()
    assert all(end - start > 0.1 * (right - left) for start, end, _ in bars(ax))


@pytest.mark.parametrize(
    ("lifetimes", "finding"),
    [
        ([("a", 0, 3, 4), ("b", 0, 9, None)], "1 of 2 images is gone between 2026-08-31 and 2026-11-02"),
        ([("a", 0, 3, 4), ("b", 2, 3, 4)], "All 2 images are gone between 2026-08-31 and 2026-09-28; 1 came"),
        ([("a", 0, 3, 4)], "The only image is gone by 2026-09-28"),
        ([("a", 0, 9, None), ("b", 4, 9, None)], "No image is gone from 2026-08-31 to 2026-11-02; 1 came"),
    ],
)
def test_timeline_title_is_the_finding(lifetimes, finding):
    """The title counts who is gone and who came."""
    assert title(charts.timeline(lived(*lifetimes))) == finding
