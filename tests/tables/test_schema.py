"""The tables follow botocore's model, whatever its version, and describe themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel

import appstream_frames as asf
from appstream_frames.tables import schema
from appstream_frames.tables.operations import OPERATIONS
from appstream_frames.tables.schema import Table, choose_operations, define_tables, find_rows_member, list_tables

SERVICE = botocore.session.get_session().get_service_model("appstream")


def grown(operation: str = "DescribeImages", shape: str = "Image", **members: Any) -> dict[str, Table]:
    """Return the tables of an operation under the installed model with more members in a shape."""
    loaded = json.loads(json.dumps(botocore.session.get_session().get_data("appstream/2016-12-01/service-2")))
    loaded["shapes"][shape]["members"].update({name: {"shape": made} for name, (made, _) in members.items()})
    loaded["shapes"].update(dict(members.values()))
    return define_tables(OPERATIONS[operation], ServiceModel(loaded, "appstream"))


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_CONFIG_FILE"])
def test_the_model_needs_no_profile(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads an archive, or hands in a client, may have a wrong profile or a broken file of them."""
    (tmp_path / "config").write_text("\ufeff[default]\n")
    monkeypatch.setenv(name, str(tmp_path / "config"))
    schema.load_model.cache_clear()
    assert schema.load_model().metadata == SERVICE.metadata


def kind_of(tables: dict[str, Table], column: str) -> str:
    return next(found.kind for found in tables["images"].columns if found.name == column)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_member_of_a_row_has_a_place(operation: str) -> None:
    """Each member of the installed model's structure is a column, a prefix of columns or a child table."""
    member, strings = find_rows_member(operation)
    own, *children = define_tables(OPERATIONS[operation]).values()
    placed = {column.path[0] for column in own.modelled} | {table.path[-1] for table in children}
    shape = SERVICE.operation_model(operation).output_shape.members[member].member
    assert placed == ({member} if strings else set(shape.members))


@pytest.mark.parametrize("table", list_tables())
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
    ours = [frame[frame["api_path"].isna()] for frame in map(asf.columns, list_tables())]
    assert all(frame["sentence"].str.len().gt(10).all() for frame in ours)


def test_rows_that_are_strings_have_a_sentence() -> None:
    """It stands at the list in the model, not at the string."""
    assert asf.columns("associations").set_index("column").loc["fleet_name", "sentence"] == "The name of the fleet."


def test_enum_values_are_listed() -> None:
    """The dictionary lists the values the model knows."""
    assert "AVAILABLE" in asf.columns("images").set_index("column").loc["state", "enum_values"]


def test_api_paths_name_the_place_in_the_reply() -> None:
    """A nested member's path is the API's."""
    paths = asf.columns("applications").set_index("column")["api_path"]
    assert paths["icon_s3_location_s3_bucket"] == "Images[].Applications[].IconS3Location.S3Bucket"


def test_an_unknown_table_is_refused() -> None:
    """The error lists the tables there are."""
    with pytest.raises(
        asf.RequestError, match=r"Did you mean 'fleets'\? The tables are images, applications, .* coverage"
    ):
        asf.columns("fleet")


def test_a_list_of_tables_is_no_table() -> None:
    """It is refused in words too, though it cannot be looked up."""
    with pytest.raises(asf.RequestError, match=r"There is no table \['fleets'\]"):
        asf.columns(["fleets"])  # type: ignore[arg-type]


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


def test_a_new_member_of_a_fleet_is_a_new_column() -> None:
    """What holds for images holds for every operation."""
    tables = grown("DescribeFleets", "Fleet", Colour=("Colour", {"type": "string"}))
    assert "colour" in tables["fleets"].schema.names


def test_a_new_list_in_a_stack_is_a_table() -> None:
    """A new child table is named after the row and the list, and its rows know their stack."""
    shape = {"type": "list", "member": {"shape": "ResourceError"}}
    table = grown("DescribeStacks", "Stack", Warnings=("Warnings", shape))["stack_warnings"]
    assert (table.resource, table.identity) == (("stack_arn", "stack_name"), ("position",))
    assert {"stack_arn", "stack_name", "position", "error_code", "error_message"} <= set(table.schema.names)


def test_tables_of_all_operations_have_names_of_their_own() -> None:
    """Five kinds of row have errors and three have access endpoints; none hides another."""
    assert len(list_tables()) == 1 + sum(len(define_tables(operation)) for operation in OPERATIONS.values())


@pytest.mark.parametrize(
    ("include", "names"),
    [
        (None, []),
        ("applications", []),
        ("fleet_errors", ["DescribeFleets"]),
        (["permissions"], ["DescribeImagePermissions"]),
        (["associations"], ["DescribeStacks", "ListAssociatedFleets"]),
        (["application_fleet_associations"], ["DescribeFleets", "DescribeApplicationFleetAssociations"]),
        ("all", list(OPERATIONS)[1:]),
    ],
)
def test_include_brings_what_it_needs(include: Any, names: list[str]) -> None:
    """Images are always read, and what an operation is asked about is read before it."""
    assert [operation.name for operation in choose_operations(include)] == ["DescribeImages", *names]


@pytest.mark.parametrize("include", ["fleet", ["fleets", "coverage"], [1]])
def test_an_unknown_include_is_refused(include: Any) -> None:
    """A name that no operation fills is an error that lists those there are."""
    with pytest.raises(asf.RequestError, match=r"Choose from: all, images, applications"):
        choose_operations(include)


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
