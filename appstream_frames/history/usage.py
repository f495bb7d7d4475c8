"""Whether anybody uses an image, and when somebody last did, over the snapshots of an archive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pandas as pd

from appstream_frames.archive.reader import complete, read_table
from appstream_frames.history.scan import SnapshotRange
from appstream_frames.insights.usage import judge_usage, used_by
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.frames import Frames

_NEEDED: Final[tuple[str, ...]] = ("images", "fleets", "image_builders", "permissions")


def usage(frames: Frames, *, history: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Say of each image that is not AWS's whether anybody uses it, and whether it can be deleted.

    Parameters
    ----------
    frames : Frames
        Best of ``include="all"``.
    history : str or path, optional
        An archive of earlier snapshots, a folder or ``s3://bucket/prefix``: adds the column ``last_used``.

    Returns
    -------
    pandas.DataFrame
        A row per row of `Frames.images` that is not AWS's, with its index: ``account, region, name, arn``, the number of
        ``fleets``, ``image_builders``, ``accounts`` and ``images`` of `used_by`, ``verdict`` (``in_use``, ``unused``,
        ``unknown``), ``deletable`` and ``reason``. Every account that sees an image gets the same verdict. ``unused`` needs the
        owner's images, fleets and image builders read whole, and its shares where it has any; and those three of every other
        account of the frames in the region, as a fleet may still stand on an image whose share was withdrawn. Where AWS did not
        say whether it is shared, or a snapshot redacted that or ``base_image_arn``, it is ``unknown``. ``deletable``
        is true for the owner's row of an unused image that AWS does not call shared. With `history` also ``last_used``: the
        moment (UTC) of the last snapshot, these frames included, in which the image had a user; null when none did since it
        was built.

    Raises
    ------
    RequestError
        When `frames` is no `Frames`.
    SnapshotNotFoundError, SnapshotCorruptError
        When `history` holds no snapshot, or a file of it is missing or is not what was written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> import appstream_frames as asf
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for week in ("2026-11-09", "2026-11-23"):
    ...         with asf.sandbox(at=week) as sandbox:
    ...             frames = asf.drain(sandbox.client(), include="all").relabel(week)
    ...         _ = asf.write_snapshot(frames, root)
    ...     judged = asf.usage(frames, history=root)
    >>> judged.loc[judged["verdict"] == "in_use", "last_used"].eq(frames.snapshot).all()
    np.True_
    """
    judged = judge_usage(frames)
    return judged if history is None else judged.assign(last_used=_find_last_used(frames, judged, history))


def _find_last_used(frames: Frames, judged: pd.DataFrame, history: str | os.PathLike[str]) -> pd.Series:
    """Return when each image last had a user; a user that is older than the image stood on an earlier build of it."""
    found = pd.Series(pd.NaT, judged.index, dtype="datetime64[us, UTC]")
    images = judged[["region", "arn"]].assign(created=frames.images.loc[judged.index, "created_time"])
    found[judged["verdict"] == "in_use"] = frames.snapshot
    for moment, earlier in _read_backwards(SnapshotRange.open(history, until=frames.snapshot)):
        images = images[found[images.index].isna() & ~(images["created"] > moment)]
        if images.empty:
            break
        users = used_by(earlier)[["user_region", "image_arn"]].drop_duplicates()
        keys = images.merge(users, "left", left_on=["region", "arn"], right_on=["user_region", "image_arn"])
        found[images.index[keys["image_arn"].notna()]] = moment
    return found


def _read_backwards(snapshots: SnapshotRange) -> Iterator[tuple[pd.Timestamp, Frames]]:
    """Yield what each snapshot holds of images and their users, newest first."""
    for manifest in reversed(list(snapshots.manifests.values())):
        names = [name for name in _NEEDED if name in manifest.files]
        tables = {name: read_table(snapshots.store, manifest, name) for name in names}
        tables["coverage"] = manifest.coverage
        frames = Frames({name: to_pandas(complete(table, name)) for name, table in tables.items()})
        yield frames.snapshot, frames
