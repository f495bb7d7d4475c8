"""Targets: which accounts to drain in which regions, as text that can be sent to another process."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import boto3

from appstream_frames.aws import credentials, failures
from appstream_frames.aws.credentials import Target
from appstream_frames.aws.deadlines import call_within
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.regions import check_region, find_home_region, find_partition, list_appstream_regions
from appstream_frames.aws.retries import BrokenReplyError, call_until_answered, require_whole_replies
from appstream_frames.errors import AppStreamFramesError, RequestError
from appstream_frames.text import printable

_ROLE: Final = r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]+)"
#: The form of text parameters: by name, a pattern and its description.
_FORMS: Final = {
    "roles": (_ROLE, "a role's ARN, such as 'arn:aws:iam::012345678901:role/AppStreamReader'"),
    "external_id": (r"[\w+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and _+=,.@:/-"),
    "role_session_name": (r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and _+=,.@-"),
    "organization_role": (r"([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", "the role's name, such as 'AppStreamReader'"),
}
#: A partition, and a target in it whose region is the configured one, or empty.
_Login = tuple[str, Target]
_TIMEOUT: Final = 300.0  # seconds for the list of an organization's accounts
_NAMED: Final = 20  # inactive accounts in a warning
_DELEGATE: Final = (
    "Ask with credentials of the management account or of a delegated administrator that may call "
    "organizations:ListAccounts; or pass the roles: roles=[…]."
)


def targets(
    *,
    profiles: Iterable[str] | None = None,
    regions: Iterable[str] | str | None = None,
    roles: Iterable[str] | None = None,
    organization_role: str | None = None,
    external_id: str | None = None,
    role_session_name: str | None = None,
    session: boto3.Session | None = None,
) -> list[Target]:
    """Return the targets to drain, accounts × regions; without arguments your default credentials and region.

    No request is sent, except for `organization_role`. Credentials are resolved when a target is drained, in the process
    that drains it; those of roles are refreshed during the drain.

    Parameters
    ----------
    profiles : iterable of str, optional
        Profiles of your AWS configuration; with `roles` or `organization_role`, the one profile that assumes them.
    regions : iterable of str or "all", optional
        Default: each profile's or the session's own region. ``"all"``: every region of the partition (aws, aws-us-gov …) that
        has AppStream, according to the installed botocore; a region that an account has not enabled is then not a failure.
    roles : iterable of str, optional
        ARNs of roles to assume; each role's own account is drained.
    organization_role : str, optional
        Name of a role in every account of your organization: all ACTIVE accounts are drained, the caller's own with the
        caller's credentials, so it need not have the role. Not together with `roles`.
    external_id : str, optional
        External id that the roles require.
    role_session_name : str, optional
        Session name of assumed roles, which CloudTrail shows and roles may require; default: ``appstream-frames``.
    session : boto3.Session, optional
        Use its credentials in place of the default ones. Such targets can be drained in this process only.

    Returns
    -------
    list of Target
        In the order given: each profile, role or account (accounts sorted) in all its regions.

    Raises
    ------
    RequestError
        When a parameter is invalid, or no region is configured.
    AccessError, DrainError
        When listing the accounts of the organization is not allowed, or failed.

    Warns
    -----
    UserWarning
        When accounts of the organization are not active, and so not among the targets; names them.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> roles = ["arn:aws:iam::012345678901:role/Reader", "arn:aws:iam::111122223333:role/Reader"]
    >>> [str(target) for target in asf.targets(roles=roles, regions=["eu-west-1"])]
    ['012345678901/eu-west-1', '111122223333/eu-west-1']
    """
    names, arns = check_names("profiles", profiles), check_names("roles", roles)
    chosen = "all" if regions == "all" else check_names("regions", regions)
    for region in chosen if isinstance(chosen, list) else ():
        check_region(region)
    texts = {"external_id": external_id, "role_session_name": role_session_name, "organization_role": organization_role}
    _check_roles(names, arns, texts)
    if session is None:
        logins = _read_profiles(names)
    elif names is None:
        reference, region = credentials.refer_to(session), session.region_name or ""
        logins = [(find_partition(region), Target(None, region, session=reference))]
    else:
        raise RequestError("session= has a profile of its own; pass session= or profiles=, not both.")
    partition, base = logins[0]
    assume = partial(_assume, replace(base, external_id=external_id, role_session_name=role_session_name))
    if arns is not None:
        logins = [assume(arn) for arn in arns]
    elif organization_role is not None:
        logins = _list_organization(partition, base, organization_role, assume)
    return [
        replace(login, region=region, optional=chosen == "all")
        for partition, login in logins
        for region in _choose_regions(partition, login, chosen)
    ]


# arguments


def check_names(
    parameter: str, values: Iterable[object] | None, *, empty: str = "; pass None", distinct: bool = True
) -> list[str] | None:
    """Return the values as a list of strings, or None; raise RequestError for anything else. `empty` is part of its message."""
    if values is None:
        return None
    if isinstance(values, str):
        raise RequestError(f"{parameter}={values!r} is one string; pass a list of strings: {parameter}=[{values!r}].")
    try:
        names: list[Any] = list(values)
    except TypeError:
        raise RequestError(f"{parameter}={values!r} must be a list of strings, or None.") from None
    if not names:
        raise RequestError(f"{parameter} is empty{empty}, or at least one.")
    if wrong := [name for name in names if not isinstance(name, str) or not name]:
        shown = printable(repr(wrong[0]))
        raise RequestError(f"{parameter}={shown} is no name; every element must be a string, and not empty.")
    if distinct and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"{parameter}={printable(repr(twice))} twice; pass it once.")
    return names


def _check_roles(profiles: list[str] | None, roles: list[str] | None, texts: dict[str, str | None]) -> None:
    """Raise RequestError when the parameters for roles exclude each other, or one of the texts is invalid."""
    if roles is not None and texts["organization_role"] is not None:
        raise RequestError("Pass roles= or organization_role=, not both; the lists of two calls can be added.")
    assumed = roles is not None or texts["organization_role"] is not None
    if assumed and profiles is not None and len(profiles) > 1:
        raise RequestError(
            f"profiles= holds {len(profiles)}, and roles are assumed with one. Pass that one; the lists of two calls can be "
            "added."
        )
    for parameter, value in texts.items():
        if value is not None and not assumed:
            raise RequestError(f"{parameter}= is for roles; pass roles= or organization_role= with it.")
        if value is not None:
            _match(parameter, value)


def _match(parameter: str, value: object) -> re.Match[str]:
    pattern, expected = _FORMS[parameter]
    found = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        seen = "" if parameter == "external_id" else printable(repr(value))
        raise RequestError(f"{parameter}={seen} cannot be right; expected {expected}.")
    return found


def _choose_regions(partition: str, login: Target, regions: list[str] | str | None) -> list[str]:
    if regions == "all":
        return list_appstream_regions(partition)
    if regions is None and not login.region:
        owner = f"profile {login.profile!r}" if login.profile else "this environment"
        whose = "the session" if login.session else owner
        raise RequestError(f"No region is configured for {whose}. Name one: regions=['eu-west-1'], or \"all\".")
    chosen = [check_region(login.region)] if regions is None else list(regions)
    for region in chosen:
        if login.role is not None and find_partition(region) != partition:
            raise RequestError(f"Region {region} is not in {partition}, the partition of the role. Name its regions.")
    return chosen


# profiles of the AWS configuration files


def _read_profiles(names: list[str] | None) -> list[_Login]:
    """Return the login of each profile; for None, that of the default credentials."""
    session = credentials.open_profile(names[0] if names else None)
    known = session.full_config["profiles"]  # of all profiles: a session for each one would read all files again
    if names is None:
        # botocore prefers keys in the environment, and then ignores the default profile
        own = {} if os.environ.get("AWS_ACCESS_KEY_ID") else session.get_scoped_config()
        region = session.get_config_variable("region")
        partition, login = _read_profile(session.profile or "default", own, region, known)
        return [(partition, replace(login, profile=None, account=None))]
    logins = []
    for name in names:
        if name not in known:
            known = credentials.open_profile(name).full_config["profiles"]  # or an error that lists them
        region = known[name].get("region") or os.environ.get("AWS_DEFAULT_REGION")
        logins.append(_read_profile(name, known[name], region, known))
    return logins


def _read_profile(name: str, own: dict[str, str], region: str | None, known: dict[str, dict[str, str]]) -> _Login:
    _check_mfa(name, own, known)
    role = re.fullmatch(_ROLE, str(own.get("role_arn")), re.ASCII)
    partition = role[1] if role else find_partition(region or own.get("sso_region", ""))
    account = role[2] if role else None
    if "role_arn" not in own and {"sso_session", "sso_start_url"} & set(own):
        account = own.get("sso_account_id")
    return partition, Target(account, region or "", name)


def _check_mfa(name: str, own: dict[str, str], known: dict[str, dict[str, str]]) -> None:
    """Raise RequestError for a profile for which botocore would prompt for an MFA code during a drain.

    Follow source profiles as botocore does: a web identity takes precedence over a role, and static keys are the end.
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


# roles, and the accounts of an organization


def _assume(login: Target, arn: str) -> _Login:
    """Return the login that assumes a role."""
    found = _match("roles", arn)
    return found[1], replace(login, account=found[2], role=arn)


def _list_organization(partition: str, base: Target, role: str, assume: Callable[[str], _Login]) -> list[_Login]:
    """Return the login of each active account of an organization: the role, or the caller in the caller's own account."""
    try:
        home = replace(base, region=find_home_region(partition))
        caller, states = call_within(_TIMEOUT, partial(_read_organization, home))
    except AppStreamFramesError:
        raise
    except Exception as error:  # a credential provider may raise anything
        doing = getattr(error, "operation_name", "ListAccounts")
        raise failures.explain(error, failures.Position("organization", before=doing, advice=_DELEGATE)) from error
    inactive = [f"{account} ({printable(state, 40)})" for account, state in states.items() if state != "ACTIVE"]
    if inactive:
        more = f" and {len(inactive) - _NAMED} more" if len(inactive) > _NAMED else ""
        named = ", ".join(inactive[:_NAMED])
        warnings.warn(f"Not active, and so no targets: {named}{more}; their images are not seen.", stacklevel=3)
    return [
        (partition, replace(base, account=caller))
        if account == caller
        else assume(f"arn:{partition}:iam::{account}:role/{role}")
        for account, state in states.items()
        if state == "ACTIVE"
    ]


def _read_organization(home: Target) -> tuple[str, dict[str, str]]:
    """Return the caller's own account, and the state of each account of its organization, sorted by account."""
    session, sts = credentials.open_base(home)
    with redacting(session):
        caller = credentials.ask_account(sts)
        client = credentials.create_client(session, "organizations", home.region, config=credentials.SIGN_IN)
        with require_whole_replies(client):
            accounts = _list_accounts(client)
    states = {
        credentials.check_account(each.get("Id")): str(each.get("State") or each.get("Status")) for each in accounts
    }
    if caller not in states:
        raise ValueError(f"{len(states)} accounts were listed, and the caller's own, {caller}, is not one of them")
    return caller, dict(sorted(states.items()))


def _list_accounts(client: Any) -> list[dict[str, Any]]:
    """Return every account; botocore's paginator would take a reply without accounts for the last page."""

    def list_page() -> dict[str, Any]:
        reply: dict[str, Any] = client.list_accounts(**parameters)
        if not isinstance(reply.get("Accounts"), list):
            raise BrokenReplyError("the reply has no accounts")
        return reply

    accounts: list[dict[str, Any]] = []
    parameters: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        reply = call_until_answered(list_page)
        accounts += reply["Accounts"]
        token = reply.get("NextToken")
        if not token:
            return accounts
        if token in seen:
            raise ValueError("AWS sent a NextToken that it had sent before")
        seen.add(token)
        parameters["NextToken"] = token
