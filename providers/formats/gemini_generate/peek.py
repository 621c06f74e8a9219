"""Peek into a Gemini request: what the rooms must know before anything is translated.

The model stands in the path, and so does whether the answer streams. In Code Assist's
envelope the model stands in the body, around the request itself.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from pricing.tokens import MAX_COUNT
from providers.formats import base
from providers.formats.base import (
    UNREADABLE,
    Arrival,
    ChatRequest,
    FormatError,
)
from providers.formats.gemini_generate.fields import (
    TRUE,
    camel,
    fields_of,
    take,
    text_of,
)
from providers.formats.jsonspans import (
    DuplicateKeyError,
    Members,
    TooManyMembersError,
    read_members,
)

MAX_MODEL_CHARS: Final = 512
MAX_CHOICES: Final = 8
MODEL_PREFIXES: Final = ("models/", "tunedModels/")
WRAPPED: Final = "cloudcode"
_ZERO: Final = msgspec.Raw(b"0")
_READ_BY_MODEL: Final = frozenset({"contents", "systemInstruction", "tools"})
_MIME_NEEDS: Final = (
    (b'"image/', base.NEED_VISION),
    (b'"video/', base.NEED_VISION),
    (b'"audio/', base.NEED_AUDIO),
    (b'"application/pdf"', base.NEED_FILES),
)


def read_gemini_request(
    body: bytes, arrival: Arrival, *, dialect: str = "google"
) -> ChatRequest:
    """Read what the proxy must know; leave judging the rest to the upstream.

    Shapes:  see ``ChatRequest``; ``members`` are those of the whole body. A ``dialect``
             of Code Assist has the request itself in its member ``request``.
    Errors:  FormatError with the field at fault in ``param``.
    """
    members = members_of(body)
    if arrival.op == "local":
        return ChatRequest(
            dialect=dialect, body=body, model="", members=members, arrival=arrival
        )
    inner, start = inner_members(members, dialect)
    peeked = ChatRequest(
        dialect=dialect,
        body=body,
        model=_model(members, inner, arrival),
        members=members,
        content_spans=_content(inner, start),
        stream=arrival.is_stream,
        include_usage=True,
        arrival=arrival,
    )
    if arrival.op == "chat":
        _read_chat(peeked, inner)
    return peeked


def inner_members(members: Members, dialect: str) -> tuple[Members, int]:
    """Return the request's own members and where it starts in the body."""
    if dialect != WRAPPED:
        return members, 0
    if "request" not in members.spans:
        raise FormatError(
            "The field 'request' is missing.", code="missing_field", param="request"
        )
    _, start, end = members.spans["request"]
    return members_of(members.body[start:end], "request"), start


def members_of(body: bytes, where: str = "") -> Members:
    """Find an object's members, or say what is wrong with it.

    Errors:  FormatError.
    """
    what = f"'{where}'" if where else "The request body"
    try:
        return read_members(body or b"{}")
    except DuplicateKeyError:
        raise FormatError(
            f"{what} names a field twice.", code="duplicate_field"
        ) from None
    except TooManyMembersError:
        raise FormatError(
            f"{what} has too many fields.", code="too_many_fields"
        ) from None
    except msgspec.ValidationError:
        raise FormatError(
            f"{what} must be a JSON object.", code="invalid_json"
        ) from None
    except RecursionError:
        raise FormatError(f"{what} is nested too deeply.", code="too_deep") from None
    except UNREADABLE:
        raise FormatError(f"{what} is not valid JSON.", code="invalid_json") from None


def bare_model(name: str) -> str:
    """Return a model's name without the collection Google puts before it."""
    for prefix in MODEL_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def wants_array(arrival: Arrival) -> bool:
    """Tell whether a stream was asked for as one JSON array, Google's default."""
    query = parse_qs(arrival.query.decode("latin-1"))
    return "sse" not in (query.get("alt", [""])[-1], query.get("$alt", [""])[-1])


def _model(members: Members, inner: Members, arrival: Arrival) -> str:
    model = arrival.path_model
    if model is None:
        for values in (members.values, inner.values):
            model = model or text_of(values, "model")
    model = bare_model(model or "").strip()
    if not model:
        raise FormatError("You must name a model.", code="missing_field", param="model")
    if len(model) > MAX_MODEL_CHARS:
        raise FormatError(
            f"'model' must be at most {MAX_MODEL_CHARS} characters.",
            code="invalid_value",
            param="model",
        )
    return model


def _content(inner: Members, start: int) -> tuple[tuple[int, int], ...]:
    """Return where the parts of the body are that a model reads."""
    return tuple(
        (start + begin, start + end)
        for name, (_, begin, end) in inner.spans.items()
        if camel(name) in _READ_BY_MODEL
    )


def _read_chat(peeked: ChatRequest, inner: Members) -> None:
    """Fill in what a generation asks for."""
    contents = inner.values.get("contents")
    if contents is None:
        raise FormatError(
            "The field 'contents' is missing.", code="missing_field", param="contents"
        )
    if memoryview(contents)[0] not in b"[{":
        raise FormatError(
            "'contents' must be an array.", code="invalid_value", param="contents"
        )
    _, start, end = inner.spans["contents"]
    for needle, bit in _MIME_NEEDS:
        if inner.body.find(needle, start, end) >= 0:
            peeked.needs |= bit
    tools = inner.values.get("tools")
    if tools is not None and len(memoryview(tools)) > 4:
        peeked.needs |= base.NEED_TOOLS
    raw = inner.values.get("generationConfig", inner.values.get("generation_config"))
    if raw is not None and bytes(raw) != b"null":
        _read_config(peeked, fields_of(raw, "generationConfig"))
    peeked.service_tier = (
        text_of(inner.values, "serviceTier")
        or text_of(inner.values, "service_tier")
        or None
    )
    peeked.session = text_of(inner.values, "session_id") or None


def _read_config(peeked: ChatRequest, config: dict[str, Any]) -> None:
    """Read the generation's limits and wishes."""
    where = "generationConfig."
    asked = take(config, "maxOutputTokens", int, where)
    if asked is not None:
        if asked < 1:
            raise FormatError(
                "'generationConfig.maxOutputTokens' must be at least 1.",
                code="invalid_value",
                param="generationConfig.maxOutputTokens",
            )
        peeked.max_output_tokens = min(asked, MAX_COUNT)
    choices = take(config, "candidateCount", int, where) or 1
    if not 1 <= choices <= MAX_CHOICES:
        raise FormatError(
            f"'generationConfig.candidateCount' must be between 1 and {MAX_CHOICES}.",
            code="invalid_value",
            param="generationConfig.candidateCount",
        )
    peeked.n = choices
    if choices > 1:
        peeked.needs |= base.NEED_CHOICES
    if not config.keys().isdisjoint({"responseSchema", "responseJsonSchema"}):
        peeked.needs |= base.NEED_JSON_SCHEMA
    if config.get("responseLogprobs") == TRUE:
        peeked.needs |= base.NEED_LOGPROBS
    if b'"AUDIO"' in bytes(config.get("responseModalities", b"")).upper():
        peeked.needs |= base.NEED_AUDIO
    thinking = config.get("thinkingConfig")
    if thinking is not None and _thinks(bytes(thinking)):
        peeked.needs |= base.NEED_REASONING


def _thinks(raw: bytes) -> bool:
    """Tell whether a thinking config asks for more than nothing."""
    wish = fields_of(raw, "generationConfig.thinkingConfig")
    return "thinkingLevel" in wish or wish.get("thinkingBudget", _ZERO) != _ZERO
