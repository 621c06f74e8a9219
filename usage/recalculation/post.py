"""Write corrections and add them to the rollups, so that a dead worker doubles nothing.

Adjustments go first, in short transactions that also move the run's place in the
ledger. What they change in the rollups is collected meanwhile, because thousands of
them share a few rows, and follows in transactions that move a second place. Whatever
is between the two places after a crash is worked out again from the adjustments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Max

from poolsite.jobs import JobCancelledError, JobHandle
from usage import bulk, corrections, cost_deltas, ledger_sums
from usage.corrections import Correction, Corrections
from usage.cost_deltas import CostDeltas
from usage.dimensions import Dimensions
from usage.ledger_sums import Meaning
from usage.models import CostAdjustment, RecalculationRun
from usage.recalculation import choose
from usage.recalculation.choose import Row, Span

FULL: Final = 400
"""Rows after which a transaction is due: with one more request it stays below 500."""
BATCH: Final = 8_000
"""Adjustments after which the rollups follow; a stop waits for that, half a second."""

_COLUMNS: Final = (
    "run", "request_id", "attempt_id", "at", "delta_nano_usd", "price_version_id",
    "is_undo", "created_at",
)  # fmt: skip


class Change(NamedTuple):
    """What is added to one attempt's cost, by which price."""

    delta_nano_usd: int
    version_id: int | None
    is_undo: bool = False


class Written(NamedTuple):
    """One adjustment to be written."""

    at: datetime
    request_id: UUID
    attempt_id: UUID
    change: Change


class Writer:
    """Writes the corrections of one run, in the order they come."""

    def __init__(self, handle: JobHandle, run: RecalculationRun) -> None:
        self._handle = handle
        self._run = run
        self._means = Meaning.of(Dimensions().resolve(ledger_sums.STRINGS))
        self._rows: list[Written] = []
        self._deltas = CostDeltas()
        self._behind = 0

    @property
    def count(self) -> int:
        """How many adjustments wait to be written."""
        return len(self._rows)

    @property
    def sum_nano_usd(self) -> int:
        """What they add."""
        return sum(row.change.delta_nano_usd for row in self._rows)

    @property
    def is_full(self) -> bool:
        """Say whether it is time to write."""
        return len(self._rows) >= FULL

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
        _collect(self._deltas, asked, tried, known, changes, self._means)
        self._rows.extend(
            Written(asked["at"], asked["id"], attempt, change)
            for attempt, change in changes.items()
        )

    def write(self, *, was: Mapping[str, Any], reached: Mapping[str, Any]) -> None:
        """Write the adjustments and move the run's place; then, at times, the rollups.

        Shapes:  ``was`` are columns of the run as this worker left them, ``reached``
                 what they become.
        Errors:  JobCancelledError when another worker moved it meanwhile.
        """
        with transaction.atomic():
            self._move(was, reached)
            bulk.insert(CostAdjustment._meta.db_table, _COLUMNS, self._values())
        self._behind += len(self._rows)
        self._rows = []
        if self._behind >= BATCH:
            self.roll()

    def recover(self) -> None:
        """Add to the rollups what a worker wrote that ended before it could."""
        run = self._run
        if run.rolling_to > run.rolled_to:
            deltas = _deltas_of(run, run.rolled_to, run.rolling_to, self._means)
            self._roll(deltas, skip=run.rolled_rows)
        top = self._top()
        if top > run.rolled_to:
            self._begin_rolling(top)
            self._roll(_deltas_of(run, run.rolled_to, top, self._means))

    def roll(self) -> None:
        """Add to the rollups what was written since the last time."""
        if not self._behind:
            return
        self._begin_rolling(self._top())
        self._roll(self._deltas)
        self._deltas, self._behind = CostDeltas(), 0

    def roll_on_the_way_out(self) -> None:
        """Do so also when the work stops, so that totals agree with what was written.

        Work that another worker took over is left to it.
        """
        with suppress(JobCancelledError):
            self.roll()

    def _top(self) -> int:
        rows = CostAdjustment.objects.filter(run=self._run.key)
        return int(rows.aggregate(top=Max("pk"))["top"] or 0)

    def _begin_rolling(self, top: int) -> None:
        self._move({"rolled_to": self._run.rolled_to}, {"rolling_to": top})
        self._run.rolling_to = top

    def _roll(self, deltas: CostDeltas, skip: int = 0) -> None:
        writes, done = deltas.writes(), skip
        while done < len(writes):
            part = writes[done : done + FULL]
            with transaction.atomic():
                self._move(
                    {"rolled_rows": done}, {"rolled_rows": F("rolled_rows") + len(part)}
                )
                cost_deltas.run(part)
            done += len(part)
        self._move(
            {"rolled_rows": done}, {"rolled_to": self._run.rolling_to, "rolled_rows": 0}
        )
        self._run.rolled_to, self._run.rolled_rows = self._run.rolling_to, 0

    def _move(self, was: Mapping[str, Any], reached: Mapping[str, Any]) -> None:
        moved = RecalculationRun.objects.filter(
            pk=self._run.pk, state=self._run.state, job_id=self._handle.id, **was
        ).update(changed_at=self._handle.clock.now(), **reached)
        if not moved:
            raise JobCancelledError

    def _values(self) -> list[tuple[Any, ...]]:
        adapt = bulk.moment
        is_native = connection.features.has_native_uuid_field
        run: Any = self._run.key if is_native else self._run.key.hex
        written = adapt(self._handle.clock.now())
        return [
            (
                run,
                row.request_id if is_native else row.request_id.hex,
                row.attempt_id if is_native else row.attempt_id.hex,
                adapt(row.at),
                *row.change,
                written,
            )
            for row in self._rows
        ]


def _collect(  # one change, everything it is worked out from
    deltas: CostDeltas,
    asked: Row,
    tried: list[Row],
    known: Corrections,
    changes: Mapping[UUID, Change],
    means: Meaning,
) -> None:
    """Add what the changes of one request do to the rollups."""
    lacked = corrections.request_lacks_price(asked["unpriced"], tried, known)
    total = 0
    for row in tried:
        change = changes.get(row["id"])
        if change is None:
            continue
        delta = change.delta_nano_usd
        total += delta
        found = known.get(row["id"])
        if found is None:
            found = known[row["id"]] = Correction()
        settled = row["cost_nano_usd"]
        lacked_own = ledger_sums.lacks_price(row, found.cost(settled))
        found.add(delta, change.version_id, is_undo=change.is_undo)
        lacks_own = ledger_sums.lacks_price(row, found.cost(settled))
        deltas.add_attempt(asked, row, delta, lacks_own - lacked_own, means)
    lacks = corrections.request_lacks_price(asked["unpriced"], tried, known)
    deltas.add_request(asked, total, lacks - lacked, means)


def _deltas_of(
    run: RecalculationRun, after: int, top: int, means: Meaning
) -> CostDeltas:
    """Work out again what some adjustments of a run change in the rollups."""
    deltas = CostDeltas()
    rows = CostAdjustment.objects.filter(run=run.key, pk__gt=after, pk__lte=top)
    names = ("request_id", "attempt_id", "at", "delta_nano_usd")
    written = list(rows.order_by("pk").values(*names, "price_version_id", "is_undo"))
    by_request: dict[UUID, dict[UUID, Change]] = {}
    for row in written:
        by_request.setdefault(row["request_id"], {})[row["attempt_id"]] = Change(
            row["delta_nano_usd"], row["price_version_id"], row["is_undo"]
        )
    ids = list(by_request)
    for start in range(0, len(ids), choose.SLICE):
        part = ids[start : start + choose.SLICE]
        for asked, tried, known in requests_of(part, written, up_to=after):
            _collect(deltas, asked, tried, known, by_request[asked["id"]], means)
    return deltas


def requests_of(
    ids: list[UUID], written: Iterable[Row], *, up_to: int | None = None
) -> list[tuple[Row, list[Row], Corrections]]:
    """Return the requests of some adjustments with attempts and corrections."""
    wanted = set(ids)
    times = [row["at"] for row in written if row["request_id"] in wanted]
    asked = choose.asked_by_id(ids, Span(min(times), max(times)))
    found = choose.slice_of(asked, up_to=up_to)
    return [(each, found.tried[each["id"]], found.corrections) for each in asked]
