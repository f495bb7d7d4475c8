"""The reference tables: what ships, and what a user's own folder adds or overrides."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import appstream_frames as asf

TODAY = "2026-11-23"


def write(folder: Path, name: str, *lines: str) -> Path:
    (folder / f"{name}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder


def images(**columns: object) -> pd.DataFrame:
    known = {"account": "012345678901", "region": "eu-west-1", "name": "a", "arn": None, "base_image_arn": None}
    dates = {"public_base_image_released_date": pd.NaT, "latest_appstream_agent_version": None}
    return pd.DataFrame([known | dates | {"appstream_agent_version": None} | columns])


def test_every_row_says_where_it_is_from_and_when_it_was_read() -> None:
    """Each shipped table has an origin, a source and a day."""
    for name, table in asf.reference().items():
        assert table["origin"].eq("reference").all(), name
        assert table[["source", "read_on"]].notna().all(axis=None), name


def test_the_tables_have_the_facts_of_autumn() -> None:
    """Seven more agents, the unified graphics family, features and vendor support are there."""
    found = asf.reference()
    assert {"06-22-2026", "06-14-2026", "05-19-2026"} <= set(found["agent_versions"]["agent_version"])
    assert "AppStream-Graphics-NV-WinServer2025-09-22-2026" in set(found["latest_public_base_images"]["image_name"])
    assert "Agent Access" in set(found["feature_requirements"]["feature"])
    ends = found["vendor_support"].set_index("family_os")["vendor_support_ends"]
    assert ends["WinServer2016"] == pd.Timestamp("2027-01-12", tz="UTC")


def test_a_row_of_one_s_own_comes_first(tmp_path: Path) -> None:
    """It takes the place of the shipped row with its key, others are added."""
    write(tmp_path, "vendor_support", "family_os,vendor_support_ends", "WinServer2016,2028-01-11", "RHEL8,2029-05-31")
    table = asf.reference(tmp_path)["vendor_support"].set_index("family_os")
    assert table.loc["WinServer2016", ["vendor_support_ends", "origin"]].to_list() == [
        pd.Timestamp("2028-01-11", tz="UTC"),
        "yours",
    ]
    assert table.loc["RHEL8", "origin"] == "yours"
    assert table.loc["WinServer2019", "origin"] == "reference"


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_agents_are_judged_by_one_s_own_table(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer agent of one's own is the yardstick, and the answer says that it is yours, and of when."""
    write(tmp_path, "agent_versions", "agent_version,iso_date,read_on", "09-30-2026,2026-09-30,2026-10-02")
    if by == "environment":
        monkeypatch.setenv("APPSTREAM_FRAMES_REFERENCE", str(tmp_path))
    answer = asf.agents(
        images(appstream_agent_version="06-29-2026"), today=TODAY, reference=tmp_path if by == "argument" else None
    ).iloc[0]
    assert answer[["verdict", "days_behind", "newest_from"]].to_list() == ["behind", 93, "yours"]
    assert answer["newest_as_of"] == pd.Timestamp("2026-10-02", tz="UTC")


def test_agents_are_bad_by_one_s_own_table(tmp_path: Path) -> None:
    """Whoever has met a bad agent can say so."""
    write(tmp_path, "known_bad_agents", "agent_version,reason", "06-29-2026,breaks our smart-card reader")
    answer = asf.agents(images(appstream_agent_version="06-29-2026"), today=TODAY, reference=tmp_path).iloc[0]
    assert answer[["verdict", "reason"]].to_list() == ["known_bad", "breaks our smart-card reader"]


def test_bases_are_judged_by_one_s_own_table(tmp_path: Path) -> None:
    """A row of one's own replaces those of its family, an older release too; other families keep theirs."""
    own = "AppStream-WinServer2022-11-10-2025"
    write(tmp_path, "latest_public_base_images", "image_type,image_name", f"Base,{own}")
    public = "arn:aws:appstream:eu-west-1::image/"
    frame = pd.concat(
        [images(base_image_arn=public + own), images(base_image_arn=public + "AppStream-WinServer2019-11-10-2025")]
    )
    answer = asf.base_images(frame, today=TODAY, reference=tmp_path)
    assert answer[["verdict", "newest_from"]].to_numpy().tolist() == [["current", "yours"], ["behind", "reference"]]
    assert pd.isna(answer["newest_as_of"].iloc[0])


def test_the_drain_corrects_one_s_own_table(tmp_path: Path) -> None:
    """What AWS lists is newer than what anybody wrote down."""
    write(tmp_path, "latest_public_base_images", "image_type,image_name", "Base,AppStream-WinServer2022-11-10-2025")
    newer = "arn:aws:appstream:eu-west-1::image/AppStream-WinServer2022-09-15-2026"
    answer = asf.base_images(images(arn=newer), today=TODAY, reference=tmp_path).iloc[0]
    assert answer[["verdict", "newest_from"]].to_list() == ["current", "drain"]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("agents", ["agent_version"], r"agents\.csv is none of the reference tables: agent_versions\.csv"),
        ("agent_versions", ["agent_version", "09-30-2026"], "has no column iso_date, expected agent_version, iso_date"),
        ("agent_versions", ["agent_version,iso_date", "x,09/30/2026"], "has '09/30/2026' in iso_date, expected a day"),
        (
            "agent_versions",
            ["agent_version,iso_date", "x,2026-09-30,"],
            "has more cells in a row than in its first line",
        ),
        ("vendor_support", ["family_os,vendor_support_ends", "RHEL8,"], "has nothing in vendor_support_ends of row 1"),
        ("known_bad_agents", ["agent_version,reason", "a,b", "c, "], "has nothing in reason of row 2"),
        ("vendor_support", ['a,"b'], "cannot be read as a CSV table"),
        ("vendor_support", [], "cannot be read as a CSV table"),
    ],
)
def test_a_table_that_is_none_is_refused(name: str, lines: list[str], message: str, tmp_path: Path) -> None:
    """The error names the file, what is in it, and what is expected."""
    write(tmp_path, name, *lines)
    with pytest.raises(asf.RequestError, match=message):
        asf.reference(tmp_path)


def test_a_base_image_whose_name_tells_nothing_is_refused(tmp_path: Path) -> None:
    """Rather than that the row is passed over."""
    write(tmp_path, "latest_public_base_images", "image_type,image_name", "Base,AppStream-WinServer2022-31-08-2026")
    with pytest.raises(asf.RequestError, match="has 'AppStream-WinServer2022-31-08-2026' in image_name, expected"):
        asf.base_images(images(), reference=tmp_path)


def test_case_spaces_and_blank_rows_change_nothing(tmp_path: Path) -> None:
    """Such as people and spreadsheets leave behind."""
    write(tmp_path, "vendor_support", "family_os, vendor_support_ends", "WINSERVER2016 , 2028-01-11", ",")
    table = asf.reference(tmp_path)["vendor_support"]
    assert table["origin"].to_list() == ["yours", "reference", "reference"]
    write(tmp_path, "retired_base_images", "family_type,family_os,retired_after,released_before,reason")
    write(tmp_path, "retired_base_images", (tmp_path / "retired_base_images.csv").read_text() + ",rhel8,,,we left it")
    frame = images(base_image_arn="arn:aws:appstream:eu-west-1::image/AppStream-RHEL8-08-31-2026")
    assert asf.base_images(frame, today=TODAY, reference=tmp_path)["reason"].item().startswith("we left it")


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that does not exist, and one without a table, are errors, which name the variable that named the folder."""
    with pytest.raises(asf.RequestError, match=r"is no folder\. Name one that holds agent_versions\.csv"):
        asf.reference(tmp_path / "nothing")
    with pytest.raises(asf.RequestError, match="holds no table"):
        asf.agents(images(), reference=tmp_path)
    with pytest.raises(asf.RequestError, match=r"reference=\['mine'\] must be the path of a folder"):
        asf.reference(["mine"])
    monkeypatch.setenv("APPSTREAM_FRAMES_REFERENCE", str(tmp_path / "nothing"))
    with pytest.raises(asf.RequestError, match=r"APPSTREAM_FRAMES_REFERENCE='.*nothing' is no folder"):
        asf.reference()


def test_the_tables_handed_out_are_copies() -> None:
    """Whoever changes one changes nobody else's."""
    table = asf.reference()["vendor_support"]
    del table["family_os"]
    assert "family_os" in asf.reference()["vendor_support"]
