"""A server in a process of its own that answers DescribeImages with canned pages: `python page_server.py IMAGES`.

It prints its port, serves pages of 25 images with 12 applications each on 127.0.0.1, and stops when its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = 25
APPLICATIONS = 12
ACCOUNT = "012345678901"


def application(number: int) -> dict[str, object]:
    """Return an application of the size that AWS sends."""
    return {
        "Name": f"application-{number}",
        "DisplayName": f"Application number {number}",
        "IconURL": f"https://appstream2-icons.s3.eu-west-1.amazonaws.com/{ACCOUNT}/{number:064d}?X-Amz-Signature="
        + "a" * 220,
        "LaunchPath": f"C:\\Program Files\\Vendor {number}\\application.exe",
        "LaunchParameters": "--start maximized",
        "Enabled": True,
        "Metadata": {"WORKING_DIRECTORY": None},
        "WorkingDirectory": "C:\\Users\\PhotonUser",
        "Description": f"What application {number} is for. " * 6,
        "Arn": f"arn:aws:appstream:eu-west-1:{ACCOUNT}:application/application-{number}",
        "Platforms": ["WINDOWS_SERVER_2022"],
        "InstanceFamilies": ["GENERAL_PURPOSE"],
        "CreatedTime": 1_700_000_000.123 + number,
    }


def image(number: int) -> dict[str, object]:
    """Return an image with its applications."""
    return {
        "Name": f"image-{number}",
        "Arn": f"arn:aws:appstream:eu-west-1:{ACCOUNT}:image/image-{number}",
        "BaseImageArn": "arn:aws:appstream:eu-west-1::image/AppStream-WinServer2022-11-10-2025",
        "DisplayName": f"Image number {number}",
        "State": "AVAILABLE",
        "Visibility": "PRIVATE",
        "ImageBuilderSupported": True,
        "ImageBuilderName": f"builder-{number}",
        "Platform": "WINDOWS_SERVER_2022",
        "Description": f"What image {number} is for",
        "Applications": [application(position) for position in range(APPLICATIONS)],
        "CreatedTime": 1_750_000_000.5 + number,
        "PublicBaseImageReleasedDate": 1_762_732_800,
        "AppstreamAgentVersion": "06-29-2026",
        "ImagePermissions": {"allowFleet": True, "allowImageBuilder": False},
        "LatestAppstreamAgentVersion": "TRUE",
        "SupportedInstanceFamilies": ["GENERAL_PURPOSE", "COMPUTE"],
        "DynamicAppProvidersEnabled": "DISABLED",
        "ImageSharedWithOthers": "FALSE",
    }


@cache
def page(start: int, images: int) -> bytes:
    """Return one page as bytes."""
    end = min(start + PAGE, images)
    reply: dict[str, object] = {"Images": [image(number) for number in range(start, end)]}
    if end < images:
        reply["NextToken"] = str(end)
    return json.dumps(reply).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers every POST with the page its token asks for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    images = 0

    def do_POST(self) -> None:
        """Send the page."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = self.page(int(request.get("NextToken", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, start: int) -> bytes:
        """Return a page, kept in memory when there are few."""
        return page(start, self.images) if self.images <= 2_000 else page.__wrapped__(start, self.images)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def serve(server: ThreadingHTTPServer) -> None:
    """Print the port, and serve until standard input ends."""
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    Handler.images = int(sys.argv[1])
    serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
