"""What the chart of coverage draws, read back from the Axes: a mark per target, words, the key, and the room they take."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from support.drawn import ODD, assert_legible, in_forms, on, saved, title, words

from appstream_frames import charts
from appstream_frames.errors import RequestError

mpl.use("Agg")
import matplotlib.pyplot as plt

STATUSES = [
    "complete",
    "limited",
    "denied",
    "region_disabled",
    "no_endpoint",
    "bad_credentials",
    "throttled",
    "failed",
    "cancelled",
]
REGIONS = (
    "af-south-1 ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 "
    "eu-south-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-gov-west-1 us-west-2"
).split()


def read(*rows: tuple[object, object, object, int]) -> pd.DataFrame:
    """Return rows of coverage: account, region, status, images."""
    table = pd.DataFrame(list(rows), columns=["account", "region", "status", "rows"], dtype=object)
    return table.assign(snapshot=pd.Timestamp("2026-11-23", tz="UTC"), rows=table["rows"].astype("Int64"))


def coverage_of(accounts: int, regions: int, troubled: int = 7) -> pd.DataFrame:
    """Return coverage of accounts × regions, where every so manieth account has targets that were not read whole."""
    rnd = random.Random(3)
    rows = []
    for number in range(accounts):
        for region in REGIONS[-regions:]:
            bad = number % troubled == 2 and rnd.random() < 0.5
            status = rnd.choice(STATUSES[1:]) if bad else "complete"
            account = None if status == "bad_credentials" else f"{111122223333 + number * 7919:012d}"
            rows.append((account, region, status, 25 if status == "limited" else rnd.randrange(140) if not bad else 0))
    return read(*rows)


def marks(ax: Axes) -> Counter[str]:
    """Count the marks in the grid by shape."""
    found: Counter[str] = Counter()
    for line in ax.lines:
        if line.get_marker() not in ("None", "."):
            found[line.get_marker()] += len(line.get_xdata())
    return found


def places(ax: Axes, shape: str) -> list[tuple[float, float]]:
    """Return where marks of a shape are."""
    lines = [line for line in ax.lines if line.get_marker() == shape]
    return sorted(((float(x), float(y)) for line in lines for x, y in line.get_xydata()), key=lambda place: place[1])


def rows_of(ax: Axes) -> list[str]:
    """Read the accounts from top to bottom."""
    found = [(text.get_position()[1], text.get_text()) for text in ax.texts if text.get_position()[0] == 0]
    return [text for _, text in sorted(found)]


@pytest.mark.parametrize("status", [*STATUSES, "a new word"])
def test_each_status_has_a_mark_and_a_word(status):
    """A target is drawn with the mark of its status and described in words; the legend has the mark with the count."""
    ax = charts.coverage(read(("1", "eu-west-1", status, 0)))
    assert list(marks(ax).values()) == [1]
    assert [handle.get_marker() for handle in ax.get_legend().legend_handles] == [*marks(ax)]
    assert f"{status} 1" in words(ax)
    assert ("0 images" if status == "complete" else status) in words(ax)


@pytest.mark.slow
def test_no_two_statuses_share_a_shape():
    """Shape alone tells the statuses apart."""
    drawn = [marks(charts.coverage(read(("1", "a", status, 0)))) for status in [*STATUSES, "a new word"]]
    assert len({tuple(shapes) for shapes in drawn}) == len(STATUSES) + 1


def test_marks_stand_in_the_row_and_column_of_their_target():
    """A denied target is level with its account's name and below its region's."""
    ax = charts.coverage(read(("1", "a", "complete", 9), ("1", "b", "complete", 9), ("2", "b", "denied", 0)))
    x, y = places(ax, "X")[0]
    account = next(text for text in ax.texts if text.get_text() == "2").get_position()
    region = next(text for text in ax.texts if text.get_text() == "b").get_position()
    assert y == account[1]
    assert 0 < x - region[0] < 5
    assert region[1] < y


def test_numbers_stand_beside_the_marks():
    """Where there is room the number of images is beside the mark of a target."""
    ax = charts.coverage(read(("1", "a", "complete", 1), ("1", "b", "limited", 1250), ("1", "c", "complete", 61)))
    assert {"1 image", "limited · 1,250", "61 images"} <= set(words(ax))


def test_numbers_stay_when_words_have_no_room():
    """In narrower columns the words are left out and the numbers stay."""
    ax = charts.coverage(coverage_of(12, 5), on((4, 3), layout="constrained"))
    assert "denied" not in words(ax)
    assert sum(text.isdigit() for text in words(ax)) > 15


def test_accounts_with_a_problem_come_first():
    """The account with most targets that were not read whole is on top; the others stand by their id."""
    rows = [("3", "a", "complete", 1), ("1", "a", "complete", 1), ("2", "a", "denied", 0), ("2", "b", "complete", 1)]
    ax = charts.coverage(read(*rows, ("4", "a", "failed", 0), ("4", "b", "failed", 0)))
    assert rows_of(ax) == ["4", "2", "1", "3"]


def test_unknown_account_is_a_question_mark():
    """A null account has a row of its own, named ?."""
    assert rows_of(charts.coverage(read((None, "a", "bad_credentials", 0), ("1", "a", "complete", 1)))) == ["?", "1"]


def test_of_several_rows_the_worst_is_drawn():
    """One account and region with two rows has the worse status and the images of both."""
    ax = charts.coverage(read((None, "a", "denied", 0), (None, "a", "limited", 7)))
    assert "denied · 7" in words(ax)
    assert title(ax) == "2 of 2 targets were not read whole: 1 limited, 1 denied"


def test_several_operations_are_one_target():
    """The worst status is drawn with the operation that has it; the number is that of the images."""
    table = read(*[("1", "a", status, 9) for status in ("complete", "denied", "not_offered")])
    table = table.rename(columns={"images": "rows"})
    ax = charts.coverage(table.assign(operation=["DescribeImages", "DescribeFleets", "DescribeAppBlocks"]))
    assert title(ax) == "The only target was not read whole: denied (DescribeFleets)"
    assert "denied (DescribeFleets) · 9" in words(ax)


def test_a_target_that_refused_everything_refused_its_images():
    """Of operations that are equally bad, no other one is named alone."""
    table = read(*[("1", "eu-west-1", "denied", 0)] * 3)
    ax = charts.coverage(table.assign(operation=["DescribeImages", "DescribeFleets", "ListAssociatedFleets"]))
    assert title(ax) == "The only target was not read whole: denied"


def test_no_target_is_a_dot():
    """An account that was not asked in a region has a small dot there, and no mark."""
    ax = charts.coverage(read(("1", "a", "complete", 1), ("2", "b", "complete", 1)))
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 2
    assert marks(ax)["s"] == 2


def test_accounts_without_room_are_said():
    """Accounts beyond `top` are counted in words, those with a problem apart."""
    rows = [(str(n), "a", "complete" if n % 2 else "denied", 0) for n in range(100, 110)]
    assert "+ 1 account not read whole, 5 read whole" in words(charts.coverage(read(*rows), top=4))
    assert "+ 3 accounts read whole" in words(charts.coverage(read(*rows), top=7))


def test_regions_without_room_are_said():
    """Regions that find no room are counted in words; those with a problem keep their column."""
    rows = [("1", f"region-{n}", "denied" if n == 50 else "complete", 1) for n in range(60)]
    ax = charts.coverage(read(*rows), on((4, 3)))
    assert "region-50" in words(ax)
    shown = sum(bool(re.fullmatch(r"region-\d+", text)) for text in words(ax))
    assert f"+ {60 - shown} regions read whole" in words(ax)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(4, 3), (14, 5)])
@pytest.mark.parametrize(("accounts", "regions"), [(1, 1), (12, 5), (200, 18)])
def test_key_counts_every_target(size, accounts, regions):
    """The key's numbers add up to all targets, drawn or not."""
    table = coverage_of(accounts, regions)
    key = [
        text
        for text in words(charts.coverage(table, on(size)))
        if re.fullmatch(rf"({'|'.join(STATUSES)}) [\d,]+", text)
    ]
    assert sum(int(text.split()[1].replace(",", "")) for text in key) == len(table)


@pytest.mark.parametrize(
    ("statuses", "finding"),
    [
        (["complete"], "The only target was read whole"),
        (["denied"], "The only target was not read whole: denied"),
        (["complete"] * 1200, "All 1,200 targets were read whole"),
        (["complete", "denied"], "1 of 2 targets was not read whole: 1 denied"),
        (["failed", "denied", "denied"], "3 of 3 targets were not read whole: 2 denied, 1 failed"),
        (STATUSES, "8 of 9 targets were not read whole: 1 limited, 1 cancelled, 1 throttled, 5 more"),
        (["complete", "new"], "1 of 2 targets was not read whole: 1 new"),
    ],
)
def test_title_is_the_finding(statuses, finding):
    """The title counts what was not read whole, and says why."""
    assert title(charts.coverage(read(*((str(n), "a", status, 1) for n, status in enumerate(statuses))))) == finding


def test_day_is_in_the_note():
    """The note says of which day the coverage is, or from which to which."""
    table = read(("1", "a", "complete", 1), ("2", "a", "complete", 1))
    assert charts.coverage(table).get_xlabel() == "Numbers: images read · 2026-11-23 (UTC)"
    table["snapshot"] = pd.to_datetime(["2026-11-16", "2026-11-23"], utc=True)
    assert charts.coverage(table).get_xlabel() == "Numbers: images read · 2026-11-16 to 2026-11-23 (UTC)"


def test_coverage_of_a_drain(frames):
    """The coverage of the sandbox's target has its account, its region and its images."""
    ax = charts.coverage(frames.coverage)
    assert {"012345678901", "eu-west-1", f"{len(frames.images)} images"} <= set(words(ax))


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "size", "layout"), in_forms((12, 5), (1, 1), (60, 1), (200, 18)))
def test_nothing_overlaps(targets, size, layout):
    """All text lies within the figure, none over another, and account ids and regions are whole."""
    ax = charts.coverage(coverage_of(*targets), on(size, layout=layout))
    assert_legible(ax)
    assert "…" not in "".join(words(ax))


def test_marks_lie_apart():
    """No two marks stand in one place, and none stands on a text."""
    ax = charts.coverage(coverage_of(200, 18), on((4, 3)))
    ax.figure.draw_without_rendering()
    points = [
        ax.transData.transform(point) for line in ax.lines if line.get_marker() != "None" for point in line.get_xydata()
    ]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len({(round(x), round(y)) for x, y in points}) == len(points)
    assert not [1 for x, y in points for box in boxes if box.contains(x, y)]


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_hostile_text_stays_in_its_place(text):
    """However long or odd a text, as account, region or status, it leaves the rest legible and can be saved as SVG."""
    table = read((text, "a", "complete", 1), ("1", text, text, 0), ("2", "b", text + "!", 3))
    ax = charts.coverage(table, on((4, 3)))
    assert_legible(ax)
    ElementTree.fromstring(saved(ax, "svg"))  # noqa: S314 - our own


def test_nothing_to_draw_is_said():
    """An empty frame is a chart that says so."""
    assert words(charts.coverage(coverage_of(1, 1).head(0))) == ["Nothing to draw"]


@pytest.mark.parametrize("column", ["account", "region", "status", "rows"])
def test_missing_column_is_named(column):
    """The error names the column and what to pass."""
    with pytest.raises(RequestError, match=rf"'{column}'.*pass frames\.coverage"):
        charts.coverage(coverage_of(1, 1).drop(columns=column))


def test_other_than_a_frame_is_refused():
    """A list is not a frame."""
    with pytest.raises(RequestError, match="got a list"):
        charts.coverage([])


@pytest.mark.parametrize("top", [0, -1, 2.5, "5", None])
def test_top_is_a_positive_number(top):
    """A top that is no whole number from 1 on is refused."""
    with pytest.raises(RequestError, match="expected a whole number"):
        charts.coverage(coverage_of(1, 1), top=top)


def test_frame_is_not_mutated():
    """The frame is the same after as before, its index of duplicates too."""
    table = coverage_of(12, 5).set_index(pd.Index([7] * 60))
    before = table.copy(deep=True)
    charts.coverage(table)
    pd.testing.assert_frame_equal(table, before)


def test_draws_into_the_given_axes_only():
    """With ax=, that Axes is returned and no figure is made."""
    ax = on((6, 4))
    assert charts.coverage(coverage_of(12, 5), ax) is ax
    assert plt.get_fignums() == []


def test_order_of_rows_does_not_matter():
    """The same rows in another order are the same picture."""
    table = coverage_of(12, 5)
    drawn = [charts.coverage(rows).texts for rows in (table, table.sample(frac=1, random_state=1))]
    placed = [sorted((text.get_text(), text.get_position()) for text in texts) for texts in drawn]
    assert placed[0] == placed[1]


def test_thousands_of_targets_are_quick():
    """A chart of 3,600 targets takes at most three seconds of the processor."""
    table, start = coverage_of(200, 18), time.process_time()
    charts.coverage(table)
    assert time.process_time() - start < 3
