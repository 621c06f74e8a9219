"""Write and read the snapshot's files: one base, then deltas, named by a manifest.

A file is lines of text. The first is a ``Header``, the last a trailer with the number
of records and a check sum; between them stands one record a line:

    kind TAB key TAB json NEWLINE        an empty json is a tombstone

so a torn, truncated or overgrown file is told from a whole one, and a reader can take
it in slices. The keeper writes, verifies and publishes; data workers read. Nothing
here knows where records come from.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from providers.snapshot import types
from providers.snapshot.reader import (
    MAX_FILE_BYTES,
    MAX_LINE_BYTES,
    Entry,
    FileReader,
    FileRef,
    SnapshotFileError,
    trailer,
)

__all__ = [
    "BLOCK_BYTES",
    "MANIFEST",
    "PREVIOUS",
    "RECORD_TYPES",
    "Entry",
    "FileReader",
    "FileRef",
    "Manifest",
    "SnapshotFileError",
    "cleanup",
    "decode_record",
    "encode_line",
    "publish",
    "read_manifest",
    "verify",
    "write_base",
    "write_delta",
]

MANIFEST: Final = "manifest.json"
PREVIOUS: Final = "manifest.previous.json"
"""The manifest before the base was last replaced: the last known good on disk."""

MAX_MANIFEST_BYTES: Final = 1024 * 1024
BLOCK_BYTES: Final = 256 * 1024
_HEADER_BYTES: Final = 512
_GRACE_S: Final = 60.0
_NAME: Final = re.compile(r"(base-\d+|delta-\d+-\d+)\.jsonl")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

RECORD_TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    types.SETTINGS: types.SettingsRecord,
    types.PROVIDER: types.ProviderRecord,
    types.MODEL: types.ModelRecord,
    types.ALIAS: types.AliasRecord,
    types.BUDGET: types.BudgetRecord,
    types.CLIENT_KEY: types.ClientKeyRecord,
}


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Say which files make the snapshot in force.

    Shapes:  ``version`` is the version reached after all deltas. ``deltas`` are in
             order; each starts at or before the version the one before it reached.
             Deltas older than the base may stay listed: a worker that holds an older
             version then follows without a full load. ``lineage`` names the history
             of the database; another value makes workers load everything anew.
    """

    schema: int
    version: int
    base: FileRef
    deltas: tuple[FileRef, ...] = ()
    made_at_s: float = 0.0
    lineage: str = ""


def encode_line(kind: str, key: str, record: msgspec.Struct | None) -> bytes:
    """Encode one record, or its tombstone for None.

    Errors:  SnapshotFileError for a key with control characters, an unknown kind, or
             a record above the line limit.
    """
    if kind not in RECORD_TYPES:
        raise SnapshotFileError(f"No kind of record is called {kind!r}.")
    if not key or _CONTROL.search(key):
        raise SnapshotFileError(f"A {kind} key is empty or has control characters.")
    payload = b"" if record is None else msgspec.json.encode(record)
    line = b"%b\t%b\t%b\n" % (kind.encode(), key.encode(), payload)
    if len(line) > MAX_LINE_BYTES:
        raise SnapshotFileError(f"The {kind} record {key!r} is too large.")
    return line


def write_base(
    directory: Path,
    header: types.Header,
    records: Iterable[tuple[str, str, msgspec.Struct]],
) -> FileRef:
    """Write a whole snapshot and return its reference; nothing is published yet.

    Shapes:  ``header.counts`` is filled in while writing, what it holds is ignored.
             ``records`` may be a generator: the file is written as it is read.
    Errors:  SnapshotFileError for a record that cannot be written; OSError.
    """
    if header.since:
        raise SnapshotFileError("A base starts at version 0.")
    return _write(directory, f"base-{header.version}.jsonl", header, records)


def write_delta(
    directory: Path,
    header: types.Header,
    records: Iterable[tuple[str, str, msgspec.Struct | None]],
) -> FileRef:
    """Write the changes between two versions; None as a record is a deletion.

    Errors:  as ``write_base``.
    """
    if not 0 <= header.since < header.version:
        raise SnapshotFileError("A delta leads from a version to a later one.")
    name = f"delta-{header.since}-{header.version}.jsonl"
    return _write(directory, name, header, records)


def verify(directory: Path, ref: FileRef, *, referential: bool = False) -> types.Header:
    """Read a file as a worker will, decode every record, and return its header.

    The keeper calls it before publishing: a worker should never meet a bad file.
    ``referential`` also asks that every model's provider is in the file (bases).

    Errors:  SnapshotFileError saying what is wrong.
    Cost:    about 3 us a record, in constant memory.
    """
    reader = FileReader(ref)
    providers: set[str] = set()
    wanted: dict[str, str] = {}
    for block in _blocks(directory / ref.name):
        for kind, key, payload in reader.feed(block):
            record = decode_record(kind, key, payload)
            if kind == types.PROVIDER:
                providers.add(key)
            elif isinstance(record, types.ModelRecord):
                wanted.setdefault(str(record.provider_id), record.model_id)
    header = reader.finish()
    if referential and (lost := wanted.keys() - providers):
        model = wanted[min(lost)]
        raise SnapshotFileError(f"The model {model!r} has no provider in {ref.name}.")
    return header


def decode_record(kind: str, key: str, payload: bytes) -> msgspec.Struct | None:
    """Decode one record, None for a tombstone.

    Errors:  SnapshotFileError.
    """
    if not payload:
        return None
    expected = RECORD_TYPES.get(kind)
    if expected is None:
        raise SnapshotFileError(f"No kind of record is called {kind!r}.")
    try:
        return msgspec.json.decode(payload, type=expected)
    except msgspec.MsgspecError as error:
        raise SnapshotFileError(f"The {kind} record {key!r}: {error}.") from error


def publish(directory: Path, manifest: Manifest) -> None:
    """Make a manifest the one in force, in one step.

    When the base is another one, the manifest before is kept as the last known good.

    Errors:  SnapshotFileError when a file it names is missing or of another size, or
             the deltas leave a gap; OSError.
    """
    _check_files(directory, manifest)
    _check_chain(manifest)
    current = directory / MANIFEST
    with contextlib.suppress(SnapshotFileError):
        before = read_manifest(directory)
        if before is not None and before.base != manifest.base:
            _replace(directory / PREVIOUS, msgspec.json.encode(before))
    _replace(current, msgspec.json.encode(manifest))


def cleanup(directory: Path, *, grace_s: float = _GRACE_S) -> int:
    """Delete files no manifest names; return how many went.

    A file younger than ``grace_s`` stays: a worker may be reading it by a manifest
    that was replaced a moment ago.
    """
    kept: set[str] = set()
    for name in (MANIFEST, PREVIOUS):
        with contextlib.suppress(SnapshotFileError):
            manifest = read_manifest(directory, name)
            if manifest is not None:
                kept.update(ref.name for ref in (manifest.base, *manifest.deltas))
    oldest_kept = time.time() - grace_s  # file times are the machine's own
    removed = 0
    for entry in os.scandir(directory):
        is_ours = _NAME.fullmatch(entry.name) or entry.name.startswith(".new-")
        if not is_ours or entry.name in kept:
            continue
        with contextlib.suppress(FileNotFoundError):
            if entry.stat().st_mtime < oldest_kept:
                os.unlink(entry.path)
                removed += 1
    return removed


def read_manifest(directory: Path, name: str = MANIFEST) -> Manifest | None:
    """Read a manifest; None when there is none yet.

    Errors:  SnapshotFileError when it cannot be read, is of a newer schema, or names
             a file outside the directory.
    """
    try:
        with open(directory / name, "rb") as stream:
            data = stream.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotFileError(f"{name} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise SnapshotFileError(f"{name} is too large.")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise SnapshotFileError(f"{name} is damaged: {error}.") from error
    if manifest.schema != types.SCHEMA:
        raise SnapshotFileError(f"{name} has schema {manifest.schema}.")
    for ref in (manifest.base, *manifest.deltas):
        if not _NAME.fullmatch(ref.name):
            raise SnapshotFileError(
                f"{name} names {ref.name!r}, which is no such file."
            )
    return manifest


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise SnapshotFileError(
            f"{path.name} cannot be read: {error.strerror}."
        ) from error


def _write(
    directory: Path,
    name: str,
    header: types.Header,
    records: Iterable[tuple[str, str, msgspec.Struct | None]],
) -> FileRef:
    """Write through a temporary file, so that a name always means a whole file."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb", buffering=BLOCK_BYTES) as stream:
            size = _write_body(stream, header, records)
            stream.flush()
            os.fsync(descriptor)
        os.replace(temporary, directory / name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return FileRef(name, header.version, header.since, size)


def _write_body(
    stream: IO[bytes],
    header: types.Header,
    records: Iterable[tuple[str, str, msgspec.Struct | None]],
) -> int:
    """Write records behind room for the header, whose counts are known at the end."""
    stream.write(b" " * _HEADER_BYTES)
    counts: dict[str, int] = {}
    crc = 0
    for kind, key, record in records:
        line = encode_line(kind, key, record)
        crc = zlib.crc32(line, crc)
        counts[kind] = counts.get(kind, 0) + 1
        stream.write(line)
    head = msgspec.json.encode(msgspec.structs.replace(header, counts=counts))
    head = head.ljust(_HEADER_BYTES - 1) + b"\n"
    stream.write(trailer(sum(counts.values()), zlib.crc32(head, crc)))
    size = stream.tell()
    if size > MAX_FILE_BYTES:
        raise SnapshotFileError("The snapshot would be too large.")
    stream.seek(0)
    stream.write(head)
    return size


def _replace(path: Path, data: bytes) -> None:
    """Put bytes under a name in one step, on the disk before the name."""
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)


def _check_files(directory: Path, manifest: Manifest) -> None:
    for ref in (manifest.base, *manifest.deltas):
        try:
            size = os.stat(directory / ref.name).st_size
        except OSError as error:
            raise SnapshotFileError(f"{ref.name} is missing.") from error
        if size != ref.size_bytes:
            raise SnapshotFileError(f"{ref.name} has another size than written.")


def _check_chain(manifest: Manifest) -> None:
    reached = manifest.base.version
    for ref in manifest.deltas:
        if ref.version > reached:
            if ref.since > reached:
                raise SnapshotFileError(f"Changes are missing before {ref.name}.")
            reached = ref.version
    if reached != manifest.version:
        raise SnapshotFileError("The deltas do not lead to the manifest's version.")
