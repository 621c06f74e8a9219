"""Write corrections: the adjustments and what they change in the rollups, as one.

A part is one short transaction: the place reached moves in it, so that a worker that
dies leaves all of a part or nothing, and no part is written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from poolsite.jobs import JobCancelledError
from usage import bulk, corrections, ledger_sums
from usage.corrections import Correction, Corrections
from usage.cost_deltas import CostDeltas
from usage.dimensions import Dimensions
from usage.ledger_sums import Meaning
from usage.models import CostAdjustment, RecalculationRun
from usage.recalculation.choose import Row

FULL: Final = 400
"""Rows after which a part is written: with the last request's it stays below 500."""

_COLUMNS: Final = (
    "run", "request_id", "attempt_id", "at", "delta_nano_usd", "price_version_id",
    "is_undo", "created_at",
)  # fmt: skip


class Change(NamedTuple):
    """What is added to one attempt's cost, by which price."""

    delta_nano_usd: int
    version_id: int | None


def meaning() -> Meaning:
    """Return the numbers that decide what dashboards show."""
    return Meaning.of(Dimensions().resolve(ledger_sums.STRINGS))


class Part:
    """The corrections of some requests, ready to be written together."""

    def __init__(self, run: RecalculationRun, means: Meaning, *, is_undo: bool) -> None:
        self._run = run
        self._means = means
        self._is_undo = is_undo
        self._rows: list[tuple[datetime, UUID, UUID, Change]] = []
        self._deltas = CostDeltas()

    @property
    def count(self) -> int:
        """How many attempts are corrected."""
        return len(self._rows)

    @property
    def sum_nano_usd(self) -> int:
        """What is added in all."""
        return sum(row[-1].delta_nano_usd for row in self._rows)

    @property
    def is_full(self) -> bool:
        """Say whether it is time to write."""
        return len(self._rows) + len(self._deltas) >= FULL

    def add(
        self,
        asked: Row,
        tried: list[Row],
        known: Corrections,
        changes: Mapping[UUID, Change],
    ) -> None:
        """Add the changes of one request.

        Shapes:  ``tried`` are all its attempts, ``known`` their corrections so far,
                 which grow by these.
        """
        lacked = corrections.request_lacks_price(asked["unpriced"], tried, known)
        total = 0
        for row in tried:
            change = changes.get(row["id"])
            if change is None:
                continue
            total += change.delta_nano_usd
            self._add_attempt(asked, row, known, change)
        lacks = corrections.request_lacks_price(asked["unpriced"], tried, known)
        self._deltas.add_request(asked, total, lacks - lacked, self._means)

    def write(
        self, now: datetime, *, reached: Mapping[str, Any], was: Mapping[str, Any]
    ) -> None:
        """Write everything and move the run on, all or nothing.

        Shapes:  ``was`` are columns of the run as this worker left them, ``reached``
                 what they become.
        Errors:  JobCancelledError when another worker moved it meanwhile.
        """
        with transaction.atomic():
            moved = RecalculationRun.objects.filter(
                pk=self._run.pk, state=self._run.state, **was
            ).update(changed_at=now, **reached)
            if not moved:
                raise JobCancelledError
            bulk.insert(CostAdjustment._meta.db_table, _COLUMNS, self._values(now))
            self._deltas.apply()

    def _add_attempt(
        self, asked: Row, row: Row, known: Corrections, change: Change
    ) -> None:
        found = known.setdefault(row["id"], Correction())
        lacked = ledger_sums.lacks_price(row, found.cost(row["cost_nano_usd"]))
        found.add(change.delta_nano_usd, change.version_id, is_undo=self._is_undo)
        lacks = ledger_sums.lacks_price(row, found.cost(row["cost_nano_usd"]))
        self._deltas.add_attempt(
            asked, row, change.delta_nano_usd, lacks - lacked, self._means
        )
        self._rows.append((asked["at"], asked["id"], row["id"], change))

    def _values(self, now: datetime) -> list[tuple[Any, ...]]:
        adapt = connection.ops.adapt_datetimefield_value
        is_native = connection.features.has_native_uuid_field
        run: Any = self._run.key if is_native else self._run.key.hex
        written = adapt(now)
        return [
            (
                run,
                request if is_native else request.hex,
                attempt if is_native else attempt.hex,
                adapt(at),
                change.delta_nano_usd,
                change.version_id,
                self._is_undo,
                written,
            )
            for at, request, attempt, change in self._rows
        ]
