"""What the AWS configuration files of this machine say of a profile; no request is sent."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Final

from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.session import Session

from appstream_frames.aws import regions, sessions
from appstream_frames.aws.credentials import Login, Source
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

ROLE: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]+)", re.ASCII)


def open_profile(name: str | None) -> Session:
    """Return a session of a profile, or of the default credentials; raise RequestError when the files do not allow it."""
    try:
        return sessions.open_session(name)
    except ProfileNotFound as error:
        known = sessions.open_without_profile().available_profiles
        similar = difflib.get_close_matches(name or "", known, n=1)
        did = f"Did you mean {similar[0]!r}? " if similar else ""
        configured = ", ".join(map(printable, known)) or "none"
        raise RequestError(f"{printable(error)}. {did}Profiles configured here: {configured}.") from None
    except BotoCoreError as error:
        raise RequestError(f"{printable(error)}. Correct the AWS configuration of this machine.") from None


def read_profiles(names: Sequence[str] | None) -> list[Login]:
    """Return what signs in as each of some profiles; None: with the default credentials.

    Raise RequestError when the files do not allow it, or when a profile asks for an MFA code.
    """
    session = open_profile(names[0] if names else None)
    known = session.full_config["profiles"]  # of all profiles: a session for each would read all files again
    if names is None:
        # botocore takes keys of the environment first, and heeds no default profile then
        own = {} if os.environ.get("AWS_ACCESS_KEY_ID") else session.get_scoped_config()
        login = _read_profile(session.profile or "default", own, session.get_config_variable("region"), known)
        return [Login(Source(login.source.partition), login.region, account=None)]
    logins = []
    for name in names:
        if name not in known:
            known = open_profile(name).full_config["profiles"]  # or the error that says which there are
        region = known[name].get("region") or os.environ.get("AWS_DEFAULT_REGION")
        logins.append(_read_profile(name, known[name], region, known))
    return logins


def _read_profile(name: str, own: dict[str, str], region: str | None, known: dict[str, dict[str, str]]) -> Login:
    _check_mfa(name, own, known)
    role = ROLE.fullmatch(str(own.get("role_arn")))
    partition = role[1] if role else regions.find_partition(region or str(own.get("sso_region")))
    account = None
    if "role_arn" in own:
        account = role and role[2]
    elif {"sso_session", "sso_start_url"} & set(own):
        account = own.get("sso_account_id")
    return Login(Source(partition, name), region, account)


def _check_mfa(name: str, own: dict[str, str], known: dict[str, dict[str, str]]) -> None:
    """Refuse a profile for which botocore would prompt for an MFA code in the middle of a drain.

    Source profiles are followed as botocore follows them: a web identity comes before a role, and static keys are the end.
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
