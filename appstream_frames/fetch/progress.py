"""Progress bars for a drain and for many: shown where somebody looks, quiet in logs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self


class Bar:
    """How far a drain has come: images of one target, or targets of many with images and failures so far.

    Parameters
    ----------
    targets : sequence of str
        What the targets are called.
    progress : bool or None
        Whether to show it; None: when standard error is a terminal, and in a notebook when there are several targets.
    """

    def __init__(self, targets: Sequence[str], progress: bool | None) -> None:
        disable = None if progress is None else not progress
        if sys.stderr is None:  # a program without a console, say a service
            disable = True
        self._images = self._failures = 0
        self._bar: Any
        from tqdm import tqdm  # here, for it takes a fiftieth of the package's import

        if len(targets) == 1:
            self._bar = tqdm(desc=targets[0], unit=" images", disable=disable, leave=False)
        else:
            self._bar = _create_many(total=len(targets), unit=" targets", disable=disable, leave=False)
        self._single = len(targets) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def located(self, target: str) -> None:
        """Show what the target is called."""
        if self._single:
            self._bar.set_description(target)

    def read(self, rows: int) -> None:
        """Count images that were read."""
        self._images += rows
        if self._single:
            self._bar.update(rows)

    def ended(self, *, failed: bool) -> None:
        """Count a target whose reading has ended."""
        self._failures += failed
        if self._single:
            return
        self._bar.set_postfix(images=f"{self._images:,}", failed=self._failures, refresh=False)
        self._bar.update()


def _create_many(**options: Any) -> Any:
    """Return the bar that fits: a widget in a notebook that can show one, else one of text."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # without ipywidgets it says so, and takes text
        from tqdm import auto

        return auto.tqdm(**options)
