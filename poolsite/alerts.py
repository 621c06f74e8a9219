"""Keep what needs a person's attention: raised many times, listed once.

This is the port. Every app raises and resolves here, and the rows are what the
console lists. Sending them on (mail, webhook) is not built yet: nothing leaves the
product from here.
"""

from __future__ import annotations

from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F

from poolsite.clock import Clock, SystemClock
from poolsite.models import Alert

_CLOCK: Final = SystemClock()


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
    Cost:   one update while it is open, one insert when it is new.
    """
    now = clock.now()
    shown = {
        "severity": severity,
        "title": title[:200],
        "detail": detail[:500],
        "link": link[:200],
    }
    if _again(kind, key, shown, now=now):
        return False
    try:
        with transaction.atomic():
            Alert.objects.create(kind=kind, key=key, first_at=now, last_at=now, **shown)
    except IntegrityError:
        # Somebody else raised it between the two statements.
        _again(kind, key, shown, now=now)
        return False
    return True


def resolve(kind: str, key: str, *, clock: Clock = _CLOCK) -> bool:
    """Say that it is over; return whether an open alert was closed."""
    open_ones = Alert.objects.filter(kind=kind, key=key, resolved_at=None)
    return bool(open_ones.update(resolved_at=clock.now()))


def open_alerts() -> list[Alert]:
    """Return what is open, worst first, then newest; one query."""
    order = {
        Alert.Severity.ERROR: 0,
        Alert.Severity.WARNING: 1,
        Alert.Severity.INFO: 2,
    }
    found = Alert.objects.filter(resolved_at=None).order_by("-last_at")[:500]
    return sorted(found, key=lambda alert: order[Alert.Severity(alert.severity)])


def _again(kind: str, key: str, shown: dict[str, str], *, now: object) -> bool:
    found = Alert.objects.filter(kind=kind, key=key, resolved_at=None)
    return bool(found.update(count=F("count") + 1, last_at=now, **shown))
