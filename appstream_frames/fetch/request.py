"""The request of DescribeImages: every parameter of boto3's paginator, checked before anything is sent."""

from __future__ import annotations

import base64
import difflib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from appstream_frames.aws.targets import check_names
from appstream_frames.errors import RequestError
from appstream_frames.tables.schema import find_request_limits


@dataclass(frozen=True)
class Request:
    """The parameters of an operation; `max_items`, `page_size` and `starting_token` are those of `drain`."""

    parameters: Mapping[str, object] = field(default_factory=dict)  # by AWS's names, the same for every page
    max_items: int | None = None
    page_size: int | None = None
    starting_token: str | None = None

    @classmethod
    def of(
        cls,
        *,
        names: Iterable[str] | None = None,
        arns: Iterable[str] | None = None,
        type: str | None = None,
        max_items: int | None = None,
        page_size: int | None = None,
        starting_token: str | None = None,
    ) -> Request:
        """Return the request of DescribeImages; raise RequestError when a parameter is invalid."""
        _, smallest, largest = find_request_limits()
        return cls(
            _drop_missing(
                {"Names": _check_texts("names", names), "Arns": _check_texts("arns", arns), "Type": _check_type(type)}
            ),
            _check_number("max_items", max_items, 1, None),
            _check_number("page_size", page_size, smallest, largest),
            _check_token(starting_token),
        )

    def page_parameters(self, token: str | None) -> dict[str, object]:
        """Return the parameters of the call for one page, by the API's names; `token` is its NextToken."""
        return {**self.parameters, **_drop_missing({"MaxResults": self.page_size, "NextToken": token})}

    def as_json(self) -> str:
        """Return the whole request as JSON, by the paginator's names."""
        paging = {"MaxItems": self.max_items, "PageSize": self.page_size, "StartingToken": self.starting_token}
        return json.dumps(_drop_missing({**self.parameters, **paging}))


def _drop_missing(parameters: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in parameters.items() if value is not None}


def _check_texts(name: str, values: Iterable[object] | None) -> list[str] | None:
    return check_names(name, values, empty=", and AWS takes that for all images; pass None for all", distinct=False)


def _check_type(value: str | None) -> str | None:
    types, _, _ = find_request_limits()
    if value is None or value in types:
        return value
    alike = difflib.get_close_matches(str(value).upper(), types, n=1)
    hint = f" Did you mean {alike[0]!r}?" if alike else " A newer boto3 may know more."
    raise RequestError(f"type={value!r} is none of {', '.join(types)} or None (everything).{hint}")


def _check_number(name: str, value: Any, smallest: int, largest: int | None) -> int | None:
    if value is None:
        return None
    expected = f"at least {smallest}" if largest is None else f"from {smallest} to {largest}"
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < smallest or (largest is not None and value > largest):
        raise RequestError(f"{name}={value!r} must be a whole number {expected}, or None.")
    return int(value)


def _check_token(value: object) -> str | None:
    with suppress(ValueError, RecursionError):
        if value is None or (isinstance(value, str) and value.encode() and decode_token(value)):
            return value
    raise RequestError(f"starting_token={value!r} must be a resume token: the text in frames.resume_token, or None.")


def decode_token(token: str | None) -> tuple[str | None, int]:
    """Return the NextToken inside a boto3 resume token, or AWS's own NextToken unchanged, and the rows to skip."""
    try:
        inside = json.loads(str(base64.b64decode(token or ""), "utf-8"))
    except ValueError:
        return token, 0
    if isinstance(inside, dict) and "NextToken" in inside:
        found, skipped = inside.pop("NextToken"), inside.pop("boto_truncate_amount", 0)
        if isinstance(found, str | None) and isinstance(skipped, int) and skipped >= 0 and not inside:
            return found, skipped
    raise ValueError("neither")
