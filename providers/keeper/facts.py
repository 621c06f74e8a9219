"""Keep what the data plane learned as rows: cooldowns, and what upstreams refuse.

Live state is in the workers' memory; a row is its durable copy, shown in the console
and given back to a worker that starts (``run/facts.json``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from poolsite import version
from poolsite.clock import Clock
from providers.keeper.spending import replace
from providers.models import ApiKey, Fact
from providers.routing.remembered import COOLDOWN_FACT as COOLDOWN
from providers.routing.remembered import FAILURES_FACT as FAILURES
from providers.routing.remembered import RECOVERY_FACT
from providers.routing.subjects import EVERYTHING
from providers.services.cooldowns import remember_end
from usage.journal import records
from usage.journal.records import Record

FILE: Final = "facts.json"
REFUSAL: Final = "refusal"
_TOLD: Final = (COOLDOWN, REFUSAL, RECOVERY_FACT)
_SWEEP_S: Final = 60.0
_QUIET: Final = timedelta(days=1)
_FAILURES_KEPT: Final = timedelta(days=7)
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
        self._sweep_at = 0.0

    def keep(self, found: Sequence[Record]) -> None:
        """Write facts as rows, inside the transaction that ships them.

        A later fact with the same kind and key replaces an earlier one.
        """
        latest = {
            (fact.kind[:24], fact.key[:_MAX_KEY]): fact
            for fact in found
            if isinstance(fact, records.Fact)
        }
        ended = _ended_at(key for kind, key in latest if kind == COOLDOWN)
        for (kind, key), fact in sorted(latest.items()):
            if kind != FAILURES:
                _keep(kind, key, fact, ended)
        for record in found:
            if isinstance(record, records.Fact) and record.kind == FAILURES:
                _add_failures(record)
        self._is_changed |= any(kind in _TOLD for kind, _ in latest)

    def write_file(self) -> bool:
        """Write what is still in force, if something changed; three queries."""
        # A person may have revived a key: that takes rows away and raises the version.
        now_at = version.current()
        is_due = self._clock.monotonic() >= self._sweep_at
        if not self._is_changed and now_at == self._version and not is_due:
            return False
        self._version = now_at
        self._is_changed = False
        self._sweep_at = self._clock.monotonic() + _SWEEP_S
        Fact.objects.filter(expires_at__lt=self._clock.now()).delete()
        rows = Fact.objects.filter(kind__in=_TOLD).order_by("-at", "pk")[:_MOST]
        content = [
            records.Fact(
                kind=row.kind,
                key=row.key,
                at_ns=row.payload.get("at_ns") or int(row.at.timestamp() * 1e9),
                payload=row.payload,
            )
            for row in reversed(rows)
        ]
        replace(self._path, msgspec.json.encode(content))
        return True


def _ended_at(keys: Iterable[str]) -> dict[str, int]:
    """Return when each of these subjects, or all of them, were last cleared."""
    wanted = [*keys]
    if not wanted:
        return {}
    rows = Fact.objects.filter(kind=RECOVERY_FACT, key__in=[*wanted, EVERYTHING])
    return {
        key: payload.get("at_ns", 0)
        for key, payload in rows.values_list("key", "payload")
    }


def _keep(kind: str, key: str, fact: records.Fact, ended: Mapping[str, int]) -> None:
    if kind == COOLDOWN:
        if max(ended.get(key, 0), ended.get(EVERYTHING, 0)) >= fact.at_ns:
            return  # it was cleared after this was written
        _mark_key(fact.payload)
        if fact.payload.get("until_s") is None:
            Fact.objects.filter(kind=kind, key=key).delete()
            remember_end(key, fact.at_ns)
            return
    until: float | None = fact.payload.get("until_s")
    Fact.objects.update_or_create(
        kind=kind,
        key=key,
        defaults={
            "payload": fact.payload,
            "at": _moment(fact.at_ns / 1e9),
            "expires_at": None if until is None else _moment(until),
        },
    )


def _add_failures(fact: records.Fact) -> None:
    """Add what a model failed to its sums, which begin anew after a quiet day."""
    at = _moment(fact.at_ns / 1e9)
    row = Fact.objects.select_for_update().filter(kind=FAILURES, key=fact.key).first()
    if row is None:
        row = Fact(kind=FAILURES, key=fact.key, at=at)
    counts: dict[str, int] = {}
    if "since_s" in row.payload and at - row.at < _QUIET:
        counts = dict(row.payload.get("counts", {}))
    else:
        row.payload = {"since_s": fact.at_ns / 1e9}
    for kind, number in fact.payload.get("counts", {}).items():
        counts[kind] = counts.get(kind, 0) + number
    row.payload = {**row.payload, **fact.payload, "counts": counts}
    row.at = max(at, row.at)
    row.expires_at = row.at + _FAILURES_KEPT
    row.save()


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
