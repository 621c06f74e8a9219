"""Remove what is too old, a little at a time.

On PostgreSQL a day of the ledger goes with its partition; everywhere else rows go in
transactions of at most 500. Where those take long they become smaller, and between
them others have as much time to write as they took.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from time import sleep
from typing import Any, Final

from django.apps import apps
from django.db import models, transaction
from django.db.models import Q, QuerySet

from poolsite import version
from poolsite.clock import Clock, SystemClock
from poolsite.ids import first_at
from usage import partitions
from usage.models import Attempt, Request
from usage.retention.owners import OWNERS, Owner, Way
from usage.retention.selectors import days_of

_CLOCK: Final = SystemClock()
BATCH: Final = 500
SMALLEST: Final = 50
_SLOW_S: Final = 0.025
_FAST_S: Final = 0.010
LONGEST_S: Final = 45.0
"""A round ends after this long; the next one goes on."""

Removed = dict[str, int]


def run(*, clock: Clock = _CLOCK, longest_s: float = LONGEST_S) -> Removed:
    """Remove what is too old of every table; return the rows, or days, by table.

    Cost:  one query a table with nothing to remove; about 4 ms for each 500 rows on
           SQLite, nothing to speak of for a partition.
    """
    pace = _Pace(clock, longest_s)
    days = days_of()
    removed: Removed = {}
    for owner in OWNERS:
        keep = days[owner.table]
        if keep is None or not pace.goes_on():
            continue
        count = _sweep(owner, keep, clock, pace)
        if count:
            removed[owner.table] = count
    return removed


class _Pace:
    """How large the parts are, and when the round is over."""

    def __init__(self, clock: Clock, longest_s: float) -> None:
        self._clock = clock
        self._until = clock.monotonic() + longest_s
        self._begun = 0.0
        self.size = BATCH

    def goes_on(self) -> bool:
        return self._clock.monotonic() < self._until

    def begin(self) -> None:
        self._begun = self._clock.monotonic()

    def end(self) -> None:
        """Fit the next part to what this one took, and let others write."""
        took = self._clock.monotonic() - self._begun
        if took > _SLOW_S:
            self.size = max(SMALLEST, self.size // 2)
        elif took < _FAST_S:
            self.size = min(BATCH, self.size * 2)
        sleep(took)


def _sweep(owner: Owner, keep: int, clock: Clock, pace: _Pace) -> int:
    before = clock.now() - timedelta(days=keep)
    if owner.way is Way.TOMBSTONES:
        return version.prune_tombstones(older_than=timedelta(days=keep), clock=clock)
    if owner.way is Way.OLD_DAYS:
        return _sweep_days(owner.table, before.date(), pace)
    model: type[models.Model] = apps.get_model(owner.table)
    column = model._meta.get_field(owner.column.partition("__")[0])
    is_day = type(column) is models.DateField
    edge = before.date() if is_day else before
    count = 0
    for part in owner.parts:
        rows = model._default_manager.filter(**part, **{f"{owner.column}__lt": edge})
        if owner.spares:
            rows = rows.exclude(**owner.spares)
        count += _in_parts(rows.order_by(), pace)
    return count


def _sweep_days(table: str, first_kept: date, pace: _Pace) -> int:
    """Drop partitions that are older; then delete rows that are in none of them."""
    model = apps.get_model(table)
    dropped = partitions.drop_before(model._meta.db_table, first_kept)
    edge = datetime.combine(first_kept, time_of_day(), UTC)
    rows: QuerySet[Any]
    if model is Attempt:
        # Attempts have no index by time on SQLite, but their ids are times.
        old = Q(at__lt=edge, id__lt=first_at(edge))
        rows = Attempt.objects.filter(old).order_by("id")
    else:
        rows = Request.objects.filter(at__lt=edge).order_by("at", "id")
    return dropped + _in_parts(rows, pace, key="id", also={"at__lt": edge})


def _in_parts(
    rows: QuerySet[Any],
    pace: _Pace,
    *,
    key: str = "pk",
    also: dict[str, Any] | None = None,
) -> int:
    count = 0
    while pace.goes_on():
        asked = pace.size
        ids = list(rows.values_list(key, flat=True)[:asked])
        if not ids:
            break
        pace.begin()
        with transaction.atomic():
            some = rows.model._default_manager.filter(
                **{f"{key}__in": ids}, **(also or {})
            )
            count += some.delete()[0]
        pace.end()
        if len(ids) < asked:
            break
    return count
