"""Name what a channel may be told, and translate the audit trail into it."""

from __future__ import annotations

from typing import Any, Final

from poolsite.models import AuditEvent

OPENED: Final = "alert.opened"
ESCALATED: Final = "alert.escalated"
RESOLVED: Final = "alert.resolved"
STATUS_CHANGED: Final = "provider.status_changed"
CREDENTIAL_CHANGED: Final = "credential.status_changed"
FAILOVER: Final = "request.failover"
DIGEST: Final = "digest"
TEST: Final = "test"

WORDS: Final[dict[str, str]] = {
    OPENED: "An alert was raised",
    ESCALATED: "An open alert became worse",
    RESOLVED: "An alert is over",
    "provider.created": "A provider was added",
    "provider.updated": "A provider was changed",
    "provider.removed": "A provider was removed",
    "provider.enabled": "A provider was switched on",
    "provider.disabled": "A provider was switched off",
    "provider.test_failed": "A provider's test failed",
    STATUS_CHANGED: "A provider's state changed",
    CREDENTIAL_CHANGED: "A credential's state changed",
    FAILOVER: "Requests went on to another provider",
}
NAMES: Final = tuple(WORDS)
ALERTS: Final = (OPENED, ESCALATED, RESOLVED)

_OF_ACTION: Final = {
    "provider.create": "provider.created",
    "provider.update": "provider.updated",
    "provider.remove": "provider.removed",
    "provider.enable": "provider.enabled",
    "provider.disable": "provider.disabled",
}


def of_audit(event: AuditEvent) -> str:
    """Return the event a line of the audit trail is news of, blank for none."""
    if event.action == "provider.test":
        return "" if event.result == "ok" else "provider.test_failed"
    return _OF_ACTION.get(event.action, "")


def facts_of(event: AuditEvent, slug: str) -> dict[str, Any]:
    """Say who did it to what: the names of what changed, never the values."""
    return {
        "provider": slug,
        "name": event.object_label,
        "by": event.actor_label,
        "source": event.source,
        "changed": sorted({**(event.before or {}), **(event.after or {})}),
        "result": event.result,
    }
