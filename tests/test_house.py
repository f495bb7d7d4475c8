"""The laws of the house."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import appstream_frames

HOUSE = Path(appstream_frames.__file__).parent
ROOMS = "tables aws fetch archive history insights charts reports emulator cli".split()


def test_the_rooms_are_ten() -> None:
    """Each folder is a room, and few modules stand beside them."""
    assert {path.parent.name for path in HOUSE.glob("*/__init__.py")} == set(ROOMS)
    assert {path.stem for path in HOUSE.glob("*.py")} == {"__init__", "__main__", "errors", "text", "resources"}


def test_import_is_light() -> None:
    """`import appstream_frames` loads neither matplotlib nor JupyterLab nor the sandbox, nor what reads Parquet."""
    heavy = "{'matplotlib', 'jupyterlab', 'pyarrow.parquet', 'appstream_frames.emulator', 'appstream_frames.charts'}"
    check = f"import sys, appstream_frames; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"


def test_each_public_name_is_there() -> None:
    """What is loaded when it is first used is listed and found like everything else."""
    assert dir(appstream_frames) == sorted(appstream_frames.__all__)
    assert all(getattr(appstream_frames, name) is not None for name in appstream_frames.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        appstream_frames.nothing  # noqa: B018  it is looked up, that is all


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    """Each module opens with a sentence."""
    assert path.name == "__main__.py" or ast.get_docstring(ast.parse(path.read_text("utf-8")))
