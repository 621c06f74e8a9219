"""What the events and items of the dialect look like, as far as they are read.

Nothing here refuses an odd type: servers that only resemble the original are read for
what they plainly mean.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE

UNSET: Final = msgspec.Raw(b"")


class StreamEvent(msgspec.Struct, gc=False):
    """Hold one event of a stream; ``UNSET`` tells a missing member."""

    type: Any = None
    delta: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    text: Any = None
    logprobs: msgspec.Raw = UNSET
    item: msgspec.Raw = UNSET
    part: msgspec.Raw = UNSET
    annotation: msgspec.Raw = UNSET
    response: msgspec.Raw = UNSET
    error: msgspec.Raw = UNSET


class Item(msgspec.Struct, gc=False):
    """Hold one item of an output."""

    type: Any = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    namespace: Any = None
    arguments: Any = None
    input: Any = None
    content: Any = None
    summary: Any = None
    encrypted_content: Any = None
    result: Any = None
    output_format: Any = None


class Incomplete(msgspec.Struct, gc=False):
    """Say why an answer is incomplete."""

    reason: Any = None


class Response(msgspec.Struct, gc=False):
    """Hold a response object."""

    object: Any = None
    id: Any = None
    model: Any = None
    created_at: Any = None
    status: Any = None
    service_tier: Any = None
    output: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = UNSET
    error: msgspec.Raw = UNSET
    incomplete_details: Incomplete | None = None


class ContentPart(msgspec.Struct, gc=False):
    """Hold one content part of a message."""

    type: Any = None
    text: Any = None
    refusal: Any = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: msgspec.Raw = UNSET


EVENT: Final = msgspec.json.Decoder(StreamEvent)
_ITEM: Final = msgspec.json.Decoder(Item)
_RESPONSE: Final = msgspec.json.Decoder(Response)
_PART: Final = msgspec.json.Decoder(ContentPart)
_MESSAGE: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def read_item(raw: msgspec.Raw) -> Item:
    """Read an item; what is none reads as an empty one."""
    try:
        item = _ITEM.decode(raw)
    except UNREADABLE:
        return Item()
    item.type = word(item.type)
    return item


def read_response(raw: msgspec.Raw | bytes) -> Response | None:
    """Read a response object, None for what is none."""
    try:
        return _RESPONSE.decode(raw)
    except msgspec.ValidationError:
        return _lenient_response(raw)
    except UNREADABLE:
        return None


def read_parts(raw: msgspec.Raw) -> list[ContentPart]:
    """Read the content parts of a message's item."""
    try:
        content = _MESSAGE.decode(raw).get("content", UNSET)
        if bytes(content)[:1] == b'"':
            return [ContentPart("output_text", msgspec.json.decode(content))]
        return [read_part(each) for each in _RAWS.decode(content)]
    except UNREADABLE:
        return []


def read_part(raw: msgspec.Raw) -> ContentPart:
    """Read one content part; what is none reads as an empty one."""
    try:
        part = _PART.decode(raw)
    except UNREADABLE:
        return ContentPart()
    part.type = word(part.type)
    return part


def _lenient_response(raw: msgspec.Raw | bytes) -> Response | None:
    """Read a response object whose members have other types than documented."""
    try:
        raws = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return None
    made = Response()
    for name in ("object", "id", "model", "created_at", "status", "service_tier"):
        setattr(made, name, _loose(raws.get(name)))
    made.usage = raws.get("usage", UNSET)
    made.error = raws.get("error", UNSET)
    try:
        made.output = _RAWS.decode(raws.get("output", UNSET))
    except UNREADABLE:
        made.output = None
    return made


def _loose(raw: msgspec.Raw | None) -> Any:
    """Return the value of a member, None for what cannot be one."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def word(value: Any) -> str:
    """Return a text, blank for anything else."""
    return value if isinstance(value, str) else ""


def loose_text(value: Any) -> str:
    """Return the text of what should be one; an object is its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def number(value: Any, otherwise: int = 0) -> int:
    """Return a whole number, also of a float; anything else is ``otherwise``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return int(value)
