"""Charts read back from their Axes, and texts that no one should send: what the tests of charts share."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

HOSTILE = [
    r"$\frac{",
    "${{{{",
    r"$\undefined$",
    "$$",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "\ud800lone",
    "nul\0nul",
    "W" * 20_000,
    "<script>alert(1)</script>",
    "]]><script>alert(1)</script><!--",
    "\U0001f600 今日 \u0fd5",
    "z\u0300\u0301\u0302\u0489" * 9,
    "two\nlines\ttab\u2028",
    "\uffff\U0010ffff",
    "ЛАTEST",
    "LATEST ",
    "",
    "02-30-2024",
    "00-00-0000",
    "٠١-٠١-٢٠٢٤",
    "2024-01-01",
]
#: Of those, one of each kind that takes more room or less than a word does, or that a drawing might stumble over.
ODD = [text for text in HOSTILE if text[:1] in {"", "$", "\ud800", "W", "\U0001f600", "z", "t"}]

#: Sizes of a figure in inches, or none, with a layout engine or none: every size, and both layouts at the smallest.
FORMS = [(None, None), ((4, 3), None), ((4, 3), "constrained"), ((6.4, 4.8), "constrained"), ((14, 5), None)]


def in_forms(usual: object, *others: object) -> list[tuple[object, tuple[float, float] | None, str | None]]:
    """Return a usual case in every form, and the other cases where there is least room and where there is most."""
    tightest, widest = FORMS[2], FORMS[-1]
    return [(usual, *form) for form in FORMS] + [(other, *form) for other in others for form in (tightest, widest)]


def on(size: tuple[float, float] | None, **options: object) -> Axes | None:
    """Return an Axes in a figure of so many inches; None for none."""
    return None if size is None else Figure(figsize=size, **options).subplots()


def title(ax: Axes) -> str:
    """Return the finding in one line."""
    return ax.get_title().replace("\n", " ")


def words(ax: Axes) -> list[str]:
    """Return the texts inside an Axes, in the order they were drawn; those of its legend come last."""
    legend = ax.get_legend()
    return [text.get_text() for text in [*ax.texts, *(legend.get_texts() if legend else [])]]


def ticks(ax: Axes) -> list[str]:
    """Return the labels of the scale below the marks."""
    return [text.get_text() for text in ax.get_xticklabels()]


def bars(ax: Axes) -> list[tuple[str, str, float]]:
    """Read label, words at the end, and length of each bar, top to bottom."""
    lengths = [bar.get_width() for bar in ax.containers[0].patches]
    labels, values = words(ax)[: len(lengths)], words(ax)[len(lengths) :]
    return list(zip(labels, values, lengths, strict=True))


def colour(name: str) -> tuple[float, ...]:
    """Return a colour as matplotlib tells it of what it has drawn."""
    return mpl.colors.to_rgba(name)


def saved(ax: Axes, kind: str) -> bytes:
    """Return the picture."""
    buffer = BytesIO()
    ax.figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def assert_legible(ax: Axes) -> None:
    """Assert that all text is large enough, lies in the figure, and that none is over another or over a bar."""
    canvas = FigureCanvasAgg(ax.figure)
    ax.figure.draw_without_rendering()
    texts = [text for text in ax.findobj(Text) if text.get_text() and text.get_visible()]
    named = [
        (text.get_text(), (text.get_bbox_patch() or text).get_window_extent(canvas.get_renderer())) for text in texts
    ]
    figure = ax.figure.bbox
    outside = [name for name, box in named if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.x1 or box.y1 > figure.y1]
    patches = [bar for container in ax.containers for bar in container.patches]
    named += [(f"bar {n}", bar.get_window_extent()) for n, bar in enumerate(patches)]
    covered = [(a, b) for (a, box), (b, other) in combinations(named, 2) if _overlap(box, other)]
    assert (outside, covered) == ([], [])
    assert min(text.get_fontsize() for text in texts) >= 6


def _overlap(one: BboxBase, other: BboxBase, slack: float = 1.0) -> bool:
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > slack and min(one.y1, other.y1) - max(one.y0, other.y0) > slack
    )
