"""Keep what needs a person's attention: raised many times, listed once.

This is the port. Every app raises and resolves here, and the rows are what the
console lists. What is new about them is put into the outbox of every channel that
wants it (``poolsite.delivery``), in the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, models, transaction

from poolsite.clock import Clock, SystemClock
from poolsite.delivery import events, outbox
from poolsite.models import Alert

_CLOCK: Final = SystemClock()
_RANK: Final = {
    Alert.Severity.INFO.value: 0,
    Alert.Severity.WARNING.value: 1,
    Alert.Severity.ERROR.value: 2,
}


def raise_alert(  # noqa: PLR0913 - an alert has this many parts
    kind: str,
    key: str,
    *,
    title: str,
    severity: str = Alert.Severity.WARNING,
    detail: str = "",
    link: str = "",
    clock: Clock = _CLOCK,
) -> bool:
    """Say that something needs attention; return whether it is news.

    Shapes: kind names the sort (``secret_unreadable``), key the thing; both together
        are one open alert. title, detail and link are shown as they are and hold no
        secret; link is a path of the console.
    Cost:   a read and an update while it is open, one insert when it is new; telling
        the channels when it is new or became worse.
    """
    now = clock.now()
    shown = {
        "severity": severity,
        "title": title[:200],
        "detail": detail[:500],
        "link": link[:200],
    }
    if _again(kind, key, shown, now=now, clock=clock):
        return False
    try:
        with transaction.atomic():
            alert = Alert.objects.create(
                kind=kind, key=key, first_at=now, last_at=now, **shown
            )
            outbox.tell(alert, events.OPENED, clock=clock)
    except IntegrityError:
        # Somebody else raised it between the two statements.
        _again(kind, key, shown, now=now, clock=clock)
        return False
    return True


def resolve(kind: str, key: str, *, quiet: bool = False, clock: Clock = _CLOCK) -> bool:
    """Say that it is over; return whether an open alert was closed.

    Shapes: ``quiet`` when something else that is raised says so already.
    """
    open_ones = Alert.objects.filter(kind=kind, key=key, resolved_at=None)
    with transaction.atomic():
        if not open_ones.update(resolved_at=clock.now()):
            return False
        if not quiet:
            closed = Alert.objects.filter(kind=kind, key=key).order_by("-pk")[0]
            outbox.tell(closed, events.RESOLVED, clock=clock)
    return True


def open_alerts() -> list[Alert]:
    """Return what is open, worst first, then newest; one query."""
    found = Alert.objects.filter(resolved_at=None).order_by("-last_at")[:500]
    return sorted(found, key=lambda alert: -_RANK[alert.severity])


def _again(
    kind: str, key: str, shown: dict[str, Any], *, now: datetime, clock: Clock
) -> bool:
    """Count an open alert up; tell the channels when it became worse."""
    found = Alert.objects.filter(kind=kind, key=key, resolved_at=None)
    alert = found.first()
    if alert is None:
        return False
    changes = {"last_at": now, **shown}
    is_worse = _RANK[shown["severity"]] > _RANK[alert.severity]
    if is_worse:
        # Whoever said "seen" has not seen this.
        changes |= {"acknowledged_at": None, "acknowledged_by": ""}
    with transaction.atomic():
        rows = found.filter(pk=alert.pk)
        if not rows.update(count=models.F("count") + 1, **changes):
            return False
        if is_worse:
            outbox.tell(rows.get(), events.ESCALATED, clock=clock)
    return True
