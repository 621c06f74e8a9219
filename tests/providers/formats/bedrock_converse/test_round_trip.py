from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.base import Target
from providers.formats.capabilities import capabilities
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from tests.providers.formats.bedrock_converse.talk import CLAUDE, CODEC, ask, view

WORDS = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
BASE64 = st.sampled_from(["AAAA", "iVBORw0K", "JVBERi0="])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2)
    ),
    max_leaves=4,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=2)
IMAGES = st.builds(
    lambda word, data: {"image": {"format": word, "source": {"bytes": data}}},
    st.sampled_from(["png", "jpeg", "gif", "webp"]),
    BASE64,
)
TEXTS = st.builds(lambda text: {"text": text}, WORDS)
THOUGHTS = st.one_of(
    st.builds(
        lambda text, proof: {
            "reasoningContent": {"reasoningText": {"text": text, "signature": proof}}
        },
        WORDS,
        BASE64,
    ),
    st.builds(lambda data: {"reasoningContent": {"redactedContent": data}}, BASE64),
)
SOURCES = st.builds(
    lambda url, title: {"location": {"web": {"url": url}}, "title": title}, WORDS, WORDS
)
CITED = st.builds(
    lambda text, sources: {
        "citationsContent": {"content": [{"text": text}], "citations": sources}
    },
    WORDS,
    st.lists(SOURCES, min_size=1, max_size=2),
)
CALLS = st.builds(
    lambda key, name, given_: {
        "toolUse": {"toolUseId": key, "name": name, "input": given_}
    },
    NAMES,
    NAMES,
    OBJECTS,
)
RESULTS = st.builds(
    lambda key, content, status: {
        "toolResult": {"toolUseId": key, "content": content, "status": status}
    },
    NAMES,
    st.one_of(
        st.builds(lambda value: [{"json": value}], OBJECTS),
        st.lists(TEXTS | IMAGES, min_size=1, max_size=3),
    ),
    st.sampled_from(["success", "error"]),
)
GUARDED = st.builds(lambda text: {"guardContent": {"text": {"text": text}}}, WORDS)
POINTS = st.sampled_from(
    [
        {"cachePoint": {"type": "default"}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
    ]
)
TOOLS = st.builds(
    lambda name, text, schema: {
        "toolSpec": {"name": name, "description": text, "inputSchema": {"json": schema}}
    },
    NAMES,
    WORDS,
    OBJECTS,
)


def _messages(pairs: list[tuple[list[Any], list[Any]]]) -> list[dict[str, Any]]:
    """Alternate the roles; answers to calls come before what the user says."""
    messages = []
    for said, answered in pairs:
        said = [*filter(_is_result, said), *(b for b in said if not _is_result(b))]
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": answered})
    return messages


def _is_result(block: dict[str, Any]) -> bool:
    return "toolResult" in block


BODIES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.tuples(
                st.lists(TEXTS | IMAGES | RESULTS | GUARDED, min_size=1, max_size=4),
                st.lists(TEXTS | THOUGHTS | CALLS | CITED, min_size=1, max_size=4),
            ),
            min_size=1,
            max_size=3,
        ).map(_messages),
        "toolConfig": st.builds(
            lambda tools, choice: {"tools": tools, "toolChoice": choice},
            st.lists(TOOLS | POINTS, min_size=1, max_size=4),
            st.sampled_from([{"auto": {}}, {"any": {}}, {"tool": {"name": "f"}}]),
        ),
    },
    optional={
        "system": st.lists(TEXTS | GUARDED | POINTS, min_size=1, max_size=3),
        "inferenceConfig": st.fixed_dictionaries(
            {},
            optional={
                "maxTokens": st.integers(1, 999),
                "temperature": st.sampled_from([0.0, 0.5, 1.0]),
                "topP": st.sampled_from([0.5, 1.0]),
                "stopSequences": st.lists(WORDS, min_size=1, max_size=2),
            },
        ),
        "additionalModelRequestFields": st.fixed_dictionaries(
            {},
            optional={
                "top_k": st.integers(1, 99),
                "thinking": st.sampled_from(
                    [
                        {"type": "enabled", "budget_tokens": 2048},
                        {"type": "adaptive", "display": "summarized"},
                        {"type": "disabled"},
                    ]
                ),
                "anthropic_beta": st.lists(NAMES, max_size=2),
            },
        ),
        "outputConfig": st.sampled_from(
            [
                {"effort": "low"},
                {
                    "textFormat": {
                        "type": "json_schema",
                        "structure": {"jsonSchema": {"schema": "{}", "name": "n"}},
                    }
                },
            ]
        ),
        "requestMetadata": st.dictionaries(NAMES, NAMES, max_size=2),
        "serviceTier": st.sampled_from([{"type": "flex"}, {"type": "priority"}]),
        "guardrailConfig": st.just({"guardrailIdentifier": "g"}),
        "unheardOf": VALUES.filter(lambda value: value is not None),
    },
)
CAPS = capabilities("bedrock", "", CLAUDE)


def _check_request(body: dict[str, Any]) -> None:
    first = CODEC.decode_request(ask(body))
    worded = CODEC.encode_request(first, Target(model=CLAUDE), CAPS)
    assert not worded.losses
    assert CODEC.decode_request(ask(worded.body)) == first


@settings(max_examples=100, deadline=None)
@given(BODIES)
def test_t152_a_request_reads_the_same_after_it_was_worded(
    body: dict[str, Any],
) -> None:
    _check_request(body)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(BODIES)
def test_t152_ten_thousand_requests_read_the_same(body: dict[str, Any]) -> None:
    _check_request(body)


ANSWERS = st.builds(
    lambda content, stop, counts: {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if any("toolUse" in b for b in content) else stop,
        "usage": dict(
            zip(
                ("inputTokens", "outputTokens", "cacheReadInputTokens"),
                counts,
                strict=True,
            )
        ),
        "metrics": {"latencyMs": 1},
    },
    st.lists(TEXTS | THOUGHTS | CALLS | CITED | IMAGES, max_size=4),
    st.sampled_from(
        ["end_turn", "max_tokens", "content_filtered", "guardrail_intervened"]
    ),
    st.tuples(*[st.integers(0, 999)] * 3),
)


def _check_answer(answer: dict[str, Any]) -> None:
    reply = Reply(model=CLAUDE)
    body = json.dumps(answer).encode()
    events = Repair().feed(CODEC.decode_answer(body, reply))
    first = gather(events)
    shown = view(ask({"messages": []}))
    again = Repair().feed(CODEC.decode_answer(CODEC.encode_answer(first, shown), reply))
    assert gather(again) == first
    encoder = CODEC.open_encoder(shown, None)  # type: ignore[arg-type]
    decoder = CODEC.open_decoder(reply)
    streamed = [*decoder.feed(encoder.encode(events)), *decoder.eof()]
    assert gather(Repair().feed(streamed)) == first


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_t152_an_answer_reads_the_same_whole_and_streamed(
    answer: dict[str, Any],
) -> None:
    _check_answer(answer)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(ANSWERS)
def test_t152_ten_thousand_answers_read_the_same(answer: dict[str, Any]) -> None:
    _check_answer(answer)
