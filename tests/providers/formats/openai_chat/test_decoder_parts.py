from __future__ import annotations

import pytest

from providers.formats.neutral.types import (
    Citation,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    Unknown,
)
from tests.providers.formats.chat import chunk, sse
from tests.providers.formats.openai_chat.cases import (
    answer_of,
    plain,
    whole,
)

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
END = chunk({}, "stop")
DONE = "[DONE]"


def completion(message, finish="stop", **extra):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **extra,
    }


def parts_of(*frames):
    """Read a stream that ends well: the parts of its only choice."""
    answer = answer_of(sse(*frames, END, DONE))
    assert answer.is_complete
    return answer.choices[0].parts


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_t88_reasoning_by_any_name_is_reasoning(name):
    parts = parts_of(chunk({name: "h"}), chunk({name: "m"}), chunk({"content": "a"}))
    assert parts == (Reasoning(text="hm"), Text(text="a"))


def test_p64_reasoning_may_go_on_after_words():
    parts = parts_of(
        chunk({"reasoning": "a", "content": ""}),
        chunk({"content": "b"}),
        chunk({"reasoning": "c"}),
    )
    assert parts == (Reasoning(text="a"), Text(text="b"), Reasoning(text="c"))


def test_reasoning_that_is_said_twice_counts_once():
    detail = {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1"}
    signed = {
        "type": "reasoning.text",
        "signature": "s",
        "format": "anthropic-claude-v1",
    }
    sealed = {
        "type": "reasoning.encrypted",
        "data": "d",
        "format": "anthropic-claude-v1",
    }
    parts = parts_of(
        chunk({"reasoning": "hm", "reasoning_details": [detail]}),
        chunk({"reasoning_details": [signed]}),
        chunk({"reasoning_details": [sealed]}),
        chunk({"content": "a", "reasoning_details": []}),
    )
    proof = Opaque(
        family="anthropic",
        slot="signature",
        data="s",
        model="up-model",
        scope="cred-1",
    )
    assert parts[0] == Reasoning(text="hm", opaque=(proof,))
    assert parts[1].is_redacted
    assert parts[1].opaque[0].slot == "redacted"
    assert parts[2] == Text(text="a")
    message = {
        "content": "a",
        "reasoning": "hm",
        "reasoning_details": [detail | signed, sealed],
    }
    assert whole(completion(message)).choices[0].parts == parts


def test_encrypted_reasoning_belongs_to_the_words_before_it():
    sealed = {
        "type": "reasoning.encrypted",
        "data": "d",
        "format": "openai-responses-v1",
    }
    parts = parts_of(
        chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]}),
        chunk({"reasoning_details": [sealed]}),
        chunk({"content": "a"}),
    )
    assert (parts[0].kind, parts[0].text) == ("summary", "s")
    assert parts[0].opaque[0].slot == "encrypted"


def test_thinking_blocks_and_thinking_parts_are_reasoning():
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    parts = parts_of(chunk({"thinking_blocks": [block]}), chunk({"content": "a"}))
    assert (parts[0].text, parts[0].opaque[0].data) == ("hm", "s")
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = parts_of(chunk({"content": [thought]}), chunk({"content": "a"}))
    assert parts == (Reasoning(text="hm"), Text(text="a"))
    parts = parts_of(chunk({"thinking": {"content": "hm"}}), chunk({"content": "a"}))
    assert parts[0] == Reasoning(text="hm")


def test_a_refusal_is_a_part_of_its_own():
    assert parts_of(chunk({"refusal": "I "}), chunk({"refusal": "won't"})) == (
        Refusal(text="I won't"),
    )


def test_t98_sources_are_kept_with_their_text():
    cited = {"start_index": 1, "end_index": 3, "url": "https://a.example", "title": "A"}
    annotation = {"type": "url_citation", "url_citation": cited}
    frames = [chunk({"content": "😀ab"}), chunk({"annotations": [annotation, {}]})]
    expected = Text(
        text="😀ab",
        citations=(Citation(url="https://a.example", title="A", start=1, end=3),),
    )
    assert parts_of(*frames) == (expected,)
    message = {"content": "😀ab", "annotations": [annotation]}
    assert whole(completion(message)).choices[0].parts == (expected,)


def test_pictures_and_sounds_are_parts():
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    linked = {"type": "image_url", "image_url": {"url": "https://a.example/x"}}
    parts = parts_of(chunk({"content": "a", "images": [inline, linked, {}]}))
    assert parts[1] == Media(
        kind="image", source="base64", data="aGk=", media_type="image/png"
    )
    assert isinstance(parts[2], Unknown)
    parts = parts_of(chunk({"audio": {"transcript": "hi", "data": "aGk="}}))
    assert [type(part) for part in parts] == [Text, Media]
    assert parts[1].kind == "audio"


def test_t111_log_probabilities_stay_with_their_words():
    entries = [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
    frame = chunk({"content": "Hi"})
    frame["choices"][0]["logprobs"] = {"content": entries, "refusal": None}
    late = chunk({})
    late["choices"][0]["logprobs"] = {"content": entries}
    nothing = chunk({})
    nothing["choices"][0]["logprobs"] = {"content": []}
    answer = answer_of(sse(frame, late, nothing, END, DONE))
    assert list(plain(answer.choices[0].logprobs)) == [entries, entries]
