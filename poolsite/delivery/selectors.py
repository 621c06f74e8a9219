"""Read alerts, channels and deliveries, as screens, API and commands show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, QuerySet

from poolsite import alerts
from poolsite.delivery.messages import alert_data
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.models import Alert

LISTED: Final = 50
MOST: Final = 500
_RANK: Final = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class OpenAlerts:
    """What is open, worst first; ``total`` counts also what is not listed."""

    rows: list[Alert]
    total: int


def open_now() -> OpenAlerts:
    """Return the open alerts, worst first, then newest; two queries at most."""
    found = alerts.open_alerts()
    total = len(found)
    if total >= MOST:
        total = Alert.objects.filter(resolved_at=None).count()
    return OpenAlerts(found[: 2 * LISTED], total)


def history() -> list[Alert]:
    """Return the alerts that ended last; one query."""
    ended = Alert.objects.exclude(resolved_at=None)
    return list(ended.order_by("-resolved_at", "-pk")[:LISTED])


def channels() -> QuerySet[AlertChannel]:
    """Return the channels by name, each with how many lines wait for it."""
    return AlertChannel.objects.annotate(waiting=Count("news")).order_by("name")


def deliveries(channel: AlertChannel | None = None) -> list[AlertDelivery]:
    """Return the newest messages, of one channel or all; one query."""
    rows = AlertDelivery.objects.select_related("channel").order_by("-pk")
    if channel is not None:
        rows = rows.filter(channel=channel)
    return list(rows[:LISTED])


def alert_table(*, resolved: bool = False) -> list[dict[str, Any]]:
    """Return open or ended alerts as data."""
    rows = history() if resolved else open_now().rows
    return [alert_data(row) for row in rows]


def channel_data(row: AlertChannel) -> dict[str, Any]:
    """Return a channel without its secrets: of the URL only the origin."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "enabled": row.enabled,
        "origin": row.target_origin or None,
        "addresses": row.addresses,
        "events": row.events,
        "least_severity": row.least_severity,
        "digest_s": row.digest_s,
        "delivered_at": row.delivered_at,
        "last_error": row.last_error,
    }


def delivery_data(row: AlertDelivery) -> dict[str, Any]:
    """Return a message as data, without what it says."""
    return {
        "id": row.pk,
        "event_id": str(row.event_id),
        "channel": row.channel.name,
        "event": row.event,
        "lines": row.lines,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "due_at": row.due_at if row.state == AlertDelivery.State.WAITING else None,
        "ended_at": row.ended_at,
        "last_error": row.last_error,
    }
