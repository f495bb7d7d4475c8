"""The sandbox's accounts: callers, STS that lets them assume roles, and Organizations that lists the accounts.

Signatures are not checked: the access key id alone identifies a caller, for temporary keys with their session token.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs

from appstream_frames.emulator.catalogue import Json, list_accounts

KEY: Final = "ASIASANDBOX0"  # begins an access key id; the account follows, and an R for temporary keys
_ROLE: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:.+/)?([\w+=,.@-]+)", re.ASCII)
_SCOPE: Final = re.compile(rf"Credential=(?:{KEY}(\d{{12}})(R?)|[^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_PAGE: Final = 20  # accounts per page of ListAccounts, at most
SUSPENDED: Final = "000300030003"


@dataclass(eq=False)
class ServiceError(Exception):
    """An error that the service replies with; `status` is the HTTP status."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True)
class Caller:
    """The signer of a request, with its region and service; by default unknown."""

    account: str | None = None  # None: unknown
    region: str = ""
    service: str = ""
    role: str = "Sandbox/visitor"
    partition: str = "aws"
    expired: bool = False

    @property
    def arn(self) -> str:
        """ARN that GetCallerIdentity returns."""
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.role}"

    def check(self) -> None:
        """Raise ServiceError for a caller who is unknown or whose token has expired, with the service's own codes."""
        if not self.service:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
        message, sts = "The security token included in the request is ", self.service == "sts"
        status = 403 if sts else 400
        if self.account is None:
            code = "InvalidClientTokenId" if sts else "UnrecognizedClientException"
            raise ServiceError(code, f"{message}invalid.", status)
        if self.expired:
            raise ServiceError("ExpiredToken" if sts else "ExpiredTokenException", f"{message}expired", status)


class Accounts:
    """The accounts of one organization; the first is its management account."""

    def __init__(self, count: int | None) -> None:
        self.known = list_accounts(count)
        #: By a role's name or ARN: the external id that it requires, and the account of its keys if that is not its own.
        self.roles: dict[str, tuple[str | None, str | None]] = {"AppStreamReader": (None, None)}
        self.life: float | None = None  # seconds for which temporary keys are valid; None: as requested
        self.requests: Counter[str] = Counter()  # answered requests to STS and Organizations, by operation
        self.revoked: set[str] = set()
        self._tokens: dict[str, tuple[Caller, float]] = {}  # by token: the caller, and when the keys expire

    def find_caller(self, authorization: str, token: str | None) -> Caller:
        """Return the signer of a request, from its headers; unknown without a signature of version 4."""
        found = _SCOPE.search(authorization)
        if found is None:
            return Caller()
        account, temporary, region, service = found.groups()
        caller, until = Caller(account), math.inf
        if temporary:
            caller, until = self._tokens.get(token or "", (Caller(), 0.0))
        known = caller.account == account if temporary else account in self.known
        if not known or account in self.revoked:
            return Caller(None, region, service)
        return replace(caller, region=region, service=service, expired=until <= time.time())

    def reply_as_sts(self, caller: Caller, body: bytes) -> Json:
        """Return the reply to one request of the query protocol."""
        caller.check()
        parameters = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        action = parameters.get("Action", "")
        if action not in ("GetCallerIdentity", "AssumeRole"):
            raise ServiceError("InvalidAction", f"Could not find operation {action} for version 2011-06-15")
        self.requests[action] += 1
        identity = {"Arn": caller.arn, "UserId": f"AROASANDBOX:{caller.role.split('/')[-1]}", "Account": caller.account}
        result = identity if action == "GetCallerIdentity" else self._assume(caller, parameters)
        return {f"{action}Response": {f"{action}Result": result}}

    def _assume(self, caller: Caller, parameters: dict[str, str]) -> Json:
        arn, session = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
        found = _ROLE.fullmatch(arn)
        role = found and (self.roles.get(arn) or self.roles.get(found[3]))
        if not found or not role or found[2] not in self.known or role[0] != parameters.get("ExternalId"):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise ServiceError("AccessDenied", message, 403)
        assumed = Caller(role[1] or found[2], role=f"{found[3]}/{session}", partition=found[1])
        token = f"SANDBOX{secrets.token_hex(32)}"
        until = time.time() + (float(parameters.get("DurationSeconds", "3600")) if self.life is None else self.life)
        self._tokens[token] = (assumed, until)
        keys = {"AccessKeyId": f"{KEY}{assumed.account}R", "SecretAccessKey": "sandbox", "SessionToken": token}
        expiration = dt.datetime.fromtimestamp(until, dt.UTC).isoformat()
        return {
            "Credentials": keys | {"Expiration": expiration},
            "AssumedRoleUser": {"AssumedRoleId": f"AROASANDBOX:{session}", "Arn": assumed.arn},
        }

    def reply_as_organizations(self, operation: str, caller: Caller, body: bytes) -> Json:
        """Return the reply to one request of AWS JSON 1.1; only the first account may list the others."""
        caller.check()
        if operation != "AWSOrganizationsV20161128.ListAccounts":
            raise ServiceError("UnknownOperationException", f"The sandbox answers ListAccounts only, not {operation!r}")
        if caller.account != self.known[0]:
            raise ServiceError("AccessDeniedException", "You don't have permissions to access this resource.")
        self.requests["ListAccounts"] += 1
        request = json.loads(body or b"{}")
        # AWS guarantees no order either
        members = [(SUSPENDED, "SUSPENDED"), *((account, "ACTIVE") for account in reversed(self.known))]
        start = int((request.get("NextToken") or "page-0").removeprefix("page-"))
        end = start + min(request.get("MaxResults") or _PAGE, _PAGE)
        head = f"arn:aws:organizations::{self.known[0]}:account/o-sandbox000"
        joined = {"JoinedMethod": "CREATED", "JoinedTimestamp": 1767225600.0}
        page = [
            {"Id": account, "Arn": f"{head}/{account}", "Name": f"sandbox-{account}", "Email": f"{account}@example.com"}
            | {"State": state, "Status": state, **joined}
            for account, state in members[start:end]
        ]
        return {"Accounts": page} | ({"NextToken": f"page-{end}"} if end < len(members) else {})
