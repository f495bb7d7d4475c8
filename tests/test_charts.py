"""What the charts draw, read back from the Axes: bars, labels, counts, titles and the room they take."""

import random
import re
import time
from functools import cache
from typing import NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
import pytest
from drawn import HOSTILE, assert_legible, on, saved, title
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from appstream_frames import charts, reference
from appstream_frames.charts import style as charts_style
from appstream_frames.errors import RequestError

mpl.use("Agg")
import matplotlib.pyplot as plt

CHARTS = [charts.agent_versions, charts.base_image_releases]
SIZES = [(4, 3), (6.4, 4.8), (8, 4.5), (14, 5)]
COUNTS = [1, 12, 60, 500, 2000]
TODAY = pd.Timestamp("2026-11-23T15:00:00Z")
PLATFORMS = {
    "WinServer2019": ("WINDOWS_SERVER_2019", "Windows"),
    "WinServer2022": ("WINDOWS_SERVER_2022", "Windows"),
    "WinServer2025": ("WINDOWS_SERVER_2025", "Windows"),
    "RHEL8": ("RHEL8", "RHEL"),
    "RockyLinux8": ("ROCKY_LINUX8", "Rocky Linux"),
    "AmazonLinux2": ("AMAZON_LINUX2", "Amazon Linux 2"),
}


class Row(NamedTuple):
    label: str
    count: int
    width: float
    y: float
    colour: tuple[float, ...]


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@cache
def fleet(count: int, seed: int = 1) -> pd.DataFrame:
    """Make images as an account sees them: AWS's public bases and private images on older ones, some of it unknown."""
    rnd = random.Random(seed)
    return typed([_image(rnd, number) for number in range(count)])


def _image(rnd: random.Random, number: int) -> dict[str, object]:
    system = rnd.choices([*PLATFORMS], [8, 10, 3, 2, 1, 1])[0]
    platform, family = PLATFORMS[system]
    table = reference.base_image_releases()
    released = _recent(rnd, table.loc[table["platform"] == family, "release_date"].to_list())
    public = rnd.random() < 0.3
    version = rnd.choices(
        ["LATEST", None, _recent(rnd, reference.agent_releases()["agent_version"].to_list())], [6, 1, 16]
    )
    return {
        "name": f"AppStream-{system}-{released:%m-%d-%Y}" if public else f"finance-{number}",
        "platform": platform,
        "public_base_image_released_date": None if not public and rnd.random() < 0.05 else released,
        "appstream_agent_version": version[0],
        "snapshot": TODAY,
    }


def _recent(rnd: random.Random, oldest_first: list) -> object:
    return oldest_first[max(0, len(oldest_first) - 1 - int(rnd.expovariate(0.25)))]


def typed(rows: list[dict[str, object]]) -> pd.DataFrame:
    columns = ["name", "platform", "public_base_image_released_date", "appstream_agent_version", "snapshot"]
    frame = pd.DataFrame(rows, columns=columns)
    for moment in ("public_base_image_released_date", "snapshot"):
        frame[moment] = pd.to_datetime(frame[moment], utc=True).dt.as_unit("us")
    return frame.astype({"name": "str", "platform": "str", "appstream_agent_version": "str"})


def agents(*versions: object) -> pd.DataFrame:
    return pd.DataFrame({"appstream_agent_version": pd.Series(versions, dtype=object)})


def bases(*released: str | None, platform: object = "WINDOWS_SERVER_2022") -> pd.DataFrame:
    moments = pd.Series(pd.to_datetime(pd.Series(released, dtype=object), utc=True)).dt.as_unit("us")
    return pd.DataFrame({"public_base_image_released_date": moments, "platform": platform})


def rows(ax: Axes) -> list[Row]:
    """Read the chart from top to bottom."""
    bars = ax.containers[0].patches
    texts = [text.get_text() for text in ax.texts]
    drawn = [
        Row(label, int(count.replace(",", "")), bar.get_width(), bar.get_y(), bar.get_facecolor())
        for label, count, bar in zip(texts[::2], texts[1::2], bars, strict=True)
    ]
    top_first = ax.yaxis_inverted()
    return sorted(drawn, key=lambda row: row.y if top_first else -row.y)


def labels(ax: Axes) -> list[str]:
    return [row.label for row in rows(ax)]


def colour(name: str) -> tuple[float, ...]:
    return mpl.colors.to_rgba(name)


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


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
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
    assert len(rows(ax)) <= charts_style.OWN_ROWS
    assert sum(row.count for row in rows(ax)) == 3000


@given(st.lists(st.none() | st.text() | st.sampled_from(HOSTILE) | st.dates().map("{:%m-%d-%Y}".format), min_size=1))
@settings(max_examples=60, deadline=None)
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


# --- base images


def test_releases_stand_in_order_of_time():
    """Newest release on top."""
    ax = charts.base_image_releases(bases("2019-09-18", "2025-11-10", "2022-03-03", "2026-04-16"), today="2026-11-23")
    assert [label[:10] for label in labels(ax)] == ["2026-04-16", "2025-11-10", "2022-03-03", "2019-09-18"]


def test_newest_base_differs_by_family():
    """Each family that has images is marked at its own newest release."""
    frame = bases("2025-11-10", "2025-11-10", platform=["WINDOWS_SERVER_2019", "RHEL8"])
    marked = {row.label: row.count for row in rows(charts.base_image_releases(frame, today="2026-11-23"))}
    assert marked["2026-08-31 · RHEL · AWS's newest · 3 months"] == 0
    assert marked["2026-04-16 · Windows · AWS's newest · 7 months"] == 0


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
    ax = charts.base_image_releases(fleet(500), on((4, 3)))
    assert [label.split(" · ")[1] for label in labels(ax) if "AWS's newest" in label] == [
        "RHEL",
        "Rocky Linux",
        "Windows",
    ]


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
        (["2026-04-16", "2026-04-16"], "All 2 images stand on AWS's newest base release"),
        (["2025-12-18"], "No image stands on AWS's newest base release; no base release is over a year old"),
        ([None, None], "No image names a known base release"),
    ],
)
def test_base_title_is_the_finding(released, finding):
    """The title says what matters most."""
    assert title(charts.base_image_releases(bases(*released), today="2026-11-23")) == finding


# --- both


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]])
def test_counts_add_up_to_all_images(chart, count, size):
    """The numbers drawn are the bars' widths, and their sum is the number of rows."""
    drawn = rows(chart(fleet(count), on(size)))
    assert [row.count for row in drawn] == [row.width for row in drawn]
    assert sum(row.count for row in drawn) == count


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("count", [1, 60, 2000])
@pytest.mark.parametrize("size", [None, *SIZES])
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_no_text_is_clipped_or_covered(chart, count, size, layout):
    """Every text lies inside the figure, whole, and on no other text and no bar."""
    ax = chart(fleet(count), on(size, layout=layout))
    assert_legible(ax)
    assert "…" not in "".join(labels(ax))


@pytest.mark.parametrize("size", [None, *SIZES])
def test_longest_label_is_not_cut(size):
    """The newest release of the family with the longest name, at the longest age, keeps all its words."""
    ax = charts.base_image_releases(bases("2022-06-20", platform="AMAZON_LINUX2"), on(size), today="2036-11-23")
    assert labels(ax)[0] == "2024-05-08 · Amazon Linux · AWS's newest · 12.5 years"


@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_version_stays_in_its_place(text, size):
    """However long or odd a text, it leaves the rest legible."""
    assert_legible(charts.agent_versions(agents("LATEST", "06-29-2026", text, None), on(size), today="2026-11-23"))


@pytest.mark.parametrize("chart", CHARTS)
def test_no_images_is_said(chart):
    """An empty frame is a chart that says so."""
    ax = chart(fleet(0))
    assert [text.get_text() for text in ax.texts] == ["No images"]
    assert saved(ax, "png")


@pytest.mark.parametrize("chart", CHARTS)
def test_all_null_columns(chart):
    """Columns of nothing but nulls are a finding, not an error."""
    frame = fleet(3).assign(appstream_agent_version=None, public_base_image_released_date=None, platform=None)
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


@pytest.mark.parametrize("chart", CHARTS)
def test_draws_into_the_given_axes_only(chart):
    """With ax=, that Axes is returned, its neighbour is untouched, and no figure is made."""
    figure = Figure()
    mine, other = figure.subplots(1, 2)
    before = (other.get_xlim(), other.get_ylim(), len(other.get_children()), figure.get_size_inches().tolist())
    assert chart(fleet(12), mine) is mine
    assert (other.get_xlim(), other.get_ylim(), len(other.get_children()), figure.get_size_inches().tolist()) == before
    assert plt.get_fignums() == []


@pytest.mark.parametrize("chart", CHARTS)
def test_settings_are_left_alone(chart):
    """No rcParam changes."""
    before = mpl.rcParams.copy()
    chart(fleet(12))
    assert mpl.rcParams == before


@pytest.mark.parametrize("chart", CHARTS)
def test_frame_is_not_mutated(chart):
    """The frame is the same after as before, its index of duplicates too."""
    frame = fleet(12).set_index(pd.Index([7] * 12))
    before = frame.copy(deep=True)
    chart(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("chart", CHARTS)
def test_filtered_frame(chart):
    """A part of a frame, whatever its index, is counted as it is."""
    frame = pd.concat([fleet(30), fleet(30, seed=2)])
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
        chart(fleet(3).drop(columns=column))


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


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "UTC"])
@pytest.mark.parametrize("chart", CHARTS)
def test_machines_zone_does_not_matter(chart, zone, monkeypatch):
    """Days are UTC days on every machine."""
    expected = rows(chart(fleet(60)))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert rows(chart(fleet(60))) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


def test_orange_is_over_a_year():
    """Colour says what the title counts."""
    drawn = rows(charts.agent_versions(fleet(60)))
    old = sum(row.count for row in drawn if row.colour == colour(charts_style.OLD))
    assert title(charts.agent_versions(fleet(60))).startswith(f"{old} of 60 images run an agent over a year old")
