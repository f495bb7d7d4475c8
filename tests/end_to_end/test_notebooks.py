"""The notebooks, each run on a fresh kernel that has an empty home, no AWS settings and no network but loopback.

What JupyterLab ran in a browser (`test_lab.py`) is taken; without a browser, or alone, this file runs them itself.
"""

import ast
import importlib.util
import re
import time
import warnings
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from IPython.display import Markdown
from matplotlib.image import imread
from support import notebooks
from support.guard import attempts, bare_machine

import appstream_frames as asf

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = {"text/plain", "text/markdown", "text/html"}
MAKE_THE_TABLES = ("botocore", "duckdb", "matplotlib", "pandas", "polars", "pyarrow")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def _module(path):
    spec = importlib.util.spec_from_file_location(f"notebooks_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runner():
    """Return the program that runs the notebooks, as a module."""
    return _module(ROOT / "notebooks" / "run.py")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Environment of a machine with an empty home, in a zone far from UTC, whose kernels may connect to loopback only."""
    strict = "error,ignore::PendingDeprecationWarning:ipykernel.kernelbase"  # its own, as it shuts down
    return bare_machine(tmp_path_factory.mktemp("home")) | {"PYTHONWARNINGS": strict}


@pytest.fixture(scope="module")
def ran(bare, runner):
    """Give a notebook as it was run, at most once, and the seconds that it took."""

    @cache
    def run(path):
        if path in notebooks.RAN:
            return notebooks.RAN[path]
        start = time.monotonic()
        return runner.run(path, env=bare), time.monotonic() - start

    return run


def _committed(path):
    return notebooks.read(path)


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _texts(notebook):
    """Return, for each cell, the texts that it shows."""
    shown = [[output.get("data", output) for output in cell.get("outputs", [])] for cell in notebook.cells]
    return [[{kind: data[kind] for kind in {*TEXTS, "text"} & set(data)} for data in cell] for cell in shown]


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _to_change(notebook):
    return [cell for cell in _code(notebook) if "CHANGE THIS CELL" in cell.source]


def _sentences(cell):
    return [output for output in cell.get("outputs", []) if "text/markdown" in output.get("data", {})]


def _sentences_of(notebook, monkeypatch):
    """Run a notebook's code within this process, which takes no kernel, and return the sentences that it shows."""
    shown, names = [], {}
    monkeypatch.setattr("IPython.display.display", shown.append)
    with pd.option_context("display.max_colwidth", 50, "display.max_rows", 60), pl.Config(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for cell in _code(notebook):
            exec(cell.source, names)  # noqa: S102 - our own
    return [each.data for each in shown if isinstance(each, Markdown)]


def _has_figure(cell):
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def _locked():
    pins = {line.split(" ")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    return pins >= {f"{name}=={version(name)}" for name in MAKE_THE_TABLES}


def test_there_are_notebooks():
    """There are six, numbered in the order of reading."""
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-", "4-", "5-", "6-"]


@each
@pytest.mark.slow
def test_a_fresh_kernel_runs_it_silently(ran, path):
    """Every cell runs with warnings as errors, and nothing is written to standard error."""
    assert [output for output in _outputs(ran(path)[0]) if output.get("name") == "stderr"] == []


@each
@pytest.mark.slow
def test_it_takes_less_than_a_minute(ran, path):
    """A reader does not wait: about ten times what it takes on two cores is the limit."""
    assert ran(path)[1] < 60


@each
@pytest.mark.skipif(not _locked(), reason="the committed outputs were made with the locked versions")
@pytest.mark.slow
def test_it_shows_what_is_committed(ran, path):
    """What a run shows today is what was committed, whatever the machine's time zone."""
    assert _texts(ran(path)[0]) == _texts(_committed(path))


@each
@pytest.mark.skipif(not _locked(), reason="the committed outputs were made with the locked versions")
@pytest.mark.slow
def test_its_figures_are_those_committed(ran, runner, path):
    """A run draws the committed figures again, but for what a font renderer may round."""
    drawn, kept = ([imread(BytesIO(png)) for png in runner.figures(made)] for made in (ran(path)[0], _committed(path)))
    assert [picture.shape for picture in drawn] == [picture.shape for picture in kept]
    assert all(np.abs(new - old).mean() < 0.005 for new, old in zip(drawn, kept, strict=True))


@pytest.mark.slow
def test_the_kernels_stay_at_home(ran, bare):
    """No notebook tried to reach anything but loopback."""
    for path in NOTEBOOKS:
        ran(path)
    assert attempts(bare) == []


@pytest.mark.slow
def test_the_guard_holds(bare, runner, tmp_path):
    """A kernel of these tests that does try cannot reach the network, and the attempt is seen."""
    from nbclient.exceptions import CellExecutionError

    away = notebooks.new("import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)")
    notebooks.write(away, tmp_path / "away.ipynb")
    machine = bare | {"ATTEMPTS": str(tmp_path / "attempts")}
    with pytest.raises(CellExecutionError, match="no network here"):
        runner.run(tmp_path / "away.ipynb", env=machine)
    assert attempts(machine) == ["192.0.2.1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "denied"),
    [(path, ["us-east-1"]) for path in NOTEBOOKS] + [(path, ["eu-west-1", "us-east-1"]) for path in NOTEBOOKS[:3]],
    ids=lambda value: value.stem if isinstance(value, Path) else f"{len(value)} denied",
)
def test_its_commented_lines_read_what_they_can(tmp_path, monkeypatch, path, denied):
    """With the lines for the reader's own account, the notebook warns of regions that were not read, and goes on.

    Those that write a snapshot need one region at least, as nothing is written when nothing was read.
    """
    notebook = _committed(path)
    (cell,) = _to_change(notebook)
    commented = [line[2:] for line in cell.source.splitlines()[1:] if line.startswith("# ")]
    cell.source = "\n".join(line for line in commented if "asf.drain(" not in line)  # which raises when it is denied
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with asf.sandbox() as sandbox:
        for name, value in sandbox.environment("444455556666").items():
            monkeypatch.setenv(name, value)
        for region in denied:
            sandbox.fault(region=region, kind="denied")
        shown = _sentences_of(notebook, monkeypatch)
    assert shown[0].startswith("**Answer")
    assert any(re.search(r"not read whole", text) for text in shown)


@pytest.mark.slow
@each
def test_one_cell_is_to_change(path):
    """Exactly one cell is marked to be changed, and what is commented out in it is code."""
    (cell,) = _to_change(_committed(path))
    commented = [line[2:] for line in cell.source.splitlines()[1:] if line.startswith("# ")]
    assert ast.parse("\n".join(commented)).body


@each
def test_it_opens_with_its_question(path):
    """The first cell is prose whose heading asks the question."""
    first = _committed(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# .*\?$", first.source.splitlines()[0])


@each
def test_its_first_output_is_the_answer(path):
    """The first thing that any cell shows is the answer, in a sentence with numbers."""
    assert re.match(r"\*\*Answer.*\d", _outputs(_committed(path))[0]["data"]["text/markdown"])


@each
def test_its_cells_are_short(path):
    """No code cell is longer than six lines."""
    assert max(len(cell.source.splitlines()) for cell in _code(_committed(path))) <= 6


@each
def test_its_prose_types_no_number(path):
    """Numbers are shown by cells, never typed: prose has none outside code and links."""
    prose = " ".join(cell.source for cell in _committed(path).cells if cell.cell_type == "markdown")
    assert re.findall(r"\b\d[\d.,]*", re.sub(r"`[^`]*`|\]\([^)]*\)", "", prose)) == []


@each
def test_it_was_committed_as_run(path):
    """The committed notebook was run from top to bottom on one kernel."""
    counts = [cell.execution_count for cell in _code(_committed(path))]
    assert counts == list(range(1, len(counts) + 1))


@each
def test_it_was_committed_bare(path, runner):
    """The committed notebook keeps nothing of the machine or the editor it was made with."""
    notebook = _committed(path)
    assert notebook.metadata == runner.METADATA
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)


@each
def test_its_outputs_name_no_machine(path):
    """No home directory, temporary folder, loopback address or port is in an output; where images hold programs may be."""
    text = repr(_texts(_committed(path)))
    folders = r"/(?:home|root|Users|tmp|work)/|[A-Z]:\\+(?!\\|Program Files)"
    assert re.findall(folders + r"|127\.0\.0\.1|localhost|(?<!\d):\d{4,5}\b", text) == []


@each
def test_its_figures_have_a_sentence(path):
    """Beside each figure, in its cell or a neighbour, stands a sentence that a cell made."""
    cells = _code(_committed(path))
    near = [cells[max(0, place - 1) : place + 2] for place, cell in enumerate(cells) if _has_figure(cell)]
    assert all(any(_sentences(cell) for cell in neighbours) for neighbours in near)


@each
def test_it_is_small(path):
    """A notebook stays small enough to be looked at in a browser."""
    assert path.stat().st_size < 400_000


def test_the_gallery_is_the_notebooks_figures(runner):
    """The README's charts are figures of the notebooks, to the byte, and small."""
    for path, picture in runner.gallery().items():
        assert path.read_bytes() == picture
        assert len(picture) < 150_000


def test_the_gallery_is_no_more(runner):
    """No picture lies in the gallery that `make gallery` does not make."""
    assert sorted((ROOT / "notebooks" / "gallery").iterdir()) == sorted(runner.gallery())
