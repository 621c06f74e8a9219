"""Say whether prompts and answers are kept, look at one, forget them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.models import Setting
from providers.services.errors import ServiceError
from providers.snapshot.records import SETTING_PREFIX
from providers.snapshot.types import SettingsRecord
from usage.bodies import record
from usage.models import RequestBody

KEEP: Final = f"{SETTING_PREFIX}keep_bodies"
KEEP_BYTES: Final = f"{SETTING_PREFIX}body_keep_bytes"
LEAST_KB: Final = 1
MOST_KB: Final = 1_024
_BATCH: Final = 200
_DEFAULTS: Final = SettingsRecord()


@dataclass(frozen=True)
class Recording:
    """Whether bodies are kept of keys that ask for it, and how much of each side."""

    is_on: bool
    keep_kb: int


@dataclass(frozen=True)
class Side:
    """One side of a call as it was kept.

    Units:  ``size`` is what passed, in bytes.
    """

    text: str
    size: int
    is_cut: bool


@dataclass(frozen=True)
class Bodies:
    """A prompt and its answer; None = that side never came."""

    asked: Side | None
    answered: Side | None


def recording() -> Recording:
    """Return what is in force; one query."""
    rows = Setting.objects.filter(key__in=[KEEP, KEEP_BYTES], secret=False)
    found: dict[str, Any] = dict(rows.values_list("key", "value"))
    size = found.get(KEEP_BYTES)
    if not isinstance(size, int) or isinstance(size, bool):
        size = _DEFAULTS.body_keep_bytes
    return Recording(is_on=found.get(KEEP) is True, keep_kb=size // 1024)


@one_change
def set_recording(
    actor: Actor, *, is_on: bool | None = None, keep_kb: int | None = None
) -> Recording:
    """Switch the pool's part of keeping bodies; None leaves a value as it is.

    Errors:  ServiceError for a size out of bounds.
    """
    if keep_kb is not None and not LEAST_KB <= keep_kb <= MOST_KB:
        raise ServiceError(f"It is {LEAST_KB} to {MOST_KB:,} KB.", field="keep_kb")
    before = recording()
    size = None if keep_kb is None else keep_kb * 1024
    for key, value in ((KEEP, is_on), (KEEP_BYTES, size)):
        if value is not None:
            row, _ = Setting.objects.get_or_create(key=key)
            row.value = value
            row.save(update_fields=["value"])
            version.bump(row)
    after = recording()
    if after != before:
        audit.record(
            actor,
            "request_bodies.set",
            before={"is_on": before.is_on, "keep_kb": before.keep_kb},
            after={"is_on": after.is_on, "keep_kb": after.keep_kb},
        )
    return after


@one_change
def look_at(actor: Actor, request_id: UUID) -> Bodies | None:
    """Return what is kept of one call, and write down who looked; None = nothing is."""
    row = RequestBody.objects.filter(pk=request_id).first()
    if row is None:
        return None
    audit.record(actor, "request_bodies.view", row)
    return Bodies(
        asked=_side(row.asked, row.asked_bytes, is_cut=row.asked_is_cut),
        answered=_side(row.answered, row.answered_bytes, is_cut=row.answered_is_cut),
    )


def forget(actor: Actor, request_id: UUID | None = None) -> int:
    """Remove what is kept of one call, or of all; return how many calls.

    What a process still holds at that moment is stored afterwards and goes with its days.

    Cost:    a transaction for each 200 rows.
    """
    rows = RequestBody.objects.all()
    if request_id is not None:
        rows = rows.filter(pk=request_id)
    with transaction.atomic():
        one = rows.first() if request_id is not None else None
        audit.record(actor, "request_bodies.forget", one)
    count = 0
    while True:
        some = list(rows.order_by("pk").values_list("pk", flat=True)[:_BATCH])
        if not some:
            return count
        with transaction.atomic():
            count += RequestBody.objects.filter(pk__in=some).delete()[0]


def is_kept(request_id: UUID) -> bool:
    """Tell whether anything is kept of a call; one query."""
    return RequestBody.objects.filter(pk=request_id).exists()


def as_data(found: Bodies) -> dict[str, Any]:
    """Return both sides as the API and the command line print them."""
    return {
        name: None
        if side is None
        else {"text": side.text, "bytes": side.size, "is_cut": side.is_cut}
        for name, side in (("asked", found.asked), ("answered", found.answered))
    }


def _side(data: Any, size: int | None, *, is_cut: bool) -> Side | None:
    if data is None or size is None:
        return None
    try:
        text = record.plain(bytes(data)).decode("utf-8", "replace")
    except record.BodyFormatError:
        raise ServiceError("What is stored of this call is damaged.") from None
    return Side(text, size, is_cut)
