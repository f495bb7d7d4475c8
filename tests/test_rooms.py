"""The laws of the house, read from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import appstream_frames

HOUSE = Path(appstream_frames.__file__).parent
#: A room imports only rooms that stand before it.
ORDER = """
    errors text calls reference jsontext model request wire failures pages fit flatten joining frames
    access access.clients access.regions access.lean access.sources access.organization
    access.profiles access.targets access.accounts
    chain collected fanout cluster progress fleet drain
    storage storage.staging storage.local storage.s3 storage.store storage.parquet
    archive stream snapshots ddl upkeep
    things span changes history dates bases insights
    charts.style charts.bars charts.strip charts.answers charts.over_time charts.lives charts.matrix charts.versions charts
    reporting.words reporting.markup reporting.facts reporting.changes reporting.figures reporting.page reporting reporting.file
    sandbox.catalogue sandbox.accounts sandbox.faults sandbox.service sandbox.loopback sandbox.controls sandbox.clients sandbox
    __init__ terminal cli_snapshot cli __main__
""".split()
AWS = {
    *("pages", "wire", "model", "sandbox", "sandbox.service", "sandbox.clients"),
    *("access.clients", "access.regions", "access.lean", "access.sources", "access.profiles", "access.targets"),
}
PURE = {
    *("flatten", "fit", "joining", "frames", "changes", "insights", "ddl"),
    *(room for room in ORDER if room.startswith("charts")),
    *(f"reporting.{room}" for room in ("words", "markup", "facts", "changes", "page")),
}
IO = {"os", "io", "pathlib", "socket", "shutil", "tempfile", "urllib", "subprocess", "boto3", "botocore"}
LONGEST = 300


def path_of(room: str) -> Path:
    """Return a room's file."""
    path = HOUSE / room.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def room_of(path: Path) -> str:
    """Return the name of the room in a file."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imported(room: str) -> set[str]:
    """Return the modules a room imports: of ours by room, of others by their top name."""
    found = set()
    for node in ast.walk(ast.parse(path_of(room).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("appstream_frames"):
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if _ours(name) in ORDER else str(node.module) for name in within}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    ours = {_ours(name) for name in found if name.startswith("appstream_frames")}
    return ours | {name.split(".")[0] for name in found if not name.startswith("appstream_frames")}


def _ours(name: str) -> str:
    return name.removeprefix("appstream_frames").removeprefix(".") or "__init__"


def test_every_room_has_its_place() -> None:
    """The order names every file of the package, and nothing else."""
    assert {room_of(path) for path in HOUSE.rglob("*.py")} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_imports_point_back(room: str) -> None:
    """A room imports only rooms before it; lazy and type-only imports of `__init__` aside."""
    later = set(ORDER[ORDER.index(room) :]) if room != "__init__" else {"cli", "cli_snapshot", "__main__"}
    assert imported(room) & later <= {room}


@pytest.mark.parametrize("room", sorted(set(ORDER) - AWS))
def test_only_four_rooms_touch_boto(room: str) -> None:
    """boto3 and botocore are known to clients, pages, wire and the sandbox; model may load the service model."""
    assert not imported(room) & {"boto3", "botocore"}


@pytest.mark.parametrize("room", sorted(PURE))
def test_pure_rooms_do_no_io(room: str) -> None:
    """Flattening and drawing import nothing that reads, writes or connects."""
    assert not imported(room) & IO


def test_import_is_light() -> None:
    """`import appstream_frames` loads neither matplotlib nor JupyterLab nor the sandbox, nor what reads Parquet."""
    heavy = "{'matplotlib', 'jupyterlab', 'pyarrow.parquet', 'appstream_frames.sandbox', 'appstream_frames.charts'}"
    check = f"import sys, appstream_frames; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"


def test_each_public_name_is_there() -> None:
    """What is loaded when it is first used is listed and found like everything else."""
    assert dir(appstream_frames) == sorted(appstream_frames.__all__)
    assert all(getattr(appstream_frames, name) is not None for name in appstream_frames.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        appstream_frames.nothing  # noqa: B018  it is looked up, that is all


@pytest.mark.parametrize(
    "path", sorted([*HOUSE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]), ids=lambda path: path.name
)
def test_files_are_short(path: Path) -> None:
    """No file of the package or of the tests has more than 300 lines."""
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("room", sorted(set(ORDER) - {"__main__"}))
def test_every_room_says_what_it_is(room: str) -> None:
    """Each module opens with a sentence."""
    assert ast.get_docstring(ast.parse(path_of(room).read_text("utf-8")))
