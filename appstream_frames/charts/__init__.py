"""Frames and verdicts drawn as matplotlib Axes whose title is the finding.

In: DataFrames of one snapshot, verdicts, counts or lifetimes. Out: Axes; nothing is read or written, no picture is saved and no
window opened. A chart counts every image that it is given, one that several accounts see once; which rows those are is the
caller's choice. What a chart cannot draw (no frame, a column that is missing, a `top` below 1) is a `RequestError` that says
what to pass.
"""

from appstream_frames.charts.bars import agents, application_versions, usage
from appstream_frames.charts.bases import base_images
from appstream_frames.charts.coverage_grid import coverage
from appstream_frames.charts.moments import timeline, trend
from appstream_frames.charts.releases import agent_versions, base_image_releases

__all__ = [
    "agent_versions",
    "agents",
    "application_versions",
    "base_image_releases",
    "base_images",
    "coverage",
    "timeline",
    "trend",
    "usage",
]
