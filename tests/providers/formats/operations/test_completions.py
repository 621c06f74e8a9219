"""T106: legacy completions, where they are and where there is only chat."""

from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import FormatError
from providers.formats.operations.completions import is_chat_only
from tests.providers.formats.operations.support import Way, asked, events

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def piece(text, finish=None, **more):
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    body = {"id": "cmpl-1", "object": "text_completion", "model": "up"}
    return {**body, "choices": [choice], **more}


def sse(*rows) -> bytes:
    lines = [b"data: %b\n\n" % json.dumps(row).encode() for row in rows]
    return b"".join(lines) + b"data: [DONE]\n\n"


def test_a_stream_passes_and_usage_is_asked_for_and_taken_out() -> None:
    way = Way(asked("completions", prompt="a", stream=True))
    assert way.sent.path == "/completions"
    assert way.body["stream_options"] == {"include_usage": True}
    last = {**piece("", usage=USAGE), "choices": []}
    out, tap = way.everywhere(sse(piece("Hi"), piece(" you", "stop"), last))
    assert [row["choices"][0]["text"] for row in events(out)] == ["Hi", " you"]
    assert {row["model"] for row in events(out)} == {"house"}
    assert out.endswith(b"data: [DONE]\n\n")
    assert tap.usage == TokenUsage(input_tokens=5, output_tokens=2)
    assert (tap.text_bytes, tap.complete) == (6, True)


def test_a_stream_that_breaks_off_is_not_complete() -> None:
    way = Way(asked("completions", prompt="a", stream=True))
    out, tap = way.streamed(sse(piece("Hi"))[:-14])
    assert out
    assert not tap.complete
    out, tap = way.streamed(b'data: {"error":{"message":"busy"}}\n\n')
    assert (out, tap.error.message) == (b"", "busy")


def test_t103_a_whole_answer_to_a_stream_is_one_piece_of_it() -> None:
    way = Way(asked("completions", prompt="a", stream=True))
    whole = json.dumps(piece("Hi", "stop", usage=USAGE)).encode()
    out, tap = way.everywhere(whole)
    assert events(out)[0]["choices"][0]["text"] == "Hi"
    assert out.endswith(b"data: [DONE]\n\n")
    assert tap.usage == TokenUsage(input_tokens=5, output_tokens=2)
    assert way.streamed(b'{"error":{"message":"no"}}')[1].error.message == "no"


def test_an_answer_without_usage_is_measured() -> None:
    meta = Way(asked("completions", prompt="a")).back(piece("Hi you", "stop"))
    assert (meta.usage, meta.text_bytes) == (None, 6)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", True),
        ("gpt-5-mini", True),
        ("gpt-3.5-turbo", True),
        ("openai/o3", True),
        ("chatgpt-4o-latest", True),
        ("gpt-3.5-turbo-instruct", False),
        ("davinci-002", False),
        ("llama-3", False),
        ("gpt-oss-20b", False),
    ],
)
def test_what_openai_serves_as_chat_alone_is_known_by_name(model, expected) -> None:
    assert is_chat_only(model) is expected


CHAT = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 3,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi"},
            "finish_reason": "stop",
            "logprobs": {
                "content": [
                    {
                        "token": "Hi",
                        "logprob": -0.5,
                        "bytes": None,
                        "top_logprobs": [{"token": "Ho", "logprob": -2, "bytes": None}],
                    }
                ]
            },
        }
    ],
    "usage": USAGE,
}


def test_t106_the_prompt_is_wrapped_and_the_answer_worded() -> None:
    request = asked(
        "completions",
        prompt="Once",
        echo=True,
        logprobs=1,
        suffix="end",
        stop=["x"],
        temperature=0.5,
        best_of=1,
    )
    way = Way(request, model="gpt-4o")
    assert way.sent.path == "/chat/completions"
    assert way.body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 16,
        "temperature": 0.5,
        "stop": ["x"],
        "logprobs": True,
        "top_logprobs": 1,
    }
    assert way.sent.losses == ("suffix:drop", "best_of:drop")
    told = way.told(CHAT)
    assert (told["id"], told["object"]) == ("cmpl-7", "text_completion")
    assert told["model"] == "house"
    assert told["choices"] == [
        {
            "text": "OnceHi",
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {
                "tokens": ["Hi"],
                "token_logprobs": [-0.5],
                "top_logprobs": [{"Ho": -2}],
                "text_offset": [0],
            },
        }
    ]
    assert told["usage"] == USAGE
    assert way.back(CHAT).usage == TokenUsage(input_tokens=5, output_tokens=2)
    assert way.back(b'{"error":{"message":"no"}}').error.message == "no"


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "model": "gpt-4o"}
    return {**head, "choices": [choice], **more}


def test_t106_a_stream_of_chat_becomes_one_of_text() -> None:
    options = {"include_usage": True}
    fields = {"prompt": "Once", "stream": True, "stream_options": options}
    way = Way(asked("completions", echo=True, **fields), model="gpt-4o")
    last = {**chunk({}, usage=USAGE), "choices": []}
    data = sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hi"}),
        chunk({"content": " you"}),
        chunk({}, "stop"),
        last,
    )
    out, tap = way.everywhere(data)
    rows = events(out)
    assert [r["choices"][0]["text"] for r in rows[:3]] == ["OnceHi", " you", ""]
    assert rows[2]["choices"][0]["finish_reason"] == "stop"
    assert rows[3]["usage"] == USAGE
    assert {row["object"] for row in rows} == {"text_completion"}
    assert out.endswith(b"data: [DONE]\n\n")
    assert (tap.complete, tap.done, tap.finished) == (True, True, True)
    assert tap.usage == TokenUsage(input_tokens=5, output_tokens=2)
    assert (tap.text_bytes, tap.out_bytes) == (6, len(out))
    assert tap.finish_reasons == ("stop",)
    assert (tap.model, tap.response_id) == ("gpt-4o", "chatcmpl-7")
    assert (tap.flags, tap.service_tier, tap.vendor_cost_nano_usd) == ((), None, None)
    out, tap = way.streamed(data[:200])
    assert not tap.complete
    assert tap.useful is bool(out)


@pytest.mark.parametrize("upstream", ["anthropic", "google", "ollama", "responses"])
def test_t106_every_chat_upstream_serves_completions(upstream) -> None:
    answers = {
        "anthropic": {
            "type": "message",
            "role": "assistant",
            "model": "up",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 5, "output_tokens": 2},
        },
        "google": {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": "Hi"}]},
                    "finishReason": "STOP",
                }
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2},
        },
        "ollama": {
            "model": "up",
            "message": {"role": "assistant", "content": "Hi"},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 5,
            "eval_count": 2,
        },
        "responses": {
            "id": "resp_1",
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "Hi"}],
                }
            ],
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
        },
    }
    way = Way(asked("completions", prompt=["Once"], max_tokens=50), upstream)
    told = way.told(answers[upstream])
    assert told["object"] == "text_completion"
    assert told["choices"][0]["text"] == "Hi"
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("prompt", [[1, 2], ["a", "b"], [[1]], {"a": 1}, 5])
def test_what_chat_cannot_be_asked_is_refused(prompt) -> None:
    with pytest.raises(FormatError) as refusal:
        Way(asked("completions", prompt=prompt), "anthropic")
    assert refusal.value.param == "prompt"
