"""The errors this package raises: one base class, and built-in types mixed in so that existing handlers catch them.

::

    AppStreamFramesError
    ├── RequestError (ValueError)             an invalid parameter; nothing was read
    ├── DrainError (RuntimeError)             a target was not read to a validated end
    │   ├── AccessError (PermissionError)     credentials missing, expired or refused; access denied
    │   └── EndpointError (ConnectionError)   no AppStream endpoint answered for the region
    ├── TargetsError (ExceptionGroup)         some of many targets failed; the others are in its `frames`
    ├── TableNotReadError (AttributeError)    a table that these frames do not hold
    ├── StorageError (OSError)                the archive's storage refused a request, or was unreachable
    │   └── UnknownOutcomeError               the last upload got no answer: whether it was committed is unknown
    ├── SnapshotNotFoundError (LookupError)   no such snapshot under the root
    └── SnapshotCorruptError (ValueError)     a snapshot's file is missing or differs from what was written

Every message says what was seen, what was expected, and what to do now. This module raises nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class AppStreamFramesError(Exception):
    """Base class of every error this package raises."""


class RequestError(AppStreamFramesError, ValueError):
    """An invalid parameter; raised before any request, or when the service rejected the parameter."""


class DrainError(AppStreamFramesError, RuntimeError):
    """A target was not read to a validated end; a partial result is never returned as complete.

    Attributes
    ----------
    target : str
        ``account/region`` of the drain; the account is ``?`` while it is not known.
    page : int
        Number of the page that could not be read, counted from 1.
    resume_token : str or None
        Pass it as ``starting_token=`` to continue after the last validated page; None means from the start.
    status : str
        Status of this failure in a coverage table (``failed``, ``throttled``, ``denied`` …).
    code : str or None
        AWS's error code, when AWS gave one.
    coverage : pandas.DataFrame or None
        A row per target when several targets were drained and none was read; else None.
    """

    coverage: pd.DataFrame | None = None

    def __init__(
        self,
        message: str,
        *,
        target: str = "?",
        page: int = 1,
        resume_token: str | None = None,
        status: str = "failed",
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.target, self.page, self.resume_token = target, page, resume_token
        self.status, self.code = status, code


# OSError's subclasses come first: tblib recreates an error without its arguments, which needs `OSError.__new__`
class AccessError(PermissionError, DrainError):
    """AWS did not accept the credentials, or does not allow them to describe images."""

    __init__ = DrainError.__init__


class EndpointError(ConnectionError, DrainError):
    """No AppStream endpoint could be reached for the region."""

    __init__ = DrainError.__init__


class TargetsError(AppStreamFramesError, ExceptionGroup[DrainError]):
    """Some of many targets failed; raised only on request, after all other targets were read.

    Attributes
    ----------
    exceptions : tuple of DrainError
        One per failed target.
    frames : Frames
        All that was read, with the failures in its ``coverage``.
    """

    frames: Any = None

    def derive(self, excs: Sequence[DrainError]) -> TargetsError:  # type: ignore[override]  # holds DrainErrors only
        """Return a group of some of the errors, with the same frames."""
        part = TargetsError(self.message, excs)
        part.frames = self.frames
        return part


class TableNotReadError(AppStreamFramesError, AttributeError):
    """A table that these frames lack because it was not read; the message says how to read it."""


class StorageError(AppStreamFramesError, OSError):
    """The storage of an archive refused a request, or was unreachable; nothing was committed."""


class UnknownOutcomeError(StorageError):
    """The manifest was sent but got no answer: the snapshot may or may not exist, and nothing was deleted."""


class SnapshotNotFoundError(AppStreamFramesError, LookupError):
    """The root has no such snapshot, or no snapshot at all."""


class SnapshotCorruptError(AppStreamFramesError, ValueError):
    """A file of a snapshot is missing or differs from what was written; its content is not returned."""
