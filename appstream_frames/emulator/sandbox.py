"""The sandbox and the sessions that connect to it, for use without an AWS account.

It serves every listing operation of AppStream, GetCallerIdentity and AssumeRole of STS, ListAccounts of Organizations.
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter
from botocore.loaders import Loader

from appstream_frames.aws.regions import check_region, list_appstream_regions
from appstream_frames.aws.targets import check_names
from appstream_frames.emulator.accounts import KEY, Accounts, ServiceError
from appstream_frames.emulator.catalogue import Row, find_week, finish, read_catalogue
from appstream_frames.emulator.loopback import Server
from appstream_frames.emulator.service import ERRORS, ON_THE_WIRE, AppStream, Fault, Responder, find_list_member
from appstream_frames.errors import RequestError

make_loader = cache(Loader)  # one for all sessions: each would otherwise read botocore's models again


@cache
def _register_handlers() -> HierarchicalEmitter:
    """Return an emitter with botocore's own handlers, whose registration takes most of the time of creating a session."""
    hooks = HierarchicalEmitter()
    botocore.session.Session(event_hooks=hooks)
    return hooks


class Loopback(botocore.session.Session):  # type: ignore[misc]  # botocore has no types
    """A botocore session that reads none of the machine's AWS settings and connects to one URL only.

    For AppStream in the region `nowhere` it connects to the URL `refusing`, which refuses connections.
    """

    def __init__(self, url: str, refusing: str, nowhere: str, account: str, config: Config | None = None) -> None:
        known = self.SESSION_VARIABLES.items()  # name: (in files, in the environment, default, conversion)
        variables = {name: (None, None, *rest) for name, (_, _, *rest) in known}
        super().__init__(variables, copy.copy(_register_handlers()), include_builtin_handlers=False)
        for name in ("config_file", "credentials_file"):
            self.set_config_variable(name, os.devnull)
        self.register_component("data_loader", make_loader())
        self.set_default_client_config(Config(proxies={}).merge(config or Config()))
        self.set_credentials(*make_keys(account).values())
        self._url, self._refusing, self._nowhere = url, refusing, ("appstream", nowhere)

    def create_client(self, service_name: str, region_name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return a client of the sandbox, whatever endpoint is requested."""
        region = region_name or self.get_config_variable("region")
        url = self._refusing if (service_name, region) == self._nowhere else self._url
        return super().create_client(service_name, region_name, *args, **kwargs | {"endpoint_url": url})


def make_keys(account: str) -> dict[str, str]:
    """Return the access key id and the secret key of an account, by their names in AWS's files."""
    return {"aws_access_key_id": KEY + account, "aws_secret_access_key": "sandbox"}


class Sandbox:
    """A running loopback AppStream; made by `sandbox`.

    Attributes
    ----------
    url : str
        Where it listens, such as ``http://127.0.0.1:43521``.
    accounts, regions : list of str
        Those it serves; the first of each is the default everywhere, and the first account manages the organization.
    nowhere : str
        A region whose AppStream endpoint refuses connections, for clients of `session` and `client`.
    weeks : list of str
        The thirteen ISO dates at which it can be started.
    at : str
        The week whose state it serves.

    Examples
    --------
    >>> with sandbox() as box:
    ...     print(box.client("111122223333", service="sts").get_caller_identity()["Account"])
    ...     print(box.environment(region="us-west-2")["AWS_REGION"])
    111122223333
    us-west-2

    >>> with sandbox() as box:
    ...     box.fail_next()  # boto3 tries again
    ...     box.fault(operation="DescribeStacks", kind="throttled", times=1)
    ...     box.set_rows("ListAssociatedFleets", ["payroll"], StackName="finance")
    ...     box.respond_with(lambda operation, *_: {"Stacks": []} if operation == "DescribeStacks" else None)
    ...     client = box.client()
    ...     client.list_associated_fleets(StackName="finance")["Names"], client.describe_stacks()["Stacks"], box.calls
    (['payroll'], [], 4)
    """

    nowhere: Final = "xx-nowhere-1"

    def __init__(self, week: int, accounts: Accounts, regions: list[str], port: int) -> None:
        self.weeks: list[str] = list(read_catalogue()["weeks"])
        self.at = self.weeks[week]
        self.accounts, self.regions = accounts.known, regions
        self._accounts = accounts
        self._service = AppStream(week, regions)
        self._server = Server(self._service, accounts, port)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._nobody = socket.socket()  # it never listens, and keeps its port from being used
        self._nobody.bind(("127.0.0.1", 0))
        self._refusing = f"http://127.0.0.1:{self._nobody.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.url} at {self.at}>"

    def close(self) -> None:
        """Stop listening and end every connection; closing twice does no harm."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_all()
        self._nobody.close()

    def session(
        self,
        account: str | None = None,
        region: str | None = None,
        *,
        config: Config | None = None,
        nowhere: str | None = None,
    ) -> boto3.Session:
        """Return a boto3 session whose every client talks to the sandbox, whatever AWS settings the machine has.

        Parameters
        ----------
        account : str, optional
            One of `accounts`; the credentials of any other are refused, as AWS refuses an unknown key.
        region : str, optional
            The session's region; one that is not in `regions` replies like a region that is not enabled.
        config : botocore.config.Config, optional
            Settings of every client of the session, such as its retries.
        nowhere : str, optional
            The region whose AppStream endpoint refuses connections, instead of the attribute `nowhere`.
        """
        core = Loopback(self.url, self._refusing, nowhere or self.nowhere, account or self.accounts[0], config)
        return boto3.Session(botocore_session=core, region_name=region or self.regions[0])

    def client(
        self, account: str | None = None, region: str | None = None, service: str = "appstream", **kwargs: Any
    ) -> Any:
        """Return a boto3 client of the sandbox.

        `account` and `region` are as in `session`; `service` is ``appstream``, ``sts`` or ``organizations``. Other arguments are
        those of `boto3.Session.client`, such as ``config=``.
        """
        return self.session(account, region).client(service, **kwargs)

    def environment(self, account: str | None = None, region: str | None = None) -> dict[str, str]:
        """Return the environment variables that point another program, such as the AWS CLI, at the sandbox."""
        region = region or self.regions[0]
        keys = {name.upper(): value for name, value in make_keys(account or self.accounts[0]).items()}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": region, "AWS_REGION": region} | keys

    def config(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Write an AWS configuration file for this sandbox, or replace it; return the environment variables that select it.

        Its profiles are ``sandbox-<account>``, for every third account with a role that the first account's keys assume;
        ``sandbox-stranger``, whose keys are refused; and ``sandbox-nowhere``, whose AppStream endpoint refuses connections.
        """
        profiles = {account: make_keys(account) for account in [*self.accounts, "stranger"]}  # last: not an account
        for account in self.accounts[2::3]:
            role = f"arn:aws:iam::{account}:role/AppStreamReader"
            profiles[account] = {"role_arn": role, "source_profile": f"sandbox-{self.accounts[0]}"}
        profiles["nowhere"] = make_keys(self.accounts[0]) | {"services": "nowhere"}
        content = ConfigParser(interpolation=None)
        for name, own in profiles.items():
            content[f"profile sandbox-{name}"] = own | {"region": self.regions[0], "endpoint_url": self.url}
        content["services nowhere"] = {"appstream": f"\nendpoint_url = {self._refusing}"}
        path = Path(path).absolute()
        with path.open("w", encoding="utf-8") as file:
            content.write(file)
        path.chmod(0o600)
        nothing = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
        return {"AWS_CONFIG_FILE": str(path)} | nothing

    @property
    def calls(self) -> int:
        """Number of AppStream requests, errors included."""
        return self._service.requests.total()

    @property
    def requests(self) -> dict[str, int]:
        """Number of requests by operation, for AppStream errors included."""
        return dict(self._service.requests + self._accounts.requests)

    @property
    def asked(self) -> dict[str, int]:
        """Number of requests to other services by operation: AssumeRole, GetCallerIdentity, ListAccounts."""
        return dict(self._accounts.requests)

    def fail_next(self, times: int = 1, code: str = "ThrottlingException", status: int = 400) -> None:
        """Answer the next `times` AppStream requests with an AWS error; failures set earlier come first.

        `code` is AWS's, `status` the HTTP status, such as 500 for ``InternalFailure`` or 503 for ``ServiceUnavailable``.
        """
        self._service.failures += [ServiceError(code, f"{code}: a failure set in the sandbox", status)] * times

    def fault(
        self,
        account: str | None = None,
        region: str | None = None,
        kind: str | None = None,
        *,
        operation: str | None = None,
        times: int | None = None,
        after: int = 0,
    ) -> None:
        """Make the AppStream requests of a target fail until this is changed; a later fault replaces an earlier one.

        For a region without an endpoint, drain `nowhere`, or the profile ``sandbox-nowhere`` of `config`.

        Parameters
        ----------
        account, region : str, optional
            The target; without them every account, every region. The narrowest fault applies.
        kind : {"denied", "disabled", "not_offered", "throttled", "server_error", "cut", "slow", "reset"}, optional
            An error of the service; or half a body, a byte a second, half a body and a reset connection. None: no fault.
        operation : str, optional
            Only requests of this API operation, such as ``DescribeFleets``; it applies before a fault of all operations.
        times : int, optional
            How many requests fail; default: all.
        after : int
            How many requests succeed first.

        Raises
        ------
        RequestError
            There is no such kind, or the sandbox does not serve the operation.
        """
        if operation is not None:
            _check_listing(operation)
        if kind not in (*ERRORS, *ON_THE_WIRE, None):
            raise RequestError(f"kind={kind!r} is none of {', '.join((*ERRORS, *ON_THE_WIRE))} or None.")
        self._service.faults[account, region, operation] = Fault(kind, times if kind else 0, after)

    def latency(self, seconds: float, account: str | None = None, region: str | None = None) -> None:
        """Delay every reply by some seconds, those of STS and Organizations too; of one target, or of all."""
        self._service.latency[account, region, None] = seconds

    def page_size(self, rows: int | None) -> None:
        """Limit the rows of a page, whatever a request says; None: 25, or the request's MaxResults."""
        if rows is not None and (type(rows) is not int or rows < 1):
            raise RequestError(f"rows={rows!r} must be a whole number from 1 on, or None.")
        self._service.page_size = rows

    def set_rows(
        self,
        operation: str,
        rows: Sequence[Any],
        *,
        account: str | None = None,
        region: str | None = None,
        **parameters: str,
    ) -> None:
        """Serve these rows of an operation in place of the catalogue's.

        Parameters
        ----------
        operation : str
            The API operation, such as ``DescribeFleets``.
        rows : sequence
            Rows as the API sends them: dicts in its own names, times as seconds since 1970; strings for ``ListAssociatedFleets``.
        account, region : str, optional
            Only for this target; without them for every account, every region.
        **parameters
            The request that the rows belong to, for an operation that needs one, such as ``StackName="finance"``. Rows set for
            another request of the operation stay.

        Raises
        ------
        RequestError
            The sandbox does not serve the operation.
        """
        _check_listing(operation)
        scope = (account, region, operation)
        others = [row for row in self._service.rows.get(scope, ()) if row.of != parameters]
        self._service.rows[scope] = [*others, *(Row(row, parameters) for row in rows)]

    def rows(
        self, operation: str = "DescribeImages", account: str | None = None, region: str | None = None
    ) -> list[Any]:
        """Return every row of an operation in a target as the API sends it, without a request; they must not be changed.

        The default target is the first account in the first region.
        """
        _check_listing(operation)
        found = self._service.list_rows(operation, account or self.accounts[0], region or self.regions[0])
        return [finish(each.row, self._service.week) for each in found]

    def respond_with(self, function: Responder | None) -> None:
        """Let a function answer AppStream's requests first, in the server's threads; None removes it.

        It takes operation, account, region and the request's members, and returns the reply, or None to let the sandbox
        answer. It may wait; an exception closes the connection.
        """
        self._service.respond_with = function

    def revoke(self, account: str, revoked: bool = True) -> None:
        """Refuse an account's keys from now on, as AWS refuses deleted ones; with `revoked` False accept them again."""
        (self._accounts.revoked.add if revoked else self._accounts.revoked.discard)(account)

    def role(self, name: str, *, external_id: str | None = None, lands_in: str | None = None) -> None:
        """Give every account a role that all others may assume; ``AppStreamReader`` exists from the start.

        An ARN instead of a name gives it to one account only. Callers must pass its `external_id`, if it has one. With `lands_in`
        its keys belong to that account and not to the role's own, which AWS never does.
        """
        self._accounts.roles[name] = (external_id, lands_in)

    def expire_after(self, seconds: float | None) -> None:
        """Set the lifetime in seconds of the keys of roles that are assumed from now on; None: as requested."""
        self._accounts.life = seconds


def sandbox(
    *,
    at: str | dt.date | None = None,
    port: int = 0,
    accounts: int | None = None,
    regions: int | Iterable[str] | None = None,
) -> Sandbox:
    """Start a loopback AppStream with three invented accounts in four regions, or more; no AWS account is needed.

    It starts at once, in daemon threads, and listens on 127.0.0.1 only. Use it in a ``with`` statement, or call
    its ``close``.

    Parameters
    ----------
    at : str or datetime.date, optional
        Serve the state of the newest week that is not later than this; default: the newest of the thirteen weeks.
    port : int
        The port to listen on; 0 takes a free one.
    accounts : int, optional
        How many accounts; each beyond three is like one of the three, and has its own images in about half of the regions.
    regions : int or iterable of str, optional
        How many regions of AppStream, the usual four first; or their names, in any partition.

    Returns
    -------
    Sandbox
        Its `client`, `session`, `environment` and `config` connect to it, `fail_next`, `fault` and `latency` make it fail
        or wait, `rows` and `set_rows` show and change its rows, `close` ends it.

    Raises
    ------
    RequestError
        `at` is not a date, or is before the first week; `accounts`, `regions` or `port` is out of range.
    OSError
        The port is in use.

    Examples
    --------
    >>> with sandbox(at="2026-09-10") as box:
    ...     pages = box.client().get_paginator("describe_images").paginate(Type="SHARED")
    ...     box.at, {image["Visibility"] for page in pages for image in page["Images"]}
    ('2026-09-07', {'SHARED'})
    """
    week = find_week(at)
    if type(port) is not int or not 0 <= port <= 65_535:
        raise RequestError(f"port={port!r} must be a whole number from 0 to 65535; 0 takes a free one.")
    served = list(read_catalogue()["regions"])
    if isinstance(regions, int):
        known = list(dict.fromkeys([*served, *list_appstream_regions("aws"), *list_appstream_regions("aws-us-gov")]))
        if not 0 < regions <= len(known):
            raise RequestError(f"regions={regions!r} must be from 1 to {len(known)}, or a list of regions.")
        served = known[:regions]
    else:
        names = check_names("regions", [regions] if isinstance(regions, str) else regions)
        served = [check_region(name) for name in names or served]
    return Sandbox(week, Accounts(accounts), served, port)


def _check_listing(operation: str) -> None:
    if find_list_member(operation) is None:
        raise RequestError(
            f"operation={operation!r} is no operation of AppStream that lists rows, such as 'DescribeFleets'."
        )
