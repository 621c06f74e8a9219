from __future__ import annotations

import json

import pytest

from providers.formats.base import FormatError
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Refusal,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.openai_responses.rs import neutral, request

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
USER = {"role": "user", "content": "Hi"}


def _refused(**fields):
    with pytest.raises(FormatError) as caught:
        neutral(**fields)
    assert caught.value.status == 400
    return caught.value.param


def test_a_plain_text_is_one_turn_of_the_user():
    assert neutral(input="Hi").turns == (Turn(role="user", parts=(Text(text="Hi"),)),)


def test_instructions_come_before_the_leading_messages():
    asked = neutral(
        instructions="One",
        input=[
            {"role": "developer", "content": "Two"},
            {"type": "message", "role": "system", "content": "Three"},
            USER,
            {"role": "developer", "content": "Four"},
        ],
    )
    leading = [(turn.authority, turn.parts[0].text) for turn in asked.instructions]
    assert leading == [("system", "One"), ("developer", "Two"), ("system", "Three")]
    assert [turn.role for turn in asked.turns] == ["user", "instruction"]
    assert asked.turns[1].authority == "developer"


def test_what_the_model_said_in_one_go_is_one_turn():
    asked = neutral(
        input=[
            USER,
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"text": "a"}, {"text": "b"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Hm", "annotations": []}],
            },
            CALL,
            {"type": "custom_tool_call", "call_id": "c2", "name": "t", "input": "raw"},
            OUTPUT,
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    )
    assert [turn.role for turn in asked.turns] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    said = asked.turns[1]
    assert (said.id, said.phase) == ("msg_1", "commentary")
    kinds = ["Reasoning", "Text", "ToolCall", "ToolCall"]
    assert [type(part).__name__ for part in said.parts] == kinds
    assert said.parts[0].text == "a\n\nb"
    assert said.parts[3] == ToolCall(name="t", id="c2", kind="custom", arguments="raw")
    results = asked.turns[2].parts
    assert results[0] == ToolResult(call_id="c1", content=(Text(text="ok"),), name="f")
    assert (results[1].kind, results[1].name) == ("custom", "t")
    assert asked.turns[3].parts == (Refusal(text="No."),)


def test_two_messages_of_the_model_are_two_turns():
    said = {"role": "assistant", "content": "a"}
    asked = neutral(input=[said | {"phase": "commentary"}, said, CALL, OUTPUT, CALL])
    assert [turn.role for turn in asked.turns] == [
        "assistant",
        "assistant",
        "tool",
        "assistant",
    ]
    assert [turn.phase for turn in asked.turns[:2]] == ["commentary", ""]


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
)
def test_t65_state_kept_elsewhere_is_refused_by_name(fields):
    assert _refused(**fields) == "previous_response_id"


def test_t67_a_namespaces_tools_stand_beside_the_others():
    tools = [
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {
            "type": "namespace",
            "name": "mcp",
            "description": "Of a server",
            "tools": [{"type": "function", "name": "g", "parameters": None}],
        },
        {"type": "web_search", "search_context_size": "low"},
        {"type": "local_shell"},
        {"type": "mcp", "server_label": "docs", "server_url": "https://a.example"},
    ]
    found = neutral(tools=tools).tools
    assert [(tool.namespace, tool.name) for tool in found] == [
        ("", "f"),
        ("mcp", "g"),
        ("", "web_search"),
        ("", "local_shell"),
        ("", "docs"),
    ]
    kinds = ["function", "function", "server", "builtin", "server"]
    assert [tool.kind for tool in found] == kinds
    assert json.loads(bytes(found[2].payload))["search_context_size"] == "low"
    assert found[1].schema is None


def test_t68_p41_tools_in_the_input_are_tools():
    tool = {"type": "function", "name": "f", "parameters": {}}
    other = {"type": "custom", "name": "t", "format": {"type": "text"}}
    items = [
        {"type": "additional_tools", "role": "developer", "tools": [tool, other]},
        {"type": "additional_tools", "role": "developer"},
        USER,
    ]
    asked = neutral(input=items, tools=[tool])
    assert [tool.name for tool in asked.tools] == ["f", "t"]
    assert len(asked.turns) == 1


def test_t66_a_freeform_tool_keeps_its_grammar():
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    tool = {"type": "custom", "name": "apply_patch", "format": grammar}
    (found,) = neutral(tools=[tool | {"defer_loading": True}]).tools
    assert found.kind == "custom"
    assert found.is_deferred
    assert json.loads(bytes(found.format)) == grammar


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="any")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="one", names=("f",))),
        ({"type": "custom", "name": "t"}, ToolChoice(mode="one", names=("t",))),
        ({"type": "web_search"}, ToolChoice(mode="one", names=("web_search",))),
        (
            {"type": "mcp", "server_label": "docs", "name": "x"},
            ToolChoice(mode="one", names=("docs",)),
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
            },
            ToolChoice(mode="subset", names=("f", "web_search"), is_required=True),
        ),
        (None, None),
    ],
)
def test_t44_every_choice_of_a_tool_is_read(choice, expected):
    assert neutral(tool_choice=choice).tool_choice == expected


def test_parallel_calls_alone_are_a_choice():
    assert neutral(parallel_tool_calls=False).tool_choice == ToolChoice(parallel=False)


def test_every_kind_of_content_is_read():
    parts = [
        {
            "type": "input_text",
            "text": "a",
            "prompt_cache_breakpoint": {"mode": "explicit"},
        },
        {
            "type": "input_image",
            "image_url": "data:image/PNG;base64,iVBO",
            "detail": "low",
        },
        {"type": "input_image", "image_url": "https://a.example/b.png"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "JVBE"},
        {
            "type": "input_file",
            "filename": "a",
            "file_data": "data:text/csv;base64,YSxi",
        },
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
        {"type": "input_file"},
        {"type": "input_image"},
        {"type": "input_video", "url": "x"},
    ]
    found = neutral(input=[{"role": "user", "content": parts}]).turns[0].parts
    assert found[0] == Text(text="a", cache=CacheMark())
    assert found[1] == Media(
        kind="image", source="base64", data="iVBO", media_type="image/png", detail="low"
    )
    assert [part.source for part in found[2:6]] == ["url", "file_id", "file_id", "url"]
    assert (found[6].media_type, found[6].data) == ("application/pdf", "JVBE")
    assert (found[7].media_type, found[7].data) == ("text/csv", "YSxi")
    assert (found[8].kind, found[8].media_type) == ("audio", "audio/mp3")
    assert [part.type for part in found[9:]] == [
        "content/input_file",
        "content/input_image",
        "content/input_video",
    ]


def test_annotations_of_history_are_citations():
    annotations = [
        {
            "type": "url_citation",
            "url": "u",
            "title": "t",
            "start_index": 1,
            "end_index": 2,
        },
        {"type": "file_citation", "file_id": "f", "filename": "a.pdf", "index": 3},
        {"no": "type"},
        7,
    ]
    part = {"type": "output_text", "text": "abc", "annotations": annotations}
    turn = neutral(input=[{"role": "assistant", "content": [part]}]).turns[0]
    first, second = turn.parts[0].citations
    assert (first.url, first.start, first.end) == ("u", 1, 2)
    assert (second.kind, second.title) == ("file_citation", "a.pdf")


def test_t7_unknown_items_are_kept_as_they_are():
    items = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "mcp_approval_response", "approve": True},
        {"type": "local_shell_call_output", "output": "x"},
        {"type": "compaction", "encrypted_content": "g"},
    ]
    turns = neutral(input=items).turns
    assert [turn.role for turn in turns] == ["assistant", "user", "user", "user"]
    for turn, item in zip(turns, items, strict=True):
        (part,) = turn.parts
        assert isinstance(part, Unknown)
        assert json.loads(bytes(part.payload)) == item


def test_reasoning_of_open_weights_is_whole_reasoning():
    item = {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Think."}],
    }
    (part,) = neutral(input=[item, USER]).turns[0].parts
    assert (part.kind, part.text) == ("full", "Think.")
    assert (
        neutral(input=[{"type": "reasoning", "summary": []}, USER]).turns[0].role
        == "user"
    )


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        ({"effort": "high", "summary": "auto"}, ("effort", "high", "auto")),
        ({"effort": "none", "summary": "auto"}, ("off", "", "")),
        ({"generate_summary": "concise"}, ("adaptive", "", "concise")),
    ],
)
def test_t59_reasoning_is_read(reasoning, expected):
    found = neutral(reasoning=reasoning).thinking
    assert (found.mode, found.effort, found.show) == expected


def test_reasoning_that_says_nothing_is_none():
    assert neutral(reasoning={}).thinking is None
    assert neutral(reasoning=None).thinking is None
    asked = neutral(reasoning={"effort": "low", "context": "all_turns"})
    assert json.loads(bytes(asked.ext["reasoning"])) == {"context": "all_turns"}


def test_p54_the_schema_lies_flat():
    schema = {"type": "object"}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    found = neutral(text={"format": form, "verbosity": "low"})
    assert found.output.kind == "schema"
    assert (found.output.name, found.output.strict) == ("n", True)
    assert json.loads(bytes(found.output.schema)) == schema
    assert found.verbosity == "low"
    assert neutral(text={"format": {"type": "json_object"}}).output.kind == "json"
    assert neutral(text={"format": {"type": "text"}}).output is None


def test_scalars_and_what_is_not_understood():
    asked = neutral(
        temperature=0.5,
        top_p=0.9,
        top_logprobs=2,
        max_output_tokens=9,
        store=False,
        background=True,
        include=["message.output_text.logprobs"],
        metadata={"a": "b", "n": 1},
        user="u",
        prompt_cache_key="k",
        service_tier="flex",
        truncation="auto",
        future={"a": 1},
        moderation=None,
    )
    assert (asked.sampling.temperature, asked.sampling.top_p) == (0.5, 0.9)
    assert (asked.sampling.logprobs, asked.sampling.top_logprobs) == (True, 2)
    assert (asked.max_output, asked.max_output_field) == (9, "max_output_tokens")
    assert (asked.state.store, asked.state.background) == (False, True)
    assert asked.metadata == {"a": "b"}
    assert (asked.end_user, asked.cache_key, asked.service_tier) == ("u", "k", "flex")
    assert set(asked.ext) == {"truncation", "future"}
    assert neutral(metadata=None).metadata == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"instructions": ["a"]}, "instructions"),
        ({"text": {"format": {"type": "json_schema"}}}, "text"),
        ({"text": {"format": {"type": "grammar"}}}, "text"),
        ({"metadata": "a"}, "metadata"),
        ({"tools": "a"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"input": [7]}, "input"),
        ({"input": [{"role": "narrator", "content": "a"}]}, "input"),
        ({"input": [{"role": "user", "content": 7}]}, "input"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input"),
        ({"input": [{"type": "function_call_output", "output": "a"}]}, "input"),
    ],
)
def test_t131_what_cannot_be_read_is_refused_by_name(fields, param):
    assert _refused(**fields) == param


def test_t54_arguments_of_any_kind_are_kept_raw():
    for said, kept in (
        ('{"a":', '{"a":'),
        ("", ""),
        ({"a": 1}, '{"a": 1}'),
        (None, ""),
    ):
        item = CALL | {"arguments": said}
        assert neutral(input=[item]).turns[0].parts[0].arguments == kept


def test_empty_content_is_an_empty_turn():
    items = [{"role": "user", "content": ""}, {"role": "assistant", "content": None}]
    assert [turn.parts for turn in neutral(input=items).turns] == [(), ()]


def test_a_relayed_request_may_lean_on_kept_state():
    from providers.formats.openai_responses.parse import parse_request

    asked = parse_request(request(previous_response_id="resp_1"), is_relayed=True)
    assert asked.state.previous_id == "resp_1"
