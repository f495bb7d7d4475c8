"""What holds for the source as a whole: its rooms, its words, and what it keeps its hands off."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import appstream_frames

TESTS = Path(__file__).parent
HOUSE = Path(appstream_frames.__file__).parent
ROOMS = "tables aws fetch archive history insights charts reports emulator cli".split()
SOURCES = {str(path.relative_to(HOUSE)): path for path in sorted(HOUSE.rglob("*.py"))}
ALL = SOURCES | {f"tests/{path.relative_to(TESTS)}": path for path in sorted(TESTS.rglob("*.py"))}
PRIVATE = "aws/botocore_private.py"  # the one file that may use names which other packages keep to themselves
ALIASES = "np pd pa pc pq ds dd pl dt st plt mpl asf".split()

#: Words of earlier code, each of which has a standard term instead (row identity, target list, worker …).
OLD_WORDS = """
    chain place span things fit near exact lives strip room matrix lean collected joining upkeep
    proof proven told asked residue mishap twins hushed answer
""".split()
#: Those that are plain English too, so that a sentence may use them and a name may not.
PLAIN_ENGLISH = "place fit near exact room collected asked answer".split()
#: Public names that are older than this rule.
PUBLIC = {"emulator/sandbox.py": {"asked"}}


def offences(found: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return what was found, by file."""
    return {name: sorted(each) for name, each in found.items() if each}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def words(name: str) -> set[str]:
    """Return the words of a name in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def defined(module: ast.Module) -> Iterator[str]:
    """Yield every name that a module gives to something."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def docstrings(module: ast.Module) -> str:
    kinds = ast.Module | ast.FunctionDef | ast.ClassDef
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(module) if isinstance(node, kinds))


def renamed(module: ast.Module) -> list[str]:
    """Return the imports that give a thing another name, the usual abbreviations apart."""
    imports = [node for node in ast.walk(module) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [ast.unparse(node) for node in imports for alias in node.names if alias.asname not in (None, *ALIASES)]


def private_to_others(module: ast.Module, ours: set[str]) -> list[str]:
    """Return the underscored names that a module takes from other packages: attributes and imports that are not `ours`."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("appstream_frames"):
            found += [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"getattr", "setattr", "hasattr"}
        ):
            found += [
                arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
    return sorted({name for name in found if re.match(r"_(?!_)", name)} - ours)


def test_the_rooms_are_ten() -> None:
    """Each folder is a room, and few modules stand beside them."""
    assert {path.parent.name for path in HOUSE.glob("*/__init__.py")} == set(ROOMS)
    assert {path.stem for path in HOUSE.glob("*.py")} == {"__init__", "__main__", "errors", "text", "resources"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_is_for(room: str) -> None:
    """Its first paragraph says what it is for, what comes in and what goes out."""
    assert len((ast.get_docstring(tree(HOUSE / room / "__init__.py")) or "").split()) >= 25


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_has_the_name_of_a_public_function(room: str) -> None:
    """A room and a function of one name would hide each other."""
    assert room == "charts" or room not in appstream_frames.__all__


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a sentence."""
    assert [name for name in SOURCES if not ast.get_docstring(tree(SOURCES[name]))] == []


def test_a_file_is_one_idea() -> None:
    """No file has more than 500 lines."""
    assert [name for name, path in ALL.items() if len(path.read_text("utf-8").splitlines()) > 500] == []


def test_names_use_standard_terms() -> None:
    """No module, function, class, parameter or variable is called by a word that has a standard term instead."""
    found = {}
    for name, path in SOURCES.items():
        old = {given for given in {path.stem, *defined(tree(path))} if words(given) & set(OLD_WORDS)}
        found[name] = old - PUBLIC.get(name, set())
    assert offences(found) == {}


def test_docstrings_use_standard_terms() -> None:
    """No docstring uses a word that has a standard term instead and no plain meaning."""
    old = set(OLD_WORDS) - set(PLAIN_ENGLISH)
    texts = {name: docstrings(tree(path)).lower() for name, path in SOURCES.items()}
    found = {name: old & set(re.findall("[a-z]+", text)) for name, text in texts.items()}
    assert offences(found) == {}


@pytest.mark.slow
def test_no_import_renames() -> None:
    """What is imported keeps its name."""
    assert offences({name: renamed(tree(path)) for name, path in ALL.items()}) == {}


def test_private_names_of_others_stay_in_one_file() -> None:
    """Underscored names of other packages are used in one file only, where each has its reason and its test."""
    ours = {own for path in SOURCES.values() for own in defined(tree(path))}
    found = {name: private_to_others(tree(path), ours) for name, path in SOURCES.items() if name != PRIVATE}
    assert offences(found) == {}


def test_the_interpreter_is_left_alone() -> None:
    """No code looks into other threads, switches the garbage collector off, or changes what a module is."""
    reach = r"sys\._\w+|gc\.(?:disable|freeze)|sys\.modules\[[^]]*\]\.__class__|ctypes"
    found = {name: re.findall(reach, path.read_text("utf-8")) for name, path in SOURCES.items()}
    assert offences(found) == {}


@pytest.mark.slow
def test_import_is_light() -> None:
    """`import appstream_frames` loads nothing that draws, renders, serves, reads Parquet or asks in SQL; nor `connect` DuckDB."""
    heavy = [
        "matplotlib",
        "jinja2",
        "jupyterlab",
        "duckdb",
        "pyarrow.parquet",
        "appstream_frames.emulator",
        "appstream_frames.charts",
    ]
    check = (
        f"import sys, appstream_frames as asf; print([name for name in {heavy} if name in sys.modules]); "
        "asf.connect; print('duckdb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\nFalse\n"


def test_each_public_name_is_there() -> None:
    """What is loaded when it is first used is listed and found like everything else."""
    assert dir(appstream_frames) == sorted(appstream_frames.__all__)
    assert all(getattr(appstream_frames, name) is not None for name in appstream_frames.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        appstream_frames.nothing  # noqa: B018  it is looked up, that is all


def test_the_guide_names_rooms_and_files_that_are_there() -> None:
    """CONTRIBUTING.md lists each room, and sends nobody to a file that was renamed."""
    guide = (HOUSE.parent / "CONTRIBUTING.md").read_text("utf-8")
    rows = [line.split("|") for line in guide.splitlines() if line.startswith("| `")]
    rooms = {row[1].strip(" `/"): re.findall("`(.*?)`", row[3]) for row in rows}
    assert sorted(rooms) == sorted(ROOMS)
    assert [
        f"{room}/{file}" for room, files in rooms.items() for file in files if not (HOUSE / room / file).exists()
    ] == []
