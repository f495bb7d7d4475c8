"""Sources of credentials for tests: the sandbox's three accounts, their roles, and configurations of this process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import appstream_frames as asf
from appstream_frames.aws.clients import ClientPool
from appstream_frames.aws.credentials import Target
from appstream_frames.aws.deadlines import Deadline

PROD, DEV, LAB = "012345678901", "111122223333", "444455556666"
HOME = ["eu-west-1"]


def arn(account: str, name: str = "AppStreamReader", partition: str = "aws") -> str:
    """Return a role's ARN."""
    return f"arn:{partition}:iam::{account}:role/{name}"


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make a text this process's AWS configuration."""
    (tmp_path / "written").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "written"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def failure(clients: ClientPool, target: Target, timeout: float = 10) -> asf.DrainError:
    """Return the error of a target that has no place."""
    with pytest.raises(asf.DrainError) as caught, Deadline(timeout):
        clients.locate(target, timeout)
    assert (caught.value.target, caught.value.page) == (str(target), 0)
    assert str(caught.value).isprintable()
    return caught.value


def sent(pickled: bytes) -> Any:
    """Return what another process would get."""
    return pickle.loads(pickled)  # noqa: S301  our own
