from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.formats.base import Target
from providers.formats.capabilities import capabilities
from providers.formats.neutral.fit import results as results_of
from providers.formats.neutral.fit import turns as turns_of
from providers.formats.neutral.fit.fitted import fit
from providers.formats.neutral.fit.names import is_legal, wire_names
from providers.formats.neutral.types import (
    CacheMark,
    Media,
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.providers.formats.fit.made import raw

MODELS = (
    ("openai", "openai", "gpt-4o"),
    ("openai", "mistral", "mistral-large"),
    ("openai", "openai", "gpt-5.2"),
    ("openai", "openrouter", "some/model"),
    ("responses", "openai", "gpt-5"),
    ("anthropic", "anthropic", "claude-sonnet-4"),
    ("anthropic", "anthropic", "claude-opus-4-8"),
    ("google", "google", "gemini-2.5-pro"),
    ("google", "google", "gemini-3-pro-preview"),
    ("ollama", "ollama", "qwen3"),
    ("bedrock", "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("bedrock", "bedrock", "meta.llama3-3-70b-instruct-v1:0"),
    ("codex", "codex", "gpt-5.3-codex"),
    ("copilot", "copilot", "gpt-4.1"),
    ("cloudcode", "cloudcode", "gemini-2.5-flash"),
    ("vertex", "vertex", "claude-sonnet-4-5@20250929"),
)
SAID = st.sampled_from(["", " ", "a", "b\n", "ü", "x-anthropic-billing-header: 1"])
MARKS = st.sampled_from([None, None, CacheMark(), CacheMark(ttl="1h")])
NAMES = st.sampled_from(["look", "my.tool", "my_tool", "", "x" * 80, "9ä", "a b"])
SPACES = st.sampled_from(["", "", "ns", "n.s"])
IDS = st.sampled_from(["", "c1", "c2", "call:3", "y" * 70])
KINDS = st.sampled_from(["function", "function", "custom"])
IMAGE = Media(
    kind="image",
    source="base64",
    data="iVBORw0KGgoAAAANSUhEUgAA",
    media_type="image/png",
)
TEXTS = st.builds(Text, text=SAID, cache=MARKS)
CALLS = st.builds(
    ToolCall,
    id=IDS,
    name=NAMES,
    namespace=SPACES,
    kind=KINDS,
    arguments=st.sampled_from(["", "{}", '{"a":1}', "free"]),
    item_id=st.sampled_from(["", "fc_1"]),
)
RESULTS = st.builds(
    ToolResult,
    call_id=IDS,
    name=NAMES,
    content=st.lists(st.one_of(TEXTS, st.just(IMAGE)), max_size=2).map(tuple),
    cache=MARKS,
)
THOUGHTS = st.builds(Reasoning, text=SAID)


def _turns(role, parts):
    return st.builds(
        Turn, role=st.just(role), parts=st.lists(parts, max_size=3).map(tuple)
    )


TURNS = st.lists(
    st.one_of(
        _turns("user", st.one_of(TEXTS, st.just(IMAGE), RESULTS)),
        _turns("assistant", st.one_of(TEXTS, CALLS, THOUGHTS)),
        _turns("tool", RESULTS),
        _turns("instruction", TEXTS),
    ),
    max_size=7,
).map(tuple)
TOOLS = st.lists(
    st.builds(
        Tool,
        kind=KINDS,
        name=NAMES,
        namespace=SPACES,
        schema=st.sampled_from([None, raw({"type": "object"})]),
        strict=st.sampled_from([None, True, False]),
        is_deferred=st.booleans(),
        cache=MARKS,
    ),
    max_size=4,
).map(tuple)
MODES = st.sampled_from(["auto", "none", "any", "one", "subset"])
REQUESTS = st.builds(
    Request,
    dialect=st.sampled_from(["openai", "responses", "anthropic", "google"]),
    model=st.just("asked"),
    instructions=st.lists(_turns("instruction", TEXTS), max_size=2).map(tuple),
    turns=TURNS,
    tools=TOOLS,
    tool_choice=st.none()
    | st.builds(
        ToolChoice,
        mode=MODES,
        names=st.tuples(NAMES),
        is_required=st.booleans(),
        parallel=st.sampled_from([None, True, False]),
    ),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([None, 0.0, 1.0, 1.9]),
        top_p=st.sampled_from([None, 0.5, 1.0]),
        top_k=st.sampled_from([None, 5]),
        seed=st.sampled_from([None, 5]),
        stop=st.lists(st.sampled_from(["", "\n", "END"]), max_size=6).map(tuple),
    ),
    max_output=st.sampled_from([None, -1, 1, 100, 5000, 200_000]),
    thinking=st.none()
    | st.builds(
        Thinking,
        mode=st.sampled_from(["off", "effort", "budget", "adaptive"]),
        effort=st.sampled_from(["", "none", "minimal", "high", "max", "odd"]),
        budget=st.sampled_from([None, 1, 5000, 100_000]),
    ),
    output=st.none()
    | st.builds(
        OutputFormat,
        kind=st.sampled_from(["text", "json", "schema"]),
        schema=st.sampled_from([None, raw({"type": "object"})]),
    ),
    cache=MARKS,
)
INVENTED = {
    results_of.MISSING,
    results_of.ORPHAN,
    results_of.FILE_FOLLOWS,
    turns_of.BEGIN,
    turns_of.EMPTY,
    turns_of.GO_ON,
}
REMINDER = re.compile(r"\A<system-reminder>\n(.*)\n</system-reminder>\Z", re.DOTALL)


def _fitted(asked, at):
    format_id, provider, model = at
    caps = capabilities(format_id, provider, model)
    target = Target(model=model, max_output_tokens=32_000)
    return fit(asked, target, caps, {}), caps


def _texts(asked):
    found = []
    for turn in (*asked.instructions, *asked.turns):
        for part in turn.parts:
            if isinstance(part, Text):
                found.append(part.text)
            elif isinstance(part, ToolResult):
                found += [each.text for each in part.content if isinstance(each, Text)]
    return found


def _plain(text):
    match = REMINDER.match(text)
    return (match.group(1) if match else text).rstrip()


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(asked=REQUESTS, at=st.sampled_from(MODELS))
def test_fitting_twice_changes_nothing(asked, at):
    _change_nothing_twice(asked, at)


@pytest.mark.long
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck), deadline=None)
@given(asked=REQUESTS, at=st.sampled_from(MODELS))
def test_fitting_twice_changes_nothing_in_the_long_form(asked, at):
    _change_nothing_twice(asked, at)


def _change_nothing_twice(asked, at):
    once, _ = _fitted(asked, at)
    twice, _ = _fitted(once.request, at)
    assert twice.request == once.request


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(asked=REQUESTS, at=st.sampled_from(MODELS))
def test_nothing_is_invented(asked, at):
    done, _ = _fitted(asked, at)
    said = {_plain(text) for text in _texts(asked)} | INVENTED
    added = [
        text
        for text in _texts(done.request)
        if _plain(text) not in said and not text.startswith("Answer with one JSON")
    ]
    assert added == []


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(asked=REQUESTS, at=st.sampled_from(MODELS))
def test_every_call_has_its_result_directly_behind_it(asked, at):
    done, caps = _fitted(asked, at)
    turns = done.request.turns
    for place, turn in enumerate(turns):
        calls = [part.id for part in turn.parts if isinstance(part, ToolCall)]
        if calls:
            assert turns[place + 1].role == "tool"
            found = [part.call_id for part in turns[place + 1].parts]
            assert sorted(found) == sorted(calls)
            if caps.results_in_call_order:
                assert found == calls
        if turn.role == "tool":
            assert any(isinstance(part, ToolCall) for part in turns[place - 1].parts)
        assert turn.parts
    if caps.merges_turns:
        pairs = pairwise(turns)
        assert all(a.role != b.role or a.role == "tool" for a, b in pairs)
        assert turns[0].role == "user"


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(asked=REQUESTS, at=st.sampled_from(MODELS))
def test_names_are_legal_and_one_to_one(asked, at):
    done, caps = _fitted(asked, at)
    made = [(tool.namespace, tool.name) for tool in done.request.tools]
    assert len(set(made)) == len(made)
    assert all(is_legal(name, caps) for _, name in made)
    back = [(known.namespace, known.name) for known in done.names.values()]
    assert len(set(back)) == len(back)


@given(keys=st.lists(st.tuples(SPACES, st.text(max_size=70)), max_size=8))
def test_wire_names_are_a_bijection(keys):
    for at in MODELS:
        caps = capabilities(*at)
        names = wire_names(keys, caps)
        spaces = [(key[0] if caps.namespaces else "", names[key]) for key in names]
        assert len(set(spaces)) == len(set(keys))
        assert all(is_legal(name, caps) for name in names.values())


@pytest.mark.parametrize("at", MODELS, ids=lambda each: each[2])
def test_marks_never_exceed_the_limit(at):
    marked = Text(text="a", cache=CacheMark())
    asked = Request(
        dialect="anthropic",
        model="m",
        turns=tuple(Turn(role="user", parts=(marked,)) for _ in range(9)),
        cache=CacheMark(),
    )
    done, caps = _fitted(asked, at)
    kept = [part for turn in done.request.turns for part in turn.parts if part.cache]
    assert len(kept) + (done.request.cache is not None) <= caps.cache_marks
