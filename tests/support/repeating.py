"""A loopback AWS whose refusals repeat credentials, in a form for each region of AppStream and for each key at STS."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import quote

from support.faultserver import identity

SIGNATURE = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789"
BASE64_SIGNATURE = "canarySIGNATUREcanary012345="
PASSWORD = "canary-password"
SOMEBODY = ("AKIASOMEBODYELSE0001", "IQoJcanaryTOKENofSOMEBODYelse0123456789", "eyJhbGciOi.eyJjYW5hcnkiOjB9.canaryjwt")


@dataclass(frozen=True)
class Keys:
    """The credentials that a request was signed with."""

    key: str
    secret: str
    token: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen."""
        return (self.key, self.secret, self.token)


Form = Callable[[Keys], str]
#: How a message may repeat a secret.
FORMS: dict[str, Form] = {
    "header": lambda k: f"x-amz-security-token:{k.token}",
    "header with a space": lambda k: f"X-Amz-Security-Token: {k.token} was not accepted",
    "query": lambda k: f"X-Amz-Security-Token={quote(k.token, safe='')}&a=b",
    "query, half quoted": lambda k: f"X-Amz-Security-Token={quote(k.token)}",
    "query, quoted twice": lambda k: f"?X-Amz-Security-Token%3D{quote(quote(k.token, safe=''), safe='')}",
    "JSON": lambda k: json.dumps({"SessionToken": k.token, "SecretAccessKey": k.secret}),
    "JSON in JSON": lambda k: json.dumps(json.dumps({"SessionToken": k.token})),
    "JSON with escaped slashes": lambda k: '{"t":"' + k.token.replace("/", "\\/") + '"}',
    "XML": lambda k: f"<SessionToken>{k.token}</SessionToken><SecretAccessKey>{k.secret}</SecretAccessKey>",
    "escaped XML": lambda k: html.escape(f"<SessionToken>{k.token}</SessionToken>"),
    "in a sentence": lambda k: f"The security token {k.token} included in the request is invalid",
    "the beginning": lambda k: f"The token {k.token[:16]}… is invalid",
    "the end": lambda k: f"The token …{k.token[-16:]} is invalid",
    "on two lines": lambda k: f"{k.token[:20]}\n{k.token[20:]}",
    "capitals": lambda k: k.token.upper(),
    "base64": lambda k: base64.b64encode(k.token.encode()).decode(),
    "hexadecimal": lambda k: k.token.encode().hex(),
    "secret in a sentence": lambda k: f"signing with {k.secret} failed",
    "secret, named": lambda k: f"aws_secret_access_key = {k.secret}",
    "key in a sentence": lambda k: f"The AWS access key {k.key} is not known",
    "key in small letters": lambda k: f"access key id {k.key.lower()}",
    "authorization": lambda k: f"Authorization: AWS4-HMAC-SHA256 Credential={k.key}/2026/x, Signature={SIGNATURE}",
    "signature": lambda _: f"The signature {SIGNATURE} does not match",
    "signature in a query": lambda _: f"https://i.invalid/a?X-Amz-Signature={SIGNATURE}&X-Amz-Expires=60",
    "signature of version 2": lambda _: f"SignatureProvided>{BASE64_SIGNATURE}<",
    "canonical request": lambda k: f"'POST\n/\n\nhost:h\nx-amz-security-token:{k.token}\n\nhost\n{SIGNATURE}'",
    "bearer": lambda _: f"Authorization: Bearer {SOMEBODY[2]}",
    "somebody's token": lambda _: f"{SOMEBODY[1]} has expired",
    "somebody's key": lambda _: f"User {SOMEBODY[0]} may not",
    "somebody's web identity": lambda _: f"{SOMEBODY[2]} is not valid",
    "user and password": lambda _: f"https://user:{PASSWORD}@proxy.invalid:8080/ refused",
    "cookie": lambda _: f"Set-Cookie: session={PASSWORD}; Path=/",
    "private key": lambda _: f"-----BEGIN PRIVATE KEY-----\n{PASSWORD}\n-----END PRIVATE KEY-----",
    "password, named": lambda _: f"password={PASSWORD}; try again",
}


class Repeating:
    """The running server: it knows which credentials sign, by key id, and which form to refuse with, by region or key id."""

    def __init__(self, by_region: Mapping[str, str], by_key: Mapping[str, str], keys: Mapping[str, Keys]) -> None:
        self.by_region, self.by_key, self.keys = by_region, by_key, keys
        handler = type("Handler", (_Handler,), {"repeating": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repeating: Repeating

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        key, region = re.findall(r"Credential=(\w+)/\d+/([\w-]+)/", self.headers["Authorization"])[0]
        known = self.repeating.keys[key]
        if "X-Amz-Target" in self.headers:
            form = self.repeating.by_region.get(region)
            said = form and {"__type": "AccessDeniedException", "message": FORMS[form](known)}
            self._send(json.dumps(said or {"Images": []}), "application/x-amz-json-1.1", 400 if said else 200)
        elif (form := self.repeating.by_key.get(key)) is not None:
            words = html.escape(FORMS[form](known))
            code = words if form in ("somebody's key", "key in a sentence") else "AccessDenied"
            error = f"<Error><Code>{code}</Code><Message>{words}</Message></Error><RequestId>{words}</RequestId>"
            self._send(f"<ErrorResponse>{error}</ErrorResponse>", "text/xml", 403)
        else:
            self._send(identity().decode(), "text/xml", 200)

    def _send(self, text: str, kind: str, status: int) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
