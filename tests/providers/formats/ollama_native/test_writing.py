from __future__ import annotations

import json
from datetime import datetime

import msgspec
import pytest

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    Delta,
    End,
    Finish,
    PartClose,
    PartOpen,
    Start,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import ToolCall
from providers.formats.ollama_native.codec import OllamaCodec
from providers.formats.ollama_native.dialect import FORMAT
from tests.providers.formats.ollama_native.support import (
    CODEC,
    FIXTURES,
    GENERATE,
    REPLY,
    asked,
    events_of,
    view,
    written,
)

USAGE = TokenUsage(input_tokens=4, cache_read_tokens=3, output_tokens=9)


def answered(*parts, reason="end", usage=USAGE, detail=""):
    """Return the repaired events of an answer of (kind, text or call) parts."""
    events = [Start(model="up", created=1)]
    for pos, (kind, said) in enumerate(parts):
        if kind == "tool_call":
            identity, name, arguments = said
            events.append(PartOpen(pos=pos, kind=kind, id=identity, name=name))
            cut = len(arguments) // 2
            events += [Delta(pos=pos, text=arguments[:cut])]
            events += [Delta(pos=pos, text=arguments[cut:])]
        else:
            events += [PartOpen(pos=pos, kind=kind), Delta(pos=pos, text=said)]
        events.append(PartClose(pos=pos))
    events.append(Finish(reason=reason, detail=detail))
    if usage is not None:
        events.append(UsageSeen(usage=usage))
    return Repair().feed([*events, End()])


def test_a_stream_is_one_object_a_line_and_a_last_one():
    first, final = written(answered(("text", 'He said "hi" 🙂')))
    assert first == {
        "model": "llama3.2",
        "created_at": "2026-09-21T14:13:20Z",
        "message": {"role": "assistant", "content": 'He said "hi" 🙂'},
        "done": False,
    }
    assert final == {
        "model": "llama3.2",
        "created_at": "2026-09-21T14:13:20Z",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 7,
        "prompt_eval_duration": 0,
        "eval_count": 9,
        "eval_duration": 0,
    }


def test_t88_reasoning_is_thinking_apart_from_the_text():
    thought, text, _ = written(answered(("reasoning", "Hm"), ("text", "Yes")))
    assert thought["message"] == {
        "role": "assistant",
        "content": "",
        "thinking": "Hm",
    }
    assert text["message"] == {"role": "assistant", "content": "Yes"}


def test_t102_a_call_is_whole_with_an_object_for_arguments():
    lines = written(
        answered(
            ("text", "Looking."),
            ("tool_call", ("toolu_1", "weather", '{"city":"Oslo"}')),
            ("tool_call", ("toolu_2", "time", "")),
        )
    )
    _, first, second, final = lines
    assert first["message"]["tool_calls"] == [
        {
            "id": "toolu_1",
            "function": {
                "index": 0,
                "name": "weather",
                "arguments": {"city": "Oslo"},
            },
        }
    ]
    assert second["message"]["tool_calls"][0]["function"] == {
        "index": 1,
        "name": "time",
        "arguments": {},
    }
    assert final["done_reason"] == "stop"
    assert (final["prompt_eval_count"], final["eval_count"]) == (7, 9)


@pytest.mark.parametrize(
    ("reason", "word"),
    [("end", "stop"), ("max_tokens", "length"), ("context_full", "length")],
)
def test_t96_the_reason_is_stop_or_length(reason, word):
    assert written(answered(("text", "x"), reason=reason))[-1]["done_reason"] == word


@pytest.mark.parametrize("reason", ["refusal", "prompt_blocked", "malformed"])
def test_t93_t94_an_answer_that_was_withheld_says_so(reason):
    said, _ = written(answered(reason=reason))
    assert said["message"]["content"]
    explained, _ = written(answered(reason=reason, detail="Because."))
    assert explained["message"]["content"] == "Because."
    whole = CODEC.encode_answer(gather(answered(reason=reason)), view())
    assert json.loads(whole)["message"]["content"] == said["message"]["content"]
    refused, _ = written(answered(("refusal", "No."), reason=reason))
    assert refused["message"]["content"] == "No."


def test_usage_nobody_reported_is_left_out():
    final = written(answered(("text", "x"), usage=None))[-1]
    assert "eval_count" not in final
    partly = TokenUsage(output_tokens=0)
    final = written(answered(("text", "x"), usage=partly))[-1]
    assert final["eval_count"] == 0
    assert "prompt_eval_count" not in final


def test_only_the_first_choice_is_written():
    events = [
        Start(),
        PartOpen(pos=0, kind="text"),
        PartOpen(pos=1, kind="text", choice=1),
        Delta(pos=0, text="a"),
        Delta(pos=1, text="b"),
        Finish(reason="max_tokens"),
        Finish(reason="end", choice=1),
        End(),
    ]
    lines = written(Repair().feed(events))
    assert [line["message"]["content"] for line in lines] == ["a", ""]
    assert lines[-1]["done_reason"] == "length"


def test_a_whole_answer_says_what_the_stream_says():
    events = answered(
        ("reasoning", "Hm"),
        ("text", "One "),
        ("text", "two"),
        ("tool_call", ("c", "f", '{"a":1}')),
    )
    whole = json.loads(CODEC.encode_answer(gather(events), view()))
    lines = written(events)
    assert whole["done"] is True
    assert whole["message"]["content"] == "One two"
    assert whole["message"]["thinking"] == "Hm"
    assert whole["message"]["tool_calls"] == lines[-2]["message"]["tool_calls"]
    counts = {key: whole[key] for key in whole if key.endswith("_count")}
    assert counts == {"prompt_eval_count": 7, "eval_count": 9}
    assert counts == {key: lines[-1][key] for key in counts}
    assert json.loads(CODEC.encode_answer(gather([]), view()))["message"] == {
        "role": "assistant",
        "content": "",
    }


def test_a_prompt_is_answered_in_its_own_shape():
    request = asked(GENERATE, prompt="Hi")
    lines = written(answered(("reasoning", "Hm"), ("text", "Yes")), request)
    assert [line.get("response") for line in lines] == ["", "Yes", ""]
    assert lines[0]["thinking"] == "Hm"
    assert all("message" not in line for line in lines)
    events = answered(("text", "Yes"))
    whole = json.loads(CODEC.encode_answer(gather(events), view(request)))
    assert whole["response"] == "Yes"
    assert whole["done"] is True


def test_logprobs_stand_beside_the_message():
    events = [
        PartOpen(pos=0, kind="text"),
        Delta(pos=0, text="a", logprobs=msgspec.Raw(b'[{"token":"a"}]')),
        Delta(pos=0, text="b", logprobs=msgspec.Raw(b'[{"token":"b"}]')),
        End(),
    ]
    events = Repair().feed(events)
    assert written(events)[0]["logprobs"] == [{"token": "a"}]
    whole = json.loads(CODEC.encode_answer(gather(events), view()))
    assert whole["logprobs"] == [{"token": "a"}, {"token": "b"}]


def test_logprobs_of_odd_shape_are_passed_on_whole():
    events = [
        PartOpen(pos=0, kind="text"),
        Delta(pos=0, text="a", logprobs=msgspec.Raw(b'{"token":"a"}')),
        End(),
    ]
    whole = CODEC.encode_answer(gather(Repair().feed(events)), view())
    assert json.loads(whole)["logprobs"] == [{"token": "a"}]


def test_the_time_an_answer_took_is_stated():
    ticks = iter((100, 350))
    codec = OllamaCodec(now_ns=lambda: next(ticks))
    request = asked()
    stream = FORMAT.open_stream(request, request_id="r")
    out = codec.open_encoder(view(request), stream).encode(answered(("text", "x")))
    final = json.loads(out.splitlines()[-1])
    assert final["total_duration"] == final["eval_duration"] == 250


@pytest.mark.parametrize("name", FIXTURES)
def test_what_is_written_reads_as_the_same(name):
    events = events_of(FIXTURES[name]["stream"].encode())
    answer = gather(events)
    if not answer.is_complete:
        return
    request = asked()
    stream = FORMAT.open_stream(request, request_id="r")
    out = CODEC.open_encoder(view(request), stream).encode(events)
    again = gather(events_of(out))
    whole = CODEC.encode_answer(answer, view(request))
    third = gather(Repair().feed(CODEC.decode_answer(whole, REPLY)))
    for read in (again, third):
        assert said_of(read) == said_of(answer)
        assert read.usage == answer.usage


def said_of(answer):
    """Return an answer's texts by kind, its calls, and how it ended."""
    texts, calls = {}, []
    for part in answer.choices[0].parts:
        if isinstance(part, ToolCall):
            calls.append((part.id, part.name, json.loads(part.arguments)))
        else:
            texts[type(part)] = texts.get(type(part), "") + part.text
    return texts, calls, answer.choices[0].finish.reason


@pytest.mark.parametrize(
    ("arrival", "silence"),
    [
        (None, {"message": {"role": "assistant", "content": ""}}),
        (GENERATE, {"response": ""}),
    ],
)
def test_t120_a_keepalive_is_a_line_without_content(arrival, silence):
    request = asked(GENERATE, prompt="x") if arrival else asked()
    stream = FORMAT.open_stream(request, request_id="r")
    line = stream.keepalive()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    said = json.loads(line)
    assert silence.items() <= said.items()
    assert said["model"] == "llama3.2"
    assert said["done"] is False
    assert events_of(line + line) == [Start(model="llama3.2", created=read(line))]


def read(line):
    """Return when a line says it was written, in Unix seconds."""
    stamp = json.loads(line)["created_at"]
    return int(datetime.fromisoformat(stamp).timestamp())


def test_t118_an_error_is_a_line_of_its_own():
    stream = FORMAT.open_stream(asked(), request_id="r")
    frame = stream.error_frame(ErrorDetail(message="It broke."), request_id="r")
    assert frame == b'{"error":"It broke."}\n'
