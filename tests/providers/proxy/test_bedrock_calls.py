"""Calls through the whole pipeline to an upstream that speaks Bedrock."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from providers.formats.bedrock_converse.answer_out import event_frame, exception_frame
from providers.formats.errors import ErrorDetail
from tests.providers.proxy.pool import Pool, chat

MODEL = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku"
PATH = (
    "/v1/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2F"
    "eu.anthropic.claude-haiku/converse-stream"
)
KEYS = "AKIDEXAMPLE:planted-secret-access-key-0001:planted-session-token-0001"
TEXT = [
    event_frame("messageStart", {"role": "assistant"}),
    event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
    event_frame("contentBlockStop", {"contentBlockIndex": 0}),
    event_frame("messageStop", {"stopReason": "end_turn"}),
]
USAGE = event_frame(
    "metadata",
    {
        "usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9},
        "metrics": {"latencyMs": 1},
    },
)
HOT = exception_frame(ErrorDetail(message="Slow down", status=429))


class Bedrock:
    """An upstream on loopback that answers every call with the same bytes."""

    def __init__(self) -> None:
        self.status = 200
        self.pieces: list[bytes] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.hangs = False
        self._server: asyncio.Server | None = None
        self.base_url = ""

    async def __aenter__(self) -> Bedrock:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        fields = {
            name.lower(): value for name, _, value in (r.partition(": ") for r in rest)
        }
        body = await reader.readexactly(int(fields["content-length"]))
        self.seen.append((line, fields, body))
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n" % self.status)
        writer.write(b"content-type: application/vnd.amazon.eventstream\r\n\r\n")
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if self.hangs:
            await reader.read()
        writer.close()


@pytest.fixture
async def bedrock() -> AsyncIterator[Bedrock]:
    async with Bedrock() as running:
        yield running


@pytest.fixture
async def pool(bedrock: Bedrock) -> AsyncIterator[Pool]:
    """One provider that signs its calls."""
    async with Pool() as made:
        made.add_provider(
            bedrock.base_url,
            secrets=(KEYS,),
            models=(MODEL,),
            format="bedrock",
            auth_scheme="sigv4",
            options={"region": "eu-west-1"},
        )
        yield made


ASK: dict[str, Any] = chat(MODEL, stream=True, stream_options={"include_usage": True})


async def test_t25_a_call_is_signed_for_the_path_it_has(
    pool: Pool, bedrock: Bedrock
) -> None:
    bedrock.pieces = [*TEXT, USAGE]
    answer = await pool.call(ASK)
    assert answer.status == 200
    ((line, fields, body),) = bedrock.seen
    assert line == f"POST {PATH} HTTP/1.1"
    signed = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/bedrock/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        r"Signature=[0-9a-f]{64}",
        fields["authorization"],
    )
    assert signed
    assert fields["x-amz-security-token"] == "planted-session-token-0001"
    assert b"planted-secret" not in body + json.dumps(fields).encode()


async def test_t104_p97_usage_behind_the_stop_is_billed(
    pool: Pool, bedrock: Bedrock
) -> None:
    data = b"".join([*TEXT, USAGE])
    bedrock.pieces = [bytes((byte,)) for byte in data]
    answer = await pool.call(ASK)
    assert answer.events[-1] == "[DONE]"
    usage = answer.events[-2]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 2)
    (attempt,) = pool.attempts
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (7, 2)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"message":"Malformed input request"}'),
        (400, b'{"__type":"ValidationException","message":"Malformed input request"}'),
    ],
)
async def test_t105_p96_an_error_on_the_streaming_path_is_an_http_error(
    pool: Pool, bedrock: Bedrock, status: int, body: bytes
) -> None:
    bedrock.status, bedrock.pieces = status, [body]
    answer = await pool.call(ASK)
    assert answer.status == 400
    assert answer.error["message"] == "Malformed input request"


async def test_t117_an_exception_before_anything_useful_is_an_http_error(
    pool: Pool, bedrock: Bedrock
) -> None:
    bedrock.pieces = [TEXT[0], HOT]
    answer = await pool.call(ASK)
    assert answer.status == 429
    assert b"data:" not in answer.body


async def test_t118_an_exception_behind_text_is_an_error_of_the_stream(
    pool: Pool, bedrock: Bedrock
) -> None:
    bedrock.pieces = [*TEXT[:2], HOT]
    answer = await pool.call(ASK)
    assert answer.status == 200
    assert b'"content":"Hi"' in answer.body
    assert "error" in answer.events[-1]
    assert "[DONE]" not in answer.events


@pytest.mark.parametrize("damage", [TEXT[2][:-3], b"\0" * 40, b""])
async def test_a_stream_that_is_cut_or_garbled_never_ends_clean(
    pool: Pool, bedrock: Bedrock, damage: bytes
) -> None:
    bedrock.pieces = [*TEXT[:2], damage]
    answer = await pool.call(ASK)
    assert "[DONE]" not in answer.events
    assert "error" in answer.events[-1]


async def test_t121_a_stream_that_falls_silent_ends_in_an_error(
    pool: Pool, bedrock: Bedrock
) -> None:
    provider = pool.providers[1]
    pool.set_provider(1, timeouts=type(provider.timeouts)(idle_s=0.3, first_byte_s=5.0))
    bedrock.pieces, bedrock.hangs = TEXT[:2], True
    answer = await pool.call(ASK)
    assert "error" in answer.events[-1]
    assert "[DONE]" not in answer.events


async def test_t139_what_an_upstream_quotes_of_the_proof_does_not_come_back(
    pool: Pool, bedrock: Bedrock
) -> None:
    bedrock.status = 400
    bedrock.pieces = [b'{"message":"Bad planted-session-token-0001 here"}']
    answer = await pool.call(ASK)
    assert answer.status == 400
    assert b"planted-session" not in answer.body
    assert "planted-s" not in repr(pool.journal.records)
