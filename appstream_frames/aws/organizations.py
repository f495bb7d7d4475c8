"""The accounts of an AWS organization, from Organizations' ListAccounts."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from botocore.client import BaseClient

from appstream_frames.aws import failures, regions, sessions
from appstream_frames.aws.credentials import Source, ask_account, check_account, open_base
from appstream_frames.aws.deadlines import call_within
from appstream_frames.aws.redaction import redacting
from appstream_frames.aws.retries import BrokenReplyError, call_until_answered, require_whole_replies
from appstream_frames.errors import AppStreamFramesError

_ADVICE: Final = (
    "Ask with credentials of the management account or of a delegated administrator that may call "
    "organizations:ListAccounts; or name the roles: targets(roles=[…])."
)


def read_organization(source: Source, timeout: float) -> tuple[str, dict[str, str]]:
    """Return a source's own account, and the state of each account of its organization, sorted by account.

    Raise DrainError when they cannot be listed to their end in time, and AccessError when they may not be listed.
    """
    try:
        return call_within(timeout, lambda: _list_accounts(source))
    except AppStreamFramesError:
        raise
    except Exception as error:  # whatever a provider of credentials raises
        doing = getattr(error, "operation_name", "ListAccounts")
        raise failures.explain(error, failures.Position("organization", 0, None, doing, _ADVICE)) from error


def _list_accounts(source: Source) -> tuple[str, dict[str, str]]:
    session, sts = open_base(source)
    region = regions.find_home_region(source.partition)
    with redacting(session):
        caller = ask_account(sts)
        client = sessions.create_client(session, "organizations", region, config=sessions.SIGN_IN)
        with require_whole_replies(client):
            accounts = _list_every_account(client)
    states = {check_account(each.get("Id")): str(each.get("State") or each.get("Status")) for each in accounts}
    if caller not in states:
        raise ValueError(f"{len(states)} accounts were listed, and the caller's own, {caller}, is not one of them")
    return caller, dict(sorted(states.items()))


def _list_every_account(client: BaseClient) -> list[dict[str, Any]]:
    """Return every account; botocore's paginator would take a reply without accounts for the end."""
    accounts: list[dict[str, Any]] = []
    token, seen = None, set()
    while True:
        reply = call_until_answered(partial(_list_page, client, token))
        accounts += reply["Accounts"]
        token = reply.get("NextToken")
        if not token:
            return accounts
        if token in seen:
            raise ValueError("AWS sent a NextToken that it had sent before")
        seen.add(token)


def _list_page(client: BaseClient, token: str | None) -> dict[str, Any]:
    reply: dict[str, Any] = client.list_accounts(**{"NextToken": token} if token else {})
    if not isinstance(reply.get("Accounts"), list):
        raise BrokenReplyError("the reply has no accounts")
    return reply
