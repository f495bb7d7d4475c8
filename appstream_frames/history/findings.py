"""Verdicts that also use earlier snapshots: `findings`, and `usage` with the moment an image last had a user."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pandas as pd

from appstream_frames.archive.manifest import find_ids
from appstream_frames.archive.reader import complete, read_snapshot, read_table
from appstream_frames.archive.roots import open_store
from appstream_frames.history.scan import Root, SnapshotRange
from appstream_frames.history.timelines import read_history
from appstream_frames.insights.days import Day
from appstream_frames.insights.findings import KEYS, Changes, find
from appstream_frames.insights.reference import Folder
from appstream_frames.insights.usage import judge_usage, used_by
from appstream_frames.tables.conversion import to_pandas
from appstream_frames.tables.frames import Frames, check_frames

_NEEDED: Final = ("images", "fleets", "image_builders", "permissions")  # by `used_by`, except stacks


def usage(frames: Frames, *, history: Root | None = None) -> pd.DataFrame:
    """Return for each image that is not AWS's whether it is used, and whether it can be deleted.

    Parameters
    ----------
    frames : Frames
        Preferably drained with ``include="all"``.
    history : str or path, optional
        An archive of earlier snapshots (a folder or ``s3://bucket/prefix``), which adds the column ``last_used``.

    Returns
    -------
    pandas.DataFrame
        A row per row of `Frames.images` that is not AWS's, with its index: ``account, region, name, arn``, the number of
        ``fleets``, ``image_builders``, ``accounts`` and ``images`` of `used_by`, ``verdict`` (``in_use``, ``unused``,
        ``unknown``), ``deletable`` and ``reason``. Every account that sees an image gets the same verdict. ``unused`` requires
        that the owner's images, fleets and image builders were read whole, and the image's shares if it has any; and those three
        of every other account in the frames and region, because a fleet may still use an image that is no longer shared with it.
        If AWS did not say whether the image is shared, or that or ``base_image_arn`` was redacted, it is ``unknown``.
        ``deletable`` is true for the owner's row of an unused image that AWS does not report as shared. With `history` also
        ``last_used``: the moment (UTC) of the last snapshot, these frames included, in which the image had a user; null if it
        had none since it was built.

    Raises
    ------
    RequestError
        When `frames` is not `Frames`.
    SnapshotNotFoundError, SnapshotCorruptError
        When `history` holds no snapshot, or a file of it is missing or is not what was written; the message names the file.

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
    frames = check_frames(frames)
    images = frames.images.reset_index(drop=True)  # the index of frames that a user put together may repeat
    judged = judge_usage(replace(frames, tables={**frames.tables, "images": images}))
    if history is not None:
        judged = judged.assign(last_used=_find_last_used(frames, judged, images["created_time"], history))
    return judged.set_index(frames.images.index[judged.index])


def _find_last_used(frames: Frames, judged: pd.DataFrame, created: pd.Series, history: Root) -> pd.Series:
    """Return when each image last had a user; snapshots older than an image are ignored: they show an earlier build of it."""
    found = pd.Series(pd.NaT, judged.index, dtype="datetime64[us, UTC]")
    images = judged[["region", "arn"]].assign(created=created[judged.index])
    found[judged["verdict"] == "in_use"] = frames.snapshot
    snapshots = SnapshotRange.open(history, until=frames.snapshot)
    for manifest in reversed(snapshots.manifests.values()):
        names = [name for name in _NEEDED if name in manifest.files]
        tables = {name: read_table(snapshots.store, manifest, name) for name in names} | {"coverage": manifest.coverage}
        earlier = Frames({name: to_pandas(complete(table, name)) for name, table in tables.items()})
        images = images[found[images.index].isna() & ~(images["created"] > earlier.snapshot)]
        if images.empty:
            break
        users = used_by(earlier)[["user_region", "image_arn"]].drop_duplicates()
        keys = images.merge(users, "left", left_on=["region", "arn"], right_on=["user_region", "image_arn"])
        found[images.index[keys["image_arn"].notna()]] = earlier.snapshot
    return found


def findings(
    frames: Frames, *, today: Day = None, rules: Changes = None, history: Root | None = None, reference: Folder = None
) -> pd.DataFrame:
    """List what to do today: a row per finding, worst first.

    Unlike in `agents` and `base_images`, agents and bases are judged per target: by that target's own images, its coverage and
    the reference tables. So a target that could not be read loses its own findings, and changes none of another target.

    Parameters
    ----------
    frames : Frames
        Preferably drained with ``include="all"``: a table that was not drained gives no findings, and is named once.
    today : str, date or Timestamp, optional
        The day from which ages are counted. Default: the day of the newest snapshot in the frames.
    rules : mapping of str to int, str or None, optional
        Rules to change, by id: another threshold (``{"builder_running": 14}``), another severity, or None to disable it.
    history : str or path, optional
        The root of an archive, which shows since when an image builder has been running.
    reference : str or path, optional
        A folder with your own reference tables, see `reference`.

    Returns
    -------
    pandas.DataFrame
        ``severity`` (``high``, ``medium``, ``low``, ``info``), ``rule`` (a stable id), ``account, region, resource`` (``image``,
        ``fleet``, ``image_builder``, ``target`` …), ``name, arn``, ``finding`` and ``remedy`` (a sentence each), ``value``
        (days, or a count) and ``reference_date``, if a finding is based on one. Findings of an image are in its owner's account.

    Raises
    ------
    RequestError
        When `frames` is not `Frames`, a rule does not exist or cannot be changed like this, `today` is not a day, or `reference`
        holds no such tables.
    SnapshotNotFoundError, SnapshotCorruptError
        As in `usage`.

    Warns
    -----
    UserWarning
        As in `agents`: the table of agents is old.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox(at="2026-11-23") as sandbox:
    ...     frames = asf.drain(sandbox.client(), include="all")
    >>> found = asf.findings(frames, today="2026-11-23", rules={"agent_behind": None})
    >>> found.loc[found["rule"] == "image_failed", ["severity", "name"]].values.tolist()
    [['high', 'HR-Desktop-2026-11-hotfix']]
    """
    frames = check_frames(frames)
    since = {} if history is None else _find_running_since(frames, history)
    return find(frames, today, rules, since, reference)


def _find_running_since(frames: Frames, root: Root) -> dict[str, pd.Timestamp]:
    """Return, by ARN, the first snapshot since which an image builder has been running, if an earlier one shows it stopped."""
    if "image_builders" not in frames.tables:
        find_ids(open_store(root))  # a root without snapshots is an error here too
        return {}
    seen = read_history(root, "image_builders", columns=["arn", "state"], until=frames.snapshot.to_pydatetime())
    seen = pd.concat([seen, frames.image_builders[seen.columns]], ignore_index=True)
    seen = seen.dropna(subset="arn").sort_values("snapshot", kind="stable")
    running = seen["state"].eq("RUNNING").fillna(False)
    stops = (~running).groupby(seen["arn"]).cumsum()  # the number of snapshots so far in which it was not running
    last = (stops > 0) & (stops == stops.groupby(seen["arn"]).transform("last"))
    return dict(seen[running & last].groupby("arn")["snapshot"].first())


def drop_known(found: pd.DataFrame, frames: Frames, root: Root, reference: Folder = None) -> pd.DataFrame:
    """Return the findings that are new: those that the previous snapshot did not have, by rule and resource.

    Where that snapshot read less of a target than `frames`, the last one that read as much counts too, so that a failed read
    does not make old findings look new.
    """
    earlier = SnapshotRange.open(root, until=(frames.snapshot - pd.Timedelta(microseconds=1)).to_pydatetime())
    if not earlier.manifests:
        return found
    before, newest = _find_comparable(frames.coverage, earlier), list(earlier.manifests)[-1]
    compared = [before.get(target, newest) for target in zip(found["account"], found["region"], strict=True)]
    known = {
        name: _list_keys(findings(read_snapshot(root, name), history=root, reference=reference))
        for name in {newest, *compared}
    }
    keys = zip(_list_keys(found), compared, strict=True)
    return found[[key not in known[newest] and key not in known[name] for key, name in keys]]


def _find_comparable(coverage: pd.DataFrame, earlier: SnapshotRange) -> dict[tuple[str, str], str]:
    """Return for each target the id of the last snapshot that read at least the operations that this coverage read whole."""
    wanted = _list_read(coverage)
    found: dict[tuple[str, str], str] = {}
    for name, manifest in reversed(earlier.manifests.items()):
        read = _list_read(to_pandas(manifest.coverage))
        reached = [target for target, operations in wanted.items() if operations <= read.get(target, set())]
        found = dict.fromkeys(reached, name) | found
        if len(found) == len(wanted):
            break
    return found


def _list_read(coverage: pd.DataFrame) -> dict[tuple[str, str], set[str]]:
    """Return the operations of each target that were read whole, and a mark if every account is known: shares need that."""
    known = {"every account"} if coverage["account"].notna().all() else set()
    whole = coverage[coverage["status"].eq("complete")]
    read: dict[tuple[str, str], set[str]] = whole.groupby(["account", "region"])["operation"].agg(known.union).to_dict()
    return read


def _list_keys(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what identifies each finding: its rule and its resource (by ARN, where it has one)."""
    keys = found[KEYS].astype(object).where(found[KEYS].notna(), "")
    keys["name"] = keys["name"].where(keys["arn"] == "", "")
    return list(keys.itertuples(index=False, name=None))
