"""What the command prints, and where: a night's summary, tables as wide as the terminal, streams that cannot be written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
from support.command import bare, run
from wcwidth import wcswidth

import appstream_frames as asf
from appstream_frames.cli import output
from appstream_frames.cli.main import main
from appstream_frames.text import printable

REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-2", "ca-central-1")


@pytest.fixture
def two(frames: asf.Frames, root: Path) -> Path:
    """Return an archive of two snapshots."""
    for day in ("2026-11-16", "2026-11-23"):
        asf.write_snapshot(frames.relabel(day), root)
    return root


def night(failed: dict[str, int], *, accounts: int = 40) -> pd.DataFrame:
    """Return the coverage of accounts × six regions: so many targets with each status, the others complete."""
    rows = [
        {"account": f"{111_111_111_111 + 7919 * number}", "region": region, "operation": "DescribeImages"}
        for number in range(accounts)
        for region in REGIONS
    ]
    statuses = [status for status, count in failed.items() for _ in range(count)]
    statuses += ["complete"] * (len(rows) - len(statuses))
    table = pd.DataFrame(rows).assign(status=statuses, rows=3, error_code=None)
    bad = table["status"] != "complete"
    table.loc[bad, "error_code"] = table["status"].map(lambda status: f"{status.title()}Exception")
    target = table["account"] + "/" + table["region"]
    words = target + ", page 1 of DescribeImages: AWS answered no. Advice for " + table["status"] + ": raise timeout=."
    return table.assign(error_message=words.where(bad))


@pytest.mark.slow
def test_a_night_is_summarized_in_few_lines(root: Path) -> None:
    """12 accounts × 6 regions with denied, disabled and throttled targets: each cause in a line, and the exit code of partial."""
    with asf.sandbox(accounts=12, regions=6) as estate:
        for number, account in enumerate(estate.accounts[:11]):
            for region in estate.regions[:3]:
                estate.fault(account, region, ("denied", "disabled")[number % 2])
        estate.fault(estate.accounts[11], estate.regions[0], "throttled")
        words = ["--organization-role", "AppStreamReader", *(w for name in estate.regions for w in ("--region", name))]
        words += ["--timeout", "15", "--type", "PRIVATE"]
        done = run("snapshot", str(root), *words, environment=estate.environment())
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines) <= 25) == (3, True)
    assert lines[0].endswith("from 38 of 72 targets read whole")
    assert lines[1] == "38 complete, 15 region_disabled, 1 throttled, 18 denied"
    assert [line.split()[0] for line in lines[2:-1]] == ["denied", "throttled", "region_disabled"]


@pytest.mark.parametrize(("named", "code"), [(False, 0), (True, 3)])
def test_a_disabled_region_is_no_failure_of_all_regions(box: asf.sandbox, root: Path, named: bool, code: int) -> None:
    """It is nothing missing where all regions were asked for, and a failure where it was named."""
    words = [*box.regions[:1], "me-south-1"] if named else ["all"]
    options = [word for name in words for word in ("--region", name)]
    assert run("snapshot", str(root), *options, environment=box.environment()).returncode == code


@pytest.mark.parametrize(
    "failed", [{"denied": 239, "failed": 1}, {"throttled": 10, "denied": 22, "region_disabled": 18}]
)
def test_every_cause_has_a_line_worst_first(capsys: pytest.CaptureFixture[str], failed: dict[str, int]) -> None:
    """With the number of targets, and the advice whole and in options."""
    from appstream_frames.cli.snapshot import summarize

    head, counts, *causes = summarize(night(failed), disabled=True)
    whole = 240 - sum(failed.values()) + failed.get("region_disabled", 0)
    assert head.endswith(f"from {whole} of 240 targets read whole")
    order = [status for status in ("failed", "denied", "throttled", "region_disabled") if status in failed]
    assert [line.split()[0] for line in causes] == order
    assert all(f"{count} {status}" in counts for status, count in failed.items())
    assert all(line.endswith("raise --timeout.") for line in causes)


def test_one_failure_of_all_operations_is_one_line(box: asf.sandbox, root: Path) -> None:
    """A region that is not enabled has one line, whatever was to be read there."""
    box.fault(None, box.regions[1], "disabled")
    regions = [word for name in box.regions[:2] for word in ("--region", name)]
    done = run("snapshot", str(root), "--include", "all", *regions, environment=box.environment())
    assert [line.split()[0] for line in done.stdout.splitlines()[2:-1]] == ["region_disabled"]


def test_nothing_read_is_said_by_cause(root: Path) -> None:
    """Every target failed: none of them is said to be read, with exit code 1, and nothing is written."""
    with asf.sandbox() as box:
        for region in box.regions:
            box.fault(box.accounts[0], region, "denied")
        words = [word for region in box.regions for word in ("--region", region)]
        done = run("snapshot", str(root), *words, environment=box.environment())
    assert (done.returncode, "from 0 of 4 targets read whole" in done.stderr, "4 denied" in done.stderr) == (
        1,
        True,
        True,
    )
    assert [path for path in root.rglob("*") if path.is_file()] == []


def started(*words: str, out: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own with a standard output that is a file or a pipe."""
    command = [sys.executable, "-m", "appstream_frames", *words]
    return subprocess.run(command, env=bare(environment), stdout=out, stderr=subprocess.PIPE, text=True, timeout=60)


@pytest.fixture
def gone() -> Iterator[int]:
    """Return the end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_a_snapshot_nobody_reads_of_is_written(box: asf.sandbox, root: Path, gone: int, more: list[str]) -> None:
    """A pipe that is closed is no failure of the snapshot: a scheduler must not run it again."""
    done = started("snapshot", str(root), *more, out=gone, environment=box.environment())
    assert (done.returncode, done.stderr, len(asf.list_snapshots(root))) == (0, "", 1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_log_disk_is_no_failure_of_a_snapshot(box: asf.sandbox, root: Path) -> None:
    """The snapshot is there, its id is printed on standard error, and the exit code is that of the snapshot."""
    with open("/dev/full", "w") as full:
        done = started("snapshot", str(root), out=full, environment=box.environment())
    (name,) = asf.list_snapshots(root)["id"]
    assert (done.returncode, done.stderr.count("\n"), name in done.stderr) == (0, 1, True)


@pytest.mark.slow
@pytest.mark.parametrize("words", ["ls", "report -o -", "columns images"])
def test_a_reader_that_leaves_is_no_error(small: Path, gone: int, words: str) -> None:
    """`| head` ends a command without a word."""
    command, *more = words.split()
    done = started(command, *(more if command == "columns" else [str(small), *more]), out=gone)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", ["ls", "report -o -"])
def test_what_cannot_be_printed_is_an_error_of_printing(small: Path, words: str) -> None:
    """Exit code 1 and one line that speaks of standard output, not of the snapshots."""
    command, *more = words.split()
    with open("/dev/full", "w") as full:
        done = started(command, str(small), *more, out=full)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output could not be written: No space left" in done.stderr


@pytest.mark.parametrize("command", ["ls", "check", "diff"])
def test_a_program_without_standard_output_runs(two: Path, command: str) -> None:
    """No stream is no terminal: a service, or a shell's `>&-`."""
    with redirect_stdout(None), pytest.raises(SystemExit) as ended:
        main([command, str(two)])
    assert ended.value.code in (0, 4)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_keeps_to_the_terminal(two: Path, width: int) -> None:
    """No line is wider, and no character is lost."""
    done = run("ls", str(two), environment={"COLUMNS": str(width)})
    assert max(map(wcswidth, done.stdout.splitlines())) <= width or width == 40
    letters = re.sub(r"\s", "", done.stdout)
    assert sorted(letters) == sorted(re.sub(r"\s", "", run("ls", str(two)).stdout))


def test_a_cell_is_wrapped_by_the_width_of_its_letters() -> None:
    """Wide characters count as two, and every other column stays in its place."""
    frame = pd.DataFrame({"name": ["日本語" * 20, "cad"], "days": [1470, 9], "flag": [False, True]})
    lines = output.format_table(frame, 40).splitlines()
    assert max(map(wcswidth, lines)) <= 40
    assert lines[1].endswith("1,470  False")
    assert "".join(line.split("  ")[0] for line in lines[1:-1]) == "日本語" * 20


def test_a_file_has_no_width(two: Path) -> None:
    """In a pipe a row is a line, however long."""
    assert run("ls", str(two)).stdout.count("\n") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sandbox", "--port", "99999"), "--port"),
        (("sandbox", "--port", "-1"), "--port"),
        (("sandbox", "--minutes", "0"), "--minutes"),
        (("sandbox", "--account", "123"), "--account"),
        (("sandbox", "--region", "eu-wst-1"), "eu-west-1"),
        (("sandbox", "--accounts", "0"), "--accounts"),
        (("export", "x", "-o", "-"), "-o -"),
        (("snapshot", "x", "--region", "eu-wst-1"), "eu-west-1"),
        (("snapshot", "x", "--max-items", "0", "--region", "eu-west-1"), "--max-items"),
        (("snapshot", "x", "--timeout", "0", "--region", "eu-west-1"), "--timeout"),
        (("snapshot", "x"), "--region eu-west-1"),
        (("snapshot", "x", "--type", "private", "--region", "eu-west-1"), "--type"),
        (("columns", "nonsense"), "nonsense"),
    ],
)
def test_a_message_speaks_of_options(words: tuple[str, ...], said: str) -> None:
    """What was wrong is named as it was typed: no Python, no traceback, exit code 2."""
    done = run(*words, environment={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    assert (done.returncode, said in done.stderr) == (2, True)
    assert not re.search(r"Traceback|\bNone\b|\w=[\['\"]", done.stderr)


def test_help_is_not_cut() -> None:
    """Every command is described by a whole sentence."""
    text = " ".join(run("--help").stdout.split())
    assert not re.search(r"\w\.\.\. ", text)
    assert "Check every file under ROOT against its recorded hash." in text


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_of_a_command_has_exit_codes_and_an_example(command: str) -> None:
    """Each example stands on a line of its own, and its options are those of the command."""
    said = run(command, "--help", environment={"COLUMNS": "80"}).stdout
    examples = re.findall(rf"\n  Example: appstream-frames {command}( .+)\n(?=\n)", said)
    known = {option for each in main.commands[command].params for option in each.opts}
    assert ("Exit codes: 0 " in said, len(examples)) == (True, said.count("Example: "))
    assert examples
    assert {word for line in examples for word in line.split() if word.startswith("-")} <= known


# diff


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two weeks of the sandbox, AWS's own images among them: to read, never to change."""
    root = tmp_path_factory.mktemp("weeks") / "archive"
    for week in ("2026-11-16", "2026-11-23"):
        with asf.sandbox(at=week) as box:
            asf.write_snapshot(asf.drain(box.client()).relabel(week), root)
    return root


def test_diff_names_both_snapshots_and_counts(weeks: Path) -> None:
    """The first line says what was compared with what, and how much of each kind changed."""
    before, after = asf.list_snapshots(weeks)["id"]
    first, *_ = run("diff", str(weeks)).stdout.splitlines()
    assert first == f"{before} → {after}: 5 added, 3 removed, 1 rebuilt, 2 changed"


def test_diff_since_before_the_archive_says_what_is_compared(weeks: Path) -> None:
    """A day before the first snapshot takes the first, and says so."""
    done = run("diff", str(weeks), "--since", "2020-01-01")
    assert (done.returncode, "no snapshot is as old as 2020-01-01" in done.stderr) == (0, True)


def test_diff_since_after_the_archive_says_what_is_compared(weeks: Path) -> None:
    """A day after the newest snapshot compares it with the one before, and says so."""
    done = run("diff", str(weeks), "--since", "2099-01-01")
    assert (done.returncode, "no snapshot is as new as 2099-01-01" in done.stderr) == (0, True)


@pytest.mark.parametrize("since", ["nonsense", "9 Nov 2026", ""])
def test_diff_since_what_is_no_day_says_what_is_expected(weeks: Path, since: str) -> None:
    """The message has what was given, and a day as it is expected."""
    done = run("diff", str(weeks), "--since", since)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: --since {since!r} is no day; expected one such as 2026-11-16.\n"


def test_diff_since_a_moment_is_since_its_day(weeks: Path) -> None:
    """A moment in ISO format is as good as its day, as with `--today`."""
    moment, day = (run("diff", str(weeks), "--since", f"2020-01-01{time}") for time in ("T10:00:00Z", ""))
    assert (moment.returncode, moment.stdout, moment.stderr) == (day.returncode, day.stdout, day.stderr)


READER = "arn:aws:iam::111122223333:role/AppStreamReader"
#: Words after ``snapshot ROOT``, and what the refusal has to begin with.
MISUSE = {
    ("--region", ""): "--region is no name",
    ("--region", "eu-west-1", "--region", "eu-west-1"): "--region eu-west-1 twice",
    ("--include", "fleet"): "--include fleet is no table to read. Did you mean 'fleets'?",
    ("--role", "AppStreamReader"): "--role AppStreamReader cannot be right",
    ("--role", READER, "--role-session-name", "a b"): "--role-session-name a b cannot be right",
    ("--role", READER, "--external-id", "SECRET WORD"): "--external-id cannot be right",
    ("--organization-role", READER): f"--organization-role {READER} cannot be right",
    ("--redact", "descripton"): "--redact descripton is no column; see `columns TABLE` for those to choose",
    ("--redact", "image_arn"): "--redact image_arn identifies the rows of applications",
    ("--name", "nothing-of-that-name"): "012345678901/eu-west-1, page 1 of DescribeImages",
}
PYTHON = re.compile(
    r"\b(regions|include|roles|role_session_name|external_id|organization_role|names|arns|columns)\b *[=:(]"
)


@pytest.mark.parametrize(("words", "said"), MISUSE.items(), ids=map(" ".join, MISUSE))
def test_a_refusal_speaks_of_options(words: tuple[str, ...], said: str, box: asf.sandbox, root: Path) -> None:
    """Nobody who types a command has to know the parameters of Python's functions."""
    done = run("snapshot", str(root), *words, environment=box.environment())
    assert done.stderr.startswith(f"Error: {said}")
    assert PYTHON.search(done.stderr) is None
    assert "SECRET" not in done.stderr


def test_a_remedy_speaks_of_options(two: Path) -> None:
    """What was not drained is drained by an option of `snapshot`."""
    assert "Drain with --include fleets." in run("check", str(two)).stdout


def test_a_rebuild_is_one_line(weeks: Path) -> None:
    """What was removed and added under its name is one thing to a person."""
    rows = run("diff", str(weeks)).stdout.splitlines()[2:]
    assert [row.split()[0] for row in rows if " rebuilt " in row] == ["HR-Desktop-2026-11"]


def test_what_several_accounts_see_is_one_line(root: Path, frames: asf.Frames) -> None:
    """An image that is private to its owner and shared with another account was added once."""
    image = frames.images[frames.images["visibility"] == "PRIVATE"].head(1)
    shared = image.assign(account="999999999999", visibility="SHARED")
    other = frames.coverage.assign(account="999999999999")
    after = {"images": pd.concat([image, shared]), "coverage": pd.concat([frames.coverage, other])}
    tables = {**frames.tables, **{name: table.reset_index(drop=True) for name, table in after.items()}}
    asf.write_snapshot(asf.Frames({**tables, "images": image.head(0)}).relabel("2026-11-16"), root)
    asf.write_snapshot(asf.Frames(tables).relabel("2026-11-23"), root)
    head, _, *rows = run("diff", str(root)).stdout.splitlines()
    assert (head.rpartition(": ")[2], len(rows)) == ("1 added", 1)


def test_what_the_owner_sees_more_of_is_one_change(root: Path, frames: asf.Frames) -> None:
    """An image of which two accounts see another state, and its owner besides that it is shared, changed once, in his account."""
    image = frames.images[frames.images["visibility"] == "PRIVATE"].head(1).assign(image_shared_with_others=False)
    owner, reader = image["account"].item(), "000000000001"  # the reader comes first
    for week, changed in (("2026-11-16", {}), ("2026-11-23", {"image_shared_with_others": True})):
        state = {"state": "AVAILABLE" if changed else "PENDING"}
        seen = image.assign(account=reader, visibility="SHARED", image_shared_with_others=None)
        images = pd.concat([image.assign(**state, **changed), seen.assign(**state)], ignore_index=True)
        coverage = pd.concat([frames.coverage.assign(account=each) for each in (owner, reader)], ignore_index=True)
        asf.write_snapshot(asf.Frames({**frames.tables, "images": images, "coverage": coverage}).relabel(week), root)
    printed = run("diff", str(root)).stdout
    head, _, *rows = printed.splitlines()
    assert (head.rpartition(": ")[2], len(rows), reader in printed) == ("1 changed", 2, False)


def test_public_images_are_left_out_of_a_diff(root: Path, frames: asf.Frames) -> None:
    """AWS's own come and go once per account; `--public` shows them, each once."""
    other = asf.Frames({name: table.assign(account="999999999999") for name, table in frames.tables.items()})
    both = frames.merge(other)
    public = both.images["visibility"] == "PUBLIC"
    fewer = asf.Frames({**both.tables, "images": both.images[~public].reset_index(drop=True)})
    asf.write_snapshot(fewer.relabel("2026-11-16"), root)
    asf.write_snapshot(both.relabel("2026-11-23"), root)
    assert run("diff", str(root)).stdout.splitlines()[0].endswith(": nothing changed")
    assert run("diff", str(root), "--public").stdout.splitlines()[0].endswith(f": {public.sum() // 2} added")


def test_a_name_is_inert(two: Path) -> None:
    """A root's own name is printed as text too."""
    done = run("ls", str(two / "\x1b[31m"))
    assert "\x1b" not in done.stdout + done.stderr
    assert printable("\x1b[31m") in done.stdout + done.stderr
