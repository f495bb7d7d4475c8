"""A stranger's words in every chart, as PNG and as SVG: hostile texts of every family at every place, several in a chart.

Nothing executes or crashes, all text lies in its Axes, and each text can still be recognised by the plain word in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.browser import page_of
from support.hostile import PAYLOADS, Payload

from appstream_frames import charts

pytestmark = pytest.mark.slow

Chart = Callable[[list[str], Axes], Axes]
DAYS = ("2026-10-05", "2026-10-12", "2026-10-19")
TAGS = set(
    "svg metadata RDF Work type date format creator Agent title defs style g path rect use clipPath pattern text".split()
)


def _objects(texts: list[str]) -> pd.Series:
    return pd.Series(texts, dtype=object)  # Arrow would refuse lone surrogates


def agent_versions(texts: list[str], ax: Axes) -> Axes:
    """Draw the first text as a version."""
    return charts.agent_versions(pd.DataFrame({"appstream_agent_version": _objects(texts)}), ax, today=DAYS[0])


def base_image_releases(texts: list[str], ax: Axes) -> Axes:
    """Draw no text: platforms are known or unknown."""
    released = pd.to_datetime(["2026-08-31"] * len(texts), utc=True)
    frame = pd.DataFrame({"public_base_image_released_date": released, "platform": _objects(texts)})
    return charts.base_image_releases(frame, ax, today=DAYS[0])


def agents(texts: list[str], ax: Axes) -> Axes:
    """Draw names and accounts of late images."""
    frame = pd.DataFrame({"name": _objects(texts), "account": _objects(texts[::-1]), "verdict": "behind"})
    return charts.agents(frame.assign(days_behind=range(len(texts), 0, -1)), ax)


def base_images(texts: list[str], ax: Axes) -> Axes:
    """Draw families."""
    frame = pd.DataFrame({"family": _objects(texts), "verdict": "behind", "days_behind": 9})
    return charts.base_images(frame.assign(age_days=range(100, 100 + len(texts))), ax)


def application_versions(texts: list[str], ax: Axes) -> Axes:
    """Draw names of applications."""
    return charts.application_versions(pd.DataFrame({"name": _objects(texts), "images": 3}), ax)


def timeline(texts: list[str], ax: Axes) -> Axes:
    """Draw names and accounts of images that are gone."""
    first, last, gone = DAYS
    frame = pd.DataFrame({"name": _objects(texts), "account": _objects(texts[::-1]), "region": "x", "generations": 2})
    return charts.timeline(frame.assign(first_seen=first, last_seen=last, gone_by=gone), ax)


def coverage(texts: list[str], ax: Axes) -> Axes:
    """Draw accounts, regions and statuses."""
    frame = {"account": _objects(texts), "region": _objects(texts[::-1]), "status": _objects(texts), "rows": 1}
    return charts.coverage(pd.DataFrame(frame), ax)


def trend(texts: list[str], ax: Axes) -> Axes:
    """Draw values by which images are counted."""
    values = _objects([text for text in texts for _ in DAYS])
    frame = pd.DataFrame({"snapshot": list(DAYS) * len(texts), "agent": values, "count": range(1, 1 + len(values))})
    return charts.trend(frame, ax)


#: Each chart, how many texts it is given at once, and how many charts share a figure. The first is drawn with all 300 texts.
CHARTS: list[tuple[Chart, int, int]] = [
    (agents, 20, 4),
    (base_images, 20, 4),
    (application_versions, 20, 4),
    (timeline, 20, 4),
    (coverage, 12, 4),
    (trend, 7, 4),
    (agent_versions, 1, 25),
    (base_image_releases, 60, 1),
]


def figures(draw: Chart, each: int, shared: int) -> Iterator[tuple[Figure, list[tuple[Axes, list[Payload]]]]]:
    """Yield figures with all 300 texts, or with every tenth, and which texts are in which Axes.

    All charts make text drawable with the same function, so that one of them is enough for every text.
    """
    payloads = PAYLOADS if draw is CHARTS[0][0] else PAYLOADS[::10]
    groups = [payloads[first : first + each] for first in range(0, len(payloads), each)]
    side = round(shared**0.5)
    for first in range(0, len(groups), shared):
        figure = Figure(figsize=(9 * side, (7 if shared < 9 else 3) * side), dpi=100 if shared < 9 else 50)
        axes = figure.subplots(side, side, squeeze=False).flat
        drawn = list(zip(axes, groups[first : first + shared], strict=False))
        for ax, group in drawn:
            draw([payload.text for payload in group], ax)
        for ax in list(axes)[len(drawn) :]:
            ax.remove()
        yield figure, drawn


def raw(text: str) -> list[str]:
    """Return what no font draws or a screen would act on."""
    unsafe = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return sorted({ascii(char) for char in set(text) - {"\n"} if unicodedata.category(char) in unsafe})


def checked_svg(figure: Figure, fonttype: str) -> str:
    """Return a figure as SVG, once it is found to be well-formed and to hold nothing but shapes and text."""
    file = BytesIO()
    with mpl.rc_context({"svg.fonttype": fonttype}):
        figure.savefig(file, format="svg")
    svg = file.getvalue().decode()
    tree = list(ElementTree.fromstring(svg).iter())  # noqa: S314  it is ours
    assert {element.tag.rpartition("}")[2] for element in tree} <= TAGS
    attributes = [(name.rpartition("}")[2], value) for element in tree for name, value in element.items()]
    assert [pair for pair in attributes if pair[0].startswith("on") or "script" in pair[1]] == []
    assert [value for name, value in attributes if name == "href" and not value.startswith("#")] == []
    assert raw(svg) == []
    return svg


@pytest.mark.parametrize(("draw", "each", "shared"), CHARTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_chart_shows_words_and_nothing_else(draw: Chart, each: int, shared: int) -> None:
    """As SVG, the first as PNG too; text lies in its Axes, is drawn as it is, and begins with the word if the payload does."""
    for number, (figure, drawn) in enumerate(figures(draw, each, shared)):
        canvas = FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        if number == 0:
            canvas.print_png(BytesIO(), pil_kwargs={"compress_level": 1})
        for ax, group in drawn:
            texts = [text for text in ax.findobj(Text) if text.get_visible() and text.get_text()]
            boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in texts]
            room = ax.bbox.padded(2)
            assert [text.get_text() for text, box in boxes if box.x0 < room.x0 or box.x1 > room.x1] == []
            assert [text.get_text() for text in texts if text.get_parse_math() or raw(text.get_text())] == []
            shown = "\n".join(text.get_text() for text in texts)
            begins = [payload for payload in group if payload.text.startswith(payload.word)]
            assert [one.word for one in begins if one.word not in shown] == [] or draw is base_image_releases
        checked_svg(figure, ("path", "none")[number % 2])


def test_a_drawn_page_runs_nothing(chromium: Any, tmp_path: Path) -> None:
    """Charts as SVG within a page, as a notebook shows them, in a browser with scripts on and no policy."""
    svgs = [checked_svg(next(figures(draw, each, 1))[0], kind) for draw, each, _ in CHARTS for kind in ("path", "none")]
    body = "".join(re.sub(r"<\?xml[^>]*>|<!DOCTYPE[^>]*>", "", svg) for svg in svgs)
    path = tmp_path / "charts.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}</body>", "utf-8")
    with page_of(chromium) as page:
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.goto(path.as_uri())
        ran = page.evaluate(
            "typeof pwned !== 'undefined' || document.querySelectorAll('script, iframe, img').length > 0"
        )
        drawn = page.evaluate("document.querySelectorAll('svg').length")
    assert (asked, ran, drawn) == ([path.as_uri()], False, len(svgs))
