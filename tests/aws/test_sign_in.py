"""Signing in, as boto3 does it: whatever it finds credentials with gives the same account here, by each way to ask."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.tokens
import botocore.utils
import pytest
from botocore.config import Config
from support.identities import Identities, keys
from support.sign_ins import Way, ways

import appstream_frames as asf
from appstream_frames.aws import credentials

WAYS = sorted(ways(Path(), ""))


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """Return what each way to sign in leads to, asked four ways in one process."""
    folder = Path(__file__).parents[1]
    command = [sys.executable, "-m", "support.sign_ins"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_sign_in_gives_the_account_that_boto3_finds(way: str, found: dict[str, dict[str, str]]) -> None:
    """By `drain`, by `targets` and by the command."""
    account = found[way]["expected"]
    assert found[way] == dict.fromkeys(("expected", "boto3", "drain", "targets", "command"), account)


@pytest.mark.slow
def test_a_sign_on_that_never_was_is_bad_credentials_everywhere(found: dict[str, dict[str, str]]) -> None:
    """Each way says so, and what to do."""
    seen = found["single sign-on, never"]
    assert (seen["drain"], seen["targets"]) == ("bad_credentials", "bad_credentials")
    assert "configure a profile, or sign in" in seen["command"]


def _calls_of_providers() -> set[str]:
    """Return the operations that botocore's providers of credentials and tokens call, as methods of clients."""
    found = set()
    for module in (botocore.credentials, botocore.tokens):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                if name in ("client", "_client"):
                    found.add(node.func.attr)
    return found


def test_what_botocore_s_providers_call_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that a provider makes is a method of a client of our sessions."""
    session = credentials.open_session()
    services = set(session.get_available_services()) & {"sts", "sso", "sso-oidc", "signin"}
    clients = [session.create_client(name, "eu-west-1", config=Config(signature_version="s3v4")) for name in services]
    calls = _calls_of_providers()
    assert {"assume_role", "assume_role_with_web_identity", "get_role_credentials", "create_token"} <= calls
    assert {call for call in calls if not any(hasattr(client, call) for client in clients)} == set()


# the settings with which STS is asked


def _configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))


SERVICES = """
[profile local]
region = eu-west-1
aws_access_key_id = AKIA111100000001
aws_secret_access_key = secret-of-111100000001
services = local
[services local]
appstream =
  endpoint_url = {appstream}
sts =
  endpoint_url = {sts}
[profile process]
region = eu-west-1
credential_process = {process}
services = local
"""


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["local", "process"])
@pytest.mark.parametrize("handed_in", [True, False])
def test_sts_is_asked_where_the_profile_says(
    profile: str, handed_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The services section of the profile holds for the client that was made with it, whoever made it."""
    import boto3

    script = f"import json; print(json.dumps({ {'Version': 1, **keys('111100000001')}!r}))"
    (tmp_path / "process.py").write_text(script)
    with Identities() as appstream, Identities() as sts:
        process = f"{sys.executable} {tmp_path / 'process.py'}"
        _configure(monkeypatch, tmp_path, SERVICES.format(appstream=appstream.url, sts=sts.url, process=process))
        if handed_in:
            frames = asf.drain(boto3.Session(profile_name=profile).client("appstream"), progress=False)
        else:
            frames = asf.drain(profile=profile, progress=False)
    assert frames.coverage["account"].item() == "111100000001"
    assert (appstream.operations(), sts.operations()) == (["DescribeImages"], ["GetCallerIdentity"])


def _sts_request(monkeypatch: pytest.MonkeyPatch, **config: Any) -> Any:
    """Return the STS client that a client with this configuration leads to."""
    import boto3

    from appstream_frames.aws.clients import open_sts_of

    client = boto3.Session("AKIA111100000001", "secret").client("appstream", "us-west-2", config=Config(**config))
    return open_sts_of(client)


@pytest.mark.parametrize(
    ("setting", "variable", "host"),
    [
        ("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT", "sts-fips.us-west-2.amazonaws.com"),
        ("use_dualstack_endpoint", "AWS_USE_DUALSTACK_ENDPOINT", "sts.us-west-2.api.aws"),
    ],
)
@pytest.mark.parametrize("in_environment", [True, False])
def test_sts_has_the_variant_of_the_client(
    setting: str, variable: str, host: str, in_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FIPS and dual stack, whether they come with the client or with the environment in which it was made."""
    if in_environment:
        monkeypatch.setenv(variable, "true")
    client = _sts_request(monkeypatch, **({} if in_environment else {setting: True}))
    assert client.meta.endpoint_url == f"https://{host}"


def test_sts_has_the_variant_of_the_session_where_appstream_has_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is configured for AppStream takes FIPS from its client only."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_APPSTREAM", "https://vpce-1.example")
    assert _sts_request(monkeypatch).meta.endpoint_url == "https://sts-fips.us-west-2.amazonaws.com"


def test_a_client_of_amazon_is_not_asked_about_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint of the default profile, such as a local stack, is not that of a client of another profile."""
    process = f"echo '{json.dumps({'Version': 1, **keys('111100000001')})}'"
    text = f"[default]\nendpoint_url = http://127.0.0.1:4566\n[profile prod]\ncredential_process = {process}\n"
    _configure(monkeypatch, tmp_path, text)
    import boto3

    from appstream_frames.aws.clients import open_sts_of

    client = boto3.Session(profile_name="prod").client("appstream", "us-west-2")
    assert open_sts_of(client).meta.endpoint_url == "https://sts.us-west-2.amazonaws.com"


def test_sts_has_the_certificates_and_proxies_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting of a client handed in holds for its STS."""
    proxies, settings = {"https": "http://proxy.example:8080"}, {"proxy_use_forwarding_for_https": True}
    config = _sts_request(
        monkeypatch, client_cert="/certificate", proxies=proxies, proxies_config=settings, user_agent_appid="mine"
    ).meta.config
    assert (config.client_cert, config.proxies, config.proxies_config) == ("/certificate", proxies, settings)
    assert config.user_agent_appid == "mine"


@pytest.mark.parametrize("mode", ["adaptive", "no such mode"])
def test_sign_in_takes_its_retry_mode_from_no_session(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else botocore keeps the first one for all, and a wrong one fails every sign-in until the process ends."""
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    config = credentials.open_sts(credentials.open_session(), "aws").meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


# sign-in that takes part of the time


def test_a_role_session_has_the_name_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`role_session_name` reaches STS; without one it is this package's name."""
    role = "arn:aws:iam::111100000002:role/R"
    for name, variable in {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}.items():
        monkeypatch.setenv(name, keys("111100000001")[variable])
    with Identities() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        for chosen in ("night-run@42", None):
            where = asf.targets(roles=[role], regions=["eu-west-1"], role_session_name=chosen)
            assert asf.drain_targets(where, progress=False).coverage["account"].item() == "111100000002"
    names = [request["RoleSessionName"] for operation, request in server.asked if operation == "AssumeRole"]
    assert names == ["night-run@42", "appstream-frames"]


def test_the_command_names_role_sessions(tmp_path: Path) -> None:
    """`--role-session-name` is that parameter."""
    from support.command import run

    account = Way("111100000001").account
    with Identities() as server:
        environment = {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": keys(account)["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        role = "arn:aws:iam::111100000002:role/R"
        words = f"snapshot {tmp_path / 'root'} --role {role} --region eu-west-1 --role-session-name night"
        assert run(*words.split(), environment=environment).returncode == 0
    assert [request["RoleSessionName"] for name, request in server.asked if name == "AssumeRole"] == ["night"]
