"""Fixtures and short cuts of the chat completions tests."""

from __future__ import annotations

import json
from pathlib import Path

from providers.formats import registry
from providers.formats.base import Target

FORMAT = registry.get("openai")
BRIDGE = registry.bridge("openai", "openai")
FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "fixtures/openai_chat").glob("*.json"))
}


def request(**fields):
    """Read a request as a client would send it."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    return FORMAT.read_request(json.dumps(body | fields).encode())


def asking_for_usage(**fields):
    """Read a streamed request that asks for usage itself: nothing is rewritten."""
    return request(stream=True, stream_options={"include_usage": True}, **fields)


def open_tap(asked, model="gpt-4o"):
    """Start a tap as the proxy does."""
    sent = BRIDGE.build_request(asked, Target(model=model))
    return BRIDGE.open_tap(asked, sent, FORMAT.open_stream(asked, request_id="r"))


def run(tap, pieces):
    """Feed a tap to its end and return what the client got."""
    out = b"".join([tap.feed(piece) for piece in pieces])
    return out + tap.eof()


def outcome(tap):
    """Collect everything a tap learned."""
    return {
        name: getattr(tap, name)
        for name in (
            "useful",
            "error",
            "finished",
            "done",
            "complete",
            "usage",
            "flags",
            "vendor_cost_nano_usd",
            "model",
            "response_id",
            "service_tier",
            "finish_reasons",
            "text_bytes",
            "out_bytes",
        )
    }


def sse(*payloads):
    """Frame payloads as OpenAI does."""
    texts = [
        item if isinstance(item, str) else json.dumps(item, separators=(",", ":"))
        for item in payloads
    ]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def chunk(delta, finish=None, model="gpt-4o", **extra):
    """Word a chunk."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **extra,
    }
