"""Recorded answers of every dialect: the same whole and streamed, cut anywhere."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from providers.formats.base import FramingError
from providers.formats.neutral.events import AnyEvent, End, Failed
from providers.formats.neutral.gather import gather
from tests.providers.formats.conformance.losses import expected
from tests.providers.formats.conformance.talk import (
    FIXTURES,
    INBOUND,
    NEEDED,
    ROOT,
    codec_of,
    counters,
    frames,
    read,
    read_whole,
    seen,
)

CASES = [(dialect, name) for dialect in INBOUND for name in FIXTURES[dialect]]
ANSWERS = [pair for pair in CASES if pair[1] != "error"]
FOLDERS = {
    "anthropic_messages": "anthropic",
    "bedrock_converse": "bedrock",
    "gemini_generate": "google",
    "ollama_native": "ollama",
    "openai_chat": "openai",
    "openai_responses": "responses",
}
SMALL_BYTES = 350
SAMPLES = 12


def _streams() -> dict[str, tuple[str, bytes]]:
    """Return every recorded stream, by name: those of all dialects and their own."""
    found = {
        f"{dialect}-{name}": (dialect, b"".join(frames(FIXTURES[dialect][name])))
        for dialect, name in CASES
    }
    for folder, dialect in FOLDERS.items():
        for path in sorted((ROOT / folder).glob("*.json")):
            case = json.loads(path.read_text())
            name = "cloudcode" if path.stem == "codeassist" else dialect
            found[f"{folder}-{path.stem}"] = (name, b"".join(frames(case)))
    return found


STREAMS = _streams()


@cache
def _events(name: str) -> list[AnyEvent]:
    dialect, stream = STREAMS[name]
    return read(codec_of(dialect), [stream])


def _cuts(size: int, *, every: bool) -> Iterator[int]:
    if every or size <= SMALL_BYTES:
        yield from range(1, size)
    else:
        yield from sorted(random.Random(size).sample(range(1, size), SAMPLES))


def test_every_dialect_has_every_fixture() -> None:
    assert {
        dialect for dialect in INBOUND if FIXTURES[dialect].keys() >= {*NEEDED}
    } == {*INBOUND}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.json")), ids=lambda p: p.stem)
def test_every_fixture_says_where_it_is_from(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["source"]
    assert case["kind"] in {"documented", "sdk", "captured-from-mock"}


@pytest.mark.parametrize(("dialect", "name"), ANSWERS)
def test_t153_an_answer_is_read_as_it_was_meant(dialect: str, name: str) -> None:
    case: dict[str, Any] = FIXTURES[dialect][name]
    codec = codec_of(dialect)
    streamed = gather(read(codec, frames(case)))
    whole = gather(read_whole(codec, json.dumps(case["whole"]).encode()))
    answer, usage = expected(case, dialect)
    assert seen(streamed) == seen(whole) == answer
    assert counters(streamed.usage) == counters(whole.usage) == usage


@pytest.mark.parametrize("dialect", INBOUND)
def test_t118_an_error_in_a_stream_is_one(dialect: str) -> None:
    events = read(codec_of(dialect), frames(FIXTURES[dialect]["error"]))
    assert isinstance(events[-1], Failed)
    assert events[-1].error.message
    whole = json.dumps(FIXTURES[dialect]["error"]["whole"]).encode()
    assert isinstance(read_whole(codec_of(dialect), whole)[-1], Failed)


@pytest.mark.parametrize("name", STREAMS)
def test_t153_a_stream_cut_in_two_gives_the_same_events(name: str) -> None:
    dialect, stream = STREAMS[name]
    for at in _cuts(len(stream), every=False):
        assert read(codec_of(dialect), [stream[:at], stream[at:]]) == _events(name), at


@pytest.mark.parametrize("name", STREAMS)
def test_t153_a_stream_in_single_bytes_gives_the_same_events(name: str) -> None:
    dialect, stream = STREAMS[name]
    pieces = [bytes((byte,)) for byte in stream]
    assert read(codec_of(dialect), pieces) == _events(name)


@pytest.mark.long
@pytest.mark.parametrize("name", STREAMS)
def test_t153_a_stream_cut_at_every_byte_gives_the_same_events(name: str) -> None:
    dialect, stream = STREAMS[name]
    for at in _cuts(len(stream), every=True):
        assert read(codec_of(dialect), [stream[:at], stream[at:]]) == _events(name), at


def _broken_off(dialect: str, stream: bytes, at: int) -> list[AnyEvent]:
    """Read the beginning of a stream; what broke its frame is no end either."""
    try:
        return read(codec_of(dialect), [stream[:at]])
    except FramingError:
        return []


def _check_breaks(name: str, *, every: bool) -> None:
    dialect, stream = STREAMS[name]
    whole = gather(_events(name))
    for at in _cuts(len(stream), every=every):
        events = _broken_off(dialect, stream, at)
        if any(isinstance(event, End) for event in events):
            assert gather(events).choices == whole.choices, at


@pytest.mark.parametrize("name", STREAMS)
def test_t119_an_answer_that_broke_off_never_ends(name: str) -> None:
    _check_breaks(name, every=False)


@pytest.mark.long
@pytest.mark.parametrize("name", STREAMS)
def test_t119_an_answer_that_broke_off_anywhere_never_ends(name: str) -> None:
    _check_breaks(name, every=True)
