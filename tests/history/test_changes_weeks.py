"""What changed between two of the sandbox's thirteen weeks, as its story tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import appstream_frames as asf
from appstream_frames.history.changes import diff
from appstream_frames.tables.frames import Frames

Taken = Callable[..., Frames]


@pytest.fixture(scope="module")
def taken() -> Taken:
    """Return a function that drains one target of the sandbox in one week."""

    def drained(week: str, account: str = "012345678901", region: str = "eu-west-1", **parameters: Any) -> Frames:
        with asf.sandbox(at=week) as box:
            return asf.drain(box.client(account, region), **parameters).relabel(week)

    return drained


def test_the_sandbox_rebuilds_an_image(taken: Taken) -> None:
    """callcenter-training was deleted and built anew between 28 September and 5 October 2026."""
    changes = diff(taken("2026-09-28"), taken("2026-10-05")).set_index("name")
    assert sorted(changes.loc["callcenter-training", "change"]) == ["added", "removed"]


def test_the_sandbox_retires_public_images(taken: Taken) -> None:
    """On 12 October 2026 eu-west-1 no longer lists the nine public images of 30 May 2025."""
    changes = diff(taken("2026-10-05", type="PUBLIC"), taken("2026-10-12", type="PUBLIC"))
    assert (changes["change"].unique().tolist(), changes["name"].str.endswith("05-30-2025").sum(), len(changes)) == (
        ["removed"],
        9,
        9,
    )


def test_the_sandbox_revokes_a_share(taken: Taken) -> None:
    """On 19 October 2026 the university no longer sees the three golden images that eu-west-1 had for it."""
    sides = [taken(week, "444455556666", type="SHARED") for week in ("2026-10-12", "2026-10-19")]
    removed = diff(*sides).query("change == 'removed'")["name"].to_list()
    assert removed == [f"golden-win2022-{day}" for day in ("20260805", "20260905", "20261004")]


def test_the_sandbox_turns_off_dynamic_applications(taken: Taken) -> None:
    """One image got another flag on 26 October 2026."""
    sides = [taken(week, "111122223333", type="PRIVATE") for week in ("2026-10-19", "2026-10-26")]
    flags = diff(*sides).query("column == 'dynamic_app_providers_enabled'")[["name", "before", "after"]]
    assert flags.to_dict("records") == [{"name": "msix-dynamic-apps", "before": "true", "after": "false"}]


def test_the_sandbox_installs_applications(taken: Taken) -> None:
    """With the flag, msix-dynamic-apps got the applications of the basic set, and lost none."""
    sides = [taken(week, "111122223333", type="PRIVATE") for week in ("2026-10-19", "2026-10-26")]
    changes = diff(*sides, "applications").query("image_name == 'msix-dynamic-apps'")
    assert set(changes["change"]) == {"added"}
