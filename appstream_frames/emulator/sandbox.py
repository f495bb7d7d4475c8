"""A loopback AWS for anybody who has no AWS account at hand: AppStream's listing operations over real HTTP.

It answers what drains need (every listing operation of AppStream, GetCallerIdentity and AssumeRole of STS, ListAccounts of
Organizations) from the invented catalogue in ``data/``, on 127.0.0.1 only. It is not a test double of all of AppStream, and
it stores nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

import boto3
from botocore.config import Config

from appstream_frames.aws.regions import check_regions, list_appstream_regions
from appstream_frames.emulator.accounts import Accounts
from appstream_frames.emulator.catalogue import catalogue, week_at
from appstream_frames.emulator.clients import Loopback, configuration, key_of
from appstream_frames.emulator.controls import Controls
from appstream_frames.emulator.loopback import Server
from appstream_frames.emulator.service import AppStream
from appstream_frames.errors import RequestError


class Sandbox(Controls):
    """A running loopback AppStream; made by `sandbox`.

    Attributes
    ----------
    url : str
        Where it listens, say ``http://127.0.0.1:43521``.
    accounts, regions : list of str
        What it knows; the first of each is the default of `client`, `session` and `environment`, and the first account is
        its organization's management account.
    nowhere : str
        A region where nobody listens to AppStream, for clients of `session` and `client`.
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
    """

    nowhere: Final = "xx-nowhere-1"

    def __init__(
        self,
        at: str | dt.date | None = None,
        port: int = 0,
        accounts: int | None = None,
        regions: int | Iterable[str] | None = None,
    ) -> None:
        week = week_at(at)
        self.weeks: list[str] = list(catalogue()["weeks"])
        self.regions: list[str] = _regions(regions)
        self.at = self.weeks[week]
        self._accounts = Accounts(accounts)
        self.accounts: list[str] = self._accounts.known
        self._service = AppStream(week, self.regions)
        self._server = Server(self._service, self._accounts, _port(port))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._nobody = socket.socket()  # it never listens, and nobody else gets its port
        self._nobody.bind(("127.0.0.1", 0))
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
            One of `accounts`; any other one's credentials are refused, as AWS refuses a key it does not know.
        region : str, optional
            The session's region; one that is not in `regions` answers as one that is not opted in.
        config : botocore.config.Config, optional
            Settings of every client of the session, say its retries.
        nowhere : str, optional
            The region where nobody listens to AppStream, in place of the attribute `nowhere`.
        """
        core = Loopback(self.url, self._refusing(), nowhere or self.nowhere)
        core.set_default_client_config(Config(proxies={}).merge(config or Config()))
        core.set_credentials(*self._credentials(account))
        return boto3.Session(botocore_session=core, region_name=region or self.regions[0])

    def client(
        self, account: str | None = None, region: str | None = None, service: str = "appstream", **kwargs: Any
    ) -> Any:
        """Return a boto3 client of the sandbox.

        `account` and `region` are as of `session`; `service` is ``appstream``, ``sts`` or ``organizations``. The rest goes to
        `boto3.Session.client`, say ``config=``.
        """
        return self.session(account, region).client(service, **kwargs)

    def environment(self, account: str | None = None, region: str | None = None) -> dict[str, str]:
        """Return the environment variables that point another program, say the AWS CLI, at the sandbox."""
        region = region or self.regions[0]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        keys = dict(zip(names, self._credentials(account), strict=True))
        return {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": region, "AWS_REGION": region} | keys

    def config(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Write an AWS configuration file of this sandbox, anew, and return the environment variables that make it be used.

        Its profiles are ``sandbox-<account>``, those of every third account a role that is assumed with the first one's
        keys; ``sandbox-stranger``, whose keys are refused; and ``sandbox-nowhere``, of the first account, whose AppStream
        nobody listens at.
        """
        path = Path(path).absolute()
        path.write_text(configuration(self.url, self._refusing(), self.accounts, self.regions[0]), encoding="utf-8")
        path.chmod(0o600)
        nothing = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
        return {"AWS_CONFIG_FILE": str(path)} | nothing

    def _refusing(self) -> str:
        return f"http://127.0.0.1:{self._nobody.getsockname()[1]}"

    def _credentials(self, account: str | None) -> tuple[str, str]:
        return key_of(account or self.accounts[0])


def sandbox(
    *,
    at: str | dt.date | None = None,
    port: int = 0,
    accounts: int | None = None,
    regions: int | Iterable[str] | None = None,
) -> Sandbox:
    """Start a loopback AppStream with three invented accounts in four regions, or more; no AWS account is needed.

    It runs from the moment it is made, in daemon threads, and listens on 127.0.0.1 only. Use it in a ``with``
    statement, or call its ``close``.

    Parameters
    ----------
    at : str or datetime.date, optional
        Serve the state of the newest week that is not later; without it, the newest of the thirteen weeks.
    port : int
        The port to listen on; 0 takes a free one.
    accounts : int, optional
        How many accounts; each beyond three is like one of the three, and has images of its own in every other region.
    regions : int or iterable of str, optional
        How many regions of AppStream's, the usual four first; or which, of any partition.

    Returns
    -------
    Sandbox
        Its `client`, `session`, `environment` and `config` lead to it, `fail_next`, `fault` and `latency` make it fail or
        wait, `rows` and `set_rows` show and change what it serves, `close` ends it.

    Raises
    ------
    RequestError
        `at` is not a date, or is before the first week; there are not so many accounts or regions; `port` is no port.
    OSError
        The port is taken.

    Examples
    --------
    >>> with sandbox(at="2026-09-10") as box:
    ...     pages = box.client().get_paginator("describe_images").paginate(Type="SHARED")
    ...     box.at, {image["Visibility"] for page in pages for image in page["Images"]}
    ('2026-09-07', {'SHARED'})
    """
    return Sandbox(at, port, accounts, regions)


def _regions(chosen: int | Iterable[str] | None) -> list[str]:
    usual = list(catalogue()["regions"])
    if chosen is None:
        return usual
    if not isinstance(chosen, int):
        return check_regions([chosen] if isinstance(chosen, str) else chosen)
    known = list(dict.fromkeys([*usual, *list_appstream_regions("aws"), *list_appstream_regions("aws-us-gov")]))
    if not 0 < chosen <= len(known):
        raise RequestError(f"regions={chosen!r} must be from 1 to {len(known)}, or a list of regions.")
    return known[:chosen]


def _port(port: int) -> int:
    if type(port) is not int or not 0 <= port <= 65_535:
        raise RequestError(f"port={port!r} must be a whole number from 0 to 65535; 0 takes a free one.")
    return port
