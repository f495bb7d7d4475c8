"""Locks that a forked child finds free: a thread of the parent may hold one during the fork, and is not in the child."""

from __future__ import annotations

import os
import threading
from typing import Final

_locks: Final[dict[tuple[str, int], threading.Lock]] = {}


def get_process_lock(name: str) -> threading.Lock:
    """Return the lock of that name in this process."""
    return _locks.setdefault((name, os.getpid()), threading.Lock())
