from __future__ import annotations

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from providers.formats.base import FramingError
from providers.formats.framing_eventstream import (
    EventStreamSplitter,
    encode_frame,
    read_headers,
)

HEADERS = {":event-type": "chunk", ":message-type": "event"}
FIRST = encode_frame(HEADERS, b'{"a":1}')
SECOND = encode_frame({}, b"")
STREAM = FIRST + SECOND + FIRST


def test_amazons_own_reader_reads_what_is_written() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    read = [(message.headers, message.payload) for message in buffer]
    assert read == [(HEADERS, b'{"a":1}'), ({}, b""), (HEADERS, b'{"a":1}')]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere_gives_the_same_records(cut: int) -> None:
    splitter = EventStreamSplitter()
    read = splitter.feed(STREAM[:cut]) + splitter.feed(STREAM[cut:])
    assert read == [(FIRST, b'{"a":1}'), (SECOND, b""), (FIRST, b'{"a":1}')]
    assert splitter.finish() == []


def test_a_stream_in_single_bytes_gives_the_same_records() -> None:
    splitter = EventStreamSplitter()
    read = [frame for byte in STREAM for frame in splitter.feed(bytes((byte,)))]
    assert b"".join(raw for raw, _ in read) == STREAM


@pytest.mark.parametrize("at", range(len(FIRST)))
def test_a_flipped_bit_anywhere_is_noticed(at: int) -> None:
    damaged = bytearray(FIRST)
    damaged[at] ^= 0x10
    with pytest.raises(FramingError):
        EventStreamSplitter(limit=1 << 33).feed(bytes(damaged))


def test_a_record_torn_by_the_end_is_dropped() -> None:
    splitter = EventStreamSplitter()
    assert splitter.feed(FIRST[:-1]) == []
    assert splitter.finish() == []
    assert splitter.feed(FIRST) == [(FIRST, b'{"a":1}')]


def test_json_is_no_event_stream() -> None:
    with pytest.raises(FramingError):
        EventStreamSplitter().feed(b'{"message":"The security token is invalid"}')


def test_a_record_above_the_limit_is_refused_before_it_is_collected() -> None:
    with pytest.raises(FramingError, match="larger"):
        EventStreamSplitter(limit=20).feed(FIRST[:12])


def test_lengths_that_contradict_each_other_are_refused() -> None:
    lengths = struct.pack(">II", 16, 5)
    with pytest.raises(FramingError, match="contradict"):
        EventStreamSplitter().feed(lengths + struct.pack(">I", crc32(lengths)))


def _raw(head: bytes) -> bytes:
    lengths = struct.pack(">II", 16 + len(head), len(head))
    return lengths + b"\0\0\0\0" + head + b"\0\0\0\0"


def test_headers_of_other_types_are_stepped_over() -> None:
    head = (
        b"\x01a\x00"
        + b"\x01b\x01"
        + b"\x01c\x02\x05"
        + b"\x01d\x03\x00\x05"
        + b"\x01e\x04\x00\x00\x00\x05"
        + b"\x01f\x05"
        + b"\0" * 8
        + b"\x01g\x06\x00\x02xy"
        + b"\x01h\x08"
        + b"\0" * 8
        + b"\x01i\x09"
        + b"\0" * 16
        + b"\x01z\x07\x00\x02ok"
    )
    assert read_headers(_raw(head)) == {"z": "ok"}


@pytest.mark.parametrize(
    "head",
    [b"\x01a\x0c", b"\x09a\x07", b"\x01a\x07\x00\xffok", b"\x01a\x07\x00\x02\xff\xfe"],
    ids=["unknown type", "name beyond", "value beyond", "no text"],
)
def test_headers_that_cannot_be_read_are_refused(head: bytes) -> None:
    with pytest.raises(FramingError):
        read_headers(_raw(head))
