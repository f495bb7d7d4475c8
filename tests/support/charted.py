"""Tables for the charts to draw, made up: answers about images, counts over time, and lifetimes from first to last sighting."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from appstream_frames import charts

WEEKS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2026-08-31", periods=13, freq="7D")]


def answer(*rows: tuple[str | None, str, int | None], age: int = 0) -> pd.DataFrame:
    """Return what both charts read: name or family, verdict, days behind; the newest base is `age` days old."""
    names, verdicts, days = zip(*rows, strict=True)
    behind = pd.array(days, dtype="Int64")
    texts, words = (pd.Series(column, dtype=object) for column in (names, verdicts))
    table = {"name": texts, "family": texts, "verdict": words, "days_behind": behind, "age_days": behind + age}
    return pd.DataFrame(table)


def many(count: int, verdict: str = "behind") -> pd.DataFrame:
    return answer(*((f"image-{n}", verdict, n + 1) for n in range(count)))


def counted(*values: tuple[str | None, list[int | None]]) -> pd.DataFrame:
    """Return what `asf.trend` gives for values with one count a week."""
    rows = [(week, value, count) for value, counts in values for week, count in zip(WEEKS, counts, strict=False)]
    table = pd.DataFrame(rows, columns=["snapshot", "platform", "count"], dtype=object).astype({"count": "Int64"})
    return table.assign(snapshot=pd.to_datetime(table["snapshot"], utc=True), complete=table["count"].notna())


def lived(*lifetimes: tuple[str, int, int, int | None], generations: int = 1) -> pd.DataFrame:
    """Return what `asf.timeline` gives for names with the weeks of first and last sighting, and of absence."""
    name, *moments = zip(*lifetimes, strict=True)
    made = {"name": pd.Series(name, dtype=object)}
    for column, weeks in zip(("first_seen", "last_seen", "gone_by"), moments, strict=True):
        days = [None if week is None else WEEKS[week] for week in weeks]
        made[column] = pd.to_datetime(pd.Series(days, dtype=object), utc=True).dt.as_unit("us")
    return pd.DataFrame(made).assign(generations=generations)


def example(chart: object, count: int = 60) -> pd.DataFrame:
    """Return so many rows for a chart; of those over time some are gaps, gone or rebuilt."""
    if chart in (charts.agents, charts.base_images):
        return many(count)
    if chart is charts.trend:
        values = [(f"value-{n}", [(n * 7 + week) % 23 for week in range(13)]) for n in range(-(-count // 13))]
        return counted(*values).head(count)
    rows = [(f"image-{n}", n % 5, 6 + n % 7, 7 + n % 7 if n % 7 < 6 and n % 3 else None) for n in range(count)]
    return lived(*rows, generations=1).assign(generations=[1 + n % 4 for n in range(count)])


def bars(ax: Axes) -> list[tuple[float, float, tuple[float, ...]]]:
    """Read from where to where each lifetime lasts, and its colour, top to bottom."""
    patches = [bar for container in ax.containers for bar in container.patches]
    return [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_facecolor()) for bar in patches]
