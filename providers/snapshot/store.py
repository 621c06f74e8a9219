"""Hold the snapshot in force and follow the keeper's files without stalling the loop.

Files are read in slices with a pause between them; what they say is taken over only
when the whole file proved good, in one step. A bad file is counted and reported, and
what was known before goes on serving.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from poolsite.clock import NANOSECONDS_PER_SECOND, Clock
from providers.routing.order import Turns
from providers.snapshot import codec, types
from providers.snapshot.view import EMPTY, ClientKeys, Snapshot, Tables, make_index
from usage.budgets.personal import SCOPES

POLL_INTERVAL_S: Final = 0.25
_SLICE_BYTES: Final = 128 * 1024
_DECODE_SLICE: Final = 500
_CHANGE_SLICE: Final = 5_000
_RETRY_S: Final = 2.0
_log: Final = logging.getLogger("providers.snapshot")


class StoreStats(msgspec.Struct):
    """Count what happened, for metrics and readiness.

    Units:   ``loaded_at_s`` Unix seconds of the last success, 0 = never.
    Shapes:  ``last_error`` is empty while the newest files are the ones in force.
    """

    full_loads: int = 0
    deltas: int = 0
    rejected: int = 0
    loaded_at_s: float = 0.0
    last_error: str = ""


class _Changes(msgspec.Struct):
    """What one file says: client keys apart, everything else in order."""

    keys: dict[str, bytes]
    others: list[codec.Entry]
    header: types.Header

    def follow(self, later: _Changes) -> None:
        """Add what a later file says to a whole snapshot."""
        for public_id, payload in later.keys.items():
            if payload:
                self.keys[public_id] = payload
            else:
                self.keys.pop(public_id, None)
        self.others += later.others
        self.header = later.header


class SnapshotStore:
    """The snapshot of one data process.

    Cost:  a poll that finds nothing new is one ``stat``. Loading 100,000 client keys
           takes some 0.3 s in slices of about a millisecond.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.stats = StoreStats()
        self._directory = directory
        self._clock = clock
        self._current: Snapshot | None = None
        self._tables = EMPTY
        self._keys = ClientKeys()
        self._turns = Turns()
        self._seen: tuple[int, int, int] | None = None
        self._lineage = ""
        self._made_at_s = 0.0
        self._retry_at = 0.0

    def __call__(self) -> Snapshot | None:
        """Return the snapshot in force, None before the first one."""
        return self._current

    def age_s(self) -> float | None:
        """Return how old the keeper's last sign of life is, None without a snapshot.

        The keeper touches the manifest while nothing changes, so an old one means
        that changes may be missing.
        """
        if self._current is None:
            return None
        now = self._clock.time_ns() / NANOSECONDS_PER_SECOND
        return max(0.0, now - self._made_at_s)

    async def run(self, interval_s: float = POLL_INTERVAL_S) -> None:
        """Poll for ever; errors are reported and polling goes on."""
        while True:
            await asyncio.sleep(interval_s)
            await self.poll()

    async def poll(self) -> bool:
        """Look for a newer manifest and follow it; tell whether something changed.

        Fails:   never: a bad file leaves everything as it was, ``stats`` say why.
        """
        seen = self._look()
        if seen is None or seen == self._seen:
            return False
        if self.stats.last_error and self._clock.monotonic() < self._retry_at:
            return False
        try:
            manifest = codec.read_manifest(self._directory)
            if manifest is None:
                return False
            changed = await self._follow(manifest)
        except (codec.SnapshotFileError, OSError) as error:
            self._reject(str(error))
            return False if self._current else await self._load_last_good()
        self._seen = seen
        self.stats.last_error = ""
        return changed

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self._directory / codec.MANIFEST)
        except OSError:
            return None
        self._made_at_s = max(self._made_at_s, stat.st_mtime)
        if self._current is not None:
            self._current.made_at = self._made_at_s
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    async def _follow(self, manifest: codec.Manifest) -> bool:
        held = self._current.version if self._current is not None else -1
        is_same_history = manifest.lineage == self._lineage
        if manifest.version == held and is_same_history:
            return False
        deltas = _path(manifest, held) if is_same_history else None
        if deltas is None:
            await self._load_whole(manifest, at_least=held if is_same_history else -1)
            return True
        for ref in deltas:
            await self._apply_delta(ref)
        return True

    async def _load_whole(self, manifest: codec.Manifest, *, at_least: int) -> None:
        """Load the base and every delta after it, then take it over in one step.

        A bad delta ends the way there: what was reached is taken, unless more is held.

        Errors:  SnapshotFileError, with everything left as it was.
        """
        changes = await self._read(manifest.base)
        error: codec.SnapshotFileError | None = None
        for ref in _path(manifest, manifest.base.version) or ():
            try:
                changes.follow(await self._read(ref))
            except codec.SnapshotFileError as found:
                error = found
                break
        if error is not None and changes.header.version <= at_least:
            raise error
        tables = await _tables_after(EMPTY, changes.others)
        index = await asyncio.to_thread(make_index, tables)
        self._tables, self._keys = tables, ClientKeys(changes.keys)
        self._lineage = manifest.lineage
        self._show(changes.header, Snapshot(self._keys, tables, index, self._turns))
        self.stats.full_loads += 1
        if self.stats.full_loads == 1:
            # What a process starts with stays: later collections need not visit it.
            gc.freeze()
        if error is not None:
            raise error

    async def _apply_delta(self, ref: codec.FileRef) -> None:
        changes = await self._read(ref)
        tables, index = self._tables, None
        if changes.others:
            tables = await _tables_after(self._tables, changes.others)
            index = await asyncio.to_thread(make_index, tables)
        left = iter(changes.keys.items())
        for _ in range(len(changes.keys) // _CHANGE_SLICE):
            # A change of very many keys takes effect in slices.
            self._keys.change(dict(islice(left, _CHANGE_SLICE)))
            await asyncio.sleep(0)
        # No pause from here on: keys and tables of one version appear together.
        self._keys.change(dict(left))
        self._tables = tables
        current = self._current
        if current is None or index is not None:
            current = Snapshot(self._keys, tables, index, self._turns)
        self._show(changes.header, current)
        self.stats.deltas += 1

    def _show(self, header: types.Header, snapshot: Snapshot) -> None:
        """Put a view in force."""
        self._made_at_s = max(self._made_at_s, header.made_at_s)
        self.stats.loaded_at_s = self._clock.time_ns() / NANOSECONDS_PER_SECOND
        self._current = snapshot.at_version(header.version, self._made_at_s)

    async def _load_last_good(self) -> bool:
        """Start from the manifest before, when the newest one is bad from the start."""
        try:
            manifest = codec.read_manifest(self._directory, codec.PREVIOUS)
            if manifest is None:
                return False
            changed = await self._follow(manifest)
        except (codec.SnapshotFileError, OSError) as error:
            self._reject(str(error))
            return False
        _log.warning("snapshot_previous_in_force", extra={"version": manifest.version})
        return changed

    async def _read(self, ref: codec.FileRef) -> _Changes:
        """Read and check one file in slices; nothing is taken over yet."""
        reader = codec.FileReader(ref)
        keys: dict[str, bytes] = {}
        others: list[codec.Entry] = []
        with open(self._directory / ref.name, "rb", buffering=0) as stream:  # noqa: ASYNC230 - opening is one system call; reads go through a thread
            while block := await _next_block(stream):
                for entry in reader.feed(block):
                    kind, key, payload = entry
                    if kind == types.CLIENT_KEY:
                        keys[key] = payload
                    else:
                        others.append(entry)
                await asyncio.sleep(0)
        return _Changes(keys, others, reader.finish())

    def _reject(self, message: str) -> None:
        self.stats.rejected += 1
        self.stats.last_error = message
        self._retry_at = self._clock.monotonic() + _RETRY_S
        _log.error("snapshot_rejected", extra={"reason": message})


def _path(manifest: codec.Manifest, held: int) -> tuple[codec.FileRef, ...] | None:
    """Choose the deltas that lead from a version to the newest one.

    None = there is no such way: a gap, or what is held is from the future.
    """
    chosen = []
    reached = held
    for ref in manifest.deltas:
        if ref.version > reached >= ref.since:
            chosen.append(ref)
            reached = ref.version
    return tuple(chosen) if reached == manifest.version and held >= 0 else None


async def _next_block(stream: IO[bytes]) -> bytes:
    # A thread, so that a slow disk stops nobody; from the page cache it is 0.1 ms.
    return await asyncio.to_thread(stream.read, _SLICE_BYTES)


async def _tables_after(before: Tables, entries: list[codec.Entry]) -> Tables:
    """Apply records to copies of the tables, decoding in slices.

    Errors:  SnapshotFileError for a record that cannot be decoded.
    """
    draft = _Draft(before)
    for number, entry in enumerate(entries, start=1):
        draft.apply(*entry)
        if number % _DECODE_SLICE == 0:
            await asyncio.sleep(0)
    return draft.tables()


class _Draft:
    """Copies of the small tables that records are applied to."""

    def __init__(self, before: Tables) -> None:
        self.settings = before.settings
        self.providers = dict(before.providers)
        self.models = dict(before.models)
        self.aliases = dict(before.aliases)
        self.budgets = dict(before.budgets)
        self.personal = dict(before.personal)

    def apply(self, kind: str, key: str, payload: bytes) -> None:
        """Take one record or tombstone; kinds of a later release are passed over."""
        if kind not in codec.RECORD_TYPES:
            return
        record = codec.decode_record(kind, key, payload)
        if isinstance(record, types.SettingsRecord):
            self.settings = record
        elif kind == types.PROVIDER:
            _put(self.providers, _number(kind, key), record)
        elif kind == types.MODEL:
            _put(self.models, _number(kind, key), record)
        elif kind == types.BUDGET:
            number = _number(kind, key)
            _put(self.budgets, number, record)
            _put(self.personal, number, record if _is_personal(record) else None)
        elif kind == types.ALIAS:
            _put(self.aliases, key, record)

    def tables(self) -> Tables:
        """Freeze what was collected."""
        return Tables(
            self.settings,
            self.providers,
            self.models,
            self.aliases,
            self.budgets,
            self.personal,
        )


def _is_personal(record: object) -> bool:
    return isinstance(record, types.BudgetRecord) and record.scope in SCOPES


def _put(table: dict[Any, Any], name: int | str, record: object) -> None:
    if record is None:
        table.pop(name, None)
    else:
        table[name] = record


def _number(kind: str, key: str) -> int:
    try:
        return int(key)
    except ValueError:
        raise codec.SnapshotFileError(f"The {kind} key {key!r} is no row id.") from None
