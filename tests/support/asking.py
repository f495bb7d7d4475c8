"""Ways to ask a sandbox: boto3's paginator, the code of a refusal, and plain bytes."""

from __future__ import annotations

import json

import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from support.sources_of import PROD

ONCE = Config(retries={"total_max_attempts": 1})


def drain(client, **request):
    pages = client.get_paginator("describe_images").paginate(**request)
    return [image for page in pages for image in page["Images"]]


def error_code(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"]


def post(box, body, *, target="PhotonAdminProxyService.DescribeImages", account=PROD, region="eu-west-1", **headers):
    scope = f"AWS4-HMAC-SHA256 Credential=ASIASANDBOX0{account}/20261123/{region}/appstream/aws4_request, Signature=0"
    sent = {"X-Amz-Target": target, "Authorization": scope, "Content-Type": "application/x-amz-json-1.1"} | headers
    with urllib3.PoolManager(retries=False) as pool:
        reply = pool.request("POST", box.url, body=body, headers=sent)
        return reply.status, dict(reply.headers), json.loads(reply.data)
