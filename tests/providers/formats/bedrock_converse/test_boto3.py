from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from providers.formats import registry
from providers.formats.base import Arrival, Target
from providers.formats.bedrock_converse.dialect import BedrockConverse
from providers.formats.errors import ErrorDetail
from providers.proxy.paths import RouteTable

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude"
HELLO = [{"role": "user", "content": [{"text": "Hi"}]}]
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object"}}}}
    ]
}
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"content": "Hé "}}]},
    {"choices": [{"index": 0, "delta": {"content": "you"}}]},
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "now", "arguments": '{"a":1}'},
                        }
                    ]
                },
                "finish_reason": "tool_calls",
            }
        ]
    },
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}},
]  # fmt: skip
ANSWER = {
    "id": "c",
    "choices": [
        {"index": 0, "message": {"content": "Hé you"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
}
WIRE = BedrockConverse()
TABLE = RouteTable([registry.get("bedrock"), registry.get("bedrock-invoke")])


class Handler(BaseHTTPRequestHandler):
    """Answer Converse calls by a scripted chat upstream."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        match = TABLE.find("POST", unquote(self.path))
        assert match is not None
        self.server.models.append(match.path_model)  # type: ignore[attr-defined]
        if match.path_model == "missing":
            detail = ErrorDetail(message="No such model.", code="model_not_found")
            status, told = WIRE.build_error(404, detail, request_id="r")
            self._send(status, told, dict(WIRE.error_headers(404, detail)))
            return
        arrival = Arrival(path_model=match.path_model, is_stream=match.is_stream)
        asked = match.wire.read_request(body, arrival)
        bridge = registry.bridge(match.wire.id, "openai", "gpt-4o")
        assert bridge is not None
        made = bridge.build_request(asked, Target(model="gpt-4o"))
        if not match.is_stream:
            meta = bridge.read_response(asked, made, json.dumps(ANSWER).encode())
            self._send(200, meta.body, {"content-type": "application/json"})
            return
        stream = match.wire.open_stream(asked, request_id="r")
        tap = bridge.open_tap(asked, made, stream)
        out = stream.keepalive() + b"".join(
            tap.feed(f"data: {json.dumps(chunk)}\n\n".encode()) for chunk in CHUNKS
        )
        if match.path_model == "broken":
            detail = ErrorDetail(message="Gone.", status=429)
            out += stream.error_frame(detail, request_id="r")
        else:
            out += stream.keepalive() + tap.feed(b"data: [DONE]\n\n") + tap.eof()
        self._send(200, out, {"content-type": match.wire.stream_content_type})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, len(body), 7):
            self.wfile.write(body[at : at + 7])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.models = []  # type: ignore[attr-defined]
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="module")
def runtime(server: ThreadingHTTPServer) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}/bedrock",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"max_attempts": 1}),
    )
    yield client
    client.close()


def test_t150_boto3_converses(runtime: Any) -> None:
    told = runtime.converse(modelId="fast", messages=HELLO)
    assert told["output"]["message"]["content"] == [{"text": "Hé you"}]
    assert told["stopReason"] == "end_turn"
    assert told["usage"] == {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}


@pytest.mark.parametrize("model", ["fast", ARN])
def test_t25_boto3_streams_also_from_an_arn(
    runtime: Any, server: Any, model: str
) -> None:
    answer = runtime.converse_stream(modelId=model, messages=HELLO, toolConfig=TOOLS)
    events = [event for event in answer["stream"] if event]
    names = [next(iter(event)) for event in events]
    assert names == [
        "messageStart",
        *["contentBlockDelta"] * 2,
        "contentBlockStop",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert events[1]["contentBlockDelta"]["delta"]["text"] == "Hé "
    start = events[4]["contentBlockStart"]["start"]["toolUse"]
    assert start == {"toolUseId": "call_1", "name": "now"}
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 13
    assert server.models[-1] == model


def test_t113_boto3_names_the_error(runtime: Any) -> None:
    with pytest.raises(ClientError) as caught:
        runtime.converse(modelId="missing", messages=HELLO)
    assert caught.value.response["Error"] == {
        "Message": "No such model.",
        "Code": "ResourceNotFoundException",
    }


def test_t118_boto3_raises_for_an_error_in_the_stream(runtime: Any) -> None:
    answer = runtime.converse_stream(modelId="broken", messages=HELLO, toolConfig=TOOLS)
    with pytest.raises(EventStreamError, match="throttlingException"):
        list(answer["stream"])


def test_t150_boto3_invokes_a_model(runtime: Any) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "now", "input_schema": {"type": "object"}}],
    }
    whole = runtime.invoke_model(modelId="fast", body=json.dumps(body))
    assert json.loads(whole["body"].read())["content"][0]["text"] == "Hé you"
    streamed = runtime.invoke_model_with_response_stream(
        modelId="fast", body=json.dumps(body)
    )
    told = [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    assert told[0]["type"] == "message_start"
    assert told[-1]["type"] == "message_stop"
    assert [event["type"] for event in told].count("message_start") == 1
