"""The sandbox's accounts: who calls, STS that lets them assume roles, and Organizations that lists them.

No signature is checked: a caller is who the access key id says. Temporary keys come with a token, and that is checked: the
sandbox remembers whose they are and until when they are valid.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs

from appstream_frames.emulator.catalogue import Json, list_accounts

KEY: Final = "ASIASANDBOX0"  # an access key id is this and the account, and of temporary keys an R
_ROLE: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:.+/)?([\w+=,.@-]+)", re.ASCII)
_SCOPE: Final = re.compile(rf"Credential=(?:{KEY}(\d{{12}})(R?)|[^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_PAGE: Final = 20  # accounts a page of ListAccounts, at most
SUSPENDED: Final = "000300030003"


class ServiceError(Exception):
    """An error that the service answers with: its code, its message, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class Caller:
    """Who signed a request, for which region and which service."""

    account: str | None  # None: nobody who is known
    region: str
    service: str
    role: str = "Sandbox/visitor"
    partition: str = "aws"
    expired: bool = False

    @property
    def arn(self) -> str:
        """ARN that GetCallerIdentity returns."""
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.role}"

    def check(self, unknown: str, expired: str, status: int) -> None:
        """Refuse a caller who is not known, or whose token has expired, with the service's own codes."""
        message = "The security token included in the request is "
        if self.account is None:
            raise ServiceError(unknown, f"{message}invalid.", status)
        if self.expired:
            raise ServiceError(expired, f"{message}expired", status)


@dataclass(frozen=True)
class Role:
    """A role of every account, or of the one whose ARN it was named by."""

    external_id: str | None = None
    lands_in: str | None = None


class Accounts:
    """The accounts of one organization, whose management account is the first."""

    def __init__(self, count: int | None) -> None:
        self.known = list_accounts(count)
        self.roles = {"AppStreamReader": Role()}
        self.life: float | None = None  # seconds for which temporary keys are valid, whatever was requested
        self.requests: Counter[str] = Counter()  # answered requests to STS and Organizations, by operation
        self.revoked: set[str] = set()
        self._tokens: dict[str, tuple[Caller, float]] = {}  # whose keys, and until when they are valid

    def find_caller(self, authorization: str, token: str | None) -> Caller | None:
        """Return who signed, from the headers; None when there is no signature of version 4."""
        found = _SCOPE.search(authorization)
        if found is None:
            return None
        account, temporary, region, service = found.groups()
        if account is None or account in self.revoked:
            return Caller(None, region, service)
        if not temporary:
            return Caller(account if account in self.known else None, region, service)
        assumed, until = self._tokens.get(token or "", (None, 0.0))
        if assumed is None or assumed.account != account:
            return Caller(None, region, service)
        return replace(assumed, region=region, service=service, expired=until <= time.time())

    def reply_as_sts(self, caller: Caller | None, body: bytes) -> tuple[str, Json]:
        """Return the action of one request of the query protocol, and the members of its result."""
        if caller is None:
            raise ServiceError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        caller.check("InvalidClientTokenId", "ExpiredToken", 403)
        parameters = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        action = parameters.get("Action", "")
        replies = {"GetCallerIdentity": _identify, "AssumeRole": self._assume}
        if action not in replies:
            raise ServiceError("InvalidAction", f"Could not find operation {action} for version 2011-06-15")
        self.requests[action] += 1
        return action, replies[action](caller, parameters)

    def _assume(self, caller: Caller, parameters: dict[str, str]) -> Json:
        arn, session = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
        seconds = parameters.get("DurationSeconds", "3600")
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", session) or not (seconds.isdigit() and 900 <= int(seconds) <= 43_200):
            raise ServiceError("ValidationError", "1 validation error detected: RoleSessionName or DurationSeconds")
        found = _ROLE.fullmatch(arn)
        role = found and (self.roles.get(arn) or self.roles.get(found[3]))
        if not found or not role or found[2] not in self.known or role.external_id != parameters.get("ExternalId"):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise ServiceError("AccessDenied", message, 403)
        assumed = replace(
            caller, account=role.lands_in or found[2], role=f"{found[3]}/{session}", partition=found[1], expired=False
        )
        return {
            "Credentials": self._make_keys(assumed, float(seconds) if self.life is None else self.life),
            "AssumedRoleUser": {"AssumedRoleId": f"AROASANDBOX:{session}", "Arn": assumed.arn},
        }

    def _make_keys(self, caller: Caller, seconds: float) -> Json:
        until, token = time.time() + seconds, "SANDBOX" + secrets.token_hex(32)
        self._tokens[token] = (caller, until)
        return {
            "AccessKeyId": f"{KEY}{caller.account}R",
            "SecretAccessKey": "sandbox",
            "SessionToken": token,
            "Expiration": dt.datetime.fromtimestamp(until, dt.UTC).isoformat(),
        }

    def reply_as_organizations(self, operation: str, caller: Caller, body: bytes) -> Json:
        """Return the reply to one request of AWS JSON 1.1; only the first account may list the others."""
        caller.check("UnrecognizedClientException", "ExpiredTokenException", 400)
        if operation != "AWSOrganizationsV20161128.ListAccounts":
            raise ServiceError("UnknownOperationException", f"The sandbox answers ListAccounts only, not {operation!r}")
        if caller.account != self.known[0]:
            raise ServiceError("AccessDeniedException", "You don't have permissions to access this resource.")
        self.requests["ListAccounts"] += 1
        return self._page(json.loads(body or b"{}"))

    def _page(self, request: Json) -> Json:
        members = [SUSPENDED, *reversed(self.known)]  # AWS promises no order either
        token = str(request.get("NextToken") or "page-0")
        if not re.fullmatch(r"page-[0-9]{1,6}", token):
            raise ServiceError("InvalidInputException", "The NextToken is not valid.")
        start = int(token.removeprefix("page-"))
        end = start + min(request.get("MaxResults") or _PAGE, _PAGE)
        page = [self._describe_member(account) for account in members[start:end]]
        return {"Accounts": page} | ({"NextToken": f"page-{end}"} if end < len(members) else {})

    def _describe_member(self, account: str) -> Json:
        state = "SUSPENDED" if account == SUSPENDED else "ACTIVE"
        return {
            "Id": account,
            "Arn": f"arn:aws:organizations::{self.known[0]}:account/o-sandbox000/{account}",
            "Name": f"sandbox-{account}",
            "Email": f"{account}@example.com",
            "State": state,
            "Status": state,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1767225600.0,
        }


def _identify(caller: Caller, _: Any) -> Json:
    return {"Arn": caller.arn, "UserId": f"AROASANDBOX:{caller.role.split('/')[-1]}", "Account": caller.account}
