"""botocore sessions that make many clients cheaply.

They are botocore's own with its own handlers, so every credential provider works in them. But they share one loader of botocore's
data files, and AppStream's clients have only the operations that read, as a method is built for each operation of each client
(2.4 ms of CPU a client instead of 6.5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader
from botocore.session import Session

from appstream_frames.aws.locks import get_process_lock

APP_ID: Final = (
    "appstream-frames"  # CloudTrail shows it as a role's session, and in the User-Agent: app/appstream-frames
)
#: The configuration of STS and Organizations clients; `retries` decides when a call is repeated.
SIGN_IN: Final = Config(connect_timeout=10, read_timeout=20, max_pool_connections=50, retries={"total_max_attempts": 1})
_READS: Final = ("Describe", "List")
_SPARE_FILES: Final = 8  # where a process can open no more than that, a failure to sign in says nothing


def open_session(profile: str | None = None) -> Session:
    """Return a new botocore session of a profile, or of the default credentials.

    Raise ProfileNotFound when there is no such profile, or the environment names one that is not there; and OSError as
    `check_profile_files` does.
    """
    session = Session(profile=profile)
    with check_profile_files():
        session.get_scoped_config()
    session.register_component("data_loader", share_loader(session.get_config_variable("data_path")))
    session.set_config_variable("sts_regional_endpoints", "regional")
    if session.get_config_variable("user_agent_appid") is None:
        session.set_default_client_config(Config(user_agent_appid=APP_ID))
    return session


def create_client(session: Session, service: str, region: str, **options: Any) -> BaseClient:
    """Return a client of a session; one at a time, as sessions are not made for threads."""
    with get_process_lock("clients"):
        return session.create_client(service, region_name=region, **options)


@contextmanager
def check_profile_files() -> Iterator[None]:
    """Raise OSError in place of botocore's error when the files of profiles cannot be opened, or hardly any file.

    `configparser` passes over a file that it cannot open, and every profile in it is missing, or has no keys.
    """
    try:
        yield
    except BotoCoreError:
        session = open_without_profile()
        files = [Path(session.get_config_variable(name)).expanduser() for name in ("config_file", "credentials_file")]
        with ExitStack() as opened:
            for path in [path for path in files if path.is_file()] + [Path(os.devnull)] * _SPARE_FILES:
                opened.enter_context(path.open("rb"))
        raise


def open_without_profile() -> Session:
    """Return a session that reads no profile, so that the environment may name one that is not there."""
    return Session(session_vars={"profile": (None, None, None, None)})


@cache
def share_loader(data_path: str | None) -> Loader:
    """Return the loader of all sessions with this setting ``data_path``."""
    return _ReadOnlyAppStream(botocore.loaders.create_loader(data_path))


class _ReadOnlyAppStream:
    """A loader of botocore's data files that leaves out the AppStream operations that change something."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> dict[str, Any]:
        """Return a description of a service, as botocore's loader does."""
        model: dict[str, Any] = self._loader.load_service_model(service_name, type_name, api_version)
        if (service_name, type_name) != ("appstream", "service-2"):
            return model
        reads = {name: each for name, each in model["operations"].items() if name.startswith(_READS)}
        return {**model, "operations": reads}
