"""What the accounts behind credentials have left, as far as their vendors say."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from poolsite.money import nano_from_usd
from providers.models import AccountStatus, Provider

_USD: Final = "USD"
_MOST_USD: Final = Decimal(4_000_000_000)


def funds_of(row: AccountStatus) -> int | None:
    """Return what is left in nano-USD.

    Fails:   None for what is not in dollars, without a limit, or could not be read
             the last time: nobody guesses at money.
    """
    if row.left is None or row.unit != _USD or row.error:
        return None
    return nano_from_usd(max(-_MOST_USD, min(row.left, _MOST_USD)))


def reported_funds(rows: Sequence[Provider]) -> dict[int, dict[str, int]]:
    """Return what is left by provider and credential; one query."""
    told = AccountStatus.objects.filter(
        provider__in=rows, left__isnull=False, unit=_USD, error=""
    )
    found: dict[int, dict[str, int]] = {}
    for status in told.order_by("pk"):
        funds = funds_of(status)
        if funds is not None:
            found.setdefault(status.provider_id, {})[status.credential] = funds
    return found
