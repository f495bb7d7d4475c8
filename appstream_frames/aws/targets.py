"""Which accounts in which regions to drain: targets, named by text that can travel to another process."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import total_ordering
from typing import Any, Final

import boto3

from appstream_frames.aws.credentials import Login, SessionReference, Source, refer_to
from appstream_frames.aws.organizations import read_organization
from appstream_frames.aws.profiles import ROLE, read_profiles
from appstream_frames.aws.regions import check_regions, find_partition, list_appstream_regions
from appstream_frames.errors import RequestError
from appstream_frames.text import printable

#: What texts look like: by parameter, a pattern and the words for it.
_FORMS: Final = {
    "roles": (ROLE.pattern, "a role's ARN, such as 'arn:aws:iam::012345678901:role/AppStreamReader'"),
    "external_id": (r"[\w+=,.@:/-]{2,1224}", "2 to 1224 letters, digits and _+=,.@:/-"),
    "role_session_name": (r"[\w+=,.@-]{2,64}", "2 to 64 letters, digits and _+=,.@-"),
    "organization_role": (r"([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", "the role's name, such as 'AppStreamReader'"),
}
_TIMEOUT: Final = 300.0  # seconds for the list of an organization's accounts


@total_ordering
@dataclass(frozen=True)
class Target:
    """One account in one region, and where its credentials come from; made by `targets`.

    It holds no credentials, can be pickled, and sorts by account and region.

    Attributes
    ----------
    account : str or None
        The account that is expected, where it is known before anything is sent.
    region : str
        The region.
    profile : str or None
        The profile whose credentials are used, or with which the role is assumed; None: the default credentials.
    role : str or None
        ARN of the role to assume.
    external_id : str or None
        What the role demands of those who assume it; not shown.
    session : SessionReference or None
        What stands for a session that was handed in; it is known in this process only.
    role_session_name : str or None
        What the assumed role's session is called; None: ``appstream-frames``.
    optional : bool
        Whether the region came with ``regions="all"``: that it is not enabled for the account is then no failure.
    """

    account: str | None
    region: str
    profile: str | None = None
    role: str | None = None
    external_id: str | None = field(default=None, repr=False)
    session: SessionReference | None = field(default=None, repr=False)
    role_session_name: str | None = None
    optional: bool = field(default=False, repr=False, compare=False)

    def __lt__(self, other: object) -> bool:
        return self._make_key() < other._make_key() if isinstance(other, Target) else NotImplemented

    def __str__(self) -> str:
        return f"{self.account or self._describe_owner()}/{self.region}"

    @property
    def source(self) -> Source:
        """Where the credentials come from."""
        partition = find_partition(self.region)
        return Source(partition, self.profile, self.role, self.external_id, self.role_session_name, self.session)

    def _describe_owner(self) -> str:
        if self.profile is not None:
            return f"profile {printable(self.profile, 60)}"
        return "default credentials" if self.session is None else "session"

    def _make_key(self) -> tuple[str, ...]:
        where = (self.account, self.region, self.profile, self.role, self.external_id, self.role_session_name)
        return tuple(value or "" for value in (*where, self.session and self.session.number))


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
    """Return which accounts to drain in which regions; without arguments your default credentials and region.

    No request is sent, except for `organization_role`. Credentials are found when a target is drained, by the process
    that drains it; those of roles are renewed while a drain lasts.

    Parameters
    ----------
    profiles : iterable of str, optional
        Profiles of your AWS configuration, those of SSO and of roles included. With `roles` or `organization_role`: the
        one profile to assume them with.
    regions : iterable of str or "all", optional
        Default: each profile's or the session's own region. ``"all"``: every region of the partition (aws, aws-us-gov …) in
        which AppStream is, to the installed botocore's knowledge; upgrade boto3 to know the newest, or name them. That a
        region is not enabled for an account is no failure then.
    roles : iterable of str, optional
        ARNs of roles to assume; each role's account is the one that is drained.
    organization_role : str, optional
        Name of a role that every account of your organization has: all ACTIVE accounts are drained, the caller's own
        account with the caller's credentials, as it need not have the role. Not together with `roles`.
    external_id : str, optional
        What the roles demand of those who assume them.
    role_session_name : str, optional
        What the sessions of assumed roles are called, as CloudTrail shows it and as some roles demand it; default:
        ``appstream-frames``.
    session : boto3.Session, optional
        Use its credentials in place of the default ones. Such targets can be drained in this process only.

    Returns
    -------
    list of Target
        In the order given: each profile, role or account (these sorted) in all its regions.

    Raises
    ------
    RequestError
        When a parameter cannot be right, or no region is known.
    AccessError
        When the accounts of the organization may not be listed.
    DrainError
        When they could not be listed.

    Warns
    -----
    UserWarning
        Which accounts of the organization are not active, and so not among the targets.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> roles = ["arn:aws:iam::012345678901:role/Reader", "arn:aws:iam::111122223333:role/Reader"]
    >>> [str(target) for target in asf.targets(roles=roles, regions=["eu-west-1"])]
    ['012345678901/eu-west-1', '111122223333/eu-west-1']
    """
    names, arns = _check_names("profiles", profiles), _check_names("roles", roles)
    chosen = "all" if regions == "all" else _check_names("regions", regions)
    if isinstance(chosen, list):
        check_regions(chosen)
    texts = {"external_id": external_id, "role_session_name": role_session_name, "organization_role": organization_role}
    _check_roles(names, arns, texts)
    if session is None:
        logins = read_profiles(names)
    elif names is None:
        logins = [_read_session(session)]
    else:
        raise RequestError("session= has a profile of its own; pass session= or profiles=, not both.")
    if arns is not None:
        logins = [_assume(logins[0], arn, external_id, role_session_name) for arn in arns]
    elif organization_role is not None:
        logins = _list_organization(logins[0], organization_role, external_id, role_session_name)
    return [
        _make_target(login, region, optional=chosen == "all")
        for login in logins
        for region in _choose_regions(login, chosen)
    ]


def _check_roles(profiles: list[str] | None, roles: list[str] | None, texts: dict[str, str | None]) -> None:
    """Raise RequestError when the parameters that are for roles do not fit together, or one of the texts cannot be right."""
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


def _read_session(session: boto3.Session) -> Login:
    reference, region = refer_to(session), session.region_name
    return Login(Source(find_partition(str(region)), reference=reference), region, account=None)


def _assume(base: Login, arn: str, external_id: str | None, role_session_name: str | None) -> Login:
    """Return what signs in as a role."""
    found = _match("roles", arn)
    source = replace(
        base.source, partition=found[1], role=arn, external_id=external_id, role_session_name=role_session_name
    )
    return Login(source, base.region, account=found[2])


def _list_organization(base: Login, role: str, external_id: str | None, role_session_name: str | None) -> list[Login]:
    """Return what signs in to each active account of an organization: the role, and in the caller's own account the caller."""
    caller, states = read_organization(base.source, _TIMEOUT)
    _warn_of_inactive(states)
    prefix = f"arn:{base.source.partition}:iam::"
    return [
        replace(base, account=caller)
        if account == caller
        else _assume(base, f"{prefix}{account}:role/{role}", external_id, role_session_name)
        for account, state in states.items()
        if state == "ACTIVE"
    ]


def _choose_regions(login: Login, regions: list[str] | str | None) -> list[str]:
    partition = login.source.partition
    if regions == "all":
        return list_appstream_regions(partition)
    if regions is None and login.region is None:
        profile = login.source.profile
        owner = f"profile {profile!r}" if profile else "this environment"
        whose = "the session" if login.source.reference else owner
        raise RequestError(f"No region is configured for {whose}. Name one: regions=['eu-west-1'], or \"all\".")
    chosen = check_regions([login.region]) if regions is None else list(regions)
    for region in chosen:
        if login.source.role is not None and find_partition(region) != partition:
            raise RequestError(f"Region {region} is not in {partition}, the partition of the role. Name its regions.")
    return chosen


def _make_target(login: Login, region: str, *, optional: bool) -> Target:
    source = login.source
    named = (source.profile, source.role, source.external_id, source.reference, source.role_session_name)
    return Target(login.account, region, *named, optional)


def _check_names(parameter: str, values: Iterable[str] | None) -> list[str] | None:
    """Return a list of different strings; None when there is none."""
    if values is None:
        return None
    if isinstance(values, str):
        raise RequestError(f"{parameter}={values!r} is one string; pass a list of strings: {parameter}=[{values!r}].")
    try:
        names: list[Any] = list(values)
    except TypeError:
        raise RequestError(f"{parameter}={values!r} must be a list of strings, or None.") from None
    if not names:
        raise RequestError(f"{parameter} is empty; pass None, or at least one.")
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise RequestError(
                f"{parameter}={printable(repr(name))} is no name; every element must be a string, and not empty."
            )
        if name in names[:number]:
            raise RequestError(f"{parameter}={printable(repr(name))} twice; pass it once.")
    return names


def _match(parameter: str, value: object) -> re.Match[str]:
    pattern, expected = _FORMS[parameter]
    found = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if found is None:
        seen = "" if parameter == "external_id" else printable(repr(value))
        raise RequestError(f"{parameter}={seen} cannot be right; expected {expected}.")
    return found


def _warn_of_inactive(states: dict[str, str]) -> None:
    inactive = [f"{account} ({printable(state, 40)})" for account, state in states.items() if state != "ACTIVE"]
    if inactive:
        more = f" and {len(inactive) - 20} more" if len(inactive) > 20 else ""
        named = ", ".join(inactive[:20])
        warnings.warn(f"Not active, and so no targets: {named}{more}; their images are not seen.", stacklevel=4)
