"""Ways to sign in to AWS, and a program that tries each of them four ways: boto3, drain(), targets() and the command.

It runs in a process of its own, as botocore looks up the home folder, where single sign-on keeps its tokens, when it is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from support.identities import EXPIRES, Identities, keys

PROCESS = """import json, sys; print(json.dumps({{"Version": 1, **{given!r}}}))"""


@dataclass(frozen=True)
class Way:
    """Settings of the environment, a profile of `configuration` or None, and the account that they lead to."""

    account: str
    profile: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


def _environment(account: str, *, token: bool = False) -> dict[str, str]:
    given = keys(account)
    names = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}
    names |= {"AWS_SESSION_TOKEN": "SessionToken"} if token else {}
    return {name: given[key] for name, key in names.items()}


def _role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/Reader"


def ways(folder: Path, url: str) -> dict[str, Way]:
    """Return the ways by name; each leads to an account of its own."""
    token = str(folder / "web-identity-token")
    bare = {"AWS_PROFILE": "bare"}  # the keys of a default profile would come first
    container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container/111100000007"}
    return {
        "environment": Way("111100000001", None, _environment("111100000001")),
        "environment with a token": Way("111100000002", None, _environment("111100000002", token=True)),
        "environment beside a profile with MFA": Way(
            "111100000003", None, _environment("111100000003") | {"AWS_PROFILE": "mfa"}
        ),
        "web identity of the environment": Way(
            "111100000004", None, {"AWS_ROLE_ARN": _role("111100000004"), "AWS_WEB_IDENTITY_TOKEN_FILE": token}
        ),
        "web identity of a profile": Way("111100000005", "web-identity"),
        "role from a web identity": Way("111100000006", "role-from-web-identity"),
        "container with a token": Way(
            "111100000007", None, bare | container | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic abc"}
        ),
        "container with a token file": Way(
            "111100000007", None, bare | container | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token}
        ),
        "instance metadata": Way(
            "222200000022",
            None,
            bare | {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url},
        ),
        "single sign-on": Way("111100000008", "sso"),
        "single sign-on, expired and renewed": Way("111100000009", "sso-expired"),
        "single sign-on without a session": Way("111100000010", "sso-legacy"),
        "credential process": Way("111100000011", "process"),
        "credential process without expiration": Way("111100000012", "process-static"),
        "role": Way("111100000013", "role"),
        "role from a role": Way("111100000014", "role-from-role"),
        "role from the environment": Way("111100000015", "role-from-environment", _environment("111100000001")),
        "role from a container": Way("111100000016", "role-from-container", container),
        "role from single sign-on": Way("111100000017", "role-from-sso"),
        "role from a credential process": Way("111100000018", "role-from-process"),
        "keys of a profile": Way("111100000019", "keys"),
        "default profile": Way("111100000020"),
        "profile of the environment": Way("111100000013", None, {"AWS_PROFILE": "role"}),
        "credentials file": Way("111100000021", "shared"),
    }


def configuration(folder: Path) -> str:
    """Return the text of the configuration file, and write the files that it names."""
    (folder / "web-identity-token").write_text("eyJhbGciOiJub25lIn0.canary.web")
    script = {}
    for name, account in {"process": "111100000011", "process-static": "111100000012"}.items():
        given = keys(account)
        if name == "process-static":
            del given["Expiration"]
        (folder / f"{name}.py").write_text(PROCESS.format(given=given))
        script[name] = f"{sys.executable} {folder / name}.py"
    (folder / "credentials").write_text(_keys("shared", "111100000021"))
    token = folder / "web-identity-token"
    sso = "sso_role_name = Reader\nsso_region = eu-west-1\nsso_start_url = https://sso.example/start"
    return "\n".join(
        [
            _keys("default", "111100000020"),
            _keys("profile keys", "111100000019"),
            "[profile bare]\nregion = eu-west-1",
            f"[profile mfa]\nrole_arn = {_role('999999999999')}\nsource_profile = keys\nmfa_serial = arn:aws:iam::1:mfa/u",
            f"[profile web-identity]\nrole_arn = {_role('111100000005')}\nweb_identity_token_file = {token}",
            _assumes("role-from-web-identity", "111100000006", "source_profile = web-identity"),
            "[profile sso]\nsso_session = fresh\nsso_account_id = 111100000008\nsso_role_name = Reader",
            "[profile sso-expired]\nsso_session = expired\nsso_account_id = 111100000009\nsso_role_name = Reader",
            "[profile sso-never]\nsso_session = never\nsso_account_id = 111100000009\nsso_role_name = Reader",
            f"[profile sso-legacy]\nsso_account_id = 111100000010\n{sso}",
            *(
                f"[sso-session {name}]\nsso_region = eu-west-1\nsso_start_url = https://sso.example/{name}"
                for name in ("fresh", "expired", "never")
            ),
            f"[profile process]\ncredential_process = {script['process']}",
            f"[profile process-static]\ncredential_process = {script['process-static']}",
            _assumes("role", "111100000013", "source_profile = keys\nexternal_id = word\nrole_session_name = chosen"),
            _assumes("role-from-role", "111100000014", "source_profile = role"),
            _assumes("role-from-environment", "111100000015", "credential_source = Environment"),
            _assumes("role-from-container", "111100000016", "credential_source = EcsContainer"),
            _assumes("role-from-sso", "111100000017", "source_profile = sso"),
            _assumes("role-from-process", "111100000018", "source_profile = process"),
        ]
    )


def _keys(section: str, account: str) -> str:
    given = keys(account)
    lines = f"aws_access_key_id = {given['AccessKeyId']}\naws_secret_access_key = {given['SecretAccessKey']}"
    return f"[{section}]\n{lines}\n"


def _assumes(name: str, account: str, source: str) -> str:
    return f"[profile {name}]\nrole_arn = {_role(account)}\n{source}"


def sign_on(home: Path) -> None:
    """Write the tokens of single sign-on that ``aws sso login`` would have written."""
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    renewable = {"clientId": "c", "clientSecret": "s", "refreshToken": "r", "registrationExpiresAt": EXPIRES}
    tokens = {
        "fresh": {"accessToken": "sso-token", "expiresAt": EXPIRES},
        "expired": {"accessToken": "old", "expiresAt": "2026-01-01T00:00:00Z", **renewable},
        "https://sso.example/start": {"accessToken": "sso-token", "expiresAt": EXPIRES},
    }
    for name, token in tokens.items():
        (cache / f"{hashlib.sha1(name.encode()).hexdigest()}.json").write_text(json.dumps(token))  # noqa: S324


def main() -> None:
    """Print, as JSON, for each way the account that each of the four finds, or the error's kind."""
    with TemporaryDirectory() as folder, Identities() as server:
        home = Path(folder)
        os.environ["HOME"] = folder
        import botocore.session

        botocore.session.create_loader = cache(botocore.session.create_loader)  # sessions read the models once
        sign_on(home)
        (home / "config").write_text(configuration(home))
        base = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": server.url,
        }
        every = ways(home, server.url) | {"single sign-on, never": Way("bad_credentials", "sso-never")}
        json.dump(
            {name: _tried(way, base, home / f"root-{n}") for n, (name, way) in enumerate(every.items())}, sys.stdout
        )


def _tried(way: Way, base: dict[str, str], root: Path) -> dict[str, str]:
    os.environ.clear()
    os.environ.update(base | way.environment)
    found = {"expected": way.account}
    for name, ask in {"boto3": _boto3, "drain": _drain, "targets": _targets, "command": _command}.items():
        try:
            found[name] = ask(way, root)
        except Exception as error:  # noqa: BLE001  it is printed, and compared by the test
            found[name] = getattr(error, "status", f"{type(error).__name__}: {error}")
    return found


def _boto3(way: Way, _: Path) -> str:
    import boto3

    return str(boto3.Session(profile_name=way.profile).client("sts").get_caller_identity()["Account"])


def _drain(way: Way, _: Path) -> str:
    import appstream_frames as asf

    return str(asf.drain(profile=way.profile, progress=False).coverage["account"].item())


def _targets(way: Way, _: Path) -> str:
    import appstream_frames as asf

    profiles = None if way.profile is None else [way.profile]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coverage = asf.drain_targets(asf.targets(profiles=profiles), progress=False).coverage
    return str(coverage["account"].item() if coverage["status"].item() == "complete" else coverage["status"].item())


def _command(way: Way, root: Path) -> str:
    from appstream_frames.cli.main import main

    words = ["snapshot", str(root), "--json", *([] if way.profile is None else ["--profile", way.profile])]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        main(words, prog_name="appstream-frames")
    if not out.getvalue():
        return err.getvalue()
    return str(json.loads(out.getvalue())["coverage"][0]["account"])


if __name__ == "__main__":
    main()
