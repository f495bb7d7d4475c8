"""The chart of use, read back from its Axes: which images serve fleets, which nobody uses."""

from __future__ import annotations

import pandas as pd
import pytest
from support.drawn import HOSTILE, assert_legible, bars, colour, on, title, words

import appstream_frames as asf
from appstream_frames import charts
from appstream_frames.charts import layout

SIZES = [(4, 3), (6.4, 4.8), (14, 5), None]


def used(*rows: tuple[str, int, str]) -> pd.DataFrame:
    """Return what `asf.usage` gives of images with so many fleets and such a verdict."""
    return pd.DataFrame(
        [
            {"account": "1", "region": "eu-west-1", "arn": f"arn:{number}", "name": name, "fleets": fleets}
            | {
                "image_builders": int(verdict == "in_use" and not fleets),
                "accounts": 0,
                "images": 0,
                "verdict": verdict,
            }
            for number, (name, fleets, verdict) in enumerate(rows)
        ],
        dtype=object,  # a text that is no UTF-8 fits no other
    )


def test_images_with_fleets_come_first_and_the_unused_last() -> None:
    """Most fleets first; what is in use otherwise, and what is unknown, is one row each."""
    ax = charts.usage(
        used(("a", 1, "in_use"), ("b", 3, "in_use"), ("c", 0, "in_use"), ("d", 0, "unused"), ("e", 0, "unknown"))
    )
    assert bars(ax) == [
        ("b", "3 fleets", 3),
        ("a", "1 fleet", 1),
        ("1 image", "in use, without a fleet", 0),
        ("d", "used by nobody", 0),
        ("1 image", "unknown: not all was read", 0),
    ]


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        ([("a", 1, "in_use"), ("b", 0, "unused")], "1 of 2 images serves fleets; 1 is used by nobody"),
        ([("a", 1, "in_use"), ("b", 2, "in_use")], "All 2 images serve fleets"),
        ([("a", 0, "unused"), ("b", 0, "unused")], "No image serves fleets; 2 are used by nobody"),
        ([("a", 0, "unknown"), ("b", 0, "unknown")], "No image serves fleets; 2 unknown"),
    ],
)
def test_the_title_is_the_finding(rows: list[tuple[str, int, str]], finding: str) -> None:
    """It counts serving, unused and unknown images."""
    assert title(charts.usage(used(*rows))) == finding


def test_the_rest_shares_a_row() -> None:
    """About half of the rows are for images with fleets; the others share one row, fleets added up."""
    rows = [(f"c{number}", 9 - number, "in_use") for number in range(5)]
    ax = charts.usage(used(*rows, *((f"u{number}", 0, "unused") for number in range(5))), top=6)
    assert [row[:2] for row in bars(ax)] == [
        ("c0", "9 fleets"),
        ("c1", "8 fleets"),
        ("3 others", "18 fleets"),
        ("u0", "used by nobody"),
        ("u1", "used by nobody"),
        ("3 others", "used by nobody"),
    ]


def test_an_image_that_several_accounts_see_is_one() -> None:
    """Rows with one ARN are one image; a name has its account when there are several."""
    table = used(("a", 2, "in_use"))
    ax = charts.usage(pd.concat([table, table.assign(account="2")]))
    assert title(ax) == "The only image serves fleets"
    assert words(ax) == ["a", "2 fleets"]


def test_colours_tell_the_used_from_the_unused() -> None:
    """Blue serves, orange is used by nobody; as in the other charts."""
    ax = charts.usage(used(("a", 1, "in_use"), ("b", 0, "unused")))
    colours = [bar.get_facecolor() for bar in ax.containers[0].patches]
    assert colours == [colour(layout.NEWEST), colour(layout.BEHIND)]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 30, 2000])
def test_legible_at_any_size(size: tuple[float, float] | None, count: int) -> None:
    """Texts neither overlap nor leave the Axes, whatever an image is called."""
    kinds = [(3, "in_use"), (0, "unused"), (0, "in_use"), (0, "unknown")]
    rows = [(HOSTILE[number % len(HOSTILE)], *kinds[number % 4]) for number in range(count)]
    assert_legible(charts.usage(used(*rows), on(size)))


@pytest.mark.parametrize("frame", [None, pd.DataFrame({"name": ["a"]})])
def test_what_is_no_answer_is_refused(frame: object) -> None:
    """The error says what to pass."""
    with pytest.raises(asf.RequestError, match=r"pass what asf\.usage\(frames\) gives"):
        charts.usage(frame)  # type: ignore[arg-type]


def test_no_images_draw_nothing() -> None:
    """An empty answer is said to be empty."""
    assert "Nothing to draw" in words(charts.usage(used(("a", 1, "in_use")).iloc[:0]))
