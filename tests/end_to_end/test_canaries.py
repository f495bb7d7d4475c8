"""Secrets reach no file, log, message, traceback or repr: canaries in credentials and in signed URLs, looked for everywhere.

What botocore itself logs at DEBUG is the user's choice, and left out.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from support.command import run
from support.faults import BAD, stall
from support.faultserver import (
    ACCOUNT,
    CANARIES,
    UNCLOSED,
    Connection,
    Fault,
    FaultServer,
    body,
    error,
    identity,
    image,
)

import appstream_frames as asf
from appstream_frames.aws.credentials import Target
from appstream_frames.tables import raw_json

pytestmark = [pytest.mark.slow, UNCLOSED]
SIGNED = ("canarysignature0", "canaryicontoken0", "ASIACANARYICON00")
SECRETS = (*CANARIES, *SIGNED)
QUERY = f"X-Amz-Signature={SIGNED[0]}&X-Amz-Security-Token={SIGNED[1]}&X-Amz-Credential={SIGNED[2]}%2Feu-west-1"
ICON = f"https://icons.invalid/a.png?{QUERY}"
LOUD = ("botocore", "boto3", "urllib3", "s3transfer")


def deep(inside: object) -> object:
    """Return a value nested deep."""
    return json.loads("[" * 100 + json.dumps(inside) + "]" * 100)


ICONS: list[object] = [
    {"Name": "plain", "IconURL": ICON},
    {"Name": "a list", "IconURL": [ICON, {"Large": ICON}]},
    {"Name": "beside the unknown", "IconURL": ICON, "NewThing": {"IconURL": ICON}},
    {"Name": "beside what does not fit", "IconURL": ICON, "Enabled": "maybe", "Metadata": {"IconURL": ICON}},
    {"Name": "a surrogate", "IconURL": f"{ICON}\ud800"},
    {"Name": "two queries", "IconURL": f"https://icons.invalid/a.png?a=b?{QUERY}"},
    {"Name": "deep", "NewThing": deep({"IconURL": ICON})},
]


def pages() -> dict[str | None, dict[str, object]]:
    """Return two pages of images whose applications have signed icons."""
    applied = [image(number, Applications=[icon]) for number, icon in enumerate(ICONS)]
    return {None: {"Images": applied, "NextToken": "more"}, "more": {"Images": [image(99, Applications=[ICONS[0]])]}}


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Return all that is logged at DEBUG, but for what botocore and its kind say."""
    said: list[str] = []

    class Taker(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(LOUD):
                said.append(logging.Formatter().format(record))

    root, taker, level = logging.getLogger(), Taker(), logging.getLogger().level
    root.addHandler(taker)
    root.setLevel(logging.DEBUG)
    yield said
    root.removeHandler(taker)
    root.setLevel(level)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Callable[[FaultServer], boto3.Session]:
    """Return a function that makes a session with canaries for credentials, whose clients speak to a server."""

    def make(server: FaultServer) -> boto3.Session:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return boto3.Session(*CANARIES, region_name="eu-west-1")

    return make


def text_of(frames: asf.Frames) -> str:
    """Return all that frames hold and show."""
    tables = [table.to_json(date_format="iso") + table.to_string(max_colwidth=None) for table in frames.tables.values()]
    targets = [repr(frames.targets), *map(str, frames.targets)]
    return "\n".join([repr(frames), frames._repr_html_(), *tables, *targets, str(frames.resume_token)])


def found(*texts: str | bytes) -> list[str]:
    """Return the canaries in any of the texts, as they are or escaped."""
    every = "\n".join(text.decode("latin-1") if isinstance(text, bytes) else text for text in texts)
    plain = every.replace("\\/", "/").replace("%2F", "/").replace("&amp;", "&")
    return [secret for secret in SECRETS if secret in every or secret in plain]


def files(root: Path) -> Iterator[str | bytes]:
    """Yield the name and content of every file below a folder, and what is in those of Parquet."""
    for path in root.rglob("*"):
        if path.is_file():
            yield str(path)
            yield path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                yield str(table.to_pylist()) + str(table.schema.metadata) + str(pq.read_metadata(path).metadata)


def test_the_canaries_can_be_found(tmp_path: Path) -> None:
    """The search finds what is there, in a Parquet file too."""
    with FaultServer(pages()) as server:
        frames = asf.drain(server.client(), account=ACCOUNT, progress=False)
    leaking = frames.applications.assign(description=QUERY + CANARIES[1])
    asf.write_snapshot(asf.Frames({**frames.tables, "applications": leaking}), tmp_path)
    assert found(*files(tmp_path)) == [CANARIES[1], *SIGNED]


@pytest.mark.parametrize("mark", ["?", "\\u003f", "\\u003F"])
def test_a_url_in_json_that_is_not_parsed_loses_its_query(mark: str) -> None:
    """However the question mark is written; what is beside it stays."""
    text = f'{{"IconURL" : "https:\\/\\/icons.invalid\\/\\u00e9.png{mark}{QUERY}", "Name": "a?b"}}'
    cleaned = raw_json.clean_text(text)
    assert json.loads(cleaned)["IconURL"] == "https://icons.invalid/é.png"
    assert cleaned.endswith('"Name": "a?b"}')


def test_a_drain_keeps_no_secret(
    session: Callable[[FaultServer], boto3.Session],
    logged: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Frames, what they show, their pickle, snapshots, charts, report, progress bars and logs."""
    with FaultServer(pages()) as server:
        made = session(server)
        where = asf.targets(session=made, regions=["eu-west-1"])
        one = asf.drain(made.client("appstream"), progress=True)
        many = asf.drain_targets(where, progress=True)
        asf.write_snapshot(one.relabel("2026-11-16"), tmp_path)
        asf.take_snapshot(tmp_path, where, progress=True)
        asf.take_snapshot(tmp_path, [made.client("appstream")], progress=False)
    assert len(many.images) == len(ICONS) + 1
    read = asf.read_snapshot(tmp_path)
    pickles = [pickle.dumps(value) for value in (one, many, read, where)]
    pictures = []
    for chart, frame in (
        ("agents", asf.agents(many.images)),
        ("coverage", many.coverage),
        ("agent_versions", many.images),
    ):
        figure = Figure()
        getattr(asf.charts, chart)(frame, figure.subplots())
        for kind in ("png", "svg"):
            file = BytesIO()
            figure.savefig(file, format=kind)
            pictures.append(file.getvalue())
    shown = [text_of(frames) for frames in (one, many, read)] + [str(asf.diff(one, many, "applications").to_dict())]
    printed = capfd.readouterr()
    texts = [asf.report(tmp_path), repr(where), *shown, *logged, printed.out, printed.err]
    assert found(*texts, *pickles, *pictures, *files(tmp_path)) == []


@pytest.mark.parametrize(
    "words",
    ["snapshot {root}", "snapshot {root} --json", "snapshot {root} --type PRIVATE --max-items 3 --json"],
)
@pytest.mark.parametrize("refused", [False, True])
def test_the_command_tells_no_secret(tmp_path: Path, words: str, refused: bool) -> None:
    """With credentials in its environment; on both outputs, in every file, and in what later commands say."""
    keys = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), CANARIES, strict=True))
    environment = {**keys, "AWS_DEFAULT_REGION": "eu-west-1"}

    def said_by(*line: str) -> list[str]:
        done = run(*line, environment=environment)
        assert (done.returncode == 1) == refused
        return [done.stdout, done.stderr]

    with FaultServer(pages(), fault=_repeats if refused else None) as server:
        environment["AWS_ENDPOINT_URL"] = server.url
        said = said_by(*words.format(root=tmp_path / "root").split())
    if words.endswith("{root}") and not refused:
        said += said_by("ls", str(tmp_path / "root")) + said_by("report", str(tmp_path / "root"), "-o", "-")
    assert found(*said, *files(tmp_path)) == []


def _repeats(connection: Connection, _: bytes) -> None:
    """Refuse access, and repeat the request's credentials in every way that AWS does."""
    key, _, token = CANARIES
    message = (
        f"User {key} is not authorized. x-amz-security-token:{token} X-Amz-Security-Token={token}&a=b "
        f"Credential={key}/20261123/eu-west-1, {ICON}"
    )
    connection.send(json.dumps({"__type": "AccessDenied", "message": message}).encode(), status="403 Forbidden")


def _sts_repeats(connection: Connection, _: bytes) -> None:
    """Refuse as STS does, which answers XML."""
    key, _, token = CANARIES
    words = f"User {key} x-amz-security-token:{token} is not authorized"
    answer = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{words}</Message></Error></ErrorResponse>"
    connection.send(answer.encode(), status="403 Forbidden", kind="text/xml")


REFUSALS: dict[str, dict[str, Fault]] = {
    "access denied": {"fault": _repeats},
    "sts refuses": {"sts": _sts_repeats},
    "another account": {"sts": body(identity("999988887777"), kind="text/xml")},
    "no account": {"sts": body(b"<a/>", kind="text/xml")},
    "throttled": {"fault": error("ThrottlingException")},
    "time is up": {"fault": stall},
    "sts times out": {"sts": stall},
    "a page that repeats": {"fault": body(f"X-Amz-Security-Token={CANARIES[2]} {ICON}".encode())},
    **{f"reply {kind}": {"fault": BAD[kind]} for kind in ("empty", "html", "closed", "500", "bad chunk")},
}
#: What is not asked for again, so that no time limit is needed.
FINAL = ("access denied", "sts refuses", "another account")


#: What can also happen after a page was read; the others come before, or are as at the first page.
MIDWAY = ("access denied", "throttled", "time is up", "reply html")


@pytest.mark.parametrize(
    ("kind", "midway"),
    [*((kind, False) for kind in (*REFUSALS, "nobody there")), *((kind, True) for kind in MIDWAY)],
)
def test_a_failure_shows_no_secret(
    kind: str,
    midway: bool,
    session: Callable[[FaultServer], boto3.Session],
    logged: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Messages, reprs, causes, coverage, warnings, logs, files; tracebacks too, even those that show variables."""
    with FaultServer() as gone:
        pass
    with FaultServer(pages(), at=int(midway), **REFUSALS.get(kind, {})) as server:
        made = session(gone if kind == "nobody there" else server)
        timeout = 30 if kind in FINAL else 0.4
        where = [Target(ACCOUNT, "eu-west-1", session=asf.targets(session=made)[0].session)]
        errors: list[BaseException] = []
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            for attempt in _attempts(made, where, tmp_path, timeout):
                try:
                    attempt()
                except asf.AppStreamFramesError as failed:
                    errors.append(failed)
            frames = asf.drain_targets(where, timeout=timeout, progress=True)
    assert len(errors) == (2 if kind == "another account" else 3)  # a client of any account may be drained
    assert len(frames.failed_targets) == 1
    texts = [str(note.message) for note in noted] + [text_of(frames), *logged, *capfd.readouterr()]
    for one in [*errors, *(each for group in errors for each in getattr(group, "exceptions", ()))]:
        texts += [str(one), repr(one), str(vars(one)), *traceback.format_exception(one)]
        for each in _with_causes(one):
            texts += traceback.TracebackException.from_exception(each, capture_locals=True).format()
    assert found(*texts, pickle.dumps(frames), *files(tmp_path)) == []


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that led to it, shown or not."""
    if error is not None:
        yield error
        yield from _with_causes(error.__cause__)
        yield from _with_causes(error.__context__)


def _attempts(made: boto3.Session, where: list[Any], root: Path, timeout: float) -> Iterator[Callable[[], object]]:
    """Yield what fails: a drain, one of many targets, a snapshot."""
    client = made.client("appstream")
    yield lambda: asf.drain(client, timeout=timeout, progress=False)
    yield lambda: asf.drain_targets(where, timeout=timeout, progress=False, raise_on_failure=True)
    yield lambda: asf.take_snapshot(root, where, timeout=timeout, progress=False)
