"""A drain of the fault server's pages, the positions at which a reply can be bad, and what many targets came to."""

from __future__ import annotations

from functools import partial

from support.faultserver import ACCOUNT

import appstream_frames as asf

POSITIONS = {"first": 0, "middle": 1, "last": 2}
drain = partial(asf.drain, account=ACCOUNT, progress=False)


def statuses(frames: asf.Frames) -> list[str]:
    """Return the status of each target, in order."""
    return frames.coverage["status"].to_list()
