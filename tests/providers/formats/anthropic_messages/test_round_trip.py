"""The law of the neutral form: taken apart, worded and taken apart again is the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.events import (
    CitationSeen,
    End,
    Finish,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Citation, Opaque
from tests.providers.formats.anthropic_messages.messages import (
    CODEC,
    FORMAT,
    TARGET,
    part,
    raw,
    read,
    read_whole,
    view,
    written,
)

CAPS = Capabilities()
words = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() == text != "")
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**18) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2)
    ),
    max_leaves=5,
)
objects = st.dictionaries(words, plain, max_size=3)
cache = st.sampled_from([{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])


def blocks(strategy):
    return st.builds(lambda block, mark: {**block, **mark}, strategy, cache)


text = blocks(st.fixed_dictionaries({"type": st.just("text"), "text": words}))
image = st.one_of(
    st.fixed_dictionaries({"type": st.just("url"), "url": words}),
    st.fixed_dictionaries({"type": st.just("file"), "file_id": ids}),
    st.just({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}),
).map(lambda source: {"type": "image", "source": source})
document = st.builds(
    lambda source, more: {"type": "document", "source": source, **more},
    st.one_of(
        st.fixed_dictionaries(
            {
                "type": st.just("text"),
                "media_type": st.just("text/plain"),
                "data": words,
            }
        ),
        st.fixed_dictionaries({"type": st.just("url"), "url": words}),
        st.fixed_dictionaries({"type": st.just("content"), "content": words}),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "title": words,
            "context": words,
            "citations": st.just({"enabled": True}),
        },
    ),
)
found = st.fixed_dictionaries(
    {
        "type": st.just("search_result"),
        "source": words,
        "title": words,
        "content": st.lists(text, max_size=2),
    }
)
novel = st.builds(lambda more: {**more, "type": "hologram"}, objects)
result = blocks(
    st.builds(
        lambda call_id, content, more: {
            "type": "tool_result",
            "tool_use_id": call_id,
            **content,
            **more,
        },
        ids,
        st.one_of(
            st.just({}),
            words.map(lambda each: {"content": each}),
            st.lists(text | image | novel, min_size=1, max_size=3).map(
                lambda each: {"content": each}
            ),
        ),
        st.sampled_from([{}, {"is_error": True}]),
    )
)
thought = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("thinking"), "thinking": words, "signature": ids}
    ),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": ids}),
)
call = st.fixed_dictionaries(
    {"type": st.just("tool_use"), "id": ids, "name": ids, "input": objects}
)
user = st.lists(
    text | image | document | found | result | novel, min_size=1, max_size=4
).map(lambda content: {"role": "user", "content": content})
assistant = st.lists(text | thought | call | novel, min_size=1, max_size=4).map(
    lambda content: {"role": "assistant", "content": content}
)
tool = st.one_of(
    st.builds(
        lambda name, more: {"name": name, **more},
        ids,
        st.fixed_dictionaries(
            {"input_schema": objects},
            optional={
                "description": words,
                "strict": st.booleans(),
                "input_examples": st.lists(objects, max_size=1),
                "defer_loading": st.just(True),
            },
        ),
    ),
    st.just({"type": "web_search_20250305", "name": "web_search", "max_uses": 3}),
)
optional = {
    "system": words | st.lists(text, min_size=1, max_size=3),
    "temperature": st.sampled_from([0.0, 0.5, 1.0]),
    "top_k": st.integers(1, 9),
    "stop_sequences": st.lists(words, min_size=1, max_size=2),
    "stream": st.booleans(),
    "tools": st.lists(tool, min_size=1, max_size=3),
    "thinking": st.sampled_from(
        [
            {"type": "enabled", "budget_tokens": 2048},
            {"type": "adaptive", "display": "omitted"},
            {"type": "disabled"},
            {"type": "between_tools"},
        ]
    ),
    "output_config": st.sampled_from(
        [
            {"effort": "low"},
            {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            {"effort": "max", "task_budget": {"total": 3}},
        ]
    ),
    "metadata": st.builds(
        lambda user_id: {"user_id": user_id},
        words | st.just('{"device_id":"d","session_id":"s"}'),
    ),
    "service_tier": st.sampled_from(["auto", "standard_only"]),
    "context_management": objects,
    "future": plain.filter(lambda value: value is not None),
}


@st.composite
def bodies(draw):
    turns = [draw(user)]
    for _ in range(draw(st.integers(0, 2))):
        turns += [draw(assistant), draw(user)]
    head = {"model": "claude-up", "max_tokens": 4096, "messages": turns}
    body = {**head, **draw(st.fixed_dictionaries({}, optional=optional))}
    if "tools" in body and draw(st.booleans()):
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    return body


def decoded(body):
    return CODEC.decode_request(FORMAT.read_request(body))


def survives(body):
    """Check that a request reads back as it was worded."""
    # Blocks nobody understands are kept member by member, each with its own bytes.
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    once = decoded(text.encode())
    made = CODEC.encode_request(once, TARGET, CAPS)
    twice = decoded(made.body)
    if any(loss.field == "cache_control" for loss in made.losses):
        once, twice = unmarked(once), unmarked(twice)
    assert twice == once


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(bodies())
def test_t152_a_request_survives_being_taken_apart(body):
    survives(body)


@pytest.mark.long
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck), deadline=None)
@given(bodies())
def test_t152_ten_thousand_requests_survive_being_taken_apart(body):
    survives(body)


def unmarked(request):
    """Take the cache marks off: more than four of them are not sent."""
    turns = [
        replace(
            turn,
            parts=tuple(
                replace(each, cache=None, **_plain_content(each))
                if hasattr(each, "cache")
                else each
                for each in turn.parts
            ),
        )
        for turn in (*request.instructions, *request.turns)
    ]
    return replace(request, instructions=(), turns=tuple(turns))


def _plain_content(each):
    if not hasattr(each, "content"):
        return {}
    content = tuple(
        replace(inner, cache=None) if hasattr(inner, "cache") else inner
        for inner in each.content
    )
    return {"content": content}


proof = st.builds(
    Opaque,
    family=st.sampled_from(["google", "openai"]),
    slot=st.sampled_from(["encrypted", "thought_signature"]),
    data=words,
    model=words,
    scope=ids,
)
own_call = raw({"type": "server_tool_use", "id": "s", "name": "w", "input": {"q": 1}})


@st.composite
def answers(draw):
    events = [Start(id="msg_1", model="m")]
    for pos in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["text", "reasoning", "tool_call", "unknown"]))
        if kind == "text":
            pieces = draw(st.lists(words, min_size=1, max_size=3))
            each = part(pos, "text", *pieces)
            if draw(st.booleans()):
                kept = {"document_index": raw(0)}
                cited = Citation(kind="char_location", cited_text="x", ext=kept)
                each.insert(1, CitationSeen(pos=pos, citation=cited))
            events += each
        elif kind == "reasoning":
            inner = [
                *draw(st.lists(words, max_size=2)),
                *draw(st.lists(proof, max_size=1)),
            ]
            events += part(pos, "reasoning", *inner, detail="full")
        elif kind == "tool_call":
            pieces = json.dumps(draw(objects))
            half = len(pieces) // 2
            events += part(
                pos,
                "tool_call",
                *draw(st.lists(proof, max_size=1)),
                pieces[:half],
                pieces[half:],
                id=draw(ids),
                name=draw(ids),
            )
        else:
            seen = UnknownSeen(
                pos=pos, dialect="anthropic", type="server_tool_use", payload=own_call
            )
            events += [PartOpen(pos=pos, kind="unknown"), seen, PartClose(pos=pos)]
    reason = draw(st.sampled_from(["end", "max_tokens", "refusal", "pause"]))
    return Repair().feed([*events, Finish(reason=reason), End()])


def reads_alike(events, data):
    """Check that an answer streamed, cut anywhere, is the answer whole."""
    streamed = written(events)
    whole = gather(read_whole(CODEC.encode_answer(gather(events), view())))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(streamed)), max_size=5)))
    pieces = [
        streamed[first:last]
        for first, last in zip([0, *cuts], [*cuts, None], strict=True)
    ]
    again = gather(read(pieces))
    assert again.is_complete
    assert simplified(again) == simplified(whole)
    assert again.choices[0].finish == whole.choices[0].finish


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(answers(), st.data())
def test_t152_an_answer_streamed_is_the_answer_whole(events, data):
    reads_alike(events, data)


@pytest.mark.long
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck), deadline=None)
@given(answers(), st.data())
def test_t152_ten_thousand_answers_streamed_are_the_answers_whole(events, data):
    reads_alike(events, data)


def simplified(answer):
    """Return the parts with raw JSON as values."""
    return [
        json.loads(bytes(each.payload)) if hasattr(each, "payload") else each
        for each in answer.choices[0].parts
    ]
