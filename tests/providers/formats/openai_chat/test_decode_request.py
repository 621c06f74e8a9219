from __future__ import annotations

import pytest

from providers.formats.base import FormatError
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolChoice,
    Unknown,
)
from providers.formats.openai_chat.decode import decode_request
from tests.providers.formats.chat import FORMAT, request
from tests.providers.formats.openai_chat.cases import decoded, messages, plain

FUNCTION = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def only_part(part):
    return messages(user(part)).turns[0].parts[0]


def test_t28_leading_instructions_keep_order_and_authority():
    made = messages(
        {"role": "developer", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "system", "content": [{"type": "text", "text": "c"}]},
        {"role": "user", "content": "d", "name": "eve"},
    )
    assert [turn.authority for turn in made.instructions] == [
        "developer",
        "system",
        "system",
    ]
    assert [turn.parts[0].text for turn in made.instructions] == ["a", "b", "c"]
    assert made.turns[0].name == "eve"


def test_t29_an_instruction_in_the_middle_stays_there():
    made = messages(
        {"role": "user", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": "c"},
    )
    assert made.instructions == ()
    assert [turn.role for turn in made.turns] == ["user", "instruction", "user"]


def test_t34_an_empty_text_is_no_part():
    made = messages({"role": "user", "content": ""}, {"role": "user", "content": None})
    assert [turn.parts for turn in made.turns] == [(), ()]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {
                "type": "image_url",
                "image_url": {"url": "data:image/PNG;base64,aG\nk=", "detail": "low"},
            },
            Media(
                kind="image",
                source="base64",
                data="aGk=",
                media_type="image/png",
                detail="low",
            ),
        ),
        (
            {"type": "image_url", "image_url": "https://a.example/x.png"},
            Media(kind="image", source="url", data="https://a.example/x.png"),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}},
            Media(kind="video", source="url", data="https://a.example/x.mp4"),
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            Media(kind="audio", source="base64", data="aGk=", media_type="audio/mpeg"),
            id="t39",
        ),
        pytest.param(
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,aGk=",
                },
            },
            Media(
                kind="document",
                source="base64",
                data="aGk=",
                media_type="application/pdf",
                name="a.pdf",
            ),
            id="t38",
        ),
        (
            {"type": "file", "file": {"file_id": "file-1"}},
            Media(kind="document", source="file_id", data="file-1"),
        ),
        (
            {"type": "file", "file": {"file_data": "https://a.example/x.pdf"}},
            Media(kind="document", source="url", data="https://a.example/x.pdf"),
        ),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text(text="a", cache=CacheMark()),
        ),
        (
            {
                "type": "text",
                "text": "a",
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            Text(text="a", cache=CacheMark(ttl="1h")),
        ),
        (
            {
                "type": "text",
                "text": "a",
                "prompt_cache_breakpoint": {"mode": "explicit"},
            },
            Text(text="a", cache=CacheMark()),
        ),
        ("bare", Text(text="bare")),
    ],
)
def test_content_parts_become_neutral(part, expected):
    assert only_part(part) == expected


def test_an_unknown_part_is_kept_as_it_is():
    part = only_part({"type": "hologram", "text": 5, "x": [1]})
    assert isinstance(part, Unknown)
    assert (part.dialect, part.type) == ("openai", "hologram")
    assert plain(part.payload) == {"type": "hologram", "text": 5, "x": [1]}


def test_reasoning_by_either_name_comes_before_the_words():
    for name in ("reasoning_content", "reasoning"):
        made = messages({"role": "assistant", "content": "b", name: "a"})
        assert made.turns[0].parts == (Reasoning(text="a"), Text(text="b"))


def test_t90_proof_comes_back_bound_to_its_maker():
    details = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "sig",
            "format": "anthropic-claude-v1",
            "model": "claude",
            "scope": "s",
        },
        {
            "type": "reasoning.encrypted",
            "data": "blob",
            "format": "anthropic-claude-v1",
        },
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.summary", "summary": "in short"},
        {"type": "odd"},
    ]
    made = messages(
        {
            "role": "assistant",
            "content": "b",
            "reasoning_content": "hm",
            "reasoning_details": details,
        }
    )
    signed, redacted, encrypted, summary, text = made.turns[0].parts
    assert signed == Reasoning(
        text="hm",
        opaque=(
            Opaque(
                family="anthropic",
                slot="signature",
                data="sig",
                model="claude",
                scope="s",
            ),
        ),
    )
    assert redacted.is_redacted
    assert redacted.opaque[0].slot == "redacted"
    assert (encrypted.opaque[0].family, encrypted.opaque[0].slot) == (
        "openai",
        "encrypted",
    )
    assert summary == Reasoning(text="in short", kind="summary")
    assert text == Text(text="b")


def test_thinking_blocks_are_read_as_anthropic_made_them():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "thinking"},
    ]
    made = messages({"role": "assistant", "thinking_blocks": blocks})
    signed, redacted = made.turns[0].parts
    assert (signed.text, signed.opaque[0].data) == ("hm", "sig")
    assert redacted.opaque[0].slot == "redacted"


def test_calls_of_every_shape_become_calls():
    made = messages(
        {
            "role": "assistant",
            "content": None,
            "refusal": "no",
            "audio": {"id": "a1"},
            "tool_calls": [
                {
                    **CALL,
                    "extra_content": {"google": {"thought_signature": "sig"}},
                },
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
                {"id": "c3", "type": "function", "name": "h", "arguments": {"a": 1}},
                {"id": "c4", "type": "custom", "name": "i", "input": "y"},
            ],
        }
    )
    refusal, audio, *calls = made.turns[0].parts
    assert refusal == Refusal(text="no")
    assert audio.type == "audio"
    proof = Opaque(family="google", slot="thought_signature", data="sig")
    assert calls == [
        ToolCall(id="c1", name="f", arguments="{}", opaque=(proof,)),
        ToolCall(id="c2", name="g", arguments="x", kind="custom"),
        ToolCall(id="c3", name="h", arguments='{"a": 1}'),
        ToolCall(id="c4", name="i", arguments="y", kind="custom"),
    ]


@pytest.mark.parametrize("arguments", ["{a", "", '"{}"'])
def test_t54_arguments_are_never_parsed(arguments):
    call = {"id": "c", "type": "function"}
    call["function"] = {"name": "f", "arguments": arguments}
    made = messages({"role": "assistant", "tool_calls": [call]})
    assert made.turns[0].parts[0].arguments == arguments


def test_t47_tool_messages_in_a_row_are_one_turn():
    made = messages(
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "two"}],
        },
        {"role": "tool", "tool_call_id": "c3", "content": None},
        {"role": "user", "content": "and?"},
    )
    assert [turn.role for turn in made.turns] == ["assistant", "tool", "user"]
    results = made.turns[1].parts
    assert [part.call_id for part in results] == ["c1", "c2", "c3"]
    assert [part.content for part in results] == [
        (Text(text="one"),),
        (Text(text="two"),),
        (),
    ]


def test_t107_legacy_functions_are_tools():
    made = decoded(
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
        messages=[
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "5"},
        ],
    )
    assert made.is_legacy
    assert made.tools[0].name == "f"
    assert made.tool_choice == ToolChoice(mode="one", names=("f",))
    assert made.turns[1].parts == (ToolCall(name="f", arguments="{}"),)
    result = made.turns[2].parts[0]
    assert (result.call_id, result.name) == ("", "f")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "warm"}, "temperature"),
        ({"seed": 1.5}, "seed"),
        ({"stop": [1]}, "stop[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"content": "a"}]}, "messages[0]"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "messages[0].role"),
        (
            {"messages": [user({"type": "image_url", "image_url": 5})]},
            "messages[0].content[0].image_url",
        ),
        (
            {"messages": [user({"type": "text"})]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [user({"type": "image_url", "image_url": {"url": ""}})]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [user({"type": "file", "file": {}})]},
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [user({"text": "a"})]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tools": [5]}, "tools[0]"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": []}},
            "tool_choice.allowed_tools.tools",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": "json"}, "response_format"),
        ({"reasoning_effort": 5}, "reasoning_effort"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"modalities": "text"}, "modalities"),
    ],
)
def test_a_wrong_type_names_its_field(fields, param):
    with pytest.raises(FormatError) as caught:
        decoded(**fields)
    assert caught.value.param == param
    assert caught.value.status == 400


def test_t73_a_responses_body_is_refused_with_words():
    with pytest.raises(FormatError, match="/v1/responses") as caught:
        FORMAT.read_request(b'{"model":"m","input":"hi"}')
    assert caught.value.param == "input"


def test_a_body_of_too_many_items_is_not_taken_apart():
    asked = request(messages=[0] * 600_000)
    with pytest.raises(FormatError) as caught:
        decode_request(asked)
    assert caught.value.status == 413
