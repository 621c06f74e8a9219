"""Reading keeps every intact record and stops at the first damage."""

from __future__ import annotations

import random
import threading
import zlib

import pytest

from tests.usage.journal.factories import make_fact, make_intent, make_settle
from usage.journal.directory import segment_path, segments
from usage.journal.reader import JournalReader, Position, read_all
from usage.journal.records import FRAME, frame


def write_segments(directory, *contents):
    for number, content in enumerate(contents, start=1):
        segment_path(directory, number).write_bytes(content)


def facts(*numbers):
    return b"".join(frame(make_fact(number)) for number in numbers)


def records(entries):
    return [each.record for each in entries]


def test_truncation_at_every_byte_keeps_the_good_prefix(tmp_path):
    head = facts(*range(20))
    tail = [frame(make_intent()), frame(make_settle()), frame(make_fact(99))]
    whole = head + b"".join(tail)
    for length in range(len(head), len(whole)):
        write_segments(tmp_path, whole[:length])
        reader = JournalReader(tmp_path, is_final=True)
        found = reader.read()
        ends = [len(head + b"".join(tail[:count])) for count in range(4)]
        intact = sum(length >= end for end in ends[1:])
        assert len(found) == 20 + intact
        assert reader.rejected == (0 if length in ends else 1)
        assert reader.lost_bytes == length - ends[intact]
        assert reader.read() == []
        reader.close()


def flip_bytes(tmp_path, count):
    frames_written = [frame(make_fact(number)) for number in range(50)]
    whole = b"".join(frames_written)
    pick = random.Random(count)
    for _ in range(count):
        place = pick.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= pick.randrange(1, 256)
        write_segments(tmp_path, bytes(damaged))
        reader = JournalReader(tmp_path, is_final=True)
        hit = place // len(frames_written[0]) if place < 10 * 40 else None
        found = records(reader.read())
        reader.close()
        assert found == [make_fact(number) for number in range(len(found))]
        assert sum(len(frames_written[n]) for n in range(len(found) + 1)) > place
        assert reader.rejected == 1
        assert hit is None or len(found) <= hit + 1


def test_flipped_bytes_cut_before_the_damage(tmp_path):
    flip_bytes(tmp_path, 200)


@pytest.mark.long
def test_many_flipped_bytes_cut_before_the_damage(tmp_path):
    flip_bytes(tmp_path, 5_000)


def test_damage_in_one_segment_leaves_the_next_intact(tmp_path):
    first = facts(0, 1)[:-3] + b"\xff\xff\xff" + facts(2)
    write_segments(tmp_path, first, facts(3, 4))
    reader = JournalReader(tmp_path, is_final=False)
    found = records(reader.read())
    assert found == [make_fact(0), make_fact(3), make_fact(4)]
    assert reader.rejected == 1
    assert reader.lost_bytes == len(facts(1, 2))
    reader.close()


def test_half_a_record_of_a_living_writer_is_waited_for(tmp_path):
    whole = facts(0, 1)
    write_segments(tmp_path, whole[:-5])
    reader = JournalReader(tmp_path, is_final=False)
    assert records(reader.read()) == [make_fact(0)]
    assert reader.read() == []
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(whole[-5:])
    assert records(reader.read()) == [make_fact(1)]
    assert reader.rejected == 0
    reader.close()


def test_reading_goes_on_from_a_stored_position(tmp_path):
    write_segments(tmp_path, facts(0, 1, 2), facts(3, 4))
    everything = list(read_all(tmp_path))
    for index, entry in enumerate(everything):
        rest = records(read_all(tmp_path, Position(*entry.position)))
        assert rest == [each.record for each in everything[index + 1 :]]


def test_limit_is_kept_and_nothing_is_skipped(tmp_path):
    write_segments(tmp_path, facts(*range(7)), b"", facts(*range(7, 10)))
    reader = JournalReader(tmp_path, is_final=True)
    batches = [reader.read(limit=3) for _ in range(5)]
    assert [len(batch) for batch in batches] == [3, 3, 3, 1, 0]
    assert [each.record for batch in batches for each in batch] == [
        make_fact(number) for number in range(10)
    ]
    reader.close()


def test_position_in_a_deleted_segment_goes_on_in_the_next(tmp_path):
    write_segments(tmp_path, facts(0), facts(1))
    segment_path(tmp_path, 1).unlink()
    assert records(read_all(tmp_path, Position(1, 10))) == [make_fact(1)]


def test_record_longer_than_the_read_buffer_is_read(tmp_path):
    big = frame(make_fact(0).__class__(kind="k", key="x" * 2_000_000, at_ns=1))
    write_segments(tmp_path, facts(0) + big + facts(1))
    assert len(list(read_all(tmp_path))) == 3


def test_intact_frame_of_unknown_shape_is_counted_and_passed_over(tmp_path):
    payload = b"\x81\xa4type\xa3new"
    alien = FRAME.pack(len(payload), zlib.crc32(payload, len(payload))) + payload
    write_segments(tmp_path, facts(0) + alien + facts(1))
    reader = JournalReader(tmp_path, is_final=True)
    assert records(reader.read()) == [make_fact(0), make_fact(1)]
    assert reader.rejected == 1
    reader.close()


def test_empty_directory_has_no_records(tmp_path):
    assert list(read_all(tmp_path)) == []
    assert list(read_all(tmp_path / "gone")) == []


def test_reader_follows_a_writer_across_segments(open_journal):
    journal = open_journal("os")
    count = 3_000

    def write():
        for number in range(count):
            journal.append(make_fact(number))

    writer = threading.Thread(target=write)
    reader = JournalReader(journal.path, is_final=False)
    writer.start()
    found = []
    while len(found) < count:
        is_over = not writer.is_alive()
        batch = reader.read()
        found += records(batch)
        if is_over and not batch:
            break
    writer.join()
    reader.close()
    assert found == [make_fact(number) for number in range(count)]
    assert reader.rejected == 0
    assert len(segments(journal.path)) > 10
