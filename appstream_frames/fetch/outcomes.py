"""One target's drain under way: pages in, batches of Arrow tables out, and in the end its outcome, a row of coverage.

What takes time happens in `steps`, in a thread of somebody else's; everything else here belongs to the one thread that
takes the pages.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from appstream_frames.aws import failures
from appstream_frames.aws.clients import Place
from appstream_frames.errors import AppStreamFramesError, DrainError
from appstream_frames.fetch.pages import Page, Pages
from appstream_frames.fetch.request import Request
from appstream_frames.tables import raw_json
from appstream_frames.tables.decode import Group, Key
from appstream_frames.tables.schema import botocore_version
from appstream_frames.text import printable

_STALE_PAGES: Final = 100
_MESSAGE: Final = 1_000  # characters of an error that coverage keeps


@dataclass
class Outcome:
    """How one target's drain went; it pickles, and holds no secret."""

    target: str
    account: str | None
    region: str | None
    snapshot: dt.datetime
    request: Request
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    status: str = "complete"
    failure: DrainError | None = None
    pages: int = 0
    images: int = 0  # as AWS sent them, duplicates included
    retries: int = 0
    resume_token: str | None = None
    unmodeled: list[str] = field(default_factory=list)  # other members of the replies, as JSON

    def fail(self, failure: DrainError) -> None:
        """Note that the drain ended with an error, or that the error is better explained so."""
        self.status, self.failure = failure.status, failure

    def row(self, counts: dict[str, int]) -> dict[str, Any]:
        """Return the target's row of coverage, given the rows of each table."""
        return {
            "snapshot": self.snapshot,
            "account": self.account,
            "region": self.region,
            "operation": "DescribeImages",
            "status": self.status,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "pages": self.pages,
            "rows": counts["images"],
            "duplicates": self.images - counts["images"],
            "retries": self.retries,
            "error_code": self.failure and self.failure.code,
            "error_message": self.failure and printable(self.failure, _MESSAGE),
            "resume_token": self.resume_token,
            "request": self.request.as_json(),
            "botocore_version": botocore_version(),
            "unmodeled": "[" + ",".join(self.unmodeled) + "]" if self.unmodeled else None,
        }


class Chain:
    """The chain of pages of one target.

    Parameters
    ----------
    target : str
        What messages call it until its account is known.
    locate : callable
        Returns the `Place`; it may take a while, or fail.
    account, region : str or None
        As far as they are known before.
    owned : bool
        Whether the client is the chain's own, to be closed at its end.
    """

    def __init__(
        self,
        target: str,
        locate: Callable[[], Place],
        request: Request,
        timeout: float,
        snapshot: dt.datetime,
        account: str | None = None,
        region: str | None = None,
        *,
        owned: bool = False,
    ) -> None:
        self.outcome = Outcome(target, account, region, snapshot, request, started_at=snapshot)
        self.target, self.timeout = target, min(timeout, threading.TIMEOUT_MAX)
        self._locate, self._request, self._owned = locate, request, owned
        self.error: Exception | None = None
        self._pages: Pages | None = None
        self._pending: list[bytes] = []
        self._sizes: list[int] = []  # images of each pending page
        self._seen: set[int] = set()  # hashed identities of the images so far
        self._known: set[int] = set()  # hashes of pages, not of images: a drain may have a million
        self._stale = 0

    def steps(self) -> Generator[Place | Page, None, None]:
        """Yield the place, then each page of it; the caller's thread waits for AWS here."""
        place = self._locate()
        self._pages = Pages(place.client, self._request, target=str(place), timeout=self.timeout)
        try:
            yield place
            yield from self._pages.proven()
        finally:
            if self._owned:
                place.client.close()  # or a thousand targets would leave a thousand sockets

    def begin(self) -> None:
        """Note that the drain begins now."""
        self.outcome.started_at = dt.datetime.now(dt.UTC)

    def found(self, place: Place) -> None:
        """Note where the drain turned out to be."""
        self.outcome.target, self.outcome.account, self.outcome.region = str(place), place.account, place.region

    def take(self, page: Page) -> None:
        """Take the next page."""
        if page.unmodeled:
            members = ",".join(f"{raw_json.dumps(name)}:{value}" for name, value in page.unmodeled.items())
            self.outcome.unmodeled.append("{" + members + "}")
        self._pending += page.images
        self._sizes.append(len(page.images))

    @property
    def waiting(self) -> int:
        """How many images wait to be flattened."""
        return len(self._pending)

    @property
    def has_ended(self) -> bool:
        """Whether no page will come any more."""
        return self.outcome.ended_at is not None

    def give(self) -> Group:
        """Give the images that wait to whoever decodes them."""
        images, self._pending = self._pending, []
        self.outcome.images += len(images)
        key = Key(self.outcome.snapshot, self.outcome.account or "", self.outcome.region or "")
        return Group(images, key, self._seen)

    def check(self, images: pa.Table) -> None:
        """Look at the table of what was given.

        Raises
        ------
        DrainError
            When the pages only repeat themselves, under ever-new tokens.
        """
        if not self.has_ended:
            self._check_progress(pc.coalesce(images.column("arn"), images.column("name")).to_pylist())

    def _check_progress(self, found: list[str | None]) -> None:
        ends = list(accumulate(self._sizes))
        pages = [hash(frozenset(found[end - size : end])) for size, end in zip(self._sizes, ends, strict=True)]
        self._sizes = []
        self._stale = 0 if set(pages) - self._known - {hash(frozenset())} else self._stale + len(pages)
        self._known.update(pages)
        if self._stale >= _STALE_PAGES and self._pages is not None:
            raise DrainError(
                f"{self.outcome.target}, page {self._pages.read} of DescribeImages: {self._stale} pages came again, each "
                "with a new NextToken. Expected the pages to end. Nothing of this target is returned; try again.",
                target=self.outcome.target,
                page=self._pages.read,
                resume_token=self._pages.resume_token,
            )

    def end(self, error: BaseException | None = None) -> None:
        """Note that the drain has ended, and how.

        Raises
        ------
        BaseException
            What was raised to end the whole process.
        """
        if error is not None and not isinstance(error, Exception):
            raise error
        if self._owned:
            _forget_frames(error)
        self.error, ended = error, self.outcome
        if self._pages is not None:  # copied: a thread that was given up may still be about to count
            ended.pages, ended.retries = self._pages.read, self._pages.retries
            ended.resume_token = self._pages.resume_token
            self._pages = None  # with its client, of which there may be thousands
        ended.ended_at = dt.datetime.now(dt.UTC)
        if error is not None:
            ended.fail(self._failure(error))
        elif self._request.starting_token or ended.resume_token:
            ended.status = "limited"

    def late(self) -> Exception:
        """Return the error of a step that took longer than `timeout`."""
        if self._pages is not None:
            return self._pages.late()
        late = TimeoutError(f"no answer within {self.timeout:g} s")
        return failures.explain(late, failures.Where(self.outcome.target, 0, None))

    def _failure(self, error: Exception) -> DrainError:
        """Return an error as one that coverage can tell of."""
        if isinstance(error, DrainError):
            return error
        where = failures.Where(self.outcome.target, self.outcome.pages + 1, self.outcome.resume_token)
        if not isinstance(error, AppStreamFramesError):  # nothing we foresaw
            found = failures.explain(error, where)
            if isinstance(found, DrainError):
                return found
        code = failures.code_of(error.__cause__ or error)
        return DrainError(str(error), target=where.target, page=where.page, resume_token=where.resume_token, code=code)


def _forget_frames(error: BaseException | None) -> None:
    """Take the tracebacks off an error and its causes: they hold the client, of which there may be thousands."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
