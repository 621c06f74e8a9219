"""What single crossings between dialects need of the rooms."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from providers.formats import registry
from tests.providers.proxy.pool import Answered, Pool
from tests.providers.proxy.voices import MODEL, VOICES, speak
from tests.upstream.server import FaultUpstream

PICTURE = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40


async def _say(pool: Pool, client: str, body: Any, **options: Any) -> Answered:
    voice = VOICES[client]
    return await pool.call(
        body,
        wire=registry.get(client),
        path=options.pop("path", voice.paths[0]),
        path_model=MODEL if voice.names_model_in_path else None,
        **options,
    )


@pytest.fixture
async def gallery() -> AsyncIterator[str]:
    """A server with one picture."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(PICTURE)}\r\n"
        writer.write(f"{head}content-type: image/png\r\n\r\n".encode() + PICTURE)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.png"


def _picture(url: str) -> dict[str, Any]:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return {"model": MODEL, "messages": [{"role": "user", "content": parts}]}


async def test_t36_a_picture_by_url_reaches_gemini_by_value(
    pool: Pool, upstream: FaultUpstream, gallery: str
) -> None:
    speak(pool, upstream, "google")
    pool.set(media_plain_http=True)
    answer = await _say(pool, "openai", _picture(gallery))
    assert answer.status == 200, answer.body
    body = upstream.control.seen[-1].body
    assert b64encode(PICTURE) in body
    assert gallery.encode() not in body
    assert b"image/png" in body


async def test_t36_a_picture_in_the_house_is_refused(
    pool: Pool, upstream: FaultUpstream
) -> None:
    speak(pool, upstream, "google")
    answer = await _say(pool, "openai", _picture("https://10.0.0.1/a.png"))
    assert answer.status == 400
    assert "https://10.0.0.1/a.png" in answer.error["message"]
    assert not upstream.control.seen


async def test_t37_a_vendor_that_fetches_by_itself_gets_the_address(
    pool: Pool, upstream: FaultUpstream
) -> None:
    speak(pool, upstream, "anthropic")
    url = "https://pictures.example/a.png"
    answer = await _say(pool, "openai", _picture(url))
    assert answer.status == 200, answer.body
    sent = json.loads(upstream.control.seen[-1].body)
    source = sent["messages"][0]["content"][1]["source"]
    assert source == {"type": "url", "url": url}


async def test_t18_a_whole_answer_of_an_upstream_that_only_streams(
    pool: Pool, upstream: FaultUpstream
) -> None:
    speak(pool, upstream, "responses")
    pool.set_provider(1, format="codex")
    body = {"model": MODEL, "input": "Hello", "store": True, "temperature": 0.5}
    answer = await _say(pool, "responses", {**body, "max_output_tokens": 100})
    assert answer.status == 200, answer.body
    assert answer.json["status"] == "completed"
    sent = json.loads(upstream.control.seen[-1].body)
    assert (sent["stream"], sent["store"]) == (True, False)
    assert not {"temperature", "max_output_tokens"} & set(sent)
    told = answer.header("x-pool-loss") or ""
    assert "temperature" in told
    assert "max_output_tokens" in told
    true = upstream.served[-1]
    usage = pool.attempts[0].usage
    assert (usage.prompt_tokens, usage.output_tokens) == (
        true.prompt_tokens,
        true.completion_tokens,
    )


async def test_t11_a_key_in_the_query_stays_here(
    pool: Pool, upstream: FaultUpstream
) -> None:
    speak(pool, upstream, "google")
    body = (
        b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generation_config":{}}'
    )
    answer = await _say(
        pool, "google", body, headers={}, query=f"key={pool.key}".encode()
    )
    assert answer.status == 200, answer.body
    seen = upstream.control.seen[-1]
    assert "key=" not in seen.target
    assert seen.header("x-goog-api-key").startswith("sk-test")
    assert seen.body == body


@pytest.mark.parametrize("format_id", ["openai", "responses", "google", "ollama"])
async def test_t137_betas_of_one_vendor_stay_from_the_others(
    pool: Pool, upstream: FaultUpstream, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    headers = {
        "x-api-key": pool.key,
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "never-heard-of-2026-01-01",
        "x-stainless-lang": "python",
        "x-app": "cli",
    }
    body = VOICES["anthropic"].body("Hello", False)
    answer = await _say(pool, "anthropic", body, headers=headers)
    assert answer.status == 200, answer.body
    names = {name.lower() for name, _ in upstream.control.seen[-1].headers}
    assert not {name for name in headers if name != "x-api-key"} & names


@pytest.mark.parametrize("is_able", [True, False])
async def test_t136_an_upstream_that_counts_is_asked(is_able: bool) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        status, told = (b"200 OK", b'{"input_tokens":4711}')
        if not is_able:
            status, told = (b"500 Oh", b"no")
        length = b"content-length: %d\r\n\r\n" % len(told)
        writer.write(b"HTTP/1.1 %b\r\n%b%b" % (status, length, told))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Pool(f"{origin}/v1") as pool:
        pool.set_provider(1, format="anthropic")
        body = VOICES["anthropic"].body("Hello", False)
        path = "/v1/messages/count_tokens"
        answer = await _say(pool, "anthropic", body, op="count_tokens", path=path)
        assert answer.status == 200
        assert heads[0].startswith(b"POST /v1/messages/count_tokens ")
        counted = answer.json["input_tokens"]
        assert counted == 4711 if is_able else 1 <= counted < 100
        assert not pool.journal.records
        # It counts against the caller's rates; without them there is the estimate.
        pool.set_key(rpm=1)
        for _ in range(3):
            answer = await _say(pool, "anthropic", body, op="count_tokens", path=path)
            assert answer.status == 200
        assert len(heads) == 2


async def test_an_operation_nobody_relays_says_so(
    pool: Pool, upstream: FaultUpstream
) -> None:
    speak(pool, upstream, "anthropic")
    body = {"model": MODEL, "input": "Hello"}
    answer = await _say(pool, "ollama", body, op="embeddings", path="/api/embed")
    assert answer.status == 400
    assert "kind of request" in answer.json["error"]


@pytest.mark.parametrize(
    ("client", "headers", "session", "agent"),
    [
        (
            "anthropic",
            {"user-agent": "claude-cli/2.1", "x-claude-code-session-id": "s-1"},
            "s-1",
            "claude-code",
        ),
        (
            "responses",
            {"user-agent": "codex_exec/0.169", "session-id": "s-2"},
            "s-2",
            "codex",
        ),
        ("google", {"user-agent": "GeminiCLI/0.61"}, "", "gemini-cli"),
        (
            "openai",
            {"user-agent": "opencode/1.18", "x-session-id": "s-3"},
            "s-3",
            "opencode",
        ),
        ("ollama", {"user-agent": "ollama-python/0.6"}, "", "ollama-python"),
        ("bedrock", {"x-pool-session": "bot:chat:7"}, "bot:chat:7", "bot"),
    ],
)
async def test_who_asks_is_recorded_whatever_the_dialect(
    pool: Pool,
    upstream: FaultUpstream,
    client: str,
    headers: dict[str, str],
    session: str,
    agent: str,
) -> None:
    speak(pool, upstream, "openai")
    headers = {"x-api-key": pool.key, **headers}
    answer = await VOICES[client].ask(pool, headers=headers)
    assert answer.status == 200, answer.body
    head = pool.request.head
    assert (head.session, head.agent) == (session, agent)


@pytest.mark.parametrize(
    ("format_id", "target"),
    [
        ("anthropic", "/v1/messages"),
        ("responses", "/v1/responses"),
        ("google", f"/v1beta/models/{MODEL}:generateContent"),
        ("ollama", "/api/chat"),
    ],
)
async def test_a_bare_host_gets_the_version_of_its_dialect(
    pool: Pool, upstream: FaultUpstream, format_id: str, target: str
) -> None:
    speak(pool, upstream, format_id)
    pool.set_provider(1, base_url=pool.providers[1].origin)
    answer = await VOICES["openai"].ask(pool)
    assert answer.status == 200, answer.body
    assert upstream.control.seen[-1].target == target


@pytest.mark.parametrize("format_id", ["google", "openai", "anthropic"])
@pytest.mark.parametrize("spec", ["len-20", "error-mid-9", "cut-rst-chunk-9"])
async def test_t12_t101_an_array_of_frames_is_json_whatever_happens(
    pool: Pool, upstream: FaultUpstream, format_id: str, spec: str
) -> None:
    speak(pool, upstream, format_id)
    pool.set(keepalive_after_s=0.05, keepalive_every_s=0.05)
    upstream.control.orders[MODEL] = f"{spec}+slow-first-150"
    voice = VOICES["google"]
    answer = await pool.call(
        voice.body("Hello", True),
        wire=registry.get("google"),
        path=voice.paths[1],
        path_model=MODEL,
        is_stream=True,
    )
    assert answer.status == 200
    assert (answer.header("content-type") or "").startswith("application/json")
    frames = answer.json
    assert isinstance(frames, list)
    is_broken = spec != "len-20"
    assert ("error" in frames[-1]) is is_broken
    finishes = [
        candidate.get("finishReason")
        for frame in frames
        for candidate in frame.get("candidates", ())
    ]
    assert any(finishes) is not is_broken
