"""Targets on an executor: threads, processes, a Dask cluster of two processes; what is lost is said, and no key travels."""

from __future__ import annotations

import datetime as dt
import io
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from support import estates
from support.estates import everywhere, quiet
from support.faultserver import CANARIES, UNCLOSED, FaultServer, error

import appstream_frames as asf
from appstream_frames.fetch.executors import read_there
from appstream_frames.fetch.request import Request

pytestmark = [pytest.mark.slow, UNCLOSED]
SPAWNED = multiprocessing.get_context("spawn")


@pytest.fixture
def many() -> Iterator[Any]:
    """Return a sandbox of four accounts."""
    with asf.sandbox(accounts=4) as box:
        yield box


@pytest.fixture
def targets(many: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the targets of the sandbox's profiles, which this process and those it starts are configured with."""
    configure(many, tmp_path, monkeypatch)
    return asf.targets(profiles=[f"sandbox-{account}" for account in many.accounts], regions=many.regions)


def configure(box: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a sandbox's configuration that of this process."""
    for name, value in box.config(folder / "config").items():
        monkeypatch.setenv(name, value)


def processes(count: int = 2) -> Executor:
    """Return a pool of fresh processes."""
    return ProcessPoolExecutor(count, mp_context=SPAWNED)


def killed(pids: Callable[[], list[int]], box: Any, after: int) -> threading.Thread:
    """Kill a worker as soon as the sandbox has answered so many calls."""

    def kill() -> None:
        deadline = time.monotonic() + 60
        while box.calls < after and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(pids()[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def held_against(frames: asf.Frames, whole: asf.Frames) -> list[str]:
    """Return what is wrong with frames of which some targets were lost: each is whole, or failed and empty."""
    wrong = [] if len(frames.coverage) == len(whole.coverage) else ["a target has no row"]
    for row in frames.coverage.itertuples():
        wrong += [] if row.status in ("complete", "failed") else [f"{row.region}: {row.status}"]
        wrong += (
            [f"{row.region}: no reason"]
            if row.status == "failed" and "Drain this target again" not in row.error_message
            else []
        )
    lost = frames.coverage["status"] == "failed"
    kept = whole.coverage[~lost.to_numpy()]
    for name in ("images", "applications", "errors"):
        table = estates.timeless(whole.tables[name])
        places = set(zip(kept["account"], kept["region"], strict=True))
        there = [place in places for place in zip(table["account"], table["region"], strict=True)]
        wrong += estates.different(name, estates.timeless(frames.tables[name]), table[there].reset_index(drop=True))
    return wrong


@pytest.mark.parametrize("pool", [lambda: ThreadPoolExecutor(4), processes], ids=["threads", "processes"])
def test_an_executor_gives_what_threads_give(
    pool: Callable[[], Executor], many: Any, targets: list[Any], root: Path
) -> None:
    """Rows, order, dtypes and coverage are the same, moments aside, in frames and in snapshots; failures too."""
    many.fault(many.accounts[1], many.regions[0], "denied", after=1)
    many.fault(many.accounts[2], None, "disabled")
    with quiet():
        plain = asf.drain_targets(targets, progress=False)
        many.fault(many.accounts[1], many.regions[0], "denied", after=1)
        with pool() as executor:
            frames = asf.drain_targets(targets, executor=executor, progress=False)
            many.fault(many.accounts[1], many.regions[0], "denied", after=1)
            asf.take_snapshot(root, targets, executor=executor, progress=False)
    assert estates.same(frames, plain) == []
    assert estates.same(asf.read_snapshot(root), plain) == []
    assert frames.failed_targets == plain.failed_targets
    assert [target.account or target.profile for target in frames.failed_targets] == [f"sandbox-{many.accounts[1]}"]
    assert asf.verify(root).empty


def test_a_process_that_dies_loses_its_targets_only(many: Any, targets: list[Any], root: Path) -> None:
    """The pool is broken from then on: what had come is whole, the others are failed, and can be drained again."""
    whole = asf.drain_targets(targets, progress=False)
    many.latency(0.05)
    with quiet(), processes() as executor:
        thread = killed(lambda: [each.pid or 0 for each in multiprocessing.active_children()], many, many.calls + 12)
        frames = asf.drain_targets(targets, executor=executor, progress=False)
        thread.join()
    assert held_against(frames, whole) == []
    assert 0 < len(frames.failed_targets) < len(targets)
    assert set(frames.coverage["error_code"].dropna()) == {"BrokenProcessPool"}
    many.latency(0)
    again = frames.merge(asf.drain_targets(frames.failed_targets, progress=False))
    assert estates.same(again, whole) == []


def test_an_executor_that_is_shut_down_fails_every_target(targets: list[Any], root: Path) -> None:
    """Each row says why, and a snapshot of nothing is not made."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.warns(UserWarning, match="16 of 16 targets failed"):
        frames = asf.drain_targets(targets, executor=executor, progress=False)
    assert frames.coverage["error_message"].str.contains("shutdown").all()
    with pytest.raises(asf.DrainError, match="the executor gave no result"):
        asf.take_snapshot(root, targets, executor=executor, progress=False)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_clients_do_not_travel(many: Any) -> None:
    """They hold credentials; what to pass instead is said, before anything is done."""
    with ThreadPoolExecutor(1) as executor, pytest.raises(asf.RequestError, match=r"pass targets\(\.\.\.\)"):
        asf.drain_targets([many.client()], executor=executor)
    assert many.calls == 0


class Cluster:
    """A client of a cluster, which has an executor and is none."""

    def submit(self, *_: Any) -> None:
        """Be asked for nothing."""
        raise AssertionError


@pytest.mark.parametrize("executor", [4, ThreadPoolExecutor, Cluster()])
def test_what_is_no_executor_is_refused(executor: Any, many: Any) -> None:
    """A class of executors is none, and neither is what only looks like one."""
    with pytest.raises(asf.RequestError, match=r"pass a concurrent\.futures\.Executor"):
        asf.drain_targets(everywhere(many), executor=executor)
    assert many.calls == 0


def test_sessions_do_not_travel(many: Any) -> None:
    """A target of session= fails in another process, and says what to do; in a thread of this one it is drained."""
    targets = everywhere(many)[:2]
    with quiet():
        with processes(1) as executor:
            coverage = asf.drain_targets(targets, executor=executor, progress=False).coverage
        with ThreadPoolExecutor(1) as executor:
            assert asf.drain_targets(targets, executor=executor, progress=False).failed_targets == []
    assert coverage["status"].to_list() == ["failed"] * 2
    assert coverage["error_message"].str.contains(r"Pass profiles= or roles= to targets\(\)").all()


def test_two_targets_of_one_account_and_region_are_refused(many: Any, targets: list[Any], root: Path) -> None:
    """As in threads, and nothing is left of the snapshot."""
    with ThreadPoolExecutor(2) as executor, pytest.raises(asf.RequestError, match="its images would count twice"):
        asf.take_snapshot(root, [targets[0], everywhere(many)[0]], executor=executor, progress=False)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_two_empty_targets_of_one_account_and_region_are_refused(many: Any, targets: list[Any]) -> None:
    """As in threads: two rows of coverage for one place would be one too many."""
    account = many.accounts[1]
    own, other = (asf.targets(profiles=[f"sandbox-{account}"], regions=["eu-west-1"]), everywhere(many, [account])[:1])
    estates.Watched(many, answer=lambda *_: {"Images": []})
    with ThreadPoolExecutor(2) as threads:
        for executor in (None, threads):
            with pytest.raises(asf.RequestError, match="its images would count twice"):
                asf.drain_targets([*own, *other], executor=executor, progress=False)


def test_no_more_is_handed_over_than_can_be_finished(
    many: Any, targets: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor is given a window of targets, and each of them once."""
    from appstream_frames.fetch import executors

    monkeypatch.setattr(executors, "WINDOW", 5)
    under_way, most, given = [0], [0], []

    class Counting(ThreadPoolExecutor):
        def submit(self, call: Any, *arguments: Any) -> Future[Any]:  # type: ignore[override]
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            given.append(arguments[0])
            future = super().submit(call, *arguments)
            future.add_done_callback(lambda _: under_way.__setitem__(0, under_way[0] - 1))
            return future

    with Counting(3) as executor:
        frames = asf.drain_targets(targets, executor=executor, progress=False, type="SHARED")
    assert given == targets
    assert most[0] <= 5
    assert frames.coverage["status"].eq("complete").all()


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps], ids=["pickle", "cloudpickle"])
def test_no_key_is_in_a_task_or_its_result(dumps: Callable[[Any], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """What travels names where credentials are found, and what comes back holds none of them, not even in errors."""
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), CANARIES, strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    words = f"key {CANARIES[0]}, X-Amz-Security-Token: {CANARIES[2]}, Signature={CANARIES[1]}"
    with FaultServer(fault=error("InvalidSignatureException", "403 Forbidden", words), at=1) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        (target,) = asf.targets(regions=["eu-west-1"])
        task = (read_there, target, ["DescribeImages"], Request.of(), 10.0, dt.datetime.now(dt.UTC), "run")
        result = task[0](*task[1:])
    assert result[0][0].status == "bad_credentials"
    for travels in (dumps(task), dumps(result)):
        assert [canary for canary in CANARIES if canary.encode() in travels] == []


# Dask


@contextmanager
def dask(workers: int = 2) -> Iterator[Any]:
    """Start a cluster of processes on loopback, and return a client of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=2, host="127.0.0.1", dashboard_address=None, silence_logs=50
            ) as made,
            Client(made) as client,
        ):
            for nanny in made.workers.values():  # a worker that is killed stays dead
                nanny.auto_restart = False
            yield client


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_drains(many: Any, targets: list[Any], root: Path) -> None:
    """The same snapshot as from threads; then a worker is killed in the middle, and what is there is whole or said not to be."""
    whole = asf.drain_targets(targets, progress=False)
    with dask() as client:
        executor = client.get_executor()
        first = asf.take_snapshot(root, targets, executor=executor, progress=False)
        assert estates.same(asf.read_snapshot(root, first), whole) == []
        many.latency(0.1)
        workers = lambda: [info["pid"] for info in client.run(_pid).values()]  # noqa: E731
        pids = workers()
        thread = killed(lambda: [pids[0]], many, many.calls + 10)
        second = asf.take_snapshot(root, targets, executor=executor, progress=False)
        thread.join()
    assert held_against(asf.read_snapshot(root, second), whole) == []
    assert asf.verify(root).empty


def _pid() -> dict[str, int]:
    return {"pid": os.getpid()}


def test_a_result_that_cannot_be_read_is_a_failed_target(targets: list[Any]) -> None:
    """Whatever an executor gives back in place of a result."""

    class Odd(ThreadPoolExecutor):
        def submit(self, call: Any, *arguments: Any) -> Future[Any]:  # type: ignore[override]
            return super().submit(
                lambda: io.BytesIO().read(-1) + b"" if arguments[0] is targets[0] else call(*arguments)
            )

    with Odd(2) as executor, quiet():
        coverage = asf.drain_targets(targets[:2], executor=executor, progress=False).coverage
    assert coverage["status"].to_list() == ["failed", "complete"]
