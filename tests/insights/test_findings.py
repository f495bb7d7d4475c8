"""What to do today: each rule finds what it should in the sandbox's account, changed by hand where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import appstream_frames as asf

TODAY = "2026-11-23"
ACCOUNT = "012345678901"
Change = Callable[[dict[str, pd.DataFrame]], None]


@pytest.fixture(scope="module")
def estate() -> asf.Frames:
    """Return everything of the sandbox's first account."""
    with asf.sandbox(at=TODAY) as box:
        return asf.drain(box.client(), include="all").relabel(TODAY)


@pytest.fixture(scope="module")
def found(estate: asf.Frames) -> pd.DataFrame:
    """Return the findings of that account: to read, never to change."""
    return asf.findings(estate)


def changed(estate: asf.Frames, table: str, row: int = 0, **values: object) -> asf.Frames:
    """Return the frames with other values in one row of a table."""
    copy = estate.tables[table].copy()
    for name, value in values.items():
        column = copy[name].astype(object)
        column.loc[row] = value
        copy[name] = column.astype(copy[name].dtype)
    return asf.Frames({**estate.tables, table: copy})


def rules_of(found: pd.DataFrame, name: str) -> set[str]:
    """Return the rules that found something about a resource."""
    return set(found.loc[found["name"] == name, "rule"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "severity", "name", "value"),
    [
        ("image_failed", "high", "HR-Desktop-2026-11-hotfix", None),  # Sysprep
        ("agent_known_bad", "high", "Payroll-FR-paie", 649),  # 09-18-2024, the newest being 06-29-2026
        ("base_retired", "high", "win2012r2-archive-viewer", 2406),  # of 2020-04-22
        ("fleet_image_gone", "high", "kiosk-entrance", None),  # stands on a public image that AWS retired
        ("fleet_error", "high", "quality-lims", 2),  # two errors
        ("agent_behind", "medium", "BI-Analyst-2026Q1", 270),  # 10-02-2025
        ("base_behind", "medium", "Finance-Desktop-2026-08", 294),  # 2025-11-10, the newest being 2026-08-31
        ("support_ending", "medium", "quality-lims-2024", 50),  # Windows Server 2016, on 2027-01-12
        ("fleet_image_old", "medium", "bi-analyst", 378),  # a base of 2025-11-10
        ("builder_running", "medium", "ib-legacy-erp", 66),  # made on 2026-09-18
        ("image_unused", "low", "BI-Analyst-2026Q1", None),
    ],
)
def test_each_rule_finds_its_case(found: pd.DataFrame, rule: str, severity: str, name: str, value: int | None) -> None:
    """With its severity, and the days or the count on which it rests."""
    (row,) = found[(found["rule"] == rule) & (found["name"] == name)].itertuples()
    assert (row.severity, None if pd.isna(row.value) else row.value) == (severity, value)
    assert row.account == ACCOUNT
    assert row.finding.endswith(".")
    assert row.remedy.endswith(".")


def test_support_that_has_ended_is_worse_than_one_that_ends(estate: asf.Frames) -> None:
    """On the day after the end the finding is another one."""
    for today, rule in (("2027-01-12", "support_ending"), ("2027-01-13", "support_ended")):
        assert rule in rules_of(asf.findings(estate, today=today), "quality-lims-2024")


@pytest.mark.parametrize(("days", "expected"), [(0, True), (9, True), (10, False)])
def test_support_has_ended_more_than_so_many_days_ago(estate: asf.Frames, days: int, expected: bool) -> None:
    """The threshold is the caller's: on the tenth day after the end, ten days are not more than ten."""
    found = asf.findings(estate, today="2027-01-22", rules={"support_ended": days})
    assert ("support_ended" in rules_of(found, "quality-lims-2024")) == expected


def test_support_is_of_the_platform_where_no_base_tells(estate: asf.Frames) -> None:
    """An image whose base is not known has the operating system that AWS reports of it."""
    row = int(estate.images.index[estate.images["name"] == "win11-shopfloor-byol"][0])
    for platform, rules in (("WINDOWS_SERVER_2016", {"support_ending"}), ("WINDOWS_SERVER_2022", set())):
        found = asf.findings(changed(estate, "images", row, platform=platform))
        assert rules_of(found, "win11-shopfloor-byol") & {"support_ending"} == rules


@pytest.mark.parametrize(("created", "old"), [("2026-10-24T00:00", False), ("2026-10-23T23:59", True)])
def test_the_age_of_a_fleet_s_image_is_in_days(estate: asf.Frames, created: str, old: bool) -> None:
    """An image of thirty days ago is not too old and one of 31 is, at whatever time of the day it was made."""
    image = estate.images["name"] == "win11-shopfloor-byol"  # imported: no base is older
    row, arn = int(estate.images.index[image][0]), estate.images.loc[image, "arn"].item()
    frames = changed(estate, "images", row, created_time=pd.Timestamp(created, tz="UTC"))
    found = asf.findings(changed(frames, "fleets", 0, image_arn=arn))
    assert ("fleet_image_old" in rules_of(found, estate.fleets["name"].iloc[0])) == old


def test_a_table_older_than_the_drain_is_found_once(estate: asf.Frames) -> None:
    """Agents and base images that the reference does not list, in however many images."""
    row = int(estate.images.index[estate.images["owner"].eq(ACCOUNT)][0])
    frames = changed(estate, "images", row, appstream_agent_version="11-02-2026")
    public = int(estate.images.index[estate.images["owner"].isna()][0])
    arn = "arn:aws:appstream:eu-west-1::image/AppStream-WinServer2022-11-09-2026"
    found = asf.findings(changed(frames, "images", public, arn=arn))
    old = found[found["rule"] == "reference_old"]
    assert old["name"].to_list() == ["agent_versions", "latest_public_base_images"]
    assert old["finding"].str.contains("2026-11-02|AppStream-WinServer2022-11-09-2026").all()


def test_an_agent_that_only_aws_knows_to_be_late_is_behind(estate: asf.Frames) -> None:
    """By an unknown number of days, at least one; and the table is older than AWS's flag, on whatever day one asks."""
    own = estate.images.index[estate.images["owner"] == ACCOUNT]
    for day, version in (("2026-06-20", "06-14-2026"), (TODAY, "06-29-2026")):
        images = estate.images.loc[own[:1]].assign(
            appstream_agent_version=version, latest_appstream_agent_version=False
        )
        frames = asf.Frames({**estate.tables, "images": images})
        with pytest.warns(UserWarning, match="table of agents is old"):
            found = asf.findings(frames, today=day)
        rows = found[found["rule"].isin(["agent_behind", "reference_old"])]
        assert rows["rule"].to_list() == ["agent_behind", "reference_old"]
        assert rows["value"].isna().all()
        assert rows["reference_date"].iloc[1] == pd.to_datetime(version, format="%m-%d-%Y", utc=True)


def test_a_private_image_without_an_arn_is_ones_own(estate: asf.Frames) -> None:
    """AWS may send none, say of an image that it could not make."""
    row = int(estate.images.index[estate.images["owner"] == ACCOUNT][0])
    frames = changed(estate, "images", row, arn=None, owner=None, state="FAILED")
    assert "image_failed" in rules_of(asf.findings(frames), estate.images.loc[row, "name"])


def test_fleets_without_an_arn_have_findings_of_their_own(estate: asf.Frames) -> None:
    """Names tell them apart."""
    errors = estate.fleet_errors.head(2).assign(fleet_arn=None, fleet_name=["a", "b"], position=0)
    found = asf.findings(asf.Frames({**estate.tables, "fleet_errors": errors}))
    rows = found[found["rule"] == "fleet_error"]
    assert list(zip(rows["name"], rows["value"], strict=True)) == [("a", 1), ("b", 1)]


def test_days_are_counted_from_the_snapshot_where_no_image_was_read(estate: asf.Frames) -> None:
    """Not from the day on which somebody asks."""
    found = asf.findings(asf.Frames({**estate.tables, "images": estate.images.head(0)}))
    assert found.loc[found["rule"] == "builder_running", "value"].to_list() == [66]


def test_what_was_not_read_is_found(estate: asf.Frames) -> None:
    """The images of a target are worth more than another operation; what need not be read is no finding."""
    coverage = estate.coverage.assign(status=["denied", "throttled", *["complete"] * 7, "not_offered"])
    found = asf.findings(asf.Frames({**estate.tables, "coverage": coverage}))
    rows = found[found["rule"].isin(["target_not_read", "operation_not_read"])]
    assert rows[["severity", "rule", "name"]].to_numpy().tolist() == [
        ["high", "target_not_read", "DescribeImages"],
        ["medium", "operation_not_read", "DescribeFleets"],
    ]


def test_what_was_not_drained_is_named_once_and_found_nowhere(estate: asf.Frames) -> None:
    """Without fleets and image builders no image is unused, and one row each says what was not drained."""
    with asf.sandbox(at=TODAY) as box:
        found = asf.findings(asf.drain(box.client()).relabel(TODAY))
    missing = found[found["rule"] == "not_drained"]
    assert set(missing["name"]) == {
        "DescribeFleets",
        "DescribeImageBuilders",
        "DescribeStacks",
        "DescribeImagePermissions",
    }
    assert not set(found["rule"]) & {"image_unused", "fleet_error", "fleet_image_old", "builder_running"}


def test_what_was_not_drained_in_some_targets_is_named(estate: asf.Frames) -> None:
    """Frames that were merged may have read more of one target than of another."""
    images_only = estate.coverage.head(1).assign(region="us-east-1")
    coverage = pd.concat([estate.coverage, images_only], ignore_index=True)
    found = asf.findings(asf.Frames({**estate.tables, "coverage": coverage}))
    rows = found[found["name"] == "DescribeFleets"]
    assert rows["finding"].to_list() == [
        "DescribeFleets was not drained in 1 of 2 targets, so nothing is said of fleets there."
    ]


def test_an_agent_of_another_target_is_no_yardstick(estate: asf.Frames) -> None:
    """Its target may fail tomorrow, which must take nobody else's findings; `agents` knows it all the same."""
    newer = estate.images.head(1).assign(region="us-east-1", appstream_agent_version="10-05-2026")
    both = asf.Frames({**estate.tables, "images": pd.concat([estate.images, newer], ignore_index=True)})
    found = asf.findings(both)
    of_others = found[found["region"].ne("us-east-1") & found["rule"].ne("reference_old")]  # that is of no target
    pd.testing.assert_frame_equal(of_others.reset_index(drop=True), asf.findings(estate))
    assert set(asf.agents(both)["newest_agent"].dt.strftime("%m-%d-%Y")) >= {"10-05-2026"}


def test_a_base_that_only_another_target_shows_is_no_yardstick(estate: asf.Frames) -> None:
    """What an image was built on is known from the rows of its own target."""
    own = estate.images.index[estate.images["owner"] == ACCOUNT][0]
    golden = "arn:aws:appstream:eu-west-1:999999999999:image/golden"
    built = changed(estate, "images", own, base_image_arn=golden)
    base = "arn:aws:appstream:eu-west-1::image/AppStream-WinServer2019-07-12-2022"
    theirs = estate.images.head(1).assign(account="999999999999", owner="999999999999", name="golden", arn=golden)
    images = pd.concat([built.images, theirs.assign(base_image_arn=base)], ignore_index=True)
    both = asf.Frames({**built.tables, "images": images})
    name = estate.images.loc[own, "name"]
    assert "base_retired" not in rules_of(asf.findings(both), name)
    assert asf.base_images(both).loc[own, "verdict"] == "retired"


def test_a_share_with_a_stranger_is_found(estate: asf.Frames) -> None:
    """An account that was drained is none."""
    arn = estate.images.loc[estate.images["owner"] == ACCOUNT, "arn"].iloc[0]
    shares = estate.permissions.reindex(range(2)).assign(
        account=ACCOUNT, region="eu-west-1", image_arn=arn, image_name="cad"
    )
    shares["shared_account_id"] = [ACCOUNT, "999999999999"]
    found = asf.findings(asf.Frames({**estate.tables, "permissions": shares}))
    assert found.loc[found["rule"] == "image_shared_outside", "finding"].to_list() == [
        "It is shared with 999999999999, which was not drained here."
    ]


def test_where_an_account_is_not_known_no_share_is_found(estate: asf.Frames) -> None:
    """The stranger may be the account of the target that could not be signed in to; that is said once."""
    failed = estate.coverage.head(1).assign(account=None, region="us-east-1", status="bad_credentials")
    shares = estate.permissions.reindex(range(3)).assign(account=ACCOUNT, shared_account_id="999999999999")
    coverage = pd.concat([estate.coverage, failed], ignore_index=True)
    found = asf.findings(asf.Frames({**estate.tables, "permissions": shares, "coverage": coverage}))
    rows = found[found["rule"].isin(["image_shared_outside", "not_drained"])]
    assert rows[["rule", "name"]].to_numpy().tolist() == [["not_drained", "DescribeImagePermissions"]]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "near"), [(7, False), (8, True), (10, True), (11, False)])
def test_a_quota_that_is_nearly_used_is_found(estate: asf.Frames, count: int, near: bool) -> None:
    """From eight of ten on; more than ten is another quota, which is not known."""
    found = asf.findings(asf.Frames({**estate.tables, "stacks": estate.stacks.head(count)}))
    assert ("stacks" in set(found.loc[found["rule"] == "quota_near", "name"])) == near


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rules", "expected"),
    [({}, 26), ({"agent_behind": 349}, 10), ({"agent_behind": 348}, 12), ({"agent_behind": None}, 0)],
)
def test_a_threshold_is_the_callers(estate: asf.Frames, rules: dict[str, int | None], expected: int) -> None:
    """Only what is over it is found, and a rule that is left out finds nothing."""
    found = asf.findings(estate, rules=rules)
    assert (found["rule"] == "agent_behind").sum() == expected


def test_a_severity_is_the_callers(estate: asf.Frames) -> None:
    """A rule that matters less to somebody is ranked lower."""
    found = asf.findings(estate, rules={"base_retired": "info"})
    assert set(found.loc[found["rule"] == "base_retired", "severity"]) == {"info"}
    assert found["severity"].iloc[-1] == "info"


@pytest.mark.parametrize(
    "rules",
    [{"nonsense": 1}, {"image_failed": 3}, {"agent_behind": "red"}, {"agent_behind": True}, [("agent_behind", 1)]],
)
def test_a_rule_that_cannot_be_changed_so_is_refused(estate: asf.Frames, rules: dict[str, object]) -> None:
    """The message says what there is to choose."""
    with pytest.raises(asf.RequestError, match=r"none of target_not_read|expected|must be a mapping"):
        asf.findings(estate, rules=rules)


@pytest.mark.slow
def test_findings_are_worst_first_and_the_same_in_any_order_of_rows(estate: asf.Frames, found: pd.DataFrame) -> None:
    """Sorted by severity, rule and resource."""
    ranks = found["severity"].map({"high": 0, "medium": 1, "low": 2, "info": 3})
    assert ranks.is_monotonic_increasing
    unknown = estate.coverage.head(2).assign(account=None, status="failed", error_message=["a", "b"])
    unknown["operation"] = "DescribeImages"
    estate = asf.Frames({**estate.tables, "coverage": pd.concat([estate.coverage, unknown], ignore_index=True)})
    found = asf.findings(estate)
    for seed in range(2):
        mixed = {name: table.sample(frac=1, random_state=seed) for name, table in estate.tables.items()}
        pd.testing.assert_frame_equal(asf.findings(asf.Frames(mixed)), found)


def test_rows_may_have_any_index(estate: asf.Frames, found: pd.DataFrame) -> None:
    """Such as that of frames which the user put together by `pandas.concat`."""
    halves = {name: [table.iloc[::2], table.iloc[1::2]] for name, table in estate.tables.items()}
    joined = {name: pd.concat([half.reset_index(drop=True) for half in two]) for name, two in halves.items()}
    pd.testing.assert_frame_equal(asf.findings(asf.Frames(joined)), found)


@pytest.mark.slow
def test_a_history_says_since_when_a_builder_runs(estate: asf.Frames, root: Path) -> None:
    """From the first snapshot after the last one that saw it stopped; without such a one, its creation counts."""
    states = {"2026-11-02": "RUNNING", "2026-11-09": "STOPPED", "2026-11-12": "RUNNING", "2026-11-20": "RUNNING"}
    for day, state in states.items():
        asf.write_snapshot(changed(estate, "image_builders", 2, state=state).relabel(day), root)
    found = asf.findings(estate, history=root)
    (row,) = found[found["rule"] == "builder_running"].itertuples()
    assert (row.name, row.value, "by the history" in row.finding) == ("ib-legacy-erp", 11, True)


@pytest.mark.slow
def test_a_builder_that_the_history_last_saw_stopped_runs_since_now(estate: asf.Frames, root: Path) -> None:
    """Frames of a drain just now need not be in the archive."""
    asf.write_snapshot(changed(estate, "image_builders", 2, state="STOPPED").relabel("2026-11-20"), root)
    assert "builder_running" not in set(asf.findings(estate, history=root)["rule"])


@pytest.mark.slow
def test_a_builder_that_was_made_again_runs_since_then(estate: asf.Frames, root: Path) -> None:
    """The history is of an earlier one of its name."""
    for day, state in {"2026-09-01": "STOPPED", "2026-09-08": "RUNNING"}.items():
        asf.write_snapshot(changed(estate, "image_builders", 2, state=state).relabel(day), root)
    found = asf.findings(estate, history=root)
    (row,) = found[found["rule"] == "builder_running"].itertuples()
    assert (row.name, row.value, "by its creation" in row.finding) == ("ib-legacy-erp", 66, True)


def test_an_image_of_another_account_is_its_owners_finding(found: pd.DataFrame) -> None:
    """An account that sees a shared image has nothing to do about it."""
    images = found[found["resource"] == "image"]
    assert (images["arn"].str.split(":").str[4] == images["account"]).all()
