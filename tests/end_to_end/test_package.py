"""The package as it is handed out: its public names, its README, its wheel, its lock."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import appstream_frames as asf

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text("utf-8")
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
    """At most twenty functions and classes that are not errors."""
    assert len([name for name in asf.__all__ if not name.endswith("Error")]) <= 20


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


def test_the_readme_s_python_runs(tmp_path: Path) -> None:
    """Every Python block, in order, on the sandbox."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with asf.sandbox() as box:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **box.environment()}
        code = re.sub(r'; or snapshot="[^"]*"', "", "\n".join(blocks))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_s_many_accounts_run(tmp_path: Path) -> None:
    """The block on accounts and regions and the one on a cluster, word for word but for where they go."""
    code = "\n".join(re.findall(r"```python (?:accounts|cluster)\n(.*?)```", README, re.DOTALL))
    moved = {
        "s3://bucket/appstream": str(tmp_path / "archive"),
        '"scheduler:8786"': "processes=False, dashboard_address=None",
    }
    for told, here in moved.items():
        assert told in code
        code = code.replace(told, here)
    with asf.sandbox() as box:
        config = tmp_path / "config"
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_PROFILE": "prod", **box.config(config)}
        text = config.read_text("utf-8")
        for account, name in zip(box.accounts, ("prod", "dev"), strict=False):
            text = text.replace(f"[profile sandbox-{account}]", f"[profile {name}]")
        config.write_text(text, "utf-8")
        done = subprocess.run(
            [sys.executable, "-c", f"import appstream_frames as asf\n{code}"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert asf.list_snapshots(tmp_path / "archive")["complete"].ge(4).to_list() == [True, True]


def test_the_readme_s_links_lead_somewhere() -> None:
    """Every relative link names a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [link for link in links if not (TOP / link).exists()] == []


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


def test_the_version_is_one() -> None:
    """pyproject.toml and the package agree."""
    assert tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["version"] == asf.__version__


def test_the_lock_has_hashes_and_no_url() -> None:
    """Every package is pinned with hashes; no registry is named."""
    lock = (TOP / "requirements.lock").read_text("utf-8")
    assert not re.search(r"https?://|index", lock)
    assert lock.count("==") <= lock.count("--hash=sha256:")
