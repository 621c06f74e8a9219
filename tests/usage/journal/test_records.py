"""Records survive encoding, and damage never passes for a record."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.usage.journal.factories import (
    make_fact,
    make_intent,
    make_progress,
    make_settle,
)
from usage.journal.records import (
    FRAME,
    JournalFormatError,
    RequestSettle,
    Settle,
    decode,
    frame,
    frames,
)

RECORDS = [make_intent(), make_progress(), make_settle(), make_fact()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda each: type(each).__name__)
def test_record_reads_back_as_written(record):
    ((payload, end),) = frames(frame(record))
    assert decode(payload) == record
    assert end == len(frame(record))


@settings(max_examples=200)
@given(
    text=st.text(max_size=50),
    number=st.none() | st.integers(0, 2**62),
    payload=st.dictionaries(
        st.text(max_size=9), st.none() | st.integers(-(2**60), 2**60) | st.text()
    ),
)
def test_any_values_read_back_as_written(text, number, payload):
    intent = make_intent(attempt=text, reservation_nano=number)
    fact = msgspec.structs.replace(make_fact(), key=text, payload=payload)
    data = frame(intent) + frame(fact)
    assert [decode(each) for each, _ in frames(data)] == [intent, fact]


def test_none_and_zero_stay_apart():
    unknown, free = make_intent(reservation_nano=None), make_intent(reservation_nano=0)
    read = [decode(each) for each, _ in frames(frame(unknown) + frame(free))]
    assert [each.reservation_nano for each in read] == [None, 0]


def test_request_refused_before_any_attempt_is_a_record_of_its_own():
    refused = Settle(
        head=make_settle().head,
        request=RequestSettle(status=429, outcome="refused", error_code="budget"),
    )
    ((payload, _),) = frames(frame(refused))
    assert decode(payload) == refused


def test_flipping_any_bit_ends_the_reading():
    data = frame(make_fact())
    for position in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << (position % 8)
        assert list(frames(bytes(damaged))) == []


def test_run_of_zeros_is_no_record():
    assert list(frames(bytes(64))) == []
    good = frame(make_fact())
    assert [end for _, end in frames(good + bytes(64))] == [len(good)]


def test_length_beyond_the_cap_is_damage():
    assert list(frames(FRAME.pack(2**31, 0) + bytes(100))) == []


def test_too_long_a_record_is_refused():
    with pytest.raises(JournalFormatError):
        frame(msgspec.structs.replace(make_fact(), key="x" * 9_000_000))


def test_unknown_kind_is_reported_and_not_guessed():
    with pytest.raises(JournalFormatError):
        decode(msgspec.msgpack.encode({"type": "from_the_future"}))


def test_field_of_a_newer_release_is_ignored():
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(make_fact()))
    assert decode(msgspec.msgpack.encode(raw | {"newer": 1})) == make_fact()
