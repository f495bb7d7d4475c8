"""Progress bars for a drain and for many: shown in terminals and notebooks, not in logs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

from appstream_frames.fetch.pages import Outcome


class Bar:
    """The progress bar of a drain: images of one target, or targets of many with images and failures so far.

    `progress` decides whether it is shown; None shows it when standard error is a terminal, and in a notebook for several
    targets. A hidden bar does not use tqdm, whose locks may stay locked forever in a forked child.
    """

    def __init__(self, targets: Sequence[str], progress: bool | None) -> None:
        self._images = self._failures = 0
        self._single = len(targets) == 1
        self._bar: Any = None
        if progress is None:
            wanted = is_terminal(sys.stderr) or (not self._single and "IPython" in sys.modules)
            disable = None  # tqdm decides: it shows no text bar in a notebook
        else:
            wanted, disable = progress, False
        # None in a program without a console, such as a service
        if wanted and not getattr(sys.stderr, "closed", sys.stderr is None):
            # a widget in a notebook that can show it; elsewhere tqdm.auto may warn, and filters of warnings apply to all threads
            widget = not self._single and find_spec("ipywidgets")
            tqdm = import_module("tqdm.auto" if widget else "tqdm").tqdm
            if self._single:
                self._bar = tqdm(desc=targets[0], unit=" images", disable=disable, leave=False)
            else:
                self._bar = tqdm(total=len(targets), unit=" targets", disable=disable, leave=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def name_target(self, target: str) -> None:
        """Show the target's name, now that its account is known."""
        if self._bar is not None and self._single:
            self._bar.set_description(target)

    def count_rows(self, rows: int) -> None:
        """Count images that were read."""
        self._images += rows
        if self._bar is not None and self._single:
            self._bar.update(rows)

    def count_target(self, outcomes: Iterable[Outcome]) -> None:
        """Count a target whose reading has ended."""
        self._failures += any(outcome.failure for outcome in outcomes)
        if self._bar is not None and not self._single:
            self._bar.set_postfix(images=f"{self._images:,}", failed=self._failures, refresh=False)
            self._bar.update()


def is_terminal(stream: object) -> bool:
    """Return whether a stream is an interactive terminal; False if it is None, closed or a log writer."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]  # AttributeError is caught
    except (AttributeError, ValueError):
        return False
