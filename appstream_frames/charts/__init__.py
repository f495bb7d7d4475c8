"""Charts of DataFrames and verdicts, as matplotlib Axes whose title is the finding.

In: DataFrames of one snapshot, verdicts, counts or lifetimes. Out: Axes; nothing is read or written, no picture is saved and no
window is opened. A chart counts every image in the rows that the caller passes; an image that several accounts see counts once.
Invalid input (not a DataFrame, a missing column, a `top` below 1) raises a `RequestError` that says what to pass.
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
