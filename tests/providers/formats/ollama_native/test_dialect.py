from __future__ import annotations

import json

import pytest

from providers.formats import base, registry
from providers.formats.base import Arrival, ChatRequest, FormatError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import read_members
from providers.formats.ollama_native.dialect import FORMAT
from providers.proxy.paths import RouteTable
from tests.providers.formats.ollama_native.support import (
    EMBED,
    FIXTURES,
    GENERATE,
    asked,
    last,
    lines,
    said,
)

RELAY = registry.bridge("ollama", "ollama", "up")
ODD = b'{ "messages" : [{"role":"user","content":"\\u00e9"}], "x":1e3,"model":"a" }'


def relayed(data, request, pieces=None, model="up"):
    """Run a stream through the relay."""
    sent = RELAY.build_request(request, Target(model=model))
    tap = RELAY.open_tap(request, sent, FORMAT.open_stream(request, request_id="r"))
    out = b"".join([tap.feed(piece) for piece in pieces or [data]])
    return out + tap.eof(), tap


@pytest.mark.parametrize(
    ("method", "path", "op"),
    [
        ("POST", "/api/chat", "chat"),
        ("POST", "/api/generate", "chat"),
        ("POST", "/api/embed", "embeddings"),
        ("POST", "/api/embeddings", "embeddings"),
        ("GET", "/api/tags", "models"),
        ("POST", "/api/show", "local"),
        ("GET", "/api/version", "local"),
        ("GET", "/api/ps", "local"),
    ],
)
def test_every_path_is_found(method, path, op):
    match = RouteTable([FORMAT]).find(method, path)
    assert match.op == op
    assert match.wire is FORMAT


def test_t20_a_request_keeps_its_bytes_but_for_the_model():
    request = FORMAT.read_request(ODD)
    sent = RELAY.build_request(request, Target(model="up"))
    assert sent.body == ODD.replace(b'"a"', b'"up"')
    assert sent.path == "/api/chat"
    assert sent.is_stream
    same = RELAY.build_request(request, Target(model="a"))
    assert same.body is request.body


def test_a_prompt_is_relayed_to_its_own_path():
    request = asked(GENERATE, prompt="x", stream=False)
    sent = RELAY.build_request(request, Target(model="up"))
    assert sent.path == "/api/generate"
    assert not sent.is_stream


def test_a_learned_refusal_is_taken_out_and_named():
    request = asked(think=True)
    target = Target(model="up", drop=frozenset({"think"}))
    sent = RELAY.build_request(request, target)
    assert b"think" not in sent.body
    assert sent.losses == ("think:drop",)


@pytest.mark.parametrize("name", FIXTURES)
def test_t20_a_stream_is_relayed_with_the_model_that_was_asked_for(name):
    data = FIXTURES[name]["stream"].encode()
    expect = FIXTURES[name]["expect"]
    request = asked(model="mine")
    out, tap = relayed(data, request)
    kept = data.split(b'{"error"')[0]
    if not kept.endswith(b"\n"):
        kept += b"\n"
    assert out == kept.replace(b'"llama3.2"', b'"mine"')
    assert tap.complete is expect["complete"]
    assert (tap.usage and tap.usage.output_tokens) == expect["output"]
    assert tap.model == "llama3.2"
    for at in range(1, len(data)):
        assert relayed(data, request, [data[:at], data[at:]])[0] == out


def test_the_last_line_is_done_and_ends_the_relay():
    data = FIXTURES["text"]["stream"].encode()
    out, tap = relayed(data + lines(said(content="more")), asked())
    assert json.loads(out.splitlines()[-1])["done"] is True
    assert tap.done
    assert b"more" not in out


def test_a_model_that_is_not_first_is_echoed_too():
    line = b'{"message":{"content":"the \\"model\\": \\"x\\""}, "model" : "up"}\n'
    out, _ = relayed(line + lines(last(model="up")), asked())
    assert out.startswith(line.replace(b'"up"', b'"llama3.2"'))


def test_blank_lines_are_relayed_as_they_are():
    data = lines(said(content="x"), last()).replace(b"\n", b"\n\n", 1)
    out, tap = relayed(data, asked())
    assert out == data
    assert tap.complete


def test_a_whole_answer_is_relayed_and_metered():
    request = asked(stream=False)
    sent = RELAY.build_request(request, Target(model="up"))
    body = lines(last(model="up")).strip()
    meta = RELAY.read_response(request, sent, body)
    assert meta.body == body.replace(b'"up"', b'"llama3.2"')
    assert meta.usage.input_tokens == 7
    assert meta.model == "up"
    assert meta.error is None


@pytest.mark.parametrize("name", ["text", "thinking", "generate", "tools"])
def test_t103_lines_nobody_asked_for_become_one_answer(name):
    request = asked(stream=False)
    sent = RELAY.build_request(request, Target(model="up"))
    data, expect = FIXTURES[name]["stream"].encode(), FIXTURES[name]["expect"]
    meta = RELAY.read_response(request, sent, data)
    body = json.loads(meta.body)
    holder = body.get("message", body)
    assert holder.get("content", holder.get("response")) == expect["text"]
    assert holder.get("thinking", "") == expect.get("thinking", "")
    assert len(holder.get("tool_calls", ())) == len(expect.get("calls", ()))
    assert body["done"] is True
    assert meta.usage.output_tokens == expect["output"]


@pytest.mark.parametrize("body", [b"oops", b'{"error":"no"}', b"{}", b""])
def test_what_is_no_answer_is_not_relayed_as_one(body):
    request = asked(stream=False)
    sent = RELAY.build_request(request, Target(model="up"))
    meta = RELAY.read_response(request, sent, body)
    assert meta.error is not None


def test_embeddings_are_relayed_and_counted():
    bridge = registry.bridge("ollama", "ollama", "up", "embeddings")
    request = asked(EMBED, input=["a", "b"])
    assert not request.stream
    sent = bridge.build_request(request, Target(model="up"))
    assert sent.path == "/api/embed"
    body = b'{"model":"up","embeddings":[[0.1]],"prompt_eval_count":3}'
    meta = bridge.read_response(request, sent, body)
    assert meta.usage.input_tokens == 3
    assert meta.body == body.replace(b'"up"', b'"llama3.2"')
    old = bridge.read_response(request, sent, b'{"embedding":[0.1]}')
    assert old.usage is None
    assert old.error is None
    for broken in (b"oops", b'{"error":"no"}'):
        assert bridge.read_response(request, sent, broken).error is not None
    assert registry.bridge("anthropic", "ollama", "up", "embeddings") is None


def test_t135_the_models_are_listed_as_tags():
    told = json.loads(FORMAT.models_list(["gpt-4o", "claude"], created=1_790_000_000))
    first, second = told["models"]
    assert (first["name"], first["model"]) == ("gpt-4o", "gpt-4o")
    assert first["modified_at"] == "2026-09-21T14:13:20Z"
    assert first["digest"] != second["digest"]
    assert len(first["digest"]) == 64
    assert json.loads(FORMAT.models_list([])) == {"models": []}


def small(path, model="", **fields):
    """Return a request the dialect answers by itself, as the proxy words it."""
    return ChatRequest(
        dialect="ollama",
        body=b"{}",
        model=model,
        members=read_members(b"{}"),
        arrival=Arrival(op="local", path=path),
        **fields,
    )


def test_show_lists_what_a_model_can_do():
    needs = base.NEED_TOOLS | base.NEED_VISION | base.NEED_REASONING
    request = small("/api/show", "m", needs=needs, context_window=128_000)
    told = json.loads(FORMAT.local_answer(request))
    assert told["capabilities"] == ["completion", "tools", "vision", "thinking"]
    name = told["model_info"]["general.architecture"]
    assert told["model_info"][f"{name}.context_length"] == 128_000


def test_a_model_of_which_nothing_is_known_is_not_shown_as_less_than_it_is():
    told = json.loads(FORMAT.local_answer(small("/api/show", "m")))
    assert told["capabilities"] == ["completion", "tools", "vision"]
    assert not any("context_length" in key for key in told["model_info"])
    assert json.loads(FORMAT.model_body("m"))["capabilities"]


def test_no_model_is_not_shown():
    with pytest.raises(FormatError) as refused:
        FORMAT.local_answer(small("/api/show"))
    assert refused.value.param == "model"


def test_the_version_is_one_that_editors_take():
    version = json.loads(FORMAT.local_answer(small("/api/version")))["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    assert FORMAT.local_answer(small("/api/ps")) == b'{"models":[]}'


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, None, 400),
        (401, "invalid_api_key", 401),
        (404, "model_not_found", 404),
        (422, None, 400),
        (429, "rate_limit_exceeded", 429),
        (429, "insufficient_quota", 402),
        (500, None, 500),
        (529, "server_is_overloaded", 503),
        (504, "timeout", 504),
    ],
)
def test_t113_an_error_is_a_text_with_a_status(status, code, expected):
    detail = ErrorDetail(message="It broke.", code=code)
    got, body = FORMAT.build_error(status, detail, request_id="r")
    assert (got, body) == (expected, b'{"error":"It broke."}')


@pytest.mark.parametrize(
    ("status", "body", "message", "code"),
    [
        (404, b'{"error":"model \'x\' not found"}', "model 'x' not found", None),
        (500, b'{"error":"boom"}', "boom", None),
        (401, b'{"error":{"message":"key","code":"bad"}}', "key", "bad"),
        (502, b"<html>", "", None),
        (500, b"", "", None),
        (500, b"plain words", "plain words", None),
        (500, b"[1]", "", None),
    ],
)
def test_an_upstreams_error_is_read_whatever_it_is(status, body, message, code):
    detail = FORMAT.read_error(status, body)
    assert detail.message == message
    assert detail.code == (code or ("model_not_found" if status == 404 else None))
    assert detail.status == status


def test_the_upstream_is_asked_below_its_root_with_a_bearer():
    assert FORMAT.upstream_path("chat", model="m", stream=True) == "/api/chat"
    assert FORMAT.upstream_path("models", model="", stream=False) == "/api/tags"
    assert FORMAT.upstream_path("embeddings", model="m", stream=False) == "/api/embed"
    assert FORMAT.auth_headers("k") == {"authorization": "Bearer k"}
    assert FORMAT.auth_headers("") == {}
