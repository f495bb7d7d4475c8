"""The answers drawn: whose agent is behind and by how much, and how old the bases are.

Each chart takes what the function of its name gives. Nothing is asked, read or judged here: verdicts are drawn as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from appstream_frames import charts_style as style
from appstream_frames.charts_style import GAP, PLAIN, Bar
from appstream_frames.errors import RequestError

NOTHING = "Nothing to draw"
_COLOURS = {
    "known_bad": style.OLD,
    "retired": style.OLD,
    "behind": style.BEHIND,
    "current": style.NEWEST,
    "latest": style.FOLLOWS,
}
_WORST = [*_COLOURS, "unknown"]
_NOT_BEHIND = {
    "current": ("pinned to the newest", "not behind"),
    "latest": ("follow AWS's newest", "not behind"),
    "unknown": ("unknown", "days not known"),
}


def agents(answer: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how many days each image's agent is behind AWS's newest: known bad ones first, then those furthest behind.

    Images that find no room share a bar, as long as the longest of them; those not behind, or unknown, have rows at 0.

    Parameters
    ----------
    answer : DataFrame
        What `appstream_frames.agents` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many images have a bar of their own, at most; fewer in a small Axes.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `answer` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> answer = pd.DataFrame({"name": ["a", "b"], "verdict": ["behind", "latest"], "days_behind": [140, None]})
    >>> agents(answer, Figure().subplots()).get_title()
    "1 of 2 images is behind AWS's newest agent"
    """
    check(answer, ("name", "verdict", "days_behind"), "what asf.agents(images) gives", top)
    if not len(answer):
        return style.draw_nothing(ax, NOTHING)
    verdicts = _verdicts(answer)
    counts = Counter(verdicts)
    late = [
        (verdict != "known_bad", -days, name)
        for name, verdict, days in zip(names(answer), verdicts, numbers(answer["days_behind"]).fillna(0), strict=True)
        if verdict in ("known_bad", "behind")
    ]
    below = [
        Bar(f"{counts[verdict]:,} {words}", 0, _COLOURS.get(verdict, style.UNKNOWN), words=value)
        for verdict, (words, value) in _NOT_BEHIND.items()
        if counts[verdict]
    ]
    kept, rest = cut(sorted(late), ax, top, len(below))
    bars = [_late_bar(name, -minus, known_bad=not other) for other, minus, name in kept]
    if rest:
        bad = sum(not other for other, *_ in rest)
        name = f"{len(rest):,} other{'s' if len(rest) > 1 else ''} behind" + (f", {bad:,} known bad" if bad else "")
        bars.append(_late_bar(name, max(-minus for _, minus, _ in rest), up_to="up to "))
    found = f"{style.share(len(late), len(answer), 'are')} behind AWS's newest agent"
    title = found + _and(counts, ("known_bad", "known bad"), ("unknown", "unknown"))
    note = _legend({"known_bad": "red: known bad", "behind": "orange: behind"}, counts)
    return style.draw_bars(ax, [*bars, *below], title if counts["unknown"] < len(answer) else "No agent is known", note)


def _late_bar(name: str, days: float, *, known_bad: bool = False, up_to: str = "") -> Bar:
    words = f"{up_to}{days:,.0f} day{'' if days == 1 else 's'}" if days > 0 else "days not known"
    colour = style.OLD if known_bad else style.BEHIND
    return Bar(name, max(0, int(days)), colour, words=words + (" · known bad" if known_bad else ""))


def base_images(answer: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Draw how old the bases are that images stand on: a row per family, a box with the count of images per release.

    Time runs from left to right; AWS's newest release of a family is outlined in black, or a black line where no image
    stands on it. Releases too close to be drawn apart share the box of the oldest of them, in the colour of the worst.

    Parameters
    ----------
    answer : DataFrame
        What `appstream_frames.base_images` gives, or some of its rows.
    ax : Axes, optional
        Where to draw; without it a new figure is made, as tall as its rows need.
    top : int
        How many families have a row of their own, at most; those with the most images come first.

    Returns
    -------
    Axes
        The Axes drawn into; ``ax.get_title()`` is the finding.

    Raises
    ------
    RequestError
        `answer` lacks a column, or `top` is no positive number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> answer = pd.DataFrame({"family": "Base RHEL8", "verdict": ["behind", "current"], "days_behind": [137, 0]})
    >>> base_images(answer.assign(age_days=[221, 84]), Figure().subplots()).get_title()
    '1 of 2 images stands on an outdated base'
    """
    check(answer, ("family", "verdict", "days_behind", "age_days"), "what asf.base_images(images) gives", top)
    if not len(answer):
        return style.draw_nothing(ax, NOTHING)
    verdicts, age = _verdicts(answer), numbers(answer["age_days"]).where(lambda days: days >= 0)
    family = answer["family"].reset_index(drop=True).astype(object)
    table = pd.DataFrame({"family": family.where(family.notna(), None), "verdict": verdicts, "age": age})
    table["newest"] = (age - numbers(answer["days_behind"])).where(lambda days: days >= 0)
    ranked = table["family"].value_counts(dropna=False, sort=True).items()
    kept, rest = cut([(None if pd.isna(name) else name, count) for name, count in ranked], ax, top, 1)
    groups = [table[table["family"].isin([name])] for name, _ in kept]
    labels = [f"{'base unknown' if name is None else style.drawable(name, 40)} · {count:,}" for name, count in kept]
    if rest:
        groups.append(table[table["family"].isin([name for name, _ in rest])].assign(newest=np.nan))
        labels.append(f"{len(rest):,} other{'s' if len(rest) > 1 else ''} · {len(groups[-1]):,}")
    counts = Counter(verdicts)
    title = f"{style.share(counts['behind'] + counts['retired'], len(table), 'stand')} on an outdated base"
    title += _and(counts, ("retired", "on one that AWS retired"), ("unknown", "unknown"))
    colours = {
        "retired": "red: retired",
        "behind": "orange: behind",
        "current": "blue: newest",
        "unknown": "white: unknown",
    }
    note = "Black: AWS's newest · " + _legend(colours, counts)
    strip = strip_of(ax, labels, title if counts["unknown"] < len(table) else "No base is known", note)
    oldest = max(1.0, age.max()) if age.notna().any() else 1.0
    strip.axis(oldest, 0.0, lambda days: style.age(round(days)))
    for row, group in enumerate(groups):
        _boxes(strip, row, group.dropna(subset="age"), oldest)
    return strip.ax


def _boxes(strip: Strip, row: int, group: pd.DataFrame, oldest: float) -> None:
    """Write counts in boxes, oldest first, none over another, and mark the newest release."""
    newest, middle = group["newest"].min(), row + strip.lower
    apart = style.measure(f"{len(group):,}", strip.size) + 9
    boxes: list[tuple[float, list[tuple[float, str]]]] = []
    for age, verdict in sorted(zip(group["age"], group["verdict"], strict=True), key=lambda one: -one[0]):
        x = strip.x(age, oldest, 0.0)
        if not boxes or x - boxes[-1][0] >= apart:
            boxes.append((x, []))
        boxes[-1][1].append((age, verdict))
    if newest <= oldest and not (group["age"] == newest).any():
        x = strip.x(newest, oldest, 0.0)
        strip.ax.plot([x, x], [middle - 0.22, middle + 0.22], color="black", linewidth=2, zorder=1)
    for x, inside in boxes:
        colour = _COLOURS.get(min((verdict for _, verdict in inside), key=_WORST.index), "white")
        edge: dict[str, Any] = {"edgecolor": style.RECENT, "linewidth": 0.6}
        if any(age == newest for age, _ in inside):
            edge = {"edgecolor": "black", "linewidth": 1.1}
        font: dict[str, Any] = {
            "color": "white" if colour == style.OLD else "black",
            "fontsize": max(6.0, strip.size - 1),
        }
        box = {"boxstyle": "round,pad=0.25", "facecolor": colour, **edge}
        strip.ax.text(x, middle, f"{len(inside):,}", ha="center", va="center_baseline", bbox=box, **font, **PLAIN)


@dataclass(frozen=True)
class Strip:
    """An Axes in rows whose x is in points: where marks may be, how far below the middle of a row, the row of the axis."""

    ax: Axes
    left: float
    right: float
    lower: float
    size: float
    foot: int

    def x(self, value: float, first: float, last: float) -> float:
        """Return where a value stands between the first, at the left, and the last."""
        return self.left + (value - first) / ((last - first) or 1.0) * (self.right - self.left)

    def axis(self, first: float, last: float, words: Callable[[float], str]) -> None:
        """Write as many values below the rows as there is room for."""
        apart = 1.8 * max(style.measure(words(value), self.size) for value in (first, last))
        values = np.linspace(first, last, max(2, min(6, 1 + int((self.right - self.left) / apart))))
        for value in values:
            ha = "left" if value == first else "right" if value == last else "center"
            self.ax.plot(
                [self.x(value, first, last)] * 2,
                [-0.5, self.foot - 0.5],
                lw=0.5,
                color=style.RECENT,
                alpha=0.5,
                zorder=0.5,
            )
            x = self.x(value, first, last)
            self.ax.text(x, self.foot, words(value), ha=ha, va="center", fontsize=self.size, alpha=0.75, **PLAIN)


def strip_of(ax: Axes | None, labels: Sequence[str], title: str, note: str) -> Strip:
    """Set an Axes out in labelled rows and one more for the axis of time."""
    ax, space, size = style.ruled(ax, len(labels) + 1, title, note)
    ax.set_xlim(0, space.width)
    texts = [style.fit(label, space.width * (0.42 if space.beside else 1), size) for label in labels]
    upper, lower = (0.0, 0.0) if space.beside else (-0.24, 0.26)
    for row, text in enumerate(texts):
        style.write(ax, row + upper, text, fontsize=size)
    left = max(style.measure(text, size) for text in texts) if space.beside else 0.0
    return Strip(ax, left + 2 * GAP, space.width - 2 * GAP, lower, size, len(labels))


def cut(ranked: list[Any], ax: Axes | None, top: int, extra: int) -> tuple[list[Any], list[Any]]:
    """Return what has a row of its own and what shares one, when so many rows are needed for other things."""
    rows = len(ranked) if ax is None else style.room(ax).rows - extra
    return (
        (ranked, []) if len(ranked) <= min(top, rows) else (ranked[: min(top, rows - 1)], ranked[min(top, rows - 1) :])
    )


def check(frame: object, columns: Iterable[str], source: str, top: object) -> None:
    """Refuse what is no frame, lacks a column, or no number of rows."""
    if not isinstance(frame, pd.DataFrame):
        raise RequestError(f"expected a DataFrame, got a {type(frame).__name__}: pass {source}")
    if missing := [name for name in columns if name not in frame.columns]:
        raise RequestError(f"the frame has no column {missing[0]!r}, which is needed here: pass {source}")
    if not isinstance(top, int) or top < 1:
        raise RequestError(f"top={style.drawable(top)}: expected a whole number from 1 on")


def _verdicts(answer: pd.DataFrame) -> list[str]:
    return [verdict if isinstance(verdict, str) and verdict in _COLOURS else "unknown" for verdict in answer["verdict"]]


def numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where it holds no number, with a plain index."""
    found = pd.to_numeric(column, errors="coerce").astype("Float64").astype(float)
    return found.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)


def names(answer: pd.DataFrame) -> list[str]:
    """Return names as they can be drawn, with account and region where the frame has several."""
    columns = ["name", *(key for key in ("account", "region") if key in answer and answer[key].nunique() > 1)]
    rows = answer[columns].astype(object).itertuples(index=False)
    return [" · ".join(style.drawable(value, 40) for value in row if not pd.isna(value)) or "(no name)" for row in rows]


def _and(counts: Counter[str], *named: tuple[str, str]) -> str:
    return "".join(f"; {counts[verdict]:,} {words}" for verdict, words in named if counts[verdict])


def _legend(words: dict[str, str], counts: Counter[str]) -> str:
    return " · ".join(word for verdict, word in words.items() if counts[verdict])
