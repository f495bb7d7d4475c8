"""botocore sessions and clients that cost little, for those who need hundreds of them.

botocore reads its data files, registers its handlers and builds a method for every operation anew for each session and client,
and the words of its User-Agent anew for each request. Here the files are read once, the handlers are copied without those of
other services, and clients of the services below have only the operations that are used. They call themselves by this package's
name, which CloudTrail shows. They are ordinary sessions and clients otherwise; those that a caller handed in are never touched.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, Final

import botocore
import botocore.session
from botocore import handlers
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter

from appstream_frames.aws import deadlines

_USED: Final = {"appstream": ("DescribeImages",), "sts": ("GetCallerIdentity", "AssumeRole")}
_HEEDED: Final = {"*", "organizations", *_USED}  # services whose events matter, as botocore's handlers name them
_AGENT: Final = Config(user_agent=f"appstream-frames Botocore/{botocore.__version__}")


def session(profile: str | None = None) -> Any:
    """Return a new botocore session of a profile, or of the default credentials."""
    made = botocore.session.Session(profile=profile, event_hooks=events(), include_builtin_handlers=False)
    made.register_component("data_loader", _loader())
    made.set_default_client_config(_AGENT)
    return made


def events() -> Any:
    """Return an emitter of events for a new session, with botocore's own handlers but those of other services."""
    return copy.copy(_handlers())


@cache
def _handlers() -> Any:
    emitter = HierarchicalEmitter()
    events = botocore.session.Session(event_hooks=emitter, include_builtin_handlers=False).get_component(
        "event_emitter"
    )
    places = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for event, handler, *place in handlers.BUILTIN_HANDLERS:
        kind, *rest = event.split(".")
        if kind != "docs" and (not rest or rest[0] in _HEEDED):
            (places[place[0]] if place else events.register)(event, handler)
    emitter.register("before-send", deadlines.go_on)
    return emitter


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
