from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.base import FramingError
from providers.formats.framing_ndjson import NdjsonSplitter

STREAM = b'\xef\xbb\xbf{"a":1}\n{"b":"\xe4\xb8\x96"}\r\n\n  \n{"c":3}'


def frames(pieces):
    splitter = NdjsonSplitter()
    found = [frame for piece in pieces for frame in splitter.feed(piece)]
    return found + splitter.finish()


def test_lines_keep_their_bytes_and_give_their_json():
    found = frames([STREAM])
    assert [payload for _, payload in found if payload] == [
        b'{"a":1}',
        b'{"b":"\xe4\xb8\x96"}',
        b'{"c":3}',
    ]
    assert b"".join(raw for raw, _ in found) == STREAM + b"\n"


def test_p80_a_stream_cut_anywhere_gives_the_same_lines():
    whole = frames([STREAM])
    for at in range(len(STREAM) + 1):
        assert frames([STREAM[:at], STREAM[at:]]) == whole
    assert frames([bytes([byte]) for byte in STREAM]) == whole


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_any_cuts_give_the_same_lines(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert frames(pieces) == frames([STREAM])


def test_a_second_whole_line_is_passed_as_the_same_object():
    splitter = NdjsonSplitter()
    splitter.feed(b"{}\n")
    line = b'{"a":1}\n'
    ((raw, payload),) = splitter.feed(line)
    assert raw is line
    assert payload == b'{"a":1}'


def test_nothing_left_is_no_line():
    splitter = NdjsonSplitter()
    assert splitter.feed(b"{}\n \r") == [(b"{}\n", b"{}")]
    assert splitter.finish() == []


@pytest.mark.parametrize("pieces", [[b"x" * 12], [b"x" * 11 + b"\n"], [b"x" * 6] * 2])
def test_a_line_above_the_limit_is_refused(pieces):
    splitter = NdjsonSplitter(limit=10)
    with pytest.raises(FramingError):
        [splitter.feed(piece) for piece in pieces]
