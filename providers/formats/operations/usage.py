"""Read what the other operations report as used, into disjoint counters.

Source: reference wire 1.3, 2.17, P128; OpenAI's usage of images, speech, transcripts.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.openai_chat.usage import ReadUsage, read_usage

_NOTHING: Final[dict[str, Any]] = {}


def counted(request: ChatRequest, *, units: int | None = None) -> TokenUsage | None:
    """Return what a call is billed by where its answer says nothing.

    Shapes:  ``units`` as the answer shows them, else as the request asked; None where
             a request does not tell them for sure.
    """
    kind = request.unit_kind
    if kind is None or (kind == "second" and units is None):
        return None
    return TokenUsage(units=request.units if units is None else units, unit_kind=kind)


def read_plain(raw: bytes | msgspec.Raw | None) -> ReadUsage:
    """Read the usage of what writes no text: embeddings, moderations, rerank."""
    if not raw or bytes(raw) == b"null":
        return ReadUsage()
    return read_usage(raw)


def read_media(raw: bytes | msgspec.Raw | None) -> ReadUsage:
    """Read the usage of images, speech and transcripts.

    Shapes:  tokens with their modalities apart, or seconds where a model is billed by
             the length of a recording. An image's output without details is all image.
    """
    said = _object(raw)
    if said is _NOTHING:
        return ReadUsage()
    flags: list[str] = []
    seconds = said.get("seconds", said.get("duration"))
    if said.get("type") == "duration" or (seconds is not None and len(said) < 3):
        return ReadUsage(_duration(seconds, flags), tuple(flags))
    prompt = count(said.get("input_tokens", said.get("prompt_tokens")), "prompt", flags)
    written = count(
        said.get("output_tokens", said.get("completion_tokens")), "completion", flags
    )
    if prompt is None and written is None:
        return ReadUsage(flags=tuple(flags))
    into = _member(said, "input_tokens_details", "input_token_details")
    out = _member(said, "output_tokens_details", "output_token_details")
    prompt, cached = _split(prompt, into, "cached_tokens", flags)
    prompt, image_in = _split(prompt, into, "image_tokens", flags)
    prompt, audio_in = _split(prompt, into, "audio_tokens", flags)
    written, image_out = _split(written, out, "image_tokens", flags)
    written, audio_out = _split(written, out, "audio_tokens", flags)
    usage = TokenUsage(
        input_tokens=prompt,
        cache_read_tokens=cached,
        output_tokens=written,
        audio_in_tokens=audio_in,
        audio_out_tokens=audio_out,
        image_in_tokens=image_in,
        image_out_tokens=image_out,
    )
    return ReadUsage(usage, tuple(flags))


def as_images(read: ReadUsage) -> ReadUsage:
    """Take an output that was not told apart for what it is: pictures."""
    usage = read.usage
    if usage is None or usage.image_out_tokens is not None or not usage.output_tokens:
        return read
    moved = msgspec.structs.replace(
        usage, output_tokens=0, image_out_tokens=usage.output_tokens
    )
    return ReadUsage(moved, read.flags, read.vendor_cost_nano_usd)


def as_speech(read: ReadUsage) -> ReadUsage:
    """Take an output that was not told apart for what it is: sound."""
    usage = read.usage
    if usage is None or usage.audio_out_tokens is not None or not usage.output_tokens:
        return read
    moved = msgspec.structs.replace(
        usage, output_tokens=0, audio_out_tokens=usage.output_tokens
    )
    return ReadUsage(moved, read.flags, read.vendor_cost_nano_usd)


def images_usage(usage: TokenUsage) -> dict[str, Any]:
    """Word a usage as the images endpoint does."""
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": {
            "text_tokens": usage.prompt_tokens - (usage.image_in_tokens or 0),
            "image_tokens": usage.image_in_tokens or 0,
        },
    }


def _duration(value: object, flags: list[str]) -> TokenUsage | None:
    """Return seconds, begun ones counted whole."""
    if isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value)
    seconds = count(value, "seconds", flags)
    return None if seconds is None else TokenUsage(units=seconds, unit_kind="second")


def _split(
    whole: int | None, details: dict[str, Any], name: str, flags: list[str]
) -> tuple[int | None, int | None]:
    """Move a part out of the whole; it cannot be larger than what is left."""
    part = count(details.get(name), name, flags)
    if whole is None or part is None:
        return whole, part if whole is not None else None
    if part > whole:
        flags.append(f"{name}:overlap")
        part = whole
    return whole - part, part


def _member(said: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = said.get(name)
        if isinstance(value, dict):
            return value
    return _NOTHING


def _object(raw: bytes | msgspec.Raw | None) -> dict[str, Any]:
    if not raw:
        return _NOTHING
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE:
        return _NOTHING
    return value if isinstance(value, dict) and value else _NOTHING
