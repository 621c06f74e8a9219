"""An answer that was paid for is worded, whatever its request was."""

from __future__ import annotations

import json

from providers.formats import registry
from providers.formats.base import Target

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def test_a_whole_answer_to_a_request_we_cannot_read_is_still_streamed() -> None:
    wire = registry.get("anthropic")
    body = {
        "model": "m",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": 7}],
    }
    request = wire.read_request(json.dumps(body).encode())
    bridge = registry.bridge("anthropic", "anthropic", "m")
    assert bridge is not None
    sent = bridge.build_request(request, Target(model="m"))
    tap = bridge.open_tap(request, sent, wire.open_stream(request, request_id="r"))
    out = tap.feed(json.dumps(ANSWER).encode()) + tap.eof()
    assert tap.complete
    assert b"hello" in out
    assert tap.usage is not None
    assert tap.usage.output_tokens == 2
