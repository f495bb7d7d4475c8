"""The tables that ship with the package in ``data/``: what AWS has published, as far as it was seen.

Each file names its origin. The lists are incomplete: a version that is not in a list may exist all the same.
Nothing here asks AWS.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

_PACKAGE = Path(__file__).resolve().parent


def data_path(name: str) -> Path:
    """Return the path of a file in ``data/``, in a checkout or in an installed wheel.

    Parameters
    ----------
    name : str
        The file's name, say ``agent_versions.csv``.

    Examples
    --------
    >>> data_path("agent_versions.csv").exists()
    True
    """
    installed = _PACKAGE / "data" / name
    return installed if installed.exists() else _PACKAGE.parent / "data" / name


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
