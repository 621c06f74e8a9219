from __future__ import annotations

import msgspec
import pytest

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import (
    Citation,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.openai_responses.rs import (
    losses,
    worded,
)

USER = Turn(role="user", parts=(Text(text="Hi"),))
SCHEMA = msgspec.Raw(b'{"type":"object"}')
OWN = Opaque(family="openai", slot="encrypted", data="gA", scope="account-a")


def chat(**fields):
    """Return a request another dialect's client made."""
    return Request(**{"dialect": "openai", "model": "m", "turns": (USER,)} | fields)


def said(*parts, **fields):
    return chat(turns=(USER, Turn(role="assistant", parts=parts, **fields)))


def item_of(*parts, **fields):
    return worded(said(*parts, **fields))["input"][1:]


def test_a_request_of_ours_keeps_nothing_and_asks_for_proof():
    body = worded(chat(stream=True))
    assert body["model"] == "gpt-5.5"
    assert body["store"] is False
    assert body["stream"] is True
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
        }
    ]


def test_t70_p17_what_the_model_said_is_output_text():
    cited = Text(text="abc", citations=(Citation(url="u", title="t", start=0, end=1),))
    (item,) = item_of(cited, Refusal(text="No."), phase="final_answer", id="msg_1")
    assert item["role"] == "assistant"
    assert item["phase"] == "final_answer"
    assert "id" not in item
    assert item["content"][0]["type"] == "output_text"
    assert item["content"][0]["annotations"][0]["url"] == "u"
    assert item["content"][1] == {"type": "refusal", "refusal": "No."}


def test_leading_instructions_go_into_their_field_and_the_others_in_place():
    def instruction(text, authority="system"):
        parts = (Text(text=text),)
        return Turn(role="instruction", parts=parts, authority=authority)

    asked = chat(
        instructions=(instruction("One"), instruction("Two", "developer")),
        turns=(USER, instruction("Three")),
    )
    body = worded(asked)
    assert body["instructions"] == "One"
    assert [item["role"] for item in body["input"]] == ["developer", "user", "system"]
    older = worded(asked, caps=Capabilities(developer_role=False))
    assert older["input"][0]["role"] == "system"
    assert "instructions" not in worded(
        chat(instructions=(instruction("a", "developer"),))
    )


def test_p60_reasoning_goes_back_with_its_proof_and_its_ids():
    thought = Reasoning(text="a", kind="summary", opaque=(OWN,), item_id="rs_1")
    call = ToolCall(name="f", id="c", arguments="", item_id="fc_1", namespace="ns")
    asked = said(thought, Text(text="b"), call, id="msg_1")
    items = worded(asked, scope="account-a")["input"][1:]
    assert items[0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "encrypted_content": "gA",
    }
    assert items[1]["id"] == "msg_1"
    assert items[2] == {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "f",
        "namespace": "ns",
        "arguments": "{}",
    }


@pytest.mark.parametrize(
    "opaque",
    [
        msgspec.structs.replace(OWN, scope="account-b"),
        msgspec.structs.replace(OWN, family="anthropic"),
        msgspec.structs.replace(OWN, slot="signature"),
    ],
)
def test_t69_foreign_proof_is_dropped_with_the_ids_that_lean_on_it(opaque):
    thought = Reasoning(text="a", opaque=(opaque,), item_id="rs_1")
    asked = said(thought, ToolCall(name="f", id="c", item_id="fc_1"), id="msg_1")
    (item,) = worded(asked, scope="account-a")["input"][1:]
    assert item["type"] == "function_call"
    assert "id" not in item
    assert losses(asked, scope="account-a") == ["reasoning:drop"]


def test_ids_stay_away_where_an_upstream_takes_none():
    asked = said(Reasoning(opaque=(OWN,), item_id="rs_1"))
    items = worded(asked, caps=Capabilities(), scope="account-a")["input"]
    assert "id" not in items[1]


def test_open_weight_servers_get_their_reasoning_as_text():
    asked = said(Reasoning(text="a"))
    caps = Capabilities(replays_reasoning_content=True)
    assert worded(asked, caps=caps)["input"][1] == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "a"}],
    }


def test_freeform_calls_and_their_results_keep_their_kind():
    result = ToolResult(call_id="c", kind="custom", content=(Text(text="ok"),))
    asked = chat(
        turns=(
            USER,
            Turn(
                role="assistant",
                parts=(ToolCall(name="t", id="c", kind="custom", arguments="raw"),),
            ),
            Turn(role="tool", parts=(result,)),
        )
    )
    items = worded(asked)["input"][1:]
    assert items[0]["type"] == "custom_tool_call"
    assert items[0]["input"] == "raw"
    assert items[1] == {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": "ok",
    }


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult(call_id="c"), ""),
        (ToolResult(call_id="c", content=(Text(text="a"),)), "a"),
        (
            ToolResult(call_id="c", content=(Text(text="a"), Text(text="b"))),
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        ),
        (ToolResult(call_id="c", json=msgspec.Raw(b'{"a":1}')), '{"a":1}'),
        (
            ToolResult(
                call_id="c",
                content=(
                    Text(text="a"),
                    Media(kind="image", source="base64", data="iVBO"),
                ),
            ),
            [
                {"type": "input_text", "text": "a"},
                {
                    "type": "input_image",
                    "detail": "auto",
                    "image_url": "data:image/png;base64,iVBO",
                },
            ],
        ),
    ],
)
def test_p49_results_are_text_or_parts(result, output):
    asked = chat(turns=(USER, Turn(role="tool", parts=(result,))))
    assert worded(asked)["input"][1]["output"] == output


def test_a_failed_result_says_so_in_the_losses():
    result = ToolResult(call_id="c", is_error=True)
    assert losses(chat(turns=(Turn(role="tool", parts=(result,)),))) == [
        "is_error:drop"
    ]


def test_every_kind_of_media_has_its_part():
    media = [
        Media(kind="image", source="url", data="https://a.example/b.png", detail="low"),
        Media(kind="image", source="file_id", data="file-1"),
        Media(kind="document", source="base64", data="JVBE"),
        Media(kind="document", source="url", data="https://a.example/b.pdf"),
        Media(kind="document", source="file_id", data="file-2"),
        Media(kind="document", source="text", data="words", name="a.txt"),
        Media(kind="audio", source="base64", data="AA", media_type="audio/mpeg"),
    ]
    asked = chat(turns=(Turn(role="user", parts=tuple(media)),))
    content = worded(asked)["input"][0]["content"]
    assert content == [
        {
            "type": "input_image",
            "detail": "low",
            "image_url": "https://a.example/b.png",
        },
        {"type": "input_image", "detail": "auto", "file_id": "file-1"},
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,JVBE",
        },
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_text", "text": "a.txt\n\nwords"},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
    ]


def test_what_has_no_word_is_a_loss():
    parts = (
        Media(kind="video", source="url", data="v"),
        Media(kind="image", source="gs", data="gs://a"),
        Media(kind="document", source="s3", data="s3://a"),
        Unknown(dialect="anthropic", type="x", payload=SCHEMA),
        Refusal(text="No."),
    )
    asked = chat(
        turns=(
            Turn(role="user", parts=parts),
            Turn(
                role="assistant",
                parts=(
                    Media(kind="image", source="base64", data="iVBO"),
                    ToolCall(name="search", kind="server"),
                ),
            ),
        )
    )
    assert losses(asked) == [
        "video:drop",
        "image:drop",
        "document:drop",
        "x:drop",
        "image:drop",
        "search:drop",
    ]
