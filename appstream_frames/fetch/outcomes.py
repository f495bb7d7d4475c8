"""How the reading of one operation of one target ended: a row of coverage."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from appstream_frames.aws import failures
from appstream_frames.errors import AppStreamFramesError, DrainError
from appstream_frames.fetch.request import Request
from appstream_frames.tables.schema import get_botocore_version, list_tables
from appstream_frames.text import printable

_MESSAGE: Final = 1_000  # characters of an error that coverage keeps


@dataclass
class Outcome:
    """How the reading of one operation of one target went; it pickles, and holds no secret."""

    operation: str
    table: str
    target: str
    account: str | None
    region: str | None
    snapshot: dt.datetime
    request: Request
    started_at: dt.datetime
    located: bool = False  # whether the target's client is there
    ended_at: dt.datetime | None = None
    status: str = "complete"
    failure: DrainError | None = None
    pages: int = 0
    sent: int = 0  # rows that AWS sent, duplicates included
    rows: Counter[str] = field(default_factory=Counter)  # in each table
    retries: int = 0
    resume_token: str | None = None
    unmodeled: list[str] = field(default_factory=list)  # other members of the replies, as JSON
    stale: int = 0  # decoded pages in a row whose rows had all come before

    def fail(self, failure: DrainError) -> None:
        """Note that the reading ended with an error, or that the error is better explained so."""
        self.status, self.failure = failure.status, failure

    def end(self, failure: DrainError | None = None) -> None:
        """Note that nothing more is read, and why, when that is an error."""
        if failure is not None:
            self.fail(failure)
        self.ended_at = dt.datetime.now(dt.UTC)

    def find_position(self, holder: object = None) -> failures.Position:
        """Return where the reading stands, for the explanation of an error; `holder` is as there."""
        page = self.pages + 1 if self.located else 0
        return failures.Position(self.target, page, self.resume_token, operation=self.operation, holder=holder)

    def make_row(self) -> dict[str, Any]:
        """Return the row of coverage."""
        own = "snapshot account region operation status started_at pages retries resume_token".split()
        return {name: getattr(self, name) for name in own} | {
            "ended_at": self.ended_at or self.started_at,
            "rows": self.rows[self.table],
            "duplicates": self.sent - self.rows[self.table],
            "error_code": self.failure and self.failure.code,
            "error_message": self.failure and printable(self.failure, _MESSAGE),
            "request": self.request.as_json(),
            "botocore_version": get_botocore_version(),
            "unmodeled": "[" + ",".join(self.unmodeled) + "]" if self.unmodeled else None,
        }


def make_coverage(outcomes: Iterable[Outcome]) -> pa.Table:
    """Return the table of coverage."""
    return pa.Table.from_pylist([outcome.make_row() for outcome in outcomes], schema=list_tables()["coverage"].schema)


def as_drain_error(error: Exception, where: failures.Position) -> DrainError:
    """Return an error as one that coverage can tell of."""
    if not isinstance(error, AppStreamFramesError):  # nothing we foresaw
        explained = failures.explain(error, where)
        explained.__cause__ = error
        error = explained
    if isinstance(error, DrainError):
        return error
    code = failures.get_code(error.__cause__ or error)
    shown = DrainError(str(error), target=where.target, page=where.page, resume_token=where.resume_token, code=code)
    shown.__cause__ = error
    return shown
