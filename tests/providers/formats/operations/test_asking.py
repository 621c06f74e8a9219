"""What the rooms learn of requests that are no conversation."""

from __future__ import annotations

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError
from providers.formats.operations.asking import read_operation
from tests.providers.formats.operations.support import (
    BOUNDARY,
    PATHS,
    asked,
    form,
    sent_form,
)

OPENAI = registry.get("openai")


@pytest.mark.parametrize(
    ("op", "fields", "stream", "output", "units"),
    [
        ("completions", {"prompt": "a", "stream": True}, True, 16, (None, None)),
        ("completions", {"prompt": "a", "max_tokens": 9}, False, 9, (None, None)),
        ("embeddings", {"input": "a"}, False, 0, (None, None)),
        ("images", {"prompt": "a", "n": 3}, False, 6_240, (3, "image")),
        ("images", {"prompt": "a", "stream": True}, True, 6_240, (1, "image")),
        ("speech", {"input": "hello"}, True, 10, (5, "character")),
        ("moderations", {"input": "a"}, False, 0, (1, "request")),
        (
            "rerank",
            {"query": "a", "documents": ["b"]},
            False,
            0,
            (1, "request"),
        ),
    ],
)
def test_a_request_tells_what_it_may_cost(op, fields, stream, output, units) -> None:
    request = asked(op, **fields)
    assert request.stream is stream
    assert request.max_output_tokens == output
    assert (request.units, request.unit_kind) == units
    assert request.model == "house"
    assert request.content_spans


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("a", 2), (["a", "b", "c"], 6), ([1, 2, 3], 2), ([[1], [2]], 4), ([], 2)],
)
def test_each_prompt_is_answered_by_itself(prompt, count) -> None:
    assert asked("completions", prompt=prompt, n=1, best_of=2).n == count


def test_the_model_may_be_left_out_where_openai_has_one() -> None:
    arrival = Arrival(op="moderations", path="/v1/moderations")
    request = OPENAI.read_request(b'{"input":"a"}', arrival)
    assert request.model == "omni-moderation-latest"
    with pytest.raises(FormatError) as refusal:
        OPENAI.read_request(
            b'{"input":"a"}', Arrival(op="embeddings", path="/v1/embeddings")
        )
    assert refusal.value.param == "model"


@pytest.mark.parametrize(
    ("op", "fields", "param"),
    [
        ("embeddings", {}, "input"),
        ("embeddings", {"input": "a", "model": 3}, "model"),
        ("embeddings", {"input": "a", "model": " "}, "model"),
        ("embeddings", {"input": "a", "model": "m" * 600}, "model"),
        ("images", {}, "prompt"),
        ("images", {"prompt": "a", "n": 0}, "n"),
        ("images", {"prompt": "a", "n": "x"}, "n"),
        ("speech", {}, "input"),
        ("speech", {"input": 4}, "input"),
        ("rerank", {"documents": []}, "query"),
        ("completions", {"prompt": "a", "max_tokens": -1}, "max_tokens"),
        ("completions", {"prompt": "a", "stream": "yes"}, "stream"),
    ],
)
def test_what_is_plainly_wrong_is_refused_by_name(op, fields, param) -> None:
    with pytest.raises(FormatError) as refusal:
        asked(op, **fields)
    assert refusal.value.param == param


def test_a_form_is_read_without_its_files() -> None:
    body = form(
        ("model", "house"),
        ("file", b"\r\n--x" * 8_000),
        ("stream", "true"),
        ("user", "u-1"),
    )
    request = sent_form("transcription", body)
    assert (request.model, request.stream, request.end_user) == ("house", True, "u-1")
    assert (request.units, request.unit_kind) == (11, "second")
    assert request.max_output_tokens == 2_000
    assert repr(request.neutral) == f"<Form 4 parts, {len(body)} bytes>"


def test_a_recording_must_come_as_a_form() -> None:
    with pytest.raises(FormatError) as refusal:
        asked("transcription", file="a")
    assert refusal.value.code == "invalid_form"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        f"--{BOUNDARY}\r\nno end of the head".encode(),
        form(("model", "house"))[:-30],
        b"--" + BOUNDARY.encode() + b"\r\n\r\n\r\n" * 3,
    ],
)
def test_a_broken_form_is_refused(body) -> None:
    with pytest.raises(FormatError):
        sent_form("transcription", body)


def test_a_form_without_a_boundary_is_refused() -> None:
    fields = {b"content-type": b"multipart/form-data"}
    arrival = Arrival(op="transcription", path="/v1/audio/x", fields=fields)
    with pytest.raises(FormatError):
        read_operation(b"--a", arrival)


def test_a_path_with_a_model_is_not_for_this() -> None:
    with pytest.raises(FormatError):
        read_operation(b"{}", Arrival(op="images", path="/x", path_model="m"))


@pytest.mark.parametrize("op", PATHS)
def test_every_operation_has_its_path_on_both_sides(op) -> None:
    routes = {route.path: route.op for route in OPENAI.routes}
    assert routes[PATHS[op]] == op
    path = OPENAI.upstream_path(op, model="m", stream=False)
    assert "/v1" + path == PATHS[op]
