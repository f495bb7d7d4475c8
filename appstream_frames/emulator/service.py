"""The sandbox's AppStream: every listing operation, with its parameters, limits and errors from botocore's model.

Rows come from the catalogue unless the sandbox's user sets others; faults are set by the user.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, Final, TypeVar

from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

from appstream_frames.emulator.accounts import Caller, ServiceError
from appstream_frames.emulator.catalogue import Json, Row, find_model_region, finish, list_rows, read_catalogue
from appstream_frames.tables.schema import load_model

#: A function that may reply instead of the sandbox: takes operation, account, region and request, returns a reply or None.
Responder = Callable[[str, str, str, Json], Json | None]
#: Account, region and operation; None stands for all of them.
Scope = tuple[str | None, str | None, str | None]
_T = TypeVar("_T")

#: Code, message and HTTP status of the error that each kind of fault replies with.
ERRORS: Final = {
    "denied": ("AccessDeniedException", "not authorized to perform: appstream:{operation}", 400),
    "disabled": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "not_offered": ("OperationNotPermittedException", "The operation {operation} is not permitted.", 400),
    "throttled": ("ThrottlingException", "Rate exceeded", 400),
    "server_error": ("InternalFailure", "The request processing has failed.", 500),
}
ON_THE_WIRE: Final = ("cut", "slow", "reset")
_PAGE: Final = 25  # rows, when MaxResults is 0 or absent
_PAGING: Final = ("NextToken", "MaxResults")
_NOT_ELASTIC: Final = "OperationNotPermittedException"
_NOT_FOUND: Final = "ResourceNotFoundException"
#: Members whose name is not the singular of the parameter's.
_MEMBERS: Final = {"SharedAwsAccountIds": "sharedAccountId"}


@dataclass
class Fault:
    """A fault of some requests: its kind, how many fail (None: all), and how many succeed first."""

    kind: str | None
    times: int | None
    after: int

    def take(self) -> str | None:
        """Count a request, and return the kind of fault if it applies to this one."""
        if self.after:
            self.after -= 1
            return None
        self.times = self.times and self.times - 1
        return self.kind


@cache
def find_list_member(operation: str) -> str | None:
    """Return the member of an operation's reply that holds its rows, such as ``Stacks``; None when it lists nothing."""
    if operation not in load_model().operation_names:
        return None
    output = load_model().operation_model(operation).output_shape
    lists = [name for name, shape in output.members.items() if shape.type_name == "list"] if output else []
    return lists[0] if len(lists) == 1 and "NextToken" in output.members else None


class AppStream:
    """The listing operations at one week of the catalogue, in some regions; the sandbox sets its attributes."""

    def __init__(self, week: int, regions: Container[str]) -> None:
        self.requests: Counter[str] = Counter()  # by operation, those that failed too
        self.failures: deque[ServiceError] = deque()  # of the next requests, by any caller
        self.faults: dict[Scope, Fault] = {}
        self.latency: dict[Scope, float] = {}  # seconds of delay of every reply
        self.rows: dict[Scope, list[Row]] = {}  # in place of the catalogue's
        self.page_size: int | None = None  # maximum rows of a page, whatever was requested
        self.respond_with: Responder | None = None
        self.week, self._regions = week, regions
        self._lock = threading.Lock()

    def reply(self, target: str, caller: Caller, body: bytes) -> tuple[Json, str | None]:
        """Return the reply to one request, whose X-Amz-Target is `target`, and the fault in its transmission, if any."""
        prefix, _, name = target.partition(".")
        if prefix != load_model().metadata["targetPrefix"] or find_list_member(name) is None:
            raise ServiceError("UnknownOperationException", f"The sandbox has no operation {target!r} that lists rows")
        with self._lock:
            self.requests[name] += 1
            if self.failures:
                raise self.failures.popleft()
            faults = find_matching(self.faults, (caller.account, caller.region, name))
            kind = next((fault.take() for fault in faults if fault.times != 0), None)
        if kind in ERRORS:
            code, message, status = ERRORS[kind]
            raise ServiceError(code, message.format(operation=name), status)
        known = caller if caller.region in self._regions else replace(caller, account=None)
        known.check()
        return self._reply(load_model().operation_model(name), str(caller.account), caller.region, body), kind

    def _reply(self, operation: OperationModel, account: str, region: str, body: bytes) -> Json:
        request = _read_request(body, operation)
        given = self.respond_with and self.respond_with(operation.name, account, region, request)
        if given is not None:
            return given
        elastic = find_model_region(region) not in read_catalogue()["not_elastic"]
        if not elastic and _NOT_ELASTIC in _list_errors(operation.name):
            raise ServiceError(_NOT_ELASTIC, f"{operation.name} is not permitted in {region}.")
        rows = self._select_rows(operation, account, region, request)
        # a token does not depend on the page size: AWS lets it change between pages
        selected = {name: value for name, value in request.items() if name not in _PAGING}
        belongs = json.dumps([operation.name, account, region, selected])
        start = _read_token(request["NextToken"], belongs) if "NextToken" in request else 0
        end = start + min(request.get("MaxResults") or _PAGE, self.page_size or len(rows) + 1)
        page = [finish(row, self.week) for row in rows[start:end]]
        own = {name: value for name, value in selected.items() if name in operation.output_shape.members}
        more = _make_token(end, belongs) if end < len(rows) else None
        return own | {str(find_list_member(operation.name)): page, "NextToken": more}

    def list_rows(self, operation: str, account: str, region: str) -> list[Row]:
        """Return every row of an operation that an account sees in a region."""
        found = find_matching(self.rows, (account, region, operation))
        return found[0] if found else list_rows(operation, account, region, self.week)

    def _select_rows(self, operation: OperationModel, account: str, region: str, request: Json) -> list[Any]:
        """Return the rows that a request selects."""
        rows = self.list_rows(operation.name, account, region)
        for name, value in request.items():
            if name == "Type":
                rows = [each for each in rows if each.row["Visibility"] == value]
            elif isinstance(value, list) and value:
                rows = _choose_named(rows, name, value, operation)
            elif isinstance(value, str) and name not in _PAGING:
                rows = [each for each in rows if (each.of or each.row).get(name) == value]
        if operation.name == "DescribeImagePermissions":
            images = (each.row for each in self.list_rows("DescribeImages", account, region))
            if request["Name"] not in [image["Name"] for image in images if image.get("Visibility") == "PRIVATE"]:
                raise ServiceError(_NOT_FOUND, f"Image {request['Name']} not found")
        return [each.row for each in rows]


def find_matching(known: dict[Scope, _T], scope: Scope) -> list[_T]:
    """Return the values whose scope contains another one, the narrowest first: an operation's before a target's."""
    account, region, operation = scope
    scopes = [(*target, name) for name in (operation, None) for target in product((account, None), (region, None))]
    return [known[each] for each in dict.fromkeys(scopes) if each in known]


def _make_token(offset: int, belongs: str) -> str:
    """Return the token of the page that begins at an offset: the offset, and a digest that only this server makes."""
    return f"{offset:08x}{hashlib.sha256(f'{offset} {belongs}'.encode()).hexdigest()}"


def _read_token(token: str, belongs: str) -> int:
    offset = int(token[:8], 16) if re.fullmatch("[0-9a-f]{72}", token) else 0
    if token != _make_token(offset, belongs):
        raise ServiceError("ValidationException", "Invalid NextToken")
    return offset


@cache
def _list_errors(operation: str) -> frozenset[str]:
    """Return the names of the errors that the model declares for an operation."""
    return frozenset(shape.name for shape in load_model().operation_model(operation).error_shapes)


def _choose_named(rows: list[Row], parameter: str, wanted: list[str], operation: OperationModel) -> list[Row]:
    """Return the rows with one of the names or ARNs; raise ServiceError for a missing one if the operation declares it."""
    member = _MEMBERS.get(parameter, parameter.removesuffix("s"))
    found = [each for each in rows if each.row.get(member) in wanted]
    if parameter != "Arns":  # as on AWS, a name never finds a shared image
        found = [each for each in found if each.row.get("Visibility") != "SHARED"]
    missing = set(wanted) - {each.row[member] for each in found}
    if missing and parameter not in _MEMBERS and _NOT_FOUND in _list_errors(operation.name):
        kind = str(find_list_member(operation.name)).removesuffix("s")
        raise ServiceError(_NOT_FOUND, f"{kind} {min(missing)} not found")
    return found


def _read_request(body: bytes, operation: OperationModel) -> Json:
    """Return the request's members that the model knows, validated by it; AWS ignores null and any other member."""
    try:
        sent = {**json.loads(body or b"{}")}
    except (TypeError, ValueError) as error:
        raise ServiceError("SerializationException", "The request is no JSON object.") from error
    shape = operation.input_shape
    request = {name: value for name, value in sent.items() if name in shape.members and value is not None}
    report = ParamValidator().validate(request, shape)
    wrong = [report.generate_report()] if report.has_errors() else list(_list_violations(request, shape))
    if wrong:
        raise ServiceError("ValidationException", f"{len(wrong)} validation error detected: {'; '.join(wrong)}")
    if request.get("Names") and request.get("Arns"):
        raise ServiceError("InvalidParameterCombinationException", "Names and Arns cannot be given together.")
    if operation.name == "DescribeApplicationFleetAssociations" and not set(request) - set(_PAGING):
        raise ServiceError("InvalidParameterCombinationException", "FleetName or ApplicationArn is needed.")
    return request


def _list_violations(request: Json, shape: Shape) -> Iterator[str]:
    """Yield the violations of the model that botocore's validator does not check, as only the service does."""
    for name, value in request.items():
        member = shape.members[name]
        elements = [(each, member.member) for each in value] if member.type_name == "list" else []
        for each, rule in [(value, member), *elements]:
            limits, size = rule.metadata, each if isinstance(each, int) else len(each)
            pattern = re.sub(r"\\p\{\w\}", r"\\S", limits.get("pattern", ""))  # Python knows no classes such as \p{L}
            if (
                each not in limits.get("enum", [each])
                or size > limits.get("max", size)
                or (pattern and not re.fullmatch(pattern, each))
            ):
                yield f"Value '{each}' at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {limits}"
