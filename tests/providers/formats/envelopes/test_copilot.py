from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, ResponseMeta, Target, UpstreamRequest
from providers.formats.envelopes import initiator, one_choice
from providers.formats.envelopes.copilot import FORMAT, HEADERS, dialects_of
from providers.formats.envelopes.listed_input import ListedInput
from providers.formats.envelopes.one_choice import OneChoice
from providers.formats.envelopes.wrapping import PlainEdge
from providers.formats.neutral.codec import Encoded, Reply, View
from providers.formats.neutral.events import (
    Answer,
    Choice,
    Delta,
    End,
    Finish,
    PartClose,
    PartOpen,
    Start,
)
from providers.formats.neutral.types import Media, Request, Text, ToolResult, Turn

USER = {"role": "user", "content": "Hi"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "1"}
PICTURE = {
    "role": "user",
    "content": [
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
        }
    ],
}
PNG = "iVBORw0KGgo="


def chat(*messages, **fields):
    body = {"model": "m", "messages": list(messages or (USER,))}
    return registry.get("openai").read_request(json.dumps(body | fields).encode())


def sent(request, model="gpt-4o"):
    bridge = registry.bridge(request.dialect, "copilot", model)
    return bridge.build_request(request, Target(model=model))


def test_t19_every_call_has_the_headers_of_an_editor():
    call = sent(chat())
    assert HEADERS.items() <= call.headers.items()
    assert call.headers["x-request-id"]
    assert call.path == "/chat/completions"
    assert json.loads(call.body)["model"] == "gpt-4o"
    assert FORMAT.auth_headers("t") == {**HEADERS, "authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ((USER,), "user"),
        (({"role": "system", "content": "assistant tool"}, USER), "user"),
        ((USER, CALLED, RESULT), "agent"),
        ((USER, {"role": "assistant", "content": "Yes"}, USER), "agent"),
    ],
)
def test_t19_p114_a_user_begins_and_an_agent_goes_on(messages, initiator):
    assert sent(chat(*messages)).headers["x-initiator"] == initiator
    translated = sent(chat(*messages), "gpt-5.4")
    assert translated.headers["x-initiator"] == initiator
    assert translated.path == "/responses"


@pytest.mark.parametrize(
    ("given", "initiator"),
    [
        ("Hi", "user"),
        ([{"role": "user", "content": "Hi"}], "user"),
        ([{"type": "message", "role": "assistant", "content": "x"}], "agent"),
        (
            [
                {"role": "user", "content": "Hi"},
                {"type": "function_call_output", "call_id": "c", "output": "1"},
            ],
            "agent",
        ),
        ([{"type": "custom_tool_call", "call_id": "c", "name": "n"}], "agent"),
    ],
)
def test_t19_the_initiator_is_read_from_a_responses_body_too(given, initiator):
    body = json.dumps({"model": "m", "input": given}).encode()
    request = registry.get("responses").read_request(body)
    call = sent(request, "gpt-5.4")
    assert call.headers["x-initiator"] == initiator
    assert call.path == "/responses"


def test_t19_p114_pictures_are_announced_and_only_they():
    assert "copilot-vision-request" not in sent(chat()).headers
    assert sent(chat(PICTURE)).headers["copilot-vision-request"] == "true"
    ollama = registry.get("ollama")
    body = {"model": "m", "messages": [USER | {"images": [PNG]}]}
    translated = sent(ollama.read_request(json.dumps(body).encode()))
    assert translated.headers["copilot-vision-request"] == "true"
    assert translated.headers["x-initiator"] == "user"


def test_p7_context_management_is_taken_out_of_messages_and_named():
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],'
        b'"context_management":{"edits":[]}, "x" : 1e3}'
    )
    arrival = Arrival(path="/v1/messages")
    request = registry.get("anthropic").read_request(body, arrival)
    call = sent(request, "claude-sonnet-4.5")
    assert call.path == "/v1/messages"
    assert "context_management" not in json.loads(call.body)
    assert any("context_management" in loss for loss in call.losses)
    assert b'"x" : 1e3' in call.body
    assert call.headers["x-initiator"] == "user"


@pytest.mark.parametrize(
    ("model", "dialects"),
    [
        ("gpt-4o", ("openai",)),
        ("gpt-4.1", ("openai",)),
        ("o4-mini", ("openai",)),
        ("gemini-2.5-pro", ("openai",)),
        ("gpt-5-mini", ("openai", "responses")),
        ("gpt-5", ("responses",)),
        ("gpt-5.4-mini", ("responses",)),
        ("GPT-5.3-Codex", ("responses",)),
        ("gpt-10", ("responses",)),
        ("claude-opus-4.6", ("openai", "anthropic")),
        ("github/claude-opus-4.6", ("openai", "anthropic")),
    ],
)
def test_p120_a_model_is_asked_in_a_dialect_it_has(model, dialects):
    assert dialects_of(model) == dialects
    for inbound in ("openai", "responses", "anthropic"):
        relay = FORMAT.relay(inbound, "chat", model)
        assert (relay is not None) == (inbound in dialects)
        assert registry.bridge(inbound, "copilot", model) is not None
    assert FORMAT.codec(model).id == dialects[0]
    assert FORMAT.relay("openai", "images", model) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b'{"input": "x","a":1e3}', b'{"input": ["x"],"a":1e3}'),
        (b'{"input":["x"]}', b'{"input":["x"]}'),
        (b'{"input":[1,2]}', b'{"input":[1,2]}'),
    ],
)
def test_embeddings_are_asked_for_a_list(given, expected):
    edge = ListedInput("/embeddings", HEADERS)
    call = UpstreamRequest(given, "/x", "m", headers={"a": "b"})
    out = edge.relayed(chat(), call, Target(model="m"))
    assert out.body == expected
    assert out.path == "/embeddings"
    assert out.headers == {**HEADERS, "a": "b"}
    assert FORMAT.relay("ollama", "embeddings", "m") is None


def test_paths_have_no_version():
    assert FORMAT.upstream_path("models", model="", stream=False) == "/models"
    assert FORMAT.upstream_path("chat", model="gpt-5.4", stream=True) == "/responses"


SPLIT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "claude-sonnet-4",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Looking."},
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {k: CALLED[k] for k in ("role", "content", "tool_calls")},
            "finish_reason": "tool_calls",
        },
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def test_calls_in_a_second_choice_are_not_lost_in_a_relayed_answer():
    request = chat()
    bridge = registry.bridge("openai", "copilot", "claude-sonnet-4")
    call = bridge.build_request(request, Target(model="claude-sonnet-4"))
    meta = bridge.read_response(request, call, json.dumps(SPLIT).encode())
    (choice,) = json.loads(meta.body)["choices"]
    assert choice["message"]["content"] == "Looking."
    assert choice["message"]["tool_calls"][0]["id"] == "c1"
    assert choice["finish_reason"] == "tool_calls"
    assert meta.finish_reasons == ("tool_calls",)
    assert meta.usage.input_tokens == 3


def test_calls_in_a_second_choice_are_not_lost_in_translation():
    ollama = registry.get("ollama")
    request = ollama.read_request(
        json.dumps({"model": "m", "messages": [USER], "stream": False}).encode()
    )
    bridge = registry.bridge("ollama", "copilot", "claude-sonnet-4")
    call = bridge.build_request(request, Target(model="claude-sonnet-4"))
    meta = bridge.read_response(request, call, json.dumps(SPLIT).encode())
    message = json.loads(meta.body)["message"]
    assert message["content"] == "Looking."
    assert message["tool_calls"][0]["function"]["name"] == "f"


def test_calls_in_a_second_choice_are_not_lost_in_a_stream():
    def chunk(index, delta, finish=None):
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        value = {"id": "x", "object": "chat.completion.chunk", "created": 1}
        return f"data: {json.dumps(value | {'model': 'c', 'choices': [choice]})}\n\n"

    call_delta = {"tool_calls": [CALLED["tool_calls"][0] | {"index": 0}]}
    stream = (
        chunk(0, {"role": "assistant", "content": "Looking."})
        + chunk(0, {}, "stop")
        + chunk(1, call_delta)
        + chunk(1, {}, "tool_calls")
        + "data: [DONE]\n\n"
    )
    ollama = registry.get("ollama")
    request = ollama.read_request(
        json.dumps({"model": "m", "messages": [USER]}).encode()
    )
    bridge = registry.bridge("ollama", "copilot", "claude-sonnet-4")
    call = bridge.build_request(request, Target(model="claude-sonnet-4"))
    tap = bridge.open_tap(request, call, ollama.open_stream(request, request_id="r"))
    out = tap.feed(stream.encode()) + tap.eof()
    said = [json.loads(line)["message"] for line in out.splitlines()]
    assert said[0]["content"] == "Looking."
    assert said[1]["tool_calls"][0]["function"]["name"] == "f"
    assert tap.complete


def test_one_choice_is_left_as_it_is_and_answers_that_were_asked_for_too():
    one = SPLIT | {"choices": SPLIT["choices"][:1]}
    bridge = registry.bridge("openai", "copilot", "gpt-4o")
    for request, body in ((chat(), one), (chat(n=2), SPLIT)):
        call = bridge.build_request(request, Target(model="gpt-4o"))
        raw = json.dumps(body | {"model": "m"}).encode()
        assert bridge.read_response(request, call, raw).body == raw


def test_a_picture_in_a_tools_result_is_a_picture():
    part = ToolResult(content=(Media(kind="image", source="base64", data=PNG),))
    turns = (Turn(role="tool", parts=(part,)),)
    assert initiator.has_images(Request(dialect="x", model="m", turns=turns))
    bare = (Turn(role="tool", parts=(ToolResult(),)),)
    assert not initiator.has_images(Request(dialect="x", model="m", turns=bare))


def test_messages_nobody_can_read_are_a_users():
    assert not initiator.is_agents(chat({"role": 5}))


@pytest.mark.parametrize("body", [b"oops", b'{"error":{"message":"no"}}'])
def test_what_is_no_answer_stays_an_error(body):
    bridge = registry.bridge("openai", "copilot", "gpt-4o")
    call = bridge.build_request(chat(), Target(model="gpt-4o"))
    assert bridge.read_response(chat(), call, body).error is not None


def test_a_torn_answer_is_left_to_its_reader():
    codec = registry.get("openai").codec("")
    meta = ResponseMeta(body=b'"finish_reason" "finish_reason"')
    assert one_choice.joined_answer(codec, chat(), meta) is meta


def test_a_plain_edge_changes_nothing():
    edge, target, call = PlainEdge(), Target(model="m"), UpstreamRequest(b"", "", "m")
    encoded, meta = Encoded(body=b"", path=""), ResponseMeta(body=b"")
    decoder = FORMAT.codec("gpt-4o").open_decoder(Reply(model="m"))
    neutral = Request(dialect="x", model="m")
    assert edge.aim(target) is target
    assert edge.relayed(chat(), call, target) is call
    assert edge.encoded(neutral, encoded, target) is encoded
    assert edge.answered(chat(), meta) is meta
    assert edge.events([]) == []
    assert edge.decoder(decoder) is decoder


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4"])
def test_the_codec_speaks_as_the_dialect_inside(model):
    codec, request = FORMAT.codec(model), chat()
    inner = registry.get(codec.id)
    neutral = registry.get("openai").codec("").decode_request(request)
    view = View(model="m", request=neutral, asked=request, created=1)
    part = Text(text="Hi")
    answer = Answer(choices=(Choice(parts=(part,)),), is_complete=True)
    assert b'"Hi"' in codec.encode_answer(answer, view)
    stream = inner.open_stream(request, request_id="r")
    assert b"Hi" in codec.open_encoder(view, stream).encode(
        [
            Start(),
            PartOpen(pos=0, kind="text"),
            Delta(pos=0, text="Hi"),
            PartClose(pos=0, part=part),
            Finish(reason="end"),
            End(),
        ]
    )
    if model == "gpt-4o":
        assert codec.decode_request(request) == neutral


def test_the_finish_that_says_most_is_kept():
    joined = OneChoice().feed(
        [
            PartOpen(pos=0, kind="text", choice=1),
            Finish(reason="max_tokens"),
            Finish(reason="end", choice=1),
            End(),
        ]
    )
    assert joined == [
        PartOpen(pos=0, kind="text"),
        Finish(reason="max_tokens"),
        End(),
    ]


def test_a_model_that_refuses_an_endpoint_says_so():
    body = (
        b'{"error":{"message":"model \\"gpt-5.4\\" is not accessible via the '
        b'/chat/completions endpoint","code":"unsupported_api_for_model"}}'
    )
    assert FORMAT.read_error(400, body).code == "unsupported_api_for_model"
