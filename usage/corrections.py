"""What later adjustments make of a cost the ledger settled.

Rows are read in the order they were written: an undo takes back the newest correction
that still stands, so an attempt without a price is without one again afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, OuterRef, QuerySet, Subquery, Sum, When

from usage.ledger_rows import TOKENS
from usage.models import CostAdjustment, Request

COLUMNS: Final = ("id", "cost_nano_usd", *TOKENS)
_CHUNK: Final = 500
Columns = Mapping[str, Any]


class Correction:
    """The adjustments of one attempt, added up.

    Units:   ``delta_nano_usd`` in nano-USD, on top of what was settled.
    Shapes:  ``standing`` are the price versions of the corrections nobody undid,
             oldest first; without any, the attempt is as it was settled.
    """

    __slots__ = ("delta_nano_usd", "standing")

    def __init__(self) -> None:
        self.delta_nano_usd = 0
        self.standing: list[int | None] = []

    def add(self, delta: int, version_id: int | None, *, is_undo: bool) -> None:
        """Add one adjustment, the next in the order they were written."""
        self.delta_nano_usd += delta
        if not is_undo:
            self.standing.append(version_id)
        elif self.standing:
            self.standing.pop()

    def cost(self, settled: int | None) -> int | None:
        """Return the cost that is shown; None = no price was ever known."""
        if settled is None and not self.standing:
            return None
        return (settled or 0) + self.delta_nano_usd


Corrections = dict[UUID, Correction]
"""Corrections by attempt."""


def of_requests(ids: Iterable[UUID]) -> Corrections:
    """Return the corrections of the attempts of some requests.

    Cost:  one query per 500 requests, by index.
    """
    return {each: found for _, each, found in _read(ids)}


def with_corrections(rows: QuerySet[Request]) -> QuerySet[Request]:
    """Let requests carry what their cost changed by, and how many changes stand.

    Cost:  two steps down an index for each row read; no query of its own.
    """
    own = CostAdjustment.objects.filter(request_id=OuterRef("id")).order_by()
    own_sums = own.values("request_id")
    one = Case(When(is_undo=True, then=-1), default=1)
    return rows.annotate(
        adjusted_nano_usd=Subquery(
            own_sums.annotate(delta=Sum("delta_nano_usd")).values("delta")
        ),
        adjustments_standing=Subquery(
            own_sums.annotate(standing=Sum(one)).values("standing")
        ),
    )


def request_cost(row: Request) -> int | None:
    """Return what a request costs now; None when no price was ever known.

    Shapes:  ``row`` as ``with_corrections`` reads it.
    """
    settled = row.cost_nano_usd
    if settled is None and not getattr(row, "adjustments_standing", None):
        return None
    return (settled or 0) + (getattr(row, "adjusted_nano_usd", None) or 0)


def request_lacks_price(
    settled: bool, tried: Iterable[Columns], corrections: Corrections
) -> bool:
    """Tell whether a part of a request still has no known price.

    Shapes:  ``settled`` is the request's flag; ``tried`` are all its attempts, with
             COLUMNS as they were settled.
    """
    return settled and parts_lack_price(
        ((row["id"], _was_unknown(row)) for row in tried), corrections
    )


def parts_lack_price(
    parts: Iterable[tuple[Any, bool]], corrections: Mapping[Any, Correction]
) -> bool:
    """Tell whether a request settled without a price is without one still.

    Shapes:  ``parts`` are all its attempts, each with whether it used something and
             was settled without a cost.
    """
    corrected = unknown = False
    for key, was_unknown in parts:
        found = corrections.get(key)
        stands = found is not None and bool(found.standing)
        corrected = corrected or stands
        unknown = unknown or (not stands and was_unknown)
    return unknown or not corrected


def _was_unknown(row: Columns) -> bool:
    """Tell an attempt that used something and was settled without a cost."""
    return row["cost_nano_usd"] is None and any(
        row[name] is not None for name in TOKENS
    )


def _read(ids: Iterable[UUID]) -> Iterable[tuple[UUID, UUID, Correction]]:
    wanted = list(ids)
    found: dict[UUID, tuple[UUID, Correction]] = {}
    for start in range(0, len(wanted), _CHUNK):
        rows = CostAdjustment.objects.filter(
            request_id__in=wanted[start : start + _CHUNK]
        )
        for request_id, attempt_id, delta, version_id, is_undo in rows.order_by(
            "id"
        ).values_list(
            "request_id", "attempt_id", "delta_nano_usd", "price_version_id", "is_undo"
        ):
            if attempt_id not in found:
                found[attempt_id] = (request_id, Correction())
            found[attempt_id][1].add(delta, version_id, is_undo=is_undo)
    return [(owner, each, value) for each, (owner, value) in found.items()]
