"""The sandbox's DescribeImages over real sockets: boto3's own clients, and bytes where boto3 would hide something."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from support.asking import ONCE, drain, error_code, post
from support.sources_of import DEV, PROD

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
    assert error_code(client.describe_images, Names=[name]) == "ResourceNotFoundException"


def test_arns_find_shared_images(client):
    """A shared image is found by its ARN."""
    arn = drain(client, Type="SHARED")[0]["Arn"]
    assert [image["Arn"] for image in drain(client, Arns=[arn])] == [arn]


def test_missing_arn_is_not_found(client):
    """An ARN that leads nowhere is an error."""
    arn = f"arn:aws:appstream:eu-west-1:{PROD}:image/nothing"
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.describe_images(Arns=[arn])
    assert caught.value.response["Message"] == f"Image {arn} not found"  # as AWS sends what the model names


def test_names_and_arns_together_are_refused(client):
    """The two filters exclude each other."""
    arn = f"arn:aws:appstream:eu-west-1:{PROD}:image/nothing"
    assert error_code(client.describe_images, Names=["a"], Arns=[arn]) == "InvalidParameterCombinationException"


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
    "target",
    ["", "PhotonAdminProxyService.CreateFleet", "PhotonAdminProxyService.X", "Other.DescribeImages", "DescribeImages"],
)
def test_other_operations_are_unknown(box, target):
    """What lists nothing, or is not AppStream's, is not served."""
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
