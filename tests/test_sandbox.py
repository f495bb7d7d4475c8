"""The sandbox over real sockets: boto3's own clients, and bytes where boto3 would hide something."""

from __future__ import annotations

import inspect
import json
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.session
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from appstream_frames import sandbox as module
from appstream_frames.errors import RequestError
from appstream_frames.sandbox import Sandbox, sandbox

PROD, DEV, LAB = "012345678901", "111122223333", "444455556666"
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def box():
    with sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def client(box):
    return box.client(config=ONCE)


def drain(client, **request):
    pages = client.get_paginator("describe_images").paginate(**request)
    return [image for page in pages for image in page["Images"]]


def code(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"]


def post(box, body, *, target="PhotonAdminProxyService.DescribeImages", account=PROD, region="eu-west-1", **headers):
    scope = f"AWS4-HMAC-SHA256 Credential=ASIASANDBOX0{account}/20261123/{region}/appstream/aws4_request, Signature=0"
    sent = {"X-Amz-Target": target, "Authorization": scope, "Content-Type": "application/x-amz-json-1.1"} | headers
    with urllib3.PoolManager(retries=False) as pool:
        reply = pool.request("POST", box.url, body=body, headers=sent)
        return reply.status, dict(reply.headers), json.loads(reply.data)


# the sandbox itself


def test_sandbox_runs_without_a_with_statement():
    """A sandbox answers from the moment it is made."""
    running = sandbox()
    try:
        assert len(running.client().describe_images()["Images"]) == 25
    finally:
        running.close()


def test_sandbox_closes_twice():
    """Closing again does no harm."""
    with sandbox() as running:
        running.close()


def test_closed_sandbox_answers_nobody():
    """After close a kept-alive client finds nobody there."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        client.describe_images()
    with pytest.raises(EndpointConnectionError):
        client.describe_images()


def test_closed_sandbox_leaves_no_thread():
    """All threads of a sandbox end with it."""
    before = threading.active_count()
    with sandbox() as running:
        running.client().describe_images()
    assert threading.active_count() <= before


def test_sandbox_listens_on_the_asked_port():
    """The port may be chosen."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sandbox(port=port) as running:
        assert running.url == f"http://127.0.0.1:{port}"


def test_sandbox_listens_on_loopback_only(box):
    """No other machine can reach a sandbox."""
    assert box.url.startswith("http://127.0.0.1:")
    assert box._server.server_address[0] == "127.0.0.1"


def test_module_can_be_called():
    """The package's name `sandbox` stays usable when the import system puts the module there."""
    with module() as running:
        assert isinstance(running, Sandbox)


def test_module_has_the_functions_signature():
    """Editors and notebooks show the same parameters for either."""
    assert inspect.signature(module) == inspect.signature(sandbox)


def test_sandbox_serves_the_week_asked_for():
    """An earlier date gives an earlier state."""
    with sandbox(at="2026-09-10") as earlier, sandbox() as newest:
        assert earlier.at == "2026-09-07"
        assert drain(earlier.client()) != drain(newest.client())


def test_sandbox_refuses_a_date_before_its_weeks():
    """A date with no state is an error, before anything runs."""
    with pytest.raises(RequestError, match="2026-08-31"):
        sandbox(at="2020-01-01")


# sessions


def test_session_ignores_the_machines_aws_settings(box, monkeypatch, tmp_path):
    """Neither the environment nor the files of the user lead a sandbox's session astray."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-north-1\nuse_fips_endpoint = true\nendpoint_url = http://127.0.0.1:9\n")
    elsewhere = {
        "AWS_PROFILE": "does-not-exist",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_APPSTREAM": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "nonsense",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    session = box.session(DEV, "us-east-1")
    assert session.client("sts").get_caller_identity()["Account"] == DEV
    assert len(session.client("appstream").describe_images()["Images"]) == 25


def test_session_leaves_the_environment_alone(box):
    """Making a session changes no variable."""
    before = dict(os.environ)
    box.session().client("appstream").describe_images()
    assert dict(os.environ) == before


def test_session_goes_nowhere_else(box):
    """Even a client that names another endpoint stays on the loopback."""
    client = box.session().client("appstream", endpoint_url="http://192.0.2.1")
    assert client.meta.endpoint_url == box.url


def test_environment_points_another_program_at_the_sandbox(box, tmp_path):
    """A program that knows nothing of the sandbox drains it through the environment alone."""
    program = "import boto3; print(len(boto3.client('appstream').describe_images(MaxResults=3)['Images']))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, env=clean | nowhere | box.environment(LAB), capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"


def test_client_takes_boto3s_own_options(box):
    """Options of boto3's client pass through."""
    assert box.client(config=Config(user_agent_extra="mine")).meta.config.user_agent_extra == "mine"


# who calls


@pytest.mark.parametrize("region", ["eu-west-1", "us-west-2"])
@pytest.mark.parametrize("account", [PROD, DEV, LAB])
def test_caller_sees_their_own_images(box, account, region):
    """PRIVATE images are of the caller's account and region, SHARED ones of somebody else's."""
    images = drain(box.client(account, region))
    assert {image["Arn"].split(":")[3] for image in images} == {region}
    assert all((image["Arn"].split(":")[4] == account) == (image["Visibility"] == "PRIVATE") for image in images)


def test_sts_knows_who_calls(box):
    """GetCallerIdentity tells the account as text, with its leading zero."""
    identity = box.client(service="sts").get_caller_identity()
    assert identity["Account"] == PROD
    assert identity["Arn"].startswith(f"arn:aws:sts::{PROD}:")
    assert identity["UserId"]


def test_unknown_account_is_refused(box):
    """An access key that nobody has is UnrecognizedClientException in AppStream."""
    assert code(box.client("999999999999", config=ONCE).describe_images) == "UnrecognizedClientException"


def test_unknown_account_is_refused_by_sts(box):
    """An access key that nobody has is InvalidClientTokenId in STS, with status 403."""
    with pytest.raises(ClientError) as caught:
        box.client("999999999999", service="sts", config=ONCE).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_region_not_opted_in_is_refused_by_appstream_alone(box):
    """Outside the four regions AppStream refuses the token while STS answers."""
    session = box.session(region="af-south-1")
    assert session.client("sts").get_caller_identity()["Account"] == PROD
    assert code(session.client("appstream", config=ONCE).describe_images) == "UnrecognizedClientException"


def test_other_sts_actions_are_errors(box):
    """STS answers GetCallerIdentity and no other action."""
    assert code(box.client(service="sts", config=ONCE).get_session_token) == "InvalidAction"


def test_unsigned_request_is_refused(box):
    """A request with no signature is told that its token is missing."""
    status, _, reply = post(box, b"{}", Authorization="")
    assert (status, reply["__type"]) == (400, "MissingAuthenticationTokenException")


# DescribeImages


def test_plain_drain_gets_every_image_once(client):
    """boto3's paginator gets each image of the catalogue once."""
    arns = [image["Arn"] for image in drain(client)]
    assert len(arns) == len(set(arns)) > 100


def test_pages_hold_25_images_unless_asked(client):
    """The default page and MaxResults=0 are 25 images."""
    pages = [client.describe_images(), client.describe_images(MaxResults=0)]
    assert [len(page["Images"]) for page in pages] == [25, 25]


@pytest.mark.parametrize("size", [1, 7, 25])
def test_page_size_makes_no_difference_to_the_whole(client, size):
    """A drain is the same in pages of any size."""
    assert drain(client, Type="SHARED", MaxResults=size) == drain(client, Type="SHARED")


def test_type_filters(client):
    """The three types part the images, and no type means all of them."""
    parts = [drain(client, Type=name) for name in ("PRIVATE", "SHARED", "PUBLIC")]
    assert all(parts)
    assert sum(map(len, parts)) == len(drain(client))


def test_names_find_images(client):
    """Names gives the named images."""
    assert [image["Name"] for image in drain(client, Names=["win2019-legacy-erp"])] == ["win2019-legacy-erp"]


def test_names_do_not_find_shared_images(client):
    """A shared image is not found by its name, as in AWS."""
    name = drain(client, Type="SHARED")[0]["Name"]
    assert code(client.describe_images, Names=[name]) == "ResourceNotFoundException"


def test_arns_find_shared_images(client):
    """A shared image is found by its ARN."""
    arn = drain(client, Type="SHARED")[0]["Arn"]
    assert [image["Arn"] for image in drain(client, Arns=[arn])] == [arn]


def test_missing_arn_is_not_found(client):
    """An ARN that leads nowhere is an error."""
    arn = f"arn:aws:appstream:eu-west-1:{PROD}:image/nothing"
    assert code(client.describe_images, Arns=[arn]) == "ResourceNotFoundException"


def test_names_and_arns_together_are_refused(client):
    """The two filters exclude each other."""
    arn = f"arn:aws:appstream:eu-west-1:{PROD}:image/nothing"
    assert code(client.describe_images, Names=["a"], Arns=[arn]) == "InvalidParameterCombinationException"


@pytest.mark.parametrize(
    "request_",
    [
        {"MaxResults": 26},
        {"MaxResults": -1},
        {"MaxResults": "9"},
        {"Type": "OURS"},
        {"Names": "a"},
        {"Names": [1]},
        {"Arns": ["not an arn"]},
        {"NextToken": ""},
        {"NextToken": "None"},
        {"NextToken": "é\ud800"},
        {"NextToken": 4},
    ],
)
def test_what_the_model_forbids_is_refused(box, request_):
    """A request outside the model's types, ranges, enums and patterns is a ValidationException."""
    status, headers, reply = post(box, json.dumps(request_))
    assert (status, reply["__type"]) == (400, "ValidationException")
    assert headers["x-amzn-ErrorType"] == "ValidationException"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"7"])
def test_body_that_is_no_object_is_refused(box, body):
    """A body that is not a JSON object cannot be read."""
    assert post(box, body)[2]["__type"] == "SerializationException"


def test_unknown_and_null_members_are_ignored(box):
    """AWS ignores members it does not know and those that are null; so does the sandbox."""
    assert post(box, json.dumps({"Nonsense": 1, "Type": None, "MaxResults": 2}))[0] == 200


@pytest.mark.parametrize(
    "target", ["", "PhotonAdminProxyService.DescribeFleets", "Other.DescribeImages", "DescribeImages"]
)
def test_other_operations_are_unknown(box, target):
    """Only DescribeImages is answered."""
    assert post(box, b"{}", target=target)[2]["__type"] == "UnknownOperationException"


def test_reply_is_aws_json(box):
    """A reply has AWS's content type, a request id, a length, and the API's own names."""
    status, headers, reply = post(box, b"{}")
    assert status == 200
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-RequestId"]
    assert int(headers["Content-Length"]) > 10_000
    assert set(reply) == {"Images", "NextToken"}


def test_reply_sends_nulls(box):
    """Nulls travel on the wire, though boto3 drops them."""
    images = post(box, b"{}")[2]["Images"]
    assert any(value is None for image in images for value in image.values())


def test_botocore_parses_every_image(client):
    """Timestamps, structures and lists come out of botocore's parser with their types."""
    for image in drain(client):
        assert image["CreatedTime"].tzinfo is not None
        assert isinstance(image["ImageBuilderSupported"], bool)
        assert all(isinstance(app["Enabled"], bool) for app in image.get("Applications", []))


def test_botocore_speaks_json_to_the_service(client):
    """The protocol that the installed botocore chooses is the one the sandbox speaks."""
    assert client.meta.service_model.resolved_protocol == "json"


# tokens


def test_token_allows_another_page_size(client):
    """MaxResults may change between pages."""
    first = client.describe_images(MaxResults=3)
    rest = client.describe_images(MaxResults=7, NextToken=first["NextToken"])["Images"]
    assert first["Images"] + rest == client.describe_images(MaxResults=10)["Images"]


@pytest.mark.parametrize("change", [{"Type": "PRIVATE"}, {"account": DEV}, {"region": "us-east-1"}])
def test_token_of_another_request_is_refused(box, client, change):
    """A token is worth nothing with another filter, account or region."""
    token = client.describe_images(MaxResults=3)["NextToken"]
    where = {name: change[name] for name in ("account", "region") if name in change}
    request = {name: value for name, value in change.items() if name not in where}
    with pytest.raises(ClientError, match="Invalid NextToken"):
        box.client(**where, config=ONCE).describe_images(NextToken=token, **request)


def test_token_that_was_changed_is_refused(client):
    """A token that was tampered with is not accepted."""
    token = client.describe_images(MaxResults=3)["NextToken"]
    with pytest.raises(ClientError, match="Invalid NextToken"):
        client.describe_images(NextToken=token[:5] + ("A" if token[5] != "A" else "B") + token[6:])


def test_token_is_opaque(client):
    """A token tells nothing but that there is more."""
    first, second = (client.describe_images(MaxResults=size)["NextToken"] for size in (1, 2))
    assert first != second
    assert not first.isdigit()


# failures on request


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("ThrottlingException", 400),
        ("RequestLimitExceededException", 400),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
    ],
)
def test_fail_next_answers_with_that_error(error, status):
    """The asked error comes once, then images again."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next(code=error, status=status)
        with pytest.raises(ClientError) as caught:
            client.describe_images()
        assert caught.value.response["Error"]["Code"] == error
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert client.describe_images()["Images"]


def test_fail_next_keeps_its_order():
    """Failures come in the order in which they were asked for."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next(code="ThrottlingException")
        running.fail_next(2, code="AccessDeniedException")
        seen = [code(client.describe_images) for _ in range(3)]
    assert seen == ["ThrottlingException", "AccessDeniedException", "AccessDeniedException"]


def test_calls_counts_describe_images():
    """Each DescribeImages request counts, failed ones too; STS does not."""
    with sandbox() as running:
        client = running.client(config=ONCE)
        running.fail_next()
        code(client.describe_images)
        client.describe_images()
        running.client(service="sts").get_caller_identity()
        assert running.calls == 2


# the server


def test_connections_are_kept_alive(box):
    """Two requests travel on one connection."""
    with urllib3.HTTPConnectionPool("127.0.0.1", int(box.url.rsplit(":", 1)[1]), maxsize=1, retries=False) as pool:
        for _ in range(2):
            assert pool.request("POST", "/", body=b"{}").status == 400
        assert (pool.num_connections, pool.num_requests) == (1, 2)


def test_many_clients_at_once(box):
    """Sixty-four requests at a time are all answered in full."""
    clients = [box.client(account, region) for account in box.accounts for region in box.regions]
    with ThreadPoolExecutor(64) as pool:
        counts = list(pool.map(lambda number: len(drain(clients[number % 12], Type="PUBLIC")), range(64)))
    assert min(counts) >= 27


def test_answers_are_not_delayed(box):
    """A small page takes no 40 ms, which is what a delayed acknowledgement costs."""
    client = box.client(region="us-west-2")
    client.describe_images(MaxResults=1)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        client.describe_images(MaxResults=1)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


def test_client_that_goes_away_prints_nothing(capfd):
    """A client that hangs up in the middle leaves no traceback."""
    with sandbox() as running:
        port = int(running.url.rsplit(":", 1)[1])
        for sent in (b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf", b"POST / HT", b""):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(sent)
        running.client().describe_images()
    assert capfd.readouterr() == ("", "")


def test_a_plain_botocore_client_works(box):
    """No boto3 session of ours is needed: any client with the endpoint and the key will do."""
    names = box.environment()
    session = botocore.session.Session()
    client = session.create_client(
        "appstream",
        region_name=names["AWS_REGION"],
        endpoint_url=names["AWS_ENDPOINT_URL"],
        aws_access_key_id=names["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=names["AWS_SECRET_ACCESS_KEY"],
    )
    assert len(client.describe_images()["Images"]) == 25


def test_session_is_boto3s(box):
    """What `session` returns is a boto3 session with the asked region."""
    session = box.session(region="us-west-2")
    assert isinstance(session, boto3.Session)
    assert session.region_name == "us-west-2"


def test_no_resource_is_left_open():
    """A sandbox and its clients leave no socket for the garbage collector to complain about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with sandbox() as running:
            running.client().describe_images()
