"""A drain of the fault server's chain of pages, and the positions in that chain at which a reply can be bad."""

from __future__ import annotations

from functools import partial

from support.faultserver import ACCOUNT

import appstream_frames as asf

POSITIONS = {"first": 0, "middle": 1, "last": 2}
drain = partial(asf.drain, account=ACCOUNT, progress=False)
