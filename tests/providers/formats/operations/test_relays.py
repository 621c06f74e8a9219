"""Requests and answers of one dialect pass as they are."""

from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Target
from tests.providers.formats.operations.support import (
    BOUNDARY,
    FIXTURES,
    PATHS,
    Way,
    asked,
    events,
    form,
    sent_form,
)

SOUND = bytes(range(256)) * 64 + b"\r\n--not the boundary\r\n"
USAGE = {
    "input_tokens": 12,
    "output_tokens": 300,
    "total_tokens": 312,
    "input_tokens_details": {"text_tokens": 4, "image_tokens": 8},
}


def test_only_the_model_changes() -> None:
    request = asked("embeddings", input=["a"], odd={"x": [1, 2]})
    way = Way(request)
    assert way.sent.body == request.body.replace(b'"house"', b'"up"')
    assert way.sent.path == "/embeddings"
    assert (
        Way(asked("moderations", input="a"), model="house").sent.body
        == asked("moderations", input="a").body
    )


def test_what_an_upstream_refuses_is_left_out_and_named() -> None:
    request = asked("embeddings", input="a", dimensions=3)
    bridge = registry.bridge("openai", "openai", "up", "embeddings")
    target = Target(model="up", drop=frozenset({"dimensions"}))
    sent = bridge.build_request(request, target)
    assert "dimensions" not in json.loads(sent.body)
    assert sent.losses == ("dimensions:drop",)


def test_t21_of_a_form_only_the_models_part_changes() -> None:
    body = form(("model", "house"), ("file", SOUND), ("language", "en"))
    way = Way(sent_form("transcription", body))
    assert way.sent.body == body.replace(b"house", b"up")
    assert way.sent.content_type == f"multipart/form-data; boundary={BOUNDARY}"
    same = Way(sent_form("transcription", body), model="house")
    assert same.sent.body is same.request.body


def test_t21_a_form_without_a_model_gets_one() -> None:
    body = form(("image", SOUND), ("prompt", "a"), files=("image",))
    way = Way(sent_form("images", body, "/v1/images/edits"))
    again = sent_form("images", way.sent.body, "/v1/images/edits")
    assert again.model == "up"
    assert way.sent.body.endswith(body)
    assert way.sent.path == "/images/edits"


@pytest.mark.parametrize("name", [n for n in FIXTURES if "usage" in FIXTURES[n]])
def test_documented_answers_pass_and_are_metered(name) -> None:
    fixture = FIXTURES[name]
    op, fields = fixture["op"], fixture["request"]
    if op == "transcription":
        parts = [(key, str(value)) for key, value in fields.items()]
        request = sent_form(op, form(("model", "house"), ("file", b"x"), *parts))
    else:
        request = asked(op, **fields)
    meta = Way(request).back(fixture["answer"])
    assert meta.error is None
    assert meta.usage == TokenUsage(**fixture["usage"])
    if "model" not in fixture["answer"] and op != "rerank":
        assert json.loads(meta.body) == fixture["answer"]


@pytest.mark.parametrize("op", [*PATHS])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"3", b"{}", b'{"error":{"message":"busy"}}']
)
def test_what_is_no_answer_is_an_error(op, body) -> None:
    if op == "transcription":
        request = sent_form(op, form(("model", "house"), ("file", b"x")))
    else:
        fields = {"input": "a", "prompt": "a", "query": "a", "documents": []}
        request = asked(op, **fields)
    meta = Way(request).back(body)
    if op == "speech" and body[:1] not in (b"{", b"<"):
        assert meta.body == body
    elif op == "rerank" and body == b"[]":
        assert json.loads(meta.body)["results"] == []
    else:
        assert meta.error is not None


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_t112_text_stays_text(kind) -> None:
    body = form(("model", "house"), ("response_format", kind), ("file", b"x"))
    way = Way(sent_form("transcription", body))
    meta = way.back(b"1\n00:00 --> 00:01\nHi\n")
    assert meta.body == b"1\n00:00 --> 00:01\nHi\n"
    assert meta.content_type == "text/plain; charset=utf-8"
    assert meta.keeps_type
    assert meta.usage is None
    assert way.back(b'{"error":{"message":"no"}}').error is not None
    assert way.back(b"{braces}").body == b"{braces}"
    assert way.back(b"<!DOCTYPE html><html>Sign in").error is not None
    assert way.back(b'{"text":"Hi"}').body == b'{"text":"Hi"}'


def test_a_verbose_transcript_states_its_length() -> None:
    parts = ("response_format", "verbose_json")
    way = Way(sent_form("transcription", form(("model", "m"), parts, ("file", b"x"))))
    for length in (8.2, "8.2"):
        meta = way.back({"text": "Hi", "duration": length})
        if isinstance(length, float):
            assert meta.usage == TokenUsage(units=9, unit_kind="second")
    assert meta.text_bytes == 2


def test_t22_sound_passes_byte_by_byte() -> None:
    way = Way(asked("speech", input="hello", voice="a"))
    assert way.sent.is_stream
    out, tap = way.everywhere(SOUND)
    assert out == SOUND
    assert tap.complete
    assert tap.usage == TokenUsage(units=5, unit_kind="character")
    assert (tap.finished, tap.out_bytes, tap.model) == (True, len(SOUND), "up")


@pytest.mark.parametrize(
    ("asked_for", "content_type"),
    [("", "audio/mpeg"), ("wav", "audio/wav"), ("odd", "application/octet-stream")],
)
def test_t22_sound_has_its_type_and_no_words_of_ours(asked_for, content_type) -> None:
    fields = {"response_format": asked_for} if asked_for else {}
    request = asked("speech", input="a", **fields)
    stream = registry.get("openai").open_stream(request, request_id="r")
    assert stream.content_type == content_type
    assert stream.keepalive() == b""
    assert stream.error_frame(None, request_id="r") == b""


def test_sound_that_is_json_is_an_error_unless_it_is_sound() -> None:
    way = Way(asked("speech", input="a"))
    out, tap = way.streamed(b'{"error":{"message":"no voice"}}', 5)
    assert (out, tap.complete) == (b"", False)
    assert tap.error.message == "no voice"
    assert tap.feed(b"x") == b""
    assert way.streamed(b'{"a":1}')[1].error.code == "upstream_invalid_response"
    page = b"\n<html><head><title>Sign in</title></head>" + b"x" * 99
    for cut in (len(page), 50):
        out, tap = way.streamed(page[:cut], 9)
        assert (out, tap.complete) == (b"", False)
        assert tap.error is not None
    for noise in (b"{noise", b"{" * 70_000, b"<noise" * 40, b"< n"):
        out, tap = way.streamed(noise, 1_000)
        assert (out, tap.complete) == (noise, True)
    out, tap = way.streamed(b"")
    assert (out, tap.complete, tap.error) == (b"", False, None)


SPEECH = [
    {"type": "speech.audio.delta", "audio": "AAAA"},
    {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 4, "output_tokens": 50, "total_tokens": 54},
    },
]
TRANSCRIPT = [
    {"type": "transcript.text.delta", "delta": "Hi"},
    {
        "type": "transcript.text.done",
        "text": "Hi",
        "usage": {
            "type": "tokens",
            "input_tokens": 14,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
            "output_tokens": 2,
            "total_tokens": 16,
        },
    },
]
PICTURES = [
    {"type": "image_generation.partial_image", "b64_json": "AAAA"},
    {"type": "image_generation.completed", "b64_json": "BBBB", "usage": USAGE},
]
STREAMS = {
    "speech": (SPEECH, TokenUsage(4, output_tokens=0, audio_out_tokens=50)),
    "transcription": (
        TRANSCRIPT,
        TokenUsage(4, output_tokens=2, audio_in_tokens=10),
    ),
    "images": (
        PICTURES,
        TokenUsage(4, output_tokens=0, image_in_tokens=8, image_out_tokens=300),
    ),
}


def streaming(op: str) -> Way:
    if op == "speech":
        return Way(asked(op, input="a", stream_format="sse"))
    if op == "images":
        return Way(asked(op, prompt="a", stream=True))
    body = form(("model", "house"), ("stream", "true"), ("file", b"x"))
    return Way(sent_form(op, body))


@pytest.mark.parametrize("op", STREAMS)
def test_events_pass_as_they_came_and_are_metered(op) -> None:
    rows, usage = STREAMS[op]
    data = b": hello\n\n" + b"".join(
        b"event: %b\ndata: %b\n\n" % (row["type"].encode(), json.dumps(row).encode())
        for row in rows
    )
    out, tap = streaming(op).everywhere(data)
    assert out == data
    assert tap.complete
    assert tap.usage == usage


@pytest.mark.parametrize("op", STREAMS)
@pytest.mark.parametrize(
    "fault",
    [
        b'data: {"error":{"message":"busy","code":"overloaded"}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"message":"busy"}}\n\n',
        b"data: {broken\n\n",
        b"",
    ],
)
def test_a_broken_stream_of_events_is_never_complete(op, fault) -> None:
    first = b"data: " + json.dumps(STREAMS[op][0][0]).encode() + b"\n\n"
    out, tap = streaming(op).streamed(first + fault, 11)
    assert out in (first, b"")
    assert not tap.complete
    assert (tap.error is None) == (not fault)
    out, tap = streaming(op).streamed(fault)
    assert (out, tap.useful, tap.complete) == (b"", False, False)


@pytest.mark.parametrize("op", ["images", "transcription"])
def test_t103_an_answer_that_came_whole_is_worded_as_events(op) -> None:
    whole = {
        "images": {"created": 1, "data": [{"b64_json": "BBBB"}], "usage": USAGE},
        "transcription": {"text": "Hi", "usage": TRANSCRIPT[1]["usage"]},
    }[op]
    out, tap = streaming(op).everywhere(json.dumps(whole).encode())
    (event,) = events(out)
    assert event["type"] == STREAMS[op][0][1]["type"]
    assert tap.complete
    assert tap.usage == STREAMS[op][1]
    out, tap = streaming(op).streamed(b'{"error":{"message":"no"}}')
    assert (out, tap.error.message) == (b"", "no")


def test_speech_that_came_as_json_is_an_error() -> None:
    out, tap = streaming("speech").streamed(b'{"audio":"AAAA"}')
    assert (out, tap.complete) == (b"", False)
    assert tap.error is not None


def test_no_platform_is_asked_for_what_it_has_not() -> None:
    assert registry.bridge("openai", "azure", "m", "rerank") is None
    assert registry.bridge("openai", "anthropic", "m", "embeddings") is None
    assert registry.bridge("anthropic", "openai", "m", "images") is None
    assert registry.bridge("openai", "google", "m", "moderations") is None
    assert registry.bridge("openai", "ollama", "m", "images") is None
    assert registry.bridge("google", "vertex", "gpt-oss", "embeddings") is None


def test_azure_has_these_under_its_own_paths() -> None:
    body = form(("model", "house"), ("file", b"x"))
    way = Way(sent_form("transcription", body), "azure", "dep")
    assert way.sent.path == "/openai/v1/audio/transcriptions"
    assert way.sent.content_type.startswith("multipart/form-data")
    assert Way(asked("embeddings", input="a"), "copilot").body["input"] == ["a"]
