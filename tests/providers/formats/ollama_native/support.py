"""Short cuts of the tests of Ollama's own dialect."""

from __future__ import annotations

import json
from pathlib import Path

from providers.formats.base import Arrival, Target
from providers.formats.capabilities import capabilities
from providers.formats.neutral.codec import Reply, View
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.ollama_native.codec import OllamaCodec
from providers.formats.ollama_native.dialect import FORMAT

FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(
        (Path(__file__).parent.parent / "fixtures/ollama_native").glob("*.json")
    )
}
CHAT = Arrival(path="/api/chat")
GENERATE = Arrival(path="/api/generate")
EMBED = Arrival(path="/api/embed", op="embeddings")
CODEC = OllamaCodec(now_ns=lambda: 0)
REPLY = Reply(model="llama3.2")
TARGET = Target(model="llama3.2")
CAPS = capabilities("ollama", "", "llama3.2")
STAMP = "2026-11-20T12:00:00.5Z"


def asked(arrival=CHAT, **fields):
    """Read a request as a client would send it."""
    body = {"model": "llama3.2"}
    if arrival is CHAT:
        body["messages"] = [{"role": "user", "content": "Hi"}]
    return FORMAT.read_request(json.dumps(body | fields).encode(), arrival)


def decoded(arrival=CHAT, **fields):
    """Return a request's neutral form."""
    return CODEC.decode_request(asked(arrival, **fields))


def encoded(request, target=TARGET):
    """Return what an upstream is sent for a neutral request, and the losses."""
    sent = CODEC.encode_request(request, target, CAPS)
    return json.loads(sent.body), [loss.word for loss in sent.losses]


def lines(*objects):
    """Frame objects as a server does."""
    return b"".join(
        json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in objects
    )


def said(done=False, **message):
    """Word a line of a chat."""
    return {
        "model": "llama3.2",
        "created_at": STAMP,
        "message": {"role": "assistant", "content": "", **message},
        "done": done,
    }


def last(**fields):
    """Word a last line."""
    counts = {"prompt_eval_count": 7, "eval_count": 5}
    return said(done=True) | {"done_reason": "stop", **counts} | fields


def events_of(data, pieces=None):
    """Return the repaired events of a stream, whole or cut."""
    decoder, repair = CODEC.open_decoder(REPLY), Repair()
    out = []
    for piece in pieces or [data]:
        out += repair.feed(decoder.feed(piece))
    return out + repair.feed(decoder.eof())


def answer_of(data):
    """Return the gathered answer of a stream."""
    return gather(events_of(data))


def view(request=None, model="llama3.2", created=1_790_000_000):
    """Return what an encoder must know of a call."""
    request = request or asked()
    neutral = CODEC.decode_request(request)
    return View(model=model, request=neutral, asked=request, created=created)


def written(events, request=None, model="llama3.2"):
    """Return the lines a client gets for some events."""
    request = request or asked()
    stream = FORMAT.open_stream(request, request_id="r")
    encoder = CODEC.open_encoder(view(request, model), stream)
    out = b"".join(encoder.encode([event]) for event in events)
    return [json.loads(line) for line in out.splitlines()]
