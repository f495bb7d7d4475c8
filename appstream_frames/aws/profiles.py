"""What the AWS configuration files of this machine say of a profile; no request is sent."""

from __future__ import annotations

import difflib
import os
import re
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


def read_profile(name: str | None) -> Login:
    """Return what signs in as a profile, or with the default credentials.

    Raise RequestError when the files do not allow it, or when it asks for an MFA code.
    """
    session = open_profile(name)
    own, region = session.get_scoped_config(), session.get_config_variable("region")
    if name is not None:
        region = own.get("region") or region
    elif os.environ.get("AWS_ACCESS_KEY_ID"):
        own = {}  # botocore takes keys of the environment first, and heeds no default profile then
    _check_mfa(name or session.profile or "default", own, session.full_config["profiles"])
    role = ROLE.fullmatch(str(own.get("role_arn")))
    partition = role[1] if role else regions.find_partition(region or str(own.get("sso_region")))
    account = None
    if "role_arn" in own:
        account = role and role[2]
    elif {"sso_session", "sso_start_url"} & set(own):
        account = own.get("sso_account_id")
    return Login(Source(partition, name), region, account if name is not None else None)


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
