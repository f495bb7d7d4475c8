"""The command line, judged by what it prints and its exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command import bare, run, run_alone

import appstream_frames as asf
from appstream_frames.cli.main import main

PNG = b"\x89PNG"


@pytest.mark.slow
def test_demo_does_the_main_job(tmp_path: Path) -> None:
    """Without an account: a snapshot, two charts, exit code 0; in the home folder too, where no shell replaces the ~."""
    done = run("demo", "~/here", environment={"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(asf.list_snapshots(tmp_path / "here" / "snapshots")) == 1
    assert {path.read_bytes()[:4] for path in (tmp_path / "here").glob("*.png")} == {PNG}


@pytest.mark.slow
def test_snapshot_reads_the_environment_s_account(box: asf.sandbox, root: Path) -> None:
    """With the sandbox's environment, any folder gets a snapshot of it."""
    done = run_alone("snapshot", str(root), environment=box.environment())
    assert (done.returncode, done.stderr) == (0, b"")
    assert asf.read_snapshot(root).coverage["account"].to_list() == [box.accounts[0]]


def test_a_limited_snapshot_exits_with_3(box: asf.sandbox, root: Path) -> None:
    """Partial has an exit code other than complete."""
    assert run("snapshot", str(root), "--max-items", "1", environment=box.environment()).returncode == 3


def test_snapshot_prints_json(box: asf.sandbox, root: Path) -> None:
    """A script gets the id and the coverage."""
    said = json.loads(run("snapshot", str(root), "--json", environment=box.environment()).stdout)
    assert (said["id"], said["coverage"][0]["status"]) == (asf.list_snapshots(root)["id"].item(), "complete")


def test_snapshot_reads_many_accounts_and_regions(box: asf.sandbox, root: Path, tmp_path: Path) -> None:
    """Profiles × regions land in one snapshot, in the order given."""
    profiles = [f"sandbox-{account}" for account in box.accounts[:2]]
    words = [word for name in profiles for word in ("--profile", name)]
    words += [word for name in box.regions[:2] for word in ("--region", name)]
    done = run("snapshot", str(root), *words, environment=box.config(tmp_path / "config"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "from 4 of 4 targets read whole" in done.stdout
    coverage = asf.read_snapshot(root).coverage
    assert coverage["account"].to_list() == [account for account in box.accounts[:2] for _ in range(2)]
    assert coverage["region"].to_list() == 2 * box.regions[:2]


def test_a_snapshot_without_some_targets_exits_with_3(box: asf.sandbox, root: Path, tmp_path: Path) -> None:
    """What was read is written, and what was not is said with AWS's code."""
    box.fault(box.accounts[1], box.regions[0], "denied")
    words = [word for account in box.accounts[:2] for word in ("--profile", f"sandbox-{account}")]
    done = run("snapshot", str(root), *words, "--region", box.regions[0], environment=box.config(tmp_path / "config"))
    assert done.returncode == 3
    assert "AccessDeniedException" in done.stdout
    assert asf.read_snapshot(root).coverage["status"].to_list() == ["complete", "denied"]


@pytest.mark.slow
def test_snapshot_reads_a_whole_organization(box: asf.sandbox, root: Path) -> None:
    """A role's name and `all` reach every active account in every region botocore knows."""
    done = run(
        "snapshot",
        str(root),
        "--organization-role",
        "AppStreamReader",
        "--region",
        "all",
        environment=box.environment(),
    )
    assert done.returncode == 0  # the sandbox has four of the regions; the others are not enabled
    seen = asf.read_snapshot(root).coverage.groupby("account")["status"].agg(lambda each: each.eq("complete").sum())
    assert seen.to_dict() == dict.fromkeys(box.accounts, len(box.regions))


def test_max_items_is_of_one_target(box: asf.sandbox, root: Path) -> None:
    """It would be unclear whose images are cut."""
    words = [word for region in box.regions[:2] for word in ("--region", region)]
    done = run("snapshot", str(root), *words, "--max-items", "5", environment=box.environment())
    assert (done.returncode, "one account and region" in done.stderr) == (2, True)


def test_a_command_leaves_the_signals_of_its_process_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that calls the command keeps its own handlers."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert main(["ddl", "images", "s3://bucket"], standalone_mode=False) == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before
    assert "CREATE EXTERNAL TABLE" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_half_written(box: asf.sandbox, root: Path, sent: signal.Signals) -> None:
    """A scheduler that stops the job, or a terminal that is closed, leaves the archive as it was."""
    box.latency(5.0)
    command = [sys.executable, "-m", "appstream_frames", "snapshot", str(root)]
    inherited = signal.signal(sent, signal.SIG_DFL)  # under `nohup` the command would ignore SIGHUP, as it should
    with subprocess.Popen(command, env=bare(box.environment()), stderr=subprocess.PIPE) as process:
        signal.signal(sent, inherited)
        deadline = time.monotonic() + 60
        while box.calls == 0 and not list(root.rglob("*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(sent)
        process.communicate(timeout=30)
    assert process.returncode == 128 + sent
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_refused_account_exits_with_1(box: asf.sandbox, root: Path) -> None:
    """Credentials that AWS does not accept are a failure, said in one line, and nothing is written."""
    done = run("snapshot", str(root), environment={**box.environment(), "AWS_ACCESS_KEY_ID": "ASIANOBODY"})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "words",
    [
        ("snapshot", "x", "--profile", "nobody"),
        ("snapshot", "x", "--type", "private", "--region", "eu-west-1"),
        ("snapshot", "x"),
        ("columns", "fleet"),
        ("sandbox", "--at", "1999-01-01"),
        ("nonsense",),
    ],
)
def test_misuse_exits_with_2(words: tuple[str, ...], tmp_path: Path) -> None:
    """What cannot be right is an exit code of its own, and no traceback."""
    done = run(*words, cwd=tmp_path, environment={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_ls_lists_what_is_there(frames: asf.Frames, root: Path) -> None:
    """The list names the snapshot."""
    name = asf.write_snapshot(frames, root)
    assert name in run("ls", str(root)).stdout


def test_ls_prints_json(frames: asf.Frames, root: Path) -> None:
    """A script gets numbers and ISO moments."""
    asf.write_snapshot(frames.relabel("2026-11-23"), root)
    (row,) = json.loads(run("ls", str(root), "--json").stdout)
    assert (row["images"], row["snapshot"]) == (len(frames.images), "2026-11-23T00:00:00.000000Z")


def test_ls_of_nothing_says_so(root: Path) -> None:
    """A root without a snapshot is an error that names it."""
    done = run("ls", str(root))
    assert (done.returncode, f"No snapshot under {root}: there is no such folder" in done.stderr) == (1, True)


def test_ls_of_damage_names_it_and_lists_the_others(frames: asf.Frames, root: Path) -> None:
    """A manifest that cannot be read is partial: the row says so, and the others are there."""
    names = [asf.write_snapshot(frames.relabel(moment), root) for moment in ("2026-11-16", "2026-11-23")]
    (root / "coverage" / f"{names[1]}.parquet").write_bytes(b"damage")
    done = run("ls", str(root), "--json")
    listed = json.loads(done.stdout)
    assert (done.returncode, [row["id"] for row in listed]) == (3, names)
    assert [row["images"] for row in listed] == [len(frames.images), None]
    assert f"{names[1]}.parquet cannot be read" in listed[1]["problem"]


def test_columns_describes_a_table() -> None:
    """Every column of the table is a line."""
    assert run("columns", "images").stdout.count("\n") == len(asf.columns("images")) + 1


def test_columns_prints_json() -> None:
    """A script gets the API's paths."""
    paths = {row["column"]: row["api_path"] for row in json.loads(run("columns", "errors", "--json").stdout)}
    assert paths["error_code"] == "Images[].ImageErrors[].ErrorCode"


@pytest.mark.slow
def test_sandbox_prints_an_environment_that_works(root: Path) -> None:
    """What it prints points any boto3 program at it."""
    command = [sys.executable, "-u", "-m", "appstream_frames", "sandbox", "--minutes", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            lines = [served.stdout.readline() for _ in range(5)] if served.stdout else []
            environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
            assert run("snapshot", str(root), environment=environment).returncode == 0
        finally:
            served.terminate()


def test_sandbox_stops_by_itself() -> None:
    """Nobody has to remember to stop it."""
    assert run("sandbox", "--minutes", "0.001").returncode == 0


@pytest.fixture(scope="module")
def three_weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of three weeks of the sandbox: to read, never to change."""
    root = tmp_path_factory.mktemp("weeks") / "archive"
    for week in ("2026-11-09", "2026-11-16", "2026-11-23"):
        with asf.sandbox(at=week) as box:
            asf.write_snapshot(asf.drain(box.client(), type="PRIVATE").relabel(week), root)
    return root


@pytest.fixture
def weeks(three_weeks: Path, root: Path) -> Path:
    """Return a copy of that archive."""
    return Path(shutil.copytree(three_weeks, root))


def test_diff_compares_with_the_snapshot_before(weeks: Path) -> None:
    """Without a date, the last two snapshots are compared."""
    said = json.loads(run("diff", str(weeks), "--json").stdout)
    ids = asf.list_snapshots(weeks)["id"]
    expected = asf.diff(asf.read_snapshot(weeks, ids.iloc[1]), asf.read_snapshot(weeks, ids.iloc[2]))
    assert [row["change"] for row in said] == expected["change"].to_list()


@pytest.mark.slow
def test_diff_since_goes_further_back(weeks: Path) -> None:
    """A date chooses the newest snapshot up to it."""
    one, two = (
        json.loads(run("diff", str(weeks), "--json", *since).stdout) for since in ((), ("--since", "2026-11-10"))
    )
    assert len(two) > len(one) > 0


def test_diff_of_one_snapshot_says_what_it_needs(frames: asf.Frames, root: Path) -> None:
    """One snapshot cannot be compared."""
    asf.write_snapshot(frames, root)
    done = run("diff", str(root))
    assert (done.returncode, "needs two snapshots" in done.stderr) == (1, True)


def test_diff_of_what_cannot_be_compared_exits_with_3(box: asf.sandbox, root: Path) -> None:
    """A limited drain is not compared: standard error says so, and standard output does not say that nothing changed."""
    for options in ({}, {"max_items": 2}):
        asf.write_snapshot(asf.drain(box.client(), **options), root)
    done = run("diff", str(root))
    assert (done.returncode, "limited" in done.stderr) == (3, True)
    assert done.stdout.endswith(": nothing changed in what was compared\n")


def test_verify_finds_a_whole_archive_whole(weeks: Path) -> None:
    """Nothing wrong is exit code 0."""
    assert run("verify", str(weeks)).returncode == 0


def test_verify_of_damage_exits_with_1(weeks: Path) -> None:
    """Damage is a failure, and the file is named."""
    path = next((weeks / "images").iterdir())
    path.write_bytes(b"damage")
    done = run("verify", str(weeks))
    assert (done.returncode, path.name in done.stdout) == (1, True)


def test_verify_of_leftovers_exits_with_3(weeks: Path) -> None:
    """What a crash left is no damage."""
    (weeks / "images" / "20260101T000000.000000Z-abcdef.parquet").write_bytes(b"half")
    assert run("verify", str(weeks)).returncode == 3


def test_ddl_prints_a_statement() -> None:
    """The SQL names the table's folder."""
    assert "LOCATION 's3://bucket/archive/images/'" in run("ddl", "images", "s3://bucket/archive").stdout


@pytest.mark.slow
def test_report_writes_one_page(small: Path, tmp_path: Path) -> None:
    """The page is that of the function, under its name, with nothing left beside it."""
    path = tmp_path / "out" / "report.html"
    path.parent.mkdir()
    done = run("report", str(small), "-o", str(path))
    assert (done.returncode, done.stderr, path.read_text("utf-8")) == (0, "", asf.report(small))
    assert os.listdir(path.parent) == ["report.html"]


@pytest.mark.slow
def test_report_goes_to_standard_output(small: Path) -> None:
    """A dash prints the page and nothing else, whatever the terminal's encoding."""
    done = run_alone("report", str(small), "-o", "-", environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr, done.stdout.decode()) == (0, b"", asf.report(small))


@pytest.mark.slow
def test_report_of_a_partial_snapshot_exits_with_3(box: asf.sandbox, root: Path, tmp_path: Path) -> None:
    """The page is there, and says what is missing; so does the exit code."""
    asf.write_snapshot(asf.drain(box.client(), type="PUBLIC", max_items=2), root)  # of which there is no chart
    path = tmp_path / "report.html"
    assert (run("report", str(root), "-o", str(path)).returncode, path.exists()) == (3, True)


@pytest.mark.slow
@pytest.mark.parametrize("output", [".", "there/", "nowhere/report.html"])
def test_report_refuses_what_is_no_file(weeks: Path, tmp_path: Path, output: str) -> None:
    """A folder, or a file in a folder that is not there, is misuse; it is said in one line."""
    done = run("report", str(weeks), "-o", output, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n"), "folder" in done.stderr) == (2, 1, True)


def test_report_of_nothing_exits_with_1(root: Path, tmp_path: Path) -> None:
    """Without a snapshot there is no page."""
    done = run("report", str(root), cwd=tmp_path)
    assert (done.returncode, "No snapshot" in done.stderr, os.listdir(tmp_path)) == (1, True, [])


def test_report_of_no_day_exits_with_2(weeks: Path, tmp_path: Path) -> None:
    """A day that is none is misuse."""
    assert run("report", str(weeks), "--today", "soon", cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_export_writes_a_workbook_of_own_images(frames: asf.Frames, root: Path, tmp_path: Path) -> None:
    """A sheet a table, without AWS's own images unless they are asked for."""
    openpyxl = pytest.importorskip("openpyxl")
    asf.write_snapshot(frames, root)
    rows = []
    for more in ((), ("--public",)):
        path = tmp_path / f"images{len(more)}.xlsx"
        assert run("export", str(root), "-o", str(path), *more).returncode == 0
        rows.append(openpyxl.load_workbook(path)["images"].max_row - 1)
    assert rows == [len(frames.own.images), len(frames.images)]


def test_export_refuses_a_folder(frames: asf.Frames, root: Path, tmp_path: Path) -> None:
    """What is no file is misuse, and said before anything is read."""
    assert run("export", str(root), "-o", str(tmp_path)).returncode == 2
