"""decode(encode(decode(x))) == decode(x): nothing chat can say is lost by chat."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.formats.openai_chat.cases import EVERYTHING, again, decoded, plain

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8
)
WORD = st.text("abcXYZ019_-", min_size=1, max_size=6)
JSON = st.dictionaries(WORD, st.integers(-9, 9) | TEXT | st.none(), max_size=3)
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
MARK = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])


def some(**fields):
    """Make an object of which each field may be missing."""
    return st.fixed_dictionaries({}, optional=fields)


def typed(kind, **fields):
    return st.fixed_dictionaries({"type": st.just(kind)} | fields)


text_part = st.tuples(typed("text", text=TEXT), MARK).map(
    lambda pair: pair[0] | pair[1]
)
image_part = typed(
    "image_url",
    image_url=st.fixed_dictionaries(
        {"url": st.sampled_from(["https://a.example/x", "data:image/png;base64,aGk="])},
        optional={"detail": st.sampled_from(["low", "high"])},
    ),
)
audio_part = typed(
    "input_audio",
    input_audio=st.just({"data": "aGk=", "format": "mp3"}),
)
file_part = typed(
    "file",
    file=st.sampled_from(
        [
            {"file_id": "file-1"},
            {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            {"file_data": "aGk="},
        ]
    ),
)
odd_part = typed("hologram", payload=JSON)
content = TEXT | st.lists(
    text_part | image_part | audio_part | file_part | odd_part, min_size=1, max_size=3
)
words = TEXT | st.lists(text_part, min_size=1, max_size=3)


def message(role, **optional):
    return st.builds(
        lambda body, given: {"role": role, "content": body} | given,
        words if role != "user" else content,
        some(**optional),
    )


call = st.fixed_dictionaries(
    {
        "id": WORD,
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": WORD, "arguments": st.sampled_from(["{}", '{"a":1}', "{odd"])}
        ),
    },
    optional={
        "extra_content": st.just({"google": {"thought_signature": "sig"}}),
    },
) | typed(
    "custom", id=WORD, custom=st.fixed_dictionaries({"name": WORD, "input": TEXT})
)
detail = st.sampled_from(
    [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
        },
        {
            "type": "reasoning.encrypted",
            "data": "d",
            "format": "openai-responses-v1",
            "id": "rs_1",
        },
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"},
    ]
)
assistant = message(
    "assistant",
    refusal=TEXT,
    name=WORD,
    tool_calls=st.lists(call, min_size=1, max_size=3),
) | st.builds(
    lambda body, extra: {"role": "assistant", "content": body} | extra,
    words,
    st.builds(lambda text: {"reasoning_content": text}, TEXT)
    | st.builds(
        lambda details: {"reasoning_details": details},
        st.lists(detail, min_size=1, max_size=2),
    ),
)
tool = st.builds(
    lambda body, call_id: {"role": "tool", "tool_call_id": call_id, "content": body},
    words,
    WORD,
)
turn = (
    message("user", name=WORD)
    | message("system")
    | message("developer")
    | assistant
    | tool
)
function = st.builds(
    lambda inner, mark: {"type": "function", "function": inner} | mark,
    st.fixed_dictionaries(
        {"name": WORD},
        optional={"description": TEXT, "parameters": JSON, "strict": st.booleans()},
    ),
    MARK,
)
custom = typed(
    "custom",
    custom=st.fixed_dictionaries(
        {"name": WORD}, optional={"description": TEXT, "format": JSON}
    ),
)
server = typed("mcp", server_label=WORD)
named = st.sampled_from(
    [
        {"type": "function", "function": {"name": "f"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "f"}}],
            },
        },
    ]
)
tools = st.builds(
    lambda listed, extra: {"tools": listed} | extra,
    st.lists(function | custom | server, min_size=1, max_size=3),
    some(
        tool_choice=st.sampled_from(["auto", "none", "required"]) | named,
        parallel_tool_calls=st.booleans(),
    ),
)
number = st.floats(-2, 2, allow_nan=False)
fields = some(
    max_tokens=st.integers(1, 9),
    temperature=number,
    top_p=number,
    top_k=st.integers(1, 9),
    min_p=number,
    presence_penalty=number,
    frequency_penalty=number,
    repetition_penalty=number,
    seed=st.integers(0, 9),
    n=st.integers(1, 4),
    stop=st.lists(TEXT, min_size=1, max_size=3) | TEXT,
    logit_bias=JSON,
    logprobs=st.booleans(),
    top_logprobs=st.integers(0, 5),
    reasoning_effort=st.sampled_from(["none", "minimal", "low", "high", "max"]),
    response_format=st.sampled_from(
        [
            {"type": "text"},
            {"type": "json_object"},
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
            },
            {"type": "grammar", "grammar": "root"},
        ]
    ),
    verbosity=WORD,
    modalities=st.just(["text", "audio"]),
    prompt_cache_key=WORD,
    service_tier=WORD,
    user=WORD,
    metadata=st.dictionaries(WORD, TEXT, min_size=1, max_size=2),
    store=st.booleans(),
    web_search_options=JSON,
    prediction=JSON,
    brand_new=JSON,
)


BODY = st.builds(
    lambda conversation, given, listed, stream: {
        "messages": conversation,
        **given,
        **listed,
        **(STREAM if stream else {}),
    },
    st.lists(turn, min_size=1, max_size=5),
    fields,
    tools | st.just({}),
    st.booleans(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODY)
def test_a_request_survives_the_way_there_and_back(body):
    once = decoded(**body)
    assert plain(again(once, EVERYTHING)) == plain(once)


@pytest.mark.long
@settings(
    max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(body=BODY)
def test_ten_thousand_requests_survive(body):
    once = decoded(**body)
    assert plain(again(once, EVERYTHING)) == plain(once)
