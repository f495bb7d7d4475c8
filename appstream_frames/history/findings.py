"""What to do today, with what earlier snapshots say of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pandas as pd

from appstream_frames.history.timelines import read_history
from appstream_frames.insights.days import Day
from appstream_frames.insights.findings import find
from appstream_frames.tables.frames import Frames


def findings(
    frames: Frames,
    *,
    today: Day = None,
    rules: Mapping[str, int | str | None] | None = None,
    history: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Say what to do today: a row per finding, worst first.

    Parameters
    ----------
    frames : Frames
        Best of ``include="all"``: what was not drained makes no finding, and is named once.
    today : str, date or Timestamp, optional
        The day from which ages are counted. Default: that of the newest snapshot in the frames.
    rules : mapping of str to int, str or None, optional
        Rules to change, by id: another threshold (``{"builder_running": 14}``), another severity, or None to leave it out.
    history : str or path, optional
        The root of an archive, which says since when an image builder has been running.

    Returns
    -------
    pandas.DataFrame
        ``severity`` (``high``, ``medium``, ``low``, ``info``), ``rule`` (a stable id), ``account, region, resource`` (``image``,
        ``fleet``, ``image_builder``, ``target`` …), ``name, arn``, ``finding`` and ``remedy`` (a sentence each), ``value``
        (days, or a count) and ``reference_date``, where the finding rests on one. An image has findings in its owner's account.

    Raises
    ------
    RequestError
        When `frames` is no `Frames`, a rule does not exist or cannot be changed like this, or `today` is no day.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox(at="2026-11-23") as sandbox:
    ...     frames = asf.drain(sandbox.client(), include="all")
    >>> found = asf.findings(frames, today="2026-11-23", rules={"agent_behind": None})
    >>> found.loc[found["rule"] == "image_failed", ["severity", "name"]].values.tolist()
    [['high', 'HR-Desktop-2026-11-hotfix']]
    """
    since = _find_running_since(frames, history) if history is not None and "image_builders" in frames.tables else None
    return find(frames, today=today, rules=rules, running_since=since)


def _find_running_since(frames: Frames, root: str | os.PathLike[str]) -> dict[str, pd.Timestamp]:
    """Return, by ARN, the first snapshot since which an image builder has been running, where one before saw it stopped."""
    seen = read_history(root, "image_builders", columns=["arn", "state"], until=frames.snapshot.to_pydatetime())
    seen = seen.dropna(subset="arn").sort_values("snapshot", kind="stable")
    running = seen["state"].eq("RUNNING").fillna(False)
    stops = (~running).groupby(seen["arn"]).cumsum()  # of how many snapshots so far it was not running in
    last = (stops > 0) & (stops == stops.groupby(seen["arn"]).transform("last"))
    return dict(seen[running & last].groupby("arn")["snapshot"].first())
