"""The reference tables: facts that AWS and vendors have published, and rows that a user's own folder adds.

They are incomplete: a version that is not in a table may still exist.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import pandas as pd

from appstream_frames.errors import RequestError
from appstream_frames.resources import find_data_path
from appstream_frames.text import printable

Folder: TypeAlias = str | os.PathLike[str] | None
VARIABLE: Final = "APPSTREAM_FRAMES_REFERENCE"
_ABOUT: Final = ["source", "read_on"]
_DATES: Final = ["iso_date", "release_date", "retired_after", "released_before", "vendor_support_ends", "read_on"]
#: By table, the columns that identify a row.
_KEYS: Final = {
    "agent_versions": ["agent_version"],
    "base_image_releases": ["release_date", "platform"],
    "feature_requirements": ["feature"],
    "known_bad_agents": ["agent_version"],
    "latest_public_base_images": ["image_name"],
    "retired_base_images": ["family_type", "family_os"],
    "vendor_support": ["family_os"],
}


def reference(folder: Folder = None) -> dict[str, pd.DataFrame]:
    """Return the tables against which agents and base images are judged.

    Parameters
    ----------
    folder : str or path, optional
        Your own folder with files such as ``agent_versions.csv``, with the columns of the table of that name; ``source`` and
        ``read_on`` may be left out. A row replaces the shipped row with the same key, ignoring case; other rows are added.
        Default: the folder that the environment variable APPSTREAM_FRAMES_REFERENCE names, if any.

    Returns
    -------
    dict of str to pandas.DataFrame
        By name: ``agent_versions``, ``base_image_releases`` (informative; no verdict uses it), ``feature_requirements``,
        ``known_bad_agents``, ``latest_public_base_images`` (the newest of each family, now and before), ``retired_base_images``,
        ``vendor_support``. Each row has a ``source``, the day it was ``read_on`` and its ``origin``: ``reference`` or ``yours``.
        Dates are moments in UTC; all other columns are text.

    Raises
    ------
    RequestError
        When the folder does not exist, or holds a CSV file that is not one of these tables, lacks a column or a value that each
        row of the shipped table has, or has an invalid date.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> sorted(asf.reference())[:3]
    ['agent_versions', 'base_image_releases', 'feature_requirements']
    """
    chosen = folder or os.environ.get(VARIABLE)
    if not isinstance(chosen, str | os.PathLike | None):
        raise RequestError(f"reference={printable(repr(chosen))} must be the path of a folder, or None.")
    own = _list_own_files(Path(chosen).expanduser(), "reference" if folder else VARIABLE) if chosen else {}
    return {name: _merge(name, _read_shipped(name), own.get(name)) for name in _KEYS}


@cache
def _read_shipped(name: str) -> pd.DataFrame:
    return _read(find_data_path(f"{name}.csv")).assign(origin="reference")


def _list_own_files(folder: Path, given_as: str) -> dict[str, Path]:
    """Return the files of a user's folder by table."""
    expected = ", ".join(f"{name}.csv" for name in _KEYS)
    if not folder.is_dir():
        raise RequestError(f"{given_as}={printable(folder)!r} is no folder. Name one that holds {expected}.")
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".csv"}
    if unknown := sorted(set(files) - set(_KEYS)):
        raise RequestError(f"{printable(files[unknown[0]])} is none of the reference tables: {expected}.")
    if not files:
        raise RequestError(f"{given_as}={printable(folder)!r} holds no table. Put some of these into it: {expected}.")
    return files


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype="str", encoding="utf-8-sig", skipinitialspace=True)
        table = table.apply(lambda column: column.str.strip())
    except (OSError, ValueError) as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        raise RequestError(f"{printable(path)} cannot be read as a CSV table: {printable(error)}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cell of a longer row as its index
        raise RequestError(f"{printable(path)} has more cells in a row than in its first line. Quote text with commas")
    table = table.dropna(how="all", ignore_index=True)
    for name in table.columns.intersection(_DATES):
        moments = pd.to_datetime(table[name], utc=True, errors="coerce", format="%Y-%m-%d").dt.as_unit("us")
        if len(wrong := table[name][moments.isna() & table[name].notna()]):
            raise RequestError(
                f"{printable(path)} has {printable(wrong.iloc[0])!r} in {name}, expected a day such as 2026-11-23"
            )
        table[name] = moments
    return table


def _merge(name: str, shipped: pd.DataFrame, path: Path | None) -> pd.DataFrame:
    """Return the rows of a user's file followed by the shipped rows that they do not replace."""
    if path is None:
        return shipped.copy()
    own = _read(path)
    if lacking := [column for column in shipped.columns if column not in (*own.columns, *_ABOUT, "origin")]:
        raise RequestError(f"{printable(path)} has no column {lacking[0]}, expected {', '.join(shipped.columns[:-3])}")
    for column in shipped.columns[:-3]:
        if shipped[column].notna().all() and own[column].isna().any():
            row = own[column].isna().idxmax() + 1
            raise RequestError(f"{printable(path)} has nothing in {column} of row {row}, expected a value")
    own = own.reindex(columns=shipped.columns[:-1]).astype(dict(shipped.dtypes[:-1])).assign(origin="yours")
    table = pd.concat([own, shipped], ignore_index=True)
    keys = table[_KEYS[name]].astype("str").apply(lambda column: column.str.lower())
    return table[~keys.duplicated()].reset_index(drop=True)
