"""Change how the pool routes: a draft is edited, looked at, then published whole.

Nothing a person edits is in force before it is published; a revert publishes an older
document again. Who sends a ``tag`` along is refused when somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from django.db.models import Max

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import is_plain
from poolsite.models import Setting
from providers import selectors_routing as selectors
from providers.models import RoutingRevision
from providers.selectors_routing import (
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    PoolNames,
    Standing,
)
from providers.services import routing_checks as checks
from providers.services.errors import ServiceError
from providers.services.routing_words import differences
from providers.snapshot.types import RoutingRecord

_CLOCK: Final = SystemClock()
_LONGEST_NOTE: Final = 200
_LONGEST_MODEL: Final = 200
_MOST_LINES: Final = 50
EDITABLE: Final = frozenset(RoutingRecord.__struct_fields__) - {"revision", "rules"}
STALE: Final = "Somebody else changed the routing meanwhile. Look at it again."
Edit = Callable[[RoutingRecord], RoutingRecord]


class StaleError(ServiceError):
    """What the person looked at is not what would be changed any more."""

    code = "stale"

    def __init__(self) -> None:
        super().__init__(STALE)


@one_change
def change_settings(
    actor: Actor, values: dict[str, Any], *, tag: str = "", clock: Clock = _CLOCK
) -> Standing:
    """Set some of EDITABLE in the draft.

    Errors:  ServiceError naming the field; StaleError.
    """
    unknown = set(values) - EDITABLE
    if unknown:
        raise ServiceError(f"Unknown settings: {', '.join(sorted(unknown))}.")

    def change(old: RoutingRecord) -> RoutingRecord:
        facts = {**msgspec.to_builtins(old), **values}
        try:
            return msgspec.convert(facts, RoutingRecord)
        except msgspec.ValidationError as exc:
            raise ServiceError(f"The settings cannot be read: {exc}.") from exc

    return edit(actor, "routing.edit", change, tag=tag, clock=clock)


def edit(
    actor: Actor, action: str, change: Edit, *, tag: str = "", clock: Clock = _CLOCK
) -> Standing:
    """Change the draft, or begin one; to be called within a change.

    Errors:  ServiceError for a routing that cannot be in force; StaleError.
    """
    now = selectors.standing()
    _refuse_stale(now, tag)
    old = now.edited
    new = change(old)
    if new == old:
        return now
    checks.check(new)
    at = clock.now()
    row = now.draft or RoutingRevision(number=_next_number(), created_at=at)
    row.document = _document(msgspec.structs.replace(new, revision=_base(now)))
    row.author, row.updated_at = actor.user, at
    row.save()
    audit.record(actor, action, row, before=_told(new, old), after=_told(old, new))
    return selectors.standing()


@one_change
def publish(
    actor: Actor, *, note: str = "", tag: str = "", clock: Clock = _CLOCK
) -> RoutingRevision:
    """Put the draft in force.

    Errors:  ServiceError without a draft, or when it cannot be in force; StaleError.
    """
    now = selectors.standing()
    _refuse_stale(now, tag)
    if now.draft is None:
        raise ServiceError("There is no draft to publish.")
    checks.check(now.edited)
    row = now.draft
    if row.number <= now.number:
        # Something was published meanwhile: what is newest has the highest number.
        row.number = _next_number()
    return _put_in_force(actor, row, now, note, "routing.publish", clock)


@one_change
def discard(actor: Actor, *, tag: str = "") -> None:
    """Throw the draft away; nothing happens without one.

    Errors:  StaleError.
    """
    now = selectors.standing()
    _refuse_stale(now, tag)
    if now.draft is None:
        return
    lost = _told(now.in_force, now.edited)
    audit.record(actor, "routing.discard", now.draft, before=lost)
    now.draft.delete()


@one_change
def revert(
    actor: Actor, number: int, *, note: str = "", clock: Clock = _CLOCK
) -> RoutingRevision:
    """Publish an older routing again, under a new number; a draft stays as it is.

    Shapes:  number 0 = the defaults, from before anything was published.
    Errors:  ServiceError for a number that is not there, or in force already.
    """
    now = selectors.standing()
    old = RoutingRevision.objects.filter(is_draft=False, number=number).first()
    if old is None and number != 0:
        raise ServiceError(f"There is no published routing {number}.")
    if number == now.number:
        raise ServiceError(f"Routing {number} is in force already.")
    note = note or (f"Back to {number}" if number else "Back to the defaults")
    record = selectors.record_of(old)
    row = _anew(record, clock)
    return _put_in_force(actor, row, now, note, "routing.revert", clock)


def publish_record(
    actor: Actor, record: RoutingRecord, *, note: str = "", clock: Clock = _CLOCK
) -> RoutingRevision:
    """Publish a routing from elsewhere, under a new number; a draft stays as it is.

    It is to be called within a change.

    Errors:  ServiceError when it cannot be in force.
    """
    now = selectors.standing()
    row = _anew(record, clock)
    return _put_in_force(actor, row, now, note, "routing.publish", clock)


@one_change
def set_default_model(actor: Actor, name: str) -> None:
    """Say what a request that names no model, or ``auto``, asks for; blank = nothing.

    It holds at once: it is no part of the draft.

    Errors:  ServiceError for a name that cannot be one.
    """
    name = name.strip()
    if len(name) > _LONGEST_MODEL or not is_plain(name):
        raise ServiceError("This is no name of a model.", field="default_model")
    before = selectors.default_model()
    _set_default(actor, "default_model", DEFAULT_MODEL, before, name)


@one_change
def set_default_provider(actor: Actor, slug: str) -> None:
    """Say who goes first for a name that names no provider; blank = nobody.

    It holds at once: it is no part of the draft.

    Errors:  ServiceError for a provider that is not there.
    """
    slug = slug.strip()
    if slug and slug not in PoolNames().providers:
        raise ServiceError("There is no such provider.", field="default_provider")
    before = selectors.default_provider()
    _set_default(actor, "default_provider", DEFAULT_PROVIDER, before, slug)


def _set_default(actor: Actor, word: str, key: str, before: str, after: str) -> None:
    if before == after:
        return
    row, _ = Setting.objects.update_or_create(
        key=key, defaults={"value": after, "secret": False}
    )
    version.bump(row)
    audit.record(
        actor, f"routing.{word}", row, before={word: before}, after={word: after}
    )


def _anew(record: RoutingRecord, clock: Clock) -> RoutingRevision:
    """Return a revision that may be in force, under the next number."""
    checks.check(record)
    return RoutingRevision(
        number=_next_number(), document=_document(record), created_at=clock.now()
    )


def _put_in_force(
    actor: Actor,
    row: RoutingRevision,
    now: Standing,
    note: str,
    action: str,
    clock: Clock,
) -> RoutingRevision:
    note = note.strip()
    if len(note) > _LONGEST_NOTE or not is_plain(note):
        raise ServiceError(
            f"A note is one line of at most {_LONGEST_NOTE} letters.", field="note"
        )
    new = selectors.record_of(row)
    row.document = _document(msgspec.structs.replace(new, revision=row.number))
    row.note, row.is_draft = note, False
    row.author, row.updated_at = actor.user, clock.now()
    row.published_at = row.updated_at
    row.save()
    version.bump(row)
    lines = differences(now.in_force, new)
    audit.record(
        actor,
        action,
        row,
        before={"number": now.number},
        after={
            "number": row.number,
            "note": note,
            "changes": [" ".join(filter(None, line)) for line in lines][:_MOST_LINES],
        },
    )
    return row


def _refuse_stale(now: Standing, tag: str) -> None:
    if tag and tag != now.tag:
        raise StaleError


def _base(now: Standing) -> int:
    """Return the number of what the draft was made from."""
    return now.number if now.draft is None else now.edited.revision


def _next_number() -> int:
    highest = RoutingRevision.objects.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def _document(record: RoutingRecord) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(record)
    return document


def _told(before: RoutingRecord, after: RoutingRecord) -> dict[str, Any]:
    """Return how ``after`` says what is not the same in ``before``."""
    lines = differences(before, after)
    return {
        f"{line.what} {line.kind}" if line.kind != "changed" else line.what: line.after
        for line in lines[:_MOST_LINES]
    }
