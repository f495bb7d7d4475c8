"""Snapshots in S3 from forked processes: each has connections, locks and staged files of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import seaweed
from support.marks import marked, mixed

import appstream_frames as asf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def fork(call: Callable[[], object]) -> int:
    """Call something in a forked child; return its process id. The exit code is 0 when the call returned true."""
    if child := os.fork():
        return child
    try:
        os._exit(0 if call() else 1)
    except BaseException:  # noqa: BLE001  whatever it is, the child ends here
        os._exit(2)


def codes(children: list[int], within: float = 60) -> list[int | None]:
    """Return the exit codes of children; None of one that hangs, which is ended."""
    found, ends = [], time.monotonic() + within
    for child in children:
        while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < ends:
            time.sleep(0.01)
        if not done[0]:
            os.kill(child, 9)
            os.waitpid(child, 0)
        found.append(os.waitstatus_to_exitcode(done[1]) if done[0] else None)
    return found


def write_and_read(root: str, mark: str) -> bool:
    frames = asf.read_snapshot(root, asf.write_snapshot(marked(mark), root))
    return not mixed(frames) and frames.images["name"].iloc[0] == mark


def test_children_write_and_read_side_by_side(s3_root: str) -> None:
    """A parent that used S3 before, and four children at once, twice: every one gets what it wrote."""
    for number in range(2):
        assert write_and_read(s3_root, f"parent-{number}")
        marks = [f"child-{number}-{child}" for child in range(4)]
        assert codes([fork(lambda mark=mark: write_and_read(s3_root, mark)) for mark in marks]) == [0, 0, 0, 0]
    assert len(asf.list_snapshots(s3_root)) == 10
    assert asf.verify(s3_root).empty


def test_a_child_does_not_wait_for_a_lock_of_the_parent(
    s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is forked while a thread of the parent makes a client, which takes that thread a second."""
    asf.write_snapshot(marked("before"), s3_root)
    program, begun = tmp_path / "keys.py", tmp_path / "begun"
    keys = f'{{"Version": 1, "AccessKeyId": "{seaweed.KEY}", "SecretAccessKey": "{seaweed.SECRET}"}}'
    program.write_text(f"import time; open({str(begun)!r}, 'w'); time.sleep(1); print({keys!r})")
    (tmp_path / "config").write_text(f"[profile slow]\ncredential_process = {sys.executable} -S {program}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "slow")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    thread = threading.Thread(target=asf.list_snapshots, args=(s3_root,))
    thread.start()
    while thread.is_alive() and not begun.exists():
        time.sleep(0.01)
    assert codes([fork(lambda: len(asf.list_snapshots(s3_root)) == 1)], within=15) == [0]
    thread.join()


#: Takes a snapshot in a thread, and meanwhile forks a child that ends as a program does.
PROGRAM = """
import os, sys, threading, warnings
import appstream_frames as asf
warnings.simplefilter("ignore")
with asf.sandbox() as sandbox:
    sandbox.latency(0.2)
    thread = threading.Thread(target=asf.take_snapshot, args=(sys.argv[1], sandbox.client()))
    thread.start()
    while not any(name.startswith("appstream-frames-") for name in os.listdir(os.environ["TMPDIR"])):
        pass
    child = os.fork()
    if not child:
        sys.exit(0)
    os.waitpid(child, 0)
    thread.join()
"""


def test_a_child_that_ends_leaves_the_parent_s_staged_files(
    s3_server: seaweed.Seaweed, s3_root: str, tmp_path: Path
) -> None:
    """A process forked amid a drain ends with all that the interpreter does then, and the snapshot is committed all the same."""
    machine = os.environ | s3_server.environment() | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, s3_root], env=machine, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (len(asf.list_snapshots(s3_root)), list(tmp_path.iterdir())) == (1, [])
