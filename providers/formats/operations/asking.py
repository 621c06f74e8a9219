"""Peek into what OpenAI's other endpoints are sent: what the rooms must know of it.

A body is JSON, or a form where files come with it. The model may be left out where
OpenAI has a default of its own.

Source: reference wire 1.3.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.tokens import MAX_COUNT
from providers.formats.base import (
    UNREADABLE,
    Arrival,
    ChatRequest,
    FormatError,
    Op,
)
from providers.formats.gemini_generate.peek import members_of
from providers.formats.jsonspans import Members
from providers.formats.operations.multipart import Form, is_form, read_form

MAX_MODEL_CHARS: Final = 512
MOST_IMAGES: Final = 128
DEFAULT_MODELS: Final[dict[Op, str]] = {
    "images": "dall-e-2",
    "moderations": "omni-moderation-latest",
}
_SPANS: Final[dict[Op, tuple[str, ...]]] = {
    "completions": ("prompt", "suffix"),
    "embeddings": ("input",),
    "images": ("prompt",),
    "speech": ("input", "instructions"),
    "moderations": ("input",),
    "rerank": ("query", "documents", "texts"),
}
_REQUIRED: Final[dict[Op, str]] = {
    "embeddings": "input",
    "images": "prompt",
    "speech": "input",
    "moderations": "input",
    "rerank": "query",
}
_CHECKED: Final[dict[Op, tuple[tuple[str, type], ...]]] = {
    "completions": (("echo", bool),),
    "embeddings": (("encoding_format", str),),
    "rerank": (("top_n", int), ("return_documents", bool)),
}
"""What decides how an answer is worded: it is too late to refuse it then."""

_DEFAULT_COMPLETION: Final = 16
_MOST_OUTPUT: Final[dict[Op, int]] = {"transcription": 2_000, "images": 6_240}
"""The most an answer may have: OpenAI's transcribing models write 2,000 tokens, its
largest and best picture is 6,240 of them.

Source: OpenAI's models as widely known; not checked against its pages.
"""
_FEWEST_BYTES_PER_SECOND: Final = 4_000
"""Speech at 32 kbit/s; what is recorded better is shorter than reserved for."""

_MOST_TOKENS_PER_CHARACTER: Final = 2
"""Speech of some fifteen characters a second, in some twenty tokens of sound."""

_EMPTY: Final = Members(b"{}", {}, {})
_TYPES: Final[dict[type, str]] = {
    bool: "a boolean",
    int: "an integer",
    str: "a string",
}


def read_operation(body: bytes, arrival: Arrival) -> ChatRequest:
    """Read what the proxy must know; leave judging the rest to the upstream.

    Shapes:  see ``ChatRequest``; ``members`` are empty for a form, whose parts are in
             ``neutral``. ``max_output_tokens`` is what the operation can write at most.
    Errors:  FormatError with the field at fault in ``param``.
    """
    if arrival.path_model is not None:
        raise FormatError("This path takes no model.", code="wrong_endpoint")
    content_type = arrival.fields.get(b"content-type", b"")
    if is_form(content_type):
        return _from_form(read_form(body, content_type), arrival)
    if arrival.op == "transcription":
        raise FormatError(
            "Send the recording as multipart/form-data.", code="invalid_form"
        )
    return _from_json(members_of(body), arrival)


def form_of(request: ChatRequest) -> Form | None:
    """Return the form a request came as, None for JSON."""
    return request.neutral if isinstance(request.neutral, Form) else None


def value_of(members: Members, name: str, kind: type) -> Any:
    """Return a member the proxy depends on; absent and null are None.

    Errors:  FormatError naming it.
    """
    raw = members.values.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        raise FormatError(
            f"'{name}' must be {_TYPES[kind]}.", code="invalid_value", param=name
        ) from None


def _from_json(members: Members, arrival: Arrival) -> ChatRequest:
    op = arrival.op
    required = _REQUIRED.get(op)
    if required and required not in members.values and not _is_variation(arrival):
        raise FormatError(
            f"The field '{required}' is missing.", code="missing_field", param=required
        )
    for name, kind in _CHECKED.get(op, ()):
        value_of(members, name, kind)
    stream = value_of(members, "stream", bool) or False
    made = ChatRequest(
        dialect="openai",
        body=members.body,
        model=_checked_model(value_of(members, "model", str), op),
        members=members,
        content_spans=tuple(
            members.spans[name][1:]
            for name in _SPANS.get(op, ())
            if name in members.spans
        ),
        stream=op == "speech" or (stream and op in ("completions", "images")),
        n=_count(value_of(members, "n", int)),
        end_user=_loose(members, "user"),
        arrival=arrival,
    )
    if op == "completions":
        _read_completion(made, members)
    elif op == "speech":
        text = value_of(members, "input", str) or ""
        made.units, made.unit_kind = len(text), "character"
    _bound(made)
    return made


def _from_form(form: Form, arrival: Arrival) -> ChatRequest:
    op = arrival.op
    count = form.text("n") or ""
    made = ChatRequest(
        dialect="openai",
        body=form.body,
        model=_checked_model(form.text("model"), op),
        members=_EMPTY,
        content_spans=tuple(
            (part.start, part.end)
            for part in form.parts
            if part.name == "prompt" and not part.is_file
        ),
        stream=(form.text("stream") or "").strip().lower() in ("true", "1"),
        n=_count(int(count) if count.isdecimal() and len(count) < 4 else None),
        end_user=form.text("user") or None,
        arrival=arrival,
        neutral=form,
    )
    if op == "transcription":
        seconds = form.file_bytes // _FEWEST_BYTES_PER_SECOND + 1
        made.units, made.unit_kind = seconds, "second"
    _bound(made)
    return made


def _bound(made: ChatRequest) -> None:
    """Say how much an answer may grow, in tokens and in what else is billed."""
    op = made.arrival.op
    if op == "speech":
        made.max_output_tokens = (made.units or 0) * _MOST_TOKENS_PER_CHARACTER
    elif op != "completions":
        made.max_output_tokens = _MOST_OUTPUT.get(op, 0)
    if op == "images":
        made.units, made.unit_kind = made.n, "image"
    elif op in ("moderations", "rerank"):
        made.units, made.unit_kind = 1, "request"


def _read_completion(made: ChatRequest, members: Members) -> None:
    """Read what a completion may cost beside its prompt."""
    raw = members.values.get("stream_options")
    if made.stream and raw is not None:
        try:
            options = msgspec.json.decode(raw)
        except UNREADABLE:
            options = None
        wants = isinstance(options, dict) and options.get("include_usage") is True
        made.include_usage = wants
    asked = value_of(members, "max_tokens", int)
    if asked is not None and asked < 0:
        raise FormatError(
            "'max_tokens' must not be negative.",
            code="invalid_value",
            param="max_tokens",
        )
    made.max_output_tokens = (
        _DEFAULT_COMPLETION if asked is None else min(asked, MAX_COUNT)
    )
    tried = _count(value_of(members, "best_of", int))
    made.n = max(made.n, tried) * _prompts(members)


def _prompts(members: Members) -> int:
    """Count the prompts: each is answered by itself."""
    raw = members.values.get("prompt")
    if raw is None or bytes(raw)[:1] != b"[":
        return 1
    try:
        listed = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except UNREADABLE:
        return 1
    is_tokens = bool(listed) and bytes(listed[0])[:1] not in (b'"', b"[")
    return 1 if is_tokens else max(1, len(listed))


def _is_variation(arrival: Arrival) -> bool:
    return arrival.path.endswith("/variations")


def _count(asked: int | None) -> int:
    if asked is not None and not 1 <= asked <= MOST_IMAGES:
        raise FormatError(
            f"'n' must be between 1 and {MOST_IMAGES}.", code="invalid_value", param="n"
        )
    return asked or 1


def _checked_model(named: str | None, op: Op) -> str:
    model = DEFAULT_MODELS.get(op) if named is None else named
    if model is None:
        raise FormatError(
            "You must name a model: the field 'model' is missing.",
            code="missing_field",
            param="model",
        )
    if not model.strip() or len(model) > MAX_MODEL_CHARS:
        raise FormatError(
            f"'model' must have 1 to {MAX_MODEL_CHARS} characters.",
            code="invalid_value",
            param="model",
        )
    return model


def _loose(members: Members, name: str) -> str | None:
    """Return a text nothing depends on; odd types read as absent."""
    try:
        return value_of(members, name, str) or None
    except FormatError:
        return None
