"""Images by agent version and base release, for the charts of them, which are read back row by row."""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from support.drawn import bars

from appstream_frames import charts
from appstream_frames.insights import reference

CHARTS = [charts.agent_versions, charts.base_image_releases]
SIZES = [(4, 3), (6.4, 4.8), (8, 4.5), (14, 5)]
TODAY = pd.Timestamp("2026-11-23T15:00:00Z")
PLATFORMS = {
    "WinServer2019": ("WINDOWS_SERVER_2019", "Windows"),
    "WinServer2022": ("WINDOWS_SERVER_2022", "Windows"),
    "WinServer2025": ("WINDOWS_SERVER_2025", "Windows"),
    "RHEL8": ("RHEL8", "RHEL"),
    "RockyLinux8": ("ROCKY_LINUX8", "Rocky Linux"),
    "AmazonLinux2": ("AMAZON_LINUX2", "Amazon Linux 2"),
}


class Row(NamedTuple):
    label: str
    count: int
    width: float
    y: float
    colour: tuple[float, ...]


@cache
def many_images(count: int, seed: int = 1) -> pd.DataFrame:
    """Make images as an account sees them: AWS's public bases and private images on older ones, some of it unknown."""
    rnd = random.Random(seed)
    return typed([_image(rnd, number) for number in range(count)])


@cache
def _released(family: str) -> list[pd.Timestamp]:
    table = reference.reference()["base_image_releases"].sort_values("release_date")
    return table.loc[table["platform"].str.split(";").map(lambda names: family in names), "release_date"].to_list()


@cache
def _agent_versions() -> list[str]:
    return reference.reference()["agent_versions"].sort_values("iso_date")["agent_version"].to_list()


def _image(rnd: random.Random, number: int) -> dict[str, object]:
    system = rnd.choices([*PLATFORMS], [8, 10, 3, 2, 1, 1])[0]
    platform, family = PLATFORMS[system]
    released = _recent(rnd, _released(family))
    public = rnd.random() < 0.3
    version = rnd.choices(["LATEST", None, _recent(rnd, _agent_versions())], [6, 1, 16])
    return {
        "name": f"AppStream-{system}-{released:%m-%d-%Y}" if public else f"finance-{number}",
        "platform": platform,
        "public_base_image_released_date": None if not public and rnd.random() < 0.05 else released,
        "appstream_agent_version": version[0],
        "snapshot": TODAY,
    }


def _recent(rnd: random.Random, oldest_first: list) -> object:
    return oldest_first[max(0, len(oldest_first) - 1 - int(rnd.expovariate(0.25)))]


def typed(rows: list[dict[str, object]]) -> pd.DataFrame:
    columns = ["name", "platform", "public_base_image_released_date", "appstream_agent_version", "snapshot"]
    frame = pd.DataFrame(rows, columns=columns)
    for moment in ("public_base_image_released_date", "snapshot"):
        frame[moment] = pd.to_datetime(frame[moment], utc=True).dt.as_unit("us")
    return frame.astype({"name": "str", "platform": "str", "appstream_agent_version": "str"})


def agents(*versions: object) -> pd.DataFrame:
    return pd.DataFrame({"appstream_agent_version": pd.Series(versions, dtype=object)})


def bases(*released: str | None, platform: object = "WINDOWS_SERVER_2022") -> pd.DataFrame:
    moments = pd.Series(pd.to_datetime(pd.Series(released, dtype=object), utc=True)).dt.as_unit("us")
    return pd.DataFrame({"public_base_image_released_date": moments, "platform": platform})


def rows(ax: Axes) -> list[Row]:
    """Read the chart from top to bottom."""
    drawn = [
        Row(label, int(count.replace(",", "")), width, bar.get_y(), bar.get_facecolor())
        for (label, count, width), bar in zip(bars(ax), ax.containers[0].patches, strict=True)
    ]
    top_first = ax.yaxis_inverted()
    return sorted(drawn, key=lambda row: row.y if top_first else -row.y)


def labels(ax: Axes) -> list[str]:
    return [row.label for row in rows(ax)]
