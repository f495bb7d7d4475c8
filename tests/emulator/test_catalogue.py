"""The sample catalogue: reproducible, well formed, and a believable history."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import botocore
import pytest
from support.catalogue import images_of

from appstream_frames.emulator.catalogue import find_week, read_catalogue
from appstream_frames.errors import AppStreamFramesError, RequestError
from appstream_frames.insights.reference import reference
from appstream_frames.resources import find_data_path
from appstream_frames.tables.schema import load_model

WEEKS = range(13)
NEWEST = 12
PROD, DEV, LAB = "012345678901", "111122223333", "444455556666"


def targets() -> list[tuple[str, str]]:
    return [(account, region) for account in read_catalogue()["accounts"] for region in read_catalogue()["regions"]]


def everything(week: int = NEWEST) -> list[dict[str, Any]]:
    return [image for target in targets() for image in images_of(*target, week)]


def test_script_writes_the_committed_bytes(tmp_path):
    """Running the script gives the file that is in data/, byte for byte."""
    for path in (*find_data_path(".").glob("*.csv"), *find_data_path(".").glob("*.py")):
        shutil.copy(path, tmp_path)
    subprocess.run([sys.executable, tmp_path / "make_catalogue.py"], check=True)
    assert (tmp_path / "catalogue.json").read_bytes() == find_data_path("catalogue.json").read_bytes()


def test_file_is_small():
    """The catalogue stays well under the megabytes that a wheel should not carry."""
    assert find_data_path("catalogue.json").stat().st_size < 900_000


def test_there_are_thirteen_mondays():
    """The weeks are Mondays, one after another, from the end of August to the end of November."""
    weeks = [dt.date.fromisoformat(week) for week in read_catalogue()["weeks"]]
    assert weeks == [dt.date(2026, 8, 31) + dt.timedelta(weeks=week) for week in WEEKS]


def test_newest_state_has_hundreds_of_images():
    """The newest week holds some 370 different images."""
    assert 340 <= len({image["Arn"] for image in everything()}) <= 400


def test_default_target_is_the_richest():
    """The first account and region, which are the sandbox's defaults, see the most images."""
    counts = {target: len(images_of(*target, NEWEST)) for target in targets()}
    assert max(counts, key=lambda target: counts[target]) == targets()[0]


def test_one_target_has_no_image_of_its_own():
    """An account may have nothing of its own in a region and see AWS's images only."""
    assert {image["Visibility"] for image in images_of(DEV, "us-west-2", NEWEST)} == {"PUBLIC"}


@pytest.mark.parametrize("week", WEEKS)
def test_arns_are_unique_in_a_target(week):
    """No target lists an ARN twice, in any week."""
    for target in targets():
        assert max(Counter(image["Arn"] for image in images_of(*target, week)).values()) == 1


def faults(value: Any, shape: Any, path: str = "Image") -> list[str]:
    """Return where a value leaves the model."""
    if value is None:
        return []
    if shape.type_name == "structure":
        unknown = [f"{path}.{name} is not modelled" for name in value if name not in shape.members]
        known = [name for name in value if name in shape.members]
        return unknown + [
            fault for name in known for fault in faults(value[name], shape.members[name], f"{path}.{name}")
        ]
    if shape.type_name == "list":
        return [fault for each in value for fault in faults(each, shape.member, path)]
    if shape.type_name == "string":
        bad = (shape.enum and value not in shape.enum) or not re.fullmatch(
            shape.metadata.get("pattern", "(?s).+"), value
        )
        return [f"{path} = {value!r}"] if bad else []
    kinds = {"boolean": bool, "timestamp": float, "map": dict}
    return [] if isinstance(value, kinds[shape.type_name]) else [f"{path} is a {type(value).__name__}"]


def test_every_member_and_value_is_in_the_model():
    """All that the catalogue uses is a member, an enum value or a pattern of botocore's Image."""
    if tuple(map(int, botocore.__version__.split(".")[:3])) < (1, 43, 127):
        pytest.skip("an older botocore lacks the newest members and platforms")
    shape = load_model().operation_model("DescribeImages").output_shape.members["Images"].member
    assert {fault for week in (0, NEWEST) for image in everything(week) for fault in faults(image, shape)} == set()


def test_every_state_of_the_model_occurs():
    """The newest week has an image in each of the eight states."""
    states = "AVAILABLE PENDING CREATING COPYING FAILED DELETING VALIDATING IMPORTING"
    assert {image["State"] for image in everything()} == set(states.split())


def test_public_images_are_in_every_region():
    """Every public base image that is or was the newest of its family is in every region of the newest state."""
    names = set(reference()["latest_public_base_images"]["image_name"])
    for target in targets():
        assert names <= {image["Name"] for image in images_of(*target, NEWEST)}


def test_public_arns_have_no_account():
    """AWS's own images have an ARN without an account, the same for every caller."""
    arns = {image["Arn"] for image in everything() if image["Visibility"] == "PUBLIC"}
    assert all(re.fullmatch(r"arn:aws:appstream:[a-z0-9-]+::image/[A-Za-z0-9-]+", arn) for arn in arns)


def test_public_release_dates_are_those_in_the_names():
    """PublicBaseImageReleasedDate of a public image is the date in its name."""
    for image in everything():
        if image["Visibility"] == "PUBLIC":
            released = dt.datetime.fromtimestamp(image["PublicBaseImageReleasedDate"], dt.UTC)
            assert image["Name"].endswith(f"{released:%m-%d-%Y}")


def test_linux_bases_of_august_arrive_by_and_by():
    """The release of 2026-08-31 is in two regions in the first week, and in all of them from the fifth."""

    def regions(week):
        names = {(region, image["Name"]) for _, region in targets() for image in images_of(PROD, region, week)}
        return {region for region, name in names if name == "AppStream-Graphics-G7-RHEL8-08-31-2026"}

    assert [len(regions(week)) for week in (0, 1, 4)] == [1, 3, 4]


def test_agent_versions_are_real():
    """Every agent is LATEST or a version that AWS has published."""
    real = set(reference()["agent_versions"]["agent_version"]) | {"LATEST"}
    assert {image["AppstreamAgentVersion"] for image in everything()} <= real


def test_few_flags_contradict_the_version():
    """LatestAppstreamAgentVersion fits the agent but for two images, as is seen in real accounts."""
    newest = {"LATEST", "06-29-2026"}
    odd = {
        image["Name"]
        for image in everything()
        if (image["AppstreamAgentVersion"] in newest) != (image["LatestAppstreamAgentVersion"] == "TRUE")
    }
    assert odd == {"says-latest-is-not", "latest-but-flagged-old"}


def test_shared_image_is_the_owners_image():
    """What a consumer sees as SHARED is an available PRIVATE image of its owner, who sees that it is shared."""
    owned = {image["Arn"]: image for image in images_of(DEV, "eu-west-1", NEWEST)}
    shared = [image for image in images_of(PROD, "eu-west-1", NEWEST) if image["Visibility"] == "SHARED"]
    of_dev = [image for image in shared if f":{DEV}:" in image["Arn"]]
    assert of_dev
    assert all(owned[image["Arn"]]["ImageSharedWithOthers"] == "TRUE" for image in of_dev)


def test_a_share_is_revoked():
    """The university loses sight of the golden image in the eighth week, while it still exists."""

    def golden(account, week):
        return {image["Arn"] for image in images_of(account, "eu-west-1", week) if "golden-win2022" in image["Name"]}

    assert [bool(golden(LAB, week) & golden(DEV, week)) for week in (6, 7)] == [True, False]


def test_an_image_is_rebuilt_under_its_arn():
    """The same ARN comes back with another CreatedTime."""
    times = {
        image["CreatedTime"]
        for week in WEEKS
        for image in images_of(PROD, "eu-west-1", week)
        if image["Name"] == "callcenter-training"
    }
    assert len(times) == 2


def test_every_week_brings_news():
    """No two consecutive weeks of the default target are the same."""
    states = [images_of(PROD, "eu-west-1", week) for week in WEEKS]
    assert all(before != after for before, after in pairwise(states))


def test_failed_images_say_why():
    """A FAILED image has a StateChangeReason and at least one error."""
    broken = [image for week in WEEKS for image in everything(week) if image["State"] == "FAILED"]
    assert broken
    assert all(image["StateChangeReason"]["Code"] and image["ImageErrors"] for image in broken)


def test_maps_hold_null_values():
    """An application's Metadata may hold a null, as AWS's does."""
    found = [app.get("Metadata") for image in everything() for app in image.get("Applications") or []]
    assert {"WORKING_DIRECTORY": None} in found


def test_nothing_is_created_after_its_week():
    """A state knows nothing of the future."""
    for week, monday in enumerate(read_catalogue()["weeks"]):
        end = dt.datetime.fromisoformat(monday).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
        assert max(image["CreatedTime"] for image in everything(week)) < end.timestamp()


def test_icons_look_signed_and_are_not():
    """An icon's URL has a query string as AWS's has, with a signature that anybody sees to be fake."""
    icon = next(image for image in everything() if image["Applications"])["Applications"][0]["IconURL"]
    assert icon.startswith("https://")
    assert icon.endswith("&X-Amz-Signature=SANDBOX")


@pytest.mark.parametrize(
    ("at", "week"),
    [
        (None, 12),
        ("2026-08-31", 0),
        ("2026-09-06", 0),
        ("2026-09-07", 1),
        ("2026-09-07T23:59:59+00:00", 1),
        (dt.date(2026, 11, 22), 11),
        (dt.datetime(2026, 11, 23, 4, tzinfo=dt.UTC), 12),
        ("2099-01-01", 12),
    ],
)
def test_find_week_takes_the_newest_week_not_later(at, week):
    """A date selects the newest week that is not later; no date selects the newest."""
    assert find_week(at) == week


@pytest.mark.parametrize("at", ["2026-08-30", "yesterday", "", 20260907])
def test_find_week_names_the_weeks_when_it_refuses(at):
    """A date before the first week, or no date at all, is refused with the list of weeks."""
    with pytest.raises(RequestError, match="2026-08-31, 2026-09-07") as caught:
        find_week(at)
    assert isinstance(caught.value, AppStreamFramesError)
