from __future__ import annotations

import base64

import msgspec
import pytest
from msgspec.structs import replace

from providers.formats.neutral.types import (
    CacheMark,
    Citation,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Unknown,
)
from tests.providers.formats.anthropic_messages.messages import (
    CAPS,
    CODEC,
    TARGET,
    chat_request,
    decoded,
    encoded,
    raw,
    said,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()
F = Tool(kind="function", name="f", schema=msgspec.Raw(b'{"type":"object"}'))


def messages_of(*turns):
    body, losses = encoded(chat_request(turns=turns))
    return body["messages"], losses


def test_t28_p14_every_leading_instruction_is_a_block_in_order():
    leading = tuple(
        said(text, role="instruction") for text in ("dev", "one", " ", "two")
    )
    body, _ = encoded(chat_request(instructions=leading))
    assert [block["text"] for block in body["system"]] == ["dev", "one", "two"]
    odd = (said(Media(kind="image", source="url", data="u"), role="instruction"),)
    body, losses = encoded(chat_request(instructions=odd))
    assert "system" not in body
    assert losses == ["system:drop"]


def test_t29_t30_an_instruction_in_the_middle_is_a_system_message():
    got, _ = messages_of(said("Hi"), said("Be brief.", role="instruction"))
    assert [each["role"] for each in got] == ["user", "system"]


def test_t32_p15_neighbours_of_one_role_become_one_message():
    got, _ = messages_of(
        said("a"),
        said("b"),
        said("c", role="assistant"),
        said("d", role="assistant"),
    )
    assert [each["role"] for each in got] == ["user", "assistant"]
    assert [block["text"] for block in got[1]["content"]] == ["c", "d"]


def test_t34_p19_empty_text_is_dropped_and_an_empty_message_is_a_word():
    got, _ = messages_of(said("", "  \n", "x"), said("", role="assistant"), said(" "))
    assert got == [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    got, _ = messages_of(said(""))
    assert got[0]["content"] == [{"type": "text", "text": "(empty)"}]


def test_an_answer_to_go_on_with_ends_without_white_space():
    got, _ = messages_of(said("a"), said("Once \n", role="assistant"))
    assert got[1]["content"][0]["text"] == "Once"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"something else", "image/tiff"),
    ],
)
def test_t35_a_picture_is_what_its_bytes_say(head, media_type):
    data = base64.b64encode(head + b"0" * 30).decode()
    part = Media(kind="image", source="base64", data=data, media_type="image/tiff")
    got, _ = messages_of(said(part))
    source = got[0]["content"][0]["source"]
    assert source == {"type": "base64", "media_type": media_type, "data": data}


def test_t37_a_link_to_a_picture_stays_a_link():
    url = Media(kind="image", source="url", data="https://e.com/a.png")
    file = Media(kind="image", source="file_id", data="file_1")
    got, _ = messages_of(said(url, file))
    assert [block["source"] for block in got[0]["content"]] == [
        {"type": "url", "url": "https://e.com/a.png"},
        {"type": "file", "file_id": "file_1"},
    ]


def test_t38_documents_keep_their_titles():
    pdf = base64.b64encode(b"%PDF-1.7 ....................").decode()
    words = base64.b64encode("héllo".encode()).decode()
    broken = base64.b64encode(b"\xff\xfe\xff").decode()
    got, losses = messages_of(
        said(
            Media(kind="document", source="base64", data=pdf, name="a.pdf", cites=True),
            Media(
                kind="document",
                source="base64",
                data=words,
                media_type="text/plain",
                title="T",
                context="C",
            ),
            Media(kind="document", source="text", data="plain"),
            Media(kind="document", source="url", data="https://e.com/a.pdf"),
            Media(
                kind="document", source="base64", data=broken, media_type="text/plain"
            ),
            Media(kind="document", source="gs", data="gs://b/x"),
        )
    )
    first, second, third, fourth = got[0]["content"]
    assert first["source"]["media_type"] == "application/pdf"
    assert (first["title"], first["citations"]) == ("a.pdf", {"enabled": True})
    assert second["source"]["data"] == "héllo"
    assert (second["title"], second["context"]) == ("T", "C")
    assert third["source"]["data"] == "plain"
    assert fourth["source"] == {"type": "url", "url": "https://e.com/a.pdf"}
    assert losses == ["document:drop", "document:drop"]


def test_t39_sound_has_no_word_here():
    _, losses = messages_of(said("x", Media(kind="audio", source="base64", data="A")))
    assert losses == ["audio:drop"]
    shown = Media(kind="image", source="base64", data=PNG)
    _, losses = messages_of(said("x"), said(shown, "y", role="assistant"))
    assert losses == ["image:drop"]


def test_t41_a_tool_without_parameters_takes_an_empty_object():
    bare = Tool(kind="function", name="now", description="d", strict=True)
    body, _ = encoded(chat_request(tools=(bare,)))
    assert body["tools"] == [
        {
            "name": "now",
            "description": "d",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
        }
    ]


def test_p43_late_tools_are_only_late_where_the_client_spoke_this_dialect():
    late = Tool(kind="function", name="f", is_deferred=True)
    assert "defer_loading" not in encoded(chat_request(tools=(late,)))[0]["tools"][0]
    own = decoded(tools=[{"name": "f", "defer_loading": True, "input_examples": [1]}])
    tool = encoded(own)[0]["tools"][0]
    assert (tool["defer_loading"], tool["input_examples"]) == (True, [1])
    eager = replace(own, tools=(replace(own.tools[0], is_deferred=False),))
    assert "defer_loading" not in encoded(eager)[0]["tools"][0]


def test_p123_another_vendors_own_tools_never_become_functions():
    foreign = Tool(
        kind="server", name="x", type="code_interpreter", dialect="responses"
    )
    body, losses = encoded(chat_request(tools=(foreign,)))
    assert "tools" not in body
    assert losses == ["tools:drop"]
    bash = {"type": "bash_20250124", "name": "bash"}
    assert encoded(decoded(tools=[bash]))[0]["tools"] == [bash]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (ToolChoice(), None),
        (ToolChoice(mode="none", parallel=False), {"type": "none"}),
        (ToolChoice(mode="any", is_required=True), {"type": "any"}),
        (ToolChoice(mode="one", names=("f",)), {"type": "tool", "name": "f"}),
        (ToolChoice(mode="subset", names=("f",), is_required=True), {"type": "any"}),
        (ToolChoice(mode="subset", names=("f",)), None),
        (
            ToolChoice(parallel=False),
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (
            ToolChoice(mode="any", parallel=True),
            {"type": "any", "disable_parallel_tool_use": False},
        ),
    ],
)
def test_t44_t45_choices_and_parallel_calls_are_worded(choice, words):
    body, _ = encoded(chat_request(tools=(F,), tool_choice=choice))
    assert body.get("tool_choice") == words
    assert "tool_choice" not in encoded(chat_request(tool_choice=choice))[0]


def test_t46_p47_no_call_is_forced_while_thinking():
    for choice in (ToolChoice(mode="any"), ToolChoice(mode="one", names=("f",))):
        body, losses = encoded(
            chat_request(
                tools=(F,),
                tool_choice=choice,
                max_output=9000,
                thinking=Thinking(mode="budget", budget=4096),
            )
        )
        assert "tool_choice" not in body
        assert losses == ["tool_choice:clamp"]


def test_t47_t50_results_come_first_and_together():
    calls = said(
        *(ToolCall(id=each, name="f", arguments="{}") for each in "abc"),
        role="assistant",
    )
    results = said(
        ToolResult(call_id="a", content=(Text(text="1"),)),
        ToolResult(call_id="b", is_error=True),
        ToolResult(call_id="c", json=msgspec.Raw(b'{"x":1}')),
        role="tool",
    )
    for after in ((results, said("so?")), (said("so?"), results)):
        got, _ = messages_of(said("Hi"), calls, *after)
        assert [each["role"] for each in got] == ["user", "assistant", "user"]
        assert got[2]["content"] == [
            {"type": "tool_result", "tool_use_id": "a", "content": "1"},
            {"type": "tool_result", "tool_use_id": "b", "is_error": True},
            {"type": "tool_result", "tool_use_id": "c", "content": '{"x":1}'},
            {"type": "text", "text": "so?"},
        ]


def test_p49_pictures_in_results_stay_in_them():
    image = Media(kind="image", source="base64", data=PNG)
    sound = Media(kind="audio", source="base64", data="A")
    odd = Unknown(dialect="responses", type="x", payload=raw({}))
    own = Unknown(dialect="anthropic", type="y", payload=raw({"type": "y"}))
    result = ToolResult(
        call_id="a",
        content=(Text(text="see"), Text(text=" "), image, sound, odd, own),
        cache=CacheMark(),
    )
    got, losses = messages_of(said(result, role="tool"))
    (block,) = got[0]["content"]
    assert [each["type"] for each in block["content"]] == ["text", "image", "y"]
    assert block["cache_control"] == {"type": "ephemeral"}
    assert losses == ["tool_result:drop", "tool_result:drop"]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("", {}),
        (" ", {}),
        ('{"b":1,"a":1.50}', {"b": 1, "a": 1.5}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ("{broken", {"_raw": "{broken"}),
        ("[1]", {"_raw": "[1]"}),
        ('"text"', {"_raw": '"text"'}),
    ],
)
def test_t54_arguments_are_always_an_object(arguments, value):
    call = ToolCall(id="a", name="f", arguments=arguments)
    got, _ = messages_of(said("x"), said(call, role="assistant"))
    assert got[1]["content"][0]["input"] == value


def test_arguments_keep_their_bytes():
    call = ToolCall(id="a", name="f", arguments='{"b": 1.50,"a":1e3}')
    turns = (said("x"), said(call, role="assistant"))
    made = CODEC.encode_request(chat_request(turns=turns), TARGET, CAPS)
    assert b'"input":{"b": 1.50,"a":1e3}' in made.body
    free = ToolCall(id="a", name="p", arguments="*** patch", kind="custom")
    got, _ = messages_of(said("x"), said(free, role="assistant"))
    assert got[1]["content"][0]["input"] == {"input": "*** patch"}


def test_t71_p56_only_proof_of_this_family_is_replayed():
    own = Opaque(family="anthropic", slot="signature", data="EqQ")
    hidden = Opaque(family="anthropic", slot="redacted", data="Emw")
    foreign = Opaque(family="google", slot="thought_signature", data="g")
    odd = Opaque(family="anthropic", slot="encrypted", data="x")
    got, losses = messages_of(
        said("x"),
        said(
            Reasoning(text="a", opaque=(foreign, own)),
            Reasoning(opaque=(hidden,), is_redacted=True),
            Reasoning(text="b", opaque=(foreign,)),
            Reasoning(text="c"),
            Reasoning(text="d", opaque=(odd,)),
            "answer",
            role="assistant",
        ),
        said("y", Reasoning(text="e", opaque=(own,))),
    )
    assert got[1]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "EqQ"},
        {"type": "redacted_thinking", "data": "Emw"},
        {"type": "text", "text": "answer"},
    ]
    assert losses == ["reasoning:drop"] * 4


def test_refusals_are_text_and_foreign_blocks_are_named():
    odd = Unknown(dialect="responses", type="mcp_call", payload=raw({}))
    bad = Unknown(dialect="anthropic", type="y", payload=raw(7))
    got, losses = messages_of(
        said("x"),
        said(Refusal(text="No."), Refusal(text=""), odd, bad, role="assistant"),
    )
    assert got[1]["content"] == [{"type": "text", "text": "No."}]
    assert losses == ["mcp_call:drop", "y:drop"]


def test_made_up_citations_never_reach_an_upstream():
    own = Citation(kind="char_location", cited_text="x")
    found = Citation(kind="search_result_location", url="u")
    web = Citation(url="u", ext={"encrypted_index": raw("E")})
    made_up = Citation(url="u", ext={"encrypted_index": raw("")})
    cites = (own, found, web, made_up, Citation(url="u"), Citation(kind="odd"))
    answer = said(Text(text="a", citations=cites), role="assistant")
    got, _ = messages_of(said("x"), answer)
    assert got[1]["content"][0]["citations"] == [
        {"type": "char_location", "cited_text": "x"},
        {
            "type": "search_result_location",
            "cited_text": "",
            "source": "u",
            "title": None,
        },
        {
            "type": "web_search_result_location",
            "cited_text": "",
            "url": "u",
            "title": None,
            "encrypted_index": "E",
        },
    ]
