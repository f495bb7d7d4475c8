"""What the charts of agents and base images draw, read back from the Axes: bars, labels, counts and titles."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn import HOSTILE, ODD, colour, on, title
from support.releases import agents, bases, labels, many_images, rows

import appstream_frames as asf
from appstream_frames import charts
from appstream_frames.charts import layout

# --- agents


def test_versions_stand_in_order_of_time():
    """Newest on top, although 12-… sorts after 01-… as text."""
    ax = charts.agent_versions(agents("12-04-2018", "01-26-2024", "07-15-2025", "02-04-2026"), today="2026-11-23")
    dates = [label[:10] for label in labels(ax)]
    assert dates == ["06-29-2026", "02-04-2026", "07-15-2025", "01-26-2024", "12-04-2018"]


def test_versions_have_readable_ages():
    """Days, months and years, from the given day."""
    ax = charts.agent_versions(agents("11-22-2026", "11-03-2026", "02-09-2026", "10-21-2024"), today="2026-11-23")
    assert [label.split(" · ")[-1] for label in labels(ax)] == ["1 day", "20 days", "9 months", "2.1 years"]


def test_latest_is_apart_from_pinned():
    """LATEST is on top and has a colour no version has."""
    first, *pinned = rows(charts.agent_versions(agents("06-29-2026", "LATEST", "10-21-2024"), today="2026-11-23"))
    assert first.label.startswith("LATEST")
    assert first.colour not in {row.colour for row in pinned}


def test_newest_agent_of_reference_is_marked_without_images():
    """AWS's newest is drawn at 0, so that the distance to it can be seen."""
    ax = charts.agent_versions(agents("10-21-2024"), today="2026-11-23")
    assert rows(ax)[0][:2] == ("06-29-2026 · AWS's newest · 5 months", 0)


def test_newest_agent_of_frame_beats_reference():
    """A version that is newer than the table is the newest."""
    ax = charts.agent_versions(agents("10-01-2026", "06-29-2026"), today="2026-11-23")
    assert [label for label in labels(ax) if "AWS's newest" in label] == ["10-01-2026 · AWS's newest · 2 months"]


def test_newest_is_as_of_today():
    """Seen from 2024, releases of 2026 do not exist."""
    ax = charts.agent_versions(agents("01-26-2024"), today="2024-02-01")
    assert not any("2026" in label for label in labels(ax))


def test_version_of_the_future_is_unknown():
    """A date after today is neither newest nor dropped."""
    ax = charts.agent_versions(agents("12-31-9999", "06-29-2026"), today="2026-11-23")
    assert rows(ax)[-1][:2] == ("dated after 2026-11-23", 1)


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_unreadable_version_has_a_bar(text):
    """A text that is no version is counted and shown as such, below the versions."""
    last = rows(charts.agent_versions(agents("06-29-2026", text, text), today="2026-11-23"))[-1]
    assert last.label.startswith("not a version: “")
    assert last.count == 2


def test_many_unreadable_versions_share_a_bar():
    """The most frequent is named, the others are counted together."""
    ax = charts.agent_versions(agents("x", "x", *(f"y{n}" for n in range(300))), today="2026-11-23")
    assert [row[:2] for row in rows(ax)[-2:]] == [("not a version: “x”", 2), ("300 more that are not versions", 300)]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_missing_version_has_a_bar(missing):
    """Every kind of missing value counts as no version."""
    assert rows(charts.agent_versions(agents("LATEST", missing)))[-1][:2] == ("no version named", 1)


def test_thousands_of_versions_share_bars():
    """With more versions than rows the oldest are folded, and nothing is lost."""
    days = pd.date_range("2018-01-01", periods=3000)
    ax = charts.agent_versions(agents(*days.strftime("%m-%d-%Y")), today="2026-11-23")
    assert len(rows(ax)) <= layout.OWN_ROWS
    assert sum(row.count for row in rows(ax)) == 3000


@pytest.mark.slow
@given(st.lists(st.none() | st.text() | st.sampled_from(HOSTILE) | st.dates().map("{:%m-%d-%Y}".format), min_size=1))
def test_any_versions_add_up(versions):
    """Whatever the column holds, each image is counted once."""
    ax = charts.agent_versions(agents(*versions), on((6, 4)), today="2026-11-23")
    assert sum(row.count for row in rows(ax)) == len(versions)


@pytest.mark.parametrize(
    ("versions", "finding"),
    [
        (["LATEST", "10-21-2024", "10-21-2024"], "2 of 3 images run an agent over a year old"),
        (["LATEST", "10-21-2024", None], "1 of 3 images runs an agent over a year old; 1 unknown"),
        (["10-21-2024"], "The only image runs an agent over a year old"),
        (["LATEST", "06-29-2026"], "All 2 images run AWS's newest agent"),
        (["LATEST", "02-04-2026"], "1 of 2 images runs AWS's newest agent; no agent is over a year old"),
        (["02-04-2026"], "No image runs AWS's newest agent; no agent is over a year old"),
        ([None, "x"], "No image names a known agent"),
    ],
)
def test_agent_title_is_the_finding(versions, finding):
    """The title says what matters most, in correct English."""
    assert title(charts.agent_versions(agents(*versions), today="2026-11-23")) == finding


def test_a_year_is_not_over_a_year():
    """On its anniversary a version is not yet over a year old."""
    frame = agents("11-23-2025")
    assert "over a year old" not in title(charts.agent_versions(frame, today="2026-11-23")).split(";")[0]
    assert title(charts.agent_versions(frame, today="2026-11-24")) == "The only image runs an agent over a year old"


def test_orange_is_over_a_year():
    """Colour says what the title counts."""
    drawn = rows(charts.agent_versions(many_images(60)))
    old = sum(row.count for row in drawn if row.colour == colour(layout.OLD))
    assert title(charts.agent_versions(many_images(60))).startswith(f"{old} of 60 images run an agent over a year old")


# --- base images


def test_releases_stand_in_order_of_time():
    """Newest release on top."""
    ax = charts.base_image_releases(bases("2019-09-18", "2025-11-10", "2022-03-03", "2026-04-16"), today="2026-11-23")
    assert [label[:10] for label in labels(ax)] == [
        "2026-08-31",
        "2026-04-16",
        "2025-11-10",
        "2022-03-03",
        "2019-09-18",
    ]


def test_newest_base_differs_by_family():
    """Each family that has images is marked at its own newest release."""
    frame = bases("2025-11-10", "2025-11-10", platform=["WINDOWS_SERVER_2019", "RHEL8"])
    marked = {row.label: row.count for row in rows(charts.base_image_releases(frame, today="2026-11-23"))}
    assert marked["2026-08-31 · RHEL · AWS's newest · 3 months"] == 0
    assert marked["2026-08-31 · Windows · AWS's newest · 3 months"] == 0


def test_newest_base_of_frame_beats_reference():
    """A release that is newer than the table is the newest of its family."""
    ax = charts.base_image_releases(bases("2026-10-01", "2026-04-16"), today="2026-11-23")
    assert [label[:10] for label in labels(ax) if "AWS's newest" in label] == ["2026-10-01"]


@pytest.mark.parametrize("platform", [None, "SOLARIS_11", "$\\frac{", "<script>"])
def test_unknown_platform_has_no_newest(platform):
    """A platform that we cannot place is drawn in words of our own, and compared with no other."""
    ax = charts.base_image_releases(bases("2026-04-16", platform=platform), today="2026-11-23")
    assert labels(ax) == ["2026-04-16 · platform unknown · 7 months"]


def test_missing_base_release_is_said():
    """Images without a release have a bar of their own."""
    ax = charts.base_image_releases(bases("2026-04-16", None, None, None), today="2026-11-23")
    assert rows(ax)[-1][:2] == ("no base release named", 3)
    assert title(ax).endswith("; 3 unknown")


def test_newest_base_is_never_folded():
    """In little room other releases share bars, the newest of each family keeps its own."""
    ax = charts.base_image_releases(many_images(500), on((4, 3)))
    newest = {label.split(" · ")[1] for label in labels(ax) if "AWS's newest" in label}
    assert newest == {"RHEL", "Rocky Linux", "Windows"}


@pytest.mark.parametrize("microseconds", [-(2**62), -62_135_596_800_000_000, 0, 253_402_300_799_999_999, 2**62])
def test_absurd_release_is_counted(microseconds):
    """A moment far from any release, even outside Python's calendar, is drawn somewhere."""
    moments = pd.Series([microseconds, 1_776_297_600_000_000]).astype("datetime64[us, UTC]")
    frame = pd.DataFrame({"public_base_image_released_date": moments, "platform": "RHEL8"})
    assert sum(row.count for row in rows(charts.base_image_releases(frame, today="2026-11-23"))) == 2


@pytest.mark.parametrize(
    ("released", "finding"),
    [
        (["2026-04-16", "2024-06-17"], "1 of 2 images stands on a base release over a year old"),
        (["2026-08-31", "2026-08-31"], "All 2 images stand on AWS's newest base release"),
        (["2025-12-18"], "No image stands on AWS's newest base release; no base release is over a year old"),
        ([None, None], "No image names a known base release"),
    ],
)
def test_base_title_is_the_finding(released, finding):
    """The title says what matters most."""
    assert title(charts.base_image_releases(bases(*released), today="2026-11-23")) == finding


@pytest.mark.slow
def test_newest_base_is_that_of_the_verdicts(frames):
    """A release that base_images calls the newest of its kind is marked as newest here too, however old it is."""
    verdicts = asf.base_images(frames.images, today="2026-11-26")
    current = (verdicts["verdict"] == "current").groupby(frames.images["public_base_image_released_date"]).mean()
    drawn = rows(charts.base_image_releases(frames.images, today="2026-11-26"))
    marked = {row.label[:10] for row in drawn if row.colour == colour(layout.NEWEST)}
    assert {f"{day:%Y-%m-%d}" for day in current[current > 0.9].index} <= marked
    assert "2026-08-31" in marked
