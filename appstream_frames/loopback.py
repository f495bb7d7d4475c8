"""The wire side of the sandbox: the two AWS protocols, on a loopback HTTP server.

AWS JSON 1.1 for AppStream, the query protocol with XML for STS; requests are checked against botocore's model. Just
DescribeImages and GetCallerIdentity are answered, and no signature is checked: a caller is who the access key id says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import socket
import socketserver
import sys
import threading
import uuid
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from appstream_frames.catalogue import Json, catalogue, images_of

KEY = "ASIASANDBOX0"  # an access key id is this and the account
_SCOPE = re.compile(rf"Credential=(?:{KEY}(\d{{12}})|[^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_PAGE = 25  # what AppStream gives when MaxResults is 0 or not there


class ServiceError(Exception):
    """An error that the service answers with: its code, its message, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Caller(NamedTuple):
    """Who signed a request (None: nobody whom the catalogue knows), for which region and which service."""

    account: str | None
    region: str
    service: str


@cache
def loader() -> Loader:
    """Return one loader of botocore's models for all sessions: each would otherwise read them anew."""
    return Loader()


@cache
def model() -> ServiceModel:
    """Return the installed botocore's model of AppStream."""
    return ServiceModel(loader().load_service_model("appstream", "service-2"), "appstream")


class Service:
    """AppStream and STS at one week of the catalogue."""

    def __init__(self, week: int) -> None:
        self.week = week
        self.calls = 0
        self._failures: list[ServiceError] = []
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def fail(self, times: int, error: ServiceError) -> None:
        """Answer the next `times` DescribeImages requests with `error`, after those already waiting."""
        with self._lock:
            self._failures += [error] * times

    def appstream(self, target: str, caller: Caller | None, body: bytes) -> Json:
        """Answer one request of AWS JSON 1.1; `target` is its X-Amz-Target."""
        prefix, _, operation = target.partition(".")
        if prefix != model().metadata["targetPrefix"] or operation != "DescribeImages":
            raise ServiceError("UnknownOperationException", f"The sandbox answers DescribeImages only, not {target!r}")
        self._count()
        if caller is None:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
        if caller.account is None or caller.region not in catalogue()["regions"]:
            raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")
        request = _request(body, model().operation_model(operation).input_shape)
        return self._page(_selected(images_of(caller.account, caller.region, self.week), request), request, caller)

    def _count(self) -> None:
        with self._lock:
            self.calls += 1
            if self._failures:
                raise self._failures.pop(0)

    def _page(self, images: list[Json], request: Json, caller: Caller) -> Json:
        # the page's size is not part of what a token is bound to: AWS lets it change on the way
        asked = [caller.account, caller.region, *(request.get(name) for name in ("Names", "Arns", "Type"))]
        start = self._offset(request["NextToken"], asked) if "NextToken" in request else 0
        end = start + (request.get("MaxResults") or _PAGE)
        return {"Images": images[start:end], "NextToken": self._token(end, asked) if end < len(images) else None}

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

    def sts(self, caller: Caller | None, body: bytes) -> Json:
        """Answer one request of the query protocol; returns the members of GetCallerIdentity's result."""
        if caller is None:
            raise ServiceError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        if caller.account is None:
            raise ServiceError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
        if action != "GetCallerIdentity":
            raise ServiceError("InvalidAction", f"Could not find operation {action} for version 2011-06-15")
        arn = f"arn:aws:sts::{caller.account}:assumed-role/Sandbox/visitor"
        return {"Arn": arn, "UserId": "AROASANDBOX:visitor", "Account": caller.account}


def caller_of(authorization: str) -> Caller | None:
    """Return who signed, from an Authorization header; None when it is not a signature of version 4."""
    found = _SCOPE.search(authorization)
    if found is None:
        return None
    account, region, service = found.groups()
    return Caller(account if account in catalogue()["accounts"] else None, region, service)


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


class Server(socketserver.ThreadingTCPServer):
    """An HTTP server on 127.0.0.1 that can end the connections which clients keep alive."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.open: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away; any other error is a fault of ours, and is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close_all(self) -> None:
        """Close the listening socket and every connection, and wait for their threads."""
        self.server_close()
        for thread, connection in list(self.open.items()):
            with suppress(OSError):  # its client may have closed it already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write for headers and body
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.open[threading.current_thread()] = self.connection

    def finish(self) -> None:
        self.server.open.pop(threading.current_thread(), None)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the request log out of the user's notebook."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        caller = caller_of(self.headers.get("Authorization", ""))
        if caller is not None and caller.service == "sts":
            self._sts(caller, body)
        else:
            self._appstream(caller, body)

    def _appstream(self, caller: Caller | None, body: bytes) -> None:
        try:
            reply = self.server.service.appstream(self.headers.get("X-Amz-Target", ""), caller, body)
        except ServiceError as error:
            modelled = error.code in {shape.name for shape in model().operation_model("DescribeImages").error_shapes}
            content = {"__type": error.code, "Message" if modelled else "message": error.message}
            self._send(
                error.status, "application/x-amz-json-1.1", json.dumps(content), **{"x-amzn-ErrorType": error.code}
            )
        else:
            self._send(200, "application/x-amz-json-1.1", json.dumps(reply, ensure_ascii=False))

    def _sts(self, caller: Caller, body: bytes) -> None:
        try:
            result = self.server.service.sts(caller, body)
        except ServiceError as error:
            fault = _xml({"Type": "Sender", "Code": error.code, "Message": error.message})
            self._send(error.status, "text/xml", _document("ErrorResponse", f"<Error>{fault}</Error>"))
        else:
            inner = f"<GetCallerIdentityResult>{_xml(result)}</GetCallerIdentityResult>"
            self._send(200, "text/xml", _document("GetCallerIdentityResponse", inner))

    def _send(self, status: int, kind: str, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        headers |= {"Content-Type": kind, "Content-Length": str(len(body)), "x-amzn-RequestId": str(uuid.uuid4())}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _xml(members: Json) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())


def _document(name: str, inner: str) -> str:
    return f'<{name} xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{inner}</{name}>'
