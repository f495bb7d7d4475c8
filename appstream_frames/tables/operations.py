"""Declare the API operations that are read: what botocore's model does not say of them (for the rest see `schema`).

All code takes the operations from this registry, so that one more operation is one more entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Child:
    """A list of structures in a row, whose elements are the rows of a child table."""

    member: str  # the API's name of the list
    identity: tuple[str, ...]  # columns that distinguish the elements of one list
    table: str | None = None  # default: the name that `schema.define_tables` makes


@dataclass(frozen=True)
class Parent:
    """The table for whose rows an operation is called, once per row."""

    table: str
    parameters: Mapping[str, str]  # the column of the row that fills each parameter of the request
    keys: Mapping[str, str] = field(default_factory=dict)  # the same for key columns in front of the reply's columns
    where: Callable[[], pc.Expression] | None = None  # the rows that need a call; None: all


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the AppStream API."""

    name: str  # the API's, such as `DescribeFleets`
    table: str  # the table that its rows fill; `include=` names it
    children: tuple[Child, ...] = ()  # lists of structures in a row; one that is not mentioned becomes a table too
    resource: tuple[str, ...] = ("arn", "name")  # columns that name what a row describes: its ARN, or else its name
    identity: tuple[str, ...] = ()  # columns that distinguish the rows of one resource; none when each has one row
    shared: bool = False  # rows may belong to other accounts, and have a column `owner`
    element: str | None = None  # the column for rows that are plain strings
    parent: Parent | None = None  # the operation is called for each row of it; None: one sequence of pages has all rows

    def requests(self, rows: pa.Table) -> list[tuple[dict[str, str | None], dict[str, str | None]]]:
        """Return the parameters of a request and the values of its key columns, for each row that needs a call.

        A parameter for which the row has no value is None: botocore refuses the request, so that no row is skipped silently.

        Examples
        --------
        >>> Operation("ListTags", "tags", parent=Parent("stacks", {"Stack": "name"}, {"stack_arn": "arn"})).requests(
        ...     pa.table({"name": ["design"], "arn": ["arn:design"]})
        ... )
        [({'Stack': 'design'}, {'stack_arn': 'arn:design'})]
        """
        if self.parent is None:
            return []
        parent = self.parent
        chosen = rows if parent.where is None else rows.filter(parent.where())
        columns = list(dict.fromkeys([*parent.parameters.values(), *parent.keys.values()]))
        return [
            (
                {name: row[column] for name, column in parent.parameters.items()},
                {name: row[column] for name, column in parent.keys.items()},
            )
            for row in chosen.select(columns).to_pylist()
        ]


_ERROR: Final = ("error_code", "error_message")
_ENDPOINT: Final = ("endpoint_type", "vpce_id")
_ALL: Final = (
    Operation(
        "DescribeImages",
        "images",
        children=(Child("Applications", ("name",), "applications"), Child("ImageErrors", _ERROR, "errors")),
        shared=True,
    ),
    Operation("DescribeFleets", "fleets", children=(Child("FleetErrors", _ERROR),)),
    Operation(
        "DescribeImageBuilders",
        "image_builders",
        children=(Child("ImageBuilderErrors", _ERROR), Child("AccessEndpoints", _ENDPOINT)),
    ),
    Operation(
        "DescribeStacks",
        "stacks",
        children=(
            Child("StorageConnectors", ("connector_type", "resource_identifier")),
            Child("StackErrors", _ERROR),
            Child("UserSettings", ("action",)),
            Child("AccessEndpoints", _ENDPOINT),
        ),
    ),
    Operation(
        "ListAssociatedFleets",
        "associations",
        resource=("stack_name",),
        identity=("fleet_name",),
        element="fleet_name",
        parent=Parent("stacks", {"StackName": "name"}, {"stack_name": "name"}),
    ),
    Operation(
        "DescribeImagePermissions",
        "permissions",
        resource=("image_arn", "image_name"),
        identity=("shared_account_id",),
        parent=Parent(
            "images",
            {"Name": "name"},
            {"image_arn": "arn", "image_name": "name"},
            where=lambda: pc.field("image_shared_with_others") & (pc.field("owner") == pc.field("account")),
        ),
    ),
    Operation("DescribeApplications", "elastic_applications"),
    Operation("DescribeAppBlocks", "app_blocks", children=(Child("AppBlockErrors", _ERROR),)),
    Operation(
        "DescribeAppBlockBuilders",
        "app_block_builders",
        children=(Child("AppBlockBuilderErrors", _ERROR), Child("AccessEndpoints", _ENDPOINT)),
    ),
    Operation(
        "DescribeApplicationFleetAssociations",
        "application_fleet_associations",
        resource=("fleet_name",),
        identity=("application_arn",),
        parent=Parent("fleets", {"FleetName": "name"}, where=lambda: pc.field("fleet_type") == "ELASTIC"),
    ),
)

#: Every operation that can be read, by the API's name.
OPERATIONS: Final[dict[str, Operation]] = {operation.name: operation for operation in _ALL}
