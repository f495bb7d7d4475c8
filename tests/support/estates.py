"""Estates of sandbox targets each of which fails in its own way: what is drained, and what has to come of it."""

from __future__ import annotations

import math
import random
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
import pandas as pd
from botocore.config import Config
from support.catalogue import images_of

import appstream_frames as asf
from appstream_frames.emulator.catalogue import find_week

MOMENTS: Final = ["snapshot", "started_at", "ended_at"]
PAGE: Final = 25
ACCOUNTS: Final = 13
#: A kind of target: the fault that the sandbox is told, the status and the codes that have to come of it.
KINDS: Final[dict[str, tuple[str | None, str, frozenset[str]]]] = {
    "good": (None, "complete", frozenset()),
    "denied": ("denied", "denied", frozenset({"AccessDeniedException"})),
    "disabled": ("disabled", "region_disabled", frozenset({"UnrecognizedClientException"})),
    "nowhere": (None, "no_endpoint", frozenset({"EndpointConnectionError"})),
    # or the next attempt goes out on the connection that is being closed
    "cut": ("cut", "failed", frozenset({"PageError", "ConnectionClosedError"})),
    "reset": ("reset", "failed", frozenset({"ConnectionClosedError", "PageError", "ResponseStreamingError"})),
    "broken": ("server_error", "failed", frozenset({"InternalFailure"})),
    "throttled": ("throttled", "throttled", frozenset({"ThrottlingException"})),
    "slow": ("slow", "failed", frozenset({"TimeoutError"})),
}
#: Those which pass by themselves, and last as long as the timeout when they do not.
PASSING: Final = ("cut", "reset", "broken", "throttled")
#: Those which always last as long as the timeout.
LASTING: Final = ("nowhere", "slow")


@dataclass(frozen=True)
class Fate:
    """What befalls one target: a fault after some pages, for some requests or for ever."""

    account: str
    region: str
    kind: str = "good"
    after: int = 0
    times: int | None = None

    def strikes(self, pages: int) -> bool:
        """Tell whether the fault comes at all."""
        return self.kind == "nowhere" or (self.kind != "good" and self.after < pages)

    def fails(self, pages: int) -> bool:
        """Tell whether the target cannot be read to its end."""
        return self.strikes(pages) and self.times is None


@dataclass(frozen=True)
class Estate:
    """Targets of a sandbox, the fate of each, and what is asked of all."""

    targets: list[Any]
    fates: list[Fate]
    asked: dict[str, Any] = field(default_factory=dict)

    def breaches(self, frames: asf.Frames) -> list[str]:
        """Return what is wrong with the frames of a drain or a snapshot; nothing when every promise was kept."""
        wrong = [text for number, fate in enumerate(self.fates) for text in self._of_row(frames.coverage, number, fate)]
        moments = {moment for table in frames.tables.values() for moment in table["snapshot"]}
        wrong += [] if len(moments) == 1 else [f"{len(moments)} moments"]
        for name in ("images", "applications", "errors"):
            expected = pd.concat([self._expected(fate, name) for fate in self.fates], ignore_index=True)
            wrong += different(f"{name}", timeless(frames.tables[name]), expected)
        return wrong

    def _of_row(self, coverage: pd.DataFrame, number: int, fate: Fate) -> Iterator[str]:
        row, whole = coverage.iloc[number], truth(fate.account, fate.region, **self.asked)
        pages = pages_of(whole)
        status, codes = self._verdict(fate, pages)
        seen = (row["account"], row["region"], row["status"])
        if seen != (fate.account, fate.region, status):
            yield f"{fate}: {seen}, expected {status}; {row['error_message']}"
        if (codes or not pd.isna(row["error_code"])) and row["error_code"] not in codes:
            yield f"{fate}: code {row['error_code']}, expected {sorted(codes)}; {row['error_message']}"
        if row["rows"] != len(self._expected(fate, "images")):
            yield f"{fate}: {row['rows']} rows in coverage"
        if not codes and row["retries"] != (fate.times if fate.strikes(pages) else 0):
            yield f"{fate}: {row['retries']} retries"
        if pd.isna(row["resume_token"]) != (not codes or fate.after == 0):
            yield f"{fate}: resume token {row['resume_token']}"

    def _verdict(self, fate: Fate, pages: int) -> tuple[str, frozenset[str]]:
        if not fate.fails(pages):
            return KINDS["good"][1:]
        _, status, codes = KINDS[fate.kind]
        # a region that has answered is enabled, so it is the keys that are refused
        return "bad_credentials" if fate.kind == "disabled" and fate.after else status, codes

    def _expected(self, fate: Fate, name: str) -> pd.DataFrame:
        """Return the rows of a target: all, or those of the pages before it failed."""
        whole = truth(fate.account, fate.region, **self.asked)
        pages = 0 if fate.kind == "nowhere" else fate.after if fate.fails(pages_of(whole)) else pages_of(whole)
        return first_pages(fate.account, fate.region, name, pages, **self.asked)


def estate(box: Any, chance: random.Random, *, lasting: bool, size: int = 40, attempts: int = 1) -> Estate:
    """Draw targets of a sandbox of `ACCOUNTS` accounts, each with a fate, and have the sandbox bring it about.

    Parameters
    ----------
    lasting : bool
        Whether there are fates that last as long as the timeout.
    attempts : int
        How often botocore asks before our own retries come.
    """
    kinds = [kind for kind in KINDS if lasting or kind not in LASTING]
    places = chance.sample([(account, region) for account in box.accounts for region in box.regions], size)
    dead = chance.choice(box.accounts)  # refused everywhere: bad credentials, when it has several regions
    fates = [
        _fate(chance, account, region, "disabled" if account == dead else chance.choice(kinds), lasting)
        for account, region in places
    ]
    for fate in fates:
        if (fault := KINDS[fate.kind][0]) is not None:
            box.fault(fate.account, fate.region, fault, times=fate.times, after=fate.after)
        if chance.random() < 0.3:
            box.latency(chance.uniform(0, 0.1), fate.account, fate.region)
    sessions = {account: session(box, account, attempts) for account in box.accounts}
    lost = {fate: session(box, fate.account, attempts, fate.region) for fate in fates if fate.kind == "nowhere"}
    targets = [asf.targets(session=lost.get(fate, sessions[fate.account]), regions=[fate.region])[0] for fate in fates]
    return Estate(targets, fates, chance.choice([{}, {"type": "PRIVATE"}]))


def _fate(chance: random.Random, account: str, region: str, kind: str, lasting: bool) -> Fate:
    passing = kind in PASSING and (not lasting or chance.random() < 0.4)
    if kind in ("good", "nowhere"):
        return Fate(account, region, kind)
    return Fate(account, region, kind, chance.choice((0, 0, 1, 2)), chance.randint(1, 3) if passing else None)


def session(box: Any, account: str, attempts: int = 1, nowhere: str = "xx-nowhere-1") -> boto3.Session:
    """Return a session of a sandbox's account, of which botocore asks so often, and that finds nobody in a region."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    found: boto3.Session = box.session(account, "us-east-1", config=config, nowhere=nowhere)
    return found


@cache
def truth(account: str, region: str, **asked: Any) -> asf.Frames:
    """Return the drain of one target of a sandbox where nothing goes wrong, checked against the catalogue."""
    with asf.sandbox(accounts=ACCOUNTS) as box:
        frames = asf.drain(box.client(account, region), progress=False, **asked)
    known = [
        each["Arn"]
        for each in images_of(account, region, find_week())
        if each["Visibility"] == asked.get("type", each["Visibility"])
    ]
    assert sorted(frames.images["arn"]) == sorted(known)
    return frames


@cache
def first_pages(account: str, region: str, name: str, pages: int, **asked: Any) -> pd.DataFrame:
    """Return the rows of one target's table that come in its first pages."""
    whole = truth(account, region, **asked)
    read = whole.images["arn"].head(PAGE * pages)
    table = whole.tables[name]
    return timeless(table[table["arn" if name == "images" else "image_arn"].isin(read)])


def pages_of(frames: asf.Frames) -> int:
    """Return how many pages the images of a target come in."""
    return max(1, math.ceil(len(frames.images) / PAGE))


def timeless(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without what differs between two runs."""
    return frame.drop(columns=MOMENTS, errors="ignore").reset_index(drop=True)


def different(what: str, seen: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """Return where two tables differ; nothing when they are the same in rows, order, columns and dtypes."""
    try:
        pd.testing.assert_frame_equal(seen, expected)
    except AssertionError as error:
        return [f"{what}: {error}"]
    return []


def same(seen: asf.Frames, expected: asf.Frames, *but: str) -> list[str]:
    """Return where frames differ, moments and the columns `but` aside."""
    return [
        text
        for name, table in expected.tables.items()
        for text in different(
            name,
            timeless(seen.tables[name]).drop(columns=[*but], errors="ignore"),
            timeless(table).drop(columns=[*but], errors="ignore"),
        )
    ]


@contextmanager
def quiet() -> Iterator[None]:
    """Let drains warn of their failures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def drained(estate: Estate, timeout: float) -> asf.Frames:
    """Drain an estate into frames."""
    with quiet():
        return asf.drain_targets(estate.targets, timeout=timeout, progress=False, **estate.asked)


def snapped(estate: Estate, timeout: float, root: str | Path) -> asf.Frames:
    """Drain an estate into a snapshot, and read it."""
    with quiet():
        name = asf.take_snapshot(root, estate.targets, timeout=timeout, progress=False, **estate.asked)
    return asf.read_snapshot(root, name)


class Watched:
    """Stands before a sandbox's AppStream: counts the calls under way, holds them a while, and may answer itself.

    Attributes
    ----------
    most : collections.Counter
        The most calls under way at once by account, and of all accounts under None.
    pages : list of tuple
        Account and region of every answer so far.
    """

    def __init__(self, box: Any, hold: float = 0.0, answer: Callable[[str, str, Any], Any] | None = None) -> None:
        self._hold, self._answer = hold, answer
        self._lock, self._now = threading.Lock(), Counter[str | None]()
        self.most: Counter[str | None] = Counter()
        self.pages: list[tuple[str, str]] = []
        box.respond_with(self._watched)

    def _watched(self, _: str, account: str, region: str, request: dict[str, Any]) -> Any:
        with self._lock:
            for key in (account, None):
                self._now[key] += 1
                self.most[key] = max(self.most[key], self._now[key])
        time.sleep(self._hold)
        try:
            return self._answer and self._answer(account, region, request)
        finally:
            with self._lock:
                self.pages.append((account, region))
                for key in (account, None):
                    self._now[key] -= 1


def everywhere(box: Any, accounts: Sequence[str] | None = None, **asked: Any) -> list[Any]:
    """Return the targets of a sandbox's accounts in all its regions."""
    sessions = [session(box, account) for account in accounts or box.accounts]
    return [target for each in sessions for target in asf.targets(session=each, regions=box.regions)]
