"""Notebooks in files. Importing nbformat takes longer than most tests do, so it is left to those that read or write one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: What tests in JupyterLab ran and saved, and the seconds that it took, by committed notebook.
RAN: dict[Path, tuple[Any, float]] = {}


def read(path: Path) -> Any:
    """Return a notebook as nbformat.NotebookNode."""
    import nbformat

    return nbformat.read(path, as_version=4)


def write(notebook: Any, path: Path) -> None:
    """Write what `read` or `new` returned."""
    import nbformat

    nbformat.write(notebook, path)


def new(*sources: str, **metadata: Any) -> Any:
    """Return a notebook of these code cells."""
    from nbformat import v4

    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources], metadata=metadata)
