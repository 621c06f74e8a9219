"""Make rows of the bodies that data processes of this node have spooled."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import transaction

from poolsite.clock import Clock, SystemClock
from usage.bodies import record
from usage.bodies.record import BodyFormatError, KeptBody
from usage.bodies.rows import RequestBody
from usage.bodies.spool import SUFFIX, UNFINISHED

_MOST_FILES: Final = 50
_MOST_BYTES: Final = 1024 * 1024
_BATCHES_A_ROUND: Final = 20
_ABANDONED_S: Final = 600.0
_CLOCK: Final = SystemClock()
_log: Final = logging.getLogger("usage.bodies")


def ship(root: Path, *, clock: Clock = _CLOCK) -> int:
    """Store what is spooled and remove its files; return how many bodies.

    Killed in between, it meets a file again: the row is there and stays as it is.

    Errors:  the database's; the files stay for the next round.
    Cost:    one directory listing where nothing is spooled; a transaction of at most 50
             bodies or 1 MB else.
    """
    shipped = 0
    for _ in range(_BATCHES_A_ROUND):
        paths = _next_paths(root)
        if not paths:
            _forget_abandoned(root, clock)
            break
        bodies = [body for path in paths if (body := _read(path)) is not None]
        if bodies:
            with transaction.atomic():
                RequestBody.objects.bulk_create(
                    map(_row, bodies), ignore_conflicts=True
                )
        for path in paths:
            path.unlink(missing_ok=True)
        shipped += len(bodies)
    return shipped


def _next_paths(root: Path) -> list[Path]:
    """Return the oldest files, as many as one transaction takes; ids are times."""
    paths: list[Path] = []
    size = 0
    for path in sorted(root.glob(f"*{SUFFIX}")):
        size += path.stat().st_size
        if paths and (len(paths) >= _MOST_FILES or size > _MOST_BYTES):
            break
        paths.append(path)
    return paths


def _forget_abandoned(root: Path, clock: Clock) -> None:
    """Remove what a killed process was about to write."""
    latest = clock.time_ns() / 1e9 - _ABANDONED_S
    for path in root.glob(f"*{UNFINISHED}"):
        if path.stat().st_mtime < latest:
            path.unlink(missing_ok=True)


def _read(path: Path) -> KeptBody | None:
    try:
        body = record.decode(path.read_bytes())
        UUID(body.request_id)
    except (BodyFormatError, ValueError) as error:
        _log.warning("body_unreadable", extra={"reason": str(error)[:200]})
        return None
    return body


def _row(body: KeptBody) -> RequestBody:
    row = RequestBody(
        request_id=UUID(body.request_id),
        at=datetime.fromtimestamp(body.at_ns / 1e9, UTC),
    )
    if body.asked is not None:
        row.asked = body.asked.data
        row.asked_bytes = body.asked.size
        row.asked_is_cut = body.asked.is_cut
    if body.answered is not None:
        row.answered = body.answered.data
        row.answered_bytes = body.answered.size
        row.answered_is_cut = body.answered.is_cut
    return row
