"""The tables that ship with the package in ``data/``: what AWS has published, as far as it was seen.

Each file names its origin. The lists are incomplete: a version that is not in a list may exist all the same.
Nothing here asks AWS.
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from appstream_frames.resources import data_path


@cache
def _table(name: str, date: str) -> pd.DataFrame:
    frame = pd.read_csv(data_path(name), dtype="str")
    frame[date] = pd.to_datetime(frame[date], utc=True).dt.as_unit("us")
    return frame.sort_values(date, ignore_index=True)


def agent_releases() -> pd.DataFrame:
    """Return AppStream agent releases: ``agent_version`` (MM-DD-YYYY), ``iso_date`` (UTC), ``source``; oldest first.

    Examples
    --------
    >>> agent_releases()["agent_version"].iloc[-1]
    '06-29-2026'
    """
    return _table("agent_versions.csv", "iso_date").copy()


def base_image_releases() -> pd.DataFrame:
    """Return base-image releases: ``release_date`` (UTC), ``platform``, ``image_types`` (``;``-separated); oldest first.

    Examples
    --------
    >>> base_image_releases().columns.to_list()
    ['release_date', 'platform', 'image_types']
    """
    return _table("base_image_releases.csv", "release_date").copy()


def known_bad_agents() -> dict[str, str]:
    """Return why, by agent version, AWS advises against an agent.

    Examples
    --------
    >>> list(known_bad_agents())
    ['09-18-2024']
    """
    table = pd.read_csv(data_path("known_bad_agents.csv"), dtype="str")
    return dict(zip(table["agent_version"], table["reason"], strict=True))


def newest_bases() -> list[str]:
    """Return the names of the newest public base images, one of each family, as AWS listed them in late 2026.

    Examples
    --------
    >>> newest_bases()[0]
    'AppStream-WinServer2025-12-18-2025'
    """
    return list(pd.read_csv(data_path("latest_public_base_images.csv"), dtype="str")["image_name"])


def retired_bases() -> pd.DataFrame:
    """Return what AWS has retired: ``family_type``, ``family_os`` (null: any), ``retired_on``, ``released_before``, ``reason``.

    Examples
    --------
    >>> retired_bases()["family_type"].dropna().to_list()
    ['Graphics Pro', 'Graphics Desktop', 'Graphics Design']
    """
    table = pd.read_csv(data_path("retired_base_images.csv"), dtype="str")
    for name in ("retired_on", "released_before"):
        table[name] = pd.to_datetime(table[name]).dt.date
    return table


def vendor_support() -> pd.DataFrame:
    """Return until when vendors support operating systems: ``family_os``, ``vendor_support_ends`` (UTC), ``source``.

    Examples
    --------
    >>> vendor_support()["family_os"].to_list()
    ['WinServer2016', 'WinServer2019', 'WinServer2022']
    """
    return _table("vendor_support.csv", "vendor_support_ends").copy()
