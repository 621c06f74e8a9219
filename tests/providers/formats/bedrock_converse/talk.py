"""Fixtures and short cuts of the Bedrock tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from providers.formats import registry
from providers.formats.base import Arrival, ChatRequest, Target
from providers.formats.bedrock_converse.answer_out import event_frame
from providers.formats.bedrock_converse.codec import ConverseCodec
from providers.formats.bedrock_converse.dialect import FORMAT
from providers.formats.capabilities import capabilities
from providers.formats.framing_eventstream import EventStreamSplitter, read_headers
from providers.formats.neutral.codec import Encoded, Reply, View
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Request

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
CODEC = ConverseCodec()
FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(
        (Path(__file__).parents[1] / "fixtures/bedrock_converse").glob("*.json")
    )
}


def ask(
    body: dict[str, Any] | bytes, *, model: str = CLAUDE, stream: bool = False
) -> ChatRequest:
    """Read a Converse request as a client would send it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FORMAT.read_request(data, Arrival(path_model=model, is_stream=stream))


def chat(**fields: Any) -> ChatRequest:
    """Read a chat request."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return registry.get("openai").read_request(json.dumps(body).encode())


def sent(request: ChatRequest, model: str = CLAUDE) -> tuple[dict[str, Any], Any]:
    """Translate a client's request and return the upstream body and the request."""
    bridge = registry.bridge(request.dialect, "bedrock", model)
    assert bridge is not None
    made = bridge.build_request(request, Target(model=model))
    return json.loads(made.body), made


def encoded(request: Request, model: str = CLAUDE) -> Encoded:
    """Word a neutral request without fitting it."""
    return CODEC.encode_request(
        request, Target(model=model), capabilities("bedrock", "", model)
    )


def body_of(request: Request, model: str = CLAUDE) -> dict[str, Any]:
    """Return the body of a neutral request."""
    value: dict[str, Any] = json.loads(encoded(request, model).body)
    return value


def frames(events: list[list[Any]]) -> list[bytes]:
    """Frame the events of a fixture."""
    return [event_frame(name, value) for name, value in events]


def decoded(pieces: list[bytes], model: str = CLAUDE) -> list[AnyEvent]:
    """Read a stream to its end and put it right."""
    decoder = CODEC.open_decoder(Reply(model=model))
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return Repair().feed([*events, *decoder.eof()])


def answer_of(events: list[AnyEvent]) -> Any:
    """Join events."""
    return gather(events)


def view(request: ChatRequest) -> View:
    """Return what an encoder is told."""
    return View(
        model=request.model, request=CODEC.decode_request(request), asked=request
    )


def read_frames(data: bytes) -> list[tuple[str, Any]]:
    """Take a client's stream apart."""
    return [
        (
            read_headers(raw).get(":event-type")
            or read_headers(raw).get(":exception-type", ""),
            json.loads(payload or b"{}"),
        )
        for raw, payload in EventStreamSplitter().feed(data)
    ]
