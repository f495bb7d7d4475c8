"""Amazon AppStream 2.0 (WorkSpaces Applications) images as pandas DataFrames and Parquet snapshots.

These names are the whole public API. Snapshots, charts, the report and the sandbox are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from appstream_frames.aws.credentials import Target
from appstream_frames.aws.targets import targets
from appstream_frames.errors import (
    AccessError,
    AppStreamFramesError,
    DrainError,
    EndpointError,
    RequestError,
    SnapshotCorruptError,
    SnapshotNotFoundError,
    StorageError,
    TableNotReadError,
    TargetsError,
    UnknownOutcomeError,
)
from appstream_frames.fetch.drains import drain, drain_targets
from appstream_frames.history.changes import diff
from appstream_frames.insights.applications import application_versions
from appstream_frames.insights.reference import reference
from appstream_frames.insights.usage import used_by
from appstream_frames.insights.verdicts import agents, base_images
from appstream_frames.tables.dictionary import columns
from appstream_frames.tables.frames import Frames

if TYPE_CHECKING:
    from appstream_frames import charts
    from appstream_frames.archive.maintenance import verify
    from appstream_frames.archive.reader import list_snapshots, read_snapshot
    from appstream_frames.archive.sql import connect
    from appstream_frames.archive.writer import take_snapshot, write_snapshot
    from appstream_frames.emulator.sandbox import sandbox
    from appstream_frames.history.findings import findings, usage
    from appstream_frames.history.timelines import read_history, timeline, trend
    from appstream_frames.reports.build import report

__all__ = [
    "AccessError",
    "AppStreamFramesError",
    "DrainError",
    "EndpointError",
    "Frames",
    "RequestError",
    "SnapshotCorruptError",
    "SnapshotNotFoundError",
    "StorageError",
    "TableNotReadError",
    "Target",
    "TargetsError",
    "UnknownOutcomeError",
    "agents",
    "application_versions",
    "base_images",
    "charts",
    "columns",
    "connect",
    "diff",
    "drain",
    "drain_targets",
    "findings",
    "list_snapshots",
    "read_history",
    "read_snapshot",
    "reference",
    "report",
    "sandbox",
    "take_snapshot",
    "targets",
    "timeline",
    "trend",
    "usage",
    "used_by",
    "verify",
    "write_snapshot",
]
__version__ = "0.1.0"

_LATER = {
    "archive.maintenance": ("verify",),
    "archive.reader": ("list_snapshots", "read_snapshot"),
    "archive.sql": ("connect",),
    "archive.writer": ("take_snapshot", "write_snapshot"),
    "charts": (),
    "emulator.sandbox": ("sandbox",),
    "history.findings": ("findings", "usage"),
    "history.timelines": ("read_history", "timeline", "trend"),
    "reports.build": ("report",),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in (names or (module,)):
            loaded = import_module(f"{__name__}.{module}")
            return getattr(loaded, name) if names else loaded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
