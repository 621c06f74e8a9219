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
    return count


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
