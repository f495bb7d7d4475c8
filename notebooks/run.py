"""Run the notebooks, each on a fresh kernel, and keep their outputs in place; the README's charts are among them.

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
GALLERY = {  # the README's charts: of which notebook, which figure
    "agent-versions": ("2-agent-versions", 0),
    "base-images": ("3-base-image-releases", 1),
    "what-changed": ("4-what-changed", 2),
    "who-uses-what": ("6-who-uses-what", 0),
}
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


def gallery() -> dict[Path, bytes]:
    """Return the README's charts, as the notebooks hold them, by the files they belong in."""
    held = {name: figures(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)) for name, _ in GALLERY.values()}
    return {FOLDER / "gallery" / f"{name}.png": held[notebook][place] for name, (notebook, place) in GALLERY.items()}


def main() -> None:
    """Run every notebook of this folder and write what came of it; with the word ``gallery``, only take charts out of them."""
    for path in [] if "gallery" in sys.argv[1:] else sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(run(path), path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1000} kB\n")
    for path, picture in gallery().items():
        path.write_bytes(picture)
        sys.stdout.write(f"{path.name}: {len(picture) // 1000} kB\n")


if __name__ == "__main__":
    main()
