"""A real S3 server on loopback (SeaweedFS, from a wheel).

The server keeps its data in a folder of its own, listens on 127.0.0.1 only, at ports that were free a moment ago, and is
ended by its process id.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BUCKET = "bucket"
KEY, SECRET = "AKIASEAWEEDCANARY000", "canary/secret/of/seaweed+0123456789abcd"
_WEED = Path(sys.executable).with_name("weed")
_PORTS = (
    "master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc s3.port s3.port.grpc".split()
)


@dataclass(frozen=True)
class Seaweed:
    """A running server."""

    url: str
    pid: int

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Return the variables that point boto3's default session at it, or at a proxy in front of it."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, **config: Any) -> Any:
        """Return a boto3 client of it."""
        return client(self.url, **config)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects whose key begins so, sorted."""
        with closing(self.client()) as made:
            pages = made.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
            return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))


def client(url: str, **config: Any) -> Any:
    """Return a boto3 S3 client with the right keys."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(proxies={}, **config),
    )


@contextmanager
def seaweed() -> Iterator[Seaweed]:
    """Run a server with one empty bucket; its process has ended and its folder is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
    ports = dict(zip([*_PORTS, "admin.port", "admin.port.grpc"], _free_ports(len(_PORTS) + 2), strict=True))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(_command(folder, ports), cwd=folder, env=_bare(folder), stdout=log, stderr=log)
    try:
        server = Seaweed(f"http://127.0.0.1:{ports['s3.port']}", process.pid)
        _await_bucket(server, process, folder / "log")
        yield server
    finally:
        process.kill()  # its data are thrown away: nothing has to be ended in order
        process.wait()
        shutil.rmtree(folder)
        for port in ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108  where it puts them
                left.unlink(missing_ok=True)


def _command(folder: Path, ports: dict[str, int]) -> list[str | Path]:
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    identity = {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "s3.config": folder / "s3.json",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        **ports,
    }
    return [_WEED, "mini", *(f"-{name}={value}" for name, value in options.items())]


def _bare(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin"}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        open_ = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in open_]


def _await_bucket(server: Seaweed, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    with closing(server.client(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2)) as made:
        while True:
            try:
                made.head_bucket(Bucket=BUCKET)
            except Exception:  # noqa: BLE001  any kind: it is not ready yet
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(log.read_text(errors="replace")[-2000:]) from None
                time.sleep(0.05)
            else:
                return
