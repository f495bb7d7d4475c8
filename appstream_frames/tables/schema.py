"""What the tables are: columns, Arrow types and sentences, walked out of botocore's own service model.

No member of AWS's API is listed here by hand. A structure spreads into its parent, a list of structures becomes a child
table, and whatever has no flat form (a list of lists, a recursive shape, a child of a child) becomes one column of JSON
text. When a newer boto3 knows more members, there are more columns. This module reads the model; it never calls AWS.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from typing import Any, Final

import botocore
import botocore.session
import pyarrow as pa
from botocore import xform_name

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
_SCALARS: Final = {
    "string": "string",
    "blob": "string",
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "float",
    "double": "float",
    "timestamp": "timestamp",
}
#: Two-valued enums that are booleans in all but spelling: (true, false).
FLAGS: Final = (("TRUE", "FALSE"), ("ENABLED", "DISABLED"))


@dataclass(frozen=True)
class Column:
    """One column: its name, the kind of value in it, and where in the API's reply that value stands."""

    name: str
    kind: str
    sentence: str
    path: tuple[str, ...] = ()  # member names below the row's object; empty for a column of ours
    enum: tuple[str, ...] = ()

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return ARROW[self.kind]

    @property
    def flag(self) -> tuple[str, str]:
        """The API's words for true and for false, of a column of kind ``flag``."""
        return next(words for words in FLAGS if set(words) == set(self.enum))


@dataclass(frozen=True)
class Table:
    """One table: its name, its keys, the API's columns, and the list in the reply whose elements are its rows."""

    name: str
    keys: tuple[Column, ...]
    modelled: tuple[Column, ...]
    member: str | None = None  # the Image's member that holds the rows; None for the images themselves

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in order: keys, the API's, and ``unmodeled`` last."""
        return (*self.keys, *self.modelled, UNMODELED)

    @property
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
    Column("account", "string", "AWS account id in which DescribeImages was called, twelve digits."),
    Column("region", "string", "AWS region in which DescribeImages was called."),
)
_OWNER = Column("owner", "string", "AWS account id in the image's ARN; null for AWS's own images.")
_PARENT = (
    Column("image_arn", "string", "ARN of the image this row belongs to."),
    Column("image_name", "string", "Name of the image this row belongs to."),
    Column("position", "integer", "Place in the image's list as AWS sent it, counted from 0."),
)
_STATUS = (
    ("status", "string", "`complete` when every page was proven whole; otherwise why not."),
    ("started_at", "timestamp", "Moment the target's drain began, UTC."),
    ("ended_at", "timestamp", "Moment the target's drain ended, UTC."),
    ("pages", "integer", "Pages read."),
)
_OUTCOME = (
    ("duplicates", "integer", "Images AWS sent again in a later page; the later one was kept."),
    ("retries", "integer", "Requests that had to be made again."),
    ("error_code", "string", "AWS's error code, or the kind of failure, when the status is not complete."),
    ("error_message", "string", "What was seen, in AWS's words or ours."),
    ("resume_token", "string", "Give it as `starting_token=` to read on from where this drain stopped."),
    ("request", "string", "The parameters of the request, as JSON."),
    ("botocore_version", "string", "Version of botocore whose model made the columns."),
)


@cache
def all_tables() -> dict[str, Table]:
    """Return the tables ``images``, ``applications``, ``errors`` and ``coverage`` of the installed botocore's model."""
    return tables_of(_operation().output_shape.members["Images"].member)


@cache
def _operation() -> Any:
    service = botocore.session.get_session().get_service_model("appstream")
    return service.operation_model("DescribeImages")


def botocore_version() -> str:
    """Return the version of botocore whose model makes the columns."""
    return str(botocore.__version__)


@cache
def request_limits() -> tuple[tuple[str, ...], int, int]:
    """Return what the model says of the request: the values of `Type`, the smallest and the largest `MaxResults`."""
    members = _operation().input_shape.members
    size = members["MaxResults"].metadata
    return tuple(members["Type"].enum), size.get("min", 0), size.get("max", 25)


def tables_of(image: Any) -> dict[str, Table]:
    """Return the tables that a botocore structure shape of an image makes."""
    children = {_child_name(image, member): member for member in image.members if _is_child(image.members[member])}
    found = {"images": Table("images", (*_TARGET, _OWNER), _columns(image, (*_TARGET, _OWNER), skip=children.values()))}
    for name, member in children.items():
        keys = (*_TARGET, *_PARENT)
        found[name] = Table(name, keys, _columns(image.members[member].member, keys), member)
    return {**found, "coverage": _coverage(found)}


def _coverage(counted: Iterable[str]) -> Table:
    counts = [(name, "integer", f"Rows of this target in {name}.") for name in counted]
    return Table("coverage", _TARGET, tuple(Column(*column) for column in (*_STATUS, *counts, *_OUTCOME)))


def _columns(shape: Any, keys: tuple[Column, ...], skip: Container[str] = ()) -> tuple[Column, ...]:
    taken = {UNMODELED.name, *(key.name for key in keys)}
    made = []
    for name, kind, path, member in _walk(shape, (), (shape.name,), skip):
        while name in taken:  # a member that AWS names like a key of ours
            name = f"api_{name}"
        taken.add(name)
        enum = tuple(getattr(member, "enum", None) or ())
        made.append(Column(name, kind, plain(member.documentation), path, enum))
    return tuple(made)


def _walk(
    shape: Any, path: tuple[str, ...], within: tuple[str, ...], skip: Container[str]
) -> Iterator[tuple[str, str, tuple[str, ...], Any]]:
    for member, inner in shape.members.items():
        if member in skip and not path:
            continue
        here = (*path, member)
        if inner.type_name == "structure" and inner.members and inner.name not in within:
            yield from _walk(inner, here, (*within, inner.name), skip)
        else:
            yield "_".join(map(xform_name, here)), _kind(inner), here, inner


def _kind(shape: Any) -> str:
    kind = _SCALARS.get(shape.type_name, "json")
    if kind == "string" and any(set(words) == set(getattr(shape, "enum", ())) for words in FLAGS):
        return "flag"
    if shape.type_name == "list" and shape.member.type_name == "string":
        return "strings"
    if shape.type_name == "map" and shape.value.type_name == "string":
        return "map"
    return kind


def _is_child(shape: Any) -> bool:
    return bool(shape.type_name == "list" and shape.member.type_name == "structure")


def _child_name(image: Any, member: str) -> str:
    """``ImageErrors`` of an ``Image`` are ``errors``."""
    return str(xform_name(member)).removeprefix(f"{xform_name(image.name)}_")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


@cache
def plain(documentation: str) -> str:
    """Return botocore's HTML documentation as one line of plain text.

    Examples
    --------
    >>> plain("<p>The <b>name</b> &amp; more.</p>")
    'The name & more.'
    """
    parser = _Text()
    parser.feed(documentation or "")
    parser.close()
    return " ".join("".join(parser.parts).split())
