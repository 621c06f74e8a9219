"""Read from the log what clients asked for lately, as routing sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from providers.formats.base import NEED_NAMES
from usage.log_names import names_for
from usage.models import Request

_LOOK_AT: Final = 1000
_CLIENT: Final = "client"
_FAILED: Final = (Request.Outcome.FAILED, Request.Outcome.CUT)


@dataclass(frozen=True)
class PastAsk:
    """What one request asked for, and who served it.

    Shapes:  ``key`` is the client key's name, ``key_id`` its number; ``needs`` names
             what the model had to be able to do.
    """

    id: UUID
    at: datetime
    model: str
    dialect: str = ""
    key: str = ""
    key_id: int | None = None
    needs: tuple[str, ...] = ()
    provider: str = ""
    served: str = ""


def last_asks(count: int) -> list[PastAsk]:
    """Return what clients asked for last, oldest first.

    Cost:  three queries over the newest 1,000 requests, whatever the log holds.
    """
    rows = list(Request.objects.order_by("-at", "-id")[: max(count, _LOOK_AT)])
    found = [ask for ask, purpose in _asks(rows) if purpose == _CLIENT and ask.model]
    return found[:count][::-1]


def last_failed() -> PastAsk | None:
    """Return the newest client request that failed, of the newest 1,000."""
    rows = list(Request.objects.order_by("-at", "-id")[:_LOOK_AT])
    failed = [row for row in rows if row.outcome in _FAILED]
    asks = _asks(failed)
    return next((ask for ask, purpose in asks if purpose == _CLIENT), None)


def _asks(rows: Sequence[Request]) -> list[tuple[PastAsk, str]]:
    names = names_for(rows)
    return [
        (
            PastAsk(
                id=row.id,
                at=row.at,
                model=names.of(row.model_asked_dim),
                dialect=names.of(row.dialect_dim),
                key=names.key(row.client_key_id),
                key_id=row.client_key_id,
                needs=tuple(n for n, bit in NEED_NAMES.items() if row.needs & bit),
                provider=names.of(row.provider_dim),
                served=names.of(row.model_served_dim),
            ),
            names.of(row.purpose_dim),
        )
        for row in rows
    ]
