"""T83 and its kin: fragments of calls, however a server cuts them."""

from __future__ import annotations

import json

import pytest

from providers.formats.neutral.events import Finish, PartClose, PartOpen
from tests.providers.formats.chat import chunk, sse
from tests.providers.formats.openai_chat.cases import (
    answer_of,
    events_of,
    repaired,
    whole,
)


def call(index=None, call_id=None, name=None, arguments=None, **extra):
    function = {}
    if name is not None:
        function["name"] = name
    if arguments is not None:
        function["arguments"] = arguments
    fragment = {"function": function, **extra}
    if index is not None:
        fragment["index"] = index
    if call_id is not None:
        fragment["id"] = call_id
    return fragment


def stream_of(*chunks, finish="tool_calls"):
    """Frame chunks of fragments; each chunk is a fragment or a list of them."""
    frames = [
        chunk({"tool_calls": each if isinstance(each, list) else [each]})
        for each in chunks
    ]
    return sse(*frames, chunk({}, finish), "[DONE]")


def calls_of(*chunks, **fields):
    answer = answer_of(stream_of(*chunks, **fields))
    assert answer.is_complete
    assert answer.choices[0].finish.reason == "tool_calls"
    return [(part.id, part.name, part.arguments) for part in answer.choices[0].parts]


A, B = ("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(
            [
                call(0, "a", "f", ""),
                call(0, arguments='{"x"'),
                call(0, arguments=":1}"),
            ],
            [A],
            id="as-documented",
        ),
        pytest.param(
            [
                call(0, "a", "f", ""),
                call(1, "b", "g", ""),
                call(0, arguments='{"x"'),
                call(1, arguments='{"y"'),
                call(0, arguments=":1}"),
                call(1, arguments=":2}"),
            ],
            [A, B],
            id="t82-interleaved",
        ),
        pytest.param(
            [
                call(0, "a", "f", '{"x"'),
                call(0, "", "", ":1}"),
                call(1, "b", "g", '{"y":2}'),
            ],
            [A, B],
            id="p27-blank-id-and-name",
        ),
        pytest.param(
            [call(0, "a", "f", '{"x"'), call(0, "a", "f", ":1}")],
            [A],
            id="p28-id-and-name-on-each",
        ),
        pytest.param(
            [call(0, "a", "f", '{"x"'), call(0, "zzz", None, ":1}")],
            [A],
            id="a-new-id-on-each-fragment",
        ),
        pytest.param(
            [call(0, "a", "f", '{"x":1}'), call(0, "b", "g", '{"y":2}')],
            [A, B],
            id="p22-p29-all-index-0",
        ),
        pytest.param(
            [
                call(0, "a", "f", ""),
                call(0, "b", "g", ""),
                call(0, "a", None, '{"x":1}'),
                call(0, "b", None, '{"y":2}'),
            ],
            [A, B],
            id="index-0-told-apart-by-id",
        ),
        pytest.param(
            [call(None, "a", "f", '{"x"'), call(None, None, None, ":1}")],
            [A],
            id="no-index",
        ),
        pytest.param(
            [[call(None, "a", "f", '{"x":1}'), call(None, "b", "g", '{"y":2}')]],
            [A, B],
            id="no-index-two-in-a-chunk",
        ),
        pytest.param(
            [
                call(None, "a", "f", '{"x"'),
                call(None, "b", "g", '{"y"'),
                call(None, "a", None, ":1}"),
                call(None, "b", None, ":2}"),
            ],
            [A, B],
            id="no-index-told-apart-by-id",
        ),
        pytest.param([call(0, "a", "f", {"x": 1})], [A], id="arguments-object"),
        pytest.param([call(0, "a", "f")], [("a", "f", "{}")], id="no-arguments"),
        pytest.param(
            [call(0, "a", "f", None), call(0, None, None, '{"x":1}')],
            [A],
            id="arguments-null",
        ),
        pytest.param(
            [call(0, "a", None, '{"x"'), call(0, None, "f", ":1}")], [A], id="name-late"
        ),
        pytest.param(
            [call(0, None, "f"), call(0, "a", None, '{"x":1}')], [A], id="id-late"
        ),
        pytest.param(
            [call(0, "a", "f", '{"x":1}'), call(0)], [A], id="nothing-follows"
        ),
        pytest.param([call(0, "a", "f", '{"x":1}'), call(1)], [A], id="nameless"),
        pytest.param(
            [call(0, "a", "f", '{"x":1}', type="function")], [A], id="in-one-piece"
        ),
    ],
)
def test_t83_fragments_find_their_call(chunks, expected):
    def tight(calls):
        return [(each[0], each[1], each[2].replace(" ", "")) for each in calls]

    assert tight(calls_of(*chunks)) == expected


@pytest.mark.parametrize(
    "chunks",
    [
        [call(0, None, "f", '{"x":1}'), call(0, None, "f", '{"x":1}')],
        [call(None, None, "f", '{"x":1}'), call(None, None, "g", '{"x":1}')],
        [[call(None, None, "f"), call(None, None, "f")]],
        [call(0, "same", "f", "{}"), call(1, "same", "g", "{}")],
        [call(0, "", "f", "{}"), call(1, "", "g", "{}")],
    ],
)
def test_calls_without_an_id_of_their_own_get_one(chunks):
    first, second = calls_of(*chunks)
    assert first[0] != second[0]
    assert first[0]
    assert second[0].startswith("call_")
    assert calls_of(*chunks) == [first, second]  # the same answer, the same ids


def test_two_whole_calls_of_one_id_are_two():
    wired = [call(None, "same", "f", "{}"), call(None, "same", "f", "{}")]
    body = {"choices": [{"message": {"tool_calls": wired}}]}
    first, second = whole(body).choices[0].parts
    assert first.id == "same"
    assert second.id not in ("same", "")


@pytest.mark.parametrize("word", ["stop", "tool_use", "end_turn", "function_call", ""])
def test_t84_calls_decide_the_finish(word):
    assert calls_of(call(0, "a", "f", "{}"), finish=word) == [("a", "f", "{}")]


def test_a_finish_of_calls_without_a_call_is_an_end():
    answer = answer_of(sse(chunk({"content": "a"}), chunk({}, "tool_calls"), "[DONE]"))
    assert answer.choices[0].finish.reason == "end"


def test_fragments_after_the_finish_are_void():
    stream = stream_of(call(0, "a", "f", "{}"))[: -len(b"data: [DONE]\n\n")]
    late = chunk({"tool_calls": [call(0, None, None, "}")]})
    answer = answer_of(stream + sse(late, "[DONE]"))
    assert answer.choices[0].parts[0].arguments == "{}"


def test_a_call_is_whole_before_the_next_one_is_opened():
    events = events_of(stream_of(call(0, "a", "f", "{}"), call(1, "b", "g", "{}")))
    kinds = [type(event) for event in events if isinstance(event, PartOpen | PartClose)]
    assert kinds == [PartOpen, PartClose, PartOpen, PartClose]
    finish = next(event for event in repaired(stream_of(call(0, "a", "f")))[::-1]
                  if isinstance(event, Finish))  # fmt: skip
    assert finish.reason == "tool_calls"


def test_text_is_closed_before_a_call_opens():
    frames = [
        chunk({"content": "hm"}),
        chunk({"tool_calls": [call(0, "a", "f", "{}")]}),
        chunk({"content": "so"}),
        chunk({}, "tool_calls"),
    ]
    parts = answer_of(sse(*frames, "[DONE]")).choices[0].parts
    assert [type(part).__name__ for part in parts] == ["Text", "ToolCall", "Text"]


def test_custom_calls_are_free_text():
    pieces = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}},
        {"index": 0, "custom": {"input": "*** "}},
        {"index": 0, "custom": {"input": "Begin"}},
    ]
    part = answer_of(stream_of(*pieces)).choices[0].parts[0]
    assert (part.kind, part.name, part.arguments) == ("custom", "f", "*** Begin")


def test_proof_on_a_call_is_kept():
    extra = {"extra_content": {"google": {"thought_signature": "sig"}}}
    for chunks in (
        [call(0, "a", "f", "{}", **extra)],
        [call(0, "a", "f", "{"), call(0, None, None, "}", **extra)],
        [call(0, "a", None, None, **extra), call(0, None, "f", "{}")],
    ):
        part = answer_of(stream_of(*chunks)).choices[0].parts[0]
        assert [(p.family, p.data) for p in part.opaque] == [("google", "sig")]
    odd = {"extra_content": {"google": 5}}
    part = answer_of(stream_of(call(0, "a", "f", "{}", **odd))).choices[0].parts[0]
    assert part.opaque == ()


def test_t107_a_legacy_call_is_a_call():
    frames = [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":'}}),
        chunk({"function_call": {"arguments": "1}"}}),
        chunk({}, "function_call"),
    ]
    answer = answer_of(sse(*frames, "[DONE]"))
    part = answer.choices[0].parts[0]
    assert (part.name, json.loads(part.arguments)) == ("f", {"x": 1})
    assert part.id.startswith("call_")
    assert answer.choices[0].finish.reason == "tool_calls"
