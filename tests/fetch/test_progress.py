"""What a drain of many targets shows: progress on a terminal, nothing in logs, and no secret anywhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from support.estates import everywhere, quiet
from support.faultserver import CANARIES, UNCLOSED, Fault, FaultServer, error

import appstream_frames as asf

pytestmark = UNCLOSED


# secrets


def test_no_secret_is_shown(root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and tokens that AWS repeats are in no coverage, warning, log of ours, traceback or file."""
    words = f"key {CANARIES[0]}, X-Amz-Security-Token: {CANARIES[2]}, Signature={CANARIES[1]}"
    caplog.set_level("DEBUG", "appstream_frames")
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), CANARIES, strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    refusing: Fault = error("InvalidSignatureException", "403 Forbidden", words)
    with FaultServer(fault=refusing, at=1) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        targets = asf.targets(regions=["eu-west-1", "us-east-1"])
        with pytest.raises(asf.TargetsError) as caught:
            asf.drain_targets(targets, progress=False, raise_on_failure=True)
        with pytest.warns(UserWarning, match="failed") as warned:
            asf.drain_targets(targets, progress=False)
        with pytest.raises(asf.AccessError) as none:
            asf.take_snapshot(root, targets, progress=False)
    texts = [
        *("".join(traceback.format_exception(each.value)) for each in (caught, none)),
        *(str(each.message) for each in warned),
        caught.value.frames.coverage.to_csv(),
        *(record.getMessage() for record in caplog.records if record.name.startswith("appstream_frames")),
        repr(targets),
    ]
    assert [text for text in texts for canary in CANARIES if canary in text] == []
    assert "InvalidSignatureException" in texts[0]


# progress


def shown(targets: Any, monkeypatch: pytest.MonkeyPatch, progress: bool | None = None) -> str:
    """Return what a terminal shows of a drain."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 120))
    got: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(reader, 65536):
                got.append(part)
        except OSError:
            return  # the other side is closed

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "w") as terminal, quiet(), monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        asf.drain_targets(targets, progress=progress)
    thread.join(10)
    os.close(reader)
    return b"".join(got).decode()


@pytest.mark.slow
def test_a_terminal_shows_targets_images_and_failures(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it goes on; at the end the line is gone."""
    box.fault(box.accounts[0], box.regions[0], "denied")
    box.latency(0.3, *(box.accounts[1], box.regions[2]))
    text = shown(everywhere(box), monkeypatch)
    assert re.search(r"\d+/12 \[.*targets", text)
    assert re.search(r"images=[1-9]", text)
    assert "failed=1" in text
    assert text.split("\r")[-2].strip() == ""


def test_a_log_shows_nothing(box: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error that is no terminal stays empty, and so does a terminal when that was asked for."""
    asf.drain_targets(everywhere(box)[:3])
    assert capfd.readouterr() == ("", "")
    assert shown(everywhere(box)[:3], monkeypatch, progress=False) == ""


@pytest.mark.slow
def test_what_is_not_shown_needs_no_tqdm(box: Any, tmp_path: Path) -> None:
    """Its locks, and that of its import, may be taken for ever in a child that is forked meanwhile."""
    code = "import sys, appstream_frames as asf; asf.drain(profile=sys.argv[1]); print('tqdm' in sys.modules)"
    command = [sys.executable, "-c", code, f"sandbox-{box.accounts[0]}"]
    machine = os.environ | box.config(tmp_path / "config")
    done = subprocess.run(command, env=machine, capture_output=True, text=True, timeout=100)
    assert done.stdout == "False\n", done.stderr


FIRST_BARS = """
import sys, threading, warnings, boto3, appstream_frames as asf
client, start, before = boto3.Session(profile_name=sys.argv[1]).client("appstream"), threading.Barrier(2), [*warnings.filters]

def drain():
    start.wait()
    asf.drain(client, account=sys.argv[2], max_items=1, progress=True)

threads = [threading.Thread(target=drain) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(warnings.filters == before)
"""


@pytest.mark.slow
def test_bars_of_two_threads_leave_the_filters_of_warnings(box: Any, tmp_path: Path) -> None:
    """All threads share them: what one restores after another has changed them would stay, and later warnings unseen."""
    command = [sys.executable, "-c", FIRST_BARS, f"sandbox-{box.accounts[0]}", box.accounts[0]]
    machine = os.environ | box.config(tmp_path / "config")
    done = subprocess.run(command, env=machine, capture_output=True, text=True, timeout=100)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("closed", [True, False])
def test_without_standard_error_no_bar_is_shown(
    closed: bool, box: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is closed or there is none; a drain does not fail for want of its bar."""
    stream = (tmp_path / "log").open("w")  # a closed StringIO would be flushed without an error
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if closed else None)
    assert len(asf.drain(box.client(), max_items=1, progress=True).images) == 1
