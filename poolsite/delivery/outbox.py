"""Put news beside the change it is about: one line for each channel that wants it.

Everything here runs in the caller's transaction and opens no connection: a line exists
exactly when the change does, and a channel that is down delays nobody.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from poolsite.clock import Clock, SystemClock
from poolsite.delivery import events
from poolsite.delivery.hurry import hurry
from poolsite.delivery.rows import AlertChannel, AlertNews
from poolsite.models import Alert, AuditEvent

ABOUT_CHANNELS: Final = "alert_channel"
APART_S: Final = 60
_TRIES: Final = 10
_CLOCK: Final = SystemClock()
_RANK: Final = {"info": 0, "warning": 1, "error": 2}


@dataclass(frozen=True)
class Line:
    """One piece of news.

    Shapes:  lines with the same ``fold`` become one with a count while they wait;
             blank never folds. ``data`` is JSON without secrets.
    """

    event: str
    data: dict[str, Any] = field(default_factory=dict)
    fold: str = ""
    count: int = 1
    alert: Alert | None = None

    @property
    def is_urgent(self) -> bool:
        """Tell whether it goes out without waiting for more."""
        is_end = self.event == events.RESOLVED
        return self.alert is not None and self.alert.severity == "error" and not is_end


def emit(
    event: str,
    data: dict[str, Any],
    *,
    fold: str = "",
    count: int = 1,
    clock: Clock = _CLOCK,
) -> int:
    """Tell every channel that chose this event; return how many will be told.

    Shapes:  as ``Line``; the upper floors call this inside their change.
    Cost:    one query, and one or two for each channel that wants it.
    """
    channels = [row for row in _enabled() if event in row.events]
    for channel in channels:
        _put(channel, Line(event, data, fold, count), clock.now())
    return len(channels)


def tell(alert: Alert, event: str, *, clock: Clock = _CLOCK) -> None:
    """Tell the channels that an alert was raised, became worse or is over.

    A channel is not told that it is itself out of order.
    """
    line = Line(event, fold=f"alert:{alert.pk}", alert=alert)
    for channel in _enabled():
        is_itself = alert.kind == ABOUT_CHANNELS and alert.key == str(channel.pk)
        is_grave = _RANK[alert.severity] >= _RANK[channel.least_severity]
        if event in channel.events and is_grave and not is_itself:
            _put(channel, line, clock.now())
            if line.is_urgent and not spoke_just_now(channel, clock.now()):
                hurry(clock)


def spoke_just_now(channel: AlertChannel, now: datetime) -> bool:
    """Tell whether a channel got a message so lately that the next one waits."""
    last = channel.last_message_at
    return last is not None and now - last < timedelta(seconds=APART_S)


def of_audit(event: AuditEvent, slug: str, *, clock: Clock = _CLOCK) -> None:
    """Pass on what the audit trail notes about providers."""
    name = events.of_audit(event)
    if name:
        emit(name, events.facts_of(event, slug), clock=clock)


def _enabled() -> list[AlertChannel]:
    return list(AlertChannel.objects.filter(enabled=True).order_by("pk"))


def _put(channel: AlertChannel, line: Line, now: datetime) -> None:
    for _ in range(_TRIES):
        if line.fold and _again(channel, line, now):
            return
        # Somebody may put the same line between the two statements, and somebody else
        # take it away before it is counted: then from the beginning.
        with suppress(IntegrityError), transaction.atomic():
            _create(channel, line, now)
            return


def _create(channel: AlertChannel, line: Line, now: datetime) -> None:
    AlertNews.objects.create(
        channel=channel,
        event=line.event,
        fold=line.fold or uuid.uuid4().hex,
        alert=line.alert,
        is_urgent=line.is_urgent,
        data=line.data,
        count=line.count,
        first_at=now,
        last_at=now,
    )


def _again(channel: AlertChannel, line: Line, now: datetime) -> bool:
    """Count a line that waits already; what is new about an alert replaces it."""
    waiting = AlertNews.objects.filter(channel=channel, fold=line.fold)
    changes: dict[str, Any] = {"count": F("count") + line.count, "last_at": now}
    if line.alert is None:
        changes["data"] = line.data
    else:
        changes["is_urgent"] = line.is_urgent
    # Raised and worse before anybody was told is still the first they hear of it.
    if line.event != events.ESCALATED:
        changes["event"] = line.event
    return bool(waiting.update(**changes))
