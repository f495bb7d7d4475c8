"""Progress bars for a drain and for many: shown where somebody looks, quiet in logs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any, Self

from tqdm import TqdmWarning, tqdm


class Bar:
    """How far a drain has come: images of one target, or targets of many with images and failures so far.

    It is shown when `progress` says so; None: when standard error is a terminal, and in a notebook for several targets.
    """

    def __init__(self, targets: Sequence[str], progress: bool | None) -> None:
        disable = None if progress is None else not progress
        if sys.stderr is None:  # a program without a console, say a service
            disable = True
        self._images = self._failures = 0
        self._single = len(targets) == 1
        if self._single:
            self._bar = tqdm(desc=targets[0], unit=" images", disable=disable, leave=False)
        else:
            self._bar = _kind_of_bar()(total=len(targets), unit=" targets", disable=disable, leave=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def located(self, target: str) -> None:
        """Show what the target is called, now that its account is known."""
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
        if not self._single:
            self._bar.set_postfix(images=f"{self._images:,}", failed=self._failures, refresh=False)
            self._bar.update()


def _kind_of_bar() -> Any:
    """Return a widget in a notebook that can show one, else a bar of text."""
    if "IPython" not in sys.modules:
        return tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # without ipywidgets it says so, and takes text
        from tqdm import auto

        return auto.tqdm
