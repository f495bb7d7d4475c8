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
ORDER = (
    *("errors", "text", "reference", "jsontext", "model", "request", "wire", "failures", "pages", "calls"),
    *(
        "fit",
        "flatten",
        "joining",
        "frames",
        *("clients", "regions", "sources", "organization", "profiles", "targets", "accounts"),
        *("chain", "collected", "fanout", "cluster", "progress", "fleet"),
        "drain",
        "staging",
        "local",
        "s3",
        "store",
        "parquet",
        "archive",
        "stream",
        "snapshots",
        "ddl",
        "upkeep",
        "things",
        "span",
        "changes",
        "history",
        "dates",
        "bases",
        "insights",
        "charts_style",
        "charts_bars",
        "charts_strip",
        "charts_answers",
        "charts_time",
        "charts_lives",
        "charts_coverage",
        "charts",
        *("report_words", "report_html", "report_facts", "report_changes", "report_charts", "report_page"),
        *("report", "report_file"),
    ),
    *("catalogue", "sandbox_accounts", "sandbox_faults", "sandbox_appstream", "loopback"),
    *("sandbox_controls", "sandbox_clients", "sandbox", "__init__", "terminal", "cli_snapshot", "cli", "__main__"),
)
AWS = {
    *("pages", "wire", "model", "clients", "regions", "sources", "profiles", "targets"),
    *("sandbox_appstream", "sandbox_clients", "sandbox"),
}
PURE = {
    *("flatten", "fit", "frames", "changes", "insights", "ddl"),
    *("charts", "charts_style", "charts_bars", "charts_strip"),
    *("charts_answers", "charts_time", "charts_lives", "charts_coverage"),
    *("report_words", "report_html", "report_facts", "report_changes", "report_page"),
}
IO = {"os", "io", "pathlib", "socket", "shutil", "tempfile", "urllib", "subprocess", "boto3", "botocore"}
LONGEST = 300


def imported(room: str) -> set[str]:
    """Return the modules a room imports: of ours by room, of others by their top name."""
    found = set()
    for node in ast.walk(ast.parse((HOUSE / f"{room}.py").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "appstream_frames":
            found |= {f"appstream_frames.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    ours = {name.split(".")[1] if "." in name else "__init__" for name in found if name.startswith("appstream_frames")}
    return ours | {name.split(".")[0] for name in found if not name.startswith("appstream_frames")}


def test_every_room_has_its_place() -> None:
    """The order names every file of the package, and nothing else."""
    assert {path.stem for path in HOUSE.glob("*.py")} == set(ORDER)


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
    """`import appstream_frames` loads neither matplotlib nor JupyterLab nor the sandbox."""
    heavy = "{'matplotlib', 'jupyterlab', 'appstream_frames.sandbox', 'appstream_frames.charts'}"
    check = f"import sys, appstream_frames; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "path", sorted([*HOUSE.glob("*.py"), *Path(__file__).parent.rglob("*.py")]), ids=lambda path: path.name
)
def test_files_are_short(path: Path) -> None:
    """No file of the package is over 300 lines; a test's may be twice that."""
    assert len(path.read_text("utf-8").splitlines()) <= (LONGEST if path.parent == HOUSE else 2 * LONGEST)


@pytest.mark.parametrize("room", sorted(set(ORDER) - {"__main__"}))
def test_every_room_says_what_it_is(room: str) -> None:
    """Each module opens with a sentence."""
    assert ast.get_docstring(ast.parse((HOUSE / f"{room}.py").read_text("utf-8")))
