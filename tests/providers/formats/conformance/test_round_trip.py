"""T152: what a dialect has words for is the same after it was worded and read again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import ChatRequest, Target
from providers.formats.capabilities import capabilities
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import Part, Text
from tests.providers.formats.conformance.losses import counted, worded
from tests.providers.formats.conformance.requests import REQUESTS
from tests.providers.formats.conformance.scripts import ODD_SCRIPTS, answer, call, said
from tests.providers.formats.conformance.talk import (
    INBOUND,
    UPSTREAMS,
    ask,
    codec_of,
    counters,
    read,
    read_whole,
    seen,
    write,
    write_all,
    write_whole,
)

WORDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=3)
NAMES = st.sampled_from(["get_weather", "get_time"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('aé\\"\n', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.text("ab", min_size=1, max_size=2), VALUES, max_size=2)
COUNTS = st.integers(0, 5_000)
USAGES = st.builds(
    lambda *counts: TokenUsage(
        input_tokens=counts[0],
        cache_read_tokens=counts[1],
        cache_write_tokens=counts[2],
        cache_write_1h_tokens=counts[3],
        output_tokens=counts[4] + counts[5],
        reasoning_tokens=counts[5],
    ),
    *[COUNTS] * 6,
)


@st.composite
def _answers(draw: st.DrawFn) -> list[AnyEvent]:
    """Draw an answer: thoughts, a text or a refusal, calls."""
    refusal = [draw(st.text("ab ", min_size=1, max_size=4)), *draw(WORDS)]
    parts = [
        said(0, "reasoning", *draw(WORDS)),
        draw(
            st.sampled_from(
                [said(1, "text", *draw(WORDS)), said(1, "refusal", *refusal)]
            )
        ),
    ]
    given_ = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3))
    for place, (name, value) in enumerate(given_):
        text = json.dumps(value, ensure_ascii=False)
        middle = len(text) // 2
        parts.append(
            call(place + 2, f"call_{place}", name, text[:middle], text[middle:])
        )
    kept = draw(st.sets(st.integers(0, len(parts) - 1)))
    parts = [part for place, part in enumerate(parts) if place in kept]
    reason = draw(st.sampled_from(["end", "max_tokens", "tool_calls"]))
    return answer(*parts, reason=reason, usage=draw(USAGES))


def _check_answer(dialect: str, events: list[AnyEvent]) -> None:
    """Write an answer in a dialect and read it: streamed, cut anywhere, and whole."""
    meant = gather(Repair().feed(events))
    expected = worded(seen(meant), dialect)
    usage = counted(counters(meant.usage), dialect)
    codec, data = codec_of(dialect), b"".join(write(dialect, events))
    at = random.Random(len(data)).randrange(len(data))
    streamed = gather(read(codec, [data[:at], data[at:]]))
    whole = gather(read_whole(codec, write_whole(dialect, events)))
    for got in (streamed, whole):
        assert seen(got) == expected
        assert counters(got.usage) == usage


@pytest.mark.parametrize("dialect", INBOUND)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=_answers())
def test_t152_an_answer_is_read_as_it_was_worded(
    dialect: str, events: list[AnyEvent]
) -> None:
    _check_answer(dialect, events)


@pytest.mark.long
@pytest.mark.parametrize("dialect", INBOUND)
@settings(
    max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(events=_answers())
def test_t152_ten_thousand_answers_are_read_as_they_were_worded(
    dialect: str, events: list[AnyEvent]
) -> None:
    _check_answer(dialect, events)


@pytest.mark.parametrize("script", ODD_SCRIPTS)
@pytest.mark.parametrize("dialect", INBOUND)
def test_a_dialect_gets_past_what_it_has_no_words_for(
    dialect: str, script: str
) -> None:
    events = ODD_SCRIPTS[script]
    for pieces in (write(dialect, events), [write_all(dialect, events)]):
        answer = gather(read(codec_of(dialect), pieces))
        assert answer.is_complete
        assert "There." in _text(answer.choices[0].parts)
    whole = gather(read_whole(codec_of(dialect), write_whole(dialect, events)))
    assert _text(whole.choices[0].parts) == _text(answer.choices[0].parts)
    assert counters(whole.usage) == counters(answer.usage)


def _text(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def _request(dialect: str, body: bytes, like: ChatRequest) -> Any:
    request = registry.get(dialect).read_request(body, like.arrival)
    return codec_of(dialect).decode_request(request)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", INBOUND)
def test_t152_a_request_is_read_as_it_was_worded(dialect: str, stream: bool) -> None:
    like = ask(dialect, stream=stream)
    # What nobody here understands is kept byte by byte, blanks and all.
    body = json.dumps(REQUESTS[dialect], separators=(",", ":")).encode()
    first = _request(dialect, body, like)
    format_id, model = UPSTREAMS[dialect]
    caps = capabilities(format_id, "", model)
    sent = codec_of(dialect).encode_request(first, Target(model=first.model), caps)
    assert _request(dialect, sent.body, like) == first


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("inbound", INBOUND)
def test_a_whole_conversation_crosses_every_pair(inbound: str, upstream: str) -> None:
    format_id, model = UPSTREAMS[upstream]
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    body = json.dumps(REQUESTS[inbound]).encode()
    request = registry.get(inbound).read_request(body, ask(inbound).arrival)
    options = {"project": "p", "location": "us-central1", "region": "us-east-1"}
    sent = bridge.build_request(request, Target(model=model, options=options))
    for word in ("Weather?", "Be brief.", "get_weather", "Rain", "iVBORw0KGgo="):
        if inbound == "bedrock" and word == "Rain":
            word = "grey"
        assert word.encode() in sent.body, word
    assert isinstance(json.loads(sent.body), dict)
