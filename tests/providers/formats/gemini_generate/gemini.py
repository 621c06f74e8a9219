"""Fixtures and short cuts of Gemini's tests."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from providers.formats.base import Arrival, Target
from providers.formats.capabilities import Capabilities, capabilities
from providers.formats.gemini_generate.dialect import FORMAT
from providers.formats.neutral.codec import Reply, View
from providers.formats.neutral.fit.fitted import fit
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import (
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

CODEC = FORMAT.codec("")
MODEL = "gemini-2.5-flash"
REPLY = Reply(model=MODEL)
ROOT = Path(__file__).parents[1] / "fixtures/gemini_generate"
FIXTURES = {
    path.stem: json.loads(path.read_text()) for path in sorted(ROOT.glob("*.json"))
}
SSE = b"alt=sse"
WIDE = Capabilities(strict_tools=False, thinking="budget", service_tier=True)


def asked(body=None, *, model=MODEL, query=SSE, stream=True, op="chat", path=""):
    """Read a request as a client would send it."""
    body = body or {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    method = "streamGenerateContent" if stream else "generateContent"
    arrival = Arrival(
        op=op,
        path=path or f"/v1beta/models/{model}:{method}",
        path_model=model,
        is_stream=stream,
        query=query,
    )
    return FORMAT.read_request(data, arrival)


def neutral(body, **more):
    """Take a client's request apart."""
    return CODEC.decode_request(asked(body, **more))


def request(*turns, **fields):
    """Make a neutral request of another dialect's."""
    fields = {
        "dialect": "openai",
        "model": "m",
        "turns": turns or (user("Hi"),),
    } | fields
    return Request(**fields)


def user(*texts):
    return Turn(role="user", parts=tuple(Text(text=text) for text in texts))


def caps(model, **changed):
    found = capabilities("google", "google", model)
    return Capabilities(
        **({name: getattr(found, name) for name in found.__struct_fields__} | changed)
    )


def sent(made, model=MODEL, known=None, **target):
    """Word a neutral request and return what was encoded, and its body."""
    encoded = CODEC.encode_request(
        made, Target(model=model, **target), known or caps(model)
    )
    return encoded, json.loads(encoded.body)


def body_of(made, model=MODEL, known=None):
    return sent(made, model, known)[1]


def events(data, reply=REPLY):
    """Decode a stream as the bridge does."""
    decoder = CODEC.open_decoder(reply)
    pieces = [data] if isinstance(data, bytes) else data
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return Repair().feed([*found, *decoder.eof()])


def whole_events(body, reply=REPLY):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Repair().feed(CODEC.decode_answer(data, reply))


def stream_of(name):
    return FIXTURES[name]["stream"].encode()


def answer(name):
    return gather(events(stream_of(name)))


def view(client=None, made=None, model="mine"):
    client = client or asked()
    return View(model=model, request=made or request(), asked=client, request_id="q-1")


def written(found, client=None):
    """Encode events for a client; the stream comes back too."""
    client = client or asked()
    stream = FORMAT.open_stream(client, request_id="q-1")
    return CODEC.open_encoder(view(client), stream).encode(found), stream


def frames_of(data):
    """Parse a client's stream and hold it to what Google's clients take."""
    out = []
    for line in data.decode().split("\n"):
        line = line.rstrip("\r")
        if line:
            assert line.startswith("data: "), line
            out.append(json.loads(line[6:]))
    return out


SKIP = "skip_thought_signature_validator"
NEW, OLD = "gemini-3-pro-preview", "gemini-2.0-flash"
SCHEMA = {
    "$schema": "x",
    "type": "object",
    "additionalProperties": False,
    "properties": {"a": {"type": ["string", "null"]}, "b": {"const": "c"}},
}


def raw(value):
    return msgspec.Raw(json.dumps(value).encode())


def function(name="f", **more):
    return Tool(kind="function", name=name, schema=raw(SCHEMA), **more)


def call(name="f", call_id="c1", arguments="{}", **more):
    return ToolCall(name=name, id=call_id, arguments=arguments, **more)


def assistant(*parts):
    return Turn(role="assistant", parts=parts)


def results(*parts):
    return Turn(role="tool", parts=parts)


def result(text, call_id="c1", **more):
    return ToolResult(call_id=call_id, content=(Text(text=text),), **more)


def fitted(made, model):
    known = caps(model)
    return fit(made, Target(model=model), known, {}).request


def words(losses):
    return {loss.word for loss in losses}
