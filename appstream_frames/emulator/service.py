"""AppStream as the sandbox plays it: DescribeImages from the invented catalogue, checked against botocore's model."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Container
from dataclasses import replace
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from appstream_frames.emulator.accounts import Caller, ServiceError
from appstream_frames.emulator.catalogue import Json, finished, listed
from appstream_frames.emulator.faults import Faults

_PAGE: Final = 25  # what AppStream gives when MaxResults is 0 or not there


@cache
def loader() -> Loader:
    """Return one loader of botocore's models for all sessions: each would otherwise read them anew."""
    return Loader()


@cache
def model() -> ServiceModel:
    """Return the installed botocore's model of AppStream."""
    return ServiceModel(loader().load_service_model("appstream", "service-2"), "appstream")


class AppStream:
    """DescribeImages at one week of the catalogue, in some regions.

    Attributes
    ----------
    calls : int
        Requests so far, those that failed too.
    faults : Faults
        What is to go wrong.
    """

    def __init__(self, week: int, regions: Container[str]) -> None:
        self.calls = 0
        self.faults = Faults()
        self._week, self._regions = week, regions
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def answer(self, target: str, caller: Caller | None, body: bytes) -> tuple[Json, str | None]:
        """Answer one request of AWS JSON 1.1, and say what is to happen to the answer on the wire.

        Parameters
        ----------
        target : str
            The request's X-Amz-Target.
        caller : Caller or None
            Who signed it.
        body : bytes
            The request.
        """
        prefix, _, operation = target.partition(".")
        if prefix != model().metadata["targetPrefix"] or operation != "DescribeImages":
            raise ServiceError("UnknownOperationException", f"The sandbox answers DescribeImages only, not {target!r}")
        with self._lock:
            self.calls += 1
        mishap = self.faults.due(*((caller.account, caller.region) if caller else (None, None)))
        if caller is None:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
        known = caller if caller.region in self._regions else replace(caller, account=None)
        known.check("UnrecognizedClientException", "ExpiredTokenException", 400)
        request = _request(body, model().operation_model(operation).input_shape)
        images = _selected(listed(str(caller.account), caller.region, self._week), request)
        return self._page(images, request, caller), mishap

    def _page(self, images: list[Json], request: Json, caller: Caller) -> Json:
        # the page's size is not part of what a token is bound to: AWS lets it change on the way
        asked = [caller.account, caller.region, *(request.get(name) for name in ("Names", "Arns", "Type"))]
        start = self._offset(request["NextToken"], asked) if "NextToken" in request else 0
        end = start + (request.get("MaxResults") or _PAGE)
        page = [finished(image, self._week) for image in images[start:end]]
        return {"Images": page, "NextToken": self._token(end, asked) if end < len(images) else None}

    def _token(self, offset: int, asked: list[Any]) -> str:
        place = offset.to_bytes(4, "big")
        seal = hmac.digest(self._secret, place + json.dumps(asked).encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(place + seal).decode()

    def _offset(self, token: str, asked: list[Any]) -> int:
        try:
            offset = int.from_bytes(base64.urlsafe_b64decode(token)[:4], "big")
        except ValueError:
            offset = 0
        if not hmac.compare_digest(self._token(offset, asked).encode(), token.encode(errors="replace")):
            raise ServiceError("ValidationException", "Invalid NextToken")
        return offset


def _request(body: bytes, shape: Shape) -> Json:
    """Return the request's members that the model knows, checked against it; AWS ignores any other and null."""
    try:
        sent = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", "The request is not JSON") from error
    if not isinstance(sent, dict):
        raise ServiceError("SerializationException", "Start of structure or map found where not expected.")
    request = {name: value for name, value in sent.items() if name in shape.members and value is not None}
    report = ParamValidator().validate(request, shape)
    faults = [report.generate_report()] if report.has_errors() else list(_faults(request, shape))
    if faults:
        raise ServiceError("ValidationException", f"{len(faults)} validation error detected: {'; '.join(faults)}")
    if request.get("Names") and request.get("Arns"):
        raise ServiceError("InvalidParameterCombinationException", "Names and Arns cannot be given together.")
    return request


def _faults(request: Json, shape: Shape) -> list[str]:
    """Return what the model forbids and botocore's validator lets pass: the service itself has to check it."""
    found = []
    for name, value in request.items():
        member = shape.members[name]
        for each, rule in (
            [(each, member.member) for each in value] if member.type_name == "list" else [(value, member)]
        ):
            fault = _fault(each, rule)
            if fault:
                found.append(f"Value '{each}' at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {fault}")
    return found


def _fault(value: Any, rule: Shape) -> str | None:
    limits = rule.metadata
    if "enum" in limits and value not in limits["enum"]:
        return f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        return f"Member must satisfy regular expression pattern: {limits['pattern']}"
    if rule.type_name == "integer" and value > limits.get("max", value):
        return f"Member must have value less than or equal to {limits['max']}"
    return None


def _selected(images: list[Json], request: Json) -> list[Json]:
    """Return the images that the request asks for. As on AWS, a name never finds a shared image."""
    if "Type" in request:
        images = [image for image in images if image["Visibility"] == request["Type"]]
    for parameter, member in (("Names", "Name"), ("Arns", "Arn")):
        wanted = request.get(parameter)
        if wanted:
            images = [image for image in images if image[member] in wanted and _findable(image, parameter)]
            missing = set(wanted) - {image[member] for image in images}
            if missing:
                raise ServiceError("ResourceNotFoundException", f"Image {min(missing)} not found")
    return images


def _findable(image: Json, parameter: str) -> bool:
    return parameter == "Arns" or image["Visibility"] != "SHARED"
