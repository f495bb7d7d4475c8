"""A folder as a cut of the power would leave it: what was flushed to the disk is there, the rest perhaps."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path


class Disk:
    """Records what a power cut would leave: the names of flushed folders, and the bytes of flushed files.

    Use `crashed` after any step for the trees that may be there after a cut: what was never flushed may be there or not.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._names: dict[Path, dict[str, int]] = {}
        self._bytes: dict[int, bytes] = {}
        for folder in [base, *(path for path in base.rglob("*") if path.is_dir())]:
            self.flushed_folder(folder)
        for path in base.rglob("*"):
            if path.is_file():
                self._bytes[path.stat().st_ino] = path.read_bytes()

    def flushed(self, handle: int) -> None:
        """Note an fsync."""
        path = Path(f"/proc/self/fd/{handle}").resolve()
        if path.is_dir():
            self.flushed_folder(path)
        else:
            self._bytes[path.stat().st_ino] = path.read_bytes()

    def flushed_folder(self, folder: Path) -> None:
        """Note that a folder's names are safe."""
        self._names[folder] = _names(folder)

    def crashed(self, into: Path, chance: random.Random, likely: float) -> Path:
        """Write the tree after a cut; each unflushed change to a folder survives with a likelihood."""
        shutil.rmtree(into, ignore_errors=True)
        self._copy(self._base, into, chance, likely)
        return into

    def _copy(self, folder: Path, into: Path, chance: random.Random, likely: float) -> None:
        into.mkdir()
        safe, live = self._names.get(folder, {}), _names(folder) if folder.is_dir() else {}
        for name in sorted({*safe, *live}):
            changed = safe.get(name) != live.get(name)
            node = (live if changed and chance.random() < likely else safe).get(name)
            if node is not None and ((folder / name).is_dir() or (folder / name) in self._names):
                self._copy(folder / name, into / name, chance, likely)
            elif node is not None:
                (into / name).write_bytes(self._bytes.get(node, b""))


def _names(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}
