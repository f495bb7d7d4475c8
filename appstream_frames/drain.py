"""Drains: targets to `Frames`. Coverage is kept here: what was read, how it ended, and what was asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from appstream_frames import jsontext, model
from appstream_frames.errors import DrainError, RequestError
from appstream_frames.flatten import Key, flatten
from appstream_frames.frames import Frames, to_pandas
from appstream_frames.pages import Page, Pages
from appstream_frames.request import Request
from appstream_frames.targets import Place, place
from appstream_frames.text import printable

_BATCH: Final = 125  # images flattened at once: large enough for Arrow, small enough for memory
_STALE_PAGES: Final = 100


def drain(
    client: Any = None,
    *,
    account: str | None = None,
    names: Iterable[str] | None = None,
    arns: Iterable[str] | None = None,
    type: str | None = None,
    max_items: int | None = None,
    page_size: int | None = None,
    starting_token: str | None = None,
    timeout: float = 60.0,
    progress: bool | None = None,
) -> Frames:
    """Read every page of DescribeImages of one account in one region, to a proven end.

    Parameters
    ----------
    client : boto3 AppStream client, optional
        Default: one of your default credentials and region. It behaves for others as before, during the drain too.
    account : str, optional
        Account id of the client's credentials, twelve digits; default: asked of STS.
    names : iterable of str, optional
        Names of the images to describe. AWS does not find shared images by name.
    arns : iterable of str, optional
        ARNs of the images to describe; not together with `names`.
    type : {"PUBLIC", "PRIVATE", "SHARED"}, optional
        Default: everything, AWS's public images included.
    max_items : int, optional
        Read at most so many images; ``frames.resume_token`` then says where to go on.
    page_size : int, optional
        Images per request, 0 to 25; default: AWS's choice.
    starting_token : str, optional
        A ``resume_token`` of an earlier drain of the same request.
    timeout : float
        Wall-clock seconds that one page may take, its retries included.
    progress : bool, optional
        Show a progress bar; default: when standard error is a terminal.

    Returns
    -------
    Frames
        ``images``, ``applications``, ``errors`` and ``coverage``, with one row of coverage: ``complete``, or
        ``limited`` when `max_items` cut the drain or `starting_token` skipped its beginning.

    Raises
    ------
    RequestError
        When a parameter cannot be right; before anything is sent, or as AWS answered.
    AccessError
        When AWS does not accept the credentials, or does not allow DescribeImages.
    EndpointError
        When no AppStream endpoint answers for the region.
    DrainError
        When a page could not be proven whole in time. Nothing is returned then; ``error.resume_token`` says where
        the proven pages end.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     frames = asf.drain(sandbox.client(), type="PUBLIC", max_items=2)
    >>> len(frames.images), frames.coverage["status"].item()
    (2, 'limited')
    """
    request = Request.of(
        names=names,
        arns=arns,
        type=type,
        max_items=max_items,
        page_size=page_size,
        starting_token=starting_token,
    )
    _check_timeout(timeout)
    where = place(client, account, timeout)
    with tqdm(desc=str(where), unit=" images", disable=None if progress is None else not progress, leave=False) as bar:
        drained = Drain(where, request, timeout)
        collected = Collected()
        for batch in drained:
            collected.add(batch)
            bar.update(batch["images"].num_rows)
    return _frames(drained, collected)


def _check_timeout(timeout: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise RequestError(f"timeout={timeout!r} must be a number of seconds above 0.")


@dataclass
class Drain:
    """One target's drain under way: iterate for batches of tables; then `coverage` says how it went."""

    place: Place
    request: Request
    timeout: float
    snapshot: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    images: int = 0
    status: str = "complete"
    failure: DrainError | None = None

    def __post_init__(self) -> None:
        self._pages = Pages(self.place.client, self.request, target=str(self.place), timeout=self.timeout)
        self._key = Key(self.snapshot, self.place.account, self.place.region)
        self._unmodeled: list[str] = []
        self._sizes: list[int] = []  # images of each page since the last batch
        self._known: set[int] = set()  # hashes of pages, not of images: a drain may have a million
        self._stale = 0

    def __iter__(self) -> Generator[dict[str, pa.Table], None, None]:
        images: list[bytes] = []
        try:
            for page in self._pages:
                self._note(page)
                self._sizes.append(len(page.images))
                images += page.images
                if len(images) >= _BATCH:
                    yield self._flatten(images)
                    images = []
        except DrainError:
            self._sizes = []  # given up already: nothing is left to check
            yield self._flatten(images)  # proven pages, which the resume token has passed
            raise
        yield self._flatten(images)
        if self.request.starting_token or self.resume_token:
            self.status = "limited"

    @property
    def resume_token(self) -> str | None:
        """Where to go on."""
        return self._pages.resume_token

    def _note(self, page: Page) -> None:
        if page.unmodeled:
            self._unmodeled.append("{" + ",".join(f"{jsontext.dumps(n)}:{v}" for n, v in page.unmodeled.items()) + "}")

    def _flatten(self, images: list[bytes]) -> dict[str, pa.Table]:
        self.images += len(images)
        tables = flatten(images, self._key)
        found = tables["images"]
        self._check_progress(pc.coalesce(found.column("arn"), found.column("name")).to_pylist())
        return tables

    def _check_progress(self, found: list[str | None]) -> None:
        """Refuse to follow for ever a chain of pages that repeat themselves under ever-new tokens."""
        ends = list(accumulate(self._sizes))
        pages = [hash(frozenset(found[end - size : end])) for size, end in zip(self._sizes, ends, strict=True)]
        self._sizes = []
        self._stale = 0 if set(pages) - self._known - {hash(frozenset())} else self._stale + len(pages)
        self._known.update(pages)
        if self._stale >= _STALE_PAGES:
            raise DrainError(
                f"{self.place}, page {self._pages.read} of DescribeImages: {self._stale} pages came again, each with a "
                "new NextToken. Expected the pages to end. Nothing of this target is returned; try again.",
                target=str(self.place),
                page=self._pages.read,
                resume_token=self.resume_token,
            )

    def fail(self, error: DrainError) -> None:
        """Note that the drain ended with an error."""
        self.status, self.failure = error.status, error

    def coverage(self, counts: dict[str, int]) -> dict[str, Any]:
        """Return the target's row of coverage, given the rows of each table."""
        return {
            "snapshot": self.snapshot,
            "account": self.place.account,
            "region": self.place.region,
            "status": self.status,
            "started_at": self.snapshot,
            "ended_at": dt.datetime.now(dt.UTC),
            "pages": self._pages.read,
            **counts,
            "duplicates": self.images - counts["images"],
            "retries": self._pages.retries,
            "error_code": self.failure and self.failure.code,
            "error_message": self.failure and printable(self.failure, 1000),
            "resume_token": self.resume_token,
            "request": self.request.as_json(),
            "botocore_version": model.botocore_version(),
            "unmodeled": "[" + ",".join(self._unmodeled) + "]" if self._unmodeled else None,
        }


class Collected:
    """Batches of one target's tables; an image that AWS sent again counts once, as it was sent last."""

    def __init__(self) -> None:
        self._batches: list[dict[str, pa.Table]] = []
        self._batch_of: dict[str, int] = {}
        self._again: dict[int, list[str]] = {}

    def add(self, batch: dict[str, pa.Table]) -> None:
        """Take a batch, and note which rows of earlier ones it replaces."""
        number = len(self._batches)
        for arn in batch["images"].column("arn").to_pylist():
            if arn is None:
                continue
            if arn in self._batch_of:
                self._again.setdefault(self._batch_of[arn], []).append(arn)
            self._batch_of[arn] = number
        self._batches.append(batch)

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables without the replaced rows; the batches are given up."""
        for number, arns in self._again.items():
            self._batches[number] = {name: _without(table, arns) for name, table in self._batches[number].items()}
        batches, self._batches = self._batches, []
        return {name: pa.concat_tables([batch[name] for batch in batches]) for name in batches[0]}


def _without(table: pa.Table, arns: list[str]) -> pa.Table:
    column = table.column("image_arn" if "image_arn" in table.schema.names else "arn")
    gone = pc.is_in(column, pa.array(arns, pa.string()))
    return table.filter(pc.invert(gone))


def _frames(drained: Drain, collected: Collected) -> Frames:
    tables = collected.tables()
    counts = {name: table.num_rows for name, table in tables.items()}
    tables["coverage"] = pa.Table.from_pylist([drained.coverage(counts)], schema=model.tables()["coverage"].schema)
    frames = {name: to_pandas(tables.pop(name)) for name in list(tables)}
    return Frames(frames, drained.resume_token)
