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

from usage import ledger_sums, rollups
from usage.dimensions import Dimensions
from usage.ledger_sums import Meaning
from usage.models import (
    Attempt,
    CostAdjustment,
    Request,
    Rollup15,
    RollupCube,
    RollupDay,
)

_CHUNK: Final = 500
_ASKED: Final = (
    "id", "at", "purpose_dim", "client_key_id", "team_id", "model_asked_dim",
    "session_dim", "agent_dim", "end_user_dim",
)  # fmt: skip
Row = dict[str, Any]


@transaction.atomic
def rebuild_day(day: date) -> int:
    """Replace one UTC day's rollups; return how many attempts they are made of.

    Cost:  about 40 us an attempt, in one transaction: run it while the pool is quiet.
    """
    begin = datetime.combine(day, time(), UTC)
    span = {"at__gte": begin, "at__lt": begin + timedelta(days=1)}
    meaning = Meaning.of(Dimensions().resolve(ledger_sums.STRINGS))
    deltas = rollups.Deltas()
    asked: dict[Any, Row] = {}
    for row in _rows(Request, span):
        asked[row["id"]] = {name: row[name] for name in _ASKED}
        ledger_sums.add_request(deltas, row, meaning)
    count = 0
    for chunk in _chunks(_rows(Attempt, span)):
        corrections = _corrections(chunk)
        for row in chunk:
            owner = asked.get(row["request_id"])
            if owner is None:
                continue  # its request is still running
            _correct(row, corrections)
            ledger_sums.add_attempt(deltas, owner, row, meaning)
            count += 1
    Rollup15.objects.filter(
        bucket__gte=begin, bucket__lt=begin + timedelta(days=1)
    ).delete()
    RollupDay.objects.filter(bucket=day).delete()
    RollupCube.objects.filter(bucket=day).delete()
    rollups.apply(deltas)
    return count


def _rows(model: Any, span: dict[str, datetime]) -> Iterator[Row]:
    """Read ledger rows; a request learns its serving credential from the attempt."""
    rows = model._default_manager.filter(**span).order_by("at", "id").values()
    if model is Attempt:
        yield from rows.iterator(chunk_size=_CHUNK)
        return
    for chunk in _chunks(rows.iterator(chunk_size=_CHUNK)):
        served = [row["serving_attempt"] for row in chunk if row["serving_attempt"]]
        found = Attempt.objects.filter(id__in=served, **span)
        credentials = dict(found.values_list("id", "credential_dim"))
        for row in chunk:
            row["credential_dim"] = credentials.get(row["serving_attempt"])
            yield row


def _corrections(chunk: list[Row]) -> dict[Any, int]:
    ids = [row["id"] for row in chunk]
    found: dict[Any, int] = {}
    rows = CostAdjustment.objects.filter(attempt_id__in=ids)
    for attempt, delta in rows.values_list("attempt_id", "delta_nano_usd"):
        found[attempt] = found.get(attempt, 0) + delta
    return found


def _correct(row: Row, corrections: dict[Any, int]) -> None:
    if row["id"] in corrections:
        row["cost_nano_usd"] = (row["cost_nano_usd"] or 0) + corrections[row["id"]]


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
