"""A machine for other programs' Python: an empty home, no AWS settings, a zone far from UTC, and no network but loopback."""

from __future__ import annotations

from pathlib import Path

_SITE = """
import ipaddress, os, socket

def guarded(method):
    def checked(self, address, *rest):
        if self.family != socket.AF_UNIX and not ipaddress.ip_address(address[0]).is_loopback:
            with open(os.environ["ATTEMPTS"], "a") as attempts:
                attempts.write(f"{address}\\n")
            raise OSError(f"no network here: {address}")
        return method(self, address, *rest)
    return checked

def looked_up(host, *rest, **named):
    if host not in ("127.0.0.1", "localhost", None):
        with open(os.environ["ATTEMPTS"], "a") as attempts:
            attempts.write(f"{host}\\n")
        raise OSError(f"no network here: {host}")
    return lookup(host, *rest, **named)

lookup, socket.getaddrinfo = socket.getaddrinfo, looked_up
socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
"""


def bare_machine(home: Path) -> dict[str, str]:
    """Return the environment of a machine with this empty home, whose Python writes each attempt to leave it to ``ATTEMPTS``."""
    (home / "guard").mkdir()
    (home / "guard" / "sitecustomize.py").write_text(_SITE)
    (home / "attempts").touch()
    return {
        "HOME": str(home),
        "PYTHONPATH": str(home / "guard"),
        "ATTEMPTS": str(home / "attempts"),
        "PYTHONUTF8": "1",
        "TZ": "America/New_York",
        "AWS_EC2_METADATA_DISABLED": "false",  # boto3 may ask; the guard would see it
    }


def attempts(machine: dict[str, str]) -> list[str]:
    """Return the addresses beyond loopback that were tried."""
    return Path(machine["ATTEMPTS"]).read_text().splitlines()
