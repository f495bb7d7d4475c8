"""A server in a process of its own that is AppStream and STS of many accounts: `python estate_server.py MS PAGES EMPTY`.

It waits MS milliseconds before it answers a call, gives the targets 1 to PAGES pages of 25 images with 12 applications each,
and none to every EMPTY-th one (0: to none of them). The account is the access key. It prints its port, listens on 127.0.0.1,
and stops when its standard input ends.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from page_server import PAGE, page, serve

SCOPE = re.compile(r"Credential=([0-9]+)/[0-9]+/([a-z0-9-]+)/")
EMPTY = b'{"Images": []}'


def pages_of(account: str, region: str, most: int, empty: int) -> int:
    """Return how many pages of images a target has."""
    number = zlib.crc32(f"{account}/{region}".encode())
    return 0 if empty and number % empty == 0 else 1 + number // 7 % most


class Handler(BaseHTTPRequestHandler):
    """Answers DescribeImages and GetCallerIdentity for whoever signed."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wait, most, empty = 0.0, 7, 0

    def do_POST(self) -> None:
        """Send the page, or the account."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        account, region = SCOPE.search(self.headers["Authorization"]).groups()
        time.sleep(self.wait)
        if b"GetCallerIdentity" in body:
            found = f"<Account>{account}</Account><Arn>arn:aws:iam::{account}:user/u</Arn><UserId>u</UserId>"
            result = f"<GetCallerIdentityResult>{found}</GetCallerIdentityResult>"
            self.send(
                "text/xml",
                f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</GetCallerIdentityResponse>'.encode(),
            )
            return
        there = PAGE * pages_of(account, region, self.most, self.empty)
        start = int(json.loads(body).get("NextToken", 0))
        self.send("application/x-amz-json-1.1", page(start, there) if there else EMPTY)

    def send(self, kind: str, body: bytes) -> None:
        """Send a reply."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = socket.SOMAXCONN


def main() -> None:
    """Serve until standard input ends."""
    Handler.wait, Handler.most, Handler.empty = int(sys.argv[1]) / 1000, int(sys.argv[2]), int(sys.argv[3])
    for pages in range(1, Handler.most + 1):
        for start in range(0, pages * PAGE, PAGE):
            page(start, pages * PAGE)
    serve(Server(("127.0.0.1", 0), Handler))


if __name__ == "__main__":
    main()
