"""Locate the files of ``data/``: at the top of a checkout, or inside the package of an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def find_data_path(name: str) -> Path:
    """Return the path of a file in ``data/``, such as ``agent_versions.csv``.

    Examples
    --------
    >>> find_data_path("agent_versions.csv").exists()
    True
    """
    installed = _PACKAGE / "data" / name
    return installed if installed.exists() else _PACKAGE.parent / "data" / name
