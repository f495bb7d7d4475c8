"""What goes wrong in the sandbox on request: for one target or for all of them, for ever or a number of times."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from appstream_frames.emulator.accounts import ServiceError
from appstream_frames.errors import RequestError

ERRORS: Final = {
    "denied": ("AccessDeniedException", "not authorized to perform: appstream:DescribeImages", 400),
    "disabled": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "throttled": ("ThrottlingException", "Rate exceeded", 400),
    "server_error": ("InternalFailure", "The request processing has failed.", 500),
}
ON_THE_WIRE: Final = ("cut", "slow", "reset")
Where = tuple[str | None, str | None]


@dataclass
class _Fault:
    kind: str
    times: int | None
    after: int


class Faults:
    """Faults and latency by target; None stands for every account, or every region. The narrower comes first."""

    def __init__(self) -> None:
        self._faults: dict[Where, _Fault] = {}
        self._latency: dict[Where, float] = {}
        self._next: list[ServiceError] = []
        self._lock = threading.Lock()

    def fail_next(self, times: int, error: ServiceError) -> None:
        """Have the next requests of anybody fail, after those that wait already."""
        with self._lock:
            self._next += [error] * times

    def set(self, where: Where, kind: str | None, times: int | None, after: int) -> None:
        """Have requests fail; `kind` None: have them succeed again."""
        if kind is not None and kind not in (*ERRORS, *ON_THE_WIRE):
            raise RequestError(f"kind={kind!r} is none of {', '.join((*ERRORS, *ON_THE_WIRE))} or None.")
        with self._lock:
            self._faults.pop(where, None)
            if kind is not None:
                self._faults[where] = _Fault(kind, times, after)

    def delay(self, where: Where, seconds: float) -> None:
        """Have every answer wait."""
        with self._lock:
            self._latency[where] = seconds

    def latency(self, account: str | None, region: str | None) -> float:
        """Return for how many seconds an answer waits."""
        with self._lock:
            return next((self._latency[key] for key in _keys(account, region) if key in self._latency), 0.0)

    def due(self, account: str | None, region: str | None) -> str | None:
        """Return what happens to the answer on the wire, or raise what is answered in its place."""
        with self._lock:
            if self._next:
                raise self._next.pop(0)
            kind = self._kind(account, region)
        if kind in ERRORS:
            raise ServiceError(*ERRORS[kind])
        return kind

    def _kind(self, account: str | None, region: str | None) -> str | None:
        for key in _keys(account, region):
            fault = self._faults.get(key)
            if fault is None or fault.times == 0:
                continue
            if fault.after:
                fault.after -= 1
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault.kind
        return None


def _keys(account: str | None, region: str | None) -> list[Where]:
    return [(account, region), (account, None), (None, region), (None, None)]
