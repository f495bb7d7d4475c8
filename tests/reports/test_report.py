"""What the report says, how it is made and what is refused, in the words of its text and the bytes of its file."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from support.reports import LAST, WEEKS, Report, taken

import appstream_frames as asf
from appstream_frames.reports.build import build_page

pytestmark = pytest.mark.slow


def text_of(report: Report) -> str:
    """Return the text of the page, in one line."""
    return html.unescape(" ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", report.html, flags=re.DOTALL).split()))


def section(report: Report, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', report.html, re.DOTALL)
    assert found
    return found.group()


# what it says; where that needs no chart, of AWS's own images only, of which none is drawn


def test_the_findings_are_those_of_the_functions(weekly_report: Report) -> None:
    """The numbers are what agents and base_images give for all images but AWS's own."""
    images = asf.read_snapshot(weekly_report.root).images
    yours = (images["visibility"] != "PUBLIC").to_numpy()
    late = [
        int(answer(images, today=LAST)[yours]["verdict"].isin(["behind", verdict]).sum())
        for answer, verdict in ((asf.agents, "known_bad"), (asf.base_images, "retired"))
    ]
    said = text_of(weekly_report)
    assert f"{late[0]} of {yours.sum()} images run an agent behind" in said
    assert f"{late[1]} of {yours.sum()} images stand on an outdated base image" in said
    assert f"AWS's own {len(images) - yours.sum()} public images are left out" in said


def test_the_worst_come_first(weekly_report: Report) -> None:
    """The agent that AWS advises against, then the one furthest behind; the oldest retired base."""
    names = {
        key: re.findall(r'<th scope="row" role="rowheader">(.*?)</th>', section(weekly_report, key))
        for key in ("agents", "bases")
    }
    assert (names["agents"][:2], names["bases"][0]) == (
        ["Payroll-FR-paie", "win2012r2-archive-viewer"],
        "win2012r2-archive-viewer",
    )


def test_what_is_cut_is_counted(weekly_report: Report) -> None:
    """Ten rows are shown, and the others are counted below them and open at a click."""
    agents = section(weekly_report, "agents")
    shown, opened = (part.count('role="rowheader"') for part in agents.split("<details>"))
    more = re.findall(r"<summary>and (\d+) more</summary>", agents)
    behind = re.search(r"(\d+) of \d+ images run an agent behind", text_of(weekly_report))
    assert behind
    assert (shown, opened, int(more[0])) == (10, int(behind.group(1)) - 10, opened)


def test_changes_are_those_of_a_week(weekly_report: Report) -> None:
    """The snapshot of the week before is compared, not the oldest; both moments are named."""
    assert "From 16 November 2026, 00:00 UTC to 23 November 2026, 00:00 UTC." in text_of(weekly_report)


def test_changes_are_those_of_diff(weekly_report: Report) -> None:
    """As many images were added and removed as diff says, AWS's own aside."""
    root = weekly_report.root
    before, after = (asf.read_snapshot(root, name) for name in asf.list_snapshots(root)["id"].iloc[-2:])
    changes = asf.diff(before, after)
    yours = changes[~changes["arn"].str.contains("::image/")]
    sets = [set(yours.loc[yours["change"] == change, "arn"]) for change in ("added", "removed")]
    added, rebuilt = len(sets[0] - sets[1]), len(sets[0] & sets[1])
    assert f"{added} images were added" in text_of(weekly_report)
    assert f"{rebuilt} image was built again" in text_of(weekly_report)


def test_daily_snapshots_are_compared_a_week_apart(reported: Callable[..., Report]) -> None:
    """Of many, the newest that is a week older is chosen, though it was taken some minutes later in its day."""
    frames = taken(LAST, type="PUBLIC")
    days = ("2026-11-15T00:00", "2026-11-16T00:07", "2026-11-17T00:00", "2026-11-22T00:00", "2026-11-23T00:00")
    assert "From 16 November 2026, 00:07 UTC" in text_of(reported(*(frames.relabel(day) for day in days)))


def test_without_a_week_the_last_but_one_is_compared(reported: Callable[..., Report]) -> None:
    """It says that it is not a week."""
    frames = taken(LAST, type="PUBLIC")
    said = text_of(reported(*(frames.relabel(day) for day in ("2026-11-21", "2026-11-22", "2026-11-23"))))
    assert "From 22 November 2026, 00:00 UTC to 23 November 2026, 00:00 UTC. No snapshot is a week older" in said


@pytest.fixture(scope="module")
def private_report(reported: Callable[..., Report]) -> Report:
    """Return the report of the first snapshot, of private images only."""
    return reported(taken(LAST, type="PRIVATE"))


def test_one_snapshot_is_enough(private_report: Report) -> None:
    """Without history there is a report all the same."""
    assert "This is the first snapshot" in text_of(private_report)
    assert 'id="changes"' not in private_report.html


def test_a_state_that_is_not_known_is_no_other_state(reported: Callable[..., Report]) -> None:
    """Where a snapshot leaves states out, no image is said to be unavailable."""
    frames = taken(LAST, type="PRIVATE")
    said = text_of(reported(asf.Frames({**frames.tables, "images": frames.images.assign(state=None)})))
    assert f"The state of {len(frames.images)} images is not known." in said
    assert "not available" not in said


@pytest.mark.parametrize("kept", ["nothing", "public"])
def test_no_image_of_yours_is_no_error(reported: Callable[..., Report], kept: str) -> None:
    """An account with none of its own, or with nothing at all, has a report that says so."""
    frames = taken(LAST, type="PUBLIC")
    tables = (
        frames.tables
        if kept == "public"
        else {n: t if n == "coverage" else t.head(0) for n, t in frames.tables.items()}
    )
    assert "No images of yours" in text_of(reported(asf.Frames(tables)))


def test_what_was_not_read_is_said(estate_report: Report) -> None:
    """The refused accounts are named with the reason, and what is not compared is said."""
    said = text_of(estate_report)
    assert "2 of 30 targets were not read to the end, so the numbers here are too low." in said
    assert section(estate_report, "coverage").count("AccessDenied: not today") == 1
    assert "2 of 30 targets are not compared" in said


def test_a_question_for_less_is_said(private_report: Report) -> None:
    """A drain of private images only is complete, and says that it is of those only."""
    assert 'Asked only for {"Type": "PRIVATE"}' in text_of(private_report)


def test_accounts_are_counted_when_there_are_several(estate_report: Report, weekly_report: Report) -> None:
    """Several accounts have a table; one account has none."""
    assert "Images by account" in section(estate_report, "places")
    assert 'id="places"' not in weekly_report.html


# how it is made


def test_the_same_archive_gives_the_same_bytes(weekly_report: Report, tmp_path: Path) -> None:
    """In another process, with another hash seed, time zone and matplotlib settings."""
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: red\nsvg.fonttype: none\n")
    code = "import sys, appstream_frames as asf; sys.stdout.buffer.write(asf.report(sys.argv[1]).encode())"
    environment = {
        "PYTHONHASHSEED": "7",
        "TZ": "America/New_York",
        "MATPLOTLIBRC": str(tmp_path),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(weekly_report.root)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
    )
    assert (done.stdout == weekly_report.path.read_bytes(), done.stderr) == (True, b"")


def test_today_moves_the_ages_and_matplotlib_is_left_as_it_was(weekly_report: Report) -> None:
    """Another day gives other ages, and is named; no setting is changed and no figure is kept."""
    with mpl.rc_context({"font.size": 17.0}):
        settings, figures = dict(mpl.rcParams), mpl.pyplot.get_fignums()
        later = asf.report(weekly_report.root, today="2027-11-23")
        assert (dict(mpl.rcParams) == settings, mpl.pyplot.get_fignums()) == (True, figures)
    assert "ages are counted at 23 November 2027" in later
    assert "2,771 days" in later  # the oldest base, of 22 April 2020


def test_reports_of_several_threads_leave_the_filters_of_warnings(archived: Callable[..., Path]) -> None:
    """All threads share them: what one restores after another has changed them would stay, and later warnings unseen."""
    root = archived(*(taken(week, type="PUBLIC") for week in WEEKS[-2:]))
    before, start = [*warnings.filters], threading.Barrier(3)

    def report(_: int) -> str:
        start.wait()
        return asf.report(root)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(report, range(3)))) == 1
    assert warnings.filters == before


def test_the_functions_are_light_until_called() -> None:
    """Importing the module loads no matplotlib."""
    code = "import sys, appstream_frames.reports.build; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_thirteen_weeks_make_a_small_page(thirteen_weeks: Path) -> None:
    """One account's images and 13 weeks of history are less than 1 MB."""
    assert len(asf.list_snapshots(thirteen_weeks)) == 13
    assert len(asf.report(thirteen_weeks).encode()) < 1_000_000


def test_two_thousand_images_make_no_large_page(estate_report: Report) -> None:
    """Over 2,000 images are less than 5 MB."""
    assert len(asf.read_snapshot(estate_report.root).images) > 2_000
    assert estate_report.path.stat().st_size < 5_000_000


# what is refused


def test_no_snapshot_is_said(root: Path) -> None:
    """An archive without a snapshot has no report."""
    with pytest.raises(asf.SnapshotNotFoundError, match="No snapshot under"):
        asf.report(root)


def test_damage_is_never_reported_as_data(weekly_report: Report, tmp_path: Path) -> None:
    """A damaged file is named and there is no report, though older snapshots are whole."""
    root = Path(shutil.copytree(weekly_report.root, tmp_path / "copy"))
    path = sorted((root / "images").iterdir())[-1]
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(asf.SnapshotCorruptError, match=re.escape(path.name)):
        asf.report(root)


@pytest.mark.parametrize(("damaged", "day"), [(-1, 16), (0, 23)])
def test_a_damaged_manifest_leaves_the_report_of_the_others(
    archived: Callable[..., Path], damaged: int, day: int
) -> None:
    """It is named once, and the newest snapshot whose manifest can be read is reported."""
    root = archived(*(taken(week, include="image_builders", type="PRIVATE") for week in WEEKS))
    path = sorted((root / "coverage").iterdir())[damaged]
    path.write_bytes(b"damage")
    with pytest.warns(UserWarning, match=re.escape(path.name)) as noted:
        page = asf.report(root)
    assert (len(noted), f"AppStream images on {day} November 2026" in page) == (1, True)


def test_a_day_that_is_none_is_refused_first(root: Path) -> None:
    """Before the archive is looked at."""
    with pytest.raises(asf.RequestError, match="today"):
        asf.report(root, today="soon")


def test_wholeness_is_that_of_the_newest_snapshot(archived: Callable[..., Path]) -> None:
    """The command's exit code rests on it, and an older snapshot does not matter."""
    whole, partial = taken(WEEKS[-2], type="PUBLIC"), taken(LAST, type="PUBLIC", max_items=1)
    assert not build_page(archived(whole, partial)).whole
    assert build_page(archived(partial.relabel(WEEKS[0]), whole)).whole


def test_an_image_that_several_accounts_see_counts_once(reported: Callable[..., Report]) -> None:
    """A shared image is a row of each account that reads it, and one image to a person."""
    mine = taken(LAST, type="SHARED")
    other = {name: table.assign(account="999999999999") for name, table in mine.tables.items()}
    page = text_of(reported(mine.merge(asf.Frames(other))))
    assert f"{len(mine.images)} images of yours or shared with you, in 2 accounts" in page


def test_an_image_that_several_accounts_see_counts_once_over_time(reported: Callable[..., Report]) -> None:
    """The chart of agents over time counts as many images as the page speaks of."""
    mine = taken(LAST, type="SHARED")
    other = {name: table.assign(account="999999999999") for name, table in mine.tables.items()}
    both = mine.merge(asf.Frames(other))
    changes = section(reported(both.relabel(WEEKS[0]), both), "changes")
    assert f'alt="Chart: {len(mine.images)} images on {WEEKS[0]}, {len(mine.images)} on {LAST}"' in changes


def test_an_image_that_another_account_sees_now_is_not_added(reported: Callable[..., Report]) -> None:
    """A new share is no new image, and one that is withdrawn is no removed one."""
    mine = taken(LAST, type="PRIVATE")
    other = {name: table.assign(account="999999999999") for name, table in mine.tables.items()}
    fewer = {name: table if name == "coverage" else table.head(0) for name, table in other.items()}
    for before, after in ((fewer, other), (other, fewer)):
        page = text_of(reported(mine.merge(asf.Frames(before)).relabel(WEEKS[0]), mine.merge(asf.Frames(after))))
        assert "none of these images changed" in page


def test_a_failed_image_is_named_with_the_reason_that_aws_gives(weekly_report: Report) -> None:
    """In the summary, and in a table with every error of it."""
    assert "Failed: HR-Desktop-2026-11-hotfix (INTERNAL_ERROR: Sysprep was not able" in text_of(weekly_report)
    assert "VALIDATION_ERROR: Package Microsoft.BingSearch" in section(weekly_report, "failed")


def test_one_name_is_one_row(estate_report: Report) -> None:
    """Images of one name in many accounts share a row that says how many accounts they are in."""
    names = re.findall(r'<th scope="row" role="rowheader">(.*?)</th>', section(estate_report, "agents"))
    assert len(names) == len(set(names)) > 10
    assert "28 accounts" in section(estate_report, "agents")


def test_a_region_that_is_not_enabled_is_nothing_missing(archived: Callable[..., Path]) -> None:
    """Nothing could be read there, so the snapshot is whole, and the page says so."""
    frames = taken(LAST, type="PUBLIC")
    row = frames.coverage.assign(region="me-south-1", status="region_disabled", error_message="Enable the region.")
    coverage = pd.concat([frames.coverage, row], ignore_index=True)
    page = build_page(archived(asf.Frames({**frames.tables, "coverage": coverage})))
    assert "1 target is in a region that is not enabled." in page.html
    assert page.whole


def test_the_report_begins_with_what_to_do(whole_report: Report) -> None:
    """A row for each rule and severity, worst first, with the number of findings, before anything else on the page."""
    first = re.findall(r'<section id="(\w+)">', whole_report.html)[0]
    found = asf.findings(asf.read_snapshot(whole_report.root), history=whole_report.root)
    rows = found[["rule", "severity"]].drop_duplicates()
    severities = re.findall(r'data-label="Severity"[^>]*><span>(\w+)', section(whole_report, "findings"))
    assert (first, len(severities)) == ("findings", len(rows))
    assert severities == sorted(severities, key="high medium low info".split().index)
    assert "kiosk-entrance" in section(whole_report, "findings")


def test_the_report_says_who_uses_the_images(whole_report: Report, weekly_report: Report) -> None:
    """Where fleets and image builders were read; images that can be deleted are named."""
    verdicts = asf.usage(asf.read_snapshot(whole_report.root))["verdict"].eq("unused")
    assert f"{verdicts.sum()} of {len(verdicts)} images are used by nobody" in text_of(whole_report)
    assert section(whole_report, "usage").count("rowheader") == verdicts.sum()
    assert 'id="usage"' not in weekly_report.html
