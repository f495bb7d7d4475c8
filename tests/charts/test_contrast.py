"""Every mark and text stands out from its ground, in light, dark and default settings, at the sizes of a phone and a desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from support.charted import example

import appstream_frames as asf
from appstream_frames import charts

pytestmark = pytest.mark.slow

#: Settings and sizes: each of the settings, and both sizes in those that most people have.
LOOKS = [("default", (4, 3)), ("default", (14, 5)), ("dark_background", (14, 5)), ("Solarize_Light2", (4, 3))]
Colour = tuple[float, float, float, float]


def coverage_of(frames: asf.Frames) -> pd.DataFrame:
    """Return a coverage with every status."""
    statuses = (
        "complete limited denied region_disabled no_endpoint bad_credentials throttled failed cancelled odd".split()
    )
    row = frames.coverage.head(1)
    return pd.concat([row.assign(region=f"region-{n}", status=status) for n, status in enumerate(statuses)])


DRAWS: dict[str, Callable[[asf.Frames, Axes], Axes]] = {
    "agent_versions": lambda frames, ax: charts.agent_versions(frames.images, ax),
    "base_image_releases": lambda frames, ax: charts.base_image_releases(frames.images, ax),
    "agents": lambda frames, ax: charts.agents(asf.agents(frames.images), ax),
    "base_images": lambda frames, ax: charts.base_images(asf.base_images(frames.images), ax),
    "application_versions": lambda frames, ax: charts.application_versions(asf.application_versions(frames), ax),
    "timeline": lambda _, ax: charts.timeline(example(charts.timeline, 12), ax),
    "trend": lambda _, ax: charts.trend(example(charts.trend, 100), ax),
    "coverage": lambda frames, ax: charts.coverage(coverage_of(frames), ax),
}


def over(colour: Colour, ground: Colour) -> Colour:
    """Return what a colour looks like on a ground."""
    return (*(colour[3] * part + (1 - colour[3]) * below for part, below in zip(colour[:3], ground, strict=False)), 1.0)


def luminance(colour: Colour) -> float:
    """Return the relative luminance of WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(colour: object, ground: Colour, alpha: float | None = None) -> float:
    """Return the contrast of WCAG 2 between a colour, seen through its alpha, and the ground."""
    red, green, blue, opacity = to_rgba(colour)
    seen = over((red, green, blue, opacity if alpha is None else opacity * alpha), ground)
    dim, bright = sorted((luminance(seen), luminance(ground)))
    return (bright + 0.05) / (dim + 0.05)


def marks(ax: Axes, ground: Colour) -> Iterator[tuple[Artist, float]]:
    """Yield each text, line, bar, box and area of a chart with the best contrast that a part of it has to what lies below."""
    for artist in ax.findobj(lambda one: one.get_visible() and one is not ax.patch):
        if isinstance(artist, Text) and artist.get_text():
            box = artist.get_bbox_patch()
            below = over(box.get_facecolor(), ground) if box else ground
            yield artist, contrast(artist.get_color(), below, artist.get_alpha())
            if box:
                yield box, max(contrast(colour, ground) for colour in (box.get_facecolor(), box.get_edgecolor()))
        elif isinstance(artist, Line2D) and len(artist.get_xdata()) and artist.axes is ax and artist in ax.lines:
            marked = artist.get_marker() not in ("None", "", None)
            colours = [artist.get_markeredgecolor(), artist.get_markerfacecolor()] if marked else [artist.get_color()]
            yield artist, max(contrast(colour, ground, artist.get_alpha()) for colour in colours)
        elif isinstance(artist, Patch) and artist in ax.patches:
            yield artist, max(contrast(colour, ground) for colour in (artist.get_facecolor(), artist.get_edgecolor()))
        elif isinstance(artist, Collection):
            yield artist, max(contrast(colour, ground) for colour in artist.get_facecolor())


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("style", "size"), LOOKS)
def test_every_mark_and_text_can_be_seen(frames: asf.Frames, name: str, style: str, size: tuple[float, float]) -> None:
    """The contrast of each is 1.5 at least."""
    with plt.style.context(style):
        ax = DRAWS[name](frames, Figure(figsize=size, layout="constrained").subplots())
        ax.figure.draw_without_rendering()
        ground = over(to_rgba(ax.get_facecolor()), over(to_rgba(ax.figure.get_facecolor()), (1.0, 1.0, 1.0, 1.0)))
        found = list(marks(ax, ground))
    assert len(found) > 10
    assert [(str(artist), round(ratio, 2)) for artist, ratio in found if ratio < 1.5] == []


def test_text_keeps_the_axes_colour_outside_of_a_style() -> None:
    """An Axes made dark stays readable when it is drawn into under other settings."""
    with plt.style.context("dark_background"):
        ax = Figure(figsize=(6, 4)).subplots()
    charts.timeline(example(charts.timeline, 12), ax)
    assert {to_rgba(text.get_color()) for text in ax.texts} == {to_rgba("white")}
    assert {to_rgba(line.get_color()) for line in ax.lines if line.get_marker() == "x"} == {to_rgba("white")}


def test_a_name_that_a_fallback_font_can_draw_is_drawn() -> None:
    """What the first of the user's fonts lacks and another has is no escape."""
    rows = pd.DataFrame({"name": ["აx"], "verdict": "behind", "days_behind": 3})
    fonts = {"font.family": ["STIXGeneral", "DejaVu Sans"]}  # the first has no Georgian
    with mpl.rc_context(fonts):
        assert "აx" in [text.get_text() for text in charts.agents(rows, Figure().subplots()).texts]
    with mpl.rc_context({"font.family": ["STIXGeneral"]}):
        assert "\\u10d0x" in [text.get_text() for text in charts.agents(rows, Figure().subplots()).texts]
