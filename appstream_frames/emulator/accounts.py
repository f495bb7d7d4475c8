"""The sandbox's accounts: who calls, STS that lets them assume roles, and Organizations that lists them.

No signature is checked: a caller is who the access key id says. Temporary keys come with a token, and that is checked: it
says whose they are and until when, under a seal, so that nothing has to be remembered.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import secrets
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs

from appstream_frames.emulator.catalogue import Json, accounts

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
        """The ARN that GetCallerIdentity tells."""
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
        self.known = accounts(count)
        self.roles = {"AppStreamReader": Role()}
        self.life: float | None = None  # seconds that temporary keys are good for, whatever was asked
        self.asked: Counter[str] = Counter()  # answered calls by operation, DescribeImages aside
        self._secret = secrets.token_bytes(32)

    def caller(self, authorization: str, token: str | None) -> Caller | None:
        """Return who signed, from the headers; None when there is no signature of version 4."""
        found = _SCOPE.search(authorization)
        if found is None:
            return None
        account, temporary, region, service = found.groups()
        nobody = Caller(None, region, service)
        if account is None or not temporary:
            return replace(nobody, account=account) if account in self.known else nobody
        told = self._opened(token or "")
        return nobody if told is None or told["account"] != account else replace(nobody, **told)

    def sts(self, caller: Caller | None, body: bytes) -> tuple[str, Json]:
        """Answer one request of the query protocol; returns the action and the members of its result."""
        if caller is None:
            raise ServiceError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        caller.check("InvalidClientTokenId", "ExpiredToken", 403)
        asked = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        action = asked.get("Action", "")
        answers = {"GetCallerIdentity": _identity, "AssumeRole": self._assume}
        if action not in answers:
            raise ServiceError("InvalidAction", f"Could not find operation {action} for version 2011-06-15")
        self.asked[action] += 1
        return action, answers[action](caller, asked)

    def _assume(self, caller: Caller, asked: dict[str, str]) -> Json:
        arn, session = asked.get("RoleArn", ""), asked.get("RoleSessionName", "")
        seconds = asked.get("DurationSeconds", "3600")
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", session) or not (seconds.isdigit() and 900 <= int(seconds) <= 43_200):
            raise ServiceError("ValidationError", "1 validation error detected: RoleSessionName or DurationSeconds")
        found = _ROLE.fullmatch(arn)
        role = found and (self.roles.get(arn) or self.roles.get(found[3]))
        if not found or not role or found[2] not in self.known or role.external_id != asked.get("ExternalId"):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise ServiceError("AccessDenied", message, 403)
        assumed = replace(
            caller, account=role.lands_in or found[2], role=f"{found[3]}/{session}", partition=found[1], expired=False
        )
        return {
            "Credentials": self._keys(assumed, float(seconds) if self.life is None else self.life),
            "AssumedRoleUser": {"AssumedRoleId": f"AROASANDBOX:{session}", "Arn": assumed.arn},
        }

    def _keys(self, caller: Caller, seconds: float) -> Json:
        until = time.time() + seconds
        told = {"account": caller.account, "role": caller.role, "partition": caller.partition, "until": until}
        return {
            "AccessKeyId": f"{KEY}{caller.account}R",
            "SecretAccessKey": "sandbox",
            "SessionToken": self._sealed(json.dumps(told).encode()),
            "Expiration": dt.datetime.fromtimestamp(until, dt.UTC).isoformat(),
        }

    def _sealed(self, content: bytes) -> str:
        seal = hmac.digest(self._secret, content, hashlib.sha256)
        return "SANDBOX" + base64.b64encode(seal + content).decode()

    def _opened(self, token: str) -> Json | None:
        """Return what a token says; None when it is none of ours."""
        try:
            content = base64.b64decode(token.removeprefix("SANDBOX"))[32:]
        except ValueError:
            return None
        if not hmac.compare_digest(self._sealed(content).encode(), token.encode(errors="replace")):
            return None
        told: Json = json.loads(content)
        return told | {"expired": told.pop("until") <= time.time()}

    def organizations(self, operation: str, caller: Caller, body: bytes) -> Json:
        """Answer one request of AWS JSON 1.1; only the first account may ask."""
        caller.check("UnrecognizedClientException", "ExpiredTokenException", 400)
        if operation != "AWSOrganizationsV20161128.ListAccounts":
            raise ServiceError("UnknownOperationException", f"The sandbox answers ListAccounts only, not {operation!r}")
        if caller.account != self.known[0]:
            raise ServiceError("AccessDeniedException", "You don't have permissions to access this resource.")
        self.asked["ListAccounts"] += 1
        return self._page(json.loads(body or b"{}"))

    def _page(self, asked: Json) -> Json:
        members = [SUSPENDED, *reversed(self.known)]  # AWS promises no order either
        token = str(asked.get("NextToken") or "page-0")
        if not re.fullmatch(r"page-[0-9]{1,6}", token):
            raise ServiceError("InvalidInputException", "The NextToken is not valid.")
        start = int(token.removeprefix("page-"))
        end = start + min(asked.get("MaxResults") or _PAGE, _PAGE)
        listed = [self._member(account) for account in members[start:end]]
        return {"Accounts": listed} | ({"NextToken": f"page-{end}"} if end < len(members) else {})

    def _member(self, account: str) -> Json:
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


def _identity(caller: Caller, _: Any) -> Json:
    return {"Arn": caller.arn, "UserId": f"AROASANDBOX:{caller.role.split('/')[-1]}", "Account": caller.account}
