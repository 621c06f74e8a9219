"""T138: whatever comes, a decoder reads it or refuses it, and never calls it whole."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError, FramingError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.bridge import TranslationBridge
from providers.formats.neutral.events import AnyEvent, End, Failed
from tests.providers.formats.conformance.requests import REQUESTS
from tests.providers.formats.conformance.spoiled import (
    payload_of,
    with_odd_bytes,
    with_odd_value,
    with_payload,
)
from tests.providers.formats.conformance.talk import (
    FIXTURES,
    INBOUND,
    OPTIONS,
    PROGRAMS,
    UPSTREAMS,
    ask,
    codec_of,
    frames,
    read,
    read_whole,
    wire_between,
    wire_of,
)

SHORT, LONG = 150, 4_000
NAMES = ("text", "parallel_tools", "thinking", "refusal", "cache")
DECODERS = [*UPSTREAMS, *PROGRAMS]
TERMINAL = b"[DONE]"
BROKEN = ErrorDetail(message="It broke off.", code="upstream_truncated")


def _rng(*seed: object) -> random.Random:
    return random.Random(repr(seed))


def _case(decoder: str, rng: random.Random) -> dict[str, Any]:
    known = FIXTURES.get(wire_of(decoder), FIXTURES["openai"])
    case: dict[str, Any] = known[rng.choice(NAMES)]
    return case


def _read(decoder: str, data: bytes, rng: random.Random) -> list[AnyEvent]:
    """Read a stream in two pieces; what breaks the framing breaks the stream."""
    at = rng.randrange(len(data) + 1)
    try:
        return read(codec_of(decoder), [data[:at], data[at:]])
    except FramingError:
        return []


def _spoiled_stream(case: dict[str, Any], rng: random.Random) -> bytes:
    """Return a stream of which some frames say odd things."""
    pieces = frames(case)
    for at in rng.sample(range(len(pieces)), min(2, len(pieces))):
        said = payload_of(pieces[at])
        if said is not None:
            pieces[at] = with_payload(pieces[at], with_odd_value(said, rng))
    return b"".join(pieces)


def _check_streams(decoder: str, count: int) -> None:
    for seed in range(count):
        rng = _rng(decoder, seed)
        case = _case(decoder, rng)
        _read(decoder, _spoiled_stream(case, rng), rng)
        _read(decoder, with_odd_bytes(b"".join(frames(case)), rng), rng)
        _read(decoder, rng.randbytes(rng.randint(0, 60)), rng)


def _check_answers(decoder: str, count: int) -> None:
    codec = codec_of(decoder)
    for seed in range(count):
        rng = _rng(decoder, seed)
        whole = _case(decoder, rng)["whole"]
        read_whole(codec, with_odd_value(whole, rng))
        read_whole(codec, with_odd_bytes(json.dumps(whole).encode(), rng))
        read_whole(codec, rng.randbytes(rng.randint(0, 60)))


def _check_requests(dialect: str, count: int) -> None:
    """Take requests apart, and word what could be taken apart."""
    fine = ask(dialect, stream=True)
    wire, codec = registry.get(dialect), codec_of(dialect)
    bridges = [
        (registry.bridge(dialect, *UPSTREAMS[name]), UPSTREAMS[name][1])
        for name in ("openai", "responses", "anthropic", "google", "bedrock", "ollama")
    ]
    for seed in range(count):
        rng = _rng(dialect, seed)
        body = with_odd_value(REQUESTS[dialect], rng)
        if rng.random() < 0.3:
            body = with_odd_bytes(body, rng)
        refusal = None
        try:
            request = wire.read_request(body, fine.arrival)
            codec.decode_request(request)
            for bridge, model in bridges:
                target = Target(model=model, options=OPTIONS)
                assert bridge is not None
                bridge.build_request(request, target)
        except FormatError as error:
            refusal = error
        assert refusal is None or (refusal.message and 400 <= refusal.status < 500)


@pytest.mark.parametrize("decoder", DECODERS)
def test_t138_no_stream_breaks_a_decoder(decoder: str) -> None:
    _check_streams(decoder, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("decoder", DECODERS)
def test_t138_no_stream_breaks_a_decoder_thousands_of_times(decoder: str) -> None:
    _check_streams(decoder, LONG)


@pytest.mark.parametrize("decoder", DECODERS)
def test_t138_no_answer_breaks_a_decoder(decoder: str) -> None:
    _check_answers(decoder, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("decoder", DECODERS)
def test_t138_no_answer_breaks_a_decoder_thousands_of_times(decoder: str) -> None:
    _check_answers(decoder, LONG)


@pytest.mark.parametrize("dialect", INBOUND)
def test_t138_no_request_breaks_a_dialect(dialect: str) -> None:
    _check_requests(dialect, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("dialect", INBOUND)
def test_t138_no_request_breaks_a_dialect_thousands_of_times(dialect: str) -> None:
    _check_requests(dialect, LONG)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoder", UPSTREAMS)
def test_t138_a_frame_that_cannot_be_read_is_never_followed_by_an_end(
    decoder: str, name: str
) -> None:
    pieces = frames(FIXTURES[wire_of(decoder)][name])
    for at, piece in enumerate(pieces):
        said = payload_of(piece)
        if said is None:
            assert TERMINAL in piece
            continue
        torn = json.dumps(said).encode()[:-1]
        broken = [*pieces[:at], with_payload(piece, torn), *pieces[at + 1 :]]
        try:
            events = read(codec_of(decoder), broken)
        except FramingError:
            continue
        assert not any(isinstance(event, End) for event in events), at


PAIRS = [(inbound, upstream) for inbound in INBOUND for upstream in UPSTREAMS]


@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t138_no_answer_breaks_a_pair(inbound: str, upstream: str) -> None:
    format_id, model = UPSTREAMS[upstream]
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    request = ask(inbound)
    sent = bridge.build_request(request, Target(model=model, options=OPTIONS))
    rng = _rng(inbound, upstream)
    case = FIXTURES[wire_between(inbound, upstream)]["thinking"]
    stream, whole = b"".join(frames(case)), json.dumps(case["whole"]).encode()
    for body in (
        b"",
        b"\x00" * 40,
        b"<html>",
        b"null",
        rng.randbytes(50),
        stream[: len(stream) // 2],
        whole[: len(whole) // 2],
        with_odd_bytes(stream, rng),
    ):
        meta = bridge.read_response(request, sent, body)
        assert meta.error is not None or meta.body


def _check_pair(inbound: str, upstream: str, count: int) -> None:
    """Put spoiled streams through a pair: the client can read whatever it gets."""
    format_id, model = UPSTREAMS[upstream]
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    request = ask(inbound, stream=True)
    sent = bridge.build_request(request, Target(model=model, options=OPTIONS))
    is_relayed = not isinstance(bridge, TranslationBridge)
    for seed in range(count):
        rng = _rng(inbound, upstream, seed)
        case = FIXTURES[wire_between(inbound, upstream)][rng.choice(NAMES)]
        data = _spoiled_stream(case, rng)
        if rng.random() < 0.5:
            data = with_odd_bytes(data, rng)
        stream = registry.get(inbound).open_stream(request, request_id="r")
        tap = bridge.open_tap(request, sent, stream)
        try:
            out = tap.feed(data) + tap.eof()
        except FramingError:
            continue
        if is_relayed:
            continue
        if not tap.complete:
            out += stream.error_frame(BROKEN, request_id="r")
        events = read(codec_of(inbound), [out])
        assert isinstance(events[-1], End if tap.complete else Failed)


@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t138_no_stream_breaks_a_pair(inbound: str, upstream: str) -> None:
    _check_pair(inbound, upstream, 10)


@pytest.mark.long
@pytest.mark.parametrize(("inbound", "upstream"), PAIRS)
def test_t138_no_stream_breaks_a_pair_hundreds_of_times(
    inbound: str, upstream: str
) -> None:
    _check_pair(inbound, upstream, 300)


@pytest.mark.parametrize("dialect", INBOUND)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'"x"', b"{}", b'{"model":1}', b"[" * 90_000],
)
def test_t131_what_is_no_request_is_refused(dialect: str, body: bytes) -> None:
    arrival = ask(dialect).arrival
    unnamed = Arrival(path=arrival.path, is_stream=arrival.is_stream)
    with pytest.raises(FormatError):
        codec_of(dialect).decode_request(
            registry.get(dialect).read_request(body, unnamed)
        )


@pytest.mark.parametrize("dialect", INBOUND)
def test_t138_a_body_of_depth_2000_is_refused_or_read(dialect: str) -> None:
    fine = ask(dialect)
    value = json.loads(fine.body)
    deep = json.dumps(value)[:-1] + ',"deep":' + "[" * 2000 + "]" * 2000 + "}"
    wire, status = registry.get(dialect), 400
    try:
        codec_of(dialect).decode_request(wire.read_request(deep.encode(), fine.arrival))
    except FormatError as error:
        status = error.status
    assert status == 400


@pytest.mark.parametrize("decoder", UPSTREAMS)
def test_t138_an_error_is_the_last_event(decoder: str) -> None:
    pieces = frames(FIXTURES[wire_of(decoder)]["error"])
    events = read(codec_of(decoder), [*pieces, *pieces])
    assert [type(event) for event in events].count(Failed) == 1
    assert isinstance(events[-1], Failed)


TRANSLATED = [
    (inbound, upstream)
    for inbound in ("anthropic", "bedrock", "google")
    for upstream in UPSTREAMS
    if isinstance(registry.bridge(inbound, *UPSTREAMS[upstream]), TranslationBridge)
]


@pytest.mark.parametrize(("inbound", "upstream"), TRANSLATED)
def test_t138_a_body_that_is_no_text_is_refused(inbound: str, upstream: str) -> None:
    format_id, model = UPSTREAMS[upstream]
    fine = ask(inbound)
    bridge = registry.bridge(inbound, format_id, model)
    assert bridge is not None
    body = fine.body.replace(b'"integer"', b'"\xff"')
    request = registry.get(inbound).read_request(body, fine.arrival)
    with pytest.raises(FormatError, match="UTF-8"):
        bridge.build_request(request, Target(model=model, options=OPTIONS))
