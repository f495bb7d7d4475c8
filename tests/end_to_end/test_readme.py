"""The README: every example in it runs as it stands there, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path

import pytest
from support.command import run

import appstream_frames as asf
from appstream_frames.insights.findings import RULES
from appstream_frames.tables.operations import OPERATIONS

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text("utf-8")
#: The code blocks, by what stands behind their three backticks.
BLOCKS: defaultdict[str, list[str]] = defaultdict(list)
for kind, text in re.findall(r"^```(\w[\w ]*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
    BLOCKS[kind].append(text)
ENGINES = (
    "sql",
    "duckdb",
    "pyspark",
    "pandas",
    "polars",
    "dask",
    "schema",
    "committed",
)  # these run in test_readers.py
TESTED = {
    "cron",
    "dockerfile",
    "sh container",
    "python",
    "python accounts",
    "python cluster",
    "sh install",
    "sh athena",
    "json",
    *(f"python {name}" for name in ENGINES),
}


#: The table of actions: what `include=` says, and the operations that may be called for it.
POLICIES = [
    (include, ["DescribeImages", *re.findall(r"appstream:(\w+)", actions)])
    for include, actions in re.findall(r'^\| `"(\w+)"` \| (.*) \|$', README, re.MULTILINE)
]


def test_every_block_is_tested() -> None:
    """No block is of a kind that no test runs."""
    assert set(BLOCKS) == TESTED | {f"python {engine}" for engine in ENGINES}


def test_the_python_runs(tmp_path: Path) -> None:
    """Every Python block, in order, on the sandbox."""
    with asf.sandbox() as box:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **box.environment()}
        code = re.sub(r'; or snapshot="[^"]*"', "", "\n".join(BLOCKS["python"]))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_many_accounts_and_a_cluster_run(tmp_path: Path) -> None:
    """The block on accounts and regions and the one on a cluster, word for word but for where they go."""
    code = "\n".join([*BLOCKS["python accounts"], *BLOCKS["python cluster"]])
    moved = {
        "s3://bucket/appstream": str(tmp_path / "archive"),
        '"scheduler:8786"': "processes=False, dashboard_address=None",
    }
    for written, here in moved.items():
        assert written in code
        code = code.replace(written, here)
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


def test_the_cron_line_runs(tmp_path: Path) -> None:
    """A snapshot of the whole organization is written, and its findings are printed."""
    line = BLOCKS["cron"][0].split(maxsplit=5)[5].replace("s3://bucket/appstream", str(tmp_path / "archive"))
    here = line.replace("/opt/appstream/.venv/bin/appstream-frames", f"{sys.executable} -m appstream_frames")
    with asf.sandbox() as box:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **box.environment()}
        done = subprocess.run(["/bin/sh", "-c", here], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(asf.list_snapshots(tmp_path / "archive"))) == (4, 1), done.stderr
    assert "AWS could not make the image" in done.stdout


def test_the_container_s_commands_run(tmp_path: Path) -> None:
    """What the container runs works, and its entry point is our command."""
    assert 'ENTRYPOINT ["appstream-frames"]' in BLOCKS["dockerfile"][0]
    lines = BLOCKS["sh container"][0].replace("s3://bucket/appstream", str(tmp_path / "archive")).splitlines()[1:]
    with asf.sandbox() as box:
        snapshot, check = (
            run(*line.partition("--rm appstream-frames ")[2].split(), environment=box.environment()) for line in lines
        )
    assert (snapshot.returncode, check.returncode) == (0, 4), snapshot.stderr + check.stderr
    assert "AWS could not make the image" in check.stdout


def test_every_rule_is_explained() -> None:
    """The table has each rule with its severity, threshold and words."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d*) \| (.*) \|$", README, re.MULTILINE)
    thresholds = ["" if rule.threshold is None else str(rule.threshold) for rule in RULES.values()]
    expected = zip(RULES, thresholds, RULES.values(), strict=True)
    assert rows == [(name, rule.severity, threshold, rule.about) for name, threshold, rule in expected]


@pytest.mark.timeout(300)
def test_the_installation_works(tmp_path: Path) -> None:
    """The commands, in a copy of the repository: pip finds what the package needs beside this test instead of on the internet."""
    (block,) = BLOCKS["sh install"]
    shutil.copytree(TOP, tmp_path / "clone", ignore=shutil.ignore_patterns(".*", "tests", "__pycache__"))
    here = f"echo '{sysconfig.get_path('purelib')}' > .venv/lib/python3.*/site-packages/beside.pth"
    commands = [line.replace("python3 ", f"{sys.executable} ", 1) for line in block.splitlines()]
    script = "\n".join(
        ["set -e", commands[0], here.replace("python3.*", f"python3.{sys.version_info[1]}"), *commands[1:]]
    )
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **offline}
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.suffix for path in (tmp_path / "clone" / "appstream-demo").glob("*.png")) == [".png", ".png"]


@pytest.mark.parametrize(
    ("include", "actions"), POLICIES[:-1], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_policy_is_enough_and_no_more(include: str, actions: list[str]) -> None:
    """With just the actions of a row everything is read; without one of them something is denied."""
    operations = [operation for operation in OPERATIONS if operation not in actions]
    with asf.sandbox() as box:
        where = [box.client(account, "eu-west-1") for account in box.accounts]
        for operation in operations:
            box.fault(kind="denied", operation=operation)
        assert set(asf.drain_targets(where, include=include, progress=False).coverage["status"]) == {"complete"}
        box.fault(kind="denied", operation=actions[-1])
        with pytest.warns(UserWarning, match=f"{actions[-1]} denied"):
            asf.drain_targets(where, include=include, progress=False)


def test_every_table_has_a_policy() -> None:
    """Each operation that can be read stands in the table of actions."""
    assert {action for _, actions in POLICIES for action in actions} == set(OPERATIONS)


def test_links_lead_somewhere() -> None:
    """Every relative link names a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [link for link in links if not (TOP / link).exists()] == []
