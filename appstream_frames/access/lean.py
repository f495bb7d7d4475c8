"""botocore sessions and clients that cost little, for those who need hundreds of them.

botocore reads its data files, registers its handlers and builds a method for every operation anew for each session and client.
Here the files are read once, the handlers are copied, and clients of the services below have only the operations that are
used. They are ordinary sessions and clients otherwise; those that a caller handed in are never touched.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.hooks import HierarchicalEmitter

_USED: Final = {"appstream": ("DescribeImages",), "sts": ("GetCallerIdentity", "AssumeRole")}


def session(profile: str | None = None) -> Any:
    """Return a new botocore session of a profile, or of the default credentials."""
    made = botocore.session.Session(profile=profile, event_hooks=copy.copy(_handlers()), include_builtin_handlers=False)
    made.register_component("data_loader", _loader())
    return made


@cache
def _handlers() -> Any:
    """Return botocore's own handlers, registered."""
    handlers = HierarchicalEmitter()
    botocore.session.Session(event_hooks=handlers)
    return handlers


@cache
def _loader() -> Any:
    return _Loader(_neutral().get_component("data_loader"))


def _neutral() -> Any:
    """Return a session that heeds no profile, so that none has to be there."""
    return botocore.session.Session(session_vars={"profile": (None, None, None, None)})


class _Loader:
    """botocore's loader of data files, which tells only of the operations that are used."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """Return a description of a service, as botocore's loader does."""
        found = self._loader.load_service_model(service_name, type_name, api_version)
        if type_name != "service-2" or service_name not in _USED:
            return found
        operations = {name: found["operations"][name] for name in _USED[service_name]}
        return {**found, "operations": operations}
