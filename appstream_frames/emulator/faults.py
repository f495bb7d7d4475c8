"""What goes wrong in the sandbox on request: for one target or operation or all, for ever or a number of times."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from appstream_frames.emulator.accounts import ServiceError
from appstream_frames.errors import RequestError

#: Code, message and HTTP status of the errors that a fault of that kind answers with.
ERRORS: Final = {
    "denied": ("AccessDeniedException", "not authorized to perform: appstream:{operation}", 400),
    "disabled": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "not_offered": ("OperationNotPermittedException", "The operation {operation} is not permitted.", 400),
    "throttled": ("ThrottlingException", "Rate exceeded", 400),
    "server_error": ("InternalFailure", "The request processing has failed.", 500),
}
ON_THE_WIRE: Final = ("cut", "slow", "reset")
_T = TypeVar("_T")
#: Account, region and operation; None stands for all of them.
Scope = tuple[str | None, str | None, str | None]


@dataclass
class _Fault:
    kind: str
    times: int | None
    after: int


class Faults:
    """Faults and latency by account, region and operation. The narrower comes first."""

    def __init__(self) -> None:
        self._faults: dict[Scope, _Fault] = {}
        self._latency: dict[Scope, float] = {}
        self._next: list[ServiceError] = []
        self._lock = threading.Lock()

    def fail_next(self, times: int, error: ServiceError) -> None:
        """Have the next requests of anybody fail, after those that wait already."""
        with self._lock:
            self._next += [error] * times

    def set(self, scope: Scope, kind: str | None, times: int | None, after: int) -> None:
        """Have requests fail; `kind` None: have them succeed again."""
        if kind is not None and kind not in (*ERRORS, *ON_THE_WIRE):
            raise RequestError(f"kind={kind!r} is none of {', '.join((*ERRORS, *ON_THE_WIRE))} or None.")
        with self._lock:
            self._faults.pop(scope, None)
            if kind is not None:
                self._faults[scope] = _Fault(kind, times, after)

    def delay(self, account: str | None, region: str | None, seconds: float) -> None:
        """Have every answer wait."""
        with self._lock:
            self._latency[account, region, None] = seconds

    def find_latency(self, account: str | None, region: str | None) -> float:
        """Return for how many seconds an answer waits."""
        with self._lock:
            return next(iter(find_matching(self._latency, (account, region, None))), 0.0)

    def take(self, account: str | None, region: str | None, operation: str) -> str | None:
        """Return the fault that a reply has on the wire; raise the error that is sent in its place."""
        with self._lock:
            if self._next:
                raise self._next.pop(0)
            kind = self._find_kind((account, region, operation))
        if kind in ERRORS:
            code, message, status = ERRORS[kind]
            raise ServiceError(code, message.format(operation=operation), status)
        return kind

    def _find_kind(self, scope: Scope) -> str | None:
        for fault in find_matching(self._faults, scope):
            if fault.times == 0:
                continue
            if fault.after:
                fault.after -= 1
                return None
            if fault.times is not None:
                fault.times -= 1
            return fault.kind
        return None


def find_matching(known: dict[Scope, _T], scope: Scope) -> list[_T]:
    """Return the values whose scope holds another one, the narrowest first: an operation's before a target's."""
    account, region, operation = scope
    scopes = [(*target, name) for name in (operation, None) for target in product((account, None), (region, None))]
    return [known[each] for each in dict.fromkeys(scopes) if each in known]
