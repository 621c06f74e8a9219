"""Publish the configuration as snapshot files whenever its version changed."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Final

import msgspec
from django.db import transaction

from poolsite import version
from poolsite.clock import Clock
from providers.snapshot import build, codec, records
from providers.snapshot.codec import FileRef, Manifest, SnapshotFileError
from providers.snapshot.types import SCHEMA, SettingsRecord

MOST_DELTAS: Final = 200
_KEPT_DELTAS: Final = 20
_MOST_DELTA_BYTES: Final = 4 * 1024 * 1024
_TOUCH_S: Final = 1.0
_CLEANUP_S: Final = 30.0
_log: Final = logging.getLogger("providers.keeper")


class Publisher:
    """Write bases and deltas; the manifest on disk is its memory.

    Shapes:  ``lineage`` names the database's history (see ``Manifest``).
    """

    def __init__(self, directory: Path, *, lineage: str, clock: Clock) -> None:
        self._directory = directory
        self._lineage = lineage
        self._clock = clock
        self._manifest = self._read()
        self._settings: SettingsRecord | None = None
        self._touched = 0.0
        self._cleaned = 0.0

    @property
    def version(self) -> int:
        """The version the files have reached; 0 before the first."""
        return self._manifest.version if self._manifest is not None else 0

    def publish(self) -> bool:
        """Bring the files up to the database's version; tell whether they changed.

        Errors: Django's database errors, OSError; the files in force stay as they are.
        Cost:   two queries when nothing changed; a delta costs about 20 ms, whatever
                the number of client keys.
        """
        self._bump_if_settings_changed()
        reached = version.current()
        manifest = self._manifest
        if manifest is None or manifest.lineage != self._lineage:
            self._publish_base()
        elif reached == manifest.version:
            self._touch()
            return False
        elif not self._publish_delta(manifest):
            self._publish_base()
        self._clean_up()
        return True

    def _bump_if_settings_changed(self) -> None:
        """Notice what changes settings without being a configuration row."""
        settings = records.settings_record()
        if self._settings is not None and settings != self._settings:
            with transaction.atomic():
                version.bump()
        self._settings = settings

    def _publish_delta(self, manifest: Manifest) -> bool:
        """Add one delta; False when a base is needed instead."""
        if self._is_long(manifest):
            return False
        built = build.build_delta(manifest.version, self._clock.now())
        if built is None:
            return False
        try:
            ref = codec.write_delta(self._directory, built.header, built.records)
            codec.verify(self._directory, ref)
            self._put(manifest.base, (*manifest.deltas, ref))
        except SnapshotFileError as error:
            _log.warning("delta_refused: %s", error)
            return False
        return True

    def _publish_base(self) -> None:
        built = build.build_base(self._clock.now())
        ref = codec.write_base(self._directory, built.header, built.records)
        codec.verify(self._directory, ref, referential=True)
        before = self._manifest
        is_same = before is not None and before.lineage == self._lineage
        # Workers that hold a version before this base follow the deltas kept here.
        kept = before.deltas[-_KEPT_DELTAS:] if before is not None and is_same else ()
        chain = tuple(delta for delta in kept if delta.version <= ref.version)
        self._put(ref, chain)

    def _put(self, base: FileRef, deltas: tuple[FileRef, ...]) -> None:
        manifest = Manifest(
            schema=SCHEMA,
            version=deltas[-1].version if deltas else base.version,
            base=base,
            deltas=deltas,
            made_at_s=self._clock.time_ns() / 1e9,
            lineage=self._lineage,
        )
        if manifest.version < base.version:
            manifest = msgspec.structs.replace(manifest, version=base.version)
        codec.publish(self._directory, manifest)
        self._manifest = manifest
        self._touched = self._clock.monotonic()

    def _is_long(self, manifest: Manifest) -> bool:
        since_base = [
            delta for delta in manifest.deltas if delta.version > manifest.base.version
        ]
        size = sum(delta.size_bytes for delta in since_base)
        return len(since_base) >= MOST_DELTAS or size > max(
            _MOST_DELTA_BYTES, manifest.base.size_bytes
        )

    def _touch(self) -> None:
        """Show workers that the keeper lives although nothing changes."""
        now = self._clock.monotonic()
        if now - self._touched < _TOUCH_S:
            return
        self._touched = now
        with contextlib.suppress(FileNotFoundError):
            moment = time.time()  # file times are the machine's own
            os.utime(self._directory / codec.MANIFEST, (moment, moment))
            return
        self._manifest = None  # somebody removed the files: write them anew

    def _clean_up(self) -> None:
        now = self._clock.monotonic()
        if now - self._cleaned >= _CLEANUP_S:
            self._cleaned = now
            codec.cleanup(self._directory)

    def _read(self) -> Manifest | None:
        try:
            manifest = codec.read_manifest(self._directory)
            if manifest is not None:
                # Refuses a manifest whose files are not all there.
                codec.publish(self._directory, manifest)
        except (SnapshotFileError, OSError):
            return None
        return manifest
