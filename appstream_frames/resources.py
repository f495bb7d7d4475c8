"""Where the files of ``data/`` lie: in a checkout at the top, in an installed wheel inside the package."""

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
