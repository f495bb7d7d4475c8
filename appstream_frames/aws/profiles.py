"""What the AWS configuration files of this machine say of a profile; no request is sent."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from appstream_frames.aws import credentials, regions, sessions
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


def read_profile(name: str | None, read: Session) -> Profile:
    """Return what is known of a profile; None stands for the default credentials.

    Parameters
    ----------
    name : str or None
        The profile's name.
    read : botocore session
        One that reads no profile of its own, for the files of this machine.

    Raises
    ------
    RequestError
        When there is no such profile, the files cannot be read, or the profile asks for an MFA code.
    """
    try:
        known = read.full_config["profiles"]
        if name is not None and name not in known:
            raise RequestError(f"No profile is called {printable(repr(name))}. {_suggest(name, list(known))}")
        session = sessions.open_session(name)
        own = session.get_scoped_config()
        region = own.get("region") if name is not None else None
        region = region or credentials.get_region(session)
    except BotoCoreError as error:
        raise RequestError(f"{printable(error)}. Correct the AWS configuration of this machine.") from None
    if name is None and os.environ.get("AWS_ACCESS_KEY_ID"):
        own = {}  # botocore takes keys of the environment first, and heeds no default profile then
    _check_mfa(name or session.profile or "default", own, known)
    return Profile(name, region, _partition(own, region), None if name is None else _account(own))


def _suggest(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name, known, n=1)
    did = f"Did you mean {similar[0]!r}? " if similar else ""
    return f"{did}Configured here: {', '.join(map(printable, known)) or 'none'}."


def _check_mfa(name: str, own: dict[str, str], known: dict[str, dict[str, str]]) -> None:
    """Refuse a profile that botocore would ask a person for a code of, in the middle of a drain.

    The profiles are followed as botocore follows them: a web identity comes before a role, static keys end the way.
    """
    passed: list[object] = []
    while "role_arn" in own and "web_identity_token_file" not in own and own not in passed:
        if "mfa_serial" in own:
            raise RequestError(
                f"Profile {printable(name)} asks for an MFA code, and many drains at once cannot. Sign in first, and pass "
                "session=: a boto3.Session whose credentials are there."
            )
        passed.append(own)
        own = known.get(str(own.get("source_profile")), {})
        if {"aws_access_key_id", "aws_secret_access_key"} & set(own):
            return


def _partition(own: dict[str, str], region: str | None) -> str:
    role = ROLE.fullmatch(str(own.get("role_arn")))
    if role is not None:
        return role[1]
    return regions.find_partition(region or str(own.get("sso_region")))


def _account(own: dict[str, str]) -> str | None:
    """Return the account that the credentials will be of: that of the role, or of the single sign-on."""
    if "role_arn" in own:
        role = ROLE.fullmatch(own["role_arn"])
        return None if role is None else role[2]
    return own.get("sso_account_id") if {"sso_session", "sso_start_url"} & set(own) else None
