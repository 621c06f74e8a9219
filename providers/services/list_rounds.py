"""Fetch the model lists of every provider as they come round.

One provider after another, spread over the hour; new models are added only where the
setting says so, and everything else waits for a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from poolsite import audit
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import Setting
from providers.discovery.differences import BACK, NEW
from providers.models import ModelList, Provider
from providers.services.discovery import apply, refresh
from providers.services.errors import ServiceError

AUTO_ADD: Final = "discovery.auto_add"
EVERY_S: Final = "discovery.every_s"
_ROUND_S: Final = 20.0
_ROUND_TIMEOUT_S: Final = 15.0
_EVERY_S: Final = 3_600
_SHORTEST_S: Final = 600
_LONGEST_S: Final = 7 * 86_400
_CLOCK: Final = SystemClock()


def refresh_due(
    actor: Actor, *, clock: Clock = _CLOCK, most: int = 10
) -> list[ModelList]:
    """Fetch the lists that are due, oldest first; return what was fetched.

    A provider is due once an hour, some minutes later by its id, so that a pool of
    many does not ask them all in one minute. Adds new models only where the setting
    says so; everything else waits for a person.

    Cost:  one provider after another, begun within 20 s.
    """
    plan = schedule()
    if plan["every_s"] <= 0:
        return []
    began, now = clock.monotonic(), clock.now()
    done = []
    for provider in _waiting(now, float(plan["every_s"]))[:most]:
        if clock.monotonic() - began > _ROUND_S:
            break
        row = refresh(provider, timeout_s=_ROUND_TIMEOUT_S, clock=clock)
        done.append(row)
        if not row.error and plan["auto_add"]:
            apply(actor, provider, kinds=(NEW, BACK), clock=clock)
    return done


def _waiting(now: datetime, every_s: float) -> list[Provider]:
    due = []
    rows = Provider.objects.filter(deleted_at=None, enabled=True)
    latest = now - timedelta(seconds=every_s)
    rows = rows.filter(
        Q(model_list=None)
        | Q(model_list__checked_at=None)
        | Q(model_list__checked_at__lte=latest)
    ).select_related("model_list")
    for provider in rows:
        kept = getattr(provider, "model_list", None)
        at = kept.checked_at if kept is not None else None
        if at is None or at <= latest - _jitter(provider.pk, every_s):
            due.append((at or provider.created_at, provider.pk, provider))
    return [provider for *_, provider in sorted(due, key=lambda each: each[:2])]


def _jitter(pk: int, every_s: float) -> timedelta:
    """Return up to a tenth of the interval, always the same for one provider."""
    return timedelta(seconds=every_s / 10 * (pk * 37 % 100) / 100)


@one_change
def set_schedule(
    actor: Actor, *, every_s: int | None = None, auto_add: bool | None = None
) -> dict[str, Any]:
    """Say how often lists are fetched, and whether new models are added unasked.

    Units:   seconds; 0 stops the round, None leaves a value as it is.
    Errors:  ServiceError for an interval between 0 and ten minutes, or over a week.
    """
    if every_s is not None and every_s and not _SHORTEST_S <= every_s <= _LONGEST_S:
        raise ServiceError(
            f"The interval is 0, or {_SHORTEST_S} to {_LONGEST_S} seconds.",
            field="every_s",
        )
    before = schedule()
    for key, value in ((EVERY_S, every_s), (AUTO_ADD, auto_add)):
        if value is not None:
            Setting.objects.update_or_create(key=key, defaults={"value": value})
    after = schedule()
    if after != before:
        audit.record(actor, "model.schedule", before=before, after=after)
    return after


def schedule() -> dict[str, Any]:
    """Return ``{"every_s", "auto_add"}`` as they are in force; one query."""
    found = _settings()
    every_s = found.get(EVERY_S)
    is_number = isinstance(every_s, int) and not isinstance(every_s, bool)
    return {
        "every_s": every_s if is_number else _EVERY_S,
        "auto_add": found.get(AUTO_ADD) is True,
    }


def _settings() -> dict[str, Any]:
    rows = Setting.objects.filter(key__in=[AUTO_ADD, EVERY_S])
    return dict(rows.values_list("key", "value"))
