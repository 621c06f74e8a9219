from __future__ import annotations

import json

import pytest

from providers.formats.base import FormatError
from providers.formats.neutral.smuggle import NOTHING, pack
from providers.formats.neutral.types import (
    CacheMark,
    Loss,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Unknown,
)
from tests.providers.formats.anthropic_messages.messages import decoded

EPHEMERAL = {"type": "ephemeral"}
LONG = {"type": "ephemeral", "ttl": "1h"}


def user(*blocks):
    return decoded(messages=[{"role": "user", "content": list(blocks)}]).turns


def assistant(*blocks):
    return decoded(messages=[{"role": "assistant", "content": list(blocks)}]).turns[0]


def test_a_plain_request_is_taken_apart():
    request = decoded(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop_sequences=["END"],
        stream=True,
        service_tier="auto",
        cache_control=LONG,
    )
    assert request.dialect == "anthropic"
    assert request.turns[0].parts == (Text(text="Hi"),)
    assert (request.max_output, request.max_output_field) == (100, "max_tokens")
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 4)
    assert sampling.stop == ("END",)
    assert (request.stream, request.include_usage) == (True, True)
    assert request.service_tier == "auto"
    assert request.cache == CacheMark(ttl="1h")


def test_t31_p1_the_billing_header_stays_behind_and_is_named():
    header = "x-anthropic-billing-header: cc_version=2.1; cch=ab12"
    kept = {"type": "text", "text": "You are.", "cache_control": EPHEMERAL}
    request = decoded(system=[{"type": "text", "text": header}, kept])
    (turn,) = request.instructions
    assert turn.role == "instruction"
    assert turn.parts == (Text(text="You are.", cache=CacheMark()),)
    assert request.losses == (Loss(field="system", detail="billing header"),)
    assert decoded(system=header).instructions == ()
    assert decoded(system=None).instructions == ()


def test_t28_system_blocks_keep_their_borders():
    blocks = [{"type": "text", "text": text} for text in ("a", "b", "c")]
    (turn,) = decoded(system=blocks).instructions
    assert [part.text for part in turn.parts] == ["a", "b", "c"]
    (turn,) = decoded(system="plain").instructions
    assert turn.parts == (Text(text="plain"),)


def test_t30_a_system_message_in_the_middle_stays_in_its_place():
    turns = decoded(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Be brief."},
            {"role": "assistant", "content": "Yes"},
        ]
    ).turns
    assert [turn.role for turn in turns] == ["user", "instruction", "assistant"]
    assert turns[1].parts == (Text(text="Be brief."),)


def test_t47_t48_results_become_a_turn_of_their_own_before_what_was_said():
    turns = user(
        {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        {"type": "text", "text": "and?"},
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "is_error": True,
            "cache_control": EPHEMERAL,
            "content": [
                {"type": "text", "text": "no"},
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": "iVBO",
                    },
                },
                {"type": "tool_reference", "tool_name": "x"},
            ],
        },
        {"type": "tool_result", "tool_use_id": "c"},
    )
    assert [turn.role for turn in turns] == ["tool", "user"]
    first, second, third = turns[0].parts
    assert first == ToolResult(call_id="b", content=(Text(text="2"),))
    assert (second.call_id, second.is_error) == ("a", True)
    assert second.cache == CacheMark()
    assert second.content[1] == Media(
        kind="image", source="base64", data="iVBO", media_type="image/png"
    )
    assert isinstance(second.content[2], Unknown)
    assert third == ToolResult(call_id="c")


def test_a_turn_of_results_alone_is_one_turn():
    turns = user({"type": "tool_result", "tool_use_id": "b", "content": ""})
    assert [turn.role for turn in turns] == ["tool"]


def test_p56_thoughts_keep_their_proof():
    packed = Opaque(family="openai", slot="encrypted", data="e")
    turn = assistant(
        {"type": "thinking", "thinking": "hm", "signature": "EqQ"},
        {"type": "redacted_thinking", "data": "Emw"},
        {"type": "thinking", "thinking": "so", "signature": pack(packed)},
        {"type": "thinking", "thinking": "bare", "signature": pack(NOTHING)},
        {"type": "thinking", "thinking": "cut", "signature": pack(packed)[:-4]},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "redacted_thinking", "data": pack(packed)[:20]},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1.0}},
    )
    own = {"family": "anthropic"}
    assert turn.parts == (
        Reasoning(text="hm", opaque=(Opaque(slot="signature", data="EqQ", **own),)),
        Reasoning(
            opaque=(Opaque(slot="redacted", data="Emw", **own),), is_redacted=True
        ),
        Reasoning(text="so", opaque=(packed,)),
        Reasoning(text="bare"),
        Reasoning(text="cut"),
        ToolCall(id="t", name="n", arguments='{"a": 1.0}'),
    )


def test_documents_of_every_source_are_read():
    turns = user(
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": "JVBE",
            },
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
            "cache_control": EPHEMERAL,
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        },
        {"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [{"type": "text", "text": "a"}, {"type": "image"}],
            },
        },
        {"type": "document", "source": {"type": "content", "content": "b"}},
        {
            "type": "search_result",
            "source": "https://e.com",
            "title": "S",
            "content": [{"type": "text", "text": "found"}],
        },
        {"type": "container_upload", "file_id": "f"},
    )
    pdf, text, url, file, nested, plain, found, unknown = turns[0].parts
    assert (pdf.source, pdf.title, pdf.context, pdf.cites) == ("base64", "T", "C", True)
    assert pdf.cache == CacheMark()
    assert (text.source, text.data) == ("text", "words")
    assert (url.source, url.data) == ("url", "https://e.com/a.pdf")
    assert (file.kind, file.source, file.data) == ("image", "file_id", "file_1")
    assert (nested.source, nested.data, nested.media_type) == (
        "text",
        "a",
        "text/plain",
    )
    assert plain.data == "b"
    assert (found.kind, found.data, found.title) == ("document", "found", "S")
    assert unknown.type == "container_upload"


def test_tools_of_every_kind_are_read():
    request = decoded(
        tools=[
            {
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object"},
                "cache_control": LONG,
                "strict": True,
            },
            {"type": "custom", "name": "g", "input_examples": [{}]},
            {"type": "bash_20250124", "name": "bash"},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            {"name": "h", "input_schema": {}, "defer_loading": True},
        ]
    )
    first, second, bash, search, late = request.tools
    assert (first.kind, first.name, first.description) == ("function", "f", "d")
    assert bytes(first.schema) == b'{"type": "object"}'
    assert (first.strict, first.cache, first.payload) == (
        True,
        CacheMark(ttl="1h"),
        None,
    )
    assert second.payload is not None
    assert (bash.kind, bash.type) == ("builtin", "bash_20250124")
    assert (search.kind, search.type) == ("server", "web_search_20250305")
    assert late.is_deferred


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "any"}, ToolChoice(mode="any", is_required=True)),
        ({"type": "none"}, ToolChoice(mode="none")),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            ToolChoice(mode="one", names=("f",), is_required=True, parallel=False),
        ),
        (None, None),
    ],
)
def test_t44_choices_are_read(asked, choice):
    assert decoded(tool_choice=asked).tool_choice == choice


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 31_999}},
            Thinking(mode="budget", budget=31_999),
        ),
        (
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "high"},
            },
            Thinking(mode="adaptive", effort="high", show="auto"),
        ),
        ({"thinking": {"type": "disabled"}}, Thinking(mode="off")),
        ({"output_config": {"effort": "max"}}, Thinking(mode="effort", effort="max")),
        ({"thinking": {"type": "between_tools"}}, None),
        ({"thinking": None}, None),
    ],
)
def test_t60_ways_to_think_are_read(fields, thinking):
    assert decoded(**fields).thinking == thinking


def test_a_schema_is_read_from_both_its_places():
    schema = {"type": "object"}
    form = {"type": "json_schema", "schema": schema}
    expected = b'{"type": "object"}'
    for fields in ({"output_config": {"format": form}}, {"output_format": form}):
        output = decoded(**fields).output
        assert isinstance(output, OutputFormat)
        assert bytes(output.schema) == expected


def test_what_nobody_here_understands_is_kept():
    request = decoded(
        context_management={"edits": []},
        mcp_servers=[],
        thinking={"type": "between_tools"},
        output_config={"effort": "low", "task_budget": {"x": 1}},
        speed="fast",
        container=None,
    )
    assert {name: json.loads(bytes(raw)) for name, raw in request.ext.items()} == {
        "context_management": {"edits": []},
        "mcp_servers": [],
        "thinking": {"type": "between_tools"},
        "output_config": {"task_budget": {"x": 1}},
        "speed": "fast",
    }


def test_t75_no_session_or_account_is_told_to_another_vendor():
    user_id = '{"device_id":"d","account_uuid":"","session_id":"s-1"}'
    request = decoded(metadata={"user_id": user_id})
    assert (request.end_user, request.cache_key) == ("d", "s-1")
    assert bytes(request.ext["metadata"])
    assert decoded(metadata=7).end_user == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages.0.content.0.source",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "moon"}}],
                    }
                ]
            },
            "messages.0.content.0.source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages.0.content.0",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]},
            "messages.0.content.0",
        ),
        ({"system": 7}, "system"),
        ({"temperature": "hot"}, "body"),
        ({"tools": {}}, "tools"),
        ({"tools": [7]}, "tools.0"),
        ({"tools": [{"description": "x"}]}, "tools.0.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "must"}}, "tool_choice.type"),
        ({"thinking": 7}, "thinking"),
        ({"output_config": 7}, "output_config"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(fields, param):
    with pytest.raises(FormatError) as caught:
        decoded(**fields)
    assert caught.value.param == param


def test_unknown_block_is_kept_whatever_its_members_are():
    content = [{"thinking": [], "type": "hologram"}]
    messages = [{"role": "user", "content": content}]
    (part,) = decoded(messages=messages).turns[0].parts
    assert (part.type, json.loads(bytes(part.payload))) == ("hologram", content[0])


def test_known_block_with_a_wrong_member_is_refused():
    content = [{"thinking": [], "type": "thinking"}]
    with pytest.raises(FormatError, match="not a content block"):
        decoded(messages=[{"role": "user", "content": content}])
