"""A loopback AWS that signs in: STS, single sign-on, console sign-in, container and instance metadata, and an empty AppStream.

The account is in the key: keys of account 111122223333 are called AKIA111122223333. No signature is checked.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

EXPIRES = "2037-01-01T00:00:00Z"


def keys(account: str) -> dict[str, str]:
    """Return credentials of an account, as credential servers and processes give them."""
    return {
        "AccessKeyId": f"AKIA{account}",
        "SecretAccessKey": f"secret-of-{account}",
        "Token": f"token-of-{account}",
        "SessionToken": f"token-of-{account}",
        "Expiration": EXPIRES,
    }


class Identities:
    """A running server.

    Attributes
    ----------
    url : str
        Where it is.
    asked : list of (str, dict)
        Each operation or path that was asked for, with the request's parameters.
    """

    def __init__(self, container: tuple[int, bytes] | None = None) -> None:
        self.container = container  # status and body of a credential server that answers badly
        self.asked: list[tuple[str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"identities": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def operations(self) -> list[str]:
        """Return what was asked for."""
        return [operation for operation, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    identities: Identities

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.identities.asked.append((url.path, query | {"authorization": self.headers.get("Authorization", "")}))
        if url.path == "/federation/credentials":
            given = keys(query["account_id"])
            names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
            role = {name[0].lower() + name[1:]: given[name] for name in names} | {"expiration": 2_114_380_800_000}
            self._json({"roleCredentials": role})
        elif url.path.startswith("/container/") and self.identities.container:
            status, body = self.identities.container
            self._send(body, "application/json", status)
        elif url.path.startswith("/container/"):
            self._json(keys(url.path.rpartition("/")[2]))
        elif url.path == "/latest/meta-data/iam/security-credentials/":
            self._send(b"instance-role", "text/plain")
        elif url.path.startswith("/latest/meta-data/iam/security-credentials/"):
            self._json(keys("222200000022") | {"Code": "Success"})
        else:
            self._send(b"", "text/plain", 404)

    def do_PUT(self) -> None:
        self._send(b"metadata-token", "text/plain", **{"x-aws-ec2-metadata-token-ttl-seconds": "21600"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        if "X-Amz-Target" in self.headers:
            self.identities.asked.append((self.headers["X-Amz-Target"].rpartition(".")[2], json.loads(body)))
            self._json({"Images": []})
        elif self.path == "/token":
            self.identities.asked.append(("CreateToken", json.loads(body)))
            self._json({"accessToken": "renewed", "expiresIn": 3600, "refreshToken": "again"})
        else:
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.identities.asked.append((form["Action"], form))
            self._sts(form)

    def _sts(self, form: dict[str, str]) -> None:
        if form["Action"] == "GetCallerIdentity":
            account = re.findall(r"Credential=AKIA(\d{12})/", self.headers["Authorization"])[0]
            result = f"<Arn>arn:aws:iam::{account}:user/u</Arn><UserId>U</UserId><Account>{account}</Account>"
        else:
            arn = form["RoleArn"]
            given = keys(arn.split(":")[4])
            names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
            inner = "".join(f"<{name}>{given[name]}</{name}>" for name in names)
            user = f"<Arn>{arn.replace(':iam:', ':sts:')}/s</Arn><AssumedRoleId>A:s</AssumedRoleId>"
            result = f"<Credentials>{inner}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"
        name = form["Action"]
        xml = f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"
        self._send(xml.encode(), "text/xml")

    def _json(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value).encode(), "application/x-amz-json-1.1")

    def _send(self, body: bytes, kind: str, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
