"""Verdicts on agents and base images: a hand-checked table of real names, and laws that hold for any."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import appstream_frames as asf
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.schema import list_tables

TODAY = "2026-11-23"
OWN = "arn:aws:appstream:eu-west-1:012345678901:image/"
PUBLIC = "arn:aws:appstream:eu-west-1::image/"


def images(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of images with the given values and all columns."""
    keys = {"account": "012345678901", "region": "eu-west-1", "snapshot": dt.datetime(2026, 11, 23, tzinfo=dt.UTC)}
    return to_pandas(pa.Table.from_pylist([{**keys, **row} for row in rows], list_tables()["images"].schema))


def agent(version: str | None, flag: bool | None = None, *others: str) -> pd.Series:
    rows = [{"name": "a", "appstream_agent_version": version, "latest_appstream_agent_version": flag}]
    frame = images(*rows, *({"name": "b", "appstream_agent_version": other} for other in others))
    return asf.agents(frame, today=TODAY).iloc[0]


def base(name: str | None, *public: str, today: str = TODAY) -> pd.Series:
    """Return the answer for an image of our own built on a public base."""
    own = {"name": "own", "arn": OWN + "own", "base_image_arn": name and PUBLIC + name}
    frame = images(own, *({"name": other, "arn": PUBLIC + other, "visibility": "PUBLIC"} for other in public))
    return asf.base_images(frame, today=today).iloc[0]


# Newest known agent on 2026-11-23: 06-29-2026 (base-image version history, "LATEST (06-29-2026)").
AGENTS = [
    ("LATEST", "latest", None),  # always the newest, by definition
    ("06-29-2026", "current", 0),  # the newest AWS has listed
    ("02-09-2026", "behind", 140),  # Feb 9 to Jun 29: 19 + 31 + 30 + 31 + 29
    ("02-04-2026", "behind", 145),  # five days older
    ("12-06-2025", "behind", 205),
    ("10-02-2025", "behind", 270),
    ("09-30-2025", "behind", 272),
    ("01-04-2021", "behind", 2002),  # text sorts it before 02-09-2026, time long before
    ("12-07-2017", "behind", 3126),  # the oldest listed
    ("12-16-2019", "behind", 2387),  # in no release note, seen in a sample: still a date
    ("09-18-2024", "known_bad", 649),  # fails with newer Visual C++ redistributables
    ("09-19-2024", "behind", 648),  # its neighbour is not
    ("11-24-2026", "unknown", None),  # tomorrow
    ("02-30-2024", "unknown", None),  # no such day
    ("13-01-2024", "unknown", None),  # no such month
    ("2024-09-18", "unknown", None),  # not AWS's order
    ("latest", "unknown", None),  # AWS writes it in capitals
    ("", "unknown", None),
    (None, "unknown", None),  # absent
    ("06-29-2026 ", "unknown", None),  # not quite a version
]

# On 2026-11-23, by the list of newest public bases of autumn 2026. Windows: 2026-08-31, but 2016: 2025-11-10.
BASES = [
    ("AppStream-WinServer2022-08-31-2026", "Base WinServer2022", "current", 0),  # the newest listed
    ("AppStream-WinServer2022-11-10-2025", "Base WinServer2022", "behind", 294),  # Nov 10 to Aug 31
    ("AppStream-WinServer2022-05-30-2025", "Base WinServer2022", "behind", 458),  # the oldest still listed
    ("AppStream-WinServer2022-02-11-2025", "Base WinServer2022", "retired", 566),  # before 2025-05-30
    ("AppStream-WinServer2019-08-31-2026", "Base WinServer2019", "current", 0),
    ("AppStream-WinServer2019-11-10-2025", "Base WinServer2019", "behind", 294),
    ("AppStream-WinServer2019-07-12-2022", "Base WinServer2019", "retired", 1511),
    ("AppStream-WinServer2016-11-10-2025", "Base WinServer2016", "current", 0),
    ("AppStream-WinServer2016-10-08-2021", "Base WinServer2016", "retired", 1494),
    ("AppStream-WinServer2025-08-31-2026", "Base WinServer2025", "current", 0),
    ("AppStream-WinServer2025-12-18-2025", "Base WinServer2025", "behind", 256),
    ("AppStream-RHEL8-08-31-2026", "Base RHEL8", "current", 0),
    ("AppStream-RHEL8-04-16-2026", "Base RHEL8", "behind", 137),
    ("AppStream-RockyLinux8-08-31-2026", "Base RockyLinux8", "current", 0),
    ("AppStream-RockyLinux8-12-19-2024", "Base RockyLinux8", "behind", 620),
    ("AppStream-AmazonLinux2-05-08-2024", "Base AmazonLinux2", "retired", None),  # retired after 2026-04-15
    ("AppStream-Graphics-G4dn-WinServer2022-11-10-2025", "Graphics G4dn WinServer2022", "behind", 294),
    ("AppStream-Graphics-G4dn-WinServer2016-11-10-2025", "Graphics G4dn WinServer2016", "current", 0),
    ("AppStream-Graphics-G5-RHEL8-02-18-2026", "Graphics G5 RHEL8", "behind", 194),
    ("AppStream-Graphics-G6-WinServer2025-12-18-2025", "Graphics G6 WinServer2025", "behind", 256),
    ("AppStream-Graphics-G7-WinServer2022-08-31-2026", "Graphics G7 WinServer2022", "current", 0),
    ("AppStream-Graphics-NV-WinServer2025-09-22-2026", "Graphics NV WinServer2025", "current", 0),  # the unified family
    ("AppStream-Graphics-NV-RHEL8-09-01-2026", "Graphics NV RHEL8", "behind", 21),
    ("AppStream-Graphics-Pro-WinServer2019-10-22-2024", "Graphics Pro WinServer2019", "retired", None),  # 2025-10-31
    (
        "AppStream-Graphics-Design-WinServer2019-10-22-2024",
        "Graphics Design WinServer2019",
        "retired",
        None,
    ),  # 2025-12-31
    ("AppStream-Graphics-Desktop-WinServer2012R2-06-12-2018", "Graphics Desktop WinServer2012R2", "retired", None),
    ("Amazon-AppStream2-Sample-Image-06-17-2024", "Sample apps", "current", 0),
    ("Base-Image-Builder-05-02-2018", "Base WinServer2012R2", "retired", None),  # the naming before 2018-06
    ("Graphics-Design-Image-Builder-05-02-2018", "Graphics Design WinServer2012R2", "retired", None),
    ("Graphics-Desktop-Image-Builder-11-13-2017", "Graphics Desktop WinServer2012R2", "retired", None),
    ("Graphics-Pro-Image-Builder-02-30-2018", None, "unknown", None),  # no such day
    ("Graphics-G5-Image-Builder-05-02-2018", None, "unknown", None),  # there was no such name
    ("AppStream-WinServer2022-12-01-2026", "Base WinServer2022", "unknown", None),  # released after today
]


@pytest.mark.parametrize(("version", "verdict", "days"), AGENTS)
def test_verdicts_on_agents(version: str | None, verdict: str, days: int | None) -> None:
    """Each version has the verdict and the distance a person gives it."""
    answer = agent(version)
    assert (answer["verdict"], None if pd.isna(answer["days_behind"]) else answer["days_behind"]) == (verdict, days)


@pytest.mark.parametrize(("name", "family", "verdict", "days"), BASES)
def test_verdicts_on_base_images(name: str, family: str, verdict: str, days: int | None) -> None:
    """Each public base has the family, verdict and distance a person gives it."""
    answer = base(name)
    seen = None if pd.isna(answer["days_behind"]) else answer["days_behind"]
    assert (None if pd.isna(answer["family"]) else answer["family"], answer["verdict"], seen) == (family, verdict, days)


def test_a_newer_agent_in_the_frames_counts() -> None:
    """What another image runs is known to exist, whatever the table says."""
    assert agent("06-29-2026", None, "10-05-2026")[["verdict", "days_behind"]].to_list() == ["behind", 98]


def test_an_agent_from_the_future_does_not_count() -> None:
    """A date after today makes nobody look old."""
    assert agent("06-29-2026", None, "12-31-2026")["verdict"] == "current"


@pytest.mark.parametrize(("version", "flag"), [("03-05-2025", True), ("LATEST", False), ("06-29-2026", False)])
def test_a_contradiction_is_shown(version: str, flag: bool) -> None:
    """AWS's flag and the versions disagree, and the answer says so."""
    assert "AWS flags it" in agent(version, flag)["contradiction"]


@pytest.mark.parametrize(
    ("version", "flag"), [("03-05-2025", False), ("LATEST", True), ("06-29-2026", True), ("x", True)]
)
def test_agreement_is_no_contradiction(version: str, flag: bool) -> None:
    """Where the flag fits the versions, or nothing is known, there is nothing to show."""
    assert pd.isna(agent(version, flag)["contradiction"])


def test_an_old_table_is_noticed_once() -> None:
    """The table's newest version, flagged as not the latest, is behind by an unknown number of days; one warning says why."""
    with pytest.warns(UserWarning, match=r"reference table of agents is old: AWS flags 06-29-2026") as caught:
        answer = agent("06-29-2026", False, "06-29-2026", "03-05-2025")
    assert (answer["verdict"], pd.isna(answer["days_behind"])) == ("behind", True)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("version", "flag", "others", "newest", "origin", "as_of"),
    [
        ("06-29-2026", None, [], "2026-06-29", "reference", "2026-11-26"),  # the table's newest, read in November
        ("02-09-2026", None, [], "2026-06-29", "reference", "2026-11-26"),
        ("02-09-2026", None, ["10-05-2026"], "2026-10-05", "drain", TODAY),  # another image has a newer one
        ("10-05-2026", True, [], "2026-10-05", "drain", TODAY),  # AWS says that it is the latest
        ("06-29-2026", True, [], "2026-06-29", "drain", TODAY),
        ("02-09-2026", True, [], "2026-02-09", "drain", TODAY),  # so it says here, whatever the table has
        ("LATEST", True, [], "2026-06-29", "reference", "2026-11-26"),
        ("06-29-2026", True, ["10-05-2026"], "2026-06-29", "drain", TODAY),
    ],
)
def test_agents_say_where_the_yardstick_is_from(
    version: str, flag: bool | None, others: list[str], newest: str, origin: str, as_of: str
) -> None:
    """The newest agent comes from the drain or from a table, of a day."""
    answer = agent(version, flag, *others)
    seen = [f"{answer['newest_agent']:%Y-%m-%d}", answer["newest_from"], f"{answer['newest_as_of']:%Y-%m-%d}"]
    assert seen == [newest, origin, as_of]


def test_a_pinned_agent_that_aws_flags_as_the_latest_is_current() -> None:
    """The drain corrects the table; that the table has a newer one is shown as a contradiction."""
    answer = agent("02-09-2026", True)
    assert (answer["verdict"], answer["days_behind"]) == ("current", 0)
    assert "though 06-29-2026 is newer" in answer["contradiction"]


def test_a_flag_says_nothing_of_an_agent_released_after_the_drain() -> None:
    """Whoever judges an old snapshot by what is known today finds it behind, and the flag true of its time."""
    frame = images({"appstream_agent_version": "10-02-2025", "latest_appstream_agent_version": True})
    frame["snapshot"] = pd.Timestamp("2025-10-20", tz="UTC")
    then, now = asf.agents(frame).iloc[0], asf.agents(frame, today=TODAY).iloc[0]
    assert (then["verdict"], now["verdict"], now["days_behind"]) == ("current", "behind", 270)
    assert pd.isna(now["contradiction"])


def test_what_a_drain_shows_is_of_its_day() -> None:
    """Not of the day on which somebody asks."""
    frame = images(
        {"appstream_agent_version": "10-05-2026", "arn": PUBLIC + "AppStream-RHEL8-09-30-2026", "visibility": "PUBLIC"}
    )
    for verdicts in (asf.agents(frame, today="2026-12-24"), asf.base_images(frame, today="2026-12-24")):
        assert (verdicts["newest_from"].item(), f"{verdicts['newest_as_of'].item():%Y-%m-%d}") == ("drain", TODAY)


def test_the_base_is_found_through_generations() -> None:
    """An image built on an image built on a public base stands on that base."""
    frame = images(
        {"name": "c", "arn": OWN + "c", "base_image_arn": OWN + "b"},
        {"name": "b", "arn": OWN + "b", "base_image_arn": PUBLIC + "AppStream-WinServer2019-07-12-2022"},
    )
    answer = asf.base_images(frame, today=TODAY).iloc[0]
    assert (answer["base_name"], answer["generations"]) == ("AppStream-WinServer2019-07-12-2022", 2)


def test_images_that_name_each_other_as_base_end() -> None:
    """A stranger's circle of ARNs is unknown, not endless."""
    frame = images(
        {"name": "a", "arn": OWN + "a", "base_image_arn": OWN + "b"},
        {"name": "b", "arn": OWN + "b", "base_image_arn": OWN + "a"},
    )
    assert asf.base_images(frame, today=TODAY)["verdict"].to_list() == ["unknown", "unknown"]


def test_a_base_that_is_not_in_the_frames_is_unknown() -> None:
    """A private base of another account leads nowhere, and its name is kept."""
    frame = images(
        {"name": "a", "arn": OWN + "a", "base_image_arn": "arn:aws:appstream:eu-west-1:999999999999:image/theirs"}
    )
    assert asf.base_images(frame, today=TODAY).iloc[0][["verdict", "base_name"]].to_list() == ["unknown", "theirs"]


def test_no_base_at_all_is_unknown() -> None:
    """An absent base is said to be absent."""
    assert base(None)["reason"] == "AWS names no base image"


def test_a_newer_base_in_the_same_drain_counts() -> None:
    """AWS lists a newer release than the table: the drain wins."""
    answer = base("AppStream-WinServer2022-11-10-2025", "AppStream-WinServer2022-09-15-2026")
    assert (answer["verdict"], answer["newest_from"], answer["days_behind"]) == ("behind", "drain", 309)


def test_the_reference_counts_where_the_drain_has_no_public_images() -> None:
    """Offline, or with `type="PRIVATE"`, the shipped table answers."""
    assert base("AppStream-RHEL8-04-16-2026")["newest_from"] == "reference"


def test_the_public_base_itself_is_its_own_base() -> None:
    """AWS's images are judged too."""
    frame = images({"name": "AppStream-RHEL8-04-16-2026", "arn": PUBLIC + "AppStream-RHEL8-04-16-2026"})
    assert asf.base_images(frame, today=TODAY).iloc[0][["generations", "verdict"]].to_list() == [0, "behind"]


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("AppStream-AmazonLinux2-05-08-2024", "2026-04-15"),
        ("AppStream-Graphics-Pro-RHEL8-10-22-2024", "2025-10-31"),
        ("AppStream-Graphics-Design-RHEL8-10-22-2024", "2025-12-31"),
    ],
)
def test_what_is_retired_after_a_day_is_offered_on_it(name: str, last: str) -> None:
    """The verdict changes on the day after."""
    assert base(name, today=last)["verdict"] != "retired"
    assert base(name, today=f"{dt.date.fromisoformat(last) + dt.timedelta(1)}")["verdict"] == "retired"


@pytest.mark.parametrize(
    ("name", "listed", "newest", "origin", "as_of"),
    [
        ("AppStream-WinServer2022-11-10-2025", [], "AppStream-WinServer2022-08-31-2026", "reference", "2026-11-26"),
        (
            "AppStream-WinServer2022-11-10-2025",
            ["AppStream-WinServer2022-09-15-2026"],
            "AppStream-WinServer2022-09-15-2026",
            "drain",
            TODAY,
        ),
        ("AppStream-RHEL8-04-16-2026", ["AppStream-RHEL8-08-31-2026"], "AppStream-RHEL8-08-31-2026", "drain", TODAY),
        (
            "AppStream-RHEL8-04-16-2026",
            ["AppStream-RHEL8-02-18-2026"],
            "AppStream-RHEL8-08-31-2026",
            "reference",
            "2026-11-26",
        ),
        (
            "AppStream-Graphics-G7-RHEL8-08-31-2026",
            [],
            "AppStream-Graphics-G7-RHEL8-08-31-2026",
            "reference",
            "2026-11-26",
        ),
    ],
)
def test_bases_say_where_the_yardstick_is_from(
    name: str, listed: list[str], newest: str, origin: str, as_of: str
) -> None:
    """The newest base comes from the target's own list or from a table, of a day."""
    answer = base(name, *listed)
    seen = [answer["newest_base"], answer["newest_from"], f"{answer['newest_as_of']:%Y-%m-%d}"]
    assert seen == [newest, origin, as_of]


def test_the_past_has_its_own_yardstick() -> None:
    """In spring the newest base was that of the autumn before."""
    answer = base("AppStream-WinServer2022-05-30-2025", today="2026-04-14")
    assert (answer["newest_base"], answer["days_behind"]) == ("AppStream-WinServer2022-11-10-2025", 164)


@pytest.mark.parametrize("kind", ["CUSTOM", "BYOL"])
def test_an_imported_image_has_no_base(kind: str) -> None:
    """Nothing of AppStream's applies to it."""
    frame = images({"name": "a", "arn": OWN + "a"}).assign(image_type=kind)  # which older models lack
    assert asf.base_images(frame, today=TODAY).iloc[0][["verdict", "maybe_updated"]].to_list() == [
        "not_applicable",
        False,
    ]


@pytest.mark.parametrize(
    ("name", "builder", "maybe"),
    [
        ("AppStream-WinServer2022-11-10-2025", None, True),
        ("AppStream-WinServer2022-02-11-2025", None, True),  # retired
        ("AppStream-WinServer2022-11-10-2025", "ib", False),
        ("AppStream-WinServer2022-08-31-2026", None, False),  # not late
    ],
)
def test_a_late_image_without_a_builder_may_have_been_updated(name: str, builder: str | None, maybe: bool) -> None:
    """The verdict stays, and the reason says so."""
    own = {"name": "own", "arn": OWN + "own", "base_image_arn": PUBLIC + name, "image_builder_name": builder}
    answer = asf.base_images(images(own), today=TODAY).iloc[0]
    assert answer["maybe_updated"] == maybe
    assert ("may have moved it on" in answer["reason"]) == maybe
    assert answer["verdict"] in ("behind", "retired", "current")


@pytest.mark.parametrize(
    ("status", "request_", "listed", "verdict"),
    [
        ("complete", "{}", False, "retired"),  # AWS's images were read whole, and it is not among them
        ("complete", '{"Type": "PUBLIC"}', False, "retired"),
        ("complete", "{}", True, "behind"),
        ("complete", '{"Type": "PRIVATE"}', False, "behind"),  # AWS's images were not asked for
        ("complete", '{"Arns": ["x"]}', False, "behind"),
        ("limited", "{}", False, "behind"),
        ("denied", "{}", False, "behind"),
    ],
)
def test_a_base_that_a_whole_drain_does_not_list_is_retired(
    status: str, request_: str, listed: bool, verdict: str, frames: asf.Frames
) -> None:
    """The drain knows better than the table, if it read all of AWS's images."""
    old = "AppStream-WinServer2022-11-10-2025"
    own = {"name": "own", "arn": OWN + "own", "base_image_arn": PUBLIC + old}
    other = {"name": "x", "arn": PUBLIC + "AppStream-RHEL8-08-31-2026", "visibility": "PUBLIC"}
    rows = images(own, other, *([{"name": old, "arn": PUBLIC + old, "visibility": "PUBLIC"}] if listed else []))
    coverage = frames.coverage.iloc[:1].assign(
        account="012345678901", region="eu-west-1", operation="DescribeImages", status=status, request=request_
    )
    answer = asf.base_images(asf.Frames({"images": rows, "coverage": coverage}), today=TODAY)
    assert answer["verdict"].iloc[0] == verdict


def test_what_a_drain_lists_is_not_retired() -> None:
    """AWS may bring a release back that the table calls retired."""
    name = "AppStream-WinServer2022-02-11-2025"
    assert base(name)["verdict"] == "retired"
    assert base(name, name)["verdict"] == "behind"


def test_a_copied_image_may_name_its_base_as_of_another_region() -> None:
    """AWS lists the base of that name in this region too."""
    name = "AppStream-WinServer2022-02-11-2025"
    own = {"name": "own", "arn": OWN + "own", "base_image_arn": (PUBLIC + name).replace("eu-west-1", "us-east-1")}
    rows = images(own, {"name": name, "arn": PUBLIC + name, "visibility": "PUBLIC"})
    assert asf.base_images(rows, today=TODAY)["verdict"].iloc[0] == "behind"


@pytest.mark.parametrize("answer", [asf.agents, asf.base_images])
def test_the_answer_has_the_rows_of_the_question(answer: Any, frames: asf.Frames) -> None:
    """Same number, same order, same index, nothing changed in what was handed in."""
    asked = frames.images.iloc[::-3]
    before = asked.copy(deep=True)
    assert answer(asked).index.equals(asked.index)
    assert answer(asked)["arn"].equals(asked["arn"])
    pd.testing.assert_frame_equal(asked, before)


@pytest.mark.parametrize("answer", [asf.agents, asf.base_images])
def test_an_empty_question_has_a_typed_answer(answer: Any, frames: asf.Frames) -> None:
    """No images give no rows, with the dtypes of a full answer."""
    assert answer(frames.images.iloc[:0]).dtypes.equals(answer(frames.images).dtypes)


@pytest.mark.parametrize("answer", [asf.agents, asf.base_images])
def test_a_frame_without_its_columns_is_refused(answer: Any) -> None:
    """The error names the column and what to pass."""
    with pytest.raises(asf.RequestError, match=r"frames\.images"):
        answer(pd.DataFrame({"name": ["a"]}))


VERSIONS = st.one_of(
    st.none(),
    st.just("LATEST"),
    st.text(max_size=12),
    st.dates(dt.date(2016, 1, 1), dt.date(2028, 1, 1)).map("{:%m-%d-%Y}".format),
)


@given(st.lists(st.tuples(VERSIONS, st.none() | st.booleans()), min_size=1, max_size=12))
@pytest.mark.slow
def test_laws_of_agents(given_: list[tuple[str | None, bool | None]]) -> None:
    """A verdict for everyone; nobody is behind nothing; the newest known is never before a pinned one up to today."""
    rows = [{"appstream_agent_version": version, "latest_appstream_agent_version": flag} for version, flag in given_]
    answer = asf.agents(images(*rows), today=TODAY)
    assert set(answer["verdict"]) <= {"latest", "current", "behind", "known_bad", "unknown"}
    assert not (answer["days_behind"].dropna() < 0).any()
    assert answer.loc[answer["verdict"] == "current", "days_behind"].eq(0).all()
    dated = answer[answer["agent_date"].notna() & (answer["agent_date"] <= pd.Timestamp(TODAY, tz="UTC"))]
    assert (dated["agent_date"] <= dated["newest_agent"]).all()


def test_the_columns_of_an_image_are_in_the_model() -> None:
    """What the answers need, the lowest supported model has."""
    needed = {"arn", "base_image_arn", "appstream_agent_version", "latest_appstream_agent_version"}
    assert needed <= set(list_tables()["images"].schema.names)


def shared(account: str, moment: str = "2026-11-23", **members: Any) -> dict[str, Any]:
    """Return what an account sees of the golden image of 012345678901."""
    row = {"account": account, "snapshot": pd.Timestamp(moment, tz="UTC"), "name": "golden", "arn": OWN + "golden"}
    return row | members


@pytest.mark.parametrize("step", [1, -1])
def test_a_base_that_one_account_does_not_see_is_another_ones(step: int) -> None:
    """A row that lacks its base takes the one that another account sees of the same image, in any order."""
    seen = PUBLIC + "AppStream-WinServer2019-07-12-2022"
    built = {"name": "b", "arn": OWN + "b", "base_image_arn": OWN + "golden"}
    rows = [shared("012345678901", base_image_arn=seen), shared("111122223333"), built]
    assert asf.base_images(images(*rows[::step]), today=TODAY)["verdict"].to_list() == ["retired"] * 3


def test_a_row_stands_on_its_own_base() -> None:
    """What a row says of its base counts before what any other row says."""
    bases = [PUBLIC + f"AppStream-WinServer2022-{day}" for day in ("05-30-2025", "08-31-2026")]
    rows = [shared(account, base_image_arn=base) for account, base in zip(("111122223333", "2"), bases, strict=True)]
    assert asf.base_images(images(*rows), today=TODAY)["verdict"].to_list() == ["behind", "current"]


def test_a_rebuild_leaves_the_old_build_its_base() -> None:
    """Over a history an image, and what was built on it, stand on the base of their own snapshot."""
    bases = [PUBLIC + f"AppStream-WinServer2022-{day}" for day in ("05-30-2025", "08-31-2026")]
    rows = [
        row
        for moment, base in zip(("2026-11-16", "2026-11-23"), bases, strict=True)
        for row in (
            shared("1", moment, base_image_arn=base),
            shared("1", moment, name="b", arn=OWN + "b", base_image_arn=OWN + "golden"),
        )
    ]
    assert asf.base_images(images(*rows), today=TODAY)["verdict"].to_list() == ["behind"] * 2 + ["current"] * 2


ARNS = [PUBLIC + name for name in ("AppStream-RHEL8-04-16-2026", "Base-Image-Builder-05-02-2018", "Other")]
ARNS += [PUBLIC + "AppStream-WinServer2012R2-05-02-2018", *(OWN + name for name in "abc"), None]
ROWS = st.fixed_dictionaries(
    {
        "account": st.sampled_from(["012345678901", "111122223333", "222233334444"]),
        "snapshot": st.sampled_from([pd.Timestamp(day, tz="UTC") for day in ("2026-11-16", "2026-11-23")]),
        "arn": st.sampled_from(ARNS),
        "base_image_arn": st.sampled_from(ARNS),
        "appstream_agent_version": st.sampled_from(["06-29-2026", "07-29-2026", "LATEST", "x", None]),
        "latest_appstream_agent_version": st.none() | st.booleans(),
    }
)


@pytest.mark.parametrize("answer", [asf.agents, asf.base_images])
@given(data=st.data())
def test_the_order_of_rows_says_nothing(answer: Any, data: st.DataObject) -> None:
    """Shuffled images, of any accounts and snapshots, have the answers that they had."""
    frame = images(*data.draw(st.lists(ROWS, min_size=1, max_size=12)))
    shuffled = frame.iloc[data.draw(st.permutations(range(len(frame))))]
    pd.testing.assert_frame_equal(answer(shuffled).sort_index(), answer(frame))
