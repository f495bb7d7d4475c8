"""The command line as a user runs it: in a process of its own, or, as that takes a second, within this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import boto3
import pytest

from appstream_frames.cli.main import main

Done = subprocess.CompletedProcess[str]


def bare(environment: dict[str, str] | None = None) -> dict[str, str]:
    """Return an environment without any setting of AWS but those given."""
    base = {name: os.environ[name] for name in ("PATH", "HOME")} | {"AWS_EC2_METADATA_DISABLED": "true"}
    return {**base, **(environment or {})}


def run(*words: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Run the command in this process, with warnings as errors, and return its exit code and what it printed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    given = bare(environment)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it holds the credentials of an earlier run
        patch.chdir(cwd or Path.cwd())
        warnings.simplefilter("error")
        with pytest.raises(SystemExit) as ended:
            main(words, prog_name="appstream-frames")
    code = ended.value.code
    assert isinstance(code, int | None)
    return Done(words, code or 0, *(_written(stream) for stream in (out, err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def run_alone(
    *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-m", "appstream_frames", *words]
    return subprocess.run(command, env=bare(environment), cwd=cwd, capture_output=True, timeout=60)
