"""Write settled attempts and requests into the ledger, each exactly once.

One transaction holds the rows, their rollups, the budget windows and the cursor that
says how far the journal was read: a crash leaves all of it or nothing. Ids decide what
is new, so the same record in another batch, another segment or another process has no
effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, models, transaction

from usage import bulk, dimensions, ledger_rows, ledger_sums, rollups
from usage.dimensions import Dimensions
from usage.journal.reader import Position
from usage.journal.records import AttemptSettle, Settle
from usage.ledger_rows import Attempted, Requested, Row, moment
from usage.models import (
    Attempt,
    Budget,
    BudgetShare,
    BudgetWindow,
    JournalCursor,
    Request,
)

_CHUNK: Final = 500

Window = tuple[int, str]
"""A budget window: (budget id, window id)."""


class StalePositionError(Exception):
    """Somebody else moved the cursor: this batch was read from the wrong place."""


class Batch(NamedTuple):
    """A stretch of one journal directory.

    Shapes:  ``settles`` are the stretch's settles in order; ``start`` and ``end`` the
             positions before and behind it.
    """

    directory: str
    start: Position
    end: Position
    settles: Sequence[Settle]
    records: int = 0
    rejected: int = 0


class Written(NamedTuple):
    """What a batch added: rows that were new, and each budget window's growth."""

    requests: int
    attempts: int
    budgets: dict[Window, int]


def _no_check(step: str) -> None:
    """Do nothing; a test passes a function that kills the process instead."""


class Ledger:
    """Write batches; remembers the numbers of strings between them."""

    def __init__(self, *, check: Callable[[str], None] = _no_check) -> None:
        self._dimensions = Dimensions()
        self._check = check

    def write(
        self,
        batch: Batch,
        *,
        now: datetime,
        also: Callable[[], None] = lambda: None,
    ) -> Written:
        """Record one batch and move the cursor, all or nothing.

        Shapes:  ``also`` runs in the same transaction: what other floors keep of the
                 batch's records.
        Errors:  StalePositionError when the cursor is not at the batch's start;
                 Django's database errors, after which nothing was written.
        Cost:    see docs/operations.md; a batch of 200 stays under 50 ms on SQLite.
        """
        with transaction.atomic():
            cursor = _locked_cursor(batch, now)
            self._check("cursor locked")
            attempts, requests = _new_rows(batch.settles)
            numbers = self._dimensions.resolve(
                [*ledger_rows.strings(attempts, requests), *ledger_sums.STRINGS]
            )
            self._check("dimensions")
            attempt_rows = [ledger_rows.attempt_row(*a, numbers) for a in attempts]
            served = ledger_rows.served(attempts, requests, numbers)
            _insert(Attempt, attempt_rows)
            self._check("attempts")
            request_rows = [
                ledger_rows.request_row(*each, numbers, served) for each in requests
            ]
            _insert(Request, request_rows)
            self._check("requests")
            deltas = _deltas(attempts, attempt_rows, request_rows, numbers)
            rollups.apply(deltas)
            self._check("rollups")
            budgets = _spend(cursor, (attempt for _, attempt in attempts), now)
            self._check("budgets")
            also()
            _move(cursor, batch, now)
            self._check("cursor moved")
        self._check("committed")
        self._dimensions.remember(numbers)
        return Written(len(requests), len(attempts), budgets)


def position(directory: str) -> Position:
    """Return how far a journal directory was shipped; one query."""
    row = JournalCursor.objects.filter(directory=directory).first()
    return Position() if row is None else Position(int(row.segment), row.offset)


def shares(directory: str) -> dict[Window, int]:
    """Return what came through this journal, by budget window; one query."""
    rows = BudgetShare.objects.filter(cursor__directory=directory)
    values = rows.values_list("budget_id", "window_id", "spent_nano_usd")
    return {(budget, window): nano for budget, window, nano in values}


def forget(directory: str) -> None:
    """Drop the cursor of a directory that is gone, and its budget shares."""
    JournalCursor.objects.filter(directory=directory).delete()


def _locked_cursor(batch: Batch, now: datetime) -> JournalCursor:
    """Take the directory's cursor; no other transaction ships it meanwhile."""
    cursor = (
        JournalCursor.objects.select_for_update()
        .filter(directory=batch.directory)
        .first()
    )
    if cursor is None:
        cursor = JournalCursor(
            directory=batch.directory, segment="0", offset=0, updated_at=now
        )
        cursor.save(force_insert=True)
    if Position(int(cursor.segment), cursor.offset) != batch.start:
        raise StalePositionError(
            f"{batch.directory} was shipped to {cursor.segment}:{cursor.offset}, not "
            f"to {batch.start.segment}:{batch.start.offset}."
        )
    return cursor


def _move(cursor: JournalCursor, batch: Batch, now: datetime) -> None:
    cursor.segment = str(batch.end.segment)
    cursor.offset = batch.end.offset
    cursor.records += batch.records
    cursor.rejected += batch.rejected
    cursor.updated_at = now
    cursor.save()


def _new_rows(settles: Sequence[Settle]) -> tuple[list[Attempted], list[Requested]]:
    """Pick what the ledger does not hold yet, each id once."""
    attempts: dict[UUID, Attempted] = {}
    requests: dict[UUID, Requested] = {}
    times: list[int] = []
    for settle in settles:
        times.append(settle.head.at_ns)
        if settle.attempt is not None:
            key = UUID(settle.attempt.attempt_id)
            attempts.setdefault(key, (settle.head, settle.attempt))
        if settle.request is not None:
            key = UUID(settle.head.request_id)
            requests.setdefault(key, (settle.head, settle.request))
    if not times:
        return [], []
    span = (moment(min(times)), moment(max(times)))
    for known in _existing(Attempt, attempts, span):
        del attempts[known]
    for known in _existing(Request, requests, span):
        del requests[known]
    return list(attempts.values()), list(requests.values())


def _existing(
    model: type[Attempt | Request], ids: Iterable[UUID], span: tuple[datetime, datetime]
) -> list[UUID]:
    wanted = list(ids)
    found: list[UUID] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        rows = model._default_manager.filter(id__in=chunk, at__range=span)
        found.extend(rows.values_list("id", flat=True))
    return found


def _deltas(
    attempts: Sequence[Attempted],
    attempt_rows: Sequence[Row],
    request_rows: Sequence[Row],
    numbers: ledger_rows.Numbers,
) -> rollups.Deltas:
    deltas = rollups.Deltas()
    meaning = ledger_sums.Meaning.of(numbers)
    for (head, _), row in zip(attempts, attempt_rows, strict=True):
        asked = ledger_rows.head_columns(head, numbers)
        ledger_sums.add_attempt(deltas, asked, row, meaning)
    for row in request_rows:
        ledger_sums.add_request(deltas, row, meaning)
    return deltas


def _spend(
    cursor: JournalCursor, attempts: Iterable[AttemptSettle], now: datetime
) -> dict[Window, int]:
    """Add the attempts' costs to their budget windows and to this journal's shares.

    A budget that was deleted meanwhile is left out: its money stays in the ledger.
    """
    grown: dict[Window, int] = {}
    for attempt in attempts:
        for budget_id, window_id, nano in attempt.budget_deltas:
            key = (budget_id, dimensions.clean(window_id, 32))
            grown[key] = grown.get(key, 0) + nano
    if not grown:
        return {}
    ids = {budget_id for budget_id, _ in grown}
    living = set(Budget.objects.filter(pk__in=ids).values_list("pk", flat=True))
    grown = {key: nano for key, nano in sorted(grown.items()) if key[0] in living}
    at = connection.ops.adapt_datetimefield_value(now)
    _add(
        BudgetWindow,
        ("budget_id", "window_id"),
        ("spent_nano_usd", "updated_at"),
        [[*key, nano, at] for key, nano in grown.items()],
    )
    _add(
        BudgetShare,
        ("cursor_id", "budget_id", "window_id"),
        ("spent_nano_usd",),
        [[cursor.pk, *key, nano] for key, nano in grown.items()],
    )
    return grown


def _add(
    model: type[models.Model],
    keys: tuple[str, ...],
    values: tuple[str, ...],
    rows: list[list[Any]],
) -> None:
    """Add to the first value column of each key's row, replacing the others."""
    table, columns = model._meta.db_table, (*keys, *values)
    sums, *rest = values
    sets = [f"{sums} = {table}.{sums} + excluded.{sums}"]
    sets += [f"{name} = excluded.{name}" for name in rest]
    tail = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"
    bulk.insert(table, columns, rows, tail)


def _insert(model: type[models.Model], rows: list[Row]) -> None:
    """Insert rows given as dictionaries by column."""
    if not rows:
        return
    fields = [field for field in model._meta.concrete_fields if field.column]
    columns = [str(field.column) for field in fields]
    names = [field.attname for field in fields]
    adapt = connection.ops.adapt_datetimefield_value
    is_native = connection.features.has_native_uuid_field
    uuids = [] if is_native else _places(fields, models.UUIDField)
    moments = _places(fields, models.DateTimeField)
    pick = itemgetter(*names)
    values = []
    for row in rows:
        line = list(pick(row))
        for place in uuids:
            line[place] = line[place] and line[place].hex
        for place in moments:
            line[place] = adapt(line[place])
        values.append(line)
    bulk.insert(model._meta.db_table, columns, values)


def _places(fields: Sequence[Any], kind: type[models.Field[Any, Any]]) -> list[int]:
    return [place for place, field in enumerate(fields) if isinstance(field, kind)]
