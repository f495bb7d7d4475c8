"""The application catalogue: each application with its images, and where one name means different applications."""

from __future__ import annotations

import datetime as dt
import json
from random import Random
from typing import Any

import pandas as pd
import pytest

import appstream_frames as asf
from appstream_frames.tables.conversion import make_empty, to_pandas
from appstream_frames.tables.decode import Key, decode
from appstream_frames.tables.frames import Frames

VARIANT = ["name", "launch_path", "launch_parameters", "working_directory"]


def frames_of(*targets: tuple[str, list[dict[str, Any]]]) -> Frames:
    """Return the frames of some images, by account."""
    moment = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    parts = [
        decode([json.dumps(image).encode() for image in images], Key(moment, account, "eu-west-1"))
        for account, images in targets
    ]
    tables = {name: pd.concat([to_pandas(part[name]) for part in parts], ignore_index=True) for name in parts[0]}
    return Frames({**tables, "coverage": make_empty("coverage")})


def image(name: str, *applications: dict[str, Any]) -> dict[str, Any]:
    return {"Name": name, "Arn": f"arn:aws:appstream:eu-west-1:1:image/{name}", "Applications": list(applications)}


def test_one_name_with_two_paths_is_two_variants() -> None:
    """Each variant has the images that hold it, and says that the name differs."""
    old, new = ({"Name": "CAD", "DisplayName": "CAD", "LaunchPath": path} for path in ("C:\\cad1", "C:\\cad2"))
    found = asf.application_versions(frames_of(("1", [image("a", old), image("b", new), image("c", new)])))
    assert found[["launch_path", "images", "image_names", "variants", "differs"]].values.tolist() == [
        ["C:\\cad2", 2, ("b", "c"), 2, True],
        ["C:\\cad1", 1, ("a",), 2, True],
    ]


@pytest.mark.parametrize("member", ["LaunchParameters", "WorkingDirectory"])
def test_other_parameters_make_a_variant(member: str) -> None:
    """The same path with other parameters, or with none, starts something else."""
    found = asf.application_versions(
        frames_of(("1", [image("a", {"Name": "X", member: "-a"}), image("b", {"Name": "X"})]))
    )
    assert found["variants"].to_list() == [2, 2]


def test_an_image_that_two_accounts_see_counts_once() -> None:
    """A shared image has a row in each account and is one image."""
    shared = image("a", {"Name": "X"})
    found = asf.application_versions(frames_of(("1", [shared]), ("2", [shared])))
    assert found[["images", "variants"]].values.tolist() == [[1, 1]]


def test_images_without_an_arn_are_distinguished_by_account() -> None:
    """Two accounts may have images of one name."""
    nameless = {"Name": "a", "Applications": [{"Name": "X"}]}
    found = asf.application_versions(frames_of(("1", [nameless]), ("2", [nameless])))
    assert found["images"].to_list() == [2]


def test_the_order_of_rows_changes_nothing(frames: asf.Frames) -> None:
    """Whatever order targets, images and applications come in, the answer is the same."""
    expected = asf.application_versions(frames)
    for seed in range(5):
        shuffled = {name: table.sample(frac=1, random_state=seed) for name, table in frames.tables.items()}
        pd.testing.assert_frame_equal(asf.application_versions(Frames(shuffled)), expected)


def test_counts_are_those_of_a_loop(frames: asf.Frames) -> None:
    """Every application of every image is counted in exactly one row."""
    images: dict[Any, set[str]] = {}
    for row in frames.applications.astype(object).where(frames.applications.notna(), None).to_dict("records"):
        images.setdefault(tuple(row[name] for name in VARIANT), set()).add(row["image_arn"])
    found = asf.application_versions(frames)
    keys = found[VARIANT].astype(object).where(found[VARIANT].notna(), None).itertuples(index=False, name=None)
    assert dict(zip(keys, found["images"], strict=True)) == {key: len(arns) for key, arns in images.items()}


def test_types_do_not_depend_on_content(frames: asf.Frames) -> None:
    """Without an application the frame has the columns and dtypes of a full one."""
    none = Frames({**frames.tables, "applications": frames.applications.head(0)})
    assert asf.application_versions(none).dtypes.equals(asf.application_versions(frames).dtypes)


def test_what_is_no_frames_is_refused(frames: asf.Frames) -> None:
    """The error says what to pass."""
    with pytest.raises(asf.RequestError, match="pass Frames"):
        asf.application_versions(frames.applications)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "title"),
    [
        ("A A B", "1 of 2 applications differs between images"),
        ("A A B B", "2 of 2 applications differ between images"),
        ("A B", "None of 2 applications differs between images"),
    ],
)
def test_the_chart_says_what_differs(names: str, title: str) -> None:
    """The title counts names, not rows."""
    versions = pd.DataFrame({"name": names.split(), "images": Random(1).choices(range(1, 9), k=len(names.split()))})
    assert asf.charts.application_versions(versions).get_title() == title


def test_the_chart_shows_what_differs_first() -> None:
    """Names with several variants come before those in more images; what does not fit shares a bar."""
    versions = pd.DataFrame({"name": ["Chrome", "CAD", "CAD", "X", "Y"], "images": [40, 2, 3, 1, 1]})
    ax = asf.charts.application_versions(versions, top=2)
    texts = [text.get_text() for text in ax.texts]
    assert [text for text in texts if "CAD" in text or "Chrome" in text or "more" in text] == [
        "CAD · 2 variants",
        "Chrome",
        "2 more applications",
    ]
