"""The accounts of an AWS organization, from Organizations' ListAccounts."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

from botocore.client import BaseClient

from appstream_frames.aws import credentials, failures, regions, sessions
from appstream_frames.aws.clients import read_account
from appstream_frames.aws.credentials import Source
from appstream_frames.aws.deadlines import call_within
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.retries import until_answered
from appstream_frames.errors import AppStreamFramesError, DrainError, RequestError

_TARGET: Final = "organization"
_ADVICE: Final = (
    "Ask with credentials of the management account or of a delegated administrator that may call "
    "organizations:ListAccounts; or name the roles: targets(roles=[…])."
)


class Organization(NamedTuple):
    """The accounts of an organization, each list sorted; `caller` is the account whose credentials were used."""

    partition: str
    caller: str
    active: list[str]
    others: dict[str, str]  # account: its state


def read_organization(source: Source, timeout: float) -> Organization:
    """Return the accounts of the organization that a source's account is in.

    Raises
    ------
    AccessError
        When there are no credentials, or they may not list the accounts.
    DrainError
        When the list could not be read to its end in time.
    """
    try:
        return call_within(timeout, lambda: _list_accounts(source))
    except AppStreamFramesError:
        raise
    except Exception as error:  # whatever a provider of credentials raises
        where = failures.Position(_TARGET, 0, None, getattr(error, "operation_name", "ListAccounts"), _ADVICE)
        found = failures.explain(error, where)
        raise (DrainError(str(found), target=_TARGET, page=0) if isinstance(found, RequestError) else found) from error


def _list_accounts(source: Source) -> Organization:
    session = credentials.open_session(source)
    with redacting(session):
        until_answered(partial(credentials.load_credentials, session))
        sts = credentials.open_sts(session, source.partition)
        caller = read_account(until_answered(sts.get_caller_identity))
        client = session.create_client(
            "organizations", region_name=regions.find_home_region(source.partition), config=sessions.SIGN_IN
        )
        accounts = _list_every_account(client)
    states = {read_account({"Account": each.get("Id")}): each.get("State") or each.get("Status") for each in accounts}
    if caller not in states:
        raise ValueError(f"{len(states)} accounts were listed, and the caller's own, {caller}, is not one of them")
    return Organization(
        source.partition,
        caller,
        sorted(account for account, state in states.items() if state == "ACTIVE"),
        {account: str(states[account]) for account in sorted(states) if states[account] != "ACTIVE"},
    )


def _list_every_account(client: BaseClient) -> list[dict[str, Any]]:
    """Return every account; botocore's paginator would take a reply without accounts for the end."""
    accounts: list[dict[str, Any]] = []
    token, seen = None, set()
    while True:
        page: dict[str, str] = {"NextToken": token} if token else {}
        reply = until_answered(partial(client.list_accounts, **page))
        if not isinstance(reply.get("Accounts"), list):
            raise ValueError("the reply has no accounts")
        accounts += reply["Accounts"]
        token = reply.get("NextToken")
        if not token:
            return accounts
        if token in seen:
            raise ValueError("AWS sent a NextToken that it had sent before")
        seen.add(token)
