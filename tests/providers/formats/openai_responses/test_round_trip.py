from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.neutral.types import Request
from tests.providers.formats.openai_responses.rs import FORMAT, neutral, worded

TEXTS = st.text(min_size=1, max_size=12)
WORDS = st.from_regex(r"\A[a-z_]{1,8}\Z")
JSON = st.dictionaries(WORDS, st.integers() | TEXTS | st.none(), max_size=3)


def typed(kind, **fields):
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


INPUT_PARTS = st.lists(
    st.one_of(
        typed("input_text", text=TEXTS),
        typed("input_image", image_url=st.just("data:image/png;base64,iVBO")),
        typed("input_image", image_url=st.just("https://a.example/b.png")),
        typed("input_file", file_id=WORDS),
        typed("input_audio", input_audio=st.just({"data": "AA", "format": "wav"})),
        typed("input_future", thing=JSON),
    ),
    max_size=3,
)
OUTPUT_PARTS = st.lists(
    st.one_of(
        typed("output_text", text=TEXTS, annotations=st.just([])),
        typed("refusal", refusal=TEXTS),
    ),
    max_size=2,
)
ITEMS = st.lists(
    st.one_of(
        typed("message", role=st.just("user"), content=TEXTS | INPUT_PARTS),
        typed("message", role=st.just("developer"), content=TEXTS),
        typed(
            "message",
            role=st.just("system"),
            content=st.lists(typed("input_text", text=TEXTS), max_size=2),
        ),
        typed(
            "message",
            role=st.just("assistant"),
            content=TEXTS | OUTPUT_PARTS,
            phase=st.sampled_from(["commentary", "final_answer"]),
        ),
        typed(
            "reasoning",
            summary=st.lists(typed("summary_text", text=TEXTS), max_size=1),
            encrypted_content=WORDS,
        ),
        typed(
            "function_call", call_id=WORDS, name=WORDS, arguments=JSON.map(json.dumps)
        ),
        typed("custom_tool_call", call_id=WORDS, name=WORDS, input=TEXTS),
        typed("function_call_output", call_id=WORDS, output=TEXTS | INPUT_PARTS),
        typed("custom_tool_call_output", call_id=WORDS, output=TEXTS),
        typed("web_search_call", id=WORDS, status=st.just("completed")),
        typed("future_item", payload=JSON),
        typed("compaction", encrypted_content=WORDS),
    ),
    max_size=6,
)
FUNCTION = st.fixed_dictionaries(
    {"type": st.just("function"), "name": WORDS, "parameters": JSON | st.none()},
    optional={"strict": st.booleans(), "description": TEXTS},
)
TOOLS = st.lists(
    st.one_of(
        FUNCTION,
        typed("custom", name=WORDS, format=JSON),
        typed(
            "namespace",
            name=WORDS,
            description=TEXTS,
            tools=st.lists(FUNCTION, max_size=2),
        ),
        typed("web_search", filters=JSON),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.get("name", tool["type"]),
)
BODIES = st.fixed_dictionaries(
    {"input": ITEMS},
    optional={
        "instructions": TEXTS,
        "tools": TOOLS,
        "temperature": st.floats(0, 2),
        "max_output_tokens": st.integers(16, 4096),
        "reasoning": st.sampled_from(
            [{"effort": "high", "summary": "auto"}, {"effort": "none"}, {"mode": "pro"}]
        ),
        "text": st.sampled_from(
            [
                {"verbosity": "low"},
                {"format": {"type": "json_object"}},
                {"format": {"type": "json_schema", "name": "n", "schema": {}}},
            ]
        ),
        "include": st.just(["reasoning.encrypted_content"]),
        "store": st.booleans(),
        "metadata": st.dictionaries(WORDS, TEXTS, max_size=2),
        "prompt_cache_key": WORDS,
        "truncation": st.sampled_from(["auto", "disabled"]),
        "future_field": JSON,
        "stream": st.booleans(),
    },
)


def _plain(request: Request) -> object:
    """Return a request as plain values: raw JSON compares by what it says."""
    return json.loads(msgspec.json.encode(request))


def _holds(fields):
    first = neutral(**fields)
    body = worded(first) | {"model": "m"}
    second = FORMAT.codec("").decode_request(
        FORMAT.read_request(json.dumps(body).encode())
    )
    assert _plain(second) == _plain(first)


@given(BODIES)
@settings(max_examples=100, deadline=None)
def test_the_round_trip_law_holds(fields):
    _holds(fields)


@pytest.mark.long
@given(BODIES)
@settings(max_examples=10_000, deadline=None)
def test_the_round_trip_law_holds_for_long(fields):
    _holds(fields)
