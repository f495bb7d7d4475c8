"""What AWS, a program or a URL repeats of somebody's credentials reaches nobody: 70 kinds, each looked for everywhere at once."""

from __future__ import annotations

import base64
import logging
import pickle
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from support.identities import Identities
from support.repeating import BASE64_SIGNATURE, FORMS, PASSWORD, SIGNATURE, SOMEBODY, Keys, Repeating

import appstream_frames as asf

pytestmark = pytest.mark.slow

#: Programs of credential_process that fail, and what they print.
PROCESSES = {
    "error": "sys.stderr.write('login failed for canary-process-output'); sys.exit(1)",
    "no JSON": "print('canary-process-output is the password')",
    "another version": 'print(\'{"Version": "canary-process-output"}\')',
    "no key": 'print(\'{"Version": 1, "canary-process-output": 1}\')',
    "odd expiration": 'print(\'{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", '
    '"SessionToken": "c", "Expiration": "canary-process-output"}\')',
    "no text": "sys.stdout.buffer.write(b'\\xffcanary-process-output')",
}
#: Endpoints with a user and a password.
URLS = {
    "endpoint with a password": f"http://user:{PASSWORD}@127.0.0.1:9",
    "endpoint with a quoted password": f"http://user:{quote(PASSWORD + '/@')}@127.0.0.1:9",
    "endpoint with a token": f"http://{PASSWORD}@127.0.0.1:9",
}
KINDS = [
    *(f"page: {name}" for name in FORMS),
    *(f"STS: {name}" for name in FORMS),
    *(f"process: {name}" for name in PROCESSES),
    *URLS,
]


@dataclass(frozen=True)
class Seen:
    """What one night leaves: its coverage, and all texts, by where they were found."""

    coverage: Any
    names: dict[str, int]
    texts: dict[str, str]
    secrets: list[str]


def _keys(number: int) -> Keys:
    return Keys(
        f"AKIACANARYKEY{number:07}",
        f"canary/Secret+{number:07}/of0Somebody0",
        f"canary//Session//Token{number:07}=={'x' * 20}",
    )


def _configuration(folder: Path, url: str, keys: dict[str, Keys]) -> str:
    sections = []
    for name, each in keys.items():
        sections.append(
            f'[profile "{name}"]'
            f"\nregion = eu-west-1\nendpoint_url = {url}\naws_access_key_id = {each.key}\n"
            f"aws_secret_access_key = {each.secret}\naws_session_token = {each.token}\n"
        )
    for number, (name, program) in enumerate(PROCESSES.items()):
        (folder / f"process-{number}.py").write_text(f"import sys\n{program}\n")
        run = f"{sys.executable} {folder}/process-{number}.py"
        sections.append(
            f'[profile "process: {name}"]\nregion = eu-west-1\nendpoint_url = {url}\ncredential_process = {run}\n'
        )
    one = _keys(999)
    for name, endpoint in URLS.items():
        sections.append(
            f'[profile "{name}"]'
            f"\nregion = eu-west-1\nendpoint_url = {endpoint}\naws_access_key_id = {one.key}\n"
            f"aws_secret_access_key = {one.secret}\n"
        )
    return "\n".join(sections)


def _texts(error: BaseException) -> Iterator[str]:
    """Yield all that an error and what led to it hold and show."""
    for each in [error, *getattr(error, "exceptions", ())]:
        yield "".join(traceback.TracebackException.from_exception(each, capture_locals=True).format())
        cause: BaseException | None = each
        while cause is not None:
            yield f"{cause} {cause!r} {vars(cause)} {cause.args}"
            yield pickle.dumps((cause.args, str(vars(cause)))).decode("latin-1")
            cause = cause.__cause__ or cause.__context__


def _failed(where: list[asf.Target]) -> asf.TargetsError:
    """Return the errors of a drain; in the variables of this function, which they show, is no secret."""
    with pytest.raises(asf.TargetsError) as caught:
        asf.drain_targets(where, timeout=10, progress=False, raise_on_failure=True)
    return caught.value


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Return what is seen of a night over every kind, and one target that is read."""
    folder, root = tmp_path_factory.mktemp("night"), tmp_path_factory.mktemp("root") / "archive"
    regions = {f"eu-west-{number}": name for number, name in enumerate(FORMS, 10)}
    profiles = {f"STS: {name}": _keys(number) for number, name in enumerate(FORMS)}
    page = _keys(100)
    by_key = {each.key: name.removeprefix("STS: ") for name, each in profiles.items()}
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    with (
        pytest.MonkeyPatch.context() as patch,
        Repeating(regions, by_key, {k.key: k for k in [*profiles.values(), page]}) as server,
    ):
        (folder / "config").write_text(_configuration(folder, server.url, {**profiles, "page": page}))
        patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
        logging.getLogger("appstream_frames").addHandler(handler)
        where = asf.targets(profiles=["page"], regions=["eu-west-1", *regions])
        where += asf.targets(profiles=[*profiles, *(f"process: {name}" for name in PROCESSES), *URLS])
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            asf.take_snapshot(root, where, timeout=10, progress=False)
            failed = _failed(where)
        frames = failed.frames
    texts = {
        "coverage": frames.coverage.to_json(date_format="iso"),
        "errors": "\n".join(_texts(failed)),
        "warnings": "\n".join(str(each.message) for each in noted),
        "log": "\n".join(logged),
        "pickle": pickle.dumps(frames).decode("latin-1"),
        "representation": f"{frames!r}{frames._repr_html_()}{frames.coverage.to_html()}",
        "report": asf.report(root),
        "files": "".join(path.read_bytes().decode("latin-1") for path in root.rglob("*") if path.is_file()),
        "Parquet": "".join(str(pq.read_table(path).to_pylist()) for path in root.rglob("*.parquet")),
    }
    order = [
        "page",
        *(f"page: {name}" for name in FORMS),
        *profiles,
        *(f"process: {name}" for name in PROCESSES),
        *URLS,
    ]
    known = [secret for each in (*profiles.values(), page, _keys(999)) for secret in each.secrets]
    known += [SIGNATURE, BASE64_SIGNATURE, PASSWORD, *SOMEBODY, "canary-process-output"]
    return Seen(frames.coverage, {name: number for number, name in enumerate(order)}, texts, known)


def _encodings(secret: str) -> set[str]:
    forms = {secret, quote(secret), quote(secret, safe=""), quote(quote(secret, safe=""), safe="")}
    forms |= {secret.replace("/", "\\/"), secret.encode().hex(), base64.b64encode(secret.encode()).decode()[:20]}
    return {form.lower() for form in forms} | (
        {secret[:16].lower(), secret[-16:].lower()} if len(secret) > 40 else set()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_reported_without_the_secret(kind: str, night: Seen) -> None:
    """Each kind is a failure of its target, in words, and none of its secrets is in them."""
    row = night.coverage.iloc[night.names[kind]]
    message = row["error_message"].lower()
    assert row["status"] != "complete"
    assert [secret for secret in night.secrets for form in _encodings(secret) if form in message] == []
    assert len(message) > 60


def test_what_is_read_is_read(night: Seen) -> None:
    """The target that refuses nothing is whole."""
    assert night.coverage["status"].iloc[0] == "complete"
    assert len(night.coverage) == len(KINDS) + 1


@pytest.mark.parametrize(
    "place", ["coverage", "errors", "warnings", "log", "pickle", "representation", "report", "files", "Parquet"]
)
def test_no_secret_is_anywhere(place: str, night: Seen) -> None:
    """Not in what is kept, shown, logged or pickled, nor in tracebacks with variables."""
    text = night.texts[place].lower()
    assert [secret for secret in night.secrets for form in _encodings(secret) if form in text] == []


def _failure(**parameters: Any) -> asf.DrainError:
    """Return the error of a drain; in the variables of this function, which it shows, is no secret."""
    with pytest.raises(asf.DrainError) as caught:
        asf.drain(progress=False, **{"timeout": 10, **parameters})
    return caught.value


@pytest.mark.parametrize("named", [True, False])
def test_the_password_of_a_proxy_is_not_shown(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the proxy comes with the client or with the environment."""
    proxy = f"http://user:{PASSWORD}@127.0.0.1:9"
    if not named:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    config = Config(proxies={"https": proxy}) if named else None
    client = boto3.Session("key", "secret").client("appstream", "eu-west-1", config=config)
    for account in (None, "012345678901"):
        texts = "".join(_texts(_failure(client=client, account=account, timeout=2)))
        assert "127.0.0.1:9" in texts or "TimeoutError" in texts  # on a busy machine the time is up first
        assert PASSWORD not in texts


@pytest.mark.parametrize(
    "reply",
    [
        (500, b"canary-server-output"),
        (200, b"canary-server-output"),
        (200, b'{"canary-server-output": 1}'),
        (200, b'{"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": "canary-server-output"}'),
    ],
)
def test_what_a_credential_server_gave_is_not_shown(reply: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of containers' credentials that fails may have said the credentials."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with Identities(reply) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/container/1")
        errors = [_failure()]
        with pytest.raises(asf.TargetsError) as caught:
            asf.drain_targets(asf.targets(), timeout=10, progress=False, raise_on_failure=True)
        errors += caught.value.exceptions
    for error in errors:
        assert error.status in ("bad_credentials", "failed")
        assert "canary-server-output" not in "".join(_texts(error))
