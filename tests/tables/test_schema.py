"""The tables follow botocore's model, whatever its version, and describe themselves."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel

import appstream_frames as asf
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import Table, all_tables, tables_of

SHAPE = botocore.session.get_session().get_service_model("appstream").shape_for("Image")


def grown(**members: Any) -> dict[str, Table]:
    """Return the tables of the installed model with more members in Image."""
    loaded = json.loads(json.dumps(botocore.session.get_session().get_data("appstream/2016-12-01/service-2")))
    loaded["shapes"]["Image"]["members"].update({name: {"shape": shape} for name, (shape, _) in members.items()})
    loaded["shapes"].update(dict(members.values()))
    return tables_of(OPERATIONS["DescribeImages"], ServiceModel(loaded, "appstream"))


def kind_of(tables: dict[str, Table], column: str) -> str:
    return next(found.kind for found in tables["images"].columns if found.name == column)


def test_every_member_of_an_image_has_a_place() -> None:
    """Each member of the installed model's Image is a column, a prefix of columns or a child table."""
    placed = {column.path[0] for column in all_tables()["images"].modelled}
    placed |= {table.path[-1] for table in all_tables().values() if table.parent == "images"}
    assert placed == set(SHAPE.members)


@pytest.mark.parametrize("table", ["images", "applications", "errors", "coverage"])
def test_the_keys_come_first_and_unmodeled_last(table: str) -> None:
    """The order of the columns is: keys, the API's, `unmodeled`."""
    names = asf.columns(table)["column"].to_list()
    assert (names[:3], names[-1]) == (["snapshot", "account", "region"], "unmodeled")


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("state", "string"),
        ("image_builder_supported", "bool"),
        ("latest_appstream_agent_version", "bool"),
        ("dynamic_app_providers_enabled", "bool"),
        ("created_time", "timestamp[us, tz=UTC]"),
        ("supported_instance_families", "list<item: string>"),
    ],
)
def test_arrow_types_of_images(column: str, type_: str) -> None:
    """Each kind of API type has its Arrow type."""
    if column not in asf.columns("images")["column"].to_list():
        pytest.skip(f"the installed botocore's model has no {column}")
    assert asf.columns("images").set_index("column").loc[column, "type"] == type_


def test_a_map_is_a_map() -> None:
    """An application's metadata is a map of strings."""
    assert asf.columns("applications").set_index("column").loc["metadata", "type"] == "map<string, string>"


def test_sentences_are_plain_text() -> None:
    """No tag of botocore's HTML documentation is left."""
    assert not asf.columns("applications")["sentence"].str.contains(r"</?\w+>|&\w+;").any()


def test_every_column_has_a_sentence() -> None:
    """The data dictionary leaves no column of ours without a word."""
    ours = [frame[frame["api_path"].isna()] for frame in map(asf.columns, all_tables())]
    assert all(frame["sentence"].str.len().gt(10).all() for frame in ours)


def test_enum_values_are_listed() -> None:
    """The dictionary lists the values the model knows."""
    assert "AVAILABLE" in asf.columns("images").set_index("column").loc["state", "enum_values"]


def test_api_paths_name_the_place_in_the_reply() -> None:
    """A nested member's path is the API's."""
    paths = asf.columns("applications").set_index("column")["api_path"]
    assert paths["icon_s3_location_s3_bucket"] == "Images[].Applications[].IconS3Location.S3Bucket"


def test_an_unknown_table_is_refused() -> None:
    """The error lists the tables there are."""
    with pytest.raises(asf.RequestError, match="images, applications, errors, coverage"):
        asf.columns("fleets")


def test_a_new_member_is_a_new_column() -> None:
    """When AWS adds a member, nothing of ours has to change."""
    assert kind_of(grown(Colour=("Colour", {"type": "string"})), "colour") == "string"


def test_a_new_structure_spreads() -> None:
    """A new structure's members are columns under its name."""
    shape = {"type": "structure", "members": {"Size": {"shape": "Integer"}}}
    assert kind_of(grown(Disk=("Disk", shape)), "disk_size") == "integer"


def test_a_new_list_of_structures_is_a_table() -> None:
    """A new list of structures is a child table of its own."""
    shape = {"type": "list", "member": {"shape": "ResourceError"}}
    assert grown(Warnings=("Warnings", shape))["image_warnings"].path == ("Images", "Warnings")


def test_what_has_no_flat_form_is_json() -> None:
    """A list of lists is one column of JSON text."""
    shape = {"type": "list", "member": {"shape": "StringList"}}
    assert kind_of(grown(Matrix=("Matrix", shape)), "matrix") == "json"


def test_a_recursive_shape_is_json() -> None:
    """A structure that holds itself does not recurse for ever."""
    shape = {"type": "structure", "members": {"Size": {"shape": "Integer"}, "Inner": {"shape": "Nest"}}}
    assert kind_of(grown(Nest=("Nest", shape)), "nest_inner") == "json"


def test_a_member_named_like_a_key_does_not_hide_the_key() -> None:
    """A future member `Region` becomes `api_region`."""
    assert kind_of(grown(Region=("Colour", {"type": "string"})), "api_region") == "string"
