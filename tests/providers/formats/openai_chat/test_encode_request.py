from __future__ import annotations

import json

import pytest

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.openai_chat.cases import EVERYTHING, encoded, raw

MODEST = Capabilities(
    developer_role=False,
    null_content=False,
    stream_options=False,
    strict_tools=False,
    parallel_tool_calls=False,
    end_user=False,
)
IMAGE = Media(kind="image", source="base64", data="aGk=", media_type="image/png")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
TOOL = Tool(kind="function", name="f", schema=raw({"type": "object"}), strict=True)


def asked(*turns, **fields):
    """Ask by another dialect than chat's."""
    return Request(dialect="anthropic", model="m", turns=turns, **fields)


def said(*parts, role="user", **fields):
    return Turn(role=role, parts=parts, **fields)


def conversation(*turns, caps=EVERYTHING, **fields):
    return encoded(asked(*turns, **fields), caps)[0]["messages"]


def called(call_id, name="f"):
    return ToolCall(id=call_id, name=name, arguments="{}")


def test_nothing_is_added_that_nobody_asked_for():
    body, losses = encoded(asked(said(Text(text="Hi"))))
    assert body == {
        "model": "up-model",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert losses == []


def test_t30_an_instruction_in_the_middle_stays_there():
    made = conversation(
        said(Text(text="a")),
        said(Text(text="b"), role="instruction"),
        said(Text(text="c"), role="instruction", authority="developer"),
    )
    assert [message["role"] for message in made] == ["user", "system", "developer"]


def test_a_server_that_knows_no_developer_gets_a_system_message():
    turn = said(Text(text="a"), role="instruction", authority="developer")
    made = encoded(asked(instructions=(turn,)), MODEST)[0]["messages"]
    assert made == [{"role": "system", "content": "a"}]


def test_t48_media_of_tools_follows_the_whole_group():
    made = conversation(
        said(called("c1"), called("c2"), role="assistant"),
        said(
            ToolResult(call_id="c1", content=(IMAGE,)),
            ToolResult(call_id="c2", content=(Text(text="a"), Text(text="b"))),
            role="tool",
        ),
        said(Text(text="and?")),
    )
    assert [message["role"] for message in made] == [
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert made[2] == {"role": "tool", "tool_call_id": "c2", "content": "a\nb"}
    assert "follows" in made[1]["content"]
    note, picture, text = made[3]["content"]
    assert "c1" in note["text"]
    assert (picture, text["text"]) == (PICTURE, "and?")


def test_media_of_the_last_tools_gets_a_message_of_its_own():
    result = ToolResult(call_id="c1", content=(Text(text="see"), IMAGE))
    made = conversation(
        said(called("c1"), role="assistant"),
        said(result, role="tool"),
        said(Text(text="so"), role="assistant"),
    )
    assert [each["role"] for each in made] == ["assistant", "tool", "user", "assistant"]
    made = conversation(said(result, role="tool"))
    assert [each["role"] for each in made] == ["tool", "user"]


def test_a_failed_tool_says_so():
    made = conversation(
        said(
            ToolResult(call_id="a", content=(Text(text="no file"),), is_error=True),
            ToolResult(call_id="b", content=(Text(text="Error 5"),), is_error=True),
            ToolResult(call_id="c", is_error=True),
            ToolResult(call_id="d", json=raw({"a": 1})),
            role="tool",
        )
    )
    assert [each["content"] for each in made] == [
        "Error: no file",
        "Error 5",
        "Error",
        '{"a": 1}',
    ]


def test_calls_and_results_without_ids_find_each_other():
    made = conversation(
        said(called("", "f"), called("", "g"), role="assistant"),
        said(
            ToolResult(name="g"),
            ToolResult(name="f"),
            ToolResult(name="h"),
            role="tool",
        ),
    )
    first, second = (call["id"] for call in made[0]["tool_calls"])
    assert first != second
    assert [each["tool_call_id"] for each in made[1:]] == [second, first, "call_h"]


@pytest.mark.parametrize(("caps", "content"), [(EVERYTHING, None), (MODEST, "")])
def test_calls_without_words_have_the_content_the_server_takes(caps, content):
    made = conversation(said(called("c1"), role="assistant"), caps=caps)
    assert made[0]["content"] == content


def test_t54_a_call_without_arguments_gets_an_object():
    call = ToolCall(id="c", name="f")
    made = conversation(said(call, role="assistant"))
    assert made[0]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_t70_a_models_words_are_one_text():
    made = conversation(said(Text(text="a"), Text(text="b"), role="assistant"))
    assert made == [{"role": "assistant", "content": "a\nb"}]
    made = conversation(said(Refusal(text="no"), role="assistant"))
    assert made == [{"role": "assistant", "content": None, "refusal": "no"}]


def test_t71_old_reasoning_never_becomes_visible_text():
    turn = said(Reasoning(text="hm"), Text(text="a"), role="assistant")
    body, losses = encoded(asked(turn), MODEST)
    assert body["messages"] == [{"role": "assistant", "content": "a"}]
    assert losses == ["reasoning:drop"]


def test_p59_reasoning_goes_back_to_those_that_want_it():
    thought = Reasoning(text="hm")
    made = conversation(said(thought, called("c1"), role="assistant"))
    assert made[0]["reasoning_content"] == "hm"
    made = conversation(said(called("c1"), role="assistant"))
    assert made[0]["reasoning_content"] == ""
    made = conversation(said(Text(text="a"), role="assistant"))
    assert "reasoning_content" not in made[0]


def test_proof_that_is_left_goes_back():
    proof = Opaque(family="anthropic", slot="signature", data="s", model="up-model")
    google = Opaque(
        family="google", slot="thought_signature", data="g", model="up-model"
    )
    call = ToolCall(id="c", name="f", arguments="{}", opaque=(google,))
    turn = said(Reasoning(text="hm", opaque=(proof,)), call, role="assistant")
    made = conversation(turn)[0]
    assert made["reasoning_details"] == [
        {
            "format": "anthropic-claude-v1",
            "type": "reasoning.text",
            "text": "hm",
            "signature": "s",
            "model": "up-model",
            "index": 0,
        }
    ]
    extra = made["tool_calls"][0]["extra_content"]
    assert extra == {"google": {"thought_signature": "g"}}


def test_t64_cache_marks_are_for_those_that_know_them():
    marked = said(
        Text(text="a", cache=CacheMark()), Text(text="b", cache=CacheMark(ttl="1h"))
    )
    tool = Tool(kind="function", name="f", cache=CacheMark())
    result = ToolResult(call_id="c", content=(Text(text="x"),), cache=CacheMark())
    request = asked(marked, said(result, role="tool"), tools=(tool,), cache=CacheMark())
    plain = encoded(request, MODEST)
    assert b"cache_control" not in json.dumps(plain[0]).encode()
    assert plain[1] == ["cache_control:drop"]
    body, _ = encoded(request)
    first, second = body["messages"][0]["content"]
    assert first["cache_control"] == {"type": "ephemeral"}
    assert second["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][1]["content"][0]["cache_control"]
    assert body["tools"][0]["cache_control"]
    assert body["cache_control"]


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (
            Media(kind="audio", source="base64", data="aGk=", media_type="audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        ),
        (
            Media(kind="document", source="base64", data="aGk=", media_type="application/pdf"),
            {
                "type": "file",
                "file": {
                    "filename": "document.pdf",
                    "file_data": "data:application/pdf;base64,aGk=",
                },
            },
        ),
        (
            Media(kind="video", source="url", data="https://a.example/x.mp4"),
            {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}},
        ),
        (
            Media(kind="document", source="url", data="https://a.example/x.pdf"),
            {"type": "document_url", "document_url": "https://a.example/x.pdf"},
        ),
        (
            Media(kind="document", source="text", data="words", title="Notes"),
            {"type": "text", "text": "Notes\n\nwords"},
        ),
        (
            Media(kind="image", source="url", data="https://a.example/x", detail="low"),
            {
                "type": "image_url",
                "image_url": {"url": "https://a.example/x", "detail": "low"},
            },
        ),
    ],
)  # fmt: skip
def test_media_is_spelled(media, expected):
    assert conversation(said(media))[0]["content"] == [expected]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", source="url", data="https://a.example/x.mp3"),
        Media(kind="image", source="file_id", data="file-1"),
        Media(kind="document", source="s3", data="s3://a/x.pdf"),
    ],
)
def test_media_without_a_word_is_refused(media):
    with pytest.raises(FormatError) as caught:
        conversation(said(media))
    assert caught.value.code == "unsupported_content"


def test_an_unknown_part_of_another_dialect_is_lost_by_name():
    part = Unknown(dialect="anthropic", type="search_result", payload=raw({}))
    body, losses = encoded(asked(said(Text(text="a"), part)))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a"}]
    assert losses == ["search_result:drop"]
