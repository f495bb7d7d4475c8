"""What tests of many targets look at: the status of each, and how many images came."""

from __future__ import annotations

import appstream_frames as asf


def statuses(frames: asf.Frames) -> list[str]:
    """Return the status of each target, in order."""
    return frames.coverage["status"].to_list()


class Nobody:
    """Counts the images that came, and watches nothing else."""

    images = 0

    def read(self, images: int) -> None:
        """Count them."""
        self.images += images

    def ended(self, outcome: object) -> None:
        """Let it be."""
