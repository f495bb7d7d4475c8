"""Trouble of the network and of STS for some seconds of a drain: no target is lost that had time left."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import boto3
from support.bad_proxy import Exchange, Proxy, reset
from support.estates import ACCOUNTS, quiet, truth
from support.marks import Tally

import appstream_frames as asf
from appstream_frames.emulator.sandbox import Loopback

_TARGETS: Final = 40
_AT_ONCE: Final = 4  # runs, which mostly wait


def close(exchange: Exchange) -> None:
    """Take the request, and end the connection without a reply."""
    exchange.near.close()
    raise ConnectionResetError


def cut(exchange: Exchange) -> None:
    """Send half of the reply, and end the connection."""
    reply = exchange.far()
    exchange.near.sendall(reply[: len(reply) // 2])
    close(exchange)


def reply_busy(exchange: Exchange) -> None:
    """Answer as a gateway does whose server is away."""
    body = b"<html><h1>503 Service Unavailable</h1></html>"
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    exchange.near.sendall(head + body)


def throttle(exchange: Exchange) -> None:
    """Ask to slow down, in the words of the service."""
    kind, body = b"application/x-amz-json-1.1", b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'
    if _is_sts(exchange):
        words = b"<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
        kind, body = b"text/xml", b"<ErrorResponse>%b</ErrorResponse>" % words
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    exchange.near.sendall(head + body)


@dataclass
class Trouble:
    """A proxy before a sandbox that has trouble of one kind for some seconds.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    only_sts : bool
        Whether AppStream is spared.
    """

    proxy: Proxy
    kind: str
    only_sts: bool
    struck: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Let the trouble begin."""
        self._over = threading.Event()
        if self.kind == "refuse":
            self.proxy.refuse()
        else:
            self.proxy.fault = self._strike

    def end(self) -> None:
        """Let everything be well again, but for connections that hang for good."""
        self.proxy.fault = None
        self._over.set()
        if self.kind == "refuse":
            self.proxy.listen()

    def _strike(self, exchange: Exchange) -> None:
        if self.only_sts and not _is_sts(exchange):
            exchange.near.sendall(exchange.far())
            return
        self.struck["STS" if _is_sts(exchange) else "AppStream"] += 1
        if self.kind == "stall":
            self._over.wait()
            exchange.near.sendall(exchange.far())
        elif self.kind == "hang":
            exchange.near.recv(1)  # until the client goes away
            raise ConnectionResetError
        else:
            REPLIES[self.kind](exchange)


REPLIES: Final[dict[str, Callable[[Exchange], None]]] = {
    "reset": reset,
    "close": close,
    "cut": cut,
    "busy": reply_busy,
    "throttle": throttle,
}
KINDS: Final = ("refuse", "stall", "hang", *REPLIES)


#: What of it befalls STS alone.
STS_KINDS: Final = ("stall", "hang", *REPLIES)


def _is_sts(exchange: Exchange) -> bool:
    return b"Action=" in exchange.request


def drain_in_trouble(
    seed: int, tally: Tally, shortest: float = 1.0, longest: float = 10.0, count: int = _TARGETS
) -> None:
    """Drain targets of roles, with trouble from a random moment on, and hold what comes of it against the truth."""
    chance = random.Random(seed)
    only_sts = chance.random() < 0.3
    kind, seconds = chance.choice(STS_KINDS if only_sts else KINDS), chance.uniform(shortest, longest)
    in_time = chance.random() < 0.9
    timeout = seconds + chance.uniform(4, 15) if in_time else seconds / 2
    if kind == "hang" and in_time:  # the connection is given up after half of the time
        timeout = 2 * seconds + 10
    with asf.sandbox(accounts=ACCOUNTS) as box, Proxy(box.url, verbs=("POST",)) as proxy:
        box.latency(0.1)
        targets = chance.sample(_targets(box, proxy.url), count)
        trouble = Trouble(proxy, kind, only_sts)
        with _after(chance.uniform(0, 1), trouble, seconds), quiet():
            frames = asf.drain_targets(targets, timeout=timeout, progress=False)
    tally.count(f"{'STS ' if only_sts else ''}{kind}")
    tally.count("struck", trouble.struck.total())
    what = f"seed {seed}: {kind} of {'STS' if only_sts else 'all'} for {seconds:.1f} s of {timeout:.1f} s"
    tally.breaches += [f"{what}: {wrong}" for wrong in _breaches(frames, in_time)]


def _targets(box: asf.emulator.sandbox.Sandbox, url: str) -> list[asf.Target]:
    """Return targets of a sandbox that sign in by roles, and reach it by another URL."""
    core = Loopback(url, url, box.nowhere, box.accounts[0])
    session = boto3.Session(botocore_session=core, region_name=box.regions[0])
    roles = [f"arn:aws:iam::{account}:role/AppStreamReader" for account in box.accounts]
    return asf.targets(session=session, roles=roles, regions=box.regions)


@contextmanager
def _after(seconds: float, trouble: Trouble, lasts: float) -> Iterator[None]:
    """Have trouble in a while, that lasts so many seconds, or until the block is over."""
    over = threading.Event()

    def have() -> None:
        over.wait(seconds)
        trouble.begin()
        over.wait(lasts)
        trouble.end()

    thread = threading.Thread(target=have, name="trouble", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _breaches(frames: asf.Frames, in_time: bool) -> Iterator[str]:
    """Yield what is wrong: a target that was lost though it had time, or that is complete and has other rows."""
    arns = frames.images.groupby(["account", "region"])["arn"].apply(list)
    for row in frames.coverage.itertuples():
        if row.status != "complete":
            if in_time:
                yield f"{row.account}/{row.region} {row.status}: {row.error_message}"
        elif arns.get((row.account, row.region), []) != truth(row.account, row.region).images["arn"].to_list():
            yield f"{row.account}/{row.region} is complete, and has {row.rows} rows"


def trouble(scale: float) -> Tally:
    """Drain 40 targets 200 times, some side by side."""
    tally = Tally()
    with asf.sandbox(accounts=ACCOUNTS) as box:
        for account, region in product(box.accounts, box.regions):
            truth(account, region)  # once, while nothing has a deadline
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda seed: drain_in_trouble(seed, tally), range(max(1, round(200 * scale)))))
    return tally
