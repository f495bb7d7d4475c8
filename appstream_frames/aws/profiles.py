"""What the AWS configuration files of this machine say of a profile; nothing is asked of AWS."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Final

import botocore.session
from botocore.exceptions import BotoCoreError

from appstream_frames.aws import credentials, regions
from appstream_frames.aws.credentials import Source
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

ROLE: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]+)", re.ASCII)


@dataclass(frozen=True)
class Profile:
    """A profile, or the default credentials: its region, its partition, and its account where the files tell it."""

    name: str | None
    region: str | None
    partition: str
    account: str | None


def files(*, default: bool = False) -> Any:
    """Return a session that has read the files of this machine, and is asked for nothing else.

    With `default` it heeds the profile that the environment names, which need not be there for others.
    """
    return botocore.session.Session(session_vars=None if default else {"profile": (None, None, None, None)})


def profile(name: str | None, read: Any) -> Profile:
    """Return what is known of a profile, given the `files`; None stands for the default credentials.

    Raises
    ------
    RequestError
        When there is no such profile, the files cannot be read, or the profile asks for an MFA code.
    """
    try:
        known = read.full_config["profiles"]
        if name is not None and name not in known:
            raise RequestError(f"No profile is called {printable(repr(name))}. {_hint(name, list(known))}")
        own = known[name] if name is not None else read.get_scoped_config()
        region = own.get("region") if name is not None else None
        region = region or credentials.region_of(credentials.session_of(Source("aws", name)))
    except BotoCoreError as error:
        raise RequestError(f"{printable(error)}. Correct the AWS configuration of this machine.") from error
    _check_mfa(name, own, known)
    return Profile(name, region, _partition(own, region), None if name is None else _account(own))


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    did = f"Did you mean {near[0]!r}? " if near else ""
    return f"{did}Configured here: {', '.join(map(printable, known)) or 'none'}."


def _check_mfa(name: str | None, own: dict[str, Any], known: dict[str, Any]) -> None:
    """Refuse a profile that botocore would ask a person for a code of, in the middle of a drain."""
    passed: list[object] = []
    while "role_arn" in own and own not in passed:
        if "mfa_serial" in own:
            raise RequestError(
                f"Profile {printable(name or 'default')} asks for an MFA code, and many drains at once cannot. Sign in "
                "first, and pass session=: a boto3.Session whose credentials are there."
            )
        passed.append(own)
        own = known.get(str(own.get("source_profile")), {})


def _partition(own: dict[str, Any], region: str | None) -> str:
    role = ROLE.fullmatch(str(own.get("role_arn")))
    if role is not None:
        return role[1]
    return regions.partition_of(region or str(own.get("sso_region")))


def _account(own: dict[str, Any]) -> str | None:
    """Return the account that the credentials will be of: that of the role, or of the single sign-on."""
    if "role_arn" in own:
        role = ROLE.fullmatch(own["role_arn"])
        return None if role is None else role[2]
    return own.get("sso_account_id") if {"sso_session", "sso_start_url"} & set(own) else None
