"""The package as it is handed out: its public names, its wheel, its data dictionary, its lock."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import appstream_frames as asf

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text("utf-8")
LOCK = (TOP / "requirements.lock").read_text("utf-8")
FUNCTIONS = [name for name in asf.__all__ if inspect.isfunction(getattr(asf, name))]


@pytest.mark.parametrize("name", asf.__all__)
def test_public_names_are_there(name: str) -> None:
    """Everything in `__all__` can be had."""
    assert getattr(asf, name) is not None


def test_public_names_are_all_there_is() -> None:
    """No other public name of ours can be reached from the top."""
    names = {name for name, value in vars(asf).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert names - {"annotations", "import_module", "TYPE_CHECKING", "Any"} <= set(asf.__all__)


def test_there_are_few_public_names() -> None:
    """At most thirty functions and classes that are not errors."""
    assert len([name for name in asf.__all__ if not name.endswith("Error")]) <= 30


@pytest.mark.parametrize("name", [*FUNCTIONS, "charts", "sandbox"])
def test_public_functions_are_in_the_readme(name: str) -> None:
    """A reader of the README meets every function."""
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_have_numpydoc_docstrings(name: str) -> None:
    """Parameters and returns are described."""
    assert {"Parameters", "Returns"} <= set((inspect.getdoc(getattr(asf, name)) or "").split())


@pytest.mark.parametrize("name", [name for name in asf.__all__ if name.endswith("Error")])
def test_errors_have_one_base(name: str) -> None:
    """One except clause catches all of them."""
    assert issubclass(getattr(asf, name), asf.AppStreamFramesError)


def test_the_wheel_carries_the_data(tmp_path: Path) -> None:
    """A built wheel has the tables and the catalogue, and nothing of the tests."""
    build = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=TOP, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {
        "appstream_frames/data/catalogue.json",
        "appstream_frames/data/agent_versions.csv",
        "appstream_frames/py.typed",
    } <= set(names)
    assert not [name for name in names if name.startswith(("tests", "notebooks"))]


@pytest.mark.skipif(
    f"botocore=={version('botocore')} " not in LOCK, reason="the dictionary is that of the locked botocore"
)
def test_the_data_dictionary_is_that_of_the_model() -> None:
    """data/columns.csv is what `make catalogue` writes today."""
    path = TOP / "data" / "make_columns.py"
    spec = importlib.util.spec_from_file_location("make_columns", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = path.with_name("columns.csv").read_text("utf-8")
    assert written == script.dictionary().to_csv(index=False, lineterminator="\n"), "run `make catalogue`"


def test_the_version_is_one() -> None:
    """pyproject.toml and the package agree."""
    assert tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["version"] == asf.__version__


def test_the_lock_has_hashes_and_no_url() -> None:
    """Every package is pinned with hashes; no registry is named."""
    assert not re.search(r"https?://|index", LOCK)
    assert LOCK.count("==") <= LOCK.count("--hash=sha256:")
