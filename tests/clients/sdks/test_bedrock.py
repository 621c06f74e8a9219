"""boto3 talks to every upstream dialect through the pool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.clients.sdks.conftest import Town

pytestmark = pytest.mark.process

HELLO: Any = [{"role": "user", "content": [{"text": "Tell me about the harbour."}]}]


@pytest.fixture
def runtime(house: Town, root: str) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=root,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 1}),
    )

    def with_key(request: Any, **_: Any) -> None:
        request.headers.add_header("x-api-key", house.keys["client"])

    client.meta.events.register("before-sign.bedrock-runtime", with_key)
    yield client
    client.close()


def test_t150_boto3_converses_with_every_vendor(runtime: Any, upstream: str) -> None:
    asked = {"modelId": f"{upstream}/fault-len-30", "messages": HELLO}
    told = runtime.converse(**asked)
    assert told["output"]["message"]["content"][0]["text"]
    assert told["stopReason"] == "end_turn"
    events = list(runtime.converse_stream(**asked)["stream"])
    assert "messageStart" in events[0]
    assert events[-1]["metadata"]["usage"]["outputTokens"]


def test_t150_boto3_invokes_claudes_body_at_every_vendor(
    runtime: Any, upstream: str
) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    told = runtime.invoke_model(
        modelId=f"{upstream}/fault-len-30", body=json.dumps(body)
    )
    assert json.loads(told["body"].read())["content"][0]["text"]
