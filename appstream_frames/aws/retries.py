"""Retry failed requests: one rule for pages and for signing in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from botocore.parsers import ResponseParserError

from appstream_frames.aws import failures
from appstream_frames.aws.deadlines import Deadline, attach, get_current_deadline, use_own_connections
from appstream_frames.text import printable

_BROKEN_REPLIES: Final = 6
LONGEST_PAUSE: Final = 8.0
_LAST_PAUSE: Final = 0.1
_SIGN_IN: Final = 60.0
T = TypeVar("T")


class BrokenReplyError(Exception):
    """A reply that AWS itself would not send; `cut` means that the connection ended before the reply did."""

    def __init__(self, message: str, *, cut: bool = False) -> None:
        super().__init__(message)
        self.cut = cut


def check_length(body: bytes, headers: Mapping[str, str], kind: type[BrokenReplyError] = BrokenReplyError) -> None:
    """Raise an error of type `kind` when a body's length differs from its header; compressed bodies are not checked."""
    size = len(body)
    declared = headers.get("content-length", str(size))
    if declared != str(size) and headers.get("content-encoding", "identity") == "identity":
        words = f"the reply is {size} bytes long where its Content-Length says {printable(declared, 20)}"
        raise kind(words, cut=declared.isdecimal() and int(declared) > size)


class Attempts:
    """The attempts at one request within a deadline.

    After throttles, busy servers and network errors the request is repeated until the time is up. Only broken replies are
    counted: the sixth one is final.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._broken = 0
        self.failed = 0  # attempts so far
        self.unreachable = True  # whether each of them found no server
        self.is_late = False  # whether the time is up
        self.last: Exception | None = None  # error of the last attempt that the deadline did not end

    def wait(self, error: Exception) -> bool:
        """Wait with full jitter, and return True for another attempt; return False at once when there is none."""
        self.failed += 1
        left = self._deadline.ends - time.monotonic()
        ended = isinstance(error, TimeoutError) and left <= 0
        if self.last is None or not ended:
            self.last = error
            self.unreachable &= failures.is_unreachable(error)
        if self._deadline.out_of_files and failures.is_out_of_files(error):
            self._deadline.out_of_files()
        broken = isinstance(error, BrokenReplyError | ResponseParserError)
        self._broken += broken and not getattr(error, "cut", False)
        if not (ended or broken or failures.is_transient(error)) or self._broken >= _BROKEN_REPLIES:
            return False
        self.is_late = left < _LAST_PAUSE
        if self.is_late:
            return False
        pause = random.uniform(0, min(LONGEST_PAUSE, 0.2 * 2 ** min(self.failed, 10)))  # noqa: S311  jitter is no secret
        self._deadline.sleep(min(pause, left / 2))  # leave time for one more attempt
        return True


@contextmanager
def require_whole_replies(client: Any) -> Iterator[None]:
    """Send a client's requests over `use_own_connections`, and raise BrokenReplyError for a reply that was cut short."""
    with use_own_connections(client), attach(client, {"before-parse": _check_reply}):
        yield


def _check_reply(*, response_dict: dict[str, Any], **_: object) -> None:
    check_length(response_dict["body"], response_dict["headers"])


def call_until_answered(call: Callable[[], T]) -> T:
    """Return the result of a call; repeat it within the thread's deadline while its failures are transient."""
    attempts = Attempts(get_current_deadline() or Deadline(_SIGN_IN))
    while True:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  the last one that says more than that the time is up is raised
            if not attempts.wait(error):
                raise attempts.last or error from None
