"""How clients come to speak to the sandbox: a session that goes nowhere else, and a configuration file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from configparser import ConfigParser
from typing import Any

import botocore.session

from appstream_frames.emulator.accounts import KEY
from appstream_frames.emulator.service import make_loader


class Loopback(botocore.session.Session):  # type: ignore[misc]  # botocore has no types
    """A botocore session that reads none of the machine's AWS settings and reaches one URL only.

    AppStream of the region `nowhere` is at the URL `refusing`, where nobody listens.
    """

    def __init__(self, url: str, refusing: str, nowhere: str) -> None:
        known = self.SESSION_VARIABLES.items()  # name: (in files, in the environment, default, conversion)
        own = {name: (None, None, default, kind) for name, (_, _, default, kind) in known}
        super().__init__(session_vars=own)
        for name in ("config_file", "credentials_file"):
            self.set_config_variable(name, os.devnull)
        self.register_component("data_loader", make_loader())
        self._url, self._refusing, self._nowhere = url, refusing, ("appstream", nowhere)

    def create_client(self, service_name: str, region_name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return a client of the sandbox, whatever endpoint is named."""
        region = region_name or self.get_config_variable("region")
        url = self._refusing if (service_name, region) == self._nowhere else self._url
        return super().create_client(service_name, region_name, *args, **kwargs | {"endpoint_url": url})


def make_keys(account: str) -> dict[str, str]:
    """Return the access key id and the secret key with which an account signs, by their names in AWS's files."""
    return {"aws_access_key_id": KEY + account, "aws_secret_access_key": "sandbox"}


def make_configuration(url: str, refusing: str, accounts: Sequence[str], region: str) -> ConfigParser:
    """Return an AWS configuration file with the profiles that `Sandbox.config` tells of."""
    profiles = {account: make_keys(account) for account in [*accounts, "stranger"]}  # the last is no account
    for account in accounts[2::3]:
        role = f"arn:aws:iam::{account}:role/AppStreamReader"
        profiles[account] = {"role_arn": role, "source_profile": f"sandbox-{accounts[0]}"}
    profiles["nowhere"] = make_keys(accounts[0]) | {"services": "nowhere"}
    file = ConfigParser(interpolation=None)
    for name, own in profiles.items():
        file[f"profile sandbox-{name}"] = own | {"region": region, "endpoint_url": url}
    file["services nowhere"] = {"appstream": f"\nendpoint_url = {refusing}"}
    return file
