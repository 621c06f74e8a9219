"""Send what is due: claimed by one worker, tried again for a day, then given up.

The row is the truth. A claim is an update that matches the old state, so two workers
never send one message at once; a worker that dies between sending and noting it leaves
the row claimed, and after two minutes it is sent again under the same event id.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from poolsite import alerts, secrets
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableSecretError
from poolsite.delivery import channels, digest, events, outbox
from poolsite.delivery.channels import Parcel
from poolsite.delivery.rows import AlertChannel, AlertDelivery

FIRST_RETRY_S: Final = 30
SLOWEST_RETRY_S: Final = 6 * 3_600
GIVE_UP_S: Final = 24 * 3_600
JITTER: Final = 0.2
DEAD_S: Final = 120
KEPT_DAYS: Final = 30
_LOUD_AFTER: Final = 3
_AT_ONCE: Final = 40
_CLOCK: Final = SystemClock()
_State = AlertDelivery.State


@dataclass(frozen=True)
class _Claim:
    row: AlertDelivery
    at: datetime


def run(*, now_too: bool = False, clock: Clock = _CLOCK) -> int:
    """Gather what is due, send it, and return how many messages arrived.

    Shapes:  with ``now_too`` nothing waits for more news or for its next try.
    Cost:    outbound calls beside each other, eleven seconds at most for forty.
    """
    digest.gather(now_too=now_too, clock=clock)
    _forget(clock.now())
    due = _due(clock.now(), now_too=now_too)[:_AT_ONCE]
    return sum(_send([row for row in due if row.pk], clock))


def send_one(delivery: AlertDelivery, *, clock: Clock = _CLOCK) -> AlertDelivery:
    """Send one message now, by the very path all others take; return its row anew."""
    _send([delivery], clock)
    return AlertDelivery.objects.select_related("channel").get(pk=delivery.pk)


def retry_after_s(attempts: int, shake: Callable[[], float] = random.random) -> float:
    """Return how long to wait after so many failed tries.

    Units:   seconds: 30, 60, 120 ... to six hours, each a fifth more or less.
    """
    plain = min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 30), SLOWEST_RETRY_S)
    return plain * (1 + JITTER * (2 * shake() - 1))


def _due(now: datetime, *, now_too: bool) -> Any:
    dead = Q(state=_State.SENDING, claimed_at__lte=now - timedelta(seconds=DEAD_S))
    waiting = Q(state=_State.WAITING)
    if not now_too:
        waiting &= Q(due_at__lte=now)
    rows = AlertDelivery.objects.filter(dead | waiting, channel__enabled=True)
    return rows.select_related("channel").order_by("due_at", "pk")


def _send(rows: list[AlertDelivery], clock: Clock) -> list[bool]:
    """Claim, open, send all beside each other, and note how each ended."""
    under_way: list[tuple[_Claim, Future[str]]] = []
    for row in rows:
        claim = _claim(row, clock.now())
        if claim is not None:
            under_way.append((claim, _start(row, clock)))
    return [_note(claim, channels.wait(sent), clock) for claim, sent in under_way]


def _claim(row: AlertDelivery, now: datetime) -> _Claim | None:
    mine = AlertDelivery.objects.filter(
        pk=row.pk, state=row.state, attempts=row.attempts, claimed_at=row.claimed_at
    ).update(state=_State.SENDING, claimed_at=now, attempts=row.attempts + 1)
    if not mine:
        return None
    row.attempts += 1
    return _Claim(row, now)


def _start(row: AlertDelivery, clock: Clock) -> Future[str]:
    try:
        return channels.start(_parcel(row), clock)
    except UnreadableSecretError as exc:
        failed: Future[str] = Future()
        failed.set_result(str(exc))
        return failed


def _parcel(row: AlertDelivery) -> Parcel:
    channel = row.channel
    if channel.kind == AlertChannel.Kind.MAIL:
        return Parcel(row.body, addresses=tuple(channel.addresses))
    return Parcel(
        row.body,
        url=secrets.open_for(channel, "target"),
        secret=secrets.open_for(channel, "secret") if channel.secret else None,
    )


def _note(claim: _Claim, error: str, clock: Clock) -> bool:
    """Write how a try ended; one that another worker took over is left alone."""
    row, now = claim.row, clock.now()
    mine = AlertDelivery.objects.filter(
        pk=row.pk, state=_State.SENDING, claimed_at=claim.at
    )
    if not mine.update(**_ending(row, error[:200], now)):
        return False
    seen = AlertChannel.objects.filter(pk=row.channel_id)
    if error:
        seen.update(last_error=error[:200])
        if row.attempts >= _LOUD_AFTER:
            _alert(row.channel, error, clock)
        return False
    seen.update(delivered_at=now, last_error="")
    alerts.resolve(outbox.ABOUT_CHANNELS, str(row.channel_id), clock=clock)
    return True


def _ending(row: AlertDelivery, error: str, now: datetime) -> dict[str, Any]:
    if not error:
        return {"state": _State.DELIVERED, "ended_at": now, "last_error": ""}
    due = now + timedelta(seconds=retry_after_s(row.attempts))
    is_over = due > row.created_at + timedelta(seconds=GIVE_UP_S)
    if is_over or row.event == events.TEST:
        return {"state": _State.GAVE_UP, "ended_at": now, "last_error": error}
    return {"state": _State.WAITING, "due_at": due, "last_error": error}


def _alert(channel: AlertChannel, error: str, clock: Clock) -> None:
    alerts.raise_alert(
        outbox.ABOUT_CHANNELS,
        str(channel.pk),
        title=f"Alerts do not reach {channel.name}",
        detail=error,
        link="/settings/alerts/",
        clock=clock,
    )


def _forget(now: datetime) -> None:
    old = now - timedelta(days=KEPT_DAYS)
    ended = (_State.DELIVERED, _State.GAVE_UP)
    AlertDelivery.objects.filter(created_at__lt=old, state__in=ended).delete()
