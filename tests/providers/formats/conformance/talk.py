"""What every registered dialect is asked and answers with, the same in all of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Arrival, ChatRequest
from providers.formats.framing_eventstream import encode_frame
from providers.formats.neutral.codec import Codec, Reply, View
from providers.formats.neutral.events import Answer, AnyEvent
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Reasoning, Refusal, Text, ToolCall
from providers.formats.neutral.validate import Validator

ROOT = Path(__file__).parents[1] / "fixtures"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
}
TOOLS = ("get_weather", "get_time")
INBOUND = (
    "openai",
    "responses",
    "anthropic",
    "google",
    "cloudcode",
    "ollama",
    "bedrock",
    "bedrock-invoke",
)
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
UPSTREAMS = {
    "openai": ("openai", "up"),
    "responses": ("responses", "up"),
    "anthropic": ("anthropic", "claude-sonnet-4-5"),
    "google": ("google", "gemini-2.5-flash"),
    "cloudcode": ("cloudcode", "gemini-2.5-pro"),
    "ollama": ("ollama", "llama3.2"),
    "bedrock": ("bedrock", CLAUDE),
    "bedrock-invoke": ("bedrock-invoke", CLAUDE),
    "azure": ("azure", "gpt-4o"),
    "codex": ("codex", "gpt-5.5"),
    "copilot-chat": ("copilot", "gpt-4o"),
    "copilot-claude": ("copilot", "claude-sonnet-4-5"),
    "copilot-responses": ("copilot", "gpt-5.5"),
    "vertex-gemini": ("vertex", "gemini-2.5-flash"),
    "vertex-claude": ("vertex", "claude-sonnet-4-5"),
}
"""Every way to be an upstream: a name, the format and a model of it."""

PROGRAMS = ("claude-cli", "codex-cli")
"""Programs are no addresses: they answer whole, and no client speaks as they do."""

WORDED_BY = {
    "azure": "openai",
    "codex": "responses",
    "copilot-chat": "openai",
    "copilot-claude": "openai",
    "copilot-responses": "responses",
    "vertex-gemini": "google",
    "vertex-claude": "anthropic",
}
"""Whose words an envelope around another dialect uses on the wire."""

NEEDED = (
    "text",
    "parallel_tools",
    "thinking",
    "refusal",
    "max_tokens",
    "cache",
    "error",
)
"""The fixtures every dialect has."""

OPTIONS = {"project": "p", "location": "us-central1", "region": "us-east-1"}


def codec_of(upstream: str) -> Codec:
    """Return an upstream's translator."""
    format_id, model = UPSTREAMS.get(upstream, (upstream, "m"))
    codec = registry.get(format_id).codec(model)
    assert codec is not None
    return codec


def wire_of(upstream: str) -> str:
    """Return the dialect an upstream's bytes are worded in."""
    return WORDED_BY.get(upstream, upstream)


def ask(dialect: str, *, stream: bool = False, most: int = 0) -> ChatRequest:
    """Ask the same question in a dialect, with two tools on offer."""
    body, arrival = _ASKED[dialect](stream, most)
    return registry.get(dialect).read_request(json.dumps(body).encode(), arrival)


def _chat(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    body: dict[str, Any] = {
        "model": "up",
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [
            {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
            for name in TOOLS
        ],
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body | ({"max_tokens": most} if most else {}), Arrival()


def _responses(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    body: dict[str, Any] = {
        "model": "up",
        "input": "Weather?",
        "stream": stream,
        "tools": [
            {"type": "function", "name": name, "parameters": SCHEMA} for name in TOOLS
        ],
    }
    return body | ({"max_output_tokens": most} if most else {}), Arrival()


def _messages(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    body = {
        "model": "up",
        "max_tokens": most or 4000,
        "stream": stream,
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"name": name, "input_schema": SCHEMA} for name in TOOLS],
    }
    return body, Arrival()


def _gemini(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    functions = [{"name": name, "parameters": SCHEMA} for name in TOOLS]
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "Weather?"}]}],
        "tools": [{"functionDeclarations": functions}],
    }
    if most:
        body["generationConfig"] = {"maxOutputTokens": most}
    verb = "streamGenerateContent" if stream else "generateContent"
    arrival = Arrival(
        path=f"/v1beta/models/up:{verb}",
        path_model="up",
        is_stream=stream,
        query=b"alt=sse" if stream else b"",
    )
    return body, arrival


def _assist(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    inner, _ = _gemini(stream, most)
    verb = "streamGenerateContent" if stream else "generateContent"
    arrival = Arrival(
        path=f"/v1internal:{verb}",
        is_stream=stream,
        query=b"alt=sse" if stream else b"",
    )
    return {"model": "up", "project": "p", "request": inner}, arrival


def _ollama(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    body, _ = _chat(False, 0)
    body["stream"] = stream
    arrival = Arrival(path="/api/chat")
    return body | ({"options": {"num_predict": most}} if most else {}), arrival


def _converse(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    tools = [
        {"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in TOOLS
    ]
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"text": "Weather?"}]}],
        "toolConfig": {"tools": tools},
    }
    if most:
        body["inferenceConfig"] = {"maxTokens": most}
    return body, Arrival(path_model="up", is_stream=stream)


def _invoke(stream: bool, most: int) -> tuple[dict[str, Any], Arrival]:
    body, _ = _messages(stream, most)
    del body["model"], body["stream"]
    body["anthropic_version"] = "bedrock-2023-05-31"
    return body, Arrival(path_model="up", is_stream=stream)


_ASKED = {
    "openai": _chat,
    "responses": _responses,
    "anthropic": _messages,
    "google": _gemini,
    "cloudcode": _assist,
    "ollama": _ollama,
    "bedrock": _converse,
    "bedrock-invoke": _invoke,
}


def frames(case: dict[str, Any]) -> list[bytes]:
    """Return the frames of a fixture as they stand on the wire."""
    if "events" in case:
        return [_record(name, payload) for name, payload in case["events"]]
    if "frames" in case:
        return [frame.encode() for frame in case["frames"]]
    return [case["stream"].encode()]


def _record(name: str, payload: dict[str, Any]) -> bytes:
    """Frame an event as Bedrock does; a chunk holds its event as base64."""
    kind = "exception" if name.endswith("Exception") else "event"
    headers = {
        f":{kind}-type": name,
        ":content-type": "application/json",
        ":message-type": kind,
    }
    data = json.dumps(payload).encode()
    if name == "chunk":
        data = json.dumps({"bytes": base64.b64encode(data).decode()}).encode()
    return encode_frame(headers, data)


def load(dialect: str) -> dict[str, Any]:
    """Return the fixtures every dialect has, by name."""
    path = ROOT / "conformance" / f"{dialect}.json"
    cases: dict[str, Any] = json.loads(path.read_text())["cases"]
    return cases


FIXTURES = {dialect: load(dialect) for dialect in INBOUND}


def read(codec: Codec, pieces: Iterable[bytes], model: str = "up") -> list[AnyEvent]:
    """Read a stream in pieces, put it right and hold it to the rules."""
    decoder, repair, rules = (
        codec.open_decoder(Reply(model=model)),
        Repair(),
        Validator(),
    )
    events: list[AnyEvent] = []
    for piece in pieces:
        events += repair.feed(decoder.feed(piece))
    events += repair.feed(decoder.eof())
    rules.take(events)
    return events


def read_whole(codec: Codec, body: bytes, model: str = "up") -> list[AnyEvent]:
    """Read a whole answer, put it right and hold it to the rules."""
    events = Repair().feed(codec.decode_answer(body, Reply(model=model)))
    Validator().take(events)
    return events


def write(
    dialect: str, events: Sequence[AnyEvent], *, request: ChatRequest | None = None
) -> list[bytes]:
    """Write a stream in a dialect, a piece for each event."""
    request = request or ask(dialect, stream=True)
    stream = registry.get(dialect).open_stream(request, request_id="r")
    encoder = codec_of(dialect).open_encoder(view_of(dialect, request), stream)
    return [encoder.encode([event]) for event in Repair().feed(events)]


def write_all(dialect: str, events: Sequence[AnyEvent]) -> bytes:
    """Write a stream in a dialect, all of it at once."""
    request = ask(dialect, stream=True)
    stream = registry.get(dialect).open_stream(request, request_id="r")
    encoder = codec_of(dialect).open_encoder(view_of(dialect, request), stream)
    return encoder.encode(Repair().feed(events))


def write_whole(dialect: str, events: Sequence[AnyEvent]) -> bytes:
    """Write a whole answer in a dialect."""
    view = view_of(dialect, ask(dialect))
    return codec_of(dialect).encode_answer(gather(Repair().feed(events)), view)


def view_of(dialect: str, request: ChatRequest) -> View:
    """Return what an encoder must know."""
    return View(
        model=request.model,
        request=codec_of(dialect).decode_request(request),
        asked=request,
        request_id="r",
        created=1,
    )


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what of an answer matters to whoever reads it."""

    text: str
    refusal: str
    reasoning: str
    calls: tuple[tuple[str, Any], ...]
    finish: str
    is_complete: bool


def seen(answer: Answer) -> Seen:
    """Return what an answer says, however it was cut into parts."""
    (choice,) = answer.choices or (None,)
    parts = choice.parts if choice else ()
    return Seen(
        text="".join(part.text for part in parts if isinstance(part, Text)),
        refusal="".join(part.text for part in parts if isinstance(part, Refusal)),
        reasoning="".join(part.text for part in parts if isinstance(part, Reasoning)),
        calls=tuple(
            (part.name, json.loads(part.arguments or "{}"))
            for part in parts
            if isinstance(part, ToolCall)
        ),
        finish=choice.finish.reason if choice else "",
        is_complete=answer.is_complete,
    )


def counters(usage: TokenUsage | None) -> dict[str, int]:
    """Return the counters above zero: a vendor may leave the others out."""
    return {
        name: value
        for name, value in msgspec.structs.asdict(usage or TokenUsage()).items()
        if value
    }


_RELAYED_AS = {
    ("responses", "azure"): "responses",
    ("anthropic", "copilot-claude"): "anthropic",
    ("anthropic", "bedrock"): "bedrock-invoke",
    ("bedrock-invoke", "bedrock"): "bedrock-invoke",
}


def wire_between(inbound: str, upstream: str) -> str:
    """Return the dialect of an upstream's bytes: some are asked in the client's own."""
    return _RELAYED_AS.get((inbound, upstream)) or wire_of(upstream)
