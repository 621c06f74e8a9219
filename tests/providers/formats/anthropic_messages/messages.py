"""Short cuts of the messages tests."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from providers.formats import registry
from providers.formats.anthropic_messages.dialect import CODEC
from providers.formats.base import ARRIVED, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Reply, View
from providers.formats.neutral.events import Delta, OpaqueSeen, PartClose, PartOpen
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Request, Text, Turn

FORMAT = registry.get("anthropic")
BRIDGE = registry.bridge("anthropic", "anthropic")
COUNT = registry.bridge("anthropic", "anthropic", "", "count_tokens")
REPLY = Reply(model="claude-up", scope="cred-1")
TARGET = Target(model="claude-up")
CAPS = Capabilities(forced_tool_with_thinking=False, thinking="budget")
FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(
        (Path(__file__).parents[1] / "fixtures/anthropic_messages").glob("*.json")
    )
}


def body(**fields):
    """Word a client's request."""
    base = {
        "model": "claude-x",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    return json.dumps({**base, **fields}).encode()


def asked(arrival=ARRIVED, **fields):
    """Read a request as a client would send it."""
    return FORMAT.read_request(body(**fields), arrival)


def decoded(**fields):
    """Take a client's request apart."""
    return CODEC.decode_request(asked(**fields))


def said(*parts, role="user"):
    """Return a turn; strings are texts."""
    return Turn(
        role=role,
        parts=tuple(Text(text=p) if isinstance(p, str) else p for p in parts),
    )


def chat_request(**fields):
    """Return a neutral request of another dialect."""
    fields.setdefault("turns", (said("Hi"),))
    return Request(dialect="openai", model="gpt", **fields)


def encoded(request, caps=CAPS, target=TARGET):
    """Word a neutral request; returns the body and the words of the losses."""
    made = CODEC.encode_request(request, target, caps)
    return json.loads(made.body), [loss.word for loss in made.losses]


def event(payload):
    """Frame one event as Anthropic does."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return f"event: {payload['type']}\ndata: {text}\n\n".encode()


def stream(*payloads):
    """Frame some events."""
    return b"".join(event(each) for each in payloads)


def start(usage=None, model="claude-up", **more):
    """Word the opening event."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 10, "output_tokens": 1},
        **more,
    }
    return {"type": "message_start", "message": message}


def block(index, content, *deltas):
    """Word one block with its deltas."""
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *(
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in deltas
        ),
        {"type": "content_block_stop", "index": index},
    ]


def text_block(index, *pieces):
    """Word a block of text."""
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def tool_block(index, call_id, name, *pieces):
    """Word a block with a call."""
    content = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": each} for each in pieces]
    return block(index, content, *deltas)


def ending(reason="end_turn", usage=None, sequence=None, **more):
    """Word the last two events."""
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence, **more},
            "usage": usage or {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]


def read(pieces, reply=REPLY):
    """Decode a stream that comes in pieces, and put it right."""
    decoder = CODEC.open_decoder(reply)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return Repair().feed([*events, *decoder.eof()])


def read_whole(answer, reply=REPLY):
    """Decode a whole answer, and put it right."""
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Repair().feed(CODEC.decode_answer(raw, reply))


def answer_of(data):
    """Gather the answer in a stream."""
    return gather(read([data]))


def view(request_id="r1", estimate=None, **fields):
    """Return what an encoder knows of a call."""
    request = asked(stream=True, **fields)
    return View(
        model=request.model,
        request=CODEC.decode_request(request),
        asked=request,
        request_id=request_id,
        input_estimate=estimate,
    )


def written(events, *, seen=None, opened=None, batches=False):
    """Write a client's stream of repaired events."""
    seen = seen or view()
    own = opened or FORMAT.open_stream(seen.asked, request_id="r1")
    encoder = CODEC.open_encoder(seen, own)
    events = Repair().feed(events)
    if batches:
        return encoder.encode(events)
    return b"".join(encoder.encode([each]) for each in events)


def frames(data):
    """Parse a stream strictly: an event line, a data line, a blank line."""
    found = []
    assert data.endswith(b"\n\n") or not data
    for part in data.decode().split("\n\n")[:-1]:
        first, second = part.split("\n")
        assert first.startswith("event: ")
        assert second.startswith("data: ")
        payload = json.loads(second[6:])
        assert payload["type"] == first[7:]
        found.append(payload)
    return found


def part(pos, kind, *inner, **header):
    """Return the events of one part; strings are deltas."""
    return [
        PartOpen(pos=pos, kind=kind, **header),
        *(
            Delta(pos=pos, text=each)
            if isinstance(each, str)
            else OpaqueSeen(pos=pos, opaque=each)
            for each in inner
        ),
        PartClose(pos=pos),
    ]


def raw(value):
    """Return a value as raw JSON."""
    return msgspec.Raw(json.dumps(value).encode())
