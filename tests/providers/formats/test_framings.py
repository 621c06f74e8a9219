from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.base import FramingError
from providers.formats.framings import SseSplitter, event_name, replace_payload


def _split(pieces, limit=4096):
    splitter = SseSplitter(limit)
    frames = []
    for piece in pieces:
        frames += splitter.feed(piece)
    return frames + splitter.finish()


def _payloads(data):
    return [payload for _, payload in _split([data])]


@pytest.mark.parametrize(
    ("data", "payloads"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\n", [b"a"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\ndata\r\ndata:\r\n\r\n", [b"a\n"]),
        (b": note\n\ndata: a\n\n", [None, b"a"]),
        (b": note\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 7\ndata: a\nretry: 1\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\n\ndata: b\n\n", [b"a", None, b"b"]),
        (b"data: a\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"data: a\r\n\r", [b"a"]),
        (b"data: a\n\n  ", [b"a"]),
        (b"data: \n\n", [b""]),
        (b"datax: a\n\n", [None]),
        (b"", []),
    ],
)
def test_events_are_found_in_every_spelling(data, payloads):
    assert _payloads(data) == payloads


pieces_of_streams = st.lists(
    st.sampled_from(
        [
            b"data: a",
            b"data:b",
            b": c",
            b"event: d",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"x",
        ]
    ),
    max_size=30,
).map(b"".join)


@given(pieces_of_streams, st.lists(st.integers(0, 200), max_size=12))
def test_where_a_stream_is_cut_changes_nothing(data, cuts):
    whole = _split([data])
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert _split(pieces) == whole


@given(pieces_of_streams)
def test_raw_bytes_are_kept_but_for_a_missing_blank_line(data):
    raw = b"".join(raw for raw, _ in _split([data]))
    assert raw.startswith(data) or data.strip(b"\r\n ") == b"" or data.startswith(raw)
    assert raw[len(data) :] in (b"", b"\n", b"\n\n")


def test_many_events_in_one_piece_are_all_found():
    data = b"".join(b"data: %d\n\n" % number for number in range(100))
    assert _payloads(data) == [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("tail", [b"", b"\n\n", b"\r\n\r\n"])
def test_an_event_above_the_limit_is_refused(tail):
    splitter = SseSplitter(100)
    with pytest.raises(FramingError):
        splitter.feed(b"data: " + b"x" * 200 + tail)


def test_the_limit_holds_for_an_event_that_trickles_in():
    splitter = SseSplitter(100)
    for _ in range(100):
        splitter.feed(b"x")
    with pytest.raises(FramingError):
        splitter.feed(b"x")


def test_the_event_field_is_read():
    assert event_name(b"event: error\r\ndata: x\r\n\r\n") == b"error"
    assert event_name(b"event:error\ndata: x\n\n") == b"error"
    assert event_name(b"data: event: error\n\n") is None


def test_a_payload_is_exchanged_inside_its_frame():
    raw = b"id: 1\r\ndata:{}\r\n\r\n"
    assert replace_payload(raw, b"{}", b"[]") == b"id: 1\r\ndata:[]\r\n\r\n"
    raw = b"data: {\ndata: }\n\n"
    assert replace_payload(raw, b"{\n}", b"[]") == b"data: []\n\n"
