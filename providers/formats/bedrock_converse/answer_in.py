"""Read an upstream's answer, whole or streamed, into the same events."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE, is_bulky
from providers.formats.bedrock_converse.blocks_in import read_parts
from providers.formats.bedrock_converse.errors import read_error_body
from providers.formats.bedrock_converse.names import family_of
from providers.formats.bedrock_converse.raw import ABSENT, given
from providers.formats.bedrock_converse.reasons import read_finish
from providers.formats.bedrock_converse.usage import read_usage
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Failed,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed
from providers.formats.neutral.types import Media, Part, Reasoning, Text, ToolCall


class Tier(msgspec.Struct):
    """The tier that served."""

    type: str = ""


class _Message(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Answer(msgspec.Struct):
    output: _Output | None = None
    stopReason: str = ""
    usage: msgspec.Raw = ABSENT
    serviceTier: Tier | None = None
    additionalModelResponseFields: msgspec.Raw = ABSENT


_ANSWER: Final = msgspec.json.Decoder(_Answer)


def decode_answer(body: bytes, reply: Reply) -> list[AnyEvent]:
    """Take a whole answer apart.

    Fails:   ``Failed`` for an error under a 200 and for what is no answer.
    """
    if is_bulky(body):
        return [failed("The upstream's answer has too many parts.")]
    try:
        answer = _ANSWER.decode(body)
        message = answer.output.message if answer.output is not None else None
        if message is None or not answer.stopReason:
            return [_no_answer(body)]
        parts = read_parts(message.content or (), family_of(reply.model))
    except UNREADABLE:
        return [failed("The upstream's answer is not one of Converse.")]
    events: list[AnyEvent] = [Start()]
    for pos, part in enumerate(parts):
        events += part_events(pos, part)
    finish = read_finish(answer.stopReason, given(answer.additionalModelResponseFields))
    events.append(finish)
    events += usage_events(given(answer.usage), answer.serviceTier)
    events.append(End())
    return events


def usage_events(usage: msgspec.Raw | None, tier: Tier | None) -> list[AnyEvent]:
    """Return what an answer says about itself at its end."""
    events: list[AnyEvent] = []
    read = None if usage is None else read_usage(usage)
    if read is not None:
        events.append(UsageSeen(usage=read[0], flags=read[1]))
    if tier is not None and tier.type:
        events.append(Meta(service_tier=tier.type))
    return events


def part_events(pos: int, part: Part) -> list[AnyEvent]:
    """Return the events a stream of one part would have had."""
    events: list[AnyEvent] = []
    if isinstance(part, Text):
        events = [PartOpen(pos=pos, kind="text"), Delta(pos=pos, text=part.text)]
        events += [CitationSeen(pos=pos, citation=each) for each in part.citations]
    elif isinstance(part, ToolCall):
        opened = PartOpen(pos=pos, kind="tool_call", id=part.id, name=part.name)
        events = [opened, Delta(pos=pos, text=part.arguments)]
    elif isinstance(part, Reasoning):
        opened = PartOpen(pos=pos, kind="reasoning", detail="full")
        events = [opened, Delta(pos=pos, text=part.text)]
        events += [OpaqueSeen(pos=pos, opaque=each) for each in part.opaque]
    elif isinstance(part, Media) and part.source == "base64":
        seen = MediaSeen(pos=pos, data=part.data, media_type=part.media_type)
        events = [PartOpen(pos=pos, kind="media"), seen]
    if events:
        events.append(PartClose(pos=pos))
    return events


def _no_answer(body: bytes) -> Failed:
    detail = read_error_body(None, body)
    if detail.message or detail.type:
        return Failed(error=detail)
    return failed("The upstream's answer is not one of Converse.")
