"""Files that tables and pages are written into: a reader of one, and a crash, see the old content or the new."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of that at `path` when the block ends well; links keep leading there."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe or a device, which nothing can take the place of
        with open(target, "wb") as device:
            yield device
        return
    aside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
