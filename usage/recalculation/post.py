"""Write corrections and add them to the rollups, so that a dead worker doubles nothing.

Adjustments go first, in short transactions that also move the run's place in the
ledger. What they change in the rollups is collected meanwhile, because thousands of
them share a few rows, and follows in transactions that move a second place. Whatever
is between the two places after a crash is worked out again from the adjustments.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import F, Max

from poolsite.job_handle import JobCancelledError, JobHandle
from usage import bulk, corrections, cost_deltas, ledger_sums
from usage.corrections import Correction
from usage.cost_deltas import Asked, CostDeltas, Part
from usage.dimensions import Dimensions
from usage.ledger_rows import TOKENS
from usage.ledger_sums import Meaning
from usage.models import CostAdjustment, RecalculationRun
from usage.recalculation import choose
from usage.recalculation.choose import Corrections, Key, Row

FULL: Final = 400
"""Rows after which a transaction is due: with one more request it stays below 500."""
BATCH: Final = 8_000
"""Adjustments after which the rollups follow; a stop waits for that, half a second."""

_SERVED: Final = slice(choose.PROVIDER, choose.CREDENTIAL + 1)
_TOKENS: Final = tuple(choose.TRIED.index(name) for name in TOKENS)
_COLUMNS: Final = (
    "run", "request_id", "attempt_id", "at", "delta_nano_usd", "price_version_id",
    "is_undo", "created_at",
)  # fmt: skip


class Change(NamedTuple):
    """What is added to one attempt's cost, by which price."""

    delta_nano_usd: int
    version_id: int | None
    is_undo: bool = False


class Writer:
    """Writes the corrections of one run, in the order they come."""

    def __init__(self, handle: JobHandle, run: RecalculationRun) -> None:
        self._handle = handle
        self._run = run
        self._means = Meaning.of(Dimensions().resolve(ledger_sums.STRINGS))
        self._key = bulk.key(run.key)
        self._rows: list[tuple[Any, ...]] = []
        self._deltas = CostDeltas()
        self.sum_nano_usd = 0
        self._behind = 0

    @property
    def count(self) -> int:
        """How many adjustments wait to be written."""
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        """Say whether it is time to write."""
        return len(self._rows) >= FULL

    def add(
        self,
        asked: Row,
        tried: list[Row],
        known: Corrections,
        changes: Mapping[Key, Change],
    ) -> None:
        """Add the changes of one request.

        Shapes:  ``tried`` are all its attempts, ``known`` their corrections so far,
                 which grow by these.
        """
        _collect(self._deltas, asked, tried, known, changes, self._means)
        at, request = asked[:2]
        for attempt, change in changes.items():
            self._rows.append((self._key, request, attempt, at, *change))
            self.sum_nano_usd += change[0]

    def write(self, *, was: Mapping[str, Any], reached: Mapping[str, Any]) -> None:
        """Write the adjustments and move the run's place; then, at times, the rollups.

        Shapes:  ``was`` are columns of the run as this worker left them, ``reached``
                 what they become.
        Errors:  JobCancelledError when another worker moved it meanwhile.
        """
        with transaction.atomic():
            self._move(was, reached)
            made = (bulk.moment(self._handle.clock.now()),)
            rows = [row + made for row in self._rows]
            bulk.insert(CostAdjustment._meta.db_table, _COLUMNS, rows)
        self._behind += len(self._rows)
        self._rows, self.sum_nano_usd = [], 0
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


def _collect(  # one change, everything it is worked out from
    deltas: CostDeltas,
    asked: Row,
    tried: list[Row],
    known: Corrections,
    changes: Mapping[Key, Change],
    means: Meaning,
) -> None:
    """Add what the changes of one request do to the rollups."""
    lacked = asked[choose.UNPRICED] and _lacks_price(tried, known)
    total = 0
    parts: list[Part] = []
    for row in tried:
        change = changes.get(row[choose.ATTEMPT])
        if change is None:
            continue
        delta, version_id, is_undo = change
        total += delta
        found = known.get(row[choose.ATTEMPT])
        if found is None:
            found = known[row[choose.ATTEMPT]] = Correction()
        stood = bool(found.standing)
        found.add(delta, version_id, is_undo=is_undo)
        change_of_lack = 0
        if stood != bool(found.standing) and _was_unknown(row):
            change_of_lack = 1 if stood else -1
        parts.append((row[_SERVED], delta, change_of_lack))
    lacks = asked[choose.UNPRICED] and _lacks_price(tried, known)
    deltas.add(Asked(asked, means), parts, total, lacks - lacked)


def _lacks_price(tried: list[Row], known: Corrections) -> bool:
    parts = ((row[choose.ATTEMPT], _was_unknown(row)) for row in tried)
    return corrections.parts_lack_price(parts, known)


def _was_unknown(row: Row) -> bool:
    """Tell an attempt that used tokens and was settled without a cost."""
    return row[choose.SETTLED] is None and any(
        row[place] is not None for place in _TOKENS
    )


def _deltas_of(
    run: RecalculationRun, after: int, top: int, means: Meaning
) -> CostDeltas:
    """Work out again what some adjustments of a run change in the rollups."""
    deltas, rows = CostDeltas(), choose.written(bulk.key(run.key), after, top)
    for start in range(0, len(rows), choose.SLICE):
        part = rows[start : start + choose.SLICE]
        for found in requests_of(part, up_to=after):
            _collect(deltas, *found, means)
    return deltas


def requests_of(
    rows: list[Row], *, up_to: int | None = None
) -> list[tuple[Row, list[Row], Corrections, dict[Key, Change]]]:
    """Return the requests of some adjustments, their attempts, corrections, changes.

    Shapes:  rows as ``choose.written`` gives them, in the order of time. What retention
             deleted is left out: no rollup can be found without it.
    """
    changes: dict[Key, dict[Key, Change]] = {}
    for _, request, attempt, _, delta, version_id, is_undo in rows:
        one = changes.setdefault(request, {})
        one[attempt] = Change(delta, version_id, bool(is_undo))
    times = [row[3] for row in rows]
    asked = choose.asked_by_id(list(changes), min(times), max(times))
    if not asked:
        return []
    found = choose.slice_of(asked, up_to=up_to)
    left = []
    for each in asked:
        tried = found.tried.get(each[choose.ID], [])
        here = {row[choose.ATTEMPT] for row in tried}
        known = changes[each[choose.ID]]
        kept = {key: change for key, change in known.items() if key in here}
        if kept:
            left.append((each, tried, found.corrections, kept))
    return left
