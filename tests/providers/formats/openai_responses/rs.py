"""Fixtures and short cuts of the Responses tests."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import msgspec

from pricing.tokens import TokenUsage
from providers.formats import registry
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
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair

FORMAT = registry.get("responses")
CODEC = FORMAT.codec("")
BRIDGE = registry.bridge("responses", "responses")
REPLY = Reply(model="gpt-5.5", scope="account-a")
FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(
        (Path(__file__).parents[1] / "fixtures/openai_responses").glob("*.json")
    )
}
NATIVE = Capabilities(custom_tools=True, namespaces=True, item_ids=True)
USAGE = TokenUsage(
    input_tokens=20,
    cache_read_tokens=12,
    cache_write_tokens=5,
    output_tokens=11,
    reasoning_tokens=4,
)


def request(**fields):
    """Read a request as a client would send it."""
    return FORMAT.read_request(
        json.dumps({"model": "m", "input": "Hi"} | fields).encode()
    )


def neutral(**fields):
    """Take a client's request apart."""
    return CODEC.decode_request(request(**fields))


def worded(asked, *, caps=NATIVE, **target):
    """Word a neutral request, as an object."""
    encoded = CODEC.encode_request(asked, Target(model="gpt-5.5", **target), caps)
    return json.loads(encoded.body)


def losses(asked, *, caps=NATIVE, **target):
    """Return what wording a request left behind."""
    encoded = CODEC.encode_request(asked, Target(model="gpt-5.5", **target), caps)
    return [loss.word for loss in encoded.losses]


def decoded(pieces):
    """Return the repaired events of a stream in pieces."""
    decoder, repair = CODEC.open_decoder(REPLY), Repair()
    events = []
    for piece in pieces:
        events += repair.feed(decoder.feed(piece))
    return events + repair.feed(decoder.eof())


def parsed(stream):
    """Return the events of a client's stream, their names checked."""
    events = []
    for frame in stream.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


class Client:
    """Encode one stream for a client, as the proxy does."""

    def __init__(self, **fields):
        self.asked = request(stream=True, **fields)
        self.stream = FORMAT.open_stream(self.asked, request_id="req-1")
        view = View(
            model=self.asked.model,
            request=CODEC.decode_request(self.asked),
            asked=self.asked,
            created=self.stream.created,
        )
        self.view = view
        self.encoder = CODEC.open_encoder(view, self.stream)
        self.repair = Repair()

    def bytes(self, *events):
        return self.encoder.encode(self.repair.feed(events))

    def events(self, *events):
        return parsed(self.bytes(*events))

    def whole(self, *events):
        """Return the same answer, whole."""
        answer = gather(Repair().feed(events))
        return json.loads(CODEC.encode_answer(answer, self.view))


def answer(*parts, reason="end", usage=USAGE, **finish):
    """Return the events of an answer of texts and opened parts."""
    made, numbers = [Start(id="chatcmpl-9x", model="up")], count()
    for part in parts:
        pos = next(numbers)
        opened, pieces = part
        made.append(msgspec.structs.replace(opened, pos=pos))
        made += [
            msgspec.structs.replace(piece, pos=pos)
            if isinstance(piece, msgspec.Struct)
            else Delta(pos=pos, text=piece)
            for piece in pieces
        ]
        made.append(PartClose(pos=pos))
    if usage is not None:
        made.append(UsageSeen(usage=usage))
    return [*made, Finish(reason=reason, **finish), End()]


def opened(kind, *pieces, **fields):
    """Return a part for ``answer``."""
    return PartOpen(pos=0, kind=kind, **fields), pieces
