"""Put a prompt and its answer into the store, as the keeper would."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from usage.bodies.record import pack_side
from usage.models import RequestBody


def store(
    request_id: UUID,
    asked: bytes | None = b'{"model": "m"}',
    answered: bytes | None = b'{"choices": []}',
    *,
    at: datetime | None = None,
    keep: int = 65_536,
) -> RequestBody:
    """Store both sides; None = that side never came."""
    row = RequestBody(request_id=request_id, at=at or datetime.now(UTC))
    if asked is not None:
        side = pack_side(asked, len(asked), keep=keep)
        row.asked, row.asked_bytes, row.asked_is_cut = side.data, side.size, side.is_cut
    if answered is not None:
        side = pack_side(answered, len(answered), keep=keep)
        row.answered, row.answered_bytes = side.data, side.size
        row.answered_is_cut = side.is_cut
    row.save(force_insert=True)
    return row
