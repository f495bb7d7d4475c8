"""What tests of many targets look at: the status of each."""

from __future__ import annotations

import appstream_frames as asf


def statuses(frames: asf.Frames) -> list[str]:
    """Return the status of each target, in order."""
    return frames.coverage["status"].to_list()
