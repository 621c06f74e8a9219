from __future__ import annotations

import json
import random
from typing import Any

import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Target
from providers.formats.bedrock_converse.dialect import FORMAT
from providers.formats.framing_eventstream import encode_frame
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    End,
    Failed,
    MediaSeen,
    PartOpen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Opaque, Reasoning, Text, ToolCall
from tests.providers.formats.bedrock_converse.talk import (
    CLAUDE,
    CODEC,
    FIXTURES,
    LLAMA,
    ask,
    chat,
    decoded,
    frames,
    read_frames,
    view,
)

HELLO = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
TOOLS = FIXTURES["tools_and_thought"]
PROOF = Opaque(family="anthropic", slot="signature", data="EqQBCkYIBxgCKkD+/==sig")


def test_t104_a_text_block_without_a_start_is_read() -> None:
    answer = gather(decoded(frames(FIXTURES["text"]["events"])))
    assert answer.choices[0].parts == (Text(text="Hello there"),)
    assert answer.choices[0].finish.reason == "end"
    assert answer.is_complete
    assert answer.usage == TokenUsage(input_tokens=11, output_tokens=3)


def test_t89_thought_calls_and_their_proof_come_through() -> None:
    answer = gather(decoded(frames(TOOLS["events"])))
    assert answer.choices[0].parts == (
        Reasoning(text="I should look.", opaque=(PROOF,)),
        Text(text="Let me see 😀 café."),
        ToolCall(name="weather", id="tooluse_1", arguments='{"city":"Oslo"}'),
        ToolCall(name="clock", id="tooluse_2", arguments="{}"),
    )
    assert answer.choices[0].finish.reason == "tool_calls"
    assert answer.service_tier == "default"
    assert answer.usage == TokenUsage(
        input_tokens=120,
        cache_read_tokens=4000,
        cache_write_tokens=300,
        cache_write_1h_tokens=700,
        output_tokens=45,
    )


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_stream_cut_at_every_byte_gives_the_same_events(name: str) -> None:
    data = b"".join(frames(FIXTURES[name]["events"]))
    whole = decoded([data])
    assert decoded([bytes((byte,)) for byte in data]) == whole
    assert decoded(frames(FIXTURES[name]["events"])) == whole
    for cut in range(1, len(data)):
        assert decoded([data[:cut], data[cut:]]) == whole


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_streamed_answer_equals_the_same_answer_whole(name: str) -> None:
    streamed = gather(decoded(frames(FIXTURES[name]["events"])))
    body = json.dumps(FIXTURES[name]["answer"], separators=(",", ":")).encode()
    events = Repair().feed(CODEC.decode_answer(body, Reply(model=CLAUDE)))
    assert gather(events) == streamed


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_what_is_written_for_a_client_reads_as_it_was(name: str) -> None:
    events = decoded(frames(FIXTURES[name]["events"]))
    asked = ask(HELLO, stream=True)
    encoder = CODEC.open_encoder(view(asked), FORMAT.open_stream(asked, request_id="r"))
    written = b"".join(encoder.encode([event]) for event in events)
    assert gather(decoded([written])) == gather(events)
    body = CODEC.encode_answer(gather(events), view(asked))
    again = Repair().feed(CODEC.decode_answer(body, Reply(model=CLAUDE)))
    assert gather(again) == gather(events)


def test_a_text_block_is_written_without_a_start() -> None:
    events = decoded(frames(TOOLS["events"]))
    encoder = CODEC.open_encoder(
        view(ask(HELLO)), FORMAT.open_stream(ask(HELLO), request_id="r")
    )
    names = [name for name, _ in read_frames(encoder.encode(events))]
    assert names == [name for name, _ in TOOLS["events"]]


def test_t104_usage_behind_the_stop_is_waited_for() -> None:
    pieces = frames(FIXTURES["text"]["events"])
    decoder = CODEC.open_decoder(Reply(model=CLAUDE))
    early = [event for piece in pieces[:-1] for event in decoder.feed(piece)]
    assert not any(isinstance(event, End) for event in early)
    assert isinstance(decoder.feed(pieces[-1])[-1], End)


def test_an_end_behind_the_stop_but_without_usage_is_an_end() -> None:
    answer = gather(decoded(frames(FIXTURES["text"]["events"])[:-1]))
    assert answer.is_complete
    assert answer.usage is None


@pytest.mark.parametrize("kept", range(5))
def test_a_stream_that_breaks_off_never_ends_clean(kept: int) -> None:
    pieces = frames(FIXTURES["text"]["events"])
    torn = b"".join(pieces[:kept]) + pieces[kept][:-3]
    if kept < 5:
        assert not gather(decoded([torn])).is_complete


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        ("throttlingException", 429, "rate_limit_exceeded"),
        ("modelTimeoutException", 504, "timeout"),
        ("modelStreamErrorException", 502, "server_error"),
        ("internalServerException", 500, "server_error"),
        ("serviceUnavailableException", 503, "server_is_overloaded"),
        ("validationException", 400, "invalid_request"),
    ],
)
def test_t104_an_exception_in_the_stream_is_an_error(
    exception: str, status: int, code: str
) -> None:
    pieces = frames(FIXTURES["text"]["events"])[:2]
    headers = {":exception-type": exception, ":message-type": "exception"}
    events = decoded([*pieces, encode_frame(headers, b'{"message":"Too hot"}')])
    last = events[-1]
    assert isinstance(last, Failed)
    assert (last.error.status, last.error.code) == (status, code)
    assert last.error.message == "Too hot"


def test_an_error_of_the_transport_is_an_error() -> None:
    headers = {
        ":message-type": "error",
        ":error-code": "InternalServerError",
        ":error-message": "Broken",
    }
    (failed,) = decoded([encode_frame(headers, b"")])
    assert isinstance(failed, Failed)
    assert (failed.error.message, failed.error.status) == ("Broken", 500)


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"contentBlockIndex":"x"}'])
def test_an_event_that_cannot_be_read_is_an_error(payload: bytes) -> None:
    headers = {":event-type": "contentBlockDelta", ":message-type": "event"}
    (failed,) = decoded([encode_frame(headers, payload)])
    assert isinstance(failed, Failed)


def test_t105_json_on_a_stream_is_read_as_what_it_is() -> None:
    bridge = registry.bridge("bedrock", "bedrock", CLAUDE)
    asked = ask(HELLO, stream=True)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    tap = bridge.open_tap(asked, made, FORMAT.open_stream(asked, request_id="r"))
    assert tap.feed(b'{"__type":"com.amazon#ThrottlingException",') == b""
    assert tap.feed(b'"message":"Too many requests"}') + tap.eof() == b""
    assert tap.error is not None
    assert (tap.error.status, tap.error.message) == (429, "Too many requests")
    assert not tap.complete


@pytest.mark.parametrize("client", ["openai", "bedrock"])
def test_a_whole_answer_to_a_stream_becomes_one(client: str) -> None:
    bridge = registry.bridge(client, "bedrock", CLAUDE)
    asked = chat(stream=True) if client == "openai" else ask(HELLO, stream=True)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    stream = registry.get(client).open_stream(asked, request_id="r")
    tap = bridge.open_tap(asked, made, stream)
    body = json.dumps(FIXTURES["text"]["answer"]).encode()
    out = b"".join(tap.feed(body[at : at + 7]) for at in range(0, len(body), 7))
    out += tap.eof()
    assert tap.complete
    assert tap.usage == TokenUsage(input_tokens=11, output_tokens=3)
    assert b"Hello there" in out


def test_a_stream_nobody_asked_for_becomes_a_whole_answer() -> None:
    bridge = registry.bridge("bedrock", "bedrock", CLAUDE)
    asked = ask(HELLO)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    meta = bridge.read_response(
        asked, made, b"".join(frames(FIXTURES["text"]["events"]))
    )
    assert meta.error is None
    told = json.loads(meta.body)
    assert told["output"]["message"]["content"] == [{"text": "Hello there"}]


@pytest.mark.parametrize("name", sorted(FIXTURES))
@pytest.mark.parametrize("seed", range(4))
def test_a_relayed_stream_keeps_its_bytes(name: str, seed: int) -> None:
    bridge = registry.bridge("bedrock", "bedrock", CLAUDE)
    asked = ask(HELLO, stream=True)
    assert bridge is not None
    made = bridge.build_request(asked, Target(model=CLAUDE))
    tap = bridge.open_tap(asked, made, FORMAT.open_stream(asked, request_id="r"))
    data = b"".join(frames(FIXTURES[name]["events"]))
    cuts = sorted(random.Random(seed).choices(range(len(data)), k=9))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert b"".join(map(tap.feed, pieces)) + tap.eof() == data
    assert tap.complete
    assert tap.done
    assert tap.usage == gather(decoded([data])).usage


def _seen(kind: type[AnyEvent], *events: list[Any]) -> list[Any]:
    start = ["messageStart", {"role": "assistant"}]
    read = decoded(frames([start, *events]), LLAMA)
    return [event for event in read if isinstance(event, kind)]


def test_a_source_keeps_all_it_said() -> None:
    source = {
        "title": "Oslo",
        "sourceContent": [{"text": "cold"}],
        "location": {"web": {"url": "https://no.example/", "domain": "no.example"}},
    }
    (seen,) = _seen(
        CitationSeen,
        ["contentBlockDelta", {"contentBlockIndex": 0, "delta": {"citation": source}}],
    )
    assert (seen.citation.url, seen.citation.title) == ("https://no.example/", "Oslo")
    assert seen.citation.cited_text == "cold"
    assert json.loads(bytes(seen.citation.ext["bedrock"])) == source


def test_a_picture_is_read() -> None:
    (seen,) = _seen(
        MediaSeen,
        [
            "contentBlockStart",
            {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}},
        ],
        [
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "AAAA"}}}},
        ],
    )
    assert (seen.data, seen.media_type) == ("AAAA", "image/png")


def test_what_a_server_ran_is_not_the_clients_call() -> None:
    use = {"toolUseId": "s", "name": "search", "type": "server_tool_use"}
    opened = _seen(
        PartOpen,
        ["contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}}],
        [
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}},
        ],
        ["contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Found"}}],
    )
    assert [event.kind for event in opened] == ["text"]


def test_a_keep_alive_is_an_event_every_client_skips() -> None:
    stream = FORMAT.open_stream(ask(HELLO), request_id="r")
    assert read_frames(stream.keepalive()) == [("ping", {})]
