"""Clear cooldowns: one, or all of them, in every data process.

The rows are the durable copy; workers hold the live state. A cleared subject leaves a
row that says when: whatever a worker learnt of it before that is forgotten, what it
learns afterwards counts. The version is raised, so each node's keeper tells its workers
within a second or two, on any database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import is_plain
from providers.models import AccountStatus, ApiKey, Fact, Provider
from providers.routing.remembered import COOLDOWN_FACT, RECOVERY_FACT
from providers.routing.subjects import EVERYTHING, parse
from providers.services.errors import ServiceError

_CLOCK: Final = SystemClock()
_REMEMBERED: Final = timedelta(minutes=15)
"""Longer than the news of any worker takes to be shipped."""


@one_change
def clear(actor: Actor, subject: str, *, clock: Clock = _CLOCK) -> None:
    """Let one subject be tried again at once.

    Errors:  ServiceError for a subject that is not cooling.
    """
    row = None
    if is_plain(subject) and parse(subject) is not None:
        row = Fact.objects.filter(kind=COOLDOWN_FACT, key=subject).first()
    if row is None:
        raise ServiceError("This is not cooling down any more.", field="subject")
    _clear(subject, clock)
    _free_keys(row.payload.get("credential_kind"), row.payload.get("credential_id"))
    audit.record(
        actor, "cooldown.clear", before={"subject": subject, **_said(row.payload)}
    )


@one_change
def clear_all(actor: Actor, *, clock: Clock = _CLOCK) -> int:
    """Let everything be tried again at once; return how many were cooling.

    Also what a worker has not told yet is forgotten.
    """
    count = Fact.objects.filter(kind=COOLDOWN_FACT, expires_at__gt=clock.now()).count()
    _clear(EVERYTHING, clock)
    _free_keys("api_key", None)
    audit.record(actor, "cooldown.clear_all", before={"cooling": count})
    return count


def quota_is_back(status: AccountStatus, *, clock: Clock = _CLOCK) -> bool:
    """End a cooldown for want of quota when the vendor says there is some again.

    Shapes:  ``status`` was read just now and has been saved; what it says is newer
             than the cooldown only if that began before.
    """
    told = status.fetched_at
    if told is None or status.error or status.left is None or status.left <= 0:
        return False
    kind, _, number = status.credential.partition(":")
    own = f"{status.provider_id}:{'api_key' if kind == 'key' else kind}:{number}"
    subject = f"credential:{own}"
    row = Fact.objects.filter(kind=COOLDOWN_FACT, key=subject).first()
    if row is None or row.payload.get("reason") != "quota" or row.at >= told:
        return False
    _forget(subject, clock)
    return True


@one_change
def forget_place(provider: Provider, *, clock: Clock = _CLOCK) -> None:
    """Forget how a provider's old address fared: the new one is another place."""
    subject = f"provider:{provider.pk}"
    models = provider.models.values_list("pk", flat=True)
    known = [subject, *(f"model:{pk}" for pk in models)]
    rows = Fact.objects.filter(kind=COOLDOWN_FACT, key__in=known)
    # A worker may hold the provider's own rest before there is a row of it.
    for each in {subject, *rows.values_list("key", flat=True)}:
        _clear(each, clock)


@one_change
def _forget(subject: str, clock: Clock) -> None:
    _clear(subject, clock)


def remember_end(subject: str, at_ns: int) -> None:
    """Note until when what is known of a subject counts no more."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC)
    Fact.objects.update_or_create(
        kind=RECOVERY_FACT,
        key=subject,
        defaults={
            "payload": {"at_ns": at_ns},
            "at": at,
            "expires_at": at + _REMEMBERED,
        },
    )


def _clear(subject: str, clock: Clock) -> None:
    rows = Fact.objects.filter(kind=COOLDOWN_FACT)
    if subject != EVERYTHING:
        rows = rows.filter(key=subject)
    rows.delete()
    remember_end(subject, clock.time_ns())
    version.bump()


def _free_keys(kind: str | None, number: int | None) -> None:
    """Take back that API keys need a person: they are tried again."""
    if kind != "api_key":
        return
    keys = ApiKey.objects.filter(
        state=ApiKey.State.NEEDS_ATTENTION, deleted_at__isnull=True
    )
    if number is not None:
        keys = keys.filter(pk=number)
    keys.update(state=ApiKey.State.OK, last_error="")


def _said(payload: dict[str, object]) -> dict[str, object]:
    return {name: payload.get(name) for name in ("reason", "until_s")}
