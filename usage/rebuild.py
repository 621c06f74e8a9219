"""Make the rollups of some days anew from the ledger's rows.

For a repair, and as the proof that what grew record by record is what the rows say:
both go through the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final

from django.db import transaction

from usage import corrections, ledger_sums, rollups
from usage.corrections import Corrections
from usage.dimensions import Dimensions
from usage.ledger_sums import Meaning
from usage.models import (
    Attempt,
    CostAdjustment,
    RecalculationRun,
    Request,
    Rollup15,
    RollupCube,
    RollupDay,
)
from usage.services import UsageError

State = RecalculationRun.State
_WROTE_NOTHING: Final = (State.COUNTING, State.DROPPED, State.READY)
_WRITING: Final = (State.APPLYING, State.UNDOING)
_CHUNK: Final = 500
_ASKED: Final = (
    "id", "at", "purpose_dim", "client_key_id", "team_id", "model_asked_dim",
    "session_dim", "agent_dim", "end_user_dim",
)  # fmt: skip
Row = dict[str, Any]


def require_rolled(first: date, last: date) -> None:
    """Make sure that no correction of some days waits to be added to the rollups.

    Errors:  UsageError naming the recalculation: made anew now, the rollups would have
             what waits, and get it once more when it goes on.
    """
    begin, end = _moment(first), _moment(last) + timedelta(days=1)
    runs = RecalculationRun.objects.filter(since__lt=end, until__gt=begin)
    for run in runs.exclude(state__in=_WROTE_NOTHING).defer("prices", "found"):
        rows = CostAdjustment.objects.filter(run=run.key, pk__gt=run.rolled_to)
        if run.state in _WRITING or rows.exists():
            raise UsageError(
                f"Recalculation {run.pk} changes these days and is not through: "
                "let it end, or stop it, first."
            )


@transaction.atomic
def rebuild_day(day: date) -> int:
    """Replace one UTC day's rollups; return how many attempts they are made of.

    Errors:  UsageError while a recalculation changes the day, as ``require_rolled``.
    Cost:  about 40 us an attempt, in one transaction: run it while the pool is quiet.
    """
    require_rolled(day, day)
    begin = _moment(day)
    span = {"at__gte": begin, "at__lt": begin + timedelta(days=1)}
    meaning = Meaning.of(Dimensions().resolve(ledger_sums.STRINGS))
    deltas = rollups.Deltas()
    asked: dict[Any, Row] = {}
    for row in _requests(span):
        asked[row["id"]] = {name: row[name] for name in _ASKED}
        ledger_sums.add_request(deltas, row, meaning)
    count = 0
    for chunk in _chunks(_rows(Attempt, span)):
        known = corrections.of_requests({row["request_id"] for row in chunk})
        for row in chunk:
            owner = asked.get(row["request_id"])
            if owner is None:
                continue  # its request is still running
            if row["id"] in known:
                row["cost_nano_usd"] = known[row["id"]].cost(row["cost_nano_usd"])
            ledger_sums.add_attempt(deltas, owner, row, meaning)
            count += 1
    Rollup15.objects.filter(
        bucket__gte=begin, bucket__lt=begin + timedelta(days=1)
    ).delete()
    RollupDay.objects.filter(bucket=day).delete()
    RollupCube.objects.filter(bucket=day).delete()
    rollups.apply(deltas)
    # One that began meanwhile may have been read in part: leave all as it was.
    require_rolled(day, day)
    return count


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _rows(model: Any, span: dict[str, datetime]) -> Iterator[Row]:
    rows = model._default_manager.filter(**span).order_by("at", "id").values()
    yield from rows.iterator(chunk_size=_CHUNK)


def _requests(span: dict[str, datetime]) -> Iterator[Row]:
    """Read requests; each learns its serving credential and its corrected cost."""
    for chunk in _chunks(_rows(Request, span)):
        ids = [row["id"] for row in chunk]
        found = Attempt.objects.filter(request_id__in=ids, **span)
        tried: dict[Any, list[Row]] = {}
        credentials: dict[Any, int | None] = {}
        names = ("request_id", "credential_dim", *corrections.COLUMNS)
        for each in found.values(*names):
            tried.setdefault(each["request_id"], []).append(each)
            credentials[each["id"]] = each["credential_dim"]
        known = corrections.of_requests(ids)
        for row in chunk:
            row["credential_dim"] = credentials.get(row["serving_attempt"])
            _correct(row, tried.get(row["id"], []), known)
            yield row


def _correct(row: Row, tried: list[Row], known: Corrections) -> None:
    own = [known[each["id"]] for each in tried if each["id"] in known]
    if own:
        delta = sum(each.delta_nano_usd for each in own)
        row["cost_nano_usd"] = (row["cost_nano_usd"] or 0) + delta
        row["unpriced"] = corrections.request_lacks_price(row["unpriced"], tried, known)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
