"""The notebooks in JupyterLab as `make lab` starts it, in a real Chromium: open one, Run All Cells, look at what it shows.

What JupyterLab ran and saved is what `test_notebooks.py`, which the same process runs next, holds against the committed files.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from support import notebooks
from support.browser import page_of
from support.guard import attempts, bare_machine

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PATIENCE = 90_000  # milliseconds, a guard against hanging
#: Run by each kernel as it starts; what is ignored is ipykernel's own, as it shuts down.
STRICT = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="ipykernel.kernelbase")
del warnings
"""
SCREEN = {"width": 1280, "height": 1000}

_PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
# the notebook's own sign says so before there is a kernel
_IDLE = """idle => idle === [...document.querySelectorAll('#jp-bottom-panel *')].some(
    each => !each.children.length && each.textContent.trim() === 'Python 3 (ipykernel) | Idle')"""
_TAB = ".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-current"
_PROMPTS = f"{_PANEL} .jp-CodeCell .jp-InputArea-prompt"
_FIGURES = f"{_PANEL} .jp-OutputArea img"
_WRONG = f"{_PANEL} [data-mime-type='application/vnd.jupyter.stderr'], {_PANEL} [data-mime-type='application/vnd.jupyter.error']"
_POP_UPS = ".jp-Dialog, .Toastify__toast"
_OVER = """([prompts, wrong]) => {
    const numbers = [...document.querySelectorAll(prompts)].map(prompt => prompt.textContent)
    return document.querySelector(wrong) || numbers.length && numbers.every(number => /^\\[\\d+\\]:$/.test(number))
}"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path
    pid: int
    machine: dict[str, str]

    def ask(self, path: str, method: str = "GET") -> Any:
        """Return the answer of its API."""
        headers = {"Authorization": f"token {self.token}"}
        with urllib3.PoolManager() as web:
            reply = web.request(method, f"{self.url}/api/{path}", headers=headers, timeout=10, retries=False)
        assert reply.status < 300, reply.data
        return json.loads(reply.data or "null")

    def children(self) -> list[int]:
        """Return the processes of its kernels."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def stop_kernels(self) -> None:
        """End all kernels."""
        for kernel in self.ask("kernels"):
            self.ask(f"kernels/{kernel['id']}", "DELETE")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start JupyterLab with the settings of `make lab` on a copy of the notebooks that shows no outputs yet."""
    folder = Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("lab") / "notebooks"))
    (folder / "snapshots").mkdir()  # one of them has written an archive
    home = tmp_path_factory.mktemp("home")
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "strict.py").write_text(STRICT)
    for path in NOTEBOOKS:
        notebooks.write(_without_outputs(path), folder / path.name)
    with running(folder, home) as server:
        yield server
        server.ask("kernels", "POST")
        started = [server.pid, *server.children()]
    assert len(started) == 2
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == [], "a JupyterLab or its kernel was not stopped"


def _kernel() -> dict[str, Any]:
    return {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}


def _without_outputs(path: Path) -> Any:
    notebook = notebooks.read(path)
    for cell in _code(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


@contextmanager
def running(folder: Path, home: Path) -> Iterator[Lab]:
    """Run JupyterLab on a free port of 127.0.0.1; at the end it and its kernels are stopped, whatever happened."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    machine = bare_machine(home)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--config={FOLDER / 'lab' / 'config.py'}"]
    place = [f"--notebook-dir={folder}", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    with (home / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *place], env=kept | machine | {"JUPYTER_TOKEN": token}, cwd=home, stdout=log, stderr=log
        )
    server = Lab(f"http://127.0.0.1:{port}", token, folder, process.pid, machine)
    try:
        _wait_for(server, process, home / "lab.log")
        yield server
    finally:
        process.terminate()  # it ends its kernels too
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()  # kernels end when their server is gone
            process.wait()


def _wait_for(server: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        with suppress(urllib3.exceptions.HTTPError):
            server.ask("status")
            return
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def page(chromium: Any) -> Iterator[Any]:
    """Give a page, one for all notebooks: it loads JupyterLab once."""
    with page_of(chromium, **SCREEN) as made:
        made.set_default_timeout(PATIENCE)
        yield made


@contextmanager
def opened(page: Any, lab: Lab, name: str, screenshots: Path | None) -> Iterator[Any]:
    """Give a page with one notebook, its kernel ready: page, server and kernel ask nothing of anybody but this machine."""
    strays: list[str] = []

    def note(request: Any) -> None:
        strays.append(request.url)

    page.on("request", note)
    try:
        if not page.url.startswith(lab.url):
            page.goto(f"{lab.url}/lab?reset&token={lab.token}")
        page.click("[data-command='filebrowser:refresh']")
        page.dblclick(f".jp-DirListing-item:has-text('{name}')")
        _wait_until(page, _IDLE, True)
        yield page
        _take(page, screenshots, f"{Path(name).stem}-last")
        _close(page)
    except BaseException:
        _take(page, screenshots, f"{Path(name).stem}-failed")
        page.goto("about:blank")  # the next begins anew
        raise
    finally:
        page.remove_listener("request", note)
        lab.stop_kernels()
    assert [url for url in strays if not url.startswith((lab.url, "data:", "blob:"))] == []
    assert attempts(lab.machine) == []


def _close(page: Any) -> None:
    """Close the notebook that is shown, without saving."""
    page.click(f"{_TAB} .lm-TabBar-tabCloseIcon")
    _wait_until(page, "() => !document.querySelector('.jp-NotebookPanel') || document.querySelector('.jp-Dialog')")
    if discard := page.locator(".jp-Dialog .jp-mod-warn").all():
        discard[0].click()
    _wait_until(page, _IDLE, False)


def _wait_until(page: Any, script: str, argument: object = None) -> None:
    page.wait_for_function(script, arg=argument, polling=100)  # by default in every frame, which costs seconds


def _take(page: Any, screenshots: Path | None, name: str) -> None:
    if screenshots:
        page.screenshot(path=screenshots / f"{name}.png")


def _run_all(page: Any) -> None:
    page.click(".lm-MenuBar-itemLabel:text-is('Run')")
    page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    _wait_until(page, _OVER, [_PROMPTS, _WRONG])
    _wait_until(page, _IDLE, True)


def _save(page: Any, path: Path) -> Any:
    """Save the notebook that is shown, and return it."""
    page.keyboard.press("Control+s")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(ValueError):  # half written
            saved = notebooks.read(path)
            if all(cell.execution_count for cell in _code(saved)):
                return saved
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not save {path.name}")


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _figures(notebook: Any) -> int:
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.fixture
def screenshots() -> Path | None:
    """Return the folder in which screenshots are kept, that of the variable ``SCREENSHOTS``; none are taken without it."""
    if not os.environ.get("SCREENSHOTS"):
        return None
    folder = Path(os.environ["SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_run_all_cells(page: Any, lab: Lab, path: Path, screenshots: Path | None) -> None:
    """Run All Cells runs every cell without an error, shows all charts on screen, nothing pops up, and it stays at home."""
    committed = notebooks.read(path)
    with opened(page, lab, path.name, screenshots):
        start = time.monotonic()
        _run_all(page)
        seconds = time.monotonic() - start
        assert page.locator(_WRONG).all_inner_texts() == []
        assert page.locator(_PROMPTS).all_inner_texts() == [f"[{n}]:" for n in range(1, len(_code(committed)) + 1)]
        assert page.locator(_POP_UPS).all_inner_texts() == []
        page.locator(f"{_PANEL} .jp-Cell").first.scroll_into_view_if_needed()
        _take(page, screenshots, f"{path.stem}-0")
        figures = page.locator(_FIGURES).all()
        assert len(figures) == _figures(committed) > 0
        for number, figure in enumerate(figures, 1):
            assert _on_screen(figure)
            _take(page, screenshots, f"{path.stem}-{number}")
        notebooks.RAN[path] = (_save(page, lab.folder / path.name), seconds)


def _on_screen(figure: Any) -> bool:
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    drawn = figure.evaluate("image => image.complete && image.naturalWidth > 300")
    seen = box["y"] >= 0 and box["y"] + box["height"] <= SCREEN["height"]
    return drawn and seen and min(box["width"], box["height"]) > 100


def test_an_error_is_seen(page: Any, lab: Lab, screenshots: Path | None) -> None:
    """A notebook with a cell that fails does not pass."""
    notebooks.write(notebooks.new("1 + 1", "1 / 0", "2 + 2", **_kernel()), lab.folder / "0-fails.ipynb")
    with opened(page, lab, "0-fails.ipynb", screenshots):
        _run_all(page)
        (text,) = page.locator(_WRONG).all_inner_texts()
    (lab.folder / "0-fails.ipynb").unlink()
    assert "ZeroDivisionError" in text


@pytest.mark.slow
def test_it_shows_the_notebooks_and_nothing_else(lab: Lab) -> None:
    """The list of files beside the notebooks is empty, a folder of snapshots that one of them has written included."""
    assert {path.name for path in lab.folder.iterdir()} > {path.name for path in NOTEBOOKS}
    listed = lab.ask("contents")["content"]
    assert sorted(each["name"] for each in listed) == [path.name for path in NOTEBOOKS]


def test_make_lab_starts_it_so() -> None:
    """`make lab` opens the notebooks with the settings that are tested here."""
    make = ["make", "--dry-run", "lab"]
    said = subprocess.run(make, cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout
    assert "jupyter lab --notebook-dir=notebooks --config=notebooks/lab/config.py" in said
