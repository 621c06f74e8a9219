"""Write messages: one JSON shape for webhooks, plain text for mail."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django.conf import settings

from poolsite.delivery import events
from poolsite.delivery.rows import AlertNews
from poolsite.models import Alert

VERSION: Final = 1
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_LONGEST_SUBJECT: Final = 150


def envelope(
    event: str, event_id: str, at: datetime, data: dict[str, Any]
) -> dict[str, Any]:
    """Return what a webhook is sent; also what a mail is written from."""
    return {
        "version": VERSION,
        "event": event,
        "id": event_id,
        "at": at.isoformat(),
        "pool": settings.CONFIG.effective_public_url,
        "data": data,
    }


def line_of(row: AlertNews, alert: Alert | None) -> dict[str, Any]:
    """Return one line of a digest, with the alert as it stands now."""
    shown: dict[str, Any] = {
        "event": row.event,
        "count": row.count,
        "since": row.first_at.isoformat(),
        "at": row.last_at.isoformat(),
        "data": row.data,
    }
    if alert is not None:
        shown["count"] = alert.count
        shown["data"] = alert_data(alert)
    return shown


def alert_data(alert: Alert) -> dict[str, Any]:
    """Return an alert as the API and webhooks show it."""
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "key": alert.key,
        "severity": alert.severity,
        "title": alert.title,
        "detail": alert.detail,
        "link": alert.link,
        "count": alert.count,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "acknowledged_at": _iso(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "resolved_at": _iso(alert.resolved_at),
    }


def subject(body: dict[str, Any]) -> str:
    """Return a mail's subject: the first line, and how many more there are."""
    if body["event"] == events.TEST:
        return "[Provider Pool] Test message"
    data = body["data"]
    rest = len(data["events"]) - 1 + sum(data["more"].values())
    first = _headline(data["events"][0])
    more = f" and {rest} more" if rest else ""
    return f"[Provider Pool] {first[:_LONGEST_SUBJECT]}{more}"


def text(body: dict[str, Any]) -> str:
    """Return a mail's text."""
    data, pool = body["data"], body["pool"]
    if body["event"] == events.TEST:
        parts = [data["message"]]
    else:
        parts = [_paragraph(each, pool) for each in data["events"]]
        parts += [
            f"{count} more: {events.WORDS.get(name, name)}."
            for name, count in data["more"].items()
        ]
        if data["untold"]:
            parts.append(
                f"{data['untold']} older lines were dropped while nothing could be "
                "delivered."
            )
        parts.append(f"Open alerts: {data['open_alerts']}.")
    return "\n\n".join([*parts, f"{pool}/settings/alerts/"]) + "\n"


def _headline(line: dict[str, Any]) -> str:
    data = line["data"]
    word = {events.RESOLVED: "Over: ", events.ESCALATED: "Worse: "}
    if "title" in data:
        return one_line(word.get(line["event"], "") + str(data["title"]))
    about = data.get("name") or data.get("provider") or data.get("from") or ""
    if line["event"] == events.FAILOVER:
        about = f"{data['from']} to {data['to']}"
    return one_line(f"{events.WORDS.get(line['event'], line['event'])}: {about}")


def _paragraph(line: dict[str, Any], pool: str) -> str:
    data, count = line["data"], line["count"]
    lines = [_headline(line) + (f" (x{count:,})" if count > 1 else "")]
    if data.get("detail"):
        lines.append(one_line(str(data["detail"])))
    if "before" in data and "after" in data:
        lines.append(one_line(f"{data['before'] or 'unknown'} -> {data['after']}"))
    if data.get("by"):
        lines.append(one_line(f"By {data['by']}"))
    if data.get("link"):
        lines.append(one_line(f"{pool}{data['link']}"))
    return "\n".join(lines)


def one_line(value: str) -> str:
    """Return text without what could break a line or turn its direction."""
    return " ".join(_CONTROLS.sub(" ", value).split())


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
