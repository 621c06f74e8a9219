"""Whatever is sent, it is refused in words; whatever comes back, it is judged."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats import registry
from providers.formats.base import FormatError
from tests.providers.formats.operations.support import (
    PATHS,
    Way,
    asked,
    form,
    sent_form,
)

NAMES = [
    "prompt",
    "input",
    "model",
    "n",
    "stream",
    "query",
    "documents",
    "top_n",
    "return_documents",
    "echo",
    "logprobs",
    "encoding_format",
    "dimensions",
    "max_tokens",
    "best_of",
    "response_format",
    "voice",
    "size",
    "data",
    "results",
    "index",
    "relevance_score",
    "score",
    "embedding",
    "embeddings",
    "values",
    "usage",
    "meta",
    "text",
    "billed_units",
    "search_units",
    "tokens",
    "input_tokens",
    "output_tokens",
    "seconds",
    "type",
    "choices",
    "message",
    "content",
    "delta",
    "finish_reason",
    "id",
    "object",
    "error",
    "b64_json",
    "duration",
    "document",
    "candidates",
    "parts",
    "inlineData",
    "mimeType",
    "promptFeedback",
    "input_tokens_details",
    "image_tokens",
    "top_logprobs",
    "token",
    "suffix",
    "stop",
    "stream_format",
    "instructions",
    "speed",
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["AAAA", "base64", "float", "pcm", "wav", "sse", "duration"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
LISTS = st.lists(OBJECTS, max_size=3)
CANDIDATES = st.lists(
    st.fixed_dictionaries({"content": st.fixed_dictionaries({"parts": LISTS})}),
    max_size=2,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "choices": LISTS,
        "data": LISTS,
        "results": LISTS,
        "usage": OBJECTS,
        "meta": OBJECTS,
        "candidates": CANDIDATES,
        "embeddings": VALUES,
        "text": LEAVES,
        "model": LEAVES,
        "id": LEAVES,
        "duration": LEAVES,
    },
)
UPSTREAMS = ("openai", "google", "ollama", "anthropic", "azure")
GOOD = {"prompt": "a", "input": ["a"], "query": "q", "documents": ["a", {"text": "b"}]}


def request_of(op, **fields):
    """Make a request that is read, whatever the operation."""
    if op == "transcription":
        return sent_form(op, form(("model", "house"), ("file", b"x")))
    good = dict(GOOD)
    if op == "speech":
        good |= {"input": "a", "response_format": "pcm"}
        fields.pop("response_format", None)
    return asked(op, **{**good, **fields})


def ways(request, upstreams):
    """Yield the ways to the upstreams that have the operation and can express it."""
    op = request.arrival.op
    for upstream in upstreams:
        for model in ("up", "gpt-4o"):
            if registry.bridge("openai", upstream, model, op) is not None:
                with contextlib.suppress(FormatError):
                    yield Way(request, upstream, model)


@pytest.mark.parametrize("op", [op for op in PATHS if op != "transcription"])
@given(fields=OBJECTS)
@settings(max_examples=30, deadline=None)
def test_a_request_of_any_shape_is_read_or_refused(op, fields) -> None:
    with contextlib.suppress(FormatError):
        request = asked(op, **fields)
        assert request.n >= 1
        assert all(way.sent.body for way in ways(request, UPSTREAMS))


@pytest.mark.parametrize("op", PATHS)
@pytest.mark.parametrize("upstream", ["openai", "google", "ollama"])
@given(
    answer=ANSWERS,
    asked_for=st.fixed_dictionaries(
        {},
        optional={
            "return_documents": st.booleans(),
            "top_n": st.integers(-1, 3),
            "encoding_format": st.sampled_from(["base64", "float"]),
            "echo": st.booleans(),
            "response_format": st.sampled_from(["pcm", "wav", "url"]),
            "stream": st.booleans(),
        },
    ),
)
@settings(max_examples=25, deadline=None)
def test_an_answer_of_any_shape_is_read_or_an_error(
    op, upstream, answer, asked_for
) -> None:
    if op == "completions":
        asked_for = {**asked_for, "prompt": "a"}
    for way in ways(request_of(op, **asked_for), [upstream]):
        _judge(way, json.dumps(answer).encode())


def _judge(way, body) -> None:
    """Read an answer whole or as a stream; what is counted must be believable."""
    if way.request.stream:
        out, tap = way.streamed(body, 17)
        assert tap.error is not None or tap.complete or not out
        _, tap = way.streamed(b"data: %b\n\ndata: [DONE]\n\n" % body, 40)
        usage = tap.usage
    else:
        meta = way.back(body)
        assert meta.error is not None or meta.body
        usage = meta.usage
    for name in ("prompt_tokens", "completion_tokens", "units"):
        assert usage is None or (getattr(usage, name) or 0) >= 0


@pytest.mark.parametrize("op", PATHS)
@given(data=st.binary(max_size=80))
@settings(max_examples=30, deadline=None)
def test_bytes_of_any_kind_are_judged(op, data) -> None:
    meta = Way(request_of(op, prompt="a")).back(data)
    assert meta.error is not None or meta.body == data or op == "rerank"


@given(data=st.binary(max_size=80), at=st.integers(0, 300))
@settings(max_examples=100, deadline=None)
def test_a_form_with_rubbish_in_it_is_read_or_refused(data, at) -> None:
    body = form(("model", "house"), ("file", data))
    with contextlib.suppress(FormatError):
        sent_form("transcription", body[:at] + data + body[at:])
