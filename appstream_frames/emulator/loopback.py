"""The sandbox's HTTP server: sends the replies of other modules, delayed or broken where a fault was set.

AppStream and Organizations speak AWS JSON 1.1, STS the query protocol with XML.
"""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import sys
import threading
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

from appstream_frames.emulator.accounts import Accounts, Caller, ServiceError
from appstream_frames.emulator.catalogue import Json
from appstream_frames.emulator.service import AppStream, find_matching
from appstream_frames.tables.schema import load_model

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class Server(socketserver.ThreadingTCPServer):
    """An HTTP server on 127.0.0.1 that can close the connections that clients keep alive."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, appstream: AppStream, accounts: Accounts, port: int) -> None:
        self.appstream, self.accounts = appstream, accounts
        self.closing = threading.Event()
        self.open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection that `close_all` can close."""
        self.open[request] = threading.current_thread()
        super().process_request_thread(request, client_address)
        del self.open[request]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a client disconnected; print any other error, which is a bug of this package."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close_all(self) -> None:
        """Close the listening socket and every connection, and wait for their threads."""
        self.closing.set()
        self.server_close()
        for connection, thread in list(self.open.items()):
            with suppress(OSError):  # its client may have closed it already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write for headers and body
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the request log out of the user's notebook."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed, token = self.headers.get("Authorization", ""), self.headers.get("X-Amz-Security-Token")
        caller = self.server.accounts.find_caller(signed, token)
        latency = find_matching(self.server.appstream.latency, (caller.account, caller.region, None))
        self.server.closing.wait(next(iter(latency), 0.0))
        self._reply(caller, body)

    def _reply(self, caller: Caller, body: bytes) -> None:
        """Send the result or the error of the service that was called, in its protocol."""
        target, as_xml = self.headers.get("X-Amz-Target", ""), caller.service == "sts"
        status, headers, fault = 200, {"x-amzn-RequestId": str(uuid.uuid4())}, None
        try:
            if as_xml:
                reply = self.server.accounts.reply_as_sts(caller, body)
            elif caller.service == "organizations":
                reply = self.server.accounts.reply_as_organizations(target, caller, body)
            else:
                reply, fault = self.server.appstream.reply(target, caller, body)
        except ServiceError as error:
            status, headers["x-amzn-ErrorType"] = error.status, error.code
            modelled = error.code in load_model().shape_names  # AWS spells the member of these with a capital
            reply = {"__type": error.code, "Message" if modelled else "message": error.message}
            if as_xml:
                reply = {"ErrorResponse": {"Error": {"Type": "Sender", "Code": error.code, "Message": error.message}}}
        content = _to_xml(reply).encode() if as_xml else _to_json(reply)
        headers["Content-Type"] = "text/xml" if as_xml else "application/x-amz-json-1.1"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault is None:
            self.wfile.write(content)
        else:
            self._break(fault, content)

    def _break(self, fault: str, body: bytes) -> None:
        """Send half of a body and close or reset the connection; or send a byte a second."""
        self.close_connection = True
        if fault == "slow":
            for index in range(len(body)):
                self.wfile.write(body[index : index + 1])
                self.wfile.flush()
                if self.server.closing.wait(1.0):
                    return
        else:
            self.wfile.write(body[: len(body) // 2])
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.connection.close()  # else the server would shut it down in order first


def _to_json(reply: Json) -> bytes:
    try:
        return msgspec.json.encode(reply)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold only as an escape
        return json.dumps(reply).encode()


def _to_xml(members: Json) -> str:
    inner = ((name, _to_xml(value) if isinstance(value, dict) else escape(value)) for name, value in members.items())
    return "".join(f"<{name}>{value}</{name}>" for name, value in inner)
