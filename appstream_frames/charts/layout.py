"""The look of the charts: palette, text that a font can draw, and the layout of an Axes between its title and a note.

It is independent of AWS. It changes no rcParams and keeps the user's font and text colour. Everything except the small note
below is inside the Axes, so that nothing is clipped, whatever figure the Axes is in.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from appstream_frames.text import printable

# Okabe and Ito's palette, which colour-blind readers can distinguish; each colour has one meaning in all charts
FOLLOWS = "#0072B2"  # blue: as it should be
NEWEST = "#56B4E9"  # light blue: AWS's newest
BEHIND = "#E69F00"  # orange: behind, or not read to its end
OLD = "#D55E00"  # red: calls for action
RECENT = "#999999"  # grey: neither
UNKNOWN = "none"  # hatched
#: Colours without a meaning, in this order: from Tol's muted palette, all different from those above.
SERIES = ("#117733", "#AA4499", "#999933", "#332288", "#44AA99", "#882255", "#B7A65A")
#: The style of thin lines behind the marks.
THIN: dict[str, Any] = {"linewidth": 0.5, "color": RECENT, "alpha": 0.55, "zorder": 0.5}
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # `$` in text from AWS does not start mathtext
SOFT = 0.75  # the alpha of text that matters less

FEWEST_ROWS, OWN_ROWS, MOST_ROWS = 6, 16, 24
GAP = 8.0  # points, like all lengths below
_TEXT, _TITLE, _NOTE = 9.0, 11.0, 7.5
_LEADING = 1.25
_HEAD = 2 * _TITLE * _LEADING + GAP
_ROW, _DOUBLE_ROW = 15.0, 18.0
_WIDE = 6.1 * 72
_OWN_WIDTH = 8.0  # inches
_DATE = 5.5  # distance from one date to the next, in font sizes

# ISO dates, as in the titles: month names would depend on the locale
_DATES = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S"]
_FIRSTS = ["%Y", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"]


class FittedFigure(Figure):
    """A figure that shrinks to the height of the rows drawn into it; `row` is the maximum height of one, in points."""

    row: float


@dataclass(frozen=True, slots=True)
class AvailableSize:
    """The size of an Axes in points; in a narrow one labels are above their bars, in a wide one to their left."""

    width: float
    height: float

    @property
    def beside(self) -> bool:
        """Whether labels are to the left of the bars."""
        return self.width >= _WIDE

    @property
    def rows(self) -> int:
        """The number of legible rows, from `FEWEST_ROWS`, which is enough for every chart, to `MOST_ROWS`."""
        whole_rows = int((self.height - _HEAD) / (_ROW if self.beside else _DOUBLE_ROW))
        return min(MOST_ROWS, max(FEWEST_ROWS, whole_rows))

    def measure_head(self, title: str) -> float:
        """Return the height of a title, including the gap below it."""
        size, lines = self.wrap_title(title)
        return len(lines) * size * _LEADING + GAP

    def wrap_title(self, title: str) -> tuple[float, list[str]]:
        """Return the font size of a title and its lines."""
        size = _TITLE if self.beside else _TITLE - 1
        return size, wrap(title, self.width, size, "bold")


def find_size(ax: Axes | None) -> AvailableSize:
    """Return the size of an Axes; for None, that of a new figure with `OWN_ROWS` rows."""
    if ax is None:
        return AvailableSize(_OWN_WIDTH * 72, _HEAD + _ROW * OWN_ROWS)
    if engine := ax.figure.get_layout_engine():  # run it now: otherwise it moves the Axes only when the figure is drawn
        _hide_frame(ax)
        engine.execute(ax.figure.figure)
    return measure_axes(ax)


def measure_axes(ax: Axes) -> AvailableSize:
    """Return the current size of an Axes, before any layout engine moves it."""
    scale = 72 / ax.figure.dpi
    return AvailableSize(ax.bbox.width * scale, ax.bbox.height * scale)


def set_out(ax: Axes | None, rows: int, title: str, note: str) -> tuple[Axes, AvailableSize]:
    """Put the title at the top of an Axes, or of a new figure for `rows` rows, and the note below the Axes."""
    ax = _make_axes(ax, rows)
    width = find_size(ax).width
    notes = [shorten(line, width, _NOTE) for line in wrap(note, width, _NOTE)[:2]]
    ax.set_xlabel("\n".join(notes), loc="left", fontsize=_NOTE, labelpad=2, alpha=SOFT, **PLAIN)
    space = find_size(ax)
    size, lines = space.wrap_title(title)
    font: dict[str, Any] = {"fontsize": size, "fontweight": "bold", "linespacing": _LEADING, **PLAIN}
    ax.set_title("\n".join(lines), y=1.0, pad=0, va="top", **font)
    return ax, space


def set_out_rows(
    ax: Axes | None, rows: int, title: str, note: str, tallest: float = 34.0
) -> tuple[Axes, AvailableSize, float]:
    """Divide an Axes into rows 0, 1 … from the top, below the title; return it, its size and the font size."""
    ax, space = set_out(ax, rows, title, note)
    head = space.measure_head(title)
    row = max(1.0, min(tallest, (space.height - head) / rows))
    if isinstance(ax.figure, FittedFigure):
        row = min(row, ax.figure.row)
        ax.figure.set_figheight(ax.figure.get_figheight() - (space.height - head - rows * row) / 72)
        space = find_size(ax)
    top = -0.5 - head / row
    ax.set_ylim(top + space.height / row, top)
    return ax, space, max(5.0, min(_TEXT, row * 0.62) if space.beside else min(_TEXT - 1, row * 0.4))


def set_range(ax: Axes, first: float, last: float, left: float, right: float) -> float:
    """Set x limits so that a range has margins of `left` and `right` points; return the length of a point in data units."""
    point = (last - first) / max(1.0, measure_axes(ax).width - left - right)
    ax.set_xlim(first - left * point, last + right * point)
    return point


def draw_scale(ax: Axes, ticks: Sequence[float], labels: Sequence[str], low: float, high: float, size: float) -> None:
    """Draw a thin line from `high` down to `low` at each tick, with a label below it."""
    bottom, top = ax.get_ylim()
    below = measure_axes(ax).height * (low - bottom) / (top - bottom)
    ax.set_xticks(ticks, labels, fontsize=size, alpha=SOFT, color=find_text_colour(ax), **PLAIN)
    ax.tick_params(axis="x", labelbottom=True, pad=4 - below)  # inside the Axes
    ax.plot([ticks, ticks], [[low] * len(ticks), [high] * len(ticks)], **THIN)


def draw_dates(ax: Axes, first: float, last: float, low: float, high: float, size: float) -> None:
    """Draw a scale of dates below the range from `first` to `last`, as many as fit; none if both are the same."""
    if first == last:
        return
    left, right = ax.get_xlim()
    apart = _DATE * size * (right - left) / measure_axes(ax).width  # in days
    fitting = max(2, int((last - first) / apart))
    most = max(3, fitting)
    # with a larger `minticks` it warns for some ranges
    locator = AutoDateLocator(tz="UTC", minticks=(most - 1) // 2, maxticks=most)
    dates = ConciseDateFormatter(locator, tz="UTC", formats=_DATES, zero_formats=_FIRSTS, usetex=False)
    found = locator.tick_values(num2date(first, "UTC"), num2date(last, "UTC"))
    ticks = [tick for tick in found if first <= tick <= last]
    ticks = ticks[:: math.ceil(len(ticks) / fitting) or 1]
    # ticks restart at the first of each month, which may be too close to the last tick of the month before
    ticks = [tick for tick, later in pairwise([*ticks, math.inf]) if later - tick >= 0.8 * apart]
    ticks = ticks if len(ticks) > 1 else [first, last]
    draw_scale(ax, ticks, dates.format_ticks(ticks), low, high, size)


def add_legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], **options: Any) -> Legend:
    """Add a legend without a frame; its labels may begin with an underscore or hold a ``$``."""
    options = {"frameon": False, "borderpad": 0, "borderaxespad": 0, "handletextpad": 0.5, **options}
    legend = ax.legend(handles, ["-"] * len(handles), labelcolor=find_text_colour(ax), **options)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, **PLAIN)
    return legend


def draw_nothing(ax: Axes | None, message: str = "Nothing to draw") -> Axes:
    """Write into an Axes, or a new figure, that there is nothing to draw."""
    ax = _make_axes(ax, 0)
    write_text(ax, 0.5, 0.5, message, transform=ax.transAxes, ha="center", va="center", alpha=SOFT)
    return ax


def write_text(ax: Axes, x: float, y: float, text: str, **font: Any) -> Text:
    """Write text into an Axes, in the colour of its title and without mathtext."""
    return ax.text(x, y, text, **{"color": find_text_colour(ax), "va": "center_baseline", **PLAIN, **font})


def write_label(ax: Axes, row: float, text: str, **font: Any) -> None:
    """Write a label at the left of a row."""
    # not tick labels: Axes that share an axis would draw those again, with `$` as mathtext
    write_text(ax, 0, row, text, transform=ax.get_yaxis_transform(), **font)


def find_text_colour(ax: Axes) -> Any:
    """Return the colour of an Axes' text, which depends on the user's style: black on white, white on black."""
    return ax.title.get_color()


def _make_axes(ax: Axes | None, rows: int) -> Axes:
    if ax is None:
        _, ax = plt.subplots(figsize=(_OWN_WIDTH, max(1.8, 0.9 + 0.29 * rows)), layout="constrained")
    _hide_frame(ax)
    return ax


def _hide_frame(ax: Axes) -> None:
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.tick_params(which="both", length=0, left=False, labelleft=False, bottom=False, labelbottom=False)


def make_drawable(value: object, width: int = 60) -> str:
    r"""Return text that the font can draw in one line; characters without a glyph and combining marks are escaped.

    Examples
    --------
    >>> make_drawable("café 今")
    'café \\u4eca'
    """
    known, text = _find_glyphs(tuple(FontProperties().get_family())), ""
    for char in printable(value, width):
        drawn = ord(char) in known and not unicodedata.category(char).startswith("M")
        text += char if drawn else char.encode("unicode_escape").decode("ascii")
    return text if len(text) <= width else text[: width - 1] + "…"


def shorten(text: str, points: float, size: float, weight: str = "normal") -> str:
    """Return the text, cut with an ellipsis if it is wider than `points` at a font size."""
    if measure(text, size, weight) <= points:
        return text
    # a binary search, because `measure` is slow
    kept = bisect_right(range(1, len(text)), points, key=lambda count: measure(text[:count] + "…", size, weight))
    return text[:kept] + "…"


def wrap(text: str, points: float, size: float, weight: str = "normal") -> list[str]:
    """Return the text in lines at most `points` wide at a font size; a longer word stays whole."""
    lines: list[str] = []  # matplotlib's own wrapping uses the width of the figure, not of the Axes
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size, weight) <= points:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def measure(text: str, size: float, weight: str = "normal") -> float:
    """Return an upper bound of the width of a text in points."""
    rc = mpl.rcParams
    kinds = (rc["font.serif"], rc["font.sans-serif"], rc["font.cursive"], rc["font.fantasy"], rc["font.monospace"])
    # backends round each glyph to whole pixels, so text may be drawn a little wider than measured
    return size * _measure_point(text, FontProperties(weight=weight, size=1), *map(tuple, kinds)) * 1.03 + 1


@lru_cache(4096)  # measuring is slow, and a chart measures the same text several times and at several sizes
def _measure_point(text: str, font: FontProperties, *_: tuple[str, ...]) -> float:
    """Return the width of a text at a size of one point, in a font or in those that rcParams list for its kind."""
    width: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return width


@cache
def _find_glyphs(families: tuple[str, ...]) -> frozenset[int]:
    """Return the code points that can be drawn: matplotlib falls back through the families in order."""
    paths = []
    for family in families:
        with suppress(ValueError):  # not installed
            paths.append(findfont(FontProperties(family=family), fallback_to_default=False))
    return frozenset(code for path in paths or [findfont(FontProperties())] for code in get_font(path).get_charmap())
