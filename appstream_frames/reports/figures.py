"""Charts as pictures inside a page: each is drawn twice, for a desktop and for a phone, as SVG in data URIs.

The same chart gives the same bytes: the user's matplotlib settings are ignored (and restored afterwards), and no date or random
id remains. No window is opened and no figure is kept.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes

from appstream_frames.charts.layout import FittedFigure

_SETTINGS: Final[list[Any]] = ["default", {"svg.hashsalt": "appstream_frames", "svg.fonttype": "path"}]
_DESK, _PHONE = (8.2, 4.6, 19.5), (4.0, 6.2, 29.0)  # width and maximum height in inches, row in points
_FONT: Final = re.compile(r'(?<=id=")DejaVu[A-Za-z]+-(?:[A-Za-z]+-)*(?=[0-9a-f]+")')
_SHORTER: Final = [
    (re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r"> <"), "><"),
    (re.compile(r'<use xlink:href="([^"]+)" transform="translate\((\d+)(?:\.\d+)? 0\)"/>'), r'<use href="\1" x="\2"/>'),
]


@dataclass(frozen=True)
class Picture:
    """A chart as an image for a desktop and one for a phone, and its title as the alternative text."""

    desk: Markup
    phone: Markup
    title: str
    kind: str = "picture"


def make_picture(draw: Callable[[Axes], Axes], height: float | None = None) -> Picture:
    """Return a chart, drawn by a function of an Axes, as high as its rows need or `height` inches."""
    with style.context(_SETTINGS):
        (desk, title), (phone, _) = (_draw(draw, width, height or most, row) for width, most, row in (_DESK, _PHONE))
    return Picture(desk, phone, title)


def _draw(draw: Callable[[Axes], Axes], width: float, height: float, row: float) -> tuple[Markup, str]:
    figure = FittedFigure(figsize=(width, height), layout="constrained")
    figure.row = row
    ax, file = draw(figure.subplots()), io.StringIO()
    figure.set_layout_engine(None)  # the layout is final; with "none" the figure would be drawn twice
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    svg = file.getvalue()
    for pattern, shorter in _SHORTER:
        svg = pattern.sub(shorter, svg)
    for number, font in enumerate(sorted(set(_FONT.findall(svg)), key=len, reverse=True)):
        svg = svg.replace(font, f"{number}-")
    uri = Markup("data:image/svg+xml;base64,") + base64.b64encode(svg.encode()).decode()  # base64 needs no escape
    return uri, " ".join(ax.get_title().split())
