"""Upstreams that hang, squeeze or ask for patience, in every dialect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from poolsite.destinations import parse_url
from providers.formats import registry
from tests.providers.proxy.pool import Answered, Pool
from tests.providers.proxy.voices import MODEL, UPSTREAMS, VOICES, speak
from tests.upstream.server import FaultUpstream
from usage.journal.records import RequestHead

CLIENTS = pytest.mark.parametrize("client", list(VOICES))
LAST_CHUNK = b"\r\n0\r\n\r\n"
FORMATS = pytest.mark.parametrize("format_id", list(UPSTREAMS))


class Recorder:
    """Pass one call on to an upstream and keep its answer, to be played later."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answer = b""
        self.is_playing = False

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Relay a call, or play the last answer and keep the connection open."""
        try:
            asked = await _message(reader)
            if self.is_playing:
                writer.write(self.answer)
                await reader.read()
                return
            far, pen = await asyncio.open_connection("127.0.0.1", self.port)
            pen.write(asked)
            self.answer = (await far.readuntil(LAST_CHUNK)).removesuffix(LAST_CHUNK)
            pen.close()
            writer.write(self.answer + LAST_CHUNK)
        except ConnectionError:
            return
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


@asynccontextmanager
async def recorder(upstream: FaultUpstream) -> AsyncIterator[tuple[Recorder, str]]:
    port = parse_url(upstream.base_url).port
    made = Recorder(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _timed(pool: Pool, client: str) -> tuple[Answered, float]:
    started = time.monotonic()
    answer = await VOICES[client].ask(pool, stream=True)
    return answer, time.monotonic() - started


@FORMATS
async def test_t125_the_client_is_let_go_when_the_answer_is_over(
    upstream: FaultUpstream, format_id: str
) -> None:
    async with recorder(upstream) as (tape, origin):
        for client in ("openai", "anthropic", "google"):
            async with Pool(f"{origin}/v1") as pool:
                base_url = origin + UPSTREAMS[format_id]
                pool.set_provider(1, format=format_id, base_url=base_url)
                tape.is_playing = False
                first, _ = await _timed(pool, client)
                assert first.status == 200, first.body
                if format_id == "google":
                    # Its streams have no end but the end of the body.
                    return
                tape.is_playing = True
                again, took_s = await _timed(pool, client)
                assert again.is_complete
                assert VOICES[client].is_clean(again.body)
                assert took_s < 3


async def test_t125_a_collected_stream_is_over_at_its_terminal_event(
    upstream: FaultUpstream,
) -> None:
    async with recorder(upstream) as (tape, origin):
        for client in VOICES:
            async with Pool(f"{origin}/v1") as pool:
                pool.set_provider(1, format="codex")
                tape.is_playing = False
                first = await VOICES[client].ask(pool)
                tape.is_playing = True
                started = time.monotonic()
                again = await VOICES[client].ask(pool)
                assert time.monotonic() - started < 2
                assert again.status == 200, again.body
                text = VOICES[client].whole_text(again.body)
                assert text == VOICES[client].whole_text(first.body)


@CLIENTS
@FORMATS
async def test_t121_silence_in_the_middle_becomes_an_error_in_the_stream(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    timeouts = type(pool.providers[1].timeouts)(idle_s=0.15)
    pool.set_provider(1, timeouts=timeouts)
    pool.set(keepalive_after_s=0.05, keepalive_every_s=0.05)
    upstream.control.orders[MODEL] = "stall-9"
    answer, took_s = await _timed(pool, client)
    assert took_s < 3
    assert answer.is_complete
    assert VOICES[client].text(answer.body)
    assert not VOICES[client].is_clean(answer.body)
    assert pool.attempts[0].error_class == "timeout"


@CLIENTS
@FORMATS
async def test_t23_a_squeezed_answer_arrives_plain(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    voice = VOICES[client]
    for spec in ("gzip", "404+gzip"):
        upstream.control.orders[MODEL] = spec
        for stream in (False, True):
            headers = {"x-api-key": pool.key, "accept-encoding": "gzip"}
            answer = await voice.ask(pool, stream=stream, headers=headers)
            assert answer.header("content-encoding") is None
            if spec != "gzip":
                assert voice.error_message(answer.body)
            elif stream:
                assert voice.is_clean(answer.body)
            else:
                assert voice.whole_text(answer.body)


@CLIENTS
@FORMATS
async def test_t115_an_upstreams_wish_for_patience_reaches_the_client(
    pool: Pool, upstream: FaultUpstream, client: str, format_id: str
) -> None:
    speak(pool, upstream, format_id)
    upstream.control.orders[MODEL] = "429-retry-after-17"
    answer = await VOICES[client].ask(pool)
    assert answer.status == 429
    assert answer.header("retry-after") == "17"
    (fact,) = pool.facts
    assert fact.payload["reason"] == "rate_limit"


async def test_t141_streams_side_by_side_do_not_mix(upstream: FaultUpstream) -> None:
    async with Pool() as pool:
        for number, format_id in enumerate(UPSTREAMS, 1):
            pool.add_provider(upstream.base_url, models=(f"m-{number}",))
            speak(pool, upstream, format_id, number)
        for name in [f"m-{number}" for number in range(1, len(UPSTREAMS) + 1)]:
            upstream.control.orders[name] = "len-30+gap-2"

        async def ask(number: int) -> tuple[str, str]:
            voice = VOICES[list(VOICES)[number % len(VOICES)]]
            model = f"m-{number % len(UPSTREAMS) + 1}"
            body = voice.body(f"Story number {number}", True)
            body = {**body, "model": model} if "model" in body else body
            path_model = model if voice.names_model_in_path else None
            answer = await pool.call(
                body,
                wire=registry.get(voice.format_id),
                path=voice.paths[1],
                path_model=path_model,
                is_stream=path_model is not None,
                query=voice.query.encode(),
            )
            assert answer.status == 200, answer.body
            assert voice.is_clean(answer.body)
            return model, voice.text(answer.body)

        together = await asyncio.gather(*(ask(number) for number in range(90)))
        alone = [await ask(number) for number in range(0, 90, 9)]
        assert list(together[::9]) == alone
        outputs = [attempt.usage.output_tokens for attempt in pool.attempts]
        assert set(outputs) == {30}
        assert len({head.request_id for head in _heads(pool)}) == 100


def _heads(pool: Pool) -> list[RequestHead]:
    return [settle.head for settle in pool.settles]
