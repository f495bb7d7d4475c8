"""The errors this package raises: one base, and stdlib types mixed in so that old habits still catch them.

::

    AppStreamFramesError
    ├── RequestError (ValueError)             a parameter that cannot be right; nothing was sent
    ├── DrainError (RuntimeError)             a target was not read to a validated end
    │   ├── AccessError (PermissionError)     credentials missing, expired or refused; access denied
    │   └── EndpointError (ConnectionError)   no AppStream endpoint answered for the region
    ├── TargetsError (ExceptionGroup)         some of many targets failed; the others are in its `frames`
    ├── TableNotReadError (AttributeError)    a table that these frames do not hold
    ├── StorageError (OSError)                the archive's storage refused, or could not be reached
    │   └── UnknownOutcomeError               the last upload got no answer: committed or not, it is not known
    ├── SnapshotNotFoundError (LookupError)   no such snapshot under the root
    └── SnapshotCorruptError (ValueError)     a snapshot's file is not what was written

Every message says what was seen, what was expected, and what to do now. This module raises nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class AppStreamFramesError(Exception):
    """Base of every error this package raises on purpose."""


class RequestError(AppStreamFramesError, ValueError):
    """A parameter that cannot be right; raised before any request, or when the service refused the parameter."""


class DrainError(AppStreamFramesError, RuntimeError):
    """A target was not read to a validated end, so nothing of it is returned as if it were whole.

    Attributes
    ----------
    target : str
        ``account/region`` of the drain; the account is ``?`` while it is not known.
    page : int
        Number of the page that could not be read, counted from 1.
    resume_token : str or None
        Give it as ``starting_token=`` to go on from the last validated page; None means from the start.
    status : str
        The status that this failure has in a coverage table (``failed``, ``throttled``, ``denied`` …).
    code : str or None
        AWS's error code, when AWS gave one.
    coverage : pandas.DataFrame or None
        A row per target, when none of several was read; else None.
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


# OSError's kinds come first: whoever makes an error anew without its arguments, as tblib does, must find its `__new__`
class AccessError(PermissionError, DrainError):
    """AWS did not accept the credentials, or does not allow them to describe images."""

    __init__ = DrainError.__init__


class EndpointError(ConnectionError, DrainError):
    """No AppStream endpoint could be reached for the region."""

    __init__ = DrainError.__init__


class TargetsError(AppStreamFramesError, ExceptionGroup[DrainError]):
    """Some of many targets were not read; raised only on demand, when everything else is in.

    Attributes
    ----------
    exceptions : tuple of DrainError
        One per failed target.
    frames : Frames
        All that was read, with the failures in its ``coverage``.
    """

    frames: Any = None

    def derive(self, excs: Sequence[DrainError]) -> TargetsError:  # type: ignore[override]  # ours hold DrainErrors only
        """Return a part of the group, with the same frames."""
        part = TargetsError(self.message, excs)
        part.frames = self.frames
        return part


class TableNotReadError(AppStreamFramesError, AttributeError):
    """A table that exists and that these frames do not hold, as it was not read; the message says what reads it."""


class StorageError(AppStreamFramesError, OSError):
    """The storage of an archive refused, or could not be reached; nothing was committed."""


class UnknownOutcomeError(StorageError):
    """The commit record was sent and no answer came: the snapshot may be there or not, and nothing was deleted."""


class SnapshotNotFoundError(AppStreamFramesError, LookupError):
    """No such snapshot, or none at all, under the root."""


class SnapshotCorruptError(AppStreamFramesError, ValueError):
    """A file of a snapshot is missing or is not what was written; its content is not given out."""
