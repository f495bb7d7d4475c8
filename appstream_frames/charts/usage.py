"""Which images serve the fleets, and which nobody uses."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames.charts import layout
from appstream_frames.charts.bars import Bar, draw_bars
from appstream_frames.charts.rows import check, name_rows, read_numbers
from appstream_frames.charts.wording import format_count, format_share

_KINDS = {"fleets": "fleet", "image_builders": "image builder", "accounts": "share", "images": "image"}
_NOBODY = "used by nobody"


def usage(verdicts: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw the images that serve fleets, most fleets first, and below them those that nobody uses.

    Parameters
    ----------
    verdicts : DataFrame
        What `appstream_frames.usage` gives, or some of its rows. An image that several accounts see is one.
    ax : Axes, optional
        Where to draw; by default a figure of its own, as tall as its rows need.
    top : int
        How many rows at most, about half of them for images that serve fleets.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> known = {"account": "1", "region": "eu-west-1", "image_builders": 0, "accounts": 0, "images": 0}
    >>> verdicts = pd.DataFrame({"name": ["a", "b"], "arn": ["a", "b"], "fleets": [2, 0], "verdict": ["in_use", "unused"]})
    >>> usage(verdicts.assign(**known), Figure().subplots()).get_title()
    '1 of 2 images serves fleets; 1 is used by nobody'
    """
    check(verdicts, ["account", "region", "arn", "name", "verdict", *_KINDS], "what asf.usage(frames) gives", top)
    images = verdicts[verdicts["arn"].isna() | ~verdicts.duplicated(["region", "arn"])].reset_index(drop=True)
    if not len(images):
        return layout.draw_nothing(ax)
    images = images.assign(
        label=name_rows(images), **{kind: read_numbers(images[kind]).fillna(0).astype(int) for kind in _KINDS}
    )
    used, unused = (images[images["verdict"].eq(verdict).fillna(False)] for verdict in ("in_use", "unused"))
    serving = used[used["fleets"] > 0].sort_values("fleets", ascending=False, kind="stable")
    others, unknown = len(used) - len(serving), len(images) - len(used) - len(unused)
    rows = top if ax is None else min(top, layout.find_size(ax).rows)
    half = max(1, (rows - bool(others) - bool(unknown)) // 2)
    counts = serving[[*_KINDS]].to_dict("records")
    users = [", ".join(format_count(count, _KINDS[kind]) for kind, count in row.items() if count) for row in counts]
    served = zip(serving["label"], serving["fleets"], users, strict=True)
    bars = _cut([Bar(label, fleets, layout.NEWEST, words=words) for label, fleets, words in served], half)
    if others:
        bars.append(Bar(format_count(others, "image"), 0, layout.RECENT, words="in use, without a fleet"))
    bars += _cut([Bar(label, 0, layout.BEHIND, words=_NOBODY) for label in unused["label"]], half)
    if unknown:
        bars.append(Bar(format_count(unknown, "image"), 0, layout.UNKNOWN, words="unknown: not all was read"))
    title = f"{format_share(len(serving), len(images), 'serve')} fleets"
    title += f"; {len(unused):,} {'is' if len(unused) == 1 else 'are'} used by nobody" if len(unused) else ""
    title += f"; {unknown:,} unknown" if unknown else ""
    return draw_bars(ax, bars, title, "Bars: fleets that start new instances from the image")


def _cut(bars: list[Bar], most: int) -> list[Bar]:
    """Return so many bars at most, of which the last stands for all others."""
    if len(bars) <= most:
        return bars
    rest = bars[most - 1 :]
    fleets = sum(bar.count for bar in rest)
    colour, words = (layout.RECENT, format_count(fleets, "fleet")) if fleets else (layout.BEHIND, _NOBODY)
    return [*bars[: most - 1], Bar(format_count(len(rest)), 0, colour, words=words)]
