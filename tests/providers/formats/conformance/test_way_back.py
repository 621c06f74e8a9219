"""What was changed so that an upstream takes it is the client's own again."""

from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target, UpstreamRequest
from providers.formats.neutral.bridge import Translation
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.gather import gather
from tests.providers.formats.conformance.requests import REQUESTS
from tests.providers.formats.conformance.scripts import answer, call, said
from tests.providers.formats.conformance.talk import (
    INBOUND,
    OPTIONS,
    UPSTREAMS,
    ask,
    codec_of,
    read,
    read_whole,
    seen,
    wire_between,
    write,
    write_whole,
)

PAIRS = [(inbound, upstream) for inbound in INBOUND for upstream in UPSTREAMS]
ODD_NAME = "mcp__" + "weather.of/the-days" * 5
ANSWER = '{"city":"Łódź","days":2}'
FORCED = ("openai", "responses", "ollama")
"""Clients whose conversation of the requests asks for an object by its schema."""


def _through(
    inbound: str, upstream: str, body: bytes, *, is_forced: bool
) -> tuple[UpstreamRequest, list[tuple[str, str]], str]:
    """Ask, answer with one call or one object, and return what the client sees."""
    format_id, model = UPSTREAMS[upstream]
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    target = Target(model=model, options=OPTIONS)
    seen_calls, texts = [], []
    for stream in (True, False):
        like = ask(inbound, stream=stream)
        request = registry.get(inbound).read_request(body, like.arrival)
        sent = bridge.build_request(request, target)
        events = _answer(sent, is_forced=is_forced)
        wire = wire_between(inbound, upstream)
        if stream:
            own = registry.get(inbound).open_stream(request, request_id="r")
            tap = bridge.open_tap(request, sent, own)
            out = b"".join(tap.feed(piece) for piece in write(wire, events))
            got = gather(read(codec_of(inbound), [out + tap.eof()]))
        else:
            meta = bridge.read_response(request, sent, write_whole(wire, events))
            got = gather(read_whole(codec_of(inbound), meta.body))
        told = seen(got)
        seen_calls.append([(name, json.dumps(value)) for name, value in told.calls])
        texts.append(told.text)
        assert got.is_complete
    assert seen_calls[0] == seen_calls[1]
    assert texts[0] == texts[1]
    return sent, seen_calls[0], texts[0]


def _answer(sent: UpstreamRequest, *, is_forced: bool) -> list[AnyEvent]:
    """Answer as an upstream does that was asked by other names."""
    made = sent.context if isinstance(sent.context, Translation) else None
    if is_forced:
        if made is None or not made.fitted.json_tool:
            return answer(said(0, "text", ANSWER))
        tool = made.fitted.json_tool
        return answer(call(0, "call_1", tool, ANSWER), reason="tool_calls")
    names = made.fitted.names if made else {}
    wire = next((each for each in names if names[each].name == ODD_NAME), ODD_NAME)
    assert json.dumps(wire).encode() in sent.body
    return answer(call(0, "call_1", wire, "{}"), reason="tool_calls")


@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t43_a_tool_has_its_own_name_again(inbound: str, upstream: str) -> None:
    fine = ask(inbound).body.replace(b"get_weather", ODD_NAME.encode())
    _, calls, _ = _through(inbound, upstream, fine, is_forced=False)
    assert calls == [(ODD_NAME, "{}")]


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("inbound", FORCED)
def test_an_object_asked_for_is_the_text_of_the_answer(
    inbound: str, upstream: str
) -> None:
    body = json.dumps(REQUESTS[inbound]).encode()
    _, calls, text = _through(inbound, upstream, body, is_forced=True)
    assert calls == []
    assert json.loads(text) == json.loads(ANSWER)
