"""Define the tables: columns, Arrow types and sentences, derived from botocore's own service model.

A structure is flattened into its parent, a list of structures becomes a child table, and a member without a flat form (a list of
lists, a recursive shape, a child of a child) becomes one column of JSON text. Nothing here calls AWS.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, cached_property, lru_cache
from typing import Any, Final

import botocore
import pyarrow as pa
from botocore import xform_name
from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape

from appstream_frames.errors import RequestError
from appstream_frames.tables.operations import OPERATIONS, Child, Operation
from appstream_frames.text import printable

BOTOCORE_VERSION: Final[str] = botocore.__version__  # whose model makes the columns
UTC_US: Final = pa.timestamp("us", tz="UTC")

#: The kinds of value a column holds, and the Arrow type of each.
ARROW: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "flag": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "timestamp": UTC_US,
    "strings": pa.list_(pa.string()),
    "map": pa.map_(pa.string(), pa.string()),
    "json": pa.string(),
}
#: The kind of each API type whose name is not that of its kind.
_ALIASES: Final = {"blob": "string", "long": "integer", "double": "float"}
#: Enums of two values that become booleans: (true, false).
_FLAGS: Final = (("TRUE", "FALSE"), ("ENABLED", "DISABLED"))


@dataclass(frozen=True)
class Column:
    """One column: its name, the kind of its values, and where they are in the API's reply."""

    name: str
    kind: str
    sentence: str
    path: tuple[str, ...] = ()  # member names below the row's object; empty for a column of this package
    enum: tuple[str, ...] = ()

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return ARROW[self.kind]

    @property
    def flag(self) -> tuple[str, str]:
        """The API's words for true and for false, of a column of kind ``flag``."""
        return next(words for words in _FLAGS if set(words) == set(self.enum))


@dataclass(frozen=True)
class Table:
    """One table: its name, its keys, the API's columns, and where its rows are in a reply."""

    name: str  # in `Frames` and in an archive
    keys: tuple[Column, ...]  # the columns in front of the API's
    modelled: tuple[Column, ...]
    operation: str | None = None  # the operation that fills it; None for `coverage`
    path: tuple[str, ...] = ()  # the lists in the reply whose elements are the rows: `("Images", "Applications")`
    parent: str | None = None  # the table whose rows hold these; None when the reply itself holds them
    resource: tuple[str, ...] = ()  # columns that name the resource: its ARN, and the name when AWS sent no ARN
    identity: tuple[str, ...] = ()  # columns that distinguish the rows of one resource

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in order: keys, the API's, and ``unmodeled`` last."""
        return (*self.keys, *self.modelled, UNMODELED)

    @property
    def strings(self) -> bool:
        """Whether the rows are plain strings in the reply, not objects."""
        return bool(self.path) and self.modelled[0].path == self.path

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return pa.schema([(column.name, column.type) for column in self.columns])


UNMODELED: Final = Column(
    "unmodeled",
    "string",
    "JSON object, in the API's own names and nesting, of what AWS sent and the other columns cannot hold: members that the "
    "installed boto3 does not know, and values that do not fit their column. Null when there is none.",
)
_TARGET = (
    Column("snapshot", "timestamp", "Moment the drain began, UTC; the same on every row of a Frames."),
    Column("account", "string", "AWS account id of the target that was read, twelve digits."),
    Column("region", "string", "AWS region of the target that was read."),
)
_OWNER = Column("owner", "string", "AWS account id in the ARN; null for what AWS itself provides.")
COVERAGE: Final = Table(
    "coverage",
    (*_TARGET, Column("operation", "string", "Operation that was called, by AWS's name.")),
    (
        Column("status", "string", "`complete` when every page was validated; otherwise why not."),
        Column("started_at", "timestamp", "Moment the first request was made, UTC."),
        Column("ended_at", "timestamp", "Moment the last page was read, or the failure was final, UTC."),
        Column("pages", "integer", "Pages read."),
        Column("rows", "integer", "Rows of this target in the operation's own table, without those of child tables."),
        Column("duplicates", "integer", "Rows AWS sent again in a later page; the first one was kept."),
        Column("retries", "integer", "Requests that had to be made again."),
        Column("error_code", "string", "AWS's error code, or the kind of failure, when the status is not complete."),
        Column("error_message", "string", "What went wrong, in AWS's words or those of this package."),
        Column("resume_token", "string", "Pass it as `starting_token=` to continue where this drain stopped."),
        Column(
            "request",
            "string",
            "The parameters of the request, as JSON; if it is made for each row of another table, those that chose the rows.",
        ),
        Column("botocore_version", "string", "Version of botocore whose model made the columns."),
        Column("redacted", "strings", "Columns of any table that were left out on purpose; null when there are none."),
    ),
)


def list_tables() -> dict[str, Table]:
    """Return every table by name: those of each operation in the registry, then ``coverage``."""
    found = {name: table for operation in OPERATIONS.values() for name, table in define_tables(operation).items()}
    return {**found, COVERAGE.name: COVERAGE}


@cache
def load_model() -> ServiceModel:
    """Return the installed botocore's model of AppStream."""
    # without a session, as that reads the AWS files, which may be missing or invalid where an archive is read
    loader = create_loader(os.environ.get("AWS_DATA_PATH"))
    return ServiceModel(loader.load_service_model("appstream", "service-2"), "appstream")


@cache
def find_request_limits() -> tuple[tuple[str, ...], int, int]:
    """Return the model's limits of DescribeImages: the values of `Type`, the smallest and the largest `MaxResults`."""
    members = load_model().operation_model("DescribeImages").input_shape.members
    size = members["MaxResults"].metadata
    return tuple(members["Type"].enum), size.get("min", 0), size.get("max", 25)


def find_rows_member(operation: str, service: ServiceModel | None = None) -> tuple[str, bool]:
    """Return the member of an operation's reply that lists its rows, and whether these are plain strings."""
    members = (service or load_model()).operation_model(operation).output_shape.members
    member = next(name for name, shape in members.items() if shape.type_name == "list")
    return member, members[member].member.type_name == "string"


def find_table(name: str) -> Table:
    """Return a table by name; raise RequestError when there is no such table."""
    tables = list_tables()
    if name not in [*tables]:  # a list: a value that is not text may not be hashable
        seen, known = printable(repr(name)), ", ".join(tables)
        raise RequestError(f"There is no table {seen}.{_suggest(name, tables)} The tables are {known}.")
    return tables[name]


def _suggest(name: object, names: Iterable[str]) -> str:
    similar = get_close_matches(str(name).lower(), list(names), n=1)
    return f" Did you mean {similar[0]!r}?" if similar else ""


def choose_operations(include: str | Iterable[str] | None = None) -> list[Operation]:
    """Return the operations that fill some tables, or ``"all"``, in the order in which they have to be read.

    DescribeImages is always among them, and so is an operation for whose rows another one is called. Raise RequestError when
    there is no such table.

    Examples
    --------
    >>> [operation.name for operation in choose_operations("fleets")]
    ['DescribeImages', 'DescribeFleets']
    """
    if not isinstance(include, Iterable | None):
        raise RequestError(f"include={printable(repr(include))} must be the name of a table, or a list of names.")
    names = [include] if isinstance(include, str) else list(include or ())
    tables = {name: table.operation for name, table in list_tables().items() if table.operation}
    choices = ["all", *tables]
    for name in names:
        if name not in choices:
            seen, known = printable(repr(name)), ", ".join(choices)
            raise RequestError(f"include={seen} is no table to read.{_suggest(name, choices)} Choose from: {known}.")
    wanted = set(OPERATIONS) if "all" in names else {"DescribeImages", *(tables[name] for name in names)}
    for operation in reversed(OPERATIONS.values()):  # each one comes after the operation for whose rows it is called
        if operation.name in wanted and operation.parent:
            wanted.add(tables[operation.parent.table])
    return [operation for name, operation in OPERATIONS.items() if name in wanted]


def choose_columns(parameter: str, given: str | Iterable[str]) -> list[str]:
    """Return the columns that a parameter names, each once."""
    try:
        return list(dict.fromkeys([given] if isinstance(given, str) else given))
    except TypeError:
        raise RequestError(
            f"{parameter}={printable(repr(given))} must be a column's name, or a list of names."
        ) from None


@lru_cache(maxsize=64)
def define_tables(operation: Operation, service: ServiceModel | None = None) -> dict[str, Table]:
    """Return the tables that an operation fills: its own, then one for each list of structures in a row.

    A list that the operation's `children` do not name fills a table named after the row and the list: ``StackErrors`` and
    ``AccessEndpoints`` of a ``Stack`` are ``stack_errors`` and ``stack_access_endpoints``; position distinguishes its rows.
    """
    member, strings = find_rows_member(operation.name, service)
    rows = (service or load_model()).operation_model(operation.name).output_shape.members[member]
    parent = operation.parent
    of = f" of the row of `{parent.table}` that the operation was called for." if parent else ""
    above = [Column(key, "string", f"`{column}`{of}") for key, column in (parent.keys if parent else {}).items()]
    keys = (*_TARGET, *above, *([_OWNER] if operation.shared else []))
    own = Table(operation.table, keys, (), operation.name, (member,), None, operation.resource, operation.identity)
    if strings:
        element = operation.element or xform_name(member)
        modelled = (Column(element, "string", _remove_markup(rows.documentation), (member,)),)
        return {own.name: replace(own, modelled=modelled)}
    row = rows.member
    lists = {name: shape.member for name, shape in row.members.items() if shape.type_name == "list"}
    children = [name for name, element in lists.items() if element.type_name == "structure"]
    tables = [replace(own, modelled=_list_columns(row, keys, skip=children))]
    tables += [_make_child(operation, own, row, name) for name in children]
    return {table.name: table for table in tables}


def _make_child(operation: Operation, own: Table, row: Shape, member: str) -> Table:
    declared = {child.member: child for child in operation.children}.get(member, Child(member, ("position",)))
    one = xform_name(row.name)
    words, titles = one.replace("_", " "), {"arn": "ARN", "name": "Name"}
    resource = [
        Column(f"{one}_{column}", "string", f"{titles.get(column, f'`{column}`')} of the {words} this row belongs to.")
        for column in own.resource
    ]
    position = Column("position", "integer", f"Position in the {words}'s list as AWS sent it, counted from 0.")
    keys = (*_TARGET, *resource, position)
    name = declared.table or f"{one}_{xform_name(member).removeprefix(f'{one}_')}"
    modelled, known_by = _list_columns(row.members[member].member, keys), tuple(column.name for column in resource)
    return Table(name, keys, modelled, own.operation, (*own.path, member), own.name, known_by, declared.identity)


def _list_columns(shape: Any, keys: tuple[Column, ...], skip: Container[str] = ()) -> tuple[Column, ...]:
    taken = {UNMODELED.name, *(key.name for key in keys)}
    made = []
    for path, member in _walk(shape, (), (shape.name,)):
        if path[0] in skip:
            continue
        name = "_".join(map(xform_name, path))
        while name in taken:  # a member of AWS's with the name of one of our keys
            name = f"api_{name}"
        taken.add(name)
        enum = tuple(getattr(member, "enum", None) or ())
        made.append(Column(name, _choose_kind(member), _remove_markup(member.documentation), path, enum))
    return tuple(made)


def _walk(shape: Any, path: tuple[str, ...], within: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each member of a structure, and of the structures in it, with its path."""
    for member, inner in shape.members.items():
        if inner.type_name == "structure" and inner.members and inner.name not in within:
            yield from _walk(inner, (*path, member), (*within, inner.name))
        else:
            yield (*path, member), inner


def _choose_kind(shape: Any) -> str:
    kind = _ALIASES.get(shape.type_name, shape.type_name)
    if kind == "string" and any(set(words) == set(getattr(shape, "enum", ())) for words in _FLAGS):
        return "flag"
    if kind == "list" and shape.member.type_name == "string":
        return "strings"
    is_flat = kind in ARROW and (kind != "map" or shape.value.type_name == "string")
    return kind if is_flat else "json"


def _remove_markup(documentation: str) -> str:
    """Return botocore's HTML documentation as one line of plain text."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", documentation or "")).split())
