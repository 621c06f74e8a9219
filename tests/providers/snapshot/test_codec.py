"""Snapshot files are whole or refused, whatever happened to them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from providers.snapshot import codec, types
from tests.providers.snapshot.records import (
    client_key,
    header,
    model,
    pool,
    provider,
    publish_base,
    publish_delta,
)


def _read(path: Path, ref: codec.FileRef, block: int) -> list[codec.Entry]:
    reader = codec.FileReader(ref)
    entries: list[codec.Entry] = []
    data = path.read_bytes()
    for start in range(0, len(data), block):
        entries += reader.feed(data[start : start + block])
    reader.finish()
    return entries


def _finish_after(reader: codec.FileReader, data: bytes) -> None:
    reader.feed(data)
    reader.finish()


@pytest.mark.parametrize("block", [1, 7, 512, 1 << 20])
def test_what_was_written_is_read_back_in_any_slices(
    tmp_path: Path, block: int
) -> None:
    written = list(pool())
    ref = codec.write_base(tmp_path, header(5), iter(written))
    entries = _read(tmp_path / ref.name, ref, block)
    read = [
        (kind, key, codec.decode_record(kind, key, raw)) for kind, key, raw in entries
    ]
    assert read == written
    assert ref.size_bytes == (tmp_path / ref.name).stat().st_size


def test_header_counts_records_by_kind(tmp_path: Path) -> None:
    ref = codec.write_base(tmp_path, header(5), pool(keys=4, models=3))
    found = codec.verify(tmp_path, ref, referential=True)
    assert found.version == 5
    assert found.counts[types.CLIENT_KEY] == 4
    assert found.counts[types.MODEL] == 3


def test_delta_holds_tombstones(tmp_path: Path) -> None:
    changes = [(types.CLIENT_KEY, "k0000001", None), (types.MODEL, "9", model(9, 1))]
    ref = codec.write_delta(tmp_path, header(9, 5), changes)
    entries = _read(tmp_path / ref.name, ref, 64)
    assert entries[0] == (types.CLIENT_KEY, "k0000001", b"")
    assert ref.since == 5


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    ref = codec.write_base(tmp_path, header(5), pool())
    data = (tmp_path / ref.name).read_bytes()
    for end in range(0, len(data), 13):
        reader = codec.FileReader(ref)
        with pytest.raises(codec.SnapshotFileError):
            _finish_after(reader, data[:end])


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    ref = codec.write_base(tmp_path, header(5), pool(keys=1, models=1, providers=1))
    data = (tmp_path / ref.name).read_bytes()
    for place in range(0, len(data), 3):
        broken = bytearray(data)
        broken[place] ^= 0x01
        reader = codec.FileReader(ref)
        with pytest.raises(codec.SnapshotFileError):
            _finish_after(reader, bytes(broken))


def test_bytes_after_the_end_are_noticed(tmp_path: Path) -> None:
    ref = codec.write_base(tmp_path, header(5), pool())
    with open(tmp_path / ref.name, "ab") as stream:
        stream.write(b"client_key\tx\t{}\n")
    with pytest.raises(codec.SnapshotFileError, match=r"check sum|end|malformed"):
        codec.verify(tmp_path, ref)


def test_a_model_without_provider_is_found_before_publishing(tmp_path: Path) -> None:
    records = [(types.PROVIDER, "1", provider(1)), (types.MODEL, "7", model(7, 99))]
    ref = codec.write_base(tmp_path, header(5), records)
    with pytest.raises(codec.SnapshotFileError, match="no provider"):
        codec.verify(tmp_path, ref, referential=True)


def test_a_record_of_another_shape_is_found_before_publishing(tmp_path: Path) -> None:
    records = [(types.CLIENT_KEY, "k1", types.SettingsRecord())]
    ref = codec.write_base(tmp_path, header(5), records)
    with pytest.raises(codec.SnapshotFileError, match="client_key record"):
        codec.verify(tmp_path, ref)


@pytest.mark.parametrize("key", ["", "a\tb", "a\nb", "a\x00b"])
def test_keys_that_would_break_a_line_are_refused(key: str) -> None:
    with pytest.raises(codec.SnapshotFileError):
        codec.encode_line(types.ALIAS, key, None)


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    records = [(types.CLIENT_KEY, "bad\tkey", client_key(1))]
    with pytest.raises(codec.SnapshotFileError):
        codec.write_base(tmp_path, header(5), records)
    assert list(tmp_path.iterdir()) == []


def test_manifest_with_a_gap_is_not_published(tmp_path: Path) -> None:
    base = publish_base(tmp_path, 5, pool())
    delta = codec.write_delta(tmp_path, header(9, 7), [])
    manifest = codec.Manifest(types.SCHEMA, 9, base, (delta,))
    with pytest.raises(codec.SnapshotFileError, match="missing"):
        codec.publish(tmp_path, manifest)


def test_manifest_with_a_cut_file_is_not_published(tmp_path: Path) -> None:
    ref = codec.write_base(tmp_path, header(5), pool())
    os.truncate(tmp_path / ref.name, ref.size_bytes - 1)
    with pytest.raises(codec.SnapshotFileError, match="another size"):
        codec.publish(tmp_path, codec.Manifest(types.SCHEMA, 5, ref))


def test_deltas_before_a_new_base_may_stay_listed(tmp_path: Path) -> None:
    publish_base(tmp_path, 5, pool())
    delta = publish_delta(tmp_path, 6, [(types.CLIENT_KEY, "k0000001", None)])
    base = codec.write_base(tmp_path, header(6), pool())
    codec.publish(tmp_path, codec.Manifest(types.SCHEMA, 6, base, (delta,)))
    assert codec.read_manifest(tmp_path).deltas == (delta,)  # type: ignore[union-attr]


def test_cleanup_keeps_the_last_known_good_and_what_is_young(tmp_path: Path) -> None:
    publish_base(tmp_path, 5, pool())
    publish_base(tmp_path, 6, pool())
    publish_base(tmp_path, 7, pool())
    assert codec.cleanup(tmp_path) == 0
    old = time.time() - 3600
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    assert codec.cleanup(tmp_path) == 1
    left = {path.name for path in tmp_path.glob("base-*")}
    assert left == {"base-6.jsonl", "base-7.jsonl"}
    assert codec.read_manifest(tmp_path, codec.PREVIOUS).version == 6  # type: ignore[union-attr]


def test_manifest_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    manifest = codec.Manifest(types.SCHEMA, 1, codec.FileRef("../../etc/passwd", 1))
    (tmp_path / codec.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(codec.SnapshotFileError, match="no such file"):
        codec.read_manifest(tmp_path)


def test_manifest_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    manifest = codec.Manifest(types.SCHEMA + 1, 1, codec.FileRef("base-1.jsonl", 1))
    (tmp_path / codec.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(codec.SnapshotFileError, match="schema"):
        codec.read_manifest(tmp_path)
