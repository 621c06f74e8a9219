from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.formats.base import Target
from tests.providers.formats.ollama_native.support import (
    CAPS,
    CHAT,
    CODEC,
    FORMAT,
    GENERATE,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NAME = st.text("abcdefgh_-", min_size=1, max_size=8)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2)
    ),
    max_leaves=4,
)
OBJECT = st.dictionaries(NAME, VALUE, max_size=3)
IMAGE = st.sampled_from(["iVBORw0KGgo=", "/9j/4AAQ", "AAAA"])


def objects(required, **optional):
    """Return objects with some fields always and others now and then."""
    return st.fixed_dictionaries(required, optional=optional)


CALL = objects(
    {"function": objects({"name": NAME}, arguments=OBJECT | TEXT | st.none())},
    id=NAME,
)
MESSAGE = st.one_of(
    objects({"role": st.sampled_from(["system", "user"])}, content=TEXT | st.none()),
    objects({"role": st.just("user")}, images=st.lists(IMAGE, max_size=2)),
    objects(
        {"role": st.just("assistant")},
        content=TEXT,
        thinking=TEXT,
        tool_calls=st.lists(CALL, max_size=2),
    ),
    objects({"role": st.just("tool"), "content": TEXT}, tool_name=NAME),
    objects({"role": st.just("tool")}, tool_call_id=NAME, name=NAME),
)
NUMBER = st.floats(-2, 2) | st.integers(0, 2**40)
OPTIONS = objects(
    {},
    temperature=NUMBER,
    top_p=NUMBER,
    top_k=st.integers(0, 100),
    seed=st.integers(-(2**53), 2**53),
    stop=st.lists(TEXT, max_size=3) | TEXT | st.none(),
    num_predict=st.integers(-2, 9_000),
    num_ctx=st.integers(1, 9_000),
    mirostat=VALUE,
)
TOOL = objects(
    {
        "function": objects({"name": NAME}, description=TEXT, parameters=OBJECT),
        "type": st.just("function"),
    }
)
FIELDS = objects(
    {"model": NAME},
    messages=st.lists(MESSAGE, min_size=1, max_size=6),
    stream=st.booleans() | st.none(),
    options=OPTIONS | st.none(),
    tools=st.lists(TOOL, max_size=2),
    format=st.just("json") | OBJECT | st.none(),
    think=st.booleans() | st.sampled_from(["low", "medium", "high", "max"]),
    logprobs=st.booleans(),
    top_logprobs=st.integers(0, 20),
    keep_alive=TEXT | st.integers(-1, 600),
    truncate=st.booleans(),
    shift=VALUE,
)


GENERATED = objects(
    {"model": NAME, "prompt": st.text("ab c", min_size=1, max_size=9)},
    system=TEXT,
    images=st.lists(IMAGE, max_size=2),
    options=OPTIONS,
    format=st.just("json") | OBJECT,
    suffix=TEXT,
    template=TEXT,
    raw=st.booleans(),
    context=st.lists(st.integers(0, 9), max_size=3),
    think=st.booleans(),
    stream=st.booleans(),
)


def check(arrival, fields):
    """Hold the law: what is encoded decodes to what it was, and nothing is lost."""
    body = json.dumps(fields).encode()
    once = CODEC.decode_request(FORMAT.read_request(body, arrival))
    sent = CODEC.encode_request(once, Target(model=once.model), CAPS)
    assert sent.path == CHAT.path
    assert sent.losses == ()
    again = CODEC.decode_request(FORMAT.read_request(sent.body, CHAT))
    assert again == once


def check_chat(fields):
    check(CHAT, {"messages": [{"role": "user", "content": "Hi"}]} | fields)


@settings(max_examples=100, deadline=None)
@given(FIELDS)
def test_what_is_encoded_decodes_to_what_it_was(fields):
    check_chat(fields)


@settings(max_examples=100, deadline=None)
@given(GENERATED)
def test_a_prompt_decodes_to_what_its_chat_decodes_to(fields):
    check(GENERATE, fields)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(FIELDS)
def test_the_round_trip_holds_ten_thousand_times(fields):
    check_chat(fields)
