from __future__ import annotations

import json
import random
from itertools import pairwise

import msgspec
import pytest

from pricing.tokens import TokenUsage
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Reasoning, ToolCall
from tests.providers.formats.openai_responses.rs import CODEC, FIXTURES, REPLY, decoded

TERMINALS = ("response.completed", "response.incomplete", "response.failed")


def _seen(part):
    """Return a part as the fixtures describe it."""
    kind = type(part).__name__
    seen = {"type": kind}
    if kind == "Unknown":
        return seen | {"kind": part.type}
    if kind == "Media":
        return seen | {"data": part.data, "media_type": part.media_type}
    if kind == "ToolCall":
        seen |= {"name": part.name, "arguments": part.arguments, "id": part.id}
        seen |= {"namespace": part.namespace} if part.namespace else {}
        return seen | ({"kind": part.kind} if part.kind != "function" else {})
    seen["text"] = part.text
    if kind == "Text" and part.citations:
        seen["citations"] = len(part.citations)
    if kind == "Reasoning" and part.opaque:
        seen["proof"] = part.opaque[0].data
    return seen


def _parts(answer):
    return [_seen(part) for choice in answer.choices for part in choice.parts]


@pytest.mark.parametrize("name", FIXTURES)
def test_a_stream_becomes_the_answer_it_is(name):
    fixture = FIXTURES[name]
    expect = fixture["expect"]
    answer = gather(decoded([fixture["stream"].encode()]))
    assert answer.is_complete is expect["complete"]
    assert (answer.error.message if answer.error else None) == expect["error"]
    if expect["complete"]:
        assert _parts(answer) == expect["parts"]
        assert answer.choices[0].finish.reason == expect["finish"]
        assert answer.usage == TokenUsage(**expect["usage"])
        assert answer.id == "resp_67ccd3a9"


@pytest.mark.parametrize("name", FIXTURES)
def test_t99_where_a_stream_is_cut_changes_nothing(name):
    stream = FIXTURES[name]["stream"].encode()
    whole = decoded([stream])
    # Every place there is: the long form of the suite of all dialects.
    for place in range(0, len(stream) + 1, 11):
        assert decoded([stream[:place], stream[place:]]) == whole, place
    assert decoded([stream[at : at + 1] for at in range(len(stream))]) == whole
    chooser = random.Random(name)
    for _ in range(20):
        places = sorted(chooser.randrange(len(stream)) for _ in range(5))
        bounds = [0, *places, len(stream)]
        assert decoded([stream[a:b] for a, b in pairwise(bounds)]) == whole


@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_says_where_it_comes_from(name):
    assert FIXTURES[name]["source"]
    assert FIXTURES[name]["kind"] in ("documented", "sdk", "captured-from-mock")


@pytest.mark.parametrize(
    "name", [name for name in FIXTURES if name not in ("codex", "only_deltas")]
)
def test_a_whole_answer_says_what_its_stream_said(name):
    fixture = FIXTURES[name]
    for line in fixture["stream"].splitlines():
        event = json.loads(line.removeprefix("data: ")) if line[:5] == "data:" else {}
        if event.get("type") in TERMINALS[:2]:
            body = msgspec.json.encode(event["response"])
            whole = gather(Repair().feed(CODEC.decode_answer(body, REPLY)))
            streamed = gather(decoded([fixture["stream"].encode()]))
            assert whole.choices == streamed.choices
            assert whole.usage == streamed.usage
            assert whole.is_complete


@pytest.mark.parametrize("end", range(1, 12))
def test_p86_a_stream_without_its_last_event_has_no_end(end):
    frames = FIXTURES["text"]["stream"].split("\n\n")
    answer = gather(decoded(["\n\n".join(frames[: -end - 1]).encode()]))
    assert not answer.is_complete


def test_p84_no_terminator_is_needed_and_one_does_no_harm():
    stream = FIXTURES["text"]["stream"].encode()
    assert decoded([stream]) == decoded([stream + b"data: [DONE]\n\n"])


def test_p85_what_only_informs_ends_nothing():
    limits = b'event: codex.rate_limits\ndata: {"type":"codex.rate_limits",'
    limits += b'"limit_reached":true}\n\n'
    frames = FIXTURES["text"]["stream"].encode().split(b"\n\n")
    noisy = limits + (b"\n\n" + limits).join(frames)
    assert decoded([noisy]) == decoded([FIXTURES["text"]["stream"].encode()])


def test_t125_nothing_after_the_last_event_counts():
    stream = FIXTURES["text"]["stream"].encode()
    assert decoded([stream + stream]) == decoded([stream])


def test_t117_an_error_as_first_frame_is_a_failure_and_nothing_else():
    events = decoded([FIXTURES["error_first"]["stream"].encode()])
    assert [type(event).__name__ for event in events] == ["Failed"]
    assert events[0].error.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("payload", "code", "message"),
    [
        ({"type": "error", "code": "slow_down", "message": "W."}, "slow_down", "W."),
        ({"type": "error", "error": {"code": "c", "message": "W."}}, "c", "W."),
        ({"error": {"message": "W."}}, None, "W."),
        ({"type": "response.failed", "response": {"error": {"code": "c"}}}, "c", None),
        ({"type": "response.failed", "response": {"status": "failed"}}, None, None),
        ({"type": "response.failed"}, None, None),
    ],
)
def test_t118_every_shape_of_an_error_is_read(payload, code, message):
    events = decoded([b"data: " + json.dumps(payload).encode() + b"\n\n"])
    assert events[-1].error.code == code
    assert events[-1].error.message == (message or "The upstream failed.")


@pytest.mark.parametrize("payload", [b"nonsense", b"[1]", b'{"type":', b"\xff"])
def test_p90_a_frame_that_cannot_be_read_fails_the_stream(payload):
    stream = b"data: " + payload + b"\n\n"
    answer = gather(decoded([stream + FIXTURES["text"]["stream"].encode()]))
    assert answer.error.code == "upstream_invalid_response"
    assert not answer.is_complete


def test_t119_a_cut_after_text_is_no_success():
    assert not gather(decoded([FIXTURES["cut"]["stream"].encode()])).is_complete


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b'{"choices":[]}',
        b'{"object":"response","status":"failed","error":{"message":"W."}}',
        b'{"object":"response","status":"cancelled","output":[]}',
        b'{"error":{"message":"W."}}',
    ],
)
def test_what_is_no_answer_is_a_failure(body):
    answer = gather(Repair().feed(CODEC.decode_answer(body, REPLY)))
    assert answer.error is not None
    assert not answer.is_complete


def _stream(*events):
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def _done(item, index=0):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


COMPLETED = {"type": "response.completed", "response": {"id": "r", "output": None}}
CALL = {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}


def test_a_call_that_was_never_opened_comes_whole_at_its_end():
    delta = {"type": "response.function_call_arguments.delta", "delta": "{"}
    answer = gather(decoded([_stream(delta, _done(CALL), COMPLETED)]))
    assert answer.choices[0].parts == (ToolCall(name="f", id="c", arguments="{}"),)


def test_arguments_that_are_an_object_are_its_text():
    item = CALL | {"arguments": {"a": 1}}
    answer = gather(decoded([_stream(_done(item), COMPLETED)]))
    assert answer.choices[0].parts[0].arguments == '{"a":1}'


def test_p25_items_under_one_number_are_all_heard():
    first, second = CALL, CALL | {"call_id": "d", "name": "g"}
    added = {"type": "response.output_item.added", "output_index": 0}
    answer = gather(
        decoded(
            [
                _stream(
                    added | {"item": first},
                    _done(first),
                    added | {"item": second},
                    _done(second),
                    COMPLETED,
                )
            ]
        )
    )
    assert [part.name for part in answer.choices[0].parts] == ["f", "g"]


def test_items_numbered_from_one_are_not_heard_twice():
    completed = {"type": "response.completed", "response": {"output": [CALL]}}
    answer = gather(decoded([_stream(_done(CALL, 1), completed)]))
    assert len(answer.choices[0].parts) == 1


def test_reasoning_that_shows_nothing_is_no_part():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    answer = gather(decoded([_stream(_done(item), _done(CALL, 1), COMPLETED)]))
    assert [type(part) for part in answer.choices[0].parts] == [ToolCall]


def test_t90_proof_alone_is_redacted_reasoning_bound_to_its_account():
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gA"}
    answer = gather(decoded([_stream(_done(item), COMPLETED)]))
    (part,) = answer.choices[0].parts
    assert isinstance(part, Reasoning)
    assert part.is_redacted
    assert part.opaque[0].scope == "account-a"
    assert part.opaque[0].model == "gpt-5.5"


def test_odd_types_are_read_for_what_they_mean():
    response = {
        "id": 7,
        "object": "response",
        "created_at": 1.5,
        "status": None,
        "incomplete_details": "none",
        "output": [
            {"type": "message", "content": "Hi"},
            {"type": "message", "content": None},
            {"type": "message", "content": [7, {"type": "other"}]},
            7,
        ],
        "usage": {"input_tokens": "3", "output_tokens": 4.0},
    }
    answer = gather(
        Repair().feed(CODEC.decode_answer(json.dumps(response).encode(), REPLY))
    )
    assert answer.is_complete
    assert answer.created == 1
    assert answer.choices[0].parts[0].text == "Hi"
    assert answer.usage == TokenUsage(input_tokens=3, output_tokens=4)


def test_log_probabilities_travel_with_their_piece():
    logprobs = [{"token": "H", "logprob": -0.1}]
    delta = {"type": "response.output_text.delta", "delta": "H", "logprobs": logprobs}
    answer = gather(decoded([_stream(delta, COMPLETED)]))
    assert [json.loads(bytes(raw)) for raw in answer.choices[0].logprobs] == [logprobs]
