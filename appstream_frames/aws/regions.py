"""AWS's regions as the installed botocore knows them: partitions, names, and which regions have AppStream.

No request is sent. The lists are as old as botocore: an unknown region is accepted when its name has the form of one, and a
drain shows whether it exists.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Final

import botocore
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from appstream_frames.errors import RequestError
from appstream_frames.text import printable

_FORM: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_HOME: Final = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


def open_without_profile() -> Session:
    """Return a session that uses no profile, even if the environment names one that does not exist."""
    return Session(session_vars={"profile": (None, None, None, None)})


_find_session = cache(open_without_profile)


@cache
def _list_regions(partition: str) -> frozenset[str]:
    """Return every region of a partition: EC2 is in all of them."""
    return frozenset(_find_session().get_available_regions("ec2", partition))


@cache
def find_partition(region: str) -> str:
    """Return a region's partition; ``aws`` when botocore does not know it.

    Examples
    --------
    >>> find_partition("us-gov-east-1"), find_partition("eu-west-99")
    ('aws-us-gov', 'aws')
    """
    try:
        return str(_find_session().get_partition_for_region(region))
    except BotoCoreError:
        return "aws"


def find_home_region(partition: str) -> str:
    """Return a region of the partition whose STS every account can use."""
    return _HOME.get(partition) or min(_list_regions(partition), default=_HOME["aws"])


def list_appstream_regions(partition: str) -> list[str]:
    """Return the regions of a partition that have AppStream, according to the installed botocore."""
    regions = _find_session().get_available_regions("appstream", partition)
    if not regions:
        raise RequestError(
            f'regions="all": the installed botocore {botocore.__version__} knows no region of partition {partition} with '
            "AppStream. Upgrade boto3, or name the regions."
        )
    return sorted(regions)


def check_region(region: object) -> str:
    """Return a region; raise RequestError when its name is not of the form of one, or looks like a misspelt known one.

    Examples
    --------
    >>> check_region("eu-wset-1")
    Traceback (most recent call last):
    appstream_frames.errors.RequestError: 'eu-wset-1' is no region. Did you mean 'eu-west-1'?
    """
    if not isinstance(region, str):
        raise RequestError(f"{printable(repr(region))} is no region; expected a string such as 'eu-west-1'.")
    known = [each for partition in _find_session().get_available_partitions() for each in _list_regions(partition)]
    if region in known:
        return region
    words = {word for each in known for word in each.split("-")[:-1]}
    similar = difflib.get_close_matches(region.strip().lower(), sorted(known), n=1, cutoff=0.75)
    if not _FORM.fullmatch(region) or (similar and not words.issuperset(region.split("-")[:-1])):
        hint = f"Did you mean {similar[0]!r}?" if similar else "Expected one such as 'eu-west-1'."
        raise RequestError(f"{printable(repr(region))} is no region. {hint}")
    return region
