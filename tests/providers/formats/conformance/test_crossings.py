"""T151: one script of answers through every pair of dialects says the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

import msgspec
import pytest

from pricing.cost import PriceSpec, cost_nano_usd
from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Bridge, ChatRequest, Target, UpstreamRequest
from providers.formats.neutral.events import AnyEvent, End
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.taps import StreamTap
from tests.providers.formats.conformance.losses import counted, expected, worded
from tests.providers.formats.conformance.scripts import SCRIPTS
from tests.providers.formats.conformance.talk import (
    FIXTURES,
    INBOUND,
    NEEDED,
    OPTIONS,
    UPSTREAMS,
    Seen,
    ask,
    codec_of,
    counters,
    frames,
    read,
    read_whole,
    seen,
    wire_between,
    write,
    write_whole,
)

PAIRS = [(inbound, upstream) for inbound in INBOUND for upstream in UPSTREAMS]
RATES = {
    name: 1_000_003 * (place + 7)
    for place, name in enumerate(PriceSpec.__struct_fields__)
    if name != "long_threshold"
}
PRICE = PriceSpec(**RATES, long_threshold=1_000)
"""A price with every rate, all different and none round."""

NEEDS_NO_LAST_PIECE = frozenset({"openai"})
"""Some servers of chat leave out what comes after the reason it ended for (T85)."""


def _asked(
    inbound: str, upstream: str, *, stream: bool
) -> tuple[Bridge, ChatRequest, UpstreamRequest]:
    """Ask an upstream what a client asked."""
    format_id, model = UPSTREAMS[upstream]
    request = ask(inbound, stream=stream)
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    target = Target(model=model, options=OPTIONS)
    return bridge, request, bridge.build_request(request, target)


def _tap(inbound: str, upstream: str) -> StreamTap:
    bridge, request, sent = _asked(inbound, upstream, stream=True)
    stream = registry.get(inbound).open_stream(request, request_id="r")
    return bridge.open_tap(request, sent, stream)


def _streamed(tap: StreamTap, pieces: Iterable[bytes]) -> bytes:
    return b"".join([tap.feed(piece) for piece in pieces]) + tap.eof()


@cache
def _wire(dialect: str, script: str) -> tuple[list[bytes], bytes]:
    """Return a script's answer in a dialect, in pieces and whole."""
    events = SCRIPTS[script]
    return write(dialect, events), write_whole(dialect, events)


def _expected(script: str, *dialects: str) -> tuple[Seen, dict[str, int]]:
    answer = gather(Repair().feed(SCRIPTS[script]))
    told, usage = seen(answer), counters(answer.usage)
    for dialect in dialects:
        told, usage = worded(told, dialect), counted(usage, dialect)
    return told, usage


def _cut(data: bytes, pieces: int, seed: object) -> list[bytes]:
    """Cut some bytes at random places."""
    places = random.Random(repr(seed)).sample(range(len(data)), pieces)
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def _client_sees(inbound: str, pieces: Sequence[bytes]) -> list[AnyEvent]:
    return read(codec_of(inbound), pieces)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t151_a_stream_says_the_same_everywhere(
    inbound: str, upstream: str, script: str
) -> None:
    wire = wire_between(inbound, upstream)
    pieces, whole = _wire(wire, script)
    answer, usage = _expected(script, wire, inbound)
    data = b"".join(pieces)
    for fed in (pieces, _cut(data, 7, (inbound, upstream, script))):
        tap = _tap(inbound, upstream)
        got = gather(_client_sees(inbound, [_streamed(tap, fed)]))
        assert tap.complete
        assert seen(got) == answer
        assert counters(got.usage) == usage
        assert counters(tap.usage) == _expected(script, wire)[1]
    # A client that streams is answered by an upstream that does not.
    tap = _tap(inbound, upstream)
    got = gather(_client_sees(inbound, [_streamed(tap, [whole])]))
    assert seen(got) == answer
    assert counters(got.usage) == usage


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t151_a_whole_answer_says_the_same_everywhere(
    inbound: str, upstream: str, script: str
) -> None:
    wire = wire_between(inbound, upstream)
    pieces, whole = _wire(wire, script)
    answer, usage = _expected(script, wire, inbound)
    # The second is a stream nobody asked for.
    for body in (whole, b"".join(pieces)):
        bridge, request, sent = _asked(inbound, upstream, stream=False)
        meta = bridge.read_response(request, sent, body)
        assert meta.error is None
        got = gather(read_whole(codec_of(inbound), meta.body))
        assert seen(got) == answer
        assert counters(got.usage) == usage
        assert counters(meta.usage) == _expected(script, wire)[1]


@pytest.mark.parametrize("name", [each for each in NEEDED if each != "error"])
@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t151_a_recorded_answer_says_the_same_everywhere(
    inbound: str, upstream: str, name: str
) -> None:
    wire = wire_between(inbound, upstream)
    case = FIXTURES[wire][name]
    answer, usage = expected(case, wire)
    answer, told = worded(answer, inbound), counted(usage, inbound)
    tap = _tap(inbound, upstream)
    streamed = gather(_client_sees(inbound, [_streamed(tap, frames(case))]))
    bridge, request, sent = _asked(inbound, upstream, stream=False)
    body = json.dumps(case["whole"]).encode()
    meta = bridge.read_response(request, sent, body)
    whole = gather(read_whole(codec_of(inbound), meta.body))
    for got in (streamed, whole):
        assert seen(got) == answer
        assert counters(got.usage) == told
    assert counters(tap.usage) == counters(meta.usage) == usage


@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t118_no_pair_ends_clean_after_an_error(inbound: str, upstream: str) -> None:
    case = FIXTURES[wire_between(inbound, upstream)]["error"]
    tap = _tap(inbound, upstream)
    out = _streamed(tap, frames(case))
    assert tap.error is not None
    assert not tap.complete
    assert not any(isinstance(event, End) for event in _client_sees(inbound, [out]))
    bridge, request, sent = _asked(inbound, upstream, stream=False)
    for body in (json.dumps(case["whole"]).encode(), b"".join(frames(case))):
        assert bridge.read_response(request, sent, body).error is not None


@pytest.mark.parametrize("script", ["parallel_calls", "thinking_and_calls"])
@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t119_no_pair_ends_clean_after_a_cut(
    inbound: str, upstream: str, script: str
) -> None:
    wire = wire_between(inbound, upstream)
    pieces = [piece for piece in _wire(wire, script)[0] if piece]
    for at in range(len(pieces) - (wire in NEEDS_NO_LAST_PIECE)):
        tap = _tap(inbound, upstream)
        out = _streamed(tap, pieces[:at])
        events = _client_sees(inbound, [out])
        assert not tap.complete, at
        assert not any(isinstance(event, End) for event in events), at


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_money_is_the_same_streamed_and_whole_and_for_every_client(
    upstream: str, script: str
) -> None:
    bills: dict[str, set[int | None]] = {}
    for inbound in INBOUND:
        wire = wire_between(inbound, upstream)
        pieces, whole = _wire(wire, script)
        tap = _tap(inbound, upstream)
        _streamed(tap, _cut(b"".join(pieces), 5, (upstream, script)))
        bridge, request, sent = _asked(inbound, upstream, stream=False)
        usages = [tap.usage, bridge.read_response(request, sent, whole).usage]
        bills.setdefault(wire, set()).update(map(_cost, usages))
    for found in bills.values():
        assert len(found) == 1
        (cost,) = found
        assert cost is not None
        assert cost >= 0


def _cost(usage: TokenUsage | None) -> int | None:
    assert usage is not None
    return cost_nano_usd(usage, PRICE)


@pytest.mark.parametrize("dialect", INBOUND)
def test_a_relayed_bill_is_a_translated_one(dialect: str) -> None:
    for script in SCRIPTS:
        pieces, _ = _wire(dialect, script)
        bills = set()
        for inbound in INBOUND:
            if wire_between(inbound, dialect) == dialect:
                tap = _tap(inbound, dialect)
                _streamed(tap, pieces)
                bills.add(msgspec.json.encode(tap.usage))
        assert len(bills) == 1, script


@pytest.mark.parametrize("name", [each for each in NEEDED if each != "error"])
@pytest.mark.parametrize("dialect", INBOUND)
def test_t153_a_relayed_stream_is_the_upstreams_bytes(dialect: str, name: str) -> None:
    data = b"".join(frames(FIXTURES[dialect][name]))
    for seed in range(5):
        bridge, request, _ = _asked(dialect, dialect, stream=True)
        sent = bridge.build_request(request, Target(model="up"))
        stream = registry.get(dialect).open_stream(request, request_id="r")
        tap = bridge.open_tap(request, sent, stream)
        assert _streamed(tap, _cut(data, 6, (dialect, name, seed))) == data
        assert tap.complete
