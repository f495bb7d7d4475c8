"""Run the notebooks, each on a fresh kernel, and keep their outputs in place; the README's chart is one of these.

It keeps nothing that differs from run to run (times, the machine's Python), so running it twice gives the same bytes.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
_QUIET = ["--log-level=ERROR"]  # or the kernel says on the terminal that loopback is not encrypted
GALLERY = {"2-agent-versions": FOLDER / "gallery" / "agent-versions.png"}
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(path: Path, **kernel: Any) -> nbformat.NotebookNode:
    """Return a notebook as a fresh kernel in its folder runs it; nothing is written.

    Parameters
    ----------
    path : Path
        The notebook.
    **kernel
        For the start of the kernel, say ``env=``.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place, extra_arguments=_QUIET)
    client.execute(**kernel)
    return _stable(notebook)


def _stable(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"], cell["metadata"] = f"cell-{number:02}", nbformat.NotebookNode()
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def figures(notebook: nbformat.NotebookNode) -> list[bytes]:
    """Return the PNG figures in a notebook's outputs, from first to last."""
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def main() -> None:
    """Run every notebook of this folder and write what came of it."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = run(path)
        nbformat.write(notebook, path)
        if path.stem in GALLERY:
            GALLERY[path.stem].write_bytes(figures(notebook)[0])
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
