"""Keep what the data plane learned as rows: cooldowns, and what upstreams refuse.

Live state is in the workers' memory; a row is its durable copy, shown in the console
and given back to a worker that starts (``run/facts.json``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from poolsite import version
from poolsite.clock import Clock
from providers.keeper.spending import replace
from providers.models import ApiKey, Fact
from usage.journal import records
from usage.journal.records import Record

FILE: Final = "facts.json"
COOLDOWN: Final = "cooldown"
REFUSAL: Final = "refusal"
_NEEDS_PERSON: Final = ("auth", "unreadable")
_MAX_KEY: Final = 250
_MOST: Final = 10_000


class Facts:
    """The sink of facts, and the file that gives them back."""

    def __init__(self, run: Path, clock: Clock) -> None:
        self._path = run / FILE
        self._clock = clock
        self._is_changed = True
        self._version = -1

    def keep(self, found: Sequence[Record]) -> None:
        """Write facts as rows, inside the transaction that ships them.

        A later fact with the same kind and key replaces an earlier one.
        """
        latest = {
            (fact.kind[:24], fact.key[:_MAX_KEY]): fact
            for fact in found
            if isinstance(fact, records.Fact)
        }
        for (kind, key), fact in sorted(latest.items()):
            _keep(kind, key, fact)
        self._is_changed = self._is_changed or bool(latest)

    def write_file(self) -> bool:
        """Write what is still in force, if something changed; three queries."""
        # A person may have revived a key: that takes rows away and raises the version.
        now_at = version.current()
        if not self._is_changed and now_at == self._version:
            return False
        self._version = now_at
        self._is_changed = False
        Fact.objects.filter(expires_at__lt=self._clock.now()).delete()
        rows = Fact.objects.filter(kind__in=(COOLDOWN, REFUSAL)).order_by("at")[:_MOST]
        content = [
            records.Fact(
                kind=row.kind,
                key=row.key,
                at_ns=int(row.at.timestamp() * 1e9),
                payload=row.payload,
            )
            for row in rows
        ]
        replace(self._path, msgspec.json.encode(content))
        return True


def _keep(kind: str, key: str, fact: records.Fact) -> None:
    until: float | None = fact.payload.get("until_s")
    if kind == COOLDOWN:
        _mark_key(fact.payload)
        if until is None:
            Fact.objects.filter(kind=kind, key=key).delete()
            return
    Fact.objects.update_or_create(
        kind=kind,
        key=key,
        defaults={
            "payload": fact.payload,
            "at": _moment(fact.at_ns / 1e9),
            "expires_at": None if until is None else _moment(until),
        },
    )


def _mark_key(payload: dict[str, Any]) -> None:
    """Show on an API key that it needs a person, or that it works again."""
    key_id = payload.get("credential_id")
    if payload.get("credential_kind") != "api_key" or not isinstance(key_id, int):
        return
    rows = ApiKey.objects.filter(pk=key_id)
    if payload.get("until_s") is None:
        rows.filter(state=ApiKey.State.NEEDS_ATTENTION).update(
            state=ApiKey.State.OK, last_error=""
        )
    elif payload.get("reason") in _NEEDS_PERSON:
        rows.filter(state=ApiKey.State.OK).update(
            state=ApiKey.State.NEEDS_ATTENTION,
            last_error=f"The provider refused this key ({payload['reason']}).",
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
