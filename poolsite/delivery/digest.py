"""Gather what a channel has not been told into one message.

One message waits for a channel at a time: while it is tried again, later news gathers
behind it instead of queueing, so a dead receiver costs rows by the thousand, not by
the million.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Min, QuerySet

from poolsite.clock import Clock, SystemClock
from poolsite.delivery import events
from poolsite.delivery.messages import envelope, line_of
from poolsite.delivery.outbox import APART_S as APART_S
from poolsite.delivery.outbox import spoke_just_now
from poolsite.delivery.rows import AlertChannel, AlertDelivery, AlertNews
from poolsite.ids import uuid7
from poolsite.models import Alert

LINES: Final = 100
MOST_WAITING: Final = 1_000
UNDER_WAY: Final = (AlertDelivery.State.WAITING, AlertDelivery.State.SENDING)
_CLOCK: Final = SystemClock()


def gather(*, now_too: bool = False, clock: Clock = _CLOCK) -> int:
    """Make the messages that are due; return how many.

    Shapes:  with ``now_too`` nobody waits for more news.
    Cost:    three queries a channel that has news, one for all that have none.
    """
    waiting = AlertChannel.objects.filter(enabled=True, news__isnull=False)
    channels = waiting.annotate(oldest=Min("news__first_at")).order_by("pk")
    return sum(_gather(row, clock, now_too=now_too) for row in channels)


def _gather(channel: AlertChannel, clock: Clock, *, now_too: bool) -> bool:
    now = clock.now()
    under_way = channel.deliveries.filter(state__in=UNDER_WAY)
    if under_way.exclude(event=events.TEST).exists():
        _trim(channel)
        return False
    if not now_too and not _is_due(channel, now):
        return False
    with transaction.atomic():
        # Whoever moves the mark has the lines: two workers never tell them twice.
        mine = AlertChannel.objects.filter(
            pk=channel.pk, last_message_at=channel.last_message_at
        )
        if not mine.update(last_message_at=now):
            return False
        return _make(channel, clock)


def _is_due(channel: AlertChannel, now: datetime) -> bool:
    if spoke_just_now(channel, now):
        return False
    oldest: datetime = channel.oldest  # type: ignore[attr-defined] # annotated
    if now - oldest >= timedelta(seconds=channel.digest_s):
        return True
    return channel.news.filter(is_urgent=True).exists()


def _make(channel: AlertChannel, clock: Clock) -> bool:
    rows = list(_locked(channel).order_by("-is_urgent", "first_at", "pk"))
    if not rows:
        return False
    alerts = Alert.objects.in_bulk([row.alert_id for row in rows if row.alert_id])
    shown = [line_of(row, alerts.get(row.alert_id or 0)) for row in rows[:LINES]]
    more: Counter[str] = Counter()
    for row in rows[LINES:]:
        more[row.event] += 1
    untold = AlertChannel.objects.values_list("untold", flat=True).get(pk=channel.pk)
    data: dict[str, Any] = {
        "events": shown,
        "more": dict(sorted(more.items())),
        "untold": untold,
        "open_alerts": Alert.objects.filter(resolved_at=None).count(),
    }
    queue(channel, events.DIGEST, data, lines=len(rows), clock=clock)
    AlertNews.objects.filter(pk__in=[row.pk for row in rows]).delete()
    AlertChannel.objects.filter(pk=channel.pk).update(untold=F("untold") - untold)
    return True


def queue(
    channel: AlertChannel,
    event: str,
    data: dict[str, Any],
    *,
    lines: int = 1,
    clock: Clock = _CLOCK,
) -> AlertDelivery:
    """Write one message down; it is due at once."""
    now, event_id = clock.now(), uuid7(clock)
    return AlertDelivery.objects.create(
        channel=channel,
        event_id=event_id,
        event=event,
        body=envelope(event, str(event_id), now, data),
        lines=lines,
        created_at=now,
        due_at=now,
    )


def _locked(channel: AlertChannel) -> QuerySet[AlertNews]:
    # A line that is counted up meanwhile waits, and becomes the next message's.
    return AlertNews.objects.select_for_update().filter(channel=channel)


def _trim(channel: AlertChannel) -> None:
    """Keep the newest lines of a channel that is not heard, and count the others."""
    newest = channel.news.order_by("-pk").values_list("pk", flat=True)
    beyond = list(newest[MOST_WAITING : MOST_WAITING + 1])
    if beyond:
        gone, _ = channel.news.filter(pk__lte=beyond[0]).delete()
        AlertChannel.objects.filter(pk=channel.pk).update(untold=F("untold") + gone)
