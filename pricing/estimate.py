"""Estimate tokens from bytes, and from that what to reserve before a call.

Tokenizer vocabularies are fetched from the internet at run time and differ by model, so
there is none here: text is bytes over a family's factor, media are fixed amounts. An
estimate decides a reservation and stands in where a vendor reported nothing; it never
replaces a reported number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pricing.cost import PriceSpec, cost_nano_usd
from pricing.families import Family, FamilyDefault, family_book, family_of
from pricing.tokens import TokenUsage

ASSUMED_OUTPUT_TOKENS: Final = 4_096
"""What an answer may grow to when neither client nor model says; a key's setting."""

INPUT_MARGIN_PERCENT: Final = 130
"""Input is reserved at this much of its estimate, so that few calls overshoot."""

_MESSAGE_TOKENS: Final = 4
# {"role":"assistant","content":""}, and {"type":"text","text":""} for a part.
_MESSAGE_BYTES: Final = 31
_TEXT_KEY_BYTES: Final = 12
_DOCUMENT_BYTES_PER_TOKEN: Final = 30
_DOCUMENT_TOKENS: Final = 1_500
_AUDIO_BYTES_PER_TOKEN: Final = 640
_VIDEO_BYTES_PER_TOKEN: Final = 400
_AUDIO_WORDS: Final = (b"audio", b"wav", b"mp3")
_SHORTEST_BASE64: Final = 256
_LOOK_BACK: Final = 160
_MOST_MEDIA: Final = 4_000


class Reservation(msgspec.Struct, frozen=True):
    """Hold what to take from limits and budgets before one attempt.

    Units:   tokens with the margin on input and ``n`` answers; ``cost_nano_usd`` at
             the target's price, None when that is unknown.
    """

    input_tokens: int
    output_tokens: int
    cost_nano_usd: int | None

    @property
    def tokens(self) -> int:
        """Sum both directions, for a tokens-per-minute limit."""
        return self.input_tokens + self.output_tokens


def estimate_input_tokens(
    body: bytes,
    model: str,
    *,
    spans: Iterable[tuple[int, int]] | None = None,
) -> int:
    """Estimate the tokens of a request's content.

    Shapes:  ``body`` is JSON as the client sent it; ``spans`` the parts of it a model
             reads (all of it without). Base64 data counts as a medium, never as text.
    Cost:    a few microseconds for a small body, 40 MB of media in some 10 ms and of
             text in 150: only memory scans, nothing is parsed or copied.
    """
    facts = _facts(model)
    text = tokens = 0
    for start, end in spans if spans is not None else ((0, len(body)),):
        links = 0
        text_spans: Iterable[tuple[int, int]] = ((start, end),)
        if body.find(b";base64,", start, end) >= 0 or (
            body.find(b'"data"', start, end) >= 0
        ):
            media = _media(body, start, end, facts.image_tokens)
            tokens += media.tokens
            links = -2 * media.images
            text_spans = media.text_spans
        for first, last in text_spans:
            messages = body.count(b'"role"', first, last)
            tokens += messages * _MESSAGE_TOKENS
            text += last - first - _noise(body, first, last, messages)
            links += body.count(b'"image_url"', first, last)
        # A linked image names its part's type and its member: twice.
        tokens += max(0, links // 2) * facts.image_tokens
    return tokens + _tokens(max(0, text), facts.bytes_per_1000_tokens)


def estimate_output_tokens(text_bytes: int, model: str) -> int:
    """Estimate the tokens of an answer of so many bytes of text."""
    return _tokens(text_bytes, _facts(model).bytes_per_1000_tokens)


def reserve(
    *,
    input_tokens: int,
    asked_output: int | None = None,
    model_max_output: int | None = None,
    assumed_output: int = ASSUMED_OUTPUT_TOKENS,
    n: int = 1,
    price: PriceSpec | None = None,
) -> Reservation:
    """Size the reservation of one attempt.

    Shapes:  the output is what the client asked at most; unasked, the smaller of the
             model's maximum and the assumed one; times ``n`` answers.
    """
    output = asked_output
    if output is None:
        output = min(assumed_output, model_max_output or assumed_output)
    input_reserved = -(-input_tokens * INPUT_MARGIN_PERCENT // 100)
    output *= n
    usage = TokenUsage(input_tokens=input_reserved, output_tokens=output)
    return Reservation(input_reserved, output, cost_nano_usd(usage, price))


def reserve_operation(
    tokens: TokenUsage, units: TokenUsage | None, price: PriceSpec | None
) -> Reservation:
    """Size the reservation of what is no conversation.

    Shapes:  ``tokens`` and ``units`` are two ways to bill the same call, each at its
             most; which one a vendor takes is seen afterwards, so the dearer is held.
             The margin is put on the input here.
    """
    read = -(-(tokens.input_tokens or 0) * INPUT_MARGIN_PERCENT // 100)
    tokens = msgspec.structs.replace(tokens, input_tokens=read)
    costs = [cost_nano_usd(usage, price) for usage in (tokens, units) if usage]
    known = [cost for cost in costs if cost is not None]
    return Reservation(read, tokens.completion_tokens, max(known) if known else None)


def _facts(model: str) -> Family | FamilyDefault:
    """Return what is assumed of a model's tokens."""
    book = family_book()
    return book.families.get(family_of(model) or "", book.default)


def _tokens(size: int, bytes_per_1000: int) -> int:
    """Divide bytes by a factor, rounded up."""
    return -(-size * 1000 // bytes_per_1000)


def _noise(body: bytes, start: int, end: int, messages: int) -> int:
    """Count bytes that are JSON and not text: message frames and escapes."""
    noise = messages * _MESSAGE_BYTES
    noise += body.count(b'"text"', start, end) * _TEXT_KEY_BYTES
    if body.find(b"\\", start, end) >= 0:
        noise += body.count(b"\\n", start, end) + body.count(b'\\"', start, end)
        # An escaped character is six bytes of JSON for two or three of text.
        noise += body.count(b"\\u", start, end) * 3
    return noise


class _Media(msgspec.Struct, gc=False):
    """Hold what lies between two places: text, and what the media cost."""

    text_spans: list[tuple[int, int]]
    tokens: int = 0
    images: int = 0


def _media(body: bytes, start: int, end: int, image_tokens: int) -> _Media:
    """Find base64 values and the text around them, passing over each byte once.

    Shapes:  after some thousand places that might be one the rest counts as text: no
             honest request has so many, and each costs some microseconds.

    Source:  data URLs of OpenAI's parts, and the ``data`` member that OpenAI audio,
             Anthropic sources and Gemini inline data share.
    """
    media = _Media([])
    text_from = position = start
    url = -1
    for _ in range(_MOST_MEDIA):
        if url < position:
            # Kept while members come before it: looked for each time, the rest of a
            # body would be read again for every member.
            url = body.find(b";base64,", position, end)
            url = end if url < 0 else url
        at = url if url < end else -1
        member = body.find(b'"data"', position, at if at >= 0 else end)
        is_url = member < 0
        if is_url and at < 0:
            break
        at = at if is_url else member
        first = at + 8 if is_url else _value_start(body, at + 6, end)
        last = body.find(b'"', first, end) if first >= 0 else -1
        position = at + 6
        if last < 0 or (not is_url and last - first < _SHORTEST_BASE64):
            continue
        cost = _medium_tokens(body, max(start, at - _LOOK_BACK), at, last - first)
        media.images += cost is None
        media.tokens += image_tokens if cost is None else cost
        media.text_spans.append((text_from, first))
        text_from = position = last
    media.text_spans.append((text_from, end))
    return media


def _value_start(body: bytes, at: int, end: int) -> int:
    """Return where the string after a key begins, -1 when no string follows."""
    head = body[at : min(at + 16, end)].lstrip()
    if not head.startswith(b":") or not head[1:].lstrip().startswith(b'"'):
        return -1
    return body.find(b'"', at, end) + 1


def _medium_tokens(body: bytes, start: int, at: int, size: int) -> int | None:
    """Return what a medium costs by its size; None for an image's fixed amount."""
    before = body[start:at].lower()
    decoded = size * 3 // 4
    if b"image" in before[-64:]:
        return None
    if b"pdf" in before or b"application/" in before or b'"file"' in before:
        return max(_DOCUMENT_TOKENS, decoded // _DOCUMENT_BYTES_PER_TOKEN)
    if b"video" in before:
        return decoded // _VIDEO_BYTES_PER_TOKEN
    if any(word in before for word in _AUDIO_WORDS):
        return decoded // _AUDIO_BYTES_PER_TOKEN
    return None
