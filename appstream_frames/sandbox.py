"""A loopback AppStream: DescribeImages over real HTTP, for anybody who has no AWS account at hand.

It answers what a drain asks (DescribeImages of AppStream, GetCallerIdentity of STS) from the invented catalogue in
``data/``, on 127.0.0.1 only. It is not a test double of all of AppStream, and it stores nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import threading
import types
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from appstream_frames.catalogue import catalogue, week_at
from appstream_frames.loopback import KEY, Server, Service, ServiceError, loader


class Sandbox:
    """A running loopback AppStream; made by `sandbox`.

    Attributes
    ----------
    url : str
        Where it listens, say ``http://127.0.0.1:43521``.
    accounts, regions : list of str
        What it knows; the first of each is the default of `client`, `session` and `environment`.
    weeks : list of str
        The thirteen ISO dates at which it can be started.
    at : str
        The week whose state it serves.
    """

    def __init__(self, at: str | dt.date | None = None, port: int = 0) -> None:
        week = week_at(at)
        self.weeks: list[str] = list(catalogue()["weeks"])
        self.accounts: list[str] = list(catalogue()["accounts"])
        self.regions: list[str] = list(catalogue()["regions"])
        self.at = self.weeks[week]
        self._service = Service(week)
        self._server = Server(self._service, port)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.url} at {self.at}>"

    @property
    def calls(self) -> int:
        """Number of DescribeImages requests that were answered, errors included."""
        return self._service.calls

    def close(self) -> None:
        """Stop listening and end every connection; closing twice does no harm."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_all()

    def session(self, account: str | None = None, region: str | None = None) -> boto3.Session:
        """Return a boto3 session whose every client talks to the sandbox, whatever AWS settings the machine has.

        Parameters
        ----------
        account : str, optional
            One of `accounts`; any other one's credentials are refused, as AWS refuses a key it does not know.
        region : str, optional
            The session's region; one that is not in `regions` answers as one that is not opted in.

        Examples
        --------
        >>> with sandbox() as box:
        ...     box.session("111122223333").client("sts").get_caller_identity()["Account"]
        '111122223333'
        """
        core = _Loopback(self.url)
        core.set_credentials(*self._credentials(account))
        return boto3.Session(botocore_session=core, region_name=region or self.regions[0])

    def client(
        self, account: str | None = None, region: str | None = None, service: str = "appstream", **kwargs: Any
    ) -> Any:
        """Return a boto3 client of the sandbox.

        Parameters
        ----------
        account, region : str, optional
            As of `session`.
        service : str
            ``appstream`` or ``sts``.
        **kwargs
            Passed on to `boto3.Session.client`, say ``config=``.

        Examples
        --------
        >>> with sandbox() as box:
        ...     len(box.client().describe_images(MaxResults=5)["Images"])
        5
        """
        return self.session(account, region).client(service, **kwargs)

    def environment(self, account: str | None = None, region: str | None = None) -> dict[str, str]:
        """Return the environment variables that point another program, say the AWS CLI, at the sandbox.

        Examples
        --------
        >>> with sandbox() as box:
        ...     box.environment(region="us-west-2")["AWS_REGION"]
        'us-west-2'
        """
        region = region or self.regions[0]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        keys = dict(zip(names, self._credentials(account), strict=True))
        return {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": region, "AWS_REGION": region} | keys

    def fail_next(self, times: int = 1, code: str = "ThrottlingException", status: int = 400) -> None:
        """Answer the next `times` DescribeImages requests with an AWS error.

        Parameters
        ----------
        times : int
            How many requests; failures asked for earlier come first.
        code : str
            AWS's error code, say ``RequestLimitExceededException`` or ``AccessDeniedException``.
        status : int
            The HTTP status, say 500 for ``InternalFailure`` or 503 for ``ServiceUnavailable``.

        Examples
        --------
        >>> with sandbox() as box:
        ...     box.fail_next()
        ...     _ = box.client().describe_images()  # boto3 tries again
        ...     box.calls
        2
        """
        self._service.fail(times, ServiceError(code, f"{code}: the sandbox was told to fail", status))

    def _credentials(self, account: str | None) -> tuple[str, str]:
        return KEY + (account or self.accounts[0]), "sandbox"


def sandbox(*, at: str | dt.date | None = None, port: int = 0) -> Sandbox:
    """Start a loopback AppStream with three invented accounts in four regions; no AWS account is needed.

    It runs from the moment it is made, in daemon threads, and listens on 127.0.0.1 only. Use it in a ``with``
    statement, or call its ``close``.

    Parameters
    ----------
    at : str or datetime.date, optional
        Serve the state of the newest week that is not later; without it, the newest of the thirteen weeks.
    port : int
        The port to listen on; 0 takes a free one.

    Returns
    -------
    Sandbox
        Its `client`, `session` and `environment` lead to it, `fail_next` makes it fail, `close` ends it.

    Raises
    ------
    RequestError
        `at` is not a date, or is before the first week.
    OSError
        The port is taken.

    Examples
    --------
    >>> with sandbox(at="2026-09-10") as box:
    ...     pages = box.client().get_paginator("describe_images").paginate(Type="SHARED")
    ...     box.at, {image["Visibility"] for page in pages for image in page["Images"]}
    ('2026-09-07', {'SHARED'})
    """
    return Sandbox(at, port)


class _Loopback(botocore.session.Session):  # type: ignore[misc]  # botocore has no types
    """A botocore session that reads none of the machine's AWS settings and reaches one URL only."""

    def __init__(self, url: str) -> None:
        known = self.SESSION_VARIABLES.items()  # name: (in files, in the environment, default, conversion)
        super().__init__(session_vars={name: (None, None, default, kind) for name, (_, _, default, kind) in known})
        for name in ("config_file", "credentials_file"):
            self.set_config_variable(name, os.devnull)
        self.register_component("data_loader", loader())
        self.set_default_client_config(Config(proxies={}))
        self._url = url

    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_client(*args, **kwargs | {"endpoint_url": self._url})


class _Callable(types.ModuleType):
    """A module that can be called; see below."""

    def __call__(self, *, at: str | dt.date | None = None, port: int = 0) -> Sandbox:
        return sandbox(at=at, port=port)


# the import system puts this module where the package has its function `sandbox`; so it must do what that does
sys.modules[__name__].__class__ = _Callable
