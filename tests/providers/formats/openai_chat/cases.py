"""Short cuts for the tests of the chat translator."""

from __future__ import annotations

import json

import msgspec

from pricing.tokens import TokenUsage
from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Reply, View
from providers.formats.neutral.events import (
    Delta,
    End,
    Finish,
    PartClose,
    PartOpen,
    Start,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Opaque
from providers.formats.openai_chat.decode import decode_request
from providers.formats.openai_chat.decoder import ChatDecoder, decode_answer
from providers.formats.openai_chat.encode import encode_request
from providers.formats.openai_chat.encoder import ChatEncoder
from providers.formats.openai_chat.messageout import encode_answer
from tests.providers.formats.chat import FORMAT, request

REPLY = Reply(model="up-model", scope="cred-1")
EVERYTHING = Capabilities(
    effort_levels=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    custom_tools=True,
    allowed_tools=True,
    replays_reasoning_content=True,
    cache_marks=4,
    auto_cache=True,
    store=True,
    speaks=("openai",),
    video_input=True,
    reasoning_history="proof",
    cache_key=True,
    service_tier=True,
    metadata=True,
    verbosity=True,
)


def raw(value):
    """Word a value as raw JSON."""
    return msgspec.Raw(json.dumps(value).encode())


def decoded(**fields):
    """Take a client's body apart."""
    return decode_request(request(**fields))


def messages(*given):
    """Take a client's conversation apart."""
    return decoded(messages=list(given))


def encoded(neutral, caps=EVERYTHING, **target):
    """Word a request: (body, words of the losses)."""
    made = encode_request(neutral, Target(model="up-model", **target), caps)
    return json.loads(made.body), [loss.word for loss in made.losses]


def again(neutral, caps=EVERYTHING):
    """Word a request and take it apart once more."""
    target = Target(model=neutral.model)
    body = encode_request(neutral, target, caps).body
    return decode_request(FORMAT.read_request(body))


def events_of(stream, pieces=None):
    """Read a stream, whole or in pieces."""
    decoder = ChatDecoder(REPLY)
    events = []
    for piece in [stream] if pieces is None else pieces:
        events += decoder.feed(piece)
    return events + decoder.eof()


def repaired(stream):
    """Read a stream the way the bridge does."""
    return Repair().feed(events_of(stream))


def answer_of(stream):
    """Read a stream and join it."""
    return gather(repaired(stream))


def whole(body):
    """Read a whole answer and join it."""
    return gather(Repair().feed(decode_answer(json.dumps(body).encode(), REPLY)))


def plain(value):
    """Make structs comparable and readable, raw JSON parsed."""
    return msgspec.to_builtins(value, enc_hook=lambda each: json.loads(bytes(each)))


def view(**fields):
    """Say what a client asked, for an encoder."""
    asked = request(**fields)
    return View(
        model="gpt-4o", request=decode_request(asked), asked=asked, created=1700
    )


def streamed(events, **fields):
    """Write a stream for a client: its frames, the terminator as a word."""
    data = ChatEncoder(view(**({"stream": True} | fields))).encode(
        Repair().feed(events)
    )
    frames = data.decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") for frame in frames)
    bodies = [frame[6:] for frame in frames]
    return [body if body == "[DONE]" else json.loads(body) for body in bodies]


def deltas(frames):
    """Pick the deltas of the only choice."""
    return [
        frame["choices"][0]["delta"]
        for frame in frames
        if frame != "[DONE]" and frame["choices"]
    ]


def completed(events, **fields):
    """Write a whole answer for a client."""
    answer = gather(Repair().feed(events))
    return json.loads(encode_answer(answer, view(**fields)))


def joined(frames):
    """Put a stream together as a client does: (message, finish reason)."""
    message, finish = {}, None
    for frame in frames:
        if frame == "[DONE]" or not frame["choices"]:
            continue
        choice = frame["choices"][0]
        finish = choice["finish_reason"] or finish
        for name, value in choice["delta"].items():
            for call in value if name == "tool_calls" else ():
                calls = message.setdefault("tool_calls", {})
                _grow(calls.setdefault(call["index"], {}), call)
            if name == "role":
                message[name] = value
            elif name != "tool_calls":
                _grow(message, {name: value})
    return message, finish


def _grow(known, more):
    """Add a piece to what is known: texts and lists grow, objects grow inside."""
    for name, value in more.items():
        if isinstance(value, dict):
            _grow(known.setdefault(name, {}), value)
        elif isinstance(value, str | list) and known.get(name):
            known[name] = known[name] + value
        elif value is not None:
            known[name] = value


START = Start(id="msg_01AbC", model="claude-x", created=5)
SIGNED = Opaque(family="anthropic", slot="signature", data="sig", model="claude-x")
USAGE = TokenUsage(
    input_tokens=10, cache_read_tokens=5, output_tokens=7, reasoning_tokens=3
)


def part(pos, kind, *pieces, **fields):
    """Open a part, fill it, close it."""
    return [
        PartOpen(pos=pos, kind=kind, **fields),
        *(Delta(pos=pos, text=piece) for piece in pieces),
        PartClose(pos=pos),
    ]


def call(pos, call_id, *pieces, **fields):
    """Make the events of a call."""
    return part(pos, "tool_call", *pieces, id=call_id, name="f", **fields)


def ended(*events, reason="end", **fields):
    """Make the events of a whole answer."""
    return [START, *events, Finish(reason=reason, **fields), End()]
