"""Where a report goes: a file that appears under its name whole, or standard output."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from appstream_frames.errors import RequestError
from appstream_frames.text import printable

STDOUT = "-"


def check_output(output: str) -> str:
    """Return where to write, unless it can be seen beforehand that no file can be written there.

    Raises
    ------
    RequestError
        When it is a folder, or in a folder that is not there.
    """
    path = Path(output)
    if output != STDOUT and (path.is_dir() or output.endswith(("/", os.sep)) or not output):
        raise RequestError(f"-o {printable(output)!r} is a folder; expected the name of a file, which may be in it")
    if not path.parent.is_dir():
        raise RequestError(f"-o {printable(output)!r}: there is no folder {printable(path.parent)}; make it first")
    return output


def save(text: str, output: str) -> None:
    """Write text as UTF-8; a reader of the file, and a crash, see the old content or the new."""
    content = text.encode()
    path = Path(os.path.realpath(output))
    if path.exists() and not path.is_file():  # a pipe or a device, which nothing can take the place of
        path.write_bytes(content)
        return
    aside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(aside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
