"""Write down who did what, in the same transaction as the change.

Append only: each row carries a keyed digest over itself and the row before, so a
row edited or removed in the database is found by ``verify_chain``. A change whose
audit row cannot be written does not happen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction

from poolsite import alerts
from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from poolsite.delivery import outbox
from poolsite.models import AuditEvent

_CLOCK = SystemClock()
_HIDDEN = "••••"
_SECRET_WORDS = (
    "secret", "token", "password", "passphrase", "digest", "api_key", "private_key",
    "ciphertext", "authorization", "cookie", "credential",
)  # fmt: skip
_CLIENT_KEY = re.compile(r"pp_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")
# Any constant will do, as long as nothing else of the product locks it.
_CHAIN_LOCK = 7_302_841_005
_PAGE_ROWS = 200


@transaction.atomic
def record(  # noqa: PLR0913 - an event has this many parts
    actor: Actor,
    action: str,
    obj: models.Model | None = None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    result: str = "ok",
    clock: Clock = _CLOCK,
) -> AuditEvent:
    """Append one event.

    Shapes:  ``action`` is noun.verb (``provider.create``); ``before`` and ``after``
             hold the changed values only, and secrets in them are hidden here.
    Fails:   closed: an error rolls the caller's change back.
    Cost:    two queries inside the caller's transaction, three on PostgreSQL, where
             writers queue from here to the caller's commit.
    """
    _lock_chain()
    last = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first()
    event = AuditEvent(
        at=clock.now(),
        actor=actor.user,
        actor_label=actor.label[:254],
        source=actor.source,
        action=action,
        object_type=obj._meta.model_name or "" if obj is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        object_label=str(obj)[:254] if obj is not None else "",
        before=redact(before),
        after=redact(after),
        result=result,
        ip=actor.ip,
        prev_hash=last or "",
    )
    event.hash = _digest(event)
    event.save(force_insert=True)
    outbox.of_audit(event, getattr(obj, "slug", ""), clock=clock)
    return event


def redact(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a JSON-safe copy with everything that looks like a secret hidden."""
    if values is None:
        return None
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return {key: _hide(key, value) for key, value in plain.items()}


def verify_chain() -> int | None:
    """Return the id of the first event that does not fit the chain, else None.

    Cost: reads the whole table in slices.
    """
    previous = ""
    for event in AuditEvent.objects.order_by("id").iterator(chunk_size=1000):
        if event.prev_hash != previous or not hmac.compare_digest(
            event.hash, _digest(event)
        ):
            return event.pk
        previous = event.hash
    return None


def alert_on_broken_chain(*, clock: Clock = _CLOCK) -> int | None:
    """Verify the chain and raise or resolve its alert; return the first bad id."""
    broken = verify_chain()
    if broken is None:
        alerts.resolve("audit_chain", "chain", clock=clock)
        return None
    alerts.raise_alert(
        "audit_chain",
        "chain",
        severity="error",
        title="The audit trail was changed outside the product",
        detail=f"Event {broken} does not fit the one before it.",
        clock=clock,
    )
    return broken


def history_of(obj: models.Model, *, limit: int = _PAGE_ROWS) -> list[AuditEvent]:
    """Return what happened to one object, newest first; one query."""
    found = AuditEvent.objects.filter(
        object_type=obj._meta.model_name or "", object_id=str(obj.pk)
    )
    return list(found.select_related("actor").order_by("-id")[:limit])


def _lock_chain() -> None:
    """Let one writer at a time read the last hash and append after it.

    On SQLite the transaction, begun IMMEDIATE, is that lock already.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])


def _hide(key: str, value: Any) -> Any:
    """Hide text under a name that sounds secret, and client keys anywhere.

    Numbers stay: ``max_tokens`` sounds secret and is none.
    """
    if isinstance(value, dict):
        return {name: _hide(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hide(key, inner) for inner in value]
    if not isinstance(value, str) or not value:
        return value
    name = key.lower().replace("-", "_")
    if any(word in name for word in _SECRET_WORDS):
        return _HIDDEN
    return _CLIENT_KEY.sub(_HIDDEN, value)


def _digest(event: AuditEvent) -> str:
    parts = [
        event.prev_hash,
        event.at.isoformat(),
        event.actor_label,
        event.source,
        event.action,
        event.object_type,
        event.object_id,
        event.object_label,
        json.dumps(event.before, sort_keys=True),
        json.dumps(event.after, sort_keys=True),
        event.result,
        event.ip,
    ]
    text = "\x1f".join(parts).encode()
    key = hashlib.sha256(b"audit:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, text, hashlib.sha256).hexdigest()
