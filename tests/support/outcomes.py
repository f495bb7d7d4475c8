"""What tests of many targets look at: the status of each, and how many images came."""

from __future__ import annotations

import appstream_frames as asf


def statuses(frames: asf.Frames) -> list[str]:
    """Return the status of each target, in order."""
    return frames.coverage["status"].to_list()


class Nobody:
    """Counts the rows that came, and observes nothing else."""

    rows = 0

    def located(self, target: str) -> None:
        """Do nothing."""

    def read(self, rows: int) -> None:
        """Count them."""
        self.rows += rows

    def ended(self, *, failed: bool) -> None:
        """Do nothing."""
