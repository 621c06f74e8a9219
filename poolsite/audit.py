"""Write down who did what, in the same transaction as the change.

Append only: each row carries a keyed digest over itself and the row before, so a
row edited or removed in the database is found by ``verify_chain``. A change whose
audit row cannot be written does not happen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from django.conf import settings
from django.db import models, transaction

from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from poolsite.models import AuditEvent

_CLOCK = SystemClock()
_HIDDEN = "••••"
_SECRET_WORDS = ("secret", "token", "password", "digest", "api_key", "ciphertext")


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
    Cost:    two queries inside the caller's transaction.
    """
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


def _hide(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hide(name, inner) for name, inner in value.items()}
    if any(word in key.lower() for word in _SECRET_WORDS) and value:
        return _HIDDEN
    return value


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
